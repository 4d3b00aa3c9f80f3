//! A picture's feature map, in blocks of channels.

use super::matrix::Aligned;

/// Channels that lie together, those of one pixel: as many as the longest
/// vectors have, and a multiple of what the others have.
pub(super) const BLOCK: usize = 16;

/// `[blocks][side][side][BLOCK]`, over memory that is kept from one shape to the
/// next.
#[derive(Debug, Default)]
pub(super) struct Map {
    memory: Scratch,
    blocks: usize,
    side: usize,
}

impl Map {
    /// Makes it one of this shape, of whatever was left in its memory.
    pub(super) fn reshape(&mut self, blocks: usize, side: usize) {
        (self.blocks, self.side) = (blocks, side);
        self.memory.take(self.len());
    }

    pub(super) fn side(&self) -> usize {
        self.side
    }

    fn len(&self) -> usize {
        self.blocks * self.block_len()
    }

    /// Values of a block.
    pub(super) fn block_len(&self) -> usize {
        self.side * self.side * BLOCK
    }

    /// Block after block.
    pub(super) fn values(&self) -> &[f32] {
        &self.memory.0.as_slice()[..self.len()]
    }

    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        self.memory.take(self.len())
    }

    pub(super) fn blocks(&self) -> impl Iterator<Item = &[f32]> {
        self.values().chunks_exact(self.block_len())
    }
}

/// Memory for what comes and goes.
#[derive(Debug)]
pub(super) struct Scratch(Aligned<f32>);

impl Scratch {
    /// So many values, of whatever was left there.
    pub(super) fn take(&mut self, len: usize) -> &mut [f32] {
        if self.0.as_slice().len() < len {
            self.0 = Aligned::zeros(len);
        }
        &mut self.0.as_mut_slice()[..len]
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self(Aligned::zeros(0))
    }
}
