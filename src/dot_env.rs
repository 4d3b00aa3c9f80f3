//! The `.env` file of the working folder, where many keep what opens a
//! database. Nothing of it but that is used.

use std::collections::BTreeMap;
use std::path::Path;

/// What is in it.
#[derive(Default)]
pub struct DotEnv {
    variables: BTreeMap<String, String>,
    broken: Option<String>,
    of_database: bool,
}

impl DotEnv {
    /// Reads the file at `path`; one that is not there is empty.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        // Some keep a folder of that name, and a pipe would never end.
        if !path.is_file() {
            return Self::default();
        }
        match std::fs::read(path) {
            Ok(text) => Self::of(&String::from_utf8_lossy(&text)),
            Err(e) => Self { broken: Some(e.to_string()), ..Self::default() },
        }
    }

    /// What `text` says. Of a line that makes no sense nothing is repeated: it
    /// may be a secret.
    pub(crate) fn of(text: &str) -> Self {
        let of_database = text.contains("ASTRA_DB_");
        let mut dot_env = Self { of_database, ..Self::default() };
        // As some editors put it in front.
        let text = text.trim_start_matches('\u{feff}');
        for line in dotenvy::from_read_iter(text.as_bytes()) {
            match line {
                Ok((name, value)) => drop(dot_env.variables.insert(name, value)),
                Err(_) => dot_env.broken = Some("a line of it is not NAME=value".into()),
            }
        }
        dot_env
    }

    /// The variable `name`, if it is there and says something.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned().filter(|value| !value.trim().is_empty())
    }

    /// Why some of it could not be read.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// Whether it is about a database at all; others have such files too.
    pub(crate) fn is_of_database(&self) -> bool {
        self.of_database
    }
}
