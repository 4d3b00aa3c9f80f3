//! Turns the layers' typed errors into what a person reads.

use std::error::Error as StdError;
use std::path::Path;

use super::message::Failure;
use super::model;
use crate::domain::Printable;
use crate::{clip, hub, picture, store};

impl Failure {
    /// `error` and all its causes, with the hint that belongs to it.
    pub(super) fn new(doing: impl Into<String>, error: &(impl Advice + 'static)) -> Self {
        let causes =
            std::iter::successors(Some(error as &(dyn StdError + 'static)), |e| (*e).source());
        Self {
            doing: doing.into(),
            causes: causes.map(|e| Printable::new(&e.to_string()).to_string()).collect(),
            hint: error.advice(),
        }
    }

    /// A failure whose cause is already in words.
    pub(super) fn because(doing: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { doing: doing.into(), causes: vec![cause.into()], hint: None }
    }

    /// With another hint.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The picture at `path` could not be used as a query or shown.
    pub(super) fn picture(path: &Path, error: &picture::Error) -> Self {
        let cause = format!("{} {error}", Printable::new(path));
        Self::because("opening the picture", Printable::new(&cause).to_string())
    }
}

/// What to try, for errors where that is known.
pub(super) trait Advice: StdError {
    /// One sentence, or nothing rather than a platitude.
    fn advice(&self) -> Option<String> {
        None
    }
}

impl Advice for clip::Error {
    fn advice(&self) -> Option<String> {
        Some(match self {
            Self::EmptyText => "type what to look for, such as: red convertible".into(),
            Self::Compute(_) => return None,
            _ => "download the model again with `carlens model pull`, or set `model` to a folder \
                  that holds a complete checkpoint; `--model compact` always works"
                .into(),
        })
    }
}

impl Advice for model::Error {
    fn advice(&self) -> Option<String> {
        match self {
            Self::Clip(error) => error.advice(),
            Self::Gone => Some("the log file says why; start again to go on".into()),
        }
    }
}

impl Advice for store::Error {
    fn advice(&self) -> Option<String> {
        match self {
            Self::Database(error) => error.advice(),
            _ => None,
        }
    }
}

impl Advice for hub::Error {
    fn advice(&self) -> Option<String> {
        Some(self.hint())
    }
}

impl Advice for std::io::Error {}

impl Advice for tokio::task::JoinError {
    fn advice(&self) -> Option<String> {
        Some("this is a bug in carlens; the log file has the details".into())
    }
}
