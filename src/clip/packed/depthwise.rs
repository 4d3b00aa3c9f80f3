//! A convolution with one filter for each channel, in f32, and the clamp after
//! it.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::kernel::{TILE, Vectors, tile_rows};
use super::map::BLOCK;
use crate::clip::convolution::Depthwise;

/// Some channels' filters.
#[derive(Debug)]
pub(super) struct PackedDepthwise {
    /// `[blocks][kernel · kernel][BLOCK]`
    filters: Vec<f32>,
    /// `[blocks][BLOCK]`
    bias: Vec<f32>,
    kernel: usize,
    stride: usize,
}

impl PackedDepthwise {
    pub(super) fn pack(layer: &Depthwise, channels: Range<usize>) -> Self {
        let Depthwise { filters, bias, kernel, stride } = layer;
        let (taps, whole) = (kernel * kernel, channels.len().next_multiple_of(BLOCK));
        let mut packed = vec![0.0; whole * taps];
        let mut packed_bias = bias[channels.clone()].to_vec();
        packed_bias.resize(whole, 0.0);
        for (n, channel) in channels.enumerate() {
            let block = &mut packed[n / BLOCK * taps * BLOCK..][n % BLOCK..];
            let filter = &filters[channel * taps..][..taps];
            block.iter_mut().step_by(BLOCK).zip(filter).for_each(|(to, tap)| *to = *tap);
        }
        Self { filters: packed, bias: packed_bias, kernel: *kernel, stride: *stride }
    }

    /// Blocks of `[lines][across][BLOCK]`, with their borders, to blocks of
    /// `[side][side][BLOCK]`.
    pub(super) fn forward(
        &self,
        vectors: Vectors,
        bordered: &[f32],
        across: usize,
        out: &mut [f32],
        side: usize,
    ) {
        let blocks = self.bias.len() / BLOCK;
        let bordered = bordered.chunks_exact(bordered.len() / blocks);
        let out = out.chunks_exact_mut(side * side * BLOCK);
        let filters = self.filters.chunks_exact(self.kernel * self.kernel * BLOCK);
        let filters = filters.zip(self.bias.chunks_exact(BLOCK));
        for ((bordered, out), (taps, bias)) in bordered.zip(out).zip(filters) {
            let (kernel, stride) = (self.kernel, self.stride);
            vectors.run(Filter { bordered, across, taps, bias, kernel, stride, out, side });
        }
    }
}

/// One block.
struct Filter<'a> {
    bordered: &'a [f32],
    across: usize,
    /// `[kernel · kernel][BLOCK]`
    taps: &'a [f32],
    bias: &'a [f32],
    kernel: usize,
    /// 1 or 2.
    stride: usize,
    out: &'a mut [f32],
    side: usize,
}

impl WithSimd for Filter<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.stride {
            2 => self.by::<S, 2>(simd),
            _ => self.by::<S, 1>(simd),
        }
    }
}

impl Filter<'_> {
    /// Moving by `T` pixels.
    #[inline(always)]
    fn by<S: Simd, const T: usize>(mut self, simd: S) {
        for y in 0..self.side {
            let mut x = 0;
            while x < self.side {
                x += match tile_rows(self.side - x, TILE) {
                    1 => self.pixels::<S, 1, T>(simd, y, x),
                    2 => self.pixels::<S, 2, T>(simd, y, x),
                    3 => self.pixels::<S, 3, T>(simd, y, x),
                    4 => self.pixels::<S, 4, T>(simd, y, x),
                    5 => self.pixels::<S, 5, T>(simd, y, x),
                    _ => self.pixels::<S, 6, T>(simd, y, x),
                };
            }
        }
    }

    /// `P` pixels of a line; returns `P`.
    #[inline(always)]
    fn pixels<S: Simd, const P: usize, const T: usize>(
        &mut self,
        simd: S,
        y: usize,
        x: usize,
    ) -> usize {
        let (zero, six) = (simd.splat_f32s(0.0), simd.splat_f32s(6.0));
        let vectors = BLOCK / S::F32_LANES;
        let (bordered, _) = S::as_simd_f32s(self.bordered);
        let (taps, _) = S::as_simd_f32s(self.taps);
        let (bias, _) = S::as_simd_f32s(self.bias);
        let (out, _) = S::as_mut_simd_f32s(self.out);
        let out = &mut out[(y * self.side + x) * vectors..][..P * vectors];
        for v in 0..vectors {
            let mut sums = [bias[v]; P];
            for line in 0..self.kernel {
                let from = ((y * T + line) * self.across + x * T) * vectors;
                let taps = &taps[line * self.kernel * vectors..][..self.kernel * vectors];
                for tap in 0..self.kernel {
                    let weight = taps[tap * vectors + v];
                    let window = &bordered[from + tap * vectors + v..];
                    let window = &window[..=(P - 1) * T * vectors];
                    for (p, sum) in sums.iter_mut().enumerate() {
                        *sum = simd.mul_add_e_f32s(weight, window[p * T * vectors], *sum);
                    }
                }
            }
            for (p, sum) in sums.into_iter().enumerate() {
                out[p * vectors + v] = simd.min_f32s(simd.max_f32s(sum, zero), six);
            }
        }
        P
    }
}
