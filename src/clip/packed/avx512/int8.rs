//! Products of whole numbers of 8 bits with sums of 32.
//!
//! A row of activations, and a row of weights, is a scale times whole numbers
//! from -127 to 127, of which the largest in size is one of these two. The
//! instruction takes numbers without a sign on one side: activations have 128
//! added, and what that adds to a sum, 128 times the weights', is taken away
//! before the sum begins.

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{
    _mm512_abs_ps, _mm512_add_epi32, _mm512_castps_si512, _mm512_cvtepi32_epi8, _mm512_cvtepi32_ps,
    _mm512_cvtps_epi32, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_max_epi32, _mm512_mul_ps,
    _mm512_reduce_max_epi32, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_si512,
};
use std::ops::Range;

use rayon::iter::{IndexedParallelIterator as _, ParallelIterator as _};
use rayon::slice::ParallelSliceMut as _;

use super::vector::{LANES, load_f32s, load_i8s, load_i32s, store_f32s, store_u8s};
use crate::clip::packed::PANEL;
use crate::clip::packed::kernel::{Kernel, Next, TILE, Vectors, tile_rows};
use crate::clip::packed::matrix::{Aligned, Factor, Matrix, Weights};

/// Vectors of a panel.
const VECTORS: usize = PANEL / LANES;

/// Factors that are multiplied and summed up by one instruction.
const QUAD: usize = 4;

/// The largest number.
const MOST: f32 = 127.0;

/// Rows that are quantised together.
const BLOCK: usize = 8;

/// Products in int8, and the proof that the processor has them.
#[derive(Clone, Copy, Debug)]
pub(in crate::clip) struct Int8 {
    vectors: Vectors,
}

/// Rows of activations.
#[derive(Debug)]
pub(in crate::clip) struct Quantized {
    /// `[rows][inputs]`, 128 more than they stand for.
    words: Aligned<u8>,
    /// By which the words of each row have to be multiplied.
    scales: Vec<f32>,
}

/// Weights, and what belongs to each output.
#[derive(Debug)]
pub(in crate::clip) struct QuantizedWeights {
    /// `[panels][inputs / 4][PANEL][4]`.
    words: Weights<i8>,
    /// By which its words have to be multiplied.
    scales: Vec<[f32; PANEL]>,
    /// What its sum begins with.
    begin: Vec<[i32; PANEL]>,
}

impl Default for Quantized {
    fn default() -> Self {
        Self { words: Aligned::zeros(0), scales: Vec::new() }
    }
}

impl Int8 {
    pub(in crate::clip::packed) fn detect(vectors: Vectors) -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni");
        has.then_some(Self { vectors })
    }

    /// Writes the words of a row and returns its scale.
    #[expect(clippy::unused_self, reason = "it is the proof")]
    fn quantize<'a>(self, parts: impl Iterator<Item = &'a [f32]> + Clone, words: &mut [u8]) -> f32 {
        // SAFETY: `self` proves that the processor has the instructions.
        unsafe { quantize(parts, words) }
    }
}

impl Kernel for Int8 {
    type Part = f32;
    type Whole = Quantized;
    type Weights = QuantizedWeights;

    fn pack(&self, weight: &[f32], inputs: usize) -> QuantizedWeights {
        let outputs = weight.len() / inputs;
        let mut words = Weights::zeros(outputs / PANEL, inputs);
        let (mut scales, mut begin) = (Vec::new(), Vec::new());
        let mut row_words = vec![0; inputs];
        for (panel, rows) in words.panels_mut().zip(weight.chunks_exact(inputs * PANEL)) {
            let (mut panel_scales, mut panel_begin) = ([0.0; PANEL], [0; PANEL]);
            for (column, row) in rows.chunks_exact(inputs).enumerate() {
                panel_scales[column] = self.quantize(row.chunks_exact(PANEL), &mut row_words);
                let mut sum = 0;
                let (quads, _) = row_words.as_chunks::<QUAD>();
                let (to, _) = panel.as_chunks_mut::<QUAD>();
                for (to, quad) in to[column..].iter_mut().step_by(PANEL).zip(quads) {
                    *to = quad.map(|word| word.wrapping_sub(128).cast_signed());
                    sum += to.iter().map(|word| i32::from(*word)).sum::<i32>();
                }
                panel_begin[column] = -128 * sum;
            }
            scales.push(panel_scales);
            begin.push(panel_begin);
        }
        QuantizedWeights { words, scales, begin }
    }

