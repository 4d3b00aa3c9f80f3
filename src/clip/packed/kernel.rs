//! What depends on the processor: products of packed matrices.

use std::fmt::Debug;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::avx512::{Bf16, Int8};
use super::float::Float;
use super::matrix::{Factor, Matrix};

/// Rows that a product has in registers at most.
const TILE: usize = 6;

/// A way to multiply.
pub(in crate::clip) trait Kernel: Clone + Debug + Send + Sync {
    /// What a factor is written in, panel by panel.
    type Part: Copy + Default + Debug + Send + Sync;

    /// What can only be made of rows that are written whole.
    type Whole: Default + Debug + Send + Sync;

    /// Weights as [`Kernel::multiply`] reads them.
    type Weights: Debug + Send + Sync;

    /// Packs `[outputs, inputs]`, row after row, both multiples of a panel.
    fn pack(&self, weight: &[f32], inputs: usize) -> Self::Weights;

    /// Rounds as many values as there are parts.
    fn round(&self, values: &[f32], parts: &mut [Self::Part]);

    /// Makes what a product reads of parts that are all written.
    fn complete(&self, parts: &Matrix<Self::Part>, whole: &mut Self::Whole);

    /// Writes the product of some rows with one panel of outputs.
    fn multiply(
        &self,
        factor: &Factor<Self>,
        rows: Range<usize>,
        weights: &Self::Weights,
        panel: usize,
        out: &mut [f32],
    );

    /// The vectors for everything else.
    fn vectors(&self) -> Vectors;
}

/// Some rows of a matrix in panels: `count` of them from `first` on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a, T> {
    /// All panels of the matrix.
    pub(super) values: &'a [T],
    /// How many rows the matrix has.
    pub(super) of: usize,
    pub(super) first: usize,
    pub(super) count: usize,
}

impl<'a, T: Copy + Default> Rows<'a, T> {
    pub(super) fn of(matrix: &'a Matrix<T>, rows: Range<usize>) -> Self {
        Self { values: matrix.values(), of: matrix.rows(), first: rows.start, count: rows.len() }
    }

    /// Without so many at the beginning.
    #[inline(always)]
    pub(super) fn after(self, done: usize) -> Self {
        Self { first: self.first + done, count: self.count - done, ..self }
    }
}

/// How many rows to multiply next where `left` are left: no tile is much smaller
/// than the others, as a small one takes almost as long.
#[inline(always)]
pub(super) fn tile_rows(left: usize) -> usize {
    left.div_ceil(left.div_ceil(TILE))
}

/// Which vectors the processor has, of those that are worth it.
#[derive(Clone, Copy, Debug)]
pub(in crate::clip) struct Vectors(Arch);

impl Vectors {
    /// All that it has.
    pub(super) fn best() -> Self {
        Self(Arch::new())
    }

    /// Runs `work` with them.
    pub(super) fn run<W: WithSimd>(self, work: W) -> W::Output {
        self.0.dispatch(work)
    }
}

/// How many f32 a vector has.
struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES
    }
}

/// What the processor can do that this program has a use for.
#[derive(Clone, Debug)]
pub(in crate::clip) enum Processor {
    /// Products of vectors in int8.
    Int8(Int8),
    /// Products of vectors in bf16.
    Bf16(Bf16),
    /// Vectors of eight f32 and more.
    Float(Float),
}

impl Processor {
    /// In f32, unless the processor is better off with candle; without AVX-512
    /// if only AVX2 is to be used.
    pub(in crate::clip) fn exact(is_limited: bool) -> Option<Self> {
        let arch = match Arch::new() {
            #[cfg(target_arch = "x86_64")]
            Arch::V4(_) if is_limited => Arch::V3(pulp::x86::V3::try_new()?),
            arch => arch,
        };
        let vectors = Vectors(arch);
        (vectors.run(Lanes) >= 4).then_some(Self::Float(Float(vectors)))
    }

    /// With products in bf16, if the processor has them.
    pub(in crate::clip) fn rounding() -> Option<Self> {
        Bf16::detect(Vectors::best()).map(Self::Bf16)
    }

    /// With products in int8, if the processor has them.
    pub(in crate::clip) fn quantizing() -> Option<Self> {
        Int8::detect(Vectors::best()).map(Self::Int8)
    }
}

#[cfg(test)]
mod tests {
    use super::super::PANEL;
    use super::super::oracle::{dot, noise, processors, through_int8, to_bf16};
    use super::*;

    /// Of `rows` rows from the second on with two panels of weights.
    fn check<K: Kernel>(
        kernel: &K,
        round: impl Fn(&[f32]) -> Vec<f32>,
        rows: usize,
        inputs: usize,
    ) {
        let xs = noise(1, (rows + 2) * inputs);
        let weight = noise(2, 2 * PANEL * inputs);
        let plain = Matrix::from_rows(&xs, inputs);
        let mut factor = Factor::new(plain.rows(), plain.panels());
        factor.write(kernel, |parts| kernel.round(plain.values(), parts.values_mut()));
        let packed = kernel.pack(&weight, inputs);
        let [xs, weight] =
            [xs, weight].map(|of| of.chunks(inputs).flat_map(&round).collect::<Vec<_>>());
        for panel in 0..2 {
            let mut out = vec![f32::NAN; rows * PANEL];
            kernel.multiply(&factor, 1..rows + 1, &packed, panel, &mut out);
            for (n, value) in out.iter().enumerate() {
                let (row, column) = (n / PANEL + 1, panel * PANEL + n % PANEL);
                let (sum, size) =
                    dot(&xs[row * inputs..][..inputs], &weight[column * inputs..][..inputs]);
                let error = (f64::from(*value) - sum).abs();
                assert!(
                    error <= 1e-6 * size,
                    "{kernel:?}, {rows} rows of {inputs}: ({row}, {column}) is {value}, not {sum}"
                );
            }
        }
    }

    #[test]
    fn products_are_those_of_the_rounded_factors() {
        for processor in processors() {
            for (rows, inputs) in (1..=14).map(|rows| (rows, 128)).chain([(48, 64), (50, 192)]) {
                match &processor {
                    Processor::Int8(kernel) => check(kernel, through_int8, rows, inputs),
                    Processor::Bf16(kernel) => {
                        let round = |row: &[f32]| row.iter().map(|x| to_bf16(*x)).collect();
                        check(kernel, round, rows, inputs);
                    }
                    Processor::Float(kernel) => check(kernel, <[f32]>::to_vec, rows, inputs),
                }
            }
        }
    }

    #[test]
    fn rows_are_shared_out_evenly_among_the_fewest_tiles() {
        for rows in 1..=61 {
            let mut tiles = Vec::new();
            let mut left = rows;
            while left > 0 {
                tiles.push(tile_rows(left));
                left -= tiles[tiles.len() - 1];
            }
            assert_eq!(tiles.len(), rows.div_ceil(TILE), "{tiles:?}");
            assert!(tiles[0] <= TILE && tiles[0] - tiles[tiles.len() - 1] <= 1, "{tiles:?}");
        }
    }

    #[test]
    fn a_limited_processor_has_vectors_of_eight_at_most() {
        if let Some(Processor::Float(kernel)) = Processor::exact(true) {
            assert!(kernel.0.run(Lanes) <= 8);
        }
    }
}
