//! What a command comes to.

use serde_json::{Value, json};

use super::failure::Failure;

/// Each part is left out of the answer if it is empty.
#[derive(Default)]
pub struct Reply {
    pub data: Option<Value>,
    pub status: Option<Value>,
    pub failures: Vec<Failure>,
}

impl Reply {
    pub fn status(status: Value) -> Self {
        Self { status: Some(status), ..Self::default() }
    }

    pub fn data(data: Value) -> Self {
        Self { data: Some(data), ..Self::default() }
    }

    pub fn ok() -> Self {
        Self::status(json!({ "ok": 1 }))
    }

    /// The status of HTTP: that of the first failure that has one of its own.
    pub fn http_status(&self) -> u16 {
        let mut own = self.failures.iter().map(|failure| failure.status);
        own.find(|&status| status != 200).unwrap_or(200)
    }

    pub fn to_json(&self, old: bool) -> Value {
        let mut envelope = json!({});
        if let Some(data) = &self.data {
            envelope["data"] = data.clone();
        }
        if let Some(status) = &self.status {
            envelope["status"] = status.clone();
        }
        if !self.failures.is_empty() {
            envelope["errors"] = self.failures.iter().map(|failure| failure.to_json(old)).collect();
        }
        envelope
    }
}

impl From<Failure> for Reply {
    fn from(failure: Failure) -> Self {
        Self { failures: vec![failure], ..Self::default() }
    }
}
