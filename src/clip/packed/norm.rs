//! Layer normalisation and the nonlinearities, on vectors.

use candle_core::Result;
use candle_nn::LayerNorm;
use pulp::{Simd, WithSimd, cast};
use rayon::iter::{IndexedParallelIterator as _, ParallelIterator as _};
use rayon::slice::ParallelSliceMut as _;

use super::float::Float;
use super::kernel::{Kernel, Vectors};
use super::matrix::{Factor, Matrix};
use super::{FEW, PANEL};
use crate::clip::activation::Activation;

/// Rows that are normalised together.
const BLOCK: usize = 64;

/// Rows that are measured together: few, so that one picture's are shared out.
const MEASURED: usize = 8;

/// Normalises rows to mean 0 and variance 1, then scales and shifts them.
#[derive(Debug)]
pub(super) struct PackedNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    eps: f32,
}

/// Of one row.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    mean: f32,
    /// One by the standard deviation.
    scale: f32,
}

impl PackedNorm {
    pub(super) fn pack(norm: &LayerNorm, eps: f64) -> Result<Self> {
        let bias = match norm.bias() {
            Some(bias) => bias.to_vec1()?,
            None => vec![0.0; norm.weight().dim(0)?],
        };
        #[expect(clippy::cast_possible_truncation, reason = "a hundred-thousandth")]
        let eps = eps as f32;
        Ok(Self { weight: norm.weight().to_vec1()?, bias, eps })
    }

    /// As a factor of the next product.
    pub(super) fn forward<K: Kernel>(&self, kernel: &K, xs: &Matrix<f32>, out: &mut Factor<K>) {
        out.write(kernel, |parts| self.write(kernel, xs, parts));
    }

    fn write<K: Kernel>(&self, kernel: &K, xs: &Matrix<f32>, out: &mut Matrix<K::Part>) {
        let moments = self.measured(kernel.vectors(), xs);
        let normalize = |(panel, out): (usize, &mut [K::Part])| {
            let (weight, bias) = (&self.weight[panel * PANEL..], &self.bias[panel * PANEL..]);
            let mut values = [0.0; BLOCK * PANEL];
            let xs = xs.panel(panel).chunks(BLOCK * PANEL).zip(moments.chunks(BLOCK));
            for ((xs, moments), out) in xs.zip(out.chunks_mut(BLOCK * PANEL)) {
                let values = &mut values[..xs.len()];
                kernel.vectors().run(Normalize { xs, moments, weight, bias, out: values });
                kernel.round(values, out);
            }
        };
        let rows = xs.rows();
        if rows < FEW {
            out.values_mut().chunks_exact_mut(rows * PANEL).enumerate().for_each(normalize);
        } else {
            out.values_mut().par_chunks_exact_mut(rows * PANEL).enumerate().for_each(normalize);
        }
    }

    fn measured(&self, vectors: Vectors, xs: &Matrix<f32>) -> Vec<Moments> {
        let mut moments = vec![Moments::default(); xs.rows()];
        let measure = |(block, moments): (usize, &mut [Moments])| {
            vectors.run(Measure { xs, first: block * MEASURED, eps: self.eps, moments });
        };
        if xs.rows() < FEW {
            moments.chunks_mut(MEASURED).enumerate().for_each(measure);
        } else {
            moments.par_chunks_mut(MEASURED).enumerate().for_each(measure);
        }
        moments
    }

    /// As it is.
    pub(super) fn normalized(&self, vectors: Vectors, xs: &Matrix<f32>) -> Matrix<f32> {
        let mut out = Matrix::new(xs.rows(), xs.panels());
        self.write(&Float(vectors), xs, &mut out);
        out
    }
}

struct Measure<'a> {
    xs: &'a Matrix<f32>,
    first: usize,
    eps: f32,
    moments: &'a mut [Moments],
}

