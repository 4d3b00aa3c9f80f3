//! How the towers are computed: how exactly, and with which instructions.

use clap::ValueEnum;
use serde::Deserialize;

use super::packed::Processor;

/// What the towers are computed in. Sums are always in f32.
///
/// A checkpoint has one fingerprint in all of them but int8: over the random
/// weights of the tests, embeddings in bf16 have a cosine of 0.9999 and more to
/// those in f32, which is within what is tolerated, so they may meet in one
/// collection. Those in int8 are further away, and have a fingerprint of their
/// own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// The fastest whose embeddings may stand beside those in f32: at present,
    /// what bf16 says.
    #[default]
    Auto,
    /// As the weights are.
    F32,
    /// Factors of products rounded to 8 significant bits, if the processor
    /// multiplies such; else f32.
    Bf16,
    /// Factors of products rounded to whole numbers from -127 to 127 times a
    /// scale, one of each row of activations and of each row of weights; if the
    /// processor multiplies such, and if both towers can be packed for it. Else
    /// what bf16 says.
    Int8,
}

/// Which instructions may be used, if the processor has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Instructions {
    /// All that help.
    #[default]
    Auto,
    /// None beyond AVX2 and FMA.
    Avx2,
    /// Those that candle uses: what all else is held against.
    Plain,
}

/// How to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arithmetic {
    /// How exactly.
    pub precision: Precision,
    /// With what.
    pub instructions: Instructions,
}

impl Arithmetic {
    /// What a tower that can be packed is computed in on this machine: what was
    /// asked for may need instructions that the processor lacks.
    #[must_use]
    pub fn here(self) -> Precision {
        match self.processor() {
            Some(Processor::Int8(_)) => Precision::Int8,
            Some(Processor::Bf16(_)) => Precision::Bf16,
            Some(Processor::Float(_)) | None => Precision::F32,
        }
    }

    /// By what towers that can be packed are computed; candle, if there is none.
    pub(super) fn processor(self) -> Option<Processor> {
        match (self.instructions, self.precision) {
            (Instructions::Plain, _) => None,
            (Instructions::Avx2, _) => Processor::exact(true),
            (Instructions::Auto, Precision::F32) => Processor::exact(false),
            (Instructions::Auto, Precision::Auto | Precision::Bf16) => near(),
            (Instructions::Auto, Precision::Int8) => Processor::quantizing().or_else(near),
        }
    }
}

fn near() -> Option<Processor> {
    Processor::rounding().or_else(|| Processor::exact(false))
}
