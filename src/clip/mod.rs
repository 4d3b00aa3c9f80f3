//! Text and pictures to embeddings. The only user of candle.
//!
//! A [`Checkpoint`] is a folder in Hugging Face layout, or the compact model
//! compiled into the program. From it come two independent encoders, so that
//! a query in words never pays for the picture tower and a load never for the
//! text tower:
//!
//! ```text
//! text    → Tokenizer    → input ids    → text tower    ┐
//!                                                       ├→ Embedding
//! picture → Preprocessor → pixel values → picture tower ┘
//! ```
//!
//! Everything about a model is read from its files. The references are
//! OpenAI's CLIP paper (Radford et al. 2021, arXiv:2103.00020), the `clip`
//! model of Hugging Face transformers and `open_clip`; the numbers of the
//! former two are committed under `tests/fixtures`. candle-transformers'
//! `clip` module lends its QuickGELU and is held against our towers in the
//! tests, but cannot be the tower itself: it knows no other activation, no
//! `open_clip` tensor names, and always computes both full towers in f32 from
//! eagerly read weights.

mod activation;
mod arithmetic;
mod bundled;
mod checkpoint;
mod config;
mod convolution;
mod efficientnet;
mod encoder;
mod error;
mod open_clip;
mod operation;
mod packed;
mod preprocessor;
mod reader;
mod text_tower;
mod tokenizer;
mod transformer;
mod vit;
mod weights;

pub use arithmetic::{Arithmetic, Instructions, Precision};
pub use checkpoint::Checkpoint;
pub use encoder::{PictureEncoder, TextEncoder};
pub use error::Error;
pub use preprocessor::{PixelValues, Preprocessor};
pub use reader::{Tower, TowerProgress};
pub use tokenizer::Tokenizer;