impl WithSimd for Measure<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        #[expect(clippy::cast_precision_loss, reason = "a layer's width")]
        let width = (self.xs.panels() * PANEL) as f32;
        for (row, moments) in (self.first..).zip(self.moments) {
            let mut sum = simd.splat_f32s(0.0);
            for panel in 0..self.xs.panels() {
                for x in S::as_simd_f32s(self.xs.part(panel, row)).0 {
                    sum = simd.add_f32s(sum, *x);
                }
            }
            let mean = simd.reduce_sum_f32s(sum) / width;
            let mut squares = simd.splat_f32s(0.0);
            for panel in 0..self.xs.panels() {
                for x in S::as_simd_f32s(self.xs.part(panel, row)).0 {
                    let x = simd.sub_f32s(*x, simd.splat_f32s(mean));
                    squares = simd.mul_add_e_f32s(x, x, squares);
                }
            }
            let variance = simd.reduce_sum_f32s(squares) / width;
            *moments = Moments { mean, scale: 1.0 / (variance + self.eps).sqrt() };
        }
    }
}

/// Some rows of a panel.
struct Normalize<'a> {
    xs: &'a [f32],
    /// Of each row.
    moments: &'a [Moments],
    /// From the panel's first column on.
    weight: &'a [f32],
    bias: &'a [f32],
    /// As long as `xs`.
    out: &'a mut [f32],
}

impl WithSimd for Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let ((weight, _), (bias, _)) = (S::as_simd_f32s(self.weight), S::as_simd_f32s(self.bias));
        let ((xs, _), (out, _)) = (S::as_simd_f32s(self.xs), S::as_mut_simd_f32s(self.out));
        let vectors = PANEL / S::F32_LANES;
        let rows = xs.chunks_exact(vectors).zip(out.chunks_exact_mut(vectors));
        for ((xs, out), moments) in rows.zip(self.moments) {
            let (mean, scale) = (simd.splat_f32s(moments.mean), simd.splat_f32s(moments.scale));
            for ((x, out), (weight, bias)) in xs.iter().zip(out).zip(weight.iter().zip(bias)) {
                let normal = simd.mul_f32s(simd.sub_f32s(*x, mean), scale);
                *out = simd.mul_add_e_f32s(normal, *weight, *bias);
            }
        }
    }
}

/// Applies the nonlinearity.
pub(super) struct Activate<'a> {
    /// Whole panels' rows.
    pub(super) values: &'a mut [f32],
    pub(super) activation: Activation,
}

impl WithSimd for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for x in S::as_mut_simd_f32s(self.values).0 {
            *x = match self.activation {
                Activation::QuickGelu => quick_gelu(simd, *x),
                Activation::Gelu => gelu(simd, *x),
            };
        }
    }
}

/// `x · sigmoid(1.702 x)`.
#[inline(always)]
fn quick_gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let e = exp(simd, simd.mul_f32s(x, simd.splat_f32s(-1.702)));
    simd.div_f32s(x, simd.add_f32s(one, e))
}

/// `x · Φ(x)`, by Abramowitz and Stegun 7.1.26 for the error function, whose
/// error is below 1.5e-7.
#[inline(always)]
fn gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const TERMS: [f32; 5] = [1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];
    let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
    let z = simd.mul_f32s(simd.abs_f32s(x), simd.splat_f32s(std::f32::consts::FRAC_1_SQRT_2));
    let t = simd.div_f32s(one, simd.mul_add_e_f32s(z, simd.splat_f32s(0.327_591_1), one));
    let mut sum = zero;
    for term in TERMS {
        sum = simd.mul_f32s(simd.add_f32s(sum, simd.splat_f32s(term)), t);
    }
    let square = simd.mul_f32s(z, z);
    // One minus the error function of `z`.
    let rest = simd.mul_f32s(sum, exp(simd, simd.sub_f32s(zero, square)));
    let half = simd.splat_f32s(0.5);
    // Φ(x) is half the rest below zero, and one minus that above.
    let below = simd.mul_f32s(half, rest);
    let phi = simd.select_f32s(simd.less_than_f32s(x, zero), below, simd.sub_f32s(one, below));
    simd.mul_f32s(x, phi)
}

