//! Products in bf16 with sums in f32.

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{
    _mm512_cvtneps_pbh, _mm512_dpbf16_ps, _mm512_set1_epi32, _mm512_setzero_ps,
    _mm512_setzero_si512,
};
use std::ops::Range;

use super::vector::{LANES, as_bf16s, load_bf16s, load_f32s, store_f32s, words};
use crate::clip::packed::PANEL;
use crate::clip::packed::kernel::{Kernel, Part, Rows, TILE, Vectors, tile_rows};
use crate::clip::packed::matrix::{Factor, Matrix, Weights};

/// Vectors of a panel.
const VECTORS: usize = PANEL / LANES;

/// Products in bf16, and the proof that the processor has them.
#[derive(Clone, Copy, Debug)]
pub(in crate::clip) struct Bf16 {
    vectors: Vectors,
}

impl Bf16 {
    pub(in crate::clip::packed) fn detect(vectors: Vectors) -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16");
        has.then_some(Self { vectors })
    }
}

impl Kernel for Bf16 {
    type Part = u16;
    type Whole = ();
    type Weights = Weights<u16>;

    /// `[panels][inputs / 2][PANEL][2]`: the instruction multiplies pairs.
    fn pack(&self, weight: &[f32], inputs: usize) -> Weights<u16> {
        let mut packed = Weights::zeros(weight.len() / inputs / PANEL, inputs);
        let mut row_words = vec![0; inputs];
        for (panel, rows) in packed.panels_mut().zip(weight.chunks_exact(inputs * PANEL)) {
            for (column, row) in rows.chunks_exact(inputs).enumerate() {
                self.round(row, &mut row_words);
                let pairs = panel.chunks_exact_mut(PANEL * 2);
                for (to, pair) in pairs.zip(row_words.chunks_exact(2)) {
                    to[column * 2..column * 2 + 2].copy_from_slice(pair);
                }
            }
        }
        packed
    }

    fn round(&self, values: &[f32], parts: &mut [u16]) {
        // SAFETY: `self` proves that the processor has the instructions.
        unsafe { round(values, parts) }
    }

    fn complete(&self, _: &Matrix<u16>, (): &mut ()) {}

    fn multiply(
        &self,
        factor: &Factor<Self>,
        rows: Range<usize>,
        weights: &Weights<u16>,
        panel: usize,
        out: &mut [f32],
    ) {
        // SAFETY: `self` proves that the processor has the instructions.
        unsafe { multiply(Rows::of(factor.parts(), rows), weights.from(panel), out) }
    }

    fn vectors(&self) -> Vectors {
        self.vectors
    }
}

/// To the nearest, ties to even. Lengths are multiples of [`LANES`].
#[target_feature(enable = "avx512f,avx512bf16")]
fn round(values: &[f32], parts: &mut [u16]) {
    assert_eq!(values.len(), parts.len());
    let (values, _) = values.as_chunks();
    let (parts, _) = parts.as_chunks_mut();
    for (values, parts) in values.iter().zip(parts) {
        *parts = words(_mm512_cvtneps_pbh(load_f32s(values)));
    }
}

/// `weights` begin with those of the panel.
#[target_feature(enable = "avx512f,avx512bf16")]
fn multiply(rows: Rows<'_, u16>, weights: &[u16], out: &mut [f32]) {
    for mut part in rows.parts(weights, PANEL, TILE) {
        let mut done = 0;
        while done < rows.count {
            let out = &mut out[done * PANEL..];
            done += match tile_rows(rows.count - done, TILE) {
                1 => tile::<1>(&mut part, done, out),
                2 => tile::<2>(&mut part, done, out),
                3 => tile::<3>(&mut part, done, out),
                4 => tile::<4>(&mut part, done, out),
                5 => tile::<5>(&mut part, done, out),
                _ => tile::<6>(&mut part, done, out),
            };
        }
    }
}

/// Adds the product of `R` rows after so many others; returns `R`. All lengths
/// are known to the compiler: else it keeps the sums in memory.
#[target_feature(enable = "avx512f,avx512bf16")]
fn tile<const R: usize>(part: &mut Part<'_, u16, u16>, done: usize, out: &mut [f32]) -> usize {
    let rows = part.rows.after(done);
    let (out, _) = out.as_chunks_mut::<LANES>();
    let (out, _) = out.as_chunks_mut::<VECTORS>();
    let out = out.first_chunk_mut::<R>().expect("there are so many rows");
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; R];
    for (sums, out) in sums.iter_mut().zip(out.iter()) {
        for (sum, out) in sums.iter_mut().zip(out) {
            *sum = load_f32s(out);
        }
    }
    let (weights, _) = part.weights.as_chunks::<{ 2 * LANES }>();
    let (weights, _) = weights.as_chunks::<VECTORS>();
    let (weights, _) = weights.as_chunks::<{ PANEL / 2 }>();
    let mut share = part.next.share(weights.len() * PANEL / 2);
    for (panel, weights) in rows.values.chunks_exact(rows.of * PANEL).zip(weights) {
        let (parts, _) = panel[rows.first * PANEL..].as_chunks::<PANEL>();
        let parts = parts.first_chunk::<R>().expect("there are so many rows");
        for (pair, weights) in weights.iter().enumerate() {
            share.fetch();
            let mut columns = [as_bf16s(_mm512_setzero_si512()); VECTORS];
            for (columns, weights) in columns.iter_mut().zip(weights) {
                *columns = load_bf16s(weights);
            }
            for (part, sums) in parts.iter().zip(&mut sums) {
                let [low, high] = [part[2 * pair], part[2 * pair + 1]];
                let both = u32::from(low) | u32::from(high) << 16;
                let value = as_bf16s(_mm512_set1_epi32(both.cast_signed()));
                for (sum, columns) in sums.iter_mut().zip(&columns) {
                    *sum = _mm512_dpbf16_ps(*sum, value, *columns);
                }
            }
        }
    }
    for (sums, out) in sums.iter().zip(out) {
        for (sum, out) in sums.iter().zip(out) {
            store_f32s(out, *sum);
        }
    }
    R
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::packed::oracle::{here, noise, to_bf16};

    #[test]
    fn values_are_rounded_to_the_nearest_with_ties_to_even() {
        let Some(kernel) = here(Bf16::detect(Vectors::best())) else { return };
        let halfway =
            [0x3f80_8000, 0x3f81_8000, 0x3f80_8001, 0x3f81_7fff, 0x8000_0000, 0xbf81_8000];
        let mut values = halfway.map(f32::from_bits).to_vec();
        values.extend(noise(3, 1024 - values.len()).iter().map(|x| x * 1e3));
        let mut words = vec![0; values.len()];
        kernel.round(&values, &mut words);
        for (value, word) in values.iter().zip(words) {
            assert_eq!(u32::from(word) << 16, to_bf16(*value).to_bits(), "{value}");
        }
    }
}
