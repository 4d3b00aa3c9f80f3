//! A product of pixels with the weights of a layer, in f32: what a convolution
//! of one pixel is, and one of many over unfolded pixels.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::float::{Columns, add_products, most_rows};
use super::kernel::{Vectors, tile_rows};
use super::map::BLOCK;
use super::matrix::Aligned;
use crate::clip::convolution::Tail;

/// `W · x + b` of every pixel.
#[derive(Debug)]
pub(super) struct PackedPointwise {
    tiles: Vec<Tile>,
    outputs: usize,
}

/// Outputs whose sums are in registers together.
#[derive(Debug)]
struct Tile {
    /// Blocks of them.
    blocks: usize,
    /// `[inputs][blocks · BLOCK]`
    weights: Aligned<f32>,
    /// `[blocks · BLOCK]`
    bias: Vec<f32>,
}

/// What is multiplied: pixels that begin every `stride` values, with the next
/// `inputs` of each every `block` values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pixels<'a> {
    pub(super) values: &'a [f32],
    pub(super) block: usize,
    pub(super) stride: usize,
    pub(super) inputs: usize,
    pub(super) count: usize,
}

impl<'a> Pixels<'a> {
    /// Those of maps whose blocks have so many values.
    pub(super) fn of_map(values: &'a [f32], block: usize, count: usize) -> Self {
        Self { values, block, stride: BLOCK, inputs: BLOCK, count }
    }
}

/// What the products are added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    Bias,
    /// What is there already.
    Sum,
}

impl PackedPointwise {
    /// Some inputs of `[outputs, inputs]`, row after row.
    pub(super) fn pack(
        vectors: Vectors,
        weight: &[f32],
        inputs: Range<usize>,
        bias: &[f32],
    ) -> Self {
        Self::tiled(weight, inputs, bias, vectors.run(Columns) / BLOCK)
    }

    /// In tiles of so many blocks at most.
    fn tiled(weight: &[f32], inputs: Range<usize>, bias: &[f32], most: usize) -> Self {
        let outputs = bias.len();
        let all = weight.len() / outputs;
        let mut tiles = Vec::new();
        let (mut first, mut left) = (0, outputs.div_ceil(BLOCK));
        while left > 0 {
            let blocks = left.div_ceil(left.div_ceil(most));
            let columns = blocks * BLOCK;
            let mut weights = Aligned::zeros(inputs.len() * columns);
            let mut tile_bias = vec![0.0; columns];
            for column in 0..columns.min(outputs - first) {
                tile_bias[column] = bias[first + column];
                let row = &weight[(first + column) * all..][inputs.clone()];
                let to = weights.as_mut_slice()[column..].iter_mut().step_by(columns);
                to.zip(row).for_each(|(to, value)| *to = *value);
            }
            tiles.push(Tile { blocks, weights, bias: tile_bias });
            first += columns;
            left -= blocks;
        }
        Self { tiles, outputs }
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Into blocks that begin every `out_block` values.
    pub(super) fn forward(
        &self,
        vectors: Vectors,
        xs: Pixels<'_>,
        begin: Begin,
        tail: Tail,
        out: &mut [f32],
        out_block: usize,
    ) {
        let mut first = 0;
        for tile in &self.tiles {
            let out = &mut out[first * out_block..];
            vectors.run(Multiply { xs, tile, begin, tail, out, out_block });
            first += tile.blocks;
        }
    }
}

struct Multiply<'a> {
    xs: Pixels<'a>,
    tile: &'a Tile,
    begin: Begin,
    tail: Tail,
    out: &'a mut [f32],
    out_block: usize,
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.tile.blocks * BLOCK / S::F32_LANES {
            1 => self.by::<S, 1>(simd),
            2 => self.by::<S, 2>(simd),
            3 => self.by::<S, 3>(simd),
            _ => self.by::<S, 4>(simd),
        }
    }
}

