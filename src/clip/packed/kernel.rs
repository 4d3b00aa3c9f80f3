//! What depends on the processor: products of packed matrices.

use std::fmt::Debug;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::PANEL;
use super::avx512::{Bf16, Int8, fetch};
use super::float::Float;
use super::matrix::{Factor, LINE, Matrix};

/// Rows that a product has in registers at most, of 32 of them.
pub(super) const TILE: usize = 6;

/// Bytes of weights that are multiplied while as many are fetched: what both
/// take stays in the second cache.
const NEAR: usize = 192 << 10;

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

    /// Adds to `out` the product of some rows with one panel of outputs.
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

    /// Their product with a panel that `weights` begin with, `width` of them for
    /// each input, in parts that are done one after the other by tiles of so many
    /// rows at most.
    #[inline(always)]
    pub(super) fn parts<W>(
        self,
        weights: &'a [W],
        width: usize,
        tile: usize,
    ) -> impl Iterator<Item = Part<'a, T, W>> {
        let depth = (NEAR / (PANEL * width * size_of::<W>())).max(1);
        let panels = self.values.len() / (self.of * PANEL);
        (0..panels).step_by(depth).map(move |panel| {
            let values = &self.values[panel * self.of * PANEL..];
            let inputs = depth.min(panels - panel) * PANEL;
            let (weights, later) = weights[panel * PANEL * width..].split_at(inputs * width);
            let next = Next::new(&later[..later.len().min(weights.len())], self.count, tile);
            Part { rows: Self { values, ..self }, weights, next }
        })
    }
}

/// Some inputs of a product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a, T, W> {
    /// From the first of the inputs on.
    pub(super) rows: Rows<'a, T>,
    /// Of these inputs.
    pub(super) weights: &'a [W],
    /// What comes after them.
    pub(super) next: Next<'a, W>,
}

/// Weights that are fetched from memory while others are multiplied, a share
/// with each tile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Next<'a, W> {
    words: &'a [W],
    share: usize,
}

impl<'a, W> Next<'a, W> {
    /// While so many rows are multiplied, by tiles of so many at most.
    #[inline(always)]
    pub(super) fn new(words: &'a [W], rows: usize, tile: usize) -> Self {
        Self { words, share: words.len().div_ceil(rows.div_ceil(tile)) }
    }

    /// What to fetch with the next tile, which takes so many steps.
    #[inline(always)]
    pub(super) fn share(&mut self, steps: usize) -> Share<'a, W> {
        let (words, later) = self.words.split_at(self.share.min(self.words.len()));
        self.words = later;
        let lines = words.len().div_ceil(Share::<W>::LINE);
        Share { words, at_once: lines.div_ceil(steps) * Share::<W>::LINE }
    }
}

/// What is fetched while one tile is computed.
#[derive(Debug)]
pub(super) struct Share<'a, W> {
    words: &'a [W],
    at_once: usize,
}

impl<W> Share<'_, W> {
    /// Words of a cache line.
    const LINE: usize = LINE / size_of::<W>();

    /// Asks for what belongs to one step.
    #[inline(always)]
    pub(super) fn fetch(&mut self) {
        let (now, later) = self.words.split_at(self.at_once.min(self.words.len()));
        self.words = later;
        now.chunks(Self::LINE).for_each(fetch);
    }
}

/// How many rows to multiply next where `left` are left, `most` at once: no tile
/// is much smaller than the others, as a small one takes almost as long.
#[inline(always)]
pub(super) fn tile_rows(left: usize, most: usize) -> usize {
    left.div_ceil(left.div_ceil(most))
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
    /// Its vectors of f32.
    pub(super) fn vectors(&self) -> Vectors {
        match self {
            Self::Int8(kernel) => kernel.vectors(),
            Self::Bf16(kernel) => kernel.vectors(),
            Self::Float(kernel) => kernel.vectors(),
        }
    }

    /// In f32, with vectors of AVX2 or AVX-512; without AVX-512 if only AVX2 is to
    /// be used. Where vectors are shorter, as those of NEON are, candle is not
    /// known to be slower.
    pub(in crate::clip) fn exact(is_limited: bool) -> Option<Self> {
        let arch = match Arch::new() {
            #[cfg(target_arch = "x86_64")]
            Arch::V4(_) if is_limited => Arch::V3(pulp::x86::V3::try_new()?),
            arch => arch,
        };
        let vectors = Vectors(arch);
        (vectors.run(Lanes) >= 8).then_some(Self::Float(Float(vectors)))
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
            let mut out = vec![0.5; rows * PANEL];
            kernel.multiply(&factor, 1..rows + 1, &packed, panel, &mut out);
            for (n, value) in out.iter().enumerate() {
                let (row, column) = (n / PANEL + 1, panel * PANEL + n % PANEL);
                let (sum, size) =
                    dot(&xs[row * inputs..][..inputs], &weight[column * inputs..][..inputs]);
                let error = (f64::from(*value) - 0.5 - sum).abs();
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
    fn what_comes_next_is_asked_for_once_and_in_time() {
        for (rows, steps) in [(1, 128), (50, 128), (60, 8), (400, 3)] {
            let words = vec![0_u16; 100 * Share::<u16>::LINE];
            let mut next = Next::new(&words, rows, TILE);
            let mut begin = Vec::new();
            for _ in 0..rows.div_ceil(TILE) {
                let mut share = next.share(steps);
                for _ in 0..steps {
                    begin.push(share.words.as_ptr());
                    share.fetch();
                }
                assert!(share.words.is_empty(), "{rows} rows in {steps} steps");
            }
            assert!(next.words.is_empty(), "{rows} rows in {steps} steps");
            assert!(begin.is_sorted(), "{rows} rows in {steps} steps");
        }
    }

    #[test]
    fn rows_are_shared_out_evenly_among_the_fewest_tiles() {
        for rows in 1..=61 {
            let mut tiles = Vec::new();
            let mut left = rows;
            while left > 0 {
                tiles.push(tile_rows(left, TILE));
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
