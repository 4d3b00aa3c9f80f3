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
use super::packed::{self, PackedStack, PackedText, Processor};
use super::reader::{Reader, Tower, TowerProgress};
use super::transformer::Transformer;
use super::weights::Weights;

/// A text tower, with its token embedding still in the mapped file.
#[derive(Debug)]
pub(super) struct TextTower {
    weights: Arc<Weights>,
    config: TextConfig,
    positions: Tensor,
    layers: Layers,
    final_layer_norm: LayerNorm,
    projection: Linear,
}

/// The transformer.
#[derive(Debug)]
enum Layers {
    /// Packed for the processor.
    Packed(PackedText),
    /// By candle alone: what everything else is held against.
    Plain(Transformer),
}

impl TextTower {
    pub(super) fn read(
        weights: Arc<Weights>,
        config: &Config,
        processor: Option<&Processor>,
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
        let layers = match processor.filter(|_| packed::fits(&text.transformer)) {
            Some(processor) => Layers::Packed(PackedText(PackedStack::read(
                &reader,
                "text_model",
                &text.transformer,
                processor,
            )?)),
            None => Layers::Plain(Transformer::read(&reader, "text_model", &text.transformer)?),
        };
        Ok(Self {
            positions,
            layers,
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
        let last = match &self.layers {
            Layers::Packed(packed) => xs.apply_op1_no_bwd(packed)?,
            Layers::Plain(transformer) => {
                let xs = transformer.forward(&xs, Some(&causal_mask(input_ids.len())?))?;
                xs.narrow(1, end, 1)?.squeeze(1)?.contiguous()?
            }
        };
        let pooled = self.final_layer_norm.forward(&last)?;
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::clip::arithmetic::{Arithmetic, Instructions, Precision};
    use crate::domain::Embedding;

    const TINY: &str = "tests/fixtures/clip-tiny-heads-of-64";

    fn tower(folder: &str, precision: Precision, instructions: Instructions) -> TextTower {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let config = Config::from_transformers(&std::fs::read(folder.join("config.json")).unwrap());
        let weights = Arc::new(Weights::map(&folder.join("model.safetensors")).unwrap());
        let processor = Arithmetic { precision, instructions }.processor();
        TextTower::read(weights, &config.unwrap(), processor.as_ref(), &|_| {}).unwrap()
    }

    #[test]
    fn one_token_alone_and_as_many_as_there_may_be_are_embedded_as_by_candle() {
        let candle = tower(TINY, Precision::F32, Instructions::Plain);
        let all: Vec<u32> = (0..77).map(|n| n * 9).collect();
        for (precision, instructions, least) in [
            (Precision::F32, Instructions::Avx2, 0.999_999),
            (Precision::F32, Instructions::Auto, 0.999_999),
            (Precision::Bf16, Instructions::Auto, 0.999_9),
            (Precision::Int8, Instructions::Auto, 0.999),
        ] {
            let tower = tower(TINY, precision, instructions);
            for count in [1, 2, 5, 77] {
                let [ours, theirs] = [&tower, &candle].map(|tower| {
                    Embedding::normalize(tower.embed(&all[..count]).unwrap()).unwrap()
                });
                let cosine = ours.similarity(&theirs).cosine();
                assert!(cosine >= least, "{precision:?}, {count} tokens: {cosine}");
            }
        }
    }
    /// Its picture tower cannot be packed, so no user sees this; but no other
    /// trained weights are here.
    #[test]
    fn the_trained_words_of_the_compact_model_are_alike_in_int8() {
        use crate::clip::Tokenizer;

        const FOLDER: &str = "models/compact";
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
        let json = std::fs::read(folder.join("tokenizer.json")).unwrap();
        let tokenizer = Tokenizer::from_json(&json, 32).unwrap();
        let candle = tower(FOLDER, Precision::F32, Instructions::Plain);
        let int8 = tower(FOLDER, Precision::Int8, Instructions::Auto);
        for kind in ["car", "Audi TT", "convertible on a beach", "pickup, seen from behind"] {
            for colour in ["red", "dark blue", "white", ""] {
                for text in [format!("{colour} {kind}"), format!("a photo of a {colour} {kind}.")] {
                    let ids = tokenizer.encode(&text).unwrap();
                    let [ours, theirs] = [&int8, &candle]
                        .map(|tower| Embedding::normalize(tower.embed(&ids).unwrap()).unwrap());
                    let cosine = ours.similarity(&theirs).cosine();
                    assert!(cosine >= 0.999_9, "{text:?}: {cosine}");
                }
            }
        }
    }
}
