//! The towers' layers over weights that are packed once, when they are read,
//! for the processor that is there.
//!
//! candle packs the weights of every product anew and hands out every
//! elementwise operation for itself, which costs a third of the time and more.
//! Here a matrix lies in panels of [`PANEL`] columns, weights and activations
//! alike, so that a product reads both from end to end, and one head of the
//! attention is one panel:
//!
//! ```text
//! activations  [panels][rows][PANEL]
//! weights      [panels of outputs][inputs][PANEL], in what order a kernel likes
//! ```
//!
//! An EfficientNet's feature maps lie in blocks of 16 channels, which is what its
//! layers are multiples of, or nearly ([`map`], [`trunk`]).
//!
//! What depends on the processor is a [`kernel::Kernel`]. All arithmetic in f32 is
//! written once for all vector lengths; only the products in bf16 and in int8 use
//! a processor's own instructions, in [`avx512`], the one module that is unsafe.
//! Towers of other shapes than these, and other processors, are candle's.

#![expect(
    clippy::inline_always,
    reason = "a function is compiled for a processor's vectors where it is inlined into one that is"
)]

mod attention;
mod avx512;
mod depthwise;
mod float;
mod kernel;
mod linear;
mod map;
mod matrix;
mod norm;
#[cfg(test)]
pub(super) mod oracle;
mod pointwise;
mod stack;
mod trunk;
mod vit;

pub(super) use kernel::Processor;
pub(super) use stack::{PackedStack, PackedText, fits};
pub(super) use trunk::PackedTrunk;
pub(super) use vit::{Embeddings, PackedVit, fits as fits_vit};

/// Columns that lie together, and components of a head.
const PANEL: usize = 64;

/// With fewer rows than this, what is done once for each value is not worth
/// telling other threads.
const FEW: usize = 16;

/// Inputs of a layer at most: the sum of so many products of 127 and 127 is less
/// than an i32 holds.
const INPUTS: usize = 1 << 16;
