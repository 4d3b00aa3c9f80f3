//! Reads one tower's tensors, and tells how much of it is read.

use std::cell::Cell;

use candle_core::Tensor;
use candle_nn::{LayerNorm, Linear};

use super::Error;
use super::weights::Weights;

/// Half of a CLIP model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tower {
    /// Embeds text.
    Text,
    /// Embeds pictures.
    Picture,
}

/// How much of a tower has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TowerProgress {
    /// Which tower.
    pub tower: Tower,
    /// Bytes of its tensors that are read.
    pub read: u64,
    /// Bytes of all its tensors. A text tower's token embedding is not among
    /// them, as it stays in the file.
    pub total: u64,
}

/// The tensors of one tower on their way out of the file.
pub(super) struct Reader<'a> {
    weights: &'a Weights,
    tower: Tower,
    read: Cell<u64>,
    total: u64,
    progress: &'a dyn Fn(TowerProgress),
}

impl<'a> Reader<'a> {
    /// `progress` is called after each tensor.
    pub(super) fn new(
        weights: &'a Weights,
        tower: Tower,
        progress: &'a dyn Fn(TowerProgress),
    ) -> Self {
        Self { weights, tower, read: Cell::new(0), total: weights.tower_bytes(tower), progress }
    }

    /// The tensor of this name, which must have this shape.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, Error> {
        let (tensor, bytes) = self.weights.tensor(name, shape)?;
        self.read.set(self.read.get() + bytes);
        (self.progress)(TowerProgress {
            tower: self.tower,
            read: self.read.get(),
            total: self.total,
        });
        Ok(tensor)
    }

    /// The shape of a tensor whose size the configuration does not give.
    pub(super) fn shape_of(&self, name: &str) -> Result<&[usize], Error> {
        self.weights.shape_of(name)
    }

    /// `name.weight` of shape `[out, input]` with `name.bias`.
    pub(super) fn linear(&self, name: &str, input: usize, out: usize) -> Result<Linear, Error> {
        let weight = self.tensor(&format!("{name}.weight"), &[out, input])?;
        let bias = self.tensor(&format!("{name}.bias"), &[out])?;
        Ok(Linear::new(weight, Some(bias)))
    }

    /// `name.weight` of shape `[out, input]`, no bias.
    pub(super) fn projection(&self, name: &str, input: usize, out: usize) -> Result<Linear, Error> {
        Ok(Linear::new(self.tensor(&format!("{name}.weight"), &[out, input])?, None))
    }

    /// `name.weight` and `name.bias` of one entry per component.
    pub(super) fn layer_norm(
        &self,
        name: &str,
        width: usize,
        eps: f64,
    ) -> Result<LayerNorm, Error> {
        let weight = self.tensor(&format!("{name}.weight"), &[width])?;
        let bias = self.tensor(&format!("{name}.bias"), &[width])?;
        Ok(LayerNorm::new(weight, bias, eps))
    }
}
