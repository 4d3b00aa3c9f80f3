//! The three convolutions of an EfficientNet-lite trunk, each with its folded
//! batch normalisation (a bias) and clamp, on one picture `[channels, h, w]`.
//!
//! Padding is TensorFlow's "SAME": at stride 2 the odd pixel goes after.
//! candle's own grouped convolution splits a depthwise one into hundreds of
//! tiny products, so that one is a custom operation here.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::Error;
use super::operation::floats;
use super::reader::Reader;

/// What follows the bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    Linear,
    /// Clamp to `[0, 6]`.
    Relu6,
}

impl Tail {
    fn apply(self, x: f32) -> f32 {
        match self {
            Self::Linear => x,
            Self::Relu6 => x.clamp(0.0, 6.0),
        }
    }
}

/// A dense convolution with stride 2 over the input picture.
#[derive(Debug)]
pub(super) struct Stem {
    /// `[out, 3, kernel, kernel]`
    pub(super) weight: Tensor,
    pub(super) bias: Bias,
}

impl Stem {
    pub(super) fn read(weights: &Reader<'_>, name: &str) -> std::result::Result<Self, Error> {
        let [out, kernel] = kernel(weights, name)?;
        Ok(Self {
            weight: weights.tensor(&format!("{name}.weight"), &[out, 3, kernel, kernel])?,
            bias: Bias::read(weights, name, out, Tail::Relu6)?,
        })
    }

    pub(super) fn out_channels(&self) -> usize {
        self.bias.values.len()
    }

    pub(super) fn forward(&self, picture: &Tensor) -> Result<Tensor> {
        let Padding { before, after } = Padding::same(self.weight.dim(3)?, 2);
        let padded = picture
            .unsqueeze(0)?
            .pad_with_zeros(2, before, after)?
            .pad_with_zeros(3, before, after)?;
        padded.conv2d(&self.weight, 0, 2, 1, 1)?.squeeze(0)?.apply_op1_no_bwd(&self.bias)
    }
}

/// A 1x1 convolution: a matrix product over the pixels.
#[derive(Debug)]
pub(super) struct Pointwise {
    /// `[out, in]`
    weight: Tensor,
    bias: Bias,
}

impl Pointwise {
    pub(super) fn read(
        weights: &Reader<'_>,
        name: &str,
        channels: usize,
        tail: Tail,
    ) -> std::result::Result<Self, Error> {
        let [out, _] = kernel(weights, name)?;
        let weight = weights.tensor(&format!("{name}.weight"), &[out, channels, 1, 1])?;
        let bias = Bias::read(weights, name, out, tail)?;
        Ok(Self { weight: weight.flatten_from(1)?, bias })
    }

    pub(super) fn out_channels(&self) -> usize {
        self.bias.values.len()
    }

    /// The weights, `[out][in]`, and the bias.
    pub(super) fn values(&self) -> Result<(Vec<f32>, &[f32])> {
        Ok((self.weight.flatten_all()?.to_vec1()?, &self.bias.values))
    }

    pub(super) fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let (_, height, width) = xs.dims3()?;
        let product = self.weight.matmul(&xs.flatten_from(1)?)?;
        let product = product.apply_op1_no_bwd(&self.bias)?;
        product.reshape((self.out_channels(), height, width))
    }
}

/// One filter per channel.
#[derive(Debug)]
pub(super) struct Depthwise {
    /// `kernel · kernel` values per channel.
    pub(super) filters: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) kernel: usize,
    /// 1 or 2.
    pub(super) stride: usize,
}

impl Depthwise {
    pub(super) fn read(
        weights: &Reader<'_>,
        name: &str,
        stride: usize,
    ) -> std::result::Result<Self, Error> {
        let [channels, kernel] = kernel(weights, name)?;
        let shape = [channels, 1, kernel, kernel];
        Ok(Self {
            filters: weights.tensor(&format!("{name}.weight"), &shape)?.flatten_all()?.to_vec1()?,
            bias: weights.tensor(&format!("{name}.bias"), &[channels])?.to_vec1()?,
            kernel,
            stride,
        })
    }

    pub(super) fn padding(&self) -> Padding {
        Padding::same(self.kernel, self.stride)
    }

