//! A vision transformer's patches and layers over packed weights.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};
use candle_nn::{LayerNorm, Linear};
use rayon::iter::{IndexedParallelIterator as _, ParallelIterator as _};
use rayon::slice::{ParallelSlice as _, ParallelSliceMut as _};

use super::avx512::{Bf16, Int8};
use super::float::Float;
use super::kernel::{Kernel, Processor};
use super::linear::PackedLinear;
use super::matrix::{Factor, Matrix};
use super::norm::PackedNorm;
use super::stack::{self, Question, Sight, Stack};
use super::{INPUTS, PANEL};
use crate::clip::Error;
use crate::clip::config::VitConfig;
use crate::clip::operation::floats;
use crate::clip::reader::Reader;

/// Rows that go through the layers together at most, if they are not one
/// picture's: many share what is read of the weights, but too many push each
/// other out of the caches.
const ROWS: usize = 260;

/// Pixel values to the class token's row, `[batch, 3, size, size]` to
/// `[batch, width]`.
#[derive(Debug)]
pub(in crate::clip) enum PackedVit {
    Int8(Vit<Int8>),
    Bf16(Vit<Bf16>),
    Float(Vit<Float>),
}

#[derive(Debug)]
pub(in crate::clip) struct Vit<K: Kernel> {
    patches: PackedLinear<K>,
    /// What each token begins with: the class embedding and the positions.
    /// `[tokens, width]`.
    begin: Matrix<f32>,
    norm: PackedNorm,
    stack: Stack<K>,
    patch_size: usize,
}

/// What stands before the layers.
pub(in crate::clip) struct Embeddings {
    /// `[width, 3 · patch · patch]`.
    pub(in crate::clip) patches: Tensor,
    /// `[width]`.
    pub(in crate::clip) class: Tensor,
    /// `[patches + 1, width]`.
    pub(in crate::clip) positions: Tensor,
    pub(in crate::clip) norm: LayerNorm,
}

/// Whether a picture tower of this shape can be packed: its layers, and as many
/// inputs as a patch has.
pub(in crate::clip) fn fits(vit: &VitConfig) -> bool {
    stack::fits(&vit.transformer) && vit.patch_size.saturating_pow(2).saturating_mul(3) <= INPUTS
}

impl PackedVit {
    /// Reads the layers; the rest is given.
    pub(in crate::clip) fn read(
        weights: &Reader<'_>,
        vit: &VitConfig,
        embeddings: Embeddings,
        processor: &Processor,
    ) -> Result<Self, Error> {
        Ok(match processor {
            Processor::Int8(kernel) => Self::Int8(Vit::read(weights, vit, embeddings, kernel)?),
            Processor::Bf16(kernel) => Self::Bf16(Vit::read(weights, vit, embeddings, kernel)?),
            Processor::Float(kernel) => Self::Float(Vit::read(weights, vit, embeddings, kernel)?),
        })
    }
}

impl<K: Kernel> Vit<K> {
    fn read(
        weights: &Reader<'_>,
        vit: &VitConfig,
        embeddings: Embeddings,
        kernel: &K,
    ) -> Result<Self, Error> {
        let Embeddings { patches, class, positions, norm } = embeddings;
        let width = vit.transformer.width;
        let mut begin = positions.flatten_all()?.to_vec1::<f32>()?;
        for (begin, class) in begin.iter_mut().zip(class.to_vec1::<f32>()?) {
            *begin += class;
        }
        Ok(Self {
            patches: PackedLinear::pack(kernel, &[&Linear::new(patches, None)])?,
            begin: Matrix::from_rows(&begin, width),
            norm: PackedNorm::pack(&norm, vit.transformer.layer_norm_eps)?,
            stack: Stack::read(weights, "vision_model", &vit.transformer, kernel)?,
            patch_size: vit.patch_size,
        })
    }