    fn round(&self, values: &[f32], parts: &mut [f32]) {
        parts.copy_from_slice(values);
    }

    fn complete(&self, parts: &Matrix<f32>, whole: &mut Quantized) {
        let (rows, inputs) = (parts.rows(), parts.panels() * PANEL);
        if whole.words.as_slice().len() != rows * inputs {
            whole.words = Aligned::zeros(rows * inputs);
        }
        whole.scales.resize(rows, 0.0);
        let quantize = |(block, (words, scales)): (usize, (&mut [u8], &mut [f32]))| {
            for (n, (words, scale)) in words.chunks_exact_mut(inputs).zip(scales).enumerate() {
                let row = block * BLOCK + n;
                let parts = (0..parts.panels()).map(|panel| parts.part(panel, row));
                *scale = self.quantize(parts, words);
            }
        };
        let words = whole.words.as_mut_slice().par_chunks_mut(BLOCK * inputs);
        words.zip(whole.scales.par_chunks_mut(BLOCK)).enumerate().for_each(quantize);
    }

    fn multiply(
        &self,
        factor: &Factor<Self>,
        rows: Range<usize>,
        weights: &QuantizedWeights,
        panel: usize,
        out: &mut [f32],
    ) {
        let Quantized { words, scales } = factor.whole();
        let inputs = factor.parts().panels() * PANEL;
        let (panel_words, later) = weights.words.from(panel).split_at(inputs * PANEL);
        let next = &later[..later.len().min(panel_words.len())];
        let panel = Panel {
            words: panel_words,
            next: Next::new(next, rows.len(), TILE),
            scales: &weights.scales[panel],
            begin: &weights.begin[panel],
        };
        let words = &words.as_slice()[rows.start * inputs..rows.end * inputs];
        // SAFETY: `self` proves that the processor has the instructions.
        unsafe { multiply(words, &scales[rows], panel, out) }
    }

    fn vectors(&self) -> Vectors {
        self.vectors
    }
}

/// One panel of weights.
#[derive(Clone, Copy)]
struct Panel<'a> {
    words: &'a [i8],
    /// The panel after it.
    next: Next<'a, i8>,
    scales: &'a [f32; PANEL],
    begin: &'a [i32; PANEL],
}

/// To the nearest, ties to even. A row of nothing but zeros, or of numbers that
/// are as good as zero, has the scale zero, and one with anything that is not a
/// number has a scale that is none.
#[target_feature(enable = "avx512f,avx512vnni")]
fn quantize<'a>(parts: impl Iterator<Item = &'a [f32]> + Clone, words: &mut [u8]) -> f32 {
    // Numbers without a sign are in the order of their bits; what is no number
    // comes after them.
    let mut most = _mm512_setzero_si512();
    for part in parts.clone() {
        for values in part.as_chunks().0 {
            let size = _mm512_abs_ps(load_f32s(values));
            most = _mm512_max_epi32(most, _mm512_castps_si512(size));
        }
    }
    let most = f32::from_bits(_mm512_reduce_max_epi32(most).cast_unsigned());
    let by = _mm512_set1_ps(MOST / most);
    for (part, words) in parts.zip(words.chunks_exact_mut(PANEL)) {
        for (values, words) in part.as_chunks().0.iter().zip(words.as_chunks_mut().0) {
            let whole = _mm512_cvtps_epi32(_mm512_mul_ps(load_f32s(values), by));
            let word = _mm512_add_epi32(whole, _mm512_set1_epi32(128));
            store_u8s(words, _mm512_cvtepi32_epi8(word));
        }
    }
    most / MOST
}

