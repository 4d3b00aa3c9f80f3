//! The stack of pre-norm transformer layers that both CLIP towers share.

use candle_core::{Module, Result, Tensor};
use candle_nn::{LayerNorm, Linear, ops};

use super::Error;
use super::activation::Activation;
use super::config::TransformerConfig;
use super::reader::Reader;

/// All layers of one tower.
#[derive(Debug)]
pub(super) struct Transformer {
    layers: Vec<Layer>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) norm1: LayerNorm,
    pub(super) attention: Attention,
    pub(super) norm2: LayerNorm,
    pub(super) fc1: Linear,
    activation: Activation,
    pub(super) fc2: Linear,
}

/// The products around the attention of a layer.
#[derive(Debug)]
pub(super) struct Attention {
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) out: Linear,
    heads: usize,
}

impl Transformer {
    /// Reads `{tower}.encoder.layers.N`.
    pub(super) fn read(
        weights: &Reader<'_>,
        tower: &str,
        config: &TransformerConfig,
    ) -> std::result::Result<Self, Error> {
        let layers = (0..config.layers)
            .map(|n| Layer::read(weights, &format!("{tower}.encoder.layers.{n}"), config))
            .collect::<std::result::Result<_, _>>()?;
        Ok(Self { layers })
    }

    /// `[batch, tokens, width]` to the same shape. `mask` (`[tokens, tokens]`)
    /// is added to the attention scores.
    pub(super) fn forward(&self, xs: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        self.layers.iter().try_fold(xs.clone(), |xs, layer| layer.forward(&xs, mask))
    }
}

impl Layer {
    pub(super) fn read(
        weights: &Reader<'_>,
        name: &str,
        config: &TransformerConfig,
    ) -> std::result::Result<Self, Error> {
        let TransformerConfig { width, mlp_width, layer_norm_eps: eps, .. } = *config;
        Ok(Self {
            norm1: weights.layer_norm(&format!("{name}.layer_norm1"), width, eps)?,
            attention: Attention::read(weights, &format!("{name}.self_attn"), config)?,
            norm2: weights.layer_norm(&format!("{name}.layer_norm2"), width, eps)?,
            fc1: weights.linear(&format!("{name}.mlp.fc1"), width, mlp_width)?,
            activation: config.activation,
            fc2: weights.linear(&format!("{name}.mlp.fc2"), mlp_width, width)?,
        })
    }

    fn forward(&self, xs: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let attended = self.attention.forward(&self.norm1.forward(xs)?, mask)?;
        let xs = (xs + attended)?;
        let hidden = self.fc1.forward(&self.norm2.forward(&xs)?)?;
        &xs + self.fc2.forward(&self.activation.forward(&hidden)?)?
    }
}

impl Attention {
    fn read(
        weights: &Reader<'_>,
        name: &str,
        config: &TransformerConfig,
    ) -> std::result::Result<Self, Error> {
        let linear =
            |part| weights.linear(&format!("{name}.{part}_proj"), config.width, config.width);
        Ok(Self {
            query: linear("q")?,
            key: linear("k")?,
            value: linear("v")?,
            out: linear("out")?,
            heads: config.heads,
        })
    }

    fn forward(&self, xs: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let (batch, tokens, width) = xs.dims3()?;
        let by_head = |linear: &Linear| {
            let shape = (batch, tokens, self.heads, width / self.heads);
            linear.forward(xs)?.reshape(shape)?.transpose(1, 2)?.contiguous()
        };
        #[expect(clippy::cast_precision_loss, reason = "a head has tens of components")]
        let scale = ((width / self.heads) as f64).powf(-0.5);
        let query = (by_head(&self.query)? * scale)?;
        let mut scores = query.matmul(&by_head(&self.key)?.t()?)?;
        if let Some(mask) = mask {
            scores = scores.broadcast_add(mask)?;
        }
        let mixed = ops::softmax_last_dim(&scores)?.matmul(&by_head(&self.value)?)?;
        self.out.forward(&mixed.transpose(1, 2)?.reshape((batch, tokens, width))?)
    }
}
