//! An EfficientNet-lite trunk and the first layer of its head over packed
//! weights, one picture at a time.
//!
//! An inverted residual is computed a few of its inner channels at a time, from
//! the widening to what they add to its output: all of them together do not fit
//! into the caches.

use std::mem;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape};

use super::depthwise::PackedDepthwise;
use super::kernel::{Processor, Vectors};
use super::map::{BLOCK, Map, Scratch};
use super::norm::Activate;
use super::pointwise::{Begin, PackedPointwise, Pixels};
use crate::clip::activation::Activation;
use crate::clip::convolution::{Padding, Pointwise, Stem, Tail};
use crate::clip::efficientnet::{Block, Plain};
use crate::clip::operation::floats;

/// Inner channels that are computed together.
const GROUP: usize = 64;

/// `[3, side, side]` to `[grid · grid, hidden]`.
#[derive(Debug)]
pub(in crate::clip) struct PackedTrunk {
    vectors: Vectors,
    stem: PackedStem,
    residuals: Vec<Residual>,
    grid: usize,
    /// Of the layer that follows, how many values each cell of the grid has.
    features: usize,
    fc1: PackedPointwise,
    /// One for each picture that was on its way at once: asking for new memory
    /// for each takes a tenth of the time.
    buffers: Mutex<Vec<Buffers>>,
}

#[derive(Debug)]
struct PackedStem {
    products: PackedPointwise,
    kernel: usize,
}

#[derive(Debug)]
struct Residual {
    groups: Vec<Group>,
    inputs: usize,
    outputs: usize,
    /// In whole blocks.
    bias: Vec<f32>,
    padding: Padding,
    stride: usize,
    /// Whether the output joins the features.
    is_tapped: bool,
}

/// Some inner channels.
#[derive(Debug)]
struct Group {
    /// Absent where the input is filtered as it is.
    expand: Option<PackedPointwise>,
    /// Which blocks they are.
    blocks: Range<usize>,
    depthwise: PackedDepthwise,
    project: PackedPointwise,
}

/// Memory for one picture on its way.
#[derive(Debug, Default)]
struct Buffers {
    xs: Map,
    out: Map,
    /// A group's inner channels with their borders, and filtered.
    bordered: Scratch,
    filtered: Scratch,
}

impl PackedTrunk {
    pub(in crate::clip) fn pack(processor: &Processor, layers: &Plain) -> Result<Self> {
        let vectors = processor.vectors();
        let (hidden, features) = layers.fc1.weight().dims2()?;
        let fc1 = layers.fc1.weight().flatten_all()?.to_vec1()?;
        let bias = match layers.fc1.bias() {
            Some(bias) => bias.to_vec1()?,
            None => vec![0.0; hidden],
        };
        let mut inputs = layers.stem.out_channels();
        let mut residuals = Vec::with_capacity(layers.blocks.len());
        for (n, block) in layers.blocks.iter().enumerate() {
            residuals.push(Residual::pack(vectors, block, inputs, layers.taps.contains(&n))?);
            inputs = block.project.out_channels();
        }
        Ok(Self {
            vectors,
            stem: PackedStem::pack(vectors, &layers.stem)?,
            residuals,
            grid: layers.grid,
            features,
            fc1: PackedPointwise::pack(vectors, &fc1, 0..features, &bias),
            buffers: Mutex::default(),
        })
    }

    fn forward(&self, picture: &[f32], side: usize) -> Vec<f32> {
        let all = || self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffers = all().pop().unwrap_or_default();
        let features = self.features(picture, side, &mut buffers);
        let hidden = self.hidden(&features, &mut buffers.out);
        all().push(buffers);
        hidden
    }

    fn features(&self, picture: &[f32], side: usize, buffers: &mut Buffers) -> Features {
        let mut features = Features::new(self.grid, self.features);
        features.pool_planes(picture, side);
        self.stem.forward(self.vectors, picture, side, buffers);
        for residual in &self.residuals {
            residual.forward(self.vectors, buffers);
            mem::swap(&mut buffers.xs, &mut buffers.out);
            if residual.is_tapped {
                features.pool(&buffers.xs, residual.outputs);
            }
        }
        features
    }

    /// The first layer of the head and its nonlinearity, `[grid · grid, hidden]`.
    fn hidden(&self, features: &Features, map: &mut Map) -> Vec<f32> {
        let (width, inputs, count) = (self.fc1.outputs(), self.features, self.grid * self.grid);
        map.reshape(width.div_ceil(BLOCK), self.grid);
        let values = &features.values;
        let pixels = Pixels { values, block: values.len(), stride: inputs, inputs, count };
        let block = map.block_len();
        self.fc1.forward(self.vectors, pixels, Begin::Bias, Tail::Linear, map.values_mut(), block);
        self.vectors.run(Activate { values: map.values_mut(), activation: Activation::Gelu });
        let mut hidden = vec![0.0; count * width];
        for (n, block) in map.blocks().enumerate() {
            for (row, block) in hidden.chunks_exact_mut(width).zip(block.chunks_exact(BLOCK)) {
                let row = &mut row[n * BLOCK..];
                let len = row.len().min(BLOCK);
                row[..len].copy_from_slice(&block[..len]);
            }
        }
        hidden
    }
}

