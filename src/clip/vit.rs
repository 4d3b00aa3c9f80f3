//! CLIP's vision transformer: pixel values to unnormalised embeddings.
//!
//! Same arithmetic as transformers' `CLIPVisionModelWithProjection` (which
//! spells one of its tensors `pre_layrnorm`).

use candle_core::{Module, Tensor};
use candle_nn::{LayerNorm, Linear};

use super::Error;
use super::config::{Config, VitConfig};
use super::packed::{self, Embeddings, PackedVit, Processor};
use super::reader::Reader;
use super::transformer::Transformer;

/// A vision transformer with its projection.
#[derive(Debug)]
pub(super) struct Vit {
    trunk: Trunk,
    post_layer_norm: LayerNorm,
    projection: Linear,
}

/// Pixel values to the class token's row.
#[derive(Debug)]
enum Trunk {
    /// Packed for the processor.
    Packed(PackedVit),
    /// By candle alone: what everything else is held against.
    Plain(Plain),
}

#[derive(Debug)]
struct Plain {
    /// `[channels · patch · patch, width]`: a convolution whose stride is its
    /// kernel is a product over unfolded patches.
    patch_embedding: Tensor,
    class_embedding: Tensor,
    positions: Tensor,
    pre_layer_norm: LayerNorm,
    transformer: Transformer,
    patch_size: usize,
}

impl Vit {
    pub(super) fn read(
        weights: &Reader<'_>,
        config: &Config,
        vit: &VitConfig,
        processor: Option<&Processor>,
    ) -> Result<Self, Error> {
        let (width, patch) = (vit.transformer.width, vit.patch_size);
        let eps = vit.transformer.layer_norm_eps;
        let patches = (vit.image_size / patch).pow(2);
        let embedding = |part: &str, shape: &[usize]| {
            weights.tensor(&format!("vision_model.embeddings.{part}"), shape)
        };
        let kernel = embedding("patch_embedding.weight", &[width, 3, patch, patch])?;
        let embeddings = Embeddings {
            patches: kernel.reshape((width, 3 * patch * patch))?,
            class: embedding("class_embedding", &[width])?,
            positions: embedding("position_embedding.weight", &[patches + 1, width])?,
            norm: weights.layer_norm("vision_model.pre_layrnorm", width, eps)?,
        };
        let trunk = match processor.filter(|_| packed::fits_vit(vit)) {
            Some(processor) => Trunk::Packed(PackedVit::read(weights, vit, embeddings, processor)?),
            None => Trunk::Plain(Plain::read(weights, vit, embeddings)?),
        };
        Ok(Self {
            trunk,
            post_layer_norm: weights.layer_norm("vision_model.post_layernorm", width, eps)?,
            projection: weights.projection("visual_projection", width, config.dimension)?,
        })
    }

    /// Whether it shares a batch out among threads by itself.
    pub(super) fn is_packed(&self) -> bool {
        matches!(self.trunk, Trunk::Packed(_))
    }

    /// `[batch, 3, size, size]` to `[batch, dimension]`.
    pub(super) fn forward(&self, pixel_values: &Tensor) -> candle_core::Result<Tensor> {
        let class = match &self.trunk {
            Trunk::Packed(packed) => pixel_values.apply_op1_no_bwd(packed)?,
            Trunk::Plain(plain) => plain.forward(pixel_values)?,
        };
        self.projection.forward(&self.post_layer_norm.forward(&class)?)
    }
}

impl Plain {
    fn read(weights: &Reader<'_>, vit: &VitConfig, embeddings: Embeddings) -> Result<Self, Error> {
        let Embeddings { patches, class, positions, norm } = embeddings;
        Ok(Self {
            patch_embedding: patches.t()?.contiguous()?,
            class_embedding: class,
            positions,
            pre_layer_norm: norm,
            transformer: Transformer::read(weights, "vision_model", &vit.transformer)?,
            patch_size: vit.patch_size,
        })
    }

    /// `[batch, 3, size, size]` to `[batch, width]`.
    fn forward(&self, pixel_values: &Tensor) -> candle_core::Result<Tensor> {
        let patches = self.unfold(pixel_values)?.broadcast_matmul(&self.patch_embedding)?;
        let (batch, _, width) = patches.dims3()?;
        let class = self.class_embedding.reshape((1, 1, width))?.expand((batch, 1, width))?;
        let tokens = Tensor::cat(&[&class, &patches], 1)?.broadcast_add(&self.positions)?;
        let encoded = self.transformer.forward(&self.pre_layer_norm.forward(&tokens)?, None)?;
        encoded.narrow(1, 0, 1)?.squeeze(1)?.contiguous()
    }

    /// Each patch as one row, channel by channel as the kernel has it.
    fn unfold(&self, pixel_values: &Tensor) -> candle_core::Result<Tensor> {
        let (batch, channels, height, width) = pixel_values.dims4()?;
        let patch = self.patch_size;
        let (rows, cols) = (height / patch, width / patch);
        pixel_values
            .reshape(&[batch, channels, rows, patch, cols, patch])?
            .permute([0, 2, 4, 1, 3, 5])?
            .reshape((batch, rows * cols, channels * patch * patch))
    }
}
