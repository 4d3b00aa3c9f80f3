//! Plain values every layer shares. No I/O, no async, no candle, no ratatui.

mod collection;
mod embedding;
mod image;
mod model;
mod printable;

pub use collection::{CollectionSpec, Count, FolderSummary, Place, Service, SpaceSummary};
pub use embedding::{Embedding, Similarity};
pub use image::{FileProblem, FileStamp, Hit, ImageId, PixelSize, Record};
pub use model::{Fingerprint, ModelId};
pub use printable::Printable;
