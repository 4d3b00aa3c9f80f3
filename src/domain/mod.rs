//! Plain values every layer shares. No I/O, no async, no candle, no ratatui.

mod collection;
mod embedding;
mod formats;
mod hex;
mod image;
mod model;
mod printable;

pub use collection::{
    Accuracy, CollectionSpec, Count, DatabasePlace, FolderSummary, Place, Service, SpaceSummary,
};
pub use embedding::{Embedding, Similarity};
pub use formats::Formats;
pub use hex::Hex;
pub use image::{FileProblem, FileStamp, Hit, ImageId, PixelSize, Record};
pub use model::{Fingerprint, ModelId};
pub use printable::Printable;