    pub(super) fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        xs.contiguous()?.apply_op1_no_bwd(self)
    }

    /// Filters one channel. `padded` is reused from channel to channel; its
    /// border stays zero.
    fn filter(&self, channel: usize, padded: &Plane, out: &mut [f32], out_width: usize) {
        let filter = &self.filters[channel * self.kernel.pow(2)..][..self.kernel.pow(2)];
        for (y, row) in out.chunks_exact_mut(out_width).enumerate() {
            row.fill(self.bias[channel]);
            for (ky, taps) in filter.chunks_exact(self.kernel).enumerate() {
                let line = padded.row(y * self.stride + ky);
                for (kx, tap) in taps.iter().enumerate() {
                    let shifted = line[kx..].iter().step_by(self.stride);
                    row.iter_mut().zip(shifted).for_each(|(sum, x)| *sum += tap * x);
                }
            }
            for x in row {
                *x = Tail::Relu6.apply(*x);
            }
        }
    }
}

impl CustomOp1 for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise-convolution"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (channels, height, width) = layout.shape().dims3()?;
        let xs = floats(storage, layout)?;
        let (out_height, out_width) = (height.div_ceil(self.stride), width.div_ceil(self.stride));
        let mut out = vec![0.0; channels * out_height * out_width];
        let mut padded = Plane::new(height, width, self.padding());
        let planes =
            xs.chunks_exact(height * width).zip(out.chunks_exact_mut(out_height * out_width));
        for (channel, (plane, out)) in planes.enumerate() {
            padded.fill(plane);
            self.filter(channel, &padded, out, out_width);
        }
        Ok((CpuStorage::F32(out), (channels, out_height, out_width).into()))
    }
}

/// One channel with a border of zeros.
struct Plane {
    values: Vec<f32>,
    width: usize,
    inner_width: usize,
    before: usize,
}

impl Plane {
    fn new(height: usize, inner_width: usize, padding: Padding) -> Self {
        let width = padding.around(inner_width);
        let values = vec![0.0; width * padding.around(height)];
        Self { values, width, inner_width, before: padding.before }
    }

    fn fill(&mut self, plane: &[f32]) {
        let inner = self.values.chunks_exact_mut(self.width).skip(self.before);
        for (to, from) in inner.zip(plane.chunks_exact(self.inner_width)) {
            to[self.before..self.before + self.inner_width].copy_from_slice(from);
        }
    }

    fn row(&self, y: usize) -> &[f32] {
        &self.values[y * self.width..(y + 1) * self.width]
    }
}

/// Adds one value per channel (the first dimension), then the tail.
#[derive(Debug)]
pub(super) struct Bias {
    pub(super) values: Vec<f32>,
    tail: Tail,
}

impl Bias {
    fn read(
        weights: &Reader<'_>,
        name: &str,
        channels: usize,
        tail: Tail,
    ) -> std::result::Result<Self, Error> {
        Ok(Self { values: weights.tensor(&format!("{name}.bias"), &[channels])?.to_vec1()?, tail })
    }
}

impl CustomOp1 for Bias {
    fn name(&self) -> &'static str {
        "bias"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let xs = floats(storage, layout)?;
        let mut out = Vec::with_capacity(xs.len());
        for (plane, bias) in xs.chunks_exact(xs.len() / self.values.len()).zip(&self.values) {
            out.extend(plane.iter().map(|x| self.tail.apply(x + bias)));
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}

/// Pixels of zeros before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Padding {
    pub(super) before: usize,
    pub(super) after: usize,
}

impl Padding {
    /// So many that an even size is divided by the stride, which is 1 or 2.
    pub(super) fn same(kernel: usize, stride: usize) -> Self {
        let both = kernel.saturating_sub(stride);
        Self { before: both / 2, after: both - both / 2 }
    }

    /// So many pixels with theirs.
    pub(super) fn around(self, pixels: usize) -> usize {
        self.before + pixels + self.after
    }
}

/// Output channels and side of a square kernel.
fn kernel(weights: &Reader<'_>, name: &str) -> std::result::Result<[usize; 2], Error> {
    match *weights.shape_of(&format!("{name}.weight"))? {
        [out, _, height, width] if out > 0 && height == width && height % 2 == 1 => {
            Ok([out, height])
        }
        ref actual => Err(Error::Shape {
            tensor: format!("{name}.weight"),
            expected: vec![0, 0, 3, 3],
            actual: actual.to_vec(),
        }),
    }
}
