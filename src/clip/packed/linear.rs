//! A linear layer over packed weights.

use std::ops::Range;

use candle_core::Result;
use candle_nn::Linear;
use rayon::iter::{IndexedParallelIterator as _, ParallelIterator as _};
use rayon::slice::ParallelSliceMut as _;

use super::PANEL;
use super::kernel::Kernel;
use super::matrix::{Factor, Matrix};
use super::norm::Activate;
use crate::clip::activation::Activation;

/// Rows that are multiplied together at most: what comes out of them stays in
/// the nearest cache, and the last thread is not waited for long.
const BLOCK: usize = 30;

/// `x · Wᵀ + b`.
#[derive(Debug)]
pub(super) struct PackedLinear<K: Kernel> {
    weights: K::Weights,
    bias: Vec<f32>,
    inputs: usize,
}

impl<K: Kernel> PackedLinear<K> {
    /// Several layers with the same inputs, side by side. Inputs and outputs are
    /// multiples of a panel, but for inputs at the end that are missing.
    pub(super) fn pack(kernel: &K, layers: &[&Linear]) -> Result<Self> {
        let (mut weight, mut bias, mut inputs) = (Vec::new(), Vec::new(), 0);
        for layer in layers {
            let (outputs, given) = layer.weight().dims2()?;
            inputs = given.next_multiple_of(PANEL);
            for row in layer.weight().to_vec2::<f32>()? {
                weight.extend(row);
                weight.resize(weight.len().next_multiple_of(inputs), 0.0);
            }
            match layer.bias() {
                Some(given) => bias.extend(given.to_vec1::<f32>()?),
                None => bias.resize(bias.len() + outputs, 0.0),
            }
        }
        Ok(Self { weights: kernel.pack(&weight, inputs), bias, inputs })
    }

    /// With what is missing to a whole panel.
    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Of outputs.
    pub(super) fn panels(&self) -> usize {
        self.bias.len() / PANEL
    }

    /// Some rows of one panel of outputs.
    fn block(&self, kernel: &K, xs: &Factor<K>, place: Place, out: &mut [f32]) {
        let Place { panel, rows } = place;
        for row in out.chunks_exact_mut(PANEL) {
            row.copy_from_slice(&self.bias[panel * PANEL..][..PANEL]);
        }
        kernel.multiply(xs, rows, &self.weights, panel, out);
    }

    /// The panels of outputs from `first` on, as many as there are in `out`.
    pub(super) fn forward(&self, kernel: &K, xs: &Factor<K>, first: usize, out: &mut Matrix<f32>) {
        each_block(out, |place, out| {
            self.block(kernel, xs, Place { panel: first + place.panel, ..place }, out);
        });
    }

    /// Adds what comes out to `out`: last, as it may be much larger than what is
    /// summed up.
    pub(super) fn add(&self, kernel: &K, xs: &Factor<K>, out: &mut Matrix<f32>) {
        each_block(out, |place, out| {
            let mut scratch = Scratch([0.0; BLOCK * PANEL]);
            let block = &mut scratch.0[..out.len()];
            self.block(kernel, xs, place, block);
            for (out, value) in out.iter_mut().zip(block) {
                *out += *value;
            }
        });
    }

    /// With a nonlinearity, as a factor of the next product.
    pub(super) fn activate(
        &self,
        kernel: &K,
        xs: &Factor<K>,
        activation: Activation,
        out: &mut Factor<K>,
    ) {
        let vectors = kernel.vectors();
        out.write(kernel, |parts| {
            each_block(parts, |place, out| {
                let mut scratch = Scratch([0.0; BLOCK * PANEL]);
                let block = &mut scratch.0[..out.len()];
                self.block(kernel, xs, place, block);
                vectors.run(Activate { values: block, activation });
                kernel.round(block, out);
            });
        });
    }
}

/// A block of a matrix.
struct Place {
    panel: usize,
    rows: Range<usize>,
}

/// Writes a matrix, of which none of the blocks is much smaller than the others.
fn each_block<T: Copy + Default + Send + Sync>(
    out: &mut Matrix<T>,
    write: impl Fn(Place, &mut [T]) + Sync,
) {
    let rows = out.rows();
    let block = rows.div_ceil(rows.div_ceil(BLOCK));
    let panels = out.values_mut().par_chunks_exact_mut(rows * PANEL);
    panels.enumerate().for_each(|(panel, out)| {
        out.par_chunks_mut(block * PANEL).enumerate().for_each(|(n, out)| {
            let first = n * block;
            write(Place { panel, rows: first..first + out.len() / PANEL }, out);
        });
    });
}