impl PackedStem {
    fn pack(vectors: Vectors, stem: &Stem) -> Result<Self> {
        let (_, channels, kernel, _) = stem.weight.dims4()?;
        // In the order of the lines that it goes over.
        let weight = stem.weight.transpose(1, 2)?.flatten_all()?.to_vec1()?;
        let inputs = 0..channels * kernel * kernel;
        let products = PackedPointwise::pack(vectors, &weight, inputs, &stem.bias.values);
        Ok(Self { products, kernel })
    }

    /// Line by line, each with its three planes one after the other.
    fn forward(&self, vectors: Vectors, picture: &[f32], side: usize, buffers: &mut Buffers) {
        let Buffers { xs: out, bordered, .. } = buffers;
        out.reshape(self.products.outputs().div_ceil(BLOCK), side.div_ceil(2));
        let padding = Padding::same(self.kernel, 2);
        let (before, across) = (padding.before, padding.around(side));
        let lines = bordered.take(across * 3 * across);
        lines.fill(0.0);
        for (n, from) in picture.chunks_exact(side).enumerate() {
            let (plane, y) = (n / side, n % side);
            let at = ((before + y) * 3 + plane) * across + before;
            lines[at..at + side].copy_from_slice(from);
        }
        let (count, block) = (out.side(), out.block_len());
        for y in 0..count {
            let values = &lines[2 * y * 3 * across..];
            let pixels = Pixels { values, block: across, stride: 2, inputs: self.kernel, count };
            let line = &mut out.values_mut()[y * count * BLOCK..];
            self.products.forward(vectors, pixels, Begin::Bias, Tail::Relu6, line, block);
        }
    }
}

impl Residual {
    fn pack(vectors: Vectors, block: &Block, inputs: usize, is_tapped: bool) -> Result<Self> {
        let Block { expand, depthwise, project, stride } = block;
        let expand = expand.as_ref().map(Pointwise::values).transpose()?;
        let (project, outputs) = (project.values()?, project.out_channels());
        let inner = depthwise.bias.len();
        let none = vec![0.0; outputs];
        let group = |first: usize| {
            let channels = first..inner.min(first + GROUP);
            let expand = expand.as_ref().map(|(weight, bias)| {
                let weight = &weight[channels.start * inputs..channels.end * inputs];
                PackedPointwise::pack(vectors, weight, 0..inputs, &bias[channels.clone()])
            });
            Group {
                expand,
                blocks: first / BLOCK..channels.end.div_ceil(BLOCK),
                depthwise: PackedDepthwise::pack(depthwise, channels.clone()),
                project: PackedPointwise::pack(vectors, &project.0, channels, &none),
            }
        };
        let mut bias = project.1.to_vec();
        bias.resize(outputs.next_multiple_of(BLOCK), 0.0);
        Ok(Self {
            groups: (0..inner).step_by(GROUP).map(group).collect(),
            inputs,
            outputs,
            bias,
            padding: depthwise.padding(),
            stride: *stride,
            is_tapped,
        })
    }

    fn forward(&self, vectors: Vectors, buffers: &mut Buffers) {
        let Buffers { xs, out, bordered, filtered } = buffers;
        let side = xs.side();
        self.begin(xs, out);
        let (out_side, out_block) = (out.side(), out.block_len());
        let across = self.padding.around(side);
        let plane = across * across * BLOCK;
        self.clear_borders(bordered.take(GROUP / BLOCK * plane), side);
        for group in &self.groups {
            let bordered = bordered.take(group.blocks.len() * plane);
            group.widen(vectors, xs, bordered, self.padding.before, across);
            let filtered = filtered.take(group.blocks.len() * out_block);
            group.depthwise.forward(vectors, bordered, across, filtered, out_side);
            let pixels = Pixels::of_map(filtered, out_block, out_side * out_side);
            let out = out.values_mut();
            group.project.forward(vectors, pixels, Begin::Sum, Tail::Linear, out, out_block);
        }
    }