/// `words` are `[rows][inputs]`.
#[target_feature(enable = "avx512f,avx512vnni")]
fn multiply(words: &[u8], scales: &[f32], mut panel: Panel<'_>, out: &mut [f32]) {
    let inputs = words.len() / scales.len();
    let mut done = 0;
    while done < scales.len() {
        let (words, scales) = (&words[done * inputs..], &scales[done..]);
        let out = &mut out[done * PANEL..];
        done += match tile_rows(scales.len(), TILE) {
            1 => tile::<1>(words, inputs, scales, &mut panel, out),
            2 => tile::<2>(words, inputs, scales, &mut panel, out),
            3 => tile::<3>(words, inputs, scales, &mut panel, out),
            4 => tile::<4>(words, inputs, scales, &mut panel, out),
            5 => tile::<5>(words, inputs, scales, &mut panel, out),
            _ => tile::<6>(words, inputs, scales, &mut panel, out),
        };
    }
}

/// The product of the first `R` rows with a panel; returns `R`. All lengths are
/// known to the compiler: else it keeps the sums in memory.
#[target_feature(enable = "avx512f,avx512vnni")]
fn tile<const R: usize>(
    words: &[u8],
    inputs: usize,
    scales: &[f32],
    panel: &mut Panel<'_>,
    out: &mut [f32],
) -> usize {
    let mut sums = [[_mm512_setzero_si512(); VECTORS]; R];
    for sums in &mut sums {
        for (sum, begin) in sums.iter_mut().zip(panel.begin.as_chunks().0) {
            *sum = load_i32s(begin);
        }
    }
    let (words, _) = words.as_chunks::<PANEL>();
    let (weights, _) = panel.words.as_chunks::<{ QUAD * LANES }>();
    let (weights, _) = weights.as_chunks::<VECTORS>();
    let (weights, _) = weights.as_chunks::<{ PANEL / QUAD }>();
    let mut share = panel.next.share(weights.len() * PANEL / QUAD);
    for (n, weights) in weights.iter().enumerate() {
        let mut parts = [&words[n]; R];
        for (row, part) in parts.iter_mut().enumerate() {
            *part = &words[row * (inputs / PANEL) + n];
        }
        for (quad, weights) in weights.iter().enumerate() {
            share.fetch();
            let mut columns = [_mm512_setzero_si512(); VECTORS];
            for (columns, weights) in columns.iter_mut().zip(weights) {
                *columns = load_i8s(weights);
            }
            for (part, sums) in parts.iter().zip(&mut sums) {
                let (quads, _) = part.as_chunks::<QUAD>();
                let value = _mm512_set1_epi32(i32::from_le_bytes(quads[quad]));
                for (sum, columns) in sums.iter_mut().zip(&columns) {
                    *sum = _mm512_dpbusd_epi32(*sum, value, *columns);
                }
            }
        }
    }
    let scales = scales.first_chunk::<R>().expect("there are so many rows");
    let (out, _) = out.as_chunks_mut::<PANEL>();
    let out = out.first_chunk_mut::<R>().expect("there are so many rows");
    for ((sums, scale), out) in sums.iter().zip(scales).zip(out) {
        let scale = _mm512_set1_ps(*scale);
        let columns = panel.scales.as_chunks().0.iter().zip(out.as_chunks_mut().0);
        for (sum, (column_scale, out)) in sums.iter().zip(columns) {
            let value = _mm512_mul_ps(_mm512_cvtepi32_ps(*sum), load_f32s(column_scale));
            store_f32s(out, _mm512_fmadd_ps(value, scale, load_f32s(out)));
        }
    }
    R
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::packed::INPUTS;
    use crate::clip::packed::oracle::{here, noise, to_int8};

    fn factor(kernel: Int8, rows: &[f32], inputs: usize) -> Factor<Int8> {
        let plain = Matrix::from_rows(rows, inputs);
        let mut factor = Factor::new(plain.rows(), plain.panels());
        factor.write(&kernel, |parts| kernel.round(plain.values(), parts.values_mut()));
        factor
    }

    fn whole(words: &[u8]) -> Vec<i32> {
        words.iter().map(|word| i32::from(*word) - 128).collect()
    }

    #[test]
    fn a_row_becomes_whole_numbers_whose_largest_is_127() {
        let Some(kernel) = here(Int8::detect(Vectors::best())) else { return };
        // More rows than are quantised together, of any size.
        let mut rows = noise(13, 11 * 192);
        for (row, size) in rows.chunks_exact_mut(192).zip([1.0, 1e-30, 1e30].iter().cycle()) {
            for value in row.iter_mut() {
                *value *= size;
            }
        }
        let factor = factor(kernel, &rows, 192);
        let Quantized { words, scales } = factor.whole();
        let quantized = words.as_slice().chunks_exact(192).zip(scales);
        for (row, (words, scale)) in rows.chunks_exact(192).zip(quantized) {
            let words = whole(words);
            assert_eq!((*scale, words.clone()), to_int8(row));
            assert_eq!(words.iter().map(|word| word.abs()).max(), Some(127));
            for (value, word) in row.iter().zip(words) {
                let apart = f64::from(*value) - f64::from(word) * f64::from(*scale);
                assert!(apart.abs() <= 0.5001 * f64::from(*scale), "{value}: {word} x {scale}");
            }
        }
    }

    #[test]
    fn a_half_is_rounded_to_even() {
        let Some(kernel) = here(Int8::detect(Vectors::best())) else { return };
        let mut row = vec![0.0; PANEL];
        row[..6].copy_from_slice(&[127.0, -127.0, 0.5, 1.5, -2.5, 126.5]);
        let words = whole(factor(kernel, &row, PANEL).whole().words.as_slice());
        assert_eq!(words[..7], [127, -127, 0, 2, -2, 126, 0]);
    }

    /// With one panel of weights that are all one.
    fn product(kernel: Int8, row: &[f32]) -> f32 {
        let weights = kernel.pack(&[1.0; PANEL * PANEL], PANEL);
        let mut out = [0.0; PANEL];
        kernel.multiply(&factor(kernel, row, PANEL), 0..1, &weights, 0, &mut out);
        out[0]
    }

    #[test]
    fn nothing_gives_nothing_and_what_is_no_number_no_number() {
        let Some(kernel) = here(Int8::detect(Vectors::best())) else { return };
        for small in [0.0, -0.0, 1e-45, -1e-39] {
            assert!(product(kernel, &[small; PANEL]).abs() <= 1e-37, "{small}");
        }
        for wrong in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 17, 63] {
                let mut row = [0.5; PANEL];
                row[at] = wrong;
                assert!(!product(kernel, &row).is_finite(), "{wrong} at {at}");
            }
        }
    }

    /// The sum is taken in whole numbers, and nothing is lost of it.
    fn check(kernel: Int8, xs: &[f32], weight: &[f32], inputs: usize) {
        let weights = kernel.pack(weight, inputs);
        let factor = factor(kernel, xs, inputs);
        let rows = xs.len() / inputs;
        for panel in 0..weight.len() / inputs / PANEL {
            let mut out = vec![0.0; rows * PANEL];
            kernel.multiply(&factor, 0..rows, &weights, panel, &mut out);
            for (n, value) in out.iter().enumerate() {
                let (row, column) = (n / PANEL, panel * PANEL + n % PANEL);
                let (scale, xs) = to_int8(&xs[row * inputs..][..inputs]);
                let (column_scale, weight) = to_int8(&weight[column * inputs..][..inputs]);
                let sum: i32 = xs.iter().zip(&weight).map(|(x, weight)| x * weight).sum();
                #[expect(clippy::cast_precision_loss, reason = "as the kernel does")]
                let expected = sum as f32 * column_scale * scale;
                assert_eq!(value.to_bits(), expected.to_bits(), "({row}, {column}) of {inputs}");
            }
        }
    }

    #[test]
    fn products_are_exact_but_for_their_scales() {
        let Some(kernel) = here(Int8::detect(Vectors::best())) else { return };
        for (rows, inputs) in (1..=13).map(|rows| (rows, 192)).chain([(7, 64), (2, 3072)]) {
            check(kernel, &noise(14, rows * inputs), &noise(15, 2 * PANEL * inputs), inputs);
        }
    }

    #[test]
    fn the_largest_sums_that_there_can_be_are_right() {
        let Some(kernel) = here(Int8::detect(Vectors::best())) else { return };
        let alternating = |n: usize| if n.is_multiple_of(2) { 1.0 } else { -1.0 };
        let xs = [vec![1.0; INPUTS], vec![-1.0; INPUTS], (0..INPUTS).map(alternating).collect()];
        let rows = [&xs[0], &xs[1], &xs[2]].into_iter().cycle().take(PANEL);
        let weight: Vec<f32> = rows.flatten().copied().collect();
        check(kernel, &xs.concat(), &weight, INPUTS);
    }
}