    /// Of so many pictures of `size` by `size` pixels, row after row. They go
    /// through the layers in groups that fit into the caches, and each thread has
    /// as many: were they to meet in every layer, all would stand still whenever
    /// another program takes the place of one.
    fn forward(&self, pixel_values: &[f32], batch: usize, size: usize) -> Vec<f32> {
        let groups = batch.div_ceil((ROWS / self.begin.rows()).max(1));
        let group = batch.div_ceil(groups.next_multiple_of(rayon::current_num_threads()));
        let groups = pixel_values.par_chunks(group * 3 * size * size);
        groups.flat_map_iter(|group| self.together(group, size).to_rows()).collect()
    }

    fn together(&self, pixel_values: &[f32], size: usize) -> Matrix<f32> {
        let batch = pixel_values.len() / (3 * size * size);
        let kernel = &self.stack.kernel;
        let factor = self.unfold(pixel_values, batch, size);
        let mut patches = Matrix::new(factor.parts().rows(), self.patches.panels());
        self.patches.forward(kernel, &factor, 0, &mut patches);
        let tokens = self.begin.rows();
        let mut xs = Matrix::new(batch * tokens, patches.panels());
        let rows = xs.rows();
        for (panel, xs) in xs.values_mut().chunks_exact_mut(rows * PANEL).enumerate() {
            let pictures = patches.panel(panel).chunks_exact((tokens - 1) * PANEL);
            for (xs, patches) in xs.chunks_exact_mut(tokens * PANEL).zip(pictures) {
                xs.copy_from_slice(self.begin.panel(panel));
                for (x, patch) in xs[PANEL..].iter_mut().zip(patches) {
                    *x += patch;
                }
            }
        }
        let xs = self.norm.normalized(kernel.vectors(), &xs);
        self.stack.forward(xs, Question { tokens, kept: 0, sight: Sight::Full })
    }

    /// Each patch as one row, channel by channel as the kernel has it.
    fn unfold(&self, pixel_values: &[f32], batch: usize, size: usize) -> Factor<K> {
        let patch = self.patch_size;
        let across = size / patch;
        let per_picture = across * across;
        let inputs = self.patches.inputs();
        let mut unfolded = Factor::new(batch * per_picture, inputs / PANEL);
        let unfold = |(panel, out): (usize, &mut [K::Part])| {
            let mut values = [0.0; PANEL];
            for (row, out) in out.chunks_exact_mut(PANEL).enumerate() {
                let (picture, place) = (row / per_picture, row % per_picture);
                let (top, left) = (place / across * patch, place % across * patch);
                let mut n = 0;
                while n < PANEL {
                    let input = panel * PANEL + n;
                    let (line, x) = (input / patch, input % patch);
                    let (channel, y) = (line / patch, line % patch);
                    let run = (patch - x).min(PANEL - n);
                    // Beyond the last channel, the weights are zero.
                    if channel < 3 {
                        let at = ((picture * 3 + channel) * size + top + y) * size + left + x;
                        values[n..n + run].copy_from_slice(&pixel_values[at..at + run]);
                    } else {
                        values[n..n + run].fill(0.0);
                    }
                    n += run;
                }
                self.stack.kernel.round(&values, out);
            }
        };
        unfolded.write(&self.stack.kernel, |parts| {
            let rows = parts.rows();
            let panels = parts.values_mut().par_chunks_exact_mut(rows * PANEL);
            panels.enumerate().for_each(unfold);
        });
        unfolded
    }
}

impl CustomOp1 for PackedVit {
    fn name(&self) -> &'static str {
        "packed-vision-transformer"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (batch, _, size, _) = layout.shape().dims4()?;
        let pixel_values = floats(storage, layout)?;
        let class = match self {
            Self::Int8(vit) => vit.forward(pixel_values, batch, size),
            Self::Bf16(vit) => vit.forward(pixel_values, batch, size),
            Self::Float(vit) => vit.forward(pixel_values, batch, size),
        };
        let width = class.len() / batch;
        Ok((CpuStorage::F32(class), (batch, width).into()))
    }
}