    /// What the groups are added to: the bias, and the input if it is as large.
    fn begin(&self, xs: &Map, out: &mut Map) {
        out.reshape(self.bias.len() / BLOCK, xs.side().div_ceil(self.stride));
        let len = out.block_len();
        let blocks = out.values_mut().chunks_exact_mut(len).zip(self.bias.chunks_exact(BLOCK));
        for (out, bias) in blocks {
            out.chunks_exact_mut(BLOCK).for_each(|out| out.copy_from_slice(bias));
        }
        if self.stride == 1 && self.inputs == self.outputs {
            out.values_mut().iter_mut().zip(xs.values()).for_each(|(out, x)| *out += x);
        }
    }

    /// Makes zeros of what is around maps of this side.
    fn clear_borders(&self, bordered: &mut [f32], side: usize) {
        let (before, across) = (self.padding.before, self.padding.around(side));
        for plane in bordered.chunks_exact_mut(across * across * BLOCK) {
            for (y, line) in plane.chunks_exact_mut(across * BLOCK).enumerate() {
                if (before..before + side).contains(&y) {
                    line[..before * BLOCK].fill(0.0);
                    line[(before + side) * BLOCK..].fill(0.0);
                } else {
                    line.fill(0.0);
                }
            }
        }
    }
}

impl Group {
    /// Into maps that are `across` pixels wide with their borders.
    fn widen(
        &self,
        vectors: Vectors,
        xs: &Map,
        bordered: &mut [f32],
        before: usize,
        across: usize,
    ) {
        let side = xs.side();
        let plane = across * across * BLOCK;
        for y in 0..side {
            let at = ((before + y) * across + before) * BLOCK;
            let line = y * side * BLOCK..(y + 1) * side * BLOCK;
            if let Some(expand) = &self.expand {
                let pixels = Pixels::of_map(&xs.values()[line.start..], xs.block_len(), side);
                let out = &mut bordered[at..];
                expand.forward(vectors, pixels, Begin::Bias, Tail::Relu6, out, plane);
            } else {
                let from = xs.blocks().skip(self.blocks.start);
                for (out, from) in bordered.chunks_exact_mut(plane).zip(from) {
                    out[at..at + line.len()].copy_from_slice(&from[line.clone()]);
                }
            }
        }
    }
}

/// What the stages are pooled to, `[grid · grid, channels]`.
struct Features {
    values: Vec<f32>,
    grid: usize,
    channels: usize,
    /// Channels that are there.
    filled: usize,
}

impl Features {
    fn new(grid: usize, channels: usize) -> Self {
        Self { values: vec![0.0; grid * grid * channels], grid, channels, filled: 0 }
    }

    /// Averages each cell of a map.
    fn pool(&mut self, map: &Map, channels: usize) {
        let (grid, side) = (self.grid, map.side());
        let cell = side / grid;
        for (n, block) in map.blocks().enumerate() {
            let filled = self.filled + n * BLOCK;
            let there = (channels - n * BLOCK).min(BLOCK);
            for (place, features) in self.values.chunks_exact_mut(self.channels).enumerate() {
                let (top, left) = (place / grid * cell, place % grid * cell);
                let mut sums = [0.0; BLOCK];
                for line in block.chunks_exact(side * BLOCK).skip(top).take(cell) {
                    for pixel in line[left * BLOCK..][..cell * BLOCK].chunks_exact(BLOCK) {
                        sums.iter_mut().zip(pixel).for_each(|(sum, x)| *sum += x);
                    }
                }
                let out = features[filled..].iter_mut().zip(sums).take(there);
                out.for_each(|(out, sum)| *out = mean(sum, cell));
            }
        }
        self.filled += channels;
    }

    /// The same of a picture, `[3][side][side]`.
    fn pool_planes(&mut self, picture: &[f32], side: usize) {
        let (grid, cell) = (self.grid, side / self.grid);
        for plane in picture.chunks_exact(side * side) {
            for (y, lines) in plane.chunks_exact(cell * side).enumerate() {
                let mut columns = vec![0.0; side];
                for line in lines.chunks_exact(side) {
                    columns.iter_mut().zip(line).for_each(|(sum, x)| *sum += x);
                }
                for (x, columns) in columns.chunks_exact(cell).enumerate() {
                    let at = (y * grid + x) * self.channels + self.filled;
                    self.values[at] = mean(columns.iter().sum(), cell);
                }
            }
            self.filled += 1;
        }
    }
}

fn mean(sum: f32, cell: usize) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "a few thousand pixels")]
    let pixels = (cell * cell) as f32;
    sum / pixels
}

impl CustomOp1 for PackedTrunk {
    fn name(&self) -> &'static str {
        "packed-efficientnet"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, side, _) = layout.shape().dims3()?;
        let hidden = self.forward(floats(storage, layout)?, side);
        let cells = self.grid * self.grid;
        let width = hidden.len() / cells;
        Ok((CpuStorage::F32(hidden), (cells, width).into()))
    }
}
