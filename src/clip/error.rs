//! Why a checkpoint could not be opened or an embedding not be made.

use std::io;
use std::path::PathBuf;

use crate::domain::Printable;

/// What went wrong in the model layer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A checkpoint folder that is not there, or not a folder.
    #[error("there is no checkpoint folder at {}", Printable::new(.0))]
    NoFolder(PathBuf),
    /// A file every checkpoint must have.
    #[error("{} has no {wanted}", Printable::new(folder))]
    MissingFile {
        /// The checkpoint.
        folder: PathBuf,
        /// The file, or the choice of files.
        wanted: &'static str,
    },
    /// A file that could not be read.
    #[error("cannot read {}", Printable::new(path))]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that is not what its name says.
    #[error("{file} of the checkpoint is damaged or not in the expected format: {reason}")]
    Malformed {
        /// Which file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The weights lack a tensor the configuration calls for.
    #[error("the weights have no tensor {0}: they belong to another architecture than config.json")]
    MissingTensor(String),
    /// A tensor's shape contradicts the configuration.
    #[error("tensor {tensor} has shape {actual:?}, but the configuration calls for {expected:?}")]
    Shape {
        /// Which tensor.
        tensor: String,
        /// By the configuration.
        expected: Vec<usize>,
        /// In the file.
        actual: Vec<usize>,
    },
    /// A valid checkpoint of a kind that is not supported.
    #[error("this checkpoint is not supported: {0}")]
    Unsupported(String),
    /// A query without a word in it.
    #[error("the query has no words in it")]
    EmptyText,
    /// An embedding without a direction: the weights hold NaN or only zeros.
    #[error("the model gave an embedding that is not finite or all zero: its weights are damaged")]
    NoDirection,
    /// The arithmetic failed.
    #[error("the model's arithmetic failed")]
    Compute(#[from] candle_core::Error),
}
