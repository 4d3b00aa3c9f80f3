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
use super::packed::{PackedTrunk, Processor};
use super::reader::Reader;

/// The trunk and its attention-pooling head.
#[derive(Debug)]
pub(super) struct EfficientNet {
    trunk: Trunk,
    /// `[hidden, 1]`, scaled.
    query: Tensor,
    projection: Linear,
}

/// A picture, `[3, size, size]`, to the hidden layer of the head,
/// `[grid · grid, hidden]`.
#[derive(Debug)]
enum Trunk {
    /// Packed for the processor.
    Packed(PackedTrunk),
    /// By candle alone: what everything else is held against.
    Plain(Plain),
}

/// The layers, of which packed ones are made too.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) stem: Stem,
    pub(super) blocks: Vec<Block>,
    /// Blocks whose output joins the features.
    pub(super) taps: Vec<usize>,
    /// Side of the grid that the stages are pooled to.
    pub(super) grid: usize,
    pub(super) fc1: Linear,
}

/// An inverted residual: widen, filter each channel, narrow.
#[derive(Debug)]
pub(super) struct Block {
    /// Absent where the block does not widen.
    pub(super) expand: Option<Pointwise>,
    pub(super) depthwise: Depthwise,
    pub(super) project: Pointwise,
    pub(super) stride: usize,
}

