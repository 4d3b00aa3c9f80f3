//! A matrix of activations, in panels of columns.

use super::PANEL;
use super::kernel::Kernel;

/// Bytes of a cache line: a vector that lies across two takes twice the time.
pub(super) const LINE: usize = 64;

/// Values from the start of a cache line on.
#[derive(Clone, Debug)]
pub(in crate::clip) struct Aligned<T> {
    values: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy + Default> Aligned<T> {
    pub(super) fn zeros(len: usize) -> Self {
        let values = vec![T::default(); len + LINE / size_of::<T>()];
        // Nobody promises that an offset is found; then it is merely slower.
        let start =
            Some(values.as_ptr().align_offset(LINE)).filter(|start| start + len <= values.len());
        Self { values, start: start.unwrap_or(0), len }
    }

    pub(super) fn as_slice(&self) -> &[T] {
        &self.values[self.start..self.start + self.len]
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.values[self.start..self.start + self.len]
    }
}

/// `[panels][rows][PANEL]`: `rows` rows of `panels` times [`PANEL`] values.
#[derive(Clone, Debug)]
pub(in crate::clip) struct Matrix<T> {
    values: Aligned<T>,
    rows: usize,
}

impl<T: Copy + Default> Matrix<T> {
    /// Of zeros.
    pub(super) fn new(rows: usize, panels: usize) -> Self {
        Self { values: Aligned::zeros(rows * panels * PANEL), rows }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn panels(&self) -> usize {
        self.values.len / (self.rows * PANEL)
    }

    /// Panel after panel.
    pub(super) fn values(&self) -> &[T] {
        self.values.as_slice()
    }

    pub(super) fn values_mut(&mut self) -> &mut [T] {
        self.values.as_mut_slice()
    }

    /// `[rows][PANEL]`.
    pub(super) fn panel(&self, panel: usize) -> &[T] {
        &self.values()[panel * self.rows * PANEL..][..self.rows * PANEL]
    }

    /// The part of a row that is in one panel.
    pub(super) fn part(&self, panel: usize, row: usize) -> &[T] {
        &self.panel(panel)[row * PANEL..][..PANEL]
    }

    /// Every row whose number is `first` and so many more.
    pub(super) fn every(&self, first: usize, step: usize) -> Self {
        let rows = (self.rows - first).div_ceil(step);
        let mut picked = Self::new(rows, self.panels());
        let to = picked.values.as_mut_slice().chunks_exact_mut(PANEL);
        let numbers = (0..self.panels())
            .flat_map(|panel| (first..self.rows).step_by(step).map(move |row| (panel, row)));
        for (to, (panel, row)) in to.zip(numbers) {
            to.copy_from_slice(self.part(panel, row));
        }
        picked
    }
}

/// Weights, panel of outputs after panel of outputs.
#[derive(Clone, Debug)]
pub(in crate::clip) struct Weights<T> {
    words: Aligned<T>,
    /// Words of a panel.
    panel: usize,
}

impl<T: Copy + Default> Weights<T> {
    pub(super) fn zeros(panels: usize, inputs: usize) -> Self {
        Self { words: Aligned::zeros(panels * inputs * PANEL), panel: inputs * PANEL }
    }

    /// One panel and those after it.
    pub(super) fn from(&self, panel: usize) -> &[T] {
        &self.words.as_slice()[panel * self.panel..]
    }

    pub(super) fn panels_mut(&mut self) -> impl Iterator<Item = &mut [T]> {
        self.words.as_mut_slice().chunks_exact_mut(self.panel)
    }
}

/// One side of a product: what is read of it has always been completed.
#[derive(Debug)]
pub(in crate::clip) struct Factor<K: Kernel> {
    parts: Matrix<K::Part>,
    whole: K::Whole,
}

impl<K: Kernel> Factor<K> {
    /// Memory for one.
    pub(super) fn new(rows: usize, panels: usize) -> Self {
        Self { parts: Matrix::new(rows, panels), whole: K::Whole::default() }
    }

    /// Has all of its parts written.
    pub(super) fn write(&mut self, kernel: &K, write: impl FnOnce(&mut Matrix<K::Part>)) {
        write(&mut self.parts);
        kernel.complete(&self.parts, &mut self.whole);
    }

    pub(super) fn parts(&self) -> &Matrix<K::Part> {
        &self.parts
    }

    pub(super) fn whole(&self) -> &K::Whole {
        &self.whole
    }
}

impl Matrix<f32> {
    /// From row after row of `width` values each, which is a multiple of
    /// [`PANEL`].
    pub(super) fn from_rows(values: &[f32], width: usize) -> Self {
        let mut matrix = Self::new(values.len() / width, width / PANEL);
        let rows = matrix.rows;
        for (row, values) in values.chunks_exact(width).enumerate() {
            for (panel, part) in values.chunks_exact(PANEL).enumerate() {
                let at = (panel * rows + row) * PANEL;
                matrix.values_mut()[at..at + PANEL].copy_from_slice(part);
            }
        }
        matrix
    }

    /// Row after row.
    pub(super) fn to_rows(&self) -> Vec<f32> {
        let parts =
            (0..self.rows).flat_map(|row| (0..self.panels()).map(move |panel| (panel, row)));
        parts.flat_map(|(panel, row)| self.part(panel, row)).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_went_in() {
        let values: Vec<f32> = (0u16..384).map(f32::from).collect();
        let matrix = Matrix::from_rows(&values, 128);
        assert_eq!((matrix.rows(), matrix.panels()), (3, 2));
        assert_eq!(matrix.part(1, 2), &values[320..384]);
        assert_eq!(matrix.to_rows(), values);
        assert_eq!(matrix.every(0, 2).to_rows(), [&values[..128], &values[256..]].concat());
    }

    #[test]
    fn values_begin_with_a_cache_line() {
        for len in [1, 64, 1000] {
            assert_eq!(Aligned::<f32>::zeros(len).as_slice().as_ptr().align_offset(LINE), 0);
        }
    }
}