/// Begins with a cache line.
#[repr(align(64))]
struct Scratch([f32; BLOCK * PANEL]);

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::super::kernel::Processor;
    use super::super::oracle::{dot, noise, processors, through_int8, to_bf16};
    use super::*;

    const ROWS: usize = 50;
    /// No whole panel.
    const INPUTS: usize = 147;
    /// Of each layer.
    const OUTPUTS: usize = PANEL;

    /// Two layers side by side, as they are packed and in f64. Parts of a factor
    /// are rounded by at most `step`.
    fn check<K: Kernel>(
        kernel: &K,
        round: impl Fn(&[f32]) -> Vec<f32>,
        from_part: impl Fn(K::Part) -> f32,
        step: f64,
    ) {
        let tensor = |values: &[f32], shape: &[usize]| {
            Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
        };
        let (weight, bias) = (noise(10, 2 * OUTPUTS * INPUTS), noise(11, OUTPUTS));
        let [one, other] = [0, 1].map(|n| {
            tensor(&weight[n * OUTPUTS * INPUTS..][..OUTPUTS * INPUTS], &[OUTPUTS, INPUTS])
        });
        let layers = [Linear::new(one, Some(tensor(&bias, &[OUTPUTS]))), Linear::new(other, None)];
        let packed = PackedLinear::pack(kernel, &layers.each_ref()).unwrap();
        assert_eq!((packed.inputs(), packed.panels()), (192, 2));

        let xs = noise(12, ROWS * INPUTS);
        let mut whole = Vec::new();
        for row in xs.chunks_exact(INPUTS) {
            whole.extend(row);
            // Times the zeros there, anything is nothing.
            whole.resize(whole.len().next_multiple_of(192), 0.5);
        }
        let plain = Matrix::from_rows(&whole, 192);
        let mut factor = Factor::new(ROWS, 3);
        factor.write(kernel, |parts| kernel.round(plain.values(), parts.values_mut()));
        let expected = |row: usize, column: usize| {
            let xs = round(&xs[row * INPUTS..][..INPUTS]);
            let weight = round(&weight[column * INPUTS..][..INPUTS]);
            dot(&xs, &weight).0 + bias.get(column).map_or(0.0, |bias| f64::from(*bias))
        };

        let mut second = Matrix::new(ROWS, 1);
        packed.forward(kernel, &factor, 1, &mut second);
        let mut sum = Matrix::from_rows(&vec![3.0; ROWS * 2 * OUTPUTS], 2 * OUTPUTS);
        packed.add(kernel, &factor, &mut sum);
        let mut active = Factor::new(ROWS, 2);
        packed.activate(kernel, &factor, Activation::QuickGelu, &mut active);
        for row in 0..ROWS {
            for column in 0..2 * OUTPUTS {
                let (panel, n) = (column / PANEL, column % PANEL);
                let expected = expected(row, column);
                let near = |value: f32, expected: f64| (f64::from(value) - expected).abs() <= 1e-5;
                let quick = expected / (1.0 + (-1.702 * expected).exp());
                let value = from_part(active.parts().part(panel, row)[n]);
                let error = (f64::from(value) - quick).abs();
                assert!(error <= 1e-5 + step * quick.abs(), "({row}, {column}): {value}, {quick}");
                let added = sum.part(panel, row)[n];
                assert!(near(added, expected + 3.0), "({row}, {column}): {added}, {expected} + 3");
                if panel == 1 {
                    let value = second.part(0, row)[n];
                    assert!(near(value, expected), "({row}, {column}): {value}, {expected}");
                }
            }
        }
    }

    #[test]
    fn layers_side_by_side_give_what_each_of_them_gives() {
        for processor in processors() {
            match &processor {
                // What is activated is quantised only when it is complete.
                Processor::Int8(kernel) => check(kernel, through_int8, |x| x, 0.0),
                Processor::Bf16(kernel) => check(
                    kernel,
                    |row| row.iter().map(|x| to_bf16(*x)).collect(),
                    |word| f32::from_bits(u32::from(word) << 16),
                    1.0 / 256.0,
                ),
                Processor::Float(kernel) => check(kernel, <[f32]>::to_vec, |x| x, 0.0),
            }
        }
    }
}
