//! The `.env` file of the working folder, where many keep what opens a
//! database. Nothing of it but that is used.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::config::Error;

/// What is in it.
#[derive(Default)]
pub struct DotEnv {
    variables: BTreeMap<String, String>,
    broken: Option<String>,
}

impl DotEnv {
    /// Reads the file at `path`; one that is not there is empty.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        match std::fs::read(path) {
            Ok(text) => Self::of(&String::from_utf8_lossy(&text)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(e) => Self { broken: Some(e.to_string()), ..Self::default() },
        }
    }

    /// What `text` says. Of a line that makes no sense nothing is repeated: it
    /// may be a secret.
    pub(crate) fn of(text: &str) -> Self {
        let mut dot_env = Self::default();
        for line in dotenvy::from_read_iter(text.as_bytes()) {
            match line {
                Ok((name, value)) => drop(dot_env.variables.insert(name, value)),
                Err(_) => dot_env.broken = Some("a line of it is not NAME=value".into()),
            }
        }
        dot_env
    }

    /// The variable `name`, if it is there.
    ///
    /// # Errors
    /// If it is not, but may be in what could not be read.
    pub(crate) fn get(&self, name: &str) -> Result<Option<String>, Error> {
        match (self.variables.get(name), &self.broken) {
            (Some(value), _) => Ok(Some(value.clone()).filter(|value| !value.trim().is_empty())),
            (None, Some(reason)) => {
                Err(Error::Malformed { path: ".env".into(), reason: reason.clone() })
            }
            (None, None) => Ok(None),
        }
    }
}
