//! What depends on the processor: products of packed matrices.

use std::fmt::Debug;

use pulp::{Arch, Simd, WithSimd};

use super::bf16::Bf16;
use super::float::Float;
use super::matrix::Aligned;

/// A way to multiply.
pub(in crate::clip) trait Kernel: Clone + Debug + Send + Sync {
    /// What a factor is made of.
    type Word: Copy + Default + Debug + Send + Sync;

    /// Packs `[outputs, inputs]`, row after row, both multiples of a panel, as
    /// [`Kernel::multiply`] reads it: panel of outputs after panel of outputs.
    fn pack(&self, weight: &[f32], inputs: usize) -> Aligned<Self::Word>;

    /// Rounds as many values as there are words.
    fn round(&self, values: &[f32], words: &mut [Self::Word]);

    /// Writes the product of some rows with one panel of packed weights.
    fn multiply(&self, rows: Rows<'_, Self::Word>, weights: &[Self::Word], out: &mut [f32]);

    /// The vectors for everything else.
    fn vectors(&self) -> Vectors;
}

/// Some rows of a matrix in panels: `count` of them from `first` on.
#[derive(Clone, Copy, Debug)]
pub(in crate::clip) struct Rows<'a, T> {
    /// All panels of the matrix.
    pub(super) values: &'a [T],
    /// How many rows the matrix has.
    pub(super) of: usize,
    pub(super) first: usize,
    pub(super) count: usize,
}

/// Which vectors the processor has, of those that are worth it.
#[derive(Clone, Copy, Debug)]
pub(in crate::clip) struct Vectors(Arch);

impl Vectors {
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
        Bf16::detect(Vectors(Arch::new())).map(Self::Bf16)
    }
}

#[cfg(test)]
mod tests {
    use super::super::PANEL;
    use super::super::matrix::Matrix;
    use super::super::oracle::{dot, noise, processors, to_bf16};
    use super::*;

    /// Of `rows` rows from the second on with two panels of weights.
    fn check<K: Kernel>(kernel: &K, to_word: impl Fn(f32) -> f32, rows: usize, inputs: usize) {
        let xs = noise(1, (rows + 2) * inputs);
        let weight = noise(2, 2 * PANEL * inputs);
        let plain = Matrix::from_rows(&xs, inputs);
        let mut factor = Matrix::new(plain.rows(), plain.panels());
        kernel.round(plain.values(), factor.values_mut());
        let packed = kernel.pack(&weight, inputs);
        let [xs, weight] = [xs, weight].map(|of| of.into_iter().map(&to_word).collect::<Vec<_>>());
        for panel in 0..2 {
            let mut out = vec![f32::NAN; rows * PANEL];
            let these = Rows { values: factor.values(), of: rows + 2, first: 1, count: rows };
            let length = inputs * PANEL;
            kernel.multiply(these, &packed.as_slice()[panel * length..][..length], &mut out);
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
                    Processor::Bf16(kernel) => check(kernel, to_bf16, rows, inputs),
                    Processor::Float(kernel) => check(kernel, |x| x, rows, inputs),
                }
            }
        }
    }

    #[test]
    fn a_limited_processor_has_vectors_of_eight_at_most() {
        if let Some(Processor::Float(kernel)) = Processor::exact(true) {
            assert!(kernel.0.run(Lanes) <= 8);
        }
    }
}
