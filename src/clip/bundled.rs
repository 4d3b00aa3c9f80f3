//! The compact model, compiled into the program so that an installed binary
//! needs no file beside it. Its card says what it is for and what it was
//! trained on: `models/compact/MODEL_CARD.md`.

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/compact/", $name))
    };
}

pub(super) const CONFIG: &[u8] = file!("config.json");
pub(super) const PREPROCESSOR: &[u8] = file!("preprocessor_config.json");
pub(super) const TOKENIZER: &[u8] = file!("tokenizer.json");
pub(super) const WEIGHTS: &[u8] = file!("model.safetensors");
