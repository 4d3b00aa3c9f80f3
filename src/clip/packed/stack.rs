//! A tower's transformer layers over packed weights.
//!
//! Of the last layer, only what is read of it is computed: one row of each
//! sequence.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape};
use rayon::iter::{IndexedParallelIterator as _, ParallelIterator as _};
use rayon::slice::ParallelSliceMut as _;

pub(in crate::clip) use super::attention::Sight;
use super::attention::{Attend, Scratch};
use super::avx512::{Bf16, Int8};
use super::float::Float;
use super::kernel::{Kernel, Processor};
use super::linear::PackedLinear;
use super::matrix::{Factor, Matrix};
use super::norm::PackedNorm;
use super::{FEW, INPUTS, PANEL};
use crate::clip::Error;
use crate::clip::activation::Activation;
use crate::clip::config::TransformerConfig;
use crate::clip::operation::floats;
use crate::clip::reader::Reader;
use crate::clip::transformer;

/// The layers, for the processor that they are packed for.
#[derive(Debug)]
pub(in crate::clip) enum PackedStack {
    Int8(Stack<Int8>),
    Bf16(Stack<Bf16>),
    Float(Stack<Float>),
}

/// The layers for one kernel.
#[derive(Debug)]
pub(in crate::clip) struct Stack<K: Kernel> {
    pub(super) kernel: K,
    layers: Vec<Layer<K>>,
    activation: Activation,
}

#[derive(Debug)]
struct Layer<K: Kernel> {
    norm1: PackedNorm,
    attention: PackedLinear<K>,
    out: PackedLinear<K>,
    norm2: PackedNorm,
    fc1: PackedLinear<K>,
    fc2: PackedLinear<K>,
}

/// What a stack is to compute.
#[derive(Clone, Copy, Debug)]
pub(in crate::clip) struct Question {
    /// Rows of each sequence.
    pub(in crate::clip) tokens: usize,
    /// Which row of each sequence is read at the end.
    pub(in crate::clip) kept: usize,
    pub(in crate::clip) sight: Sight,
}

/// What one layer after the other writes to.
struct Buffers<K: Kernel> {
    factor: Factor<K>,
    attention: Matrix<f32>,
    hidden: Factor<K>,
}

/// Whether layers of this shape can be packed: heads and widths are whole
/// panels, and sums of products do not overflow.
pub(in crate::clip) fn fits(config: &TransformerConfig) -> bool {
    let TransformerConfig { width, heads, mlp_width, layers, .. } = *config;
    let is_whole = width == heads * PANEL && mlp_width % PANEL == 0;
    is_whole && width.max(mlp_width) <= INPUTS && layers > 0
}

impl PackedStack {
    /// Reads `{tower}.encoder.layers.N`, one by one.
    pub(in crate::clip) fn read(
        weights: &Reader<'_>,
        tower: &str,
        config: &TransformerConfig,
        processor: &Processor,
    ) -> Result<Self, Error> {
        Ok(match processor {
            Processor::Int8(kernel) => Self::Int8(Stack::read(weights, tower, config, kernel)?),
            Processor::Bf16(kernel) => Self::Bf16(Stack::read(weights, tower, config, kernel)?),
            Processor::Float(kernel) => Self::Float(Stack::read(weights, tower, config, kernel)?),
        })
    }
}

impl<K: Kernel> Stack<K> {
    pub(super) fn read(
        weights: &Reader<'_>,
        tower: &str,
        config: &TransformerConfig,
        kernel: &K,
    ) -> Result<Self, Error> {
        let layer = |n| {
            let layer =
                transformer::Layer::read(weights, &format!("{tower}.encoder.layers.{n}"), config)?;
            Ok(Layer::pack(kernel, &layer, config.layer_norm_eps)?)
        };
        let layers = (0..config.layers).map(layer).collect::<Result<_, Error>>()?;
        Ok(Self { kernel: kernel.clone(), layers, activation: config.activation })
    }

    /// The row of each sequence that is asked for.
    pub(super) fn forward(&self, mut xs: Matrix<f32>, question: Question) -> Matrix<f32> {
        let Some((last, layers)) = self.layers.split_last() else { return xs };
        let (rows, panels) = (xs.rows(), xs.panels());
        let mut buffers = Buffers {
            factor: Factor::new(rows, panels),
            attention: Matrix::new(rows, 3 * panels),
            hidden: Factor::new(rows, last.fc1.panels()),
        };
        for layer in layers {
            layer.attend(&self.kernel, &xs, question, &mut buffers);
            layer.finish(&self.kernel, self.activation, &mut xs, &mut buffers);
        }
        last.norm1.forward(&self.kernel, &xs, &mut buffers.factor);
        let mut rest = Matrix::new(rows, 2 * panels);
        last.attention.forward(&self.kernel, &buffers.factor, panels, &mut rest);
        let Question { tokens, kept, .. } = question;
        let mut xs = xs.every(kept, tokens);
        let mut buffers = Buffers {
            factor: Factor::new(xs.rows(), panels),
            attention: Matrix::new(xs.rows(), panels),
            hidden: Factor::new(xs.rows(), last.fc1.panels()),
        };
        last.norm1.forward(&self.kernel, &xs, &mut buffers.factor);
        last.attention.forward(&self.kernel, &buffers.factor, 0, &mut buffers.attention);
        attend(&self.kernel, &buffers.attention, &rest, 0, question, kept, &mut buffers.factor);
        last.finish(&self.kernel, self.activation, &mut xs, &mut buffers);
        xs
    }
}

