//! The text tower: input ids to one unnormalised embedding.
//!
//! Same arithmetic as transformers' `CLIPTextModelWithProjection`. Attention
//! is causal and only the end token is read, so nothing after the end token
//! can matter: texts are never padded, and a short query costs what it needs.

use std::sync::Arc;

use candle_core::{Device, Module, Tensor};
use candle_nn::{LayerNorm, Linear};

use super::Error;
use super::config::{Config, TextConfig};
use super::reader::{Reader, Tower, TowerProgress};
use super::transformer::Transformer;
use super::weights::Weights;

/// A text tower, with its token embedding still in the mapped file.
#[derive(Debug)]
pub(super) struct TextTower {
    weights: Arc<Weights>,
    config: TextConfig,
    positions: Tensor,
    transformer: Transformer,
    final_layer_norm: LayerNorm,
    projection: Linear,
}

impl TextTower {
    pub(super) fn read(
        weights: Arc<Weights>,
        config: &Config,
        progress: &dyn Fn(TowerProgress),
    ) -> Result<Self, Error> {
        let reader = Reader::new(&weights, Tower::Text, progress);
        let text = config.text;
        let width = text.transformer.width;
        let positions = reader.tensor(
            "text_model.embeddings.position_embedding.weight",
            &[text.context_length, width],
        )?;
        let eps = text.transformer.layer_norm_eps;
        Ok(Self {
            positions,
            transformer: Transformer::read(&reader, "text_model", &text.transformer)?,
            final_layer_norm: reader.layer_norm("text_model.final_layer_norm", width, eps)?,
            projection: reader.projection("text_projection", width, config.dimension)?,
            config: text,
            weights,
        })
    }

    /// Embeds one text of at most `context_length` input ids, the last of
    /// which is the end token. Like the original, it reads the *first* end
    /// token, so one written out in the text ends it there.
    pub(super) fn embed(&self, input_ids: &[u32]) -> Result<Vec<f32>, Error> {
        let end = input_ids.last().and_then(|last| input_ids.iter().position(|id| id == last));
        let Some(end) = end else { return Err(Error::EmptyText) };
        let input_ids = &input_ids[..=end];
        let shape = [self.config.vocabulary, self.config.transformer.width];
        let tokens =
            self.weights.rows("text_model.embeddings.token_embedding.weight", shape, input_ids)?;
        let positions = self.positions.narrow(0, 0, input_ids.len())?;
        let xs = (tokens + positions)?.unsqueeze(0)?;
        let xs = self.transformer.forward(&xs, Some(&causal_mask(input_ids.len())?))?;
        let pooled = self.final_layer_norm.forward(&xs.narrow(1, end, 1)?.contiguous()?)?;
        Ok(self.projection.forward(&pooled)?.flatten_all()?.to_vec1()?)
    }
}

/// Zero where a token may look (itself and before), minus infinity elsewhere.
fn causal_mask(tokens: usize) -> Result<Tensor, Error> {
    let mask: Vec<f32> = (0..tokens)
        .flat_map(|row| (0..tokens).map(move |col| if col > row { f32::NEG_INFINITY } else { 0.0 }))
        .collect();
    Ok(Tensor::from_vec(mask, (tokens, tokens), &Device::Cpu)?)
}
