//! The compact model's picture tower: an EfficientNet-lite trunk whose stages
//! are pooled to one grid and read by a single learned query.
//!
//! The model's card (`models/compact/MODEL_CARD.md`) and its `infer.py` spell
//! out every operation; kernel sizes and channels come from the tensors'
//! shapes, the rest from `config.json`.

use candle_core::{Module, Tensor};
use candle_nn::{Linear, ops};

use super::Error;
use super::config::{Config, EfficientNetConfig, malformed};
use super::convolution::{Depthwise, Pointwise, Stem, Tail};
use super::reader::Reader;

/// The trunk and its attention-pooling head.
#[derive(Debug)]
pub(super) struct EfficientNet {
    stem: Stem,
    blocks: Vec<Block>,
    taps: Vec<usize>,
    grid: usize,
    fc1: Linear,
    /// `[hidden, 1]`, scaled.
    query: Tensor,
    projection: Linear,
}

/// An inverted residual: widen, filter each channel, narrow.
#[derive(Debug)]
struct Block {
    /// Absent where the block does not widen.
    expand: Option<Pointwise>,
    depthwise: Depthwise,
    project: Pointwise,
    stride: usize,
}

impl EfficientNet {
    pub(super) fn read(
        weights: &Reader<'_>,
        config: &Config,
        net: &EfficientNetConfig,
    ) -> Result<Self, Error> {
        let stem = Stem::read(weights, "vision_model.stem")?;
        let mut channels = stem.out_channels();
        let mut blocks = Vec::with_capacity(net.strides.len());
        for (n, &stride) in net.strides.iter().enumerate() {
            let block =
                Block::read(weights, &format!("vision_model.blocks.{n}"), channels, stride)?;
            channels = block.project.out_channels();
            blocks.push(block);
        }
        let tapped: usize = net.taps.iter().map(|&tap| blocks[tap].project.out_channels()).sum();
        if tapped + 3 != net.feature_channels {
            return Err(malformed(
                "config.json",
                "feature_channels is not what the taps add up to",
            ));
        }
        let query = weights.tensor("vision_model.head.query", &[net.hidden_size])?;
        #[expect(clippy::cast_precision_loss, reason = "a layer's width")]
        let scale = (net.hidden_size as f64).powf(-0.5);
        Ok(Self {
            stem,
            blocks,
            taps: net.taps.clone(),
            grid: net.grid,
            fc1: weights.linear("vision_model.head.fc1", net.feature_channels, net.hidden_size)?,
            query: (query.unsqueeze(1)? * scale)?,
            projection: weights.projection(
                "vision_model.head.proj",
                net.hidden_size,
                config.dimension,
            )?,
        })
    }

    /// `[batch, 3, size, size]` to `[batch, dimension]`. Pictures go through
    /// one by one: the feature maps of one fit the caches, those of eight do
    /// not.
    pub(super) fn forward(&self, pixel_values: &Tensor) -> candle_core::Result<Tensor> {
        let rows = (0..pixel_values.dim(0)?)
            .map(|n| self.head(&self.features(&pixel_values.get(n)?)?))
            .collect::<candle_core::Result<Vec<_>>>()?;
        Tensor::stack(&rows, 0)
    }

    /// `[3, size, size]` to `[grid · grid, feature channels]`.
    fn features(&self, picture: &Tensor) -> candle_core::Result<Tensor> {
        let mut taps = vec![self.pooled(picture)?];
        let mut xs = self.stem.forward(picture)?;
        for (n, block) in self.blocks.iter().enumerate() {
            xs = block.forward(&xs)?;
            if self.taps.contains(&n) {
                taps.push(self.pooled(&xs)?);
            }
        }
        Tensor::cat(&taps, 0)?.flatten_from(1)?.t()?.contiguous()
    }

    /// Averages each cell of the grid.
    fn pooled(&self, xs: &Tensor) -> candle_core::Result<Tensor> {
        let cell = xs.dim(1)? / self.grid;
        xs.unsqueeze(0)?.avg_pool2d(cell)?.squeeze(0)
    }

    fn head(&self, features: &Tensor) -> candle_core::Result<Tensor> {
        let hidden = self.fc1.forward(features)?.gelu_erf()?;
        let attention = ops::softmax_last_dim(&hidden.matmul(&self.query)?.t()?.contiguous()?)?;
        self.projection.forward(&attention.matmul(&hidden)?)?.squeeze(0)
    }
}

impl Block {
    fn read(
        weights: &Reader<'_>,
        name: &str,
        channels: usize,
        stride: usize,
    ) -> Result<Self, Error> {
        let widened = weights.shape_of(&format!("{name}.depthwise.weight"))?.first().copied();
        let widened = widened.unwrap_or(channels);
        let expand = (widened != channels)
            .then(|| Pointwise::read(weights, &format!("{name}.expand"), channels, Tail::Relu6))
            .transpose()?;
        Ok(Self {
            expand,
            depthwise: Depthwise::read(weights, &format!("{name}.depthwise"), stride)?,
            project: Pointwise::read(weights, &format!("{name}.project"), widened, Tail::Linear)?,
            stride,
        })
    }

    fn forward(&self, xs: &Tensor) -> candle_core::Result<Tensor> {
        let widened = match &self.expand {
            Some(expand) => &expand.forward(xs)?,
            None => xs,
        };
        let ys = self.project.forward(&self.depthwise.forward(widened)?)?;
        if self.stride == 1 && xs.dims() == ys.dims() { xs + ys } else { Ok(ys) }
    }
}