impl<K: Kernel> Layer<K> {
    fn pack(kernel: &K, layer: &transformer::Layer, eps: f64) -> candle_core::Result<Self> {
        let transformer::Attention { query, key, value, out, .. } = &layer.attention;
        let linear = |layers: &[&candle_nn::Linear]| PackedLinear::pack(kernel, layers);
        Ok(Self {
            norm1: PackedNorm::pack(&layer.norm1, eps)?,
            attention: linear(&[query, key, value])?,
            out: linear(&[out])?,
            norm2: PackedNorm::pack(&layer.norm2, eps)?,
            fc1: linear(&[&layer.fc1])?,
            fc2: linear(&[&layer.fc2])?,
        })
    }

    /// Leaves in the buffers what attention brings, as a factor.
    fn attend(&self, kernel: &K, xs: &Matrix<f32>, question: Question, buffers: &mut Buffers<K>) {
        let Buffers { factor, attention, .. } = buffers;
        self.norm1.forward(kernel, xs, factor);
        self.attention.forward(kernel, factor, 0, attention);
        attend(kernel, attention, attention, xs.panels(), question, 0, factor);
    }

    /// Adds to `xs` what attention has brought and what the MLP makes of it.
    fn finish(
        &self,
        kernel: &K,
        activation: Activation,
        xs: &mut Matrix<f32>,
        buffers: &mut Buffers<K>,
    ) {
        let Buffers { factor, hidden, .. } = buffers;
        self.out.add(kernel, factor, xs);
        self.norm2.forward(kernel, xs, factor);
        self.fc1.activate(kernel, factor, activation, hidden);
        self.fc2.add(kernel, hidden, xs);
    }
}

/// All heads over all sequences. The keys begin with panel `keys` of `rest`, and
/// the values after them; the first query stands at position `first`.
fn attend<K: Kernel>(
    kernel: &K,
    queries: &Matrix<f32>,
    rest: &Matrix<f32>,
    keys: usize,
    Question { tokens, sight, .. }: Question,
    first: usize,
    out: &mut Factor<K>,
) {
    let sequences = rest.rows() / tokens;
    let asked = queries.rows() / sequences;
    let heads = (rest.panels() - keys) / 2;
    let attend = |(scratch, rounding): &mut (Scratch, Vec<f32>),
                  (n, out): (usize, &mut [K::Part])| {
        let (head, sequence) = (n / sequences, n % sequences);
        let of = |panel: usize| &rest.panel(panel)[sequence * tokens * PANEL..][..tokens * PANEL];
        rounding.resize(out.len(), 0.0);
        kernel.vectors().run(Attend {
            queries: &queries.panel(head)[sequence * asked * PANEL..][..asked * PANEL],
            keys: of(keys + head),
            values: of(keys + heads + head),
            sight,
            first,
            out: rounding,
            scratch,
        });
        kernel.round(rounding, out);
    };
    out.write(kernel, |parts| {
        let (rows, parts) = (parts.rows(), parts.values_mut());
        if rows < FEW {
            let mut memory = Default::default();
            let parts = parts.chunks_exact_mut(asked * PANEL).enumerate();
            parts.for_each(|part| attend(&mut memory, part));
        } else {
            let parts = parts.par_chunks_exact_mut(asked * PANEL).enumerate();
            parts.for_each_init(Default::default, attend);
        }
    });
}

impl CustomOp1 for PackedText {
    fn name(&self) -> &'static str {
        "packed-transformer"
    }

    /// `[1, tokens, width]` to the last token's row, `[1, width]`.
    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (_, tokens, width) = layout.shape().dims3()?;
        let xs = Matrix::from_rows(floats(storage, layout)?, width);
        let question = Question { tokens, kept: tokens - 1, sight: Sight::Causal };
        let kept = match &self.0 {
            PackedStack::Int8(stack) => stack.forward(xs, question),
            PackedStack::Bf16(stack) => stack.forward(xs, question),
            PackedStack::Float(stack) => stack.forward(xs, question),
        };
        Ok((CpuStorage::F32(kept.to_rows()), (1, width).into()))
    }
}

/// The layers of a text tower: causal, and the last token is read.
#[derive(Debug)]
pub(in crate::clip) struct PackedText(pub(in crate::clip) PackedStack);
