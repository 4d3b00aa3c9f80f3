//! Plain values every layer shares. No I/O, no async, no candle, no ratatui.

mod embedding;
mod image;
mod model;
mod printable;

pub use embedding::{Embedding, Similarity};
pub use image::{FileProblem, FileStamp, Hit, ImageId, PixelSize, Record};
pub use model::{CollectionSpec, Fingerprint, ModelId};
pub use printable::Printable;