impl EfficientNet {
    pub(super) fn read(
        weights: &Reader<'_>,
        config: &Config,
        net: &EfficientNetConfig,
        processor: Option<&Processor>,
    ) -> Result<Self, Error> {
        let query = weights.tensor("vision_model.head.query", &[net.hidden_size])?;
        #[expect(clippy::cast_precision_loss, reason = "a layer's width")]
        let scale = (net.hidden_size as f64).powf(-0.5);
        let plain = Plain::read(weights, net)?;
        let trunk = match processor {
            Some(processor) => Trunk::Packed(PackedTrunk::pack(processor, &plain)?),
            None => Trunk::Plain(plain),
        };
        Ok(Self {
            trunk,
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
            .map(|n| self.head(&self.hidden(&pixel_values.get(n)?)?))
            .collect::<candle_core::Result<Vec<_>>>()?;
        Tensor::stack(&rows, 0)
    }

    fn hidden(&self, picture: &Tensor) -> candle_core::Result<Tensor> {
        match &self.trunk {
            Trunk::Packed(packed) => picture.apply_op1_no_bwd(packed),
            Trunk::Plain(plain) => plain.hidden(picture),
        }
    }

    fn head(&self, hidden: &Tensor) -> candle_core::Result<Tensor> {
        let attention = ops::softmax_last_dim(&hidden.matmul(&self.query)?.t()?.contiguous()?)?;
        self.projection.forward(&attention.matmul(hidden)?)?.squeeze(0)
    }
}

impl Plain {
    fn read(weights: &Reader<'_>, net: &EfficientNetConfig) -> Result<Self, Error> {
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
        Ok(Self {
            stem,
            blocks,
            taps: net.taps.clone(),
            grid: net.grid,
            fc1: weights.linear("vision_model.head.fc1", net.feature_channels, net.hidden_size)?,
        })
    }

    fn hidden(&self, picture: &Tensor) -> candle_core::Result<Tensor> {
        self.fc1.forward(&self.features(picture)?)?.gelu_erf()
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
        if let Some(narrow) = expand.as_ref().filter(|expand| expand.out_channels() != widened) {
            return Err(Error::Shape {
                tensor: format!("{name}.expand.weight"),
                expected: vec![widened, channels, 1, 1],
                actual: vec![narrow.out_channels(), channels, 1, 1],
            });
        }
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use candle_core::Device;
    use safetensors::{Dtype, tensor::TensorView};

    use super::super::packed::oracle::{noise, processors};
    use super::super::reader::Tower;
    use super::super::weights::Weights;
    use super::*;

    /// Channels, kernel and stride of a block: inner ones, and those that come
    /// out. The first of a trunk does not widen.
    const BLOCKS: [[usize; 4]; 6] = [
        [20, 3, 2, 12],
        [36, 5, 2, 24],
        [100, 3, 1, 24],
        [70, 5, 2, 40],
        [200, 7, 1, 33],
        [129, 3, 2, 80],
    ];

    const STEM: usize = 20;
    const HIDDEN: usize = 72;

    /// A checkpoint of random weights whose channels fill no vectors, and whose
    /// stages are pooled to a grid of this side.
    fn random(grid: usize) -> (Weights, EfficientNetConfig) {
        let mut tensors = HashMap::new();
        let mut seed = 0;
        let mut add = |name: String, shape: Vec<usize>| {
            seed += 1;
            let count = shape.iter().product();
            // Neither clamped everywhere nor nowhere.
            #[expect(clippy::cast_precision_loss, reason = "a few channels")]
            let scale = 2.0 / (count as f32 / shape[0] as f32).sqrt();
            let values = noise(seed, count).into_iter().flat_map(|x| (x * scale).to_le_bytes());
            tensors.insert(format!("vision_model.{name}"), (shape, values.collect::<Vec<u8>>()));
        };
        let mut convolution = |name: &str, shape: [usize; 4]| {
            add(format!("{name}.weight"), shape.to_vec());
            add(format!("{name}.bias"), shape[..1].to_vec());
        };
        convolution("stem", [STEM, 3, 3, 3]);
        let mut channels = STEM;
        for (n, [inner, kernel, _, out]) in BLOCKS.into_iter().enumerate() {
            if n > 0 {
                convolution(&format!("blocks.{n}.expand"), [inner, channels, 1, 1]);
            }
            convolution(&format!("blocks.{n}.depthwise"), [inner, 1, kernel, kernel]);
            convolution(&format!("blocks.{n}.project"), [out, inner, 1, 1]);
            channels = out;
        }
        let taps = vec![0, 2, 4, 5];
        let features = 3 + taps.iter().map(|&tap: &usize| BLOCKS[tap][3]).sum::<usize>();
        add("head.fc1.weight".into(), vec![HIDDEN, features]);
        add("head.fc1.bias".into(), vec![HIDDEN]);
        add("head.query".into(), vec![HIDDEN]);
        let views = tensors.iter().map(|(name, (shape, bytes))| {
            (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
        });
        let bytes = safetensors::serialize(views, None).unwrap();
        let config = EfficientNetConfig {
            image_size: grid * 32,
            grid,
            taps,
            feature_channels: features,
            strides: BLOCKS.map(|[_, _, stride, _]| stride).to_vec(),
            hidden_size: HIDDEN,
        };
        (Weights::compiled(bytes.leak()).unwrap(), config)
    }

    #[test]
    fn a_packed_trunk_computes_what_candle_does() {
        for grid in [1, 2, 3] {
            let (weights, config) = random(grid);
            let reader = Reader::new(&weights, Tower::Picture, &|_| {});
            let plain = Plain::read(&reader, &config).unwrap();
            let side = config.image_size;
            let picture = noise(99, 3 * side * side);
            let picture = Tensor::from_vec(picture, (3, side, side), &Device::Cpu).unwrap();
            let expected = plain.hidden(&picture).unwrap();
            for processor in processors() {
                let packed = PackedTrunk::pack(&processor, &plain).unwrap();
                let actual = picture.apply_op1_no_bwd(&packed).unwrap();
                assert_eq!(actual.dims(), expected.dims());
                let pairs = [&actual, &expected].map(|of| of.flatten_all().unwrap());
                let [actual, expected] = pairs.map(|of| of.to_vec1::<f32>().unwrap());
                for (actual, expected) in actual.iter().zip(&expected) {
                    let error = (actual - expected).abs();
                    assert!(
                        error <= 2e-5 * expected.abs().max(1.0),
                        "{processor:?}, grid {grid}: {actual}, not {expected}"
                    );
                }
            }
        }
    }
}
