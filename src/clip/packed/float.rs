//! Products in f32, written once for vectors of any length.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::PANEL;
use super::kernel::{Kernel, Part, Rows, TILE, Vectors, tile_rows};
use super::matrix::{Factor, Matrix, Weights};

/// Products in f32.
#[derive(Clone, Copy, Debug)]
pub(in crate::clip) struct Float(pub(super) Vectors);

/// Inputs that are multiplied before more weights are asked for. With sixteen
/// registers fewer products belong to an input, and beginning a step takes more of
/// its time: there, a step is a whole panel.
const STEP: usize = 16;

/// Vectors of columns that a tile has in registers.
const VECTORS: usize = 4;

/// Columns that a tile of a product has, so that its sums stay in registers.
pub(super) struct Columns;

impl WithSimd for Columns {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES * VECTORS
    }
}

/// Rows that a tile of `V` vectors of columns has at most. Sixteen registers hold the
/// sums of three rows with four vectors beside a value of each row and a vector of
/// columns; with one register more, sums go to memory and back at every step.
#[inline(always)]
pub(super) fn most_rows<S: Simd, const V: usize>() -> usize {
    if S::REGISTER_COUNT >= 32 {
        TILE
    } else if V > 2 {
        3
    } else {
        4
    }
}

impl Kernel for Float {
    type Part = f32;
    type Whole = ();
    type Weights = Weights<f32>;

    /// `[panels][PANEL / columns][inputs][columns]`.
    fn pack(&self, weight: &[f32], inputs: usize) -> Weights<f32> {
        let columns = self.0.run(Columns);
        let mut packed = Weights::zeros(weight.len() / inputs / PANEL, inputs);
        let blocks = packed.panels_mut().flat_map(|panel| panel.chunks_exact_mut(inputs * columns));
        for (block, rows) in blocks.zip(weight.chunks_exact(inputs * columns)) {
            for (column, row) in rows.chunks_exact(inputs).enumerate() {
                for (to, value) in block[column..].iter_mut().step_by(columns).zip(row) {
                    *to = *value;
                }
            }
        }
        packed
    }

    fn round(&self, values: &[f32], parts: &mut [f32]) {
        parts.copy_from_slice(values);
    }

    fn complete(&self, _: &Matrix<f32>, (): &mut ()) {}

    fn multiply(
        &self,
        factor: &Factor<Self>,
        rows: Range<usize>,
        weights: &Weights<f32>,
        panel: usize,
        out: &mut [f32],
    ) {
        let rows = Rows::of(factor.parts(), rows);
        self.0.run(Multiply { rows, weights: weights.from(panel), out });
    }

    fn vectors(&self) -> Vectors {
        self.0
    }
}

struct Multiply<'a> {
    rows: Rows<'a, f32>,
    /// From the panel on.
    weights: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, weights, out } = self;
        let (columns, most) = (VECTORS * S::F32_LANES, most_rows::<S, VECTORS>());
        let block = rows.values.len() / rows.of * columns;
        for first in (0..PANEL).step_by(columns) {
            for mut part in rows.parts(&weights[first / columns * block..], columns, most) {
                let mut done = 0;
                while done < rows.count {
                    let out = &mut out[done * PANEL + first..];
                    done += match tile_rows(rows.count - done, most) {
                        1 => tile::<S, 1>(simd, &mut part, done, out),
                        2 => tile::<S, 2>(simd, &mut part, done, out),
                        3 => tile::<S, 3>(simd, &mut part, done, out),
                        4 => tile::<S, 4>(simd, &mut part, done, out),
                        5 => tile::<S, 5>(simd, &mut part, done, out),
                        _ => tile::<S, 6>(simd, &mut part, done, out),
                    };
                }
            }
        }
    }
}

/// Adds the product of `R` rows after so many others; returns `R`.
#[inline(always)]
fn tile<S: Simd, const R: usize>(
    simd: S,
    part: &mut Part<'_, f32, f32>,
    done: usize,
    out: &mut [f32],
) -> usize {
    let rows = part.rows.after(done);
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; R];
    for (sums, out) in sums.iter_mut().zip(out.chunks(PANEL)) {
        let (out, _) = S::as_simd_f32s(&out[..VECTORS * S::F32_LANES]);
        sums.copy_from_slice(out);
    }
    let inputs = if S::REGISTER_COUNT >= 32 { STEP } else { PANEL };
    let step = inputs * VECTORS * S::F32_LANES;
    let mut share = part.next.share(part.weights.len() / step);
    // One loop, whose length the compiler does not know: of the few steps of a
    // panel it makes a loop each, and in some of them keeps sums in memory.
    for (n, weights) in part.weights.chunks_exact(step).enumerate() {
        share.fetch();
        let (panel, input) = (n * inputs / PANEL, n * inputs % PANEL);
        let parts = &rows.values[(panel * rows.of + rows.first) * PANEL + input..];
        add_products(simd, &mut sums, parts, PANEL, weights);
    }
    for (sums, out) in sums.iter().zip(out.chunks_mut(PANEL)) {
        store(simd, sums, out);
    }
    R
}

/// Adds the products of `R` rows, which begin `stride` values apart, with
/// `[inputs][V vectors]` of weights. Of the two, what there is less of stays in
/// registers while the other passes by.
#[inline(always)]
pub(super) fn add_products<S: Simd, const R: usize, const V: usize>(
    simd: S,
    sums: &mut [[S::f32s; V]; R],
    rows: &[f32],
    stride: usize,
    weights: &[f32],
) {
    let (weights, _) = S::as_simd_f32s(weights);
    let (weights, _) = weights.as_chunks::<V>();
    let inputs = weights.len();
    let mut parts = [&[][..]; R];
    for (row, part) in parts.iter_mut().enumerate() {
        *part = &rows[row * stride..][..inputs];
    }
    let mut registers = *sums;
    for input in 0..inputs {
        let weights = &weights[input];
        if R < V {
            let values: [_; R] = std::array::from_fn(|row| simd.splat_f32s(parts[row][input]));
            for v in 0..V {
                let weight = weights[v];
                for row in 0..R {
                    registers[row][v] = simd.mul_add_e_f32s(values[row], weight, registers[row][v]);
                }
            }
        } else {
            let weights = *weights;
            for row in 0..R {
                let value = simd.splat_f32s(parts[row][input]);
                for v in 0..V {
                    registers[row][v] = simd.mul_add_e_f32s(value, weights[v], registers[row][v]);
                }
            }
        }
    }
    *sums = registers;
}

#[inline(always)]
pub(super) fn store<S: Simd, const V: usize>(simd: S, sums: &[S::f32s; V], out: &mut [f32]) {
    let _ = simd;
    let (out, _) = S::as_mut_simd_f32s(&mut out[..V * S::F32_LANES]);
    out.copy_from_slice(sums);
}