/// `eˣ` to within two units in the last place, of numbers that neither
/// overflow nor vanish; the others are taken for the nearest of these.
#[inline(always)]
pub(super) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // Adding this rounds to a whole number, which is then in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    const TERMS: [f32; 6] = [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let splat = |value| simd.splat_f32s(value);
    let x = simd.min_f32s(simd.max_f32s(x, splat(-87.0)), splat(88.0));
    let shifted = simd.mul_add_e_f32s(x, splat(std::f32::consts::LOG2_E), splat(ROUND));
    let n = simd.sub_f32s(shifted, splat(ROUND));
    let r = simd.mul_add_e_f32s(n, splat(-LN_2_HIGH), x);
    let r = simd.mul_add_e_f32s(n, splat(-LN_2_LOW), r);
    let mut power = splat(1.0 / 720.0);
    for term in TERMS {
        power = simd.mul_add_e_f32s(power, r, splat(term));
    }
    let exponent = simd.wrapping_dyn_shl_u32s(cast(shifted), simd.splat_u32s(23));
    cast(simd.add_u32s(cast(power), exponent))
}

#[cfg(test)]
mod tests {
    use super::super::oracle::{noise, vectors};
    use super::*;

    struct Map(Vec<f32>, Activation);

    impl WithSimd for Map {
        type Output = Vec<f32>;

        #[inline(always)]
        fn with_simd<S: Simd>(mut self, simd: S) -> Vec<f32> {
            Activate { values: &mut self.0, activation: self.1 }.with_simd(simd);
            self.0
        }
    }

    #[test]
    fn rows_have_the_mean_and_variance_that_are_asked_for() {
        for vectors in vectors() {
            // On both sides of what is worth other threads, and of a block.
            for (rows, panels) in [(1, 1), (15, 3), (16, 2), (65, 12)] {
                let width = panels * PANEL;
                // Far from zero, where the variance is lost in the squares.
                let xs: Vec<f32> = noise(7, rows * width).iter().map(|x| x + 30.0).collect();
                let norm = PackedNorm { weight: noise(8, width), bias: noise(9, width), eps: 1e-5 };
                let out = norm.normalized(vectors, &Matrix::from_rows(&xs, width)).to_rows();
                #[expect(clippy::cast_precision_loss, reason = "a layer's width")]
                let mean =
                    |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / width as f64;
                for (xs, out) in xs.chunks_exact(width).zip(out.chunks_exact(width)) {
                    let middle = mean(&mut xs.iter().map(|x| f64::from(*x)));
                    let off = |x: f32| f64::from(x) - middle;
                    let variance = mean(&mut xs.iter().map(|x| off(*x).powi(2)));
                    for (n, value) in out.iter().enumerate() {
                        let normal = off(xs[n]) / (variance + 1e-5).sqrt();
                        let expected = normal * f64::from(norm.weight[n]) + f64::from(norm.bias[n]);
                        let error = (f64::from(*value) - expected).abs();
                        assert!(error <= 2e-5, "{rows} rows of {width}, {n}: {error}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_nonlinearities_are_those_of_candle() {
        use candle_core::{Device, Module as _, Tensor};

        let xs: Vec<f32> = (-6400i16..6400).map(|n| f32::from(n) / 320.0).collect();
        let tensor = Tensor::new(xs.as_slice(), &Device::Cpu).unwrap();
        for activation in [Activation::QuickGelu, Activation::Gelu] {
            let expected = activation.forward(&tensor).unwrap().to_vec1::<f32>().unwrap();
            for vectors in vectors() {
                let actual = vectors.run(Map(xs.clone(), activation));
                for ((x, actual), expected) in xs.iter().zip(actual).zip(&expected) {
                    let error = (actual - expected).abs();
                    assert!(error <= 1e-6 * expected.abs().max(1.0), "{activation:?} {x}: {error}");
                }
            }
        }
    }
}
