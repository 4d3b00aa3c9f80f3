//! The nonlinearity between the two layers of an MLP.

use candle_core::{Module, Result, Tensor};
use candle_transformers::models::clip::text_model::Activation as ClipActivation;

use super::Error;

/// `hidden_act` of a checkpoint's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    /// `x · sigmoid(1.702 x)`, as OpenAI trained its checkpoints.
    QuickGelu,
    /// `x · Φ(x)` by the error function, as `open_clip` does by default.
    Gelu,
}

impl Activation {
    /// Reads the name that transformers gives it.
    pub(super) fn from_name(name: &str) -> std::result::Result<Self, Error> {
        match name {
            "quick_gelu" => Ok(Self::QuickGelu),
            "gelu" => Ok(Self::Gelu),
            other => Err(Error::Unsupported(format!("hidden_act \"{}\"", other.escape_debug()))),
        }
    }
}

impl Module for Activation {
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        match self {
            Self::QuickGelu => ClipActivation::QuickGelu.forward(xs),
            Self::Gelu => xs.gelu_erf(),
        }
    }
}