impl Multiply<'_> {
    /// With `V` vectors of outputs.
    #[inline(always)]
    fn by<S: Simd, const V: usize>(mut self, simd: S) {
        let mut done = 0;
        while done < self.xs.count {
            done += match tile_rows(self.xs.count - done, most_rows::<S, V>()) {
                1 => self.pixels::<S, 1, V>(simd, done),
                2 => self.pixels::<S, 2, V>(simd, done),
                3 => self.pixels::<S, 3, V>(simd, done),
                4 => self.pixels::<S, 4, V>(simd, done),
                5 => self.pixels::<S, 5, V>(simd, done),
                _ => self.pixels::<S, 6, V>(simd, done),
            };
        }
    }

    /// Of `R` pixels after so many others; returns `R`.
    #[inline(always)]
    fn pixels<S: Simd, const R: usize, const V: usize>(&mut self, simd: S, done: usize) -> usize {
        let Self { xs, tile, begin, tail, .. } = *self;
        let (mut sums, zero, six) =
            ([[simd.splat_f32s(0.0); V]; R], simd.splat_f32s(0.0), simd.splat_f32s(6.0));
        for (row, sums) in sums.iter_mut().enumerate() {
            for (v, sum) in sums.iter_mut().enumerate() {
                let from = match begin {
                    Begin::Bias => &tile.bias[v * S::F32_LANES..],
                    Begin::Sum => &self.out[self.place::<S>(done + row, v)..],
                };
                *sum = S::as_simd_f32s(&from[..S::F32_LANES]).0[0];
            }
        }
        let step = xs.inputs * V * S::F32_LANES;
        for (n, weights) in tile.weights.as_slice().chunks(step).enumerate() {
            let values = &xs.values[n * xs.block + done * xs.stride..];
            add_products(simd, &mut sums, values, xs.stride, weights);
        }
        for (row, sums) in sums.into_iter().enumerate() {
            for (v, sum) in sums.into_iter().enumerate() {
                let sum = match tail {
                    Tail::Linear => sum,
                    Tail::Relu6 => simd.min_f32s(simd.max_f32s(sum, zero), six),
                };
                let at = self.place::<S>(done + row, v);
                S::as_mut_simd_f32s(&mut self.out[at..at + S::F32_LANES]).0[0] = sum;
            }
        }
        R
    }

    /// Where a pixel's vector of outputs begins.
    #[inline(always)]
    fn place<S: Simd>(&self, pixel: usize, v: usize) -> usize {
        let column = v * S::F32_LANES;
        column / BLOCK * self.out_block + pixel * BLOCK + column % BLOCK
    }
}

#[cfg(test)]
mod tests {
    use super::super::oracle::{dot, noise, vectors};
    use super::*;

    /// A block of what is written, with room around it.
    const OUT_BLOCK: usize = 20 * BLOCK;

    #[test]
    fn outputs_are_the_sums_of_the_products_wherever_they_lie() {
        for vectors in vectors() {
            let widest = vectors.run(Columns) / BLOCK;
            for (count, inputs, outputs) in [(1, 16, 16), (7, 40, 24), (12, 16, 81), (13, 33, 129)]
            {
                // A tile may also be of another width than the registers suggest.
                for most in [1, widest, 2] {
                    check(vectors, [count, inputs, outputs], most);
                }
            }
        }
    }

    fn check(vectors: Vectors, [count, inputs, outputs]: [usize; 3], most: usize) {
        let (weight, bias) = (noise(1, outputs * (inputs + 3)), noise(2, outputs));
        let packed = PackedPointwise::tiled(&weight, 2..inputs + 2, &bias, most);
        let blocks = inputs.div_ceil(BLOCK);
        let xs = noise(3, blocks * count * BLOCK);
        let before = noise(4, outputs.div_ceil(BLOCK) * OUT_BLOCK);
        for (begin, tail) in
            [(Begin::Bias, Tail::Linear), (Begin::Bias, Tail::Relu6), (Begin::Sum, Tail::Linear)]
        {
            let mut out = before.clone();
            let pixels = Pixels::of_map(&xs, count * BLOCK, count);
            packed.forward(vectors, pixels, begin, tail, &mut out, OUT_BLOCK);
            for (n, actual) in out.iter().enumerate() {
                let (block, place) = (n / OUT_BLOCK, n % OUT_BLOCK);
                let (pixel, output) = (place / BLOCK, block * BLOCK + place % BLOCK);
                if pixel >= count {
                    assert!(actual.to_bits() == before[n].to_bits(), "{n} was not asked for");
                } else if output < outputs {
                    let at = |input| input / BLOCK * count * BLOCK + pixel * BLOCK + input % BLOCK;
                    let xs: Vec<f32> = (0..inputs).map(|input| xs[at(input)]).collect();
                    let row = &weight[output * (inputs + 3) + 2..][..inputs];
                    let (sum, size) = dot(&xs, row);
                    let sum = match begin {
                        Begin::Bias => sum + f64::from(bias[output]),
                        Begin::Sum => sum + f64::from(before[n]),
                    };
                    let sum = if tail == Tail::Relu6 { sum.clamp(0.0, 6.0) } else { sum };
                    let error = (f64::from(*actual) - sum).abs();
                    assert!(error <= 1e-6 * (size + 1.0), "{pixel}, {output}: {actual}, not {sum}");
                }
            }
        }
    }
}
