//! The embeddings of a space in memory, laid out for the scan.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use half::f16;

use super::best::{Best, Candidate};
use super::columns;
use super::sidecar::Saved;
use crate::domain::Embedding;
use crate::store::scan::{self, Query};
use crate::store::spread::Spread;

/// Rows compared between two looks at the scores: few enough to leave room in
/// the cache.
const STRIP: usize = 256;

/// From here on a second thread pays: below, starting it costs about what it
/// saves.
const ROWS_FOR_THREADS: usize = 50_000;

/// More do not help, as memory is then the limit.
const MOST_THREADS: usize = 4;

/// Rows that a thread takes at once, the work of a third of a millisecond: no
/// one waits long for a thread that starts late or shares its core.
const PART: usize = 8192;

/// Every embedding up to the change `seq`: a base that stays as it is, and a
/// tail of what came or changed since.
pub(super) struct Matrix {
    seq: i64,
    base: Base,
    /// Pictures whose row in the base no longer counts.
    superseded: HashSet<i64>,
    tail: Tail,
}

/// What changed in a space.
pub(super) struct Changes {
    /// The number of the last change.
    pub(super) seq: i64,
    /// Pictures that came, or have a new embedding.
    pub(super) rows: Rows,
    /// Pictures that went.
    pub(super) removed: Vec<i64>,
}

impl Matrix {
    /// Starts from `base`, which has all changes up to `seq`.
    pub(super) fn new(base: Base, seq: i64, dimension: usize) -> Self {
        Self { seq, base, superseded: HashSet::new(), tail: Tail::new(dimension) }
    }

    /// The number of the last change that is in it.
    pub(super) fn seq(&self) -> i64 {
        self.seq
    }

    /// Takes in what changed since [`Matrix::seq`].
    pub(super) fn apply(&mut self, changes: &Changes) {
        for (&id, row) in changes.rows.iter() {
            self.supersede(id);
            self.tail.put(id, row);
        }
        for &id in &changes.removed {
            self.supersede(id);
            self.tail.remove(id);
        }
        self.seq = changes.seq;
    }

    fn supersede(&mut self, id: i64) {
        if self.base.ids().binary_search(&id).is_ok() {
            self.superseded.insert(id);
        }
    }

    /// The `limit` pictures closest to `query`, and those that equal the last
    /// of them, in no order, and how the scores of all are spread. The query
    /// has the dimension of the space.
    pub(super) fn nearest(&self, query: &Embedding, limit: usize) -> (Vec<Candidate>, Spread) {
        let query = Query::new(query.as_slice());
        let (tail, none) = (&self.tail.rows, HashSet::new());
        let base = parts(self.base.ids(), self.base.values(), &self.superseded);
        let parts: Vec<Part> = base.chain(parts(&tail.ids, &tail.values, &none)).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut best = Best::new(limit);
            while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                compare(&query, part, &mut best);
            }
            best
        };
        let threads = threads(self.base.ids().len() + tail.ids.len());
        let best = thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            others.into_iter().fold(work(), |best, other| {
                best.merge(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            })
        });
        best.finish()
    }
}

/// Some rows, and pictures that do not count among them.
struct Part<'a> {
    ids: &'a [i64],
    values: &'a [f16],
    superseded: &'a HashSet<i64>,
}

/// All rows, as they are handed out.
fn parts<'a>(
    ids: &'a [i64],
    values: &'a [f16],
    superseded: &'a HashSet<i64>,
) -> impl Iterator<Item = Part<'a>> {
    chunks(ids, values, PART).map(move |(ids, values)| Part { ids, values, superseded })
}

/// So many rows after the other, the last ones fewer.
fn chunks<'a>(
    ids: &'a [i64],
    values: &'a [f16],
    rows: usize,
) -> impl Iterator<Item = (&'a [i64], &'a [f16])> {
    let stride = values.len().checked_div(ids.len()).unwrap_or(1);
    ids.chunks(rows).zip(values.chunks(rows * stride))
}

fn threads(rows: usize) -> usize {
    let available = || thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    if rows < ROWS_FOR_THREADS { 1 } else { available() }
}

/// Offers every row but the superseded.
fn compare(query: &Query, &Part { ids, values, superseded }: &Part<'_>, best: &mut Best) {
    let mut dots = [0.0; STRIP];
    for (ids, values) in chunks(ids, values, STRIP) {
        let dots = &mut dots[..ids.len()];
        query.dots(values, dots);
        if !superseded.is_empty() {
            let gone = ids.iter().zip(&mut *dots).filter(|(id, _)| superseded.contains(id));
            gone.for_each(|(_, dot)| *dot = f32::NAN);
        }
        best.spread.add(dots.iter().copied());
        for (&id, &dot) in ids.iter().zip(&*dots) {
            best.offer(id, dot);
        }
    }
}

/// The part of a matrix that does not change; its ids rise.
pub(super) enum Base {
    /// Read from the collection.
    Read(Rows),
    /// Mapped from the matrix file.
    Saved(Saved),
}

impl Base {
    fn ids(&self) -> &[i64] {
        match self {
            Self::Read(rows) => &rows.ids,
            Self::Saved(saved) => saved.ids(),
        }
    }

    fn values(&self) -> &[f16] {
        match self {
            Self::Read(rows) => &rows.values,
            Self::Saved(saved) => saved.values(),
        }
    }
}

/// Pictures' numbers and padded embeddings, in the same order.
pub(super) struct Rows {
    dimension: usize,
    ids: Vec<i64>,
    values: Vec<f16>,
}

impl Rows {
    /// No rows yet, of embeddings with `dimension` components.
    pub(super) fn new(dimension: usize) -> Self {
        Self { dimension, ids: Vec::new(), values: Vec::new() }
    }

    /// Adds the embedding in a `column` of the collection.
    pub(super) fn push(&mut self, id: i64, column: &[u8]) -> rusqlite::Result<()> {
        self.values.extend(columns::components(column, self.dimension)?);
        self.ids.push(id);
        self.values.resize(self.ids.len() * self.stride(), f16::ZERO);
        Ok(())
    }

    fn stride(&self) -> usize {
        scan::stride(self.dimension)
    }

    fn iter(&self) -> impl Iterator<Item = (&i64, &[f16])> {
        self.ids.iter().zip(self.values.chunks_exact(self.stride()))
    }
}

/// Rows that can be replaced and removed.
struct Tail {
    rows: Rows,
    places: HashMap<i64, usize>,
}

impl Tail {
    fn new(dimension: usize) -> Self {
        Self { rows: Rows::new(dimension), places: HashMap::new() }
    }

    fn put(&mut self, id: i64, row: &[f16]) {
        let Rows { ids, values, .. } = &mut self.rows;
        if let Some(&place) = self.places.get(&id) {
            values[place * row.len()..][..row.len()].copy_from_slice(row);
        } else {
            self.places.insert(id, ids.len());
            ids.push(id);
            values.extend_from_slice(row);
        }
    }

    /// The last row takes the place of the one that goes.
    fn remove(&mut self, id: i64) {
        let Some(place) = self.places.remove(&id) else { return };
        let stride = self.rows.stride();
        let Rows { ids, values, .. } = &mut self.rows;
        let last = ids.len() - 1;
        values.copy_within(last * stride.., place * stride);
        values.truncate(last * stride);
        ids.swap_remove(place);
        if let Some(&moved) = ids.get(place) {
            self.places.insert(moved, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three components of which the first is the picture's number in
    /// hundredths: easy to recognise, and rising with it.
    fn rows(ids: impl IntoIterator<Item = (i64, f32)>) -> Rows {
        let mut rows = Rows::new(3);
        for (id, first) in ids {
            let column = [first, 0.0, 0.1].map(|x| f16::from_f32(x).to_le_bytes()).concat();
            rows.push(id, &column).unwrap();
        }
        rows
    }

    fn matrix() -> Matrix {
        Matrix::new(Base::Read(rows([(1, 0.1), (2, 0.2), (3, 0.3)])), 3, 3)
    }

    fn changed(rows: Rows, removed: &[i64]) -> Changes {
        Changes { seq: 9, rows, removed: removed.to_vec() }
    }

    fn order(matrix: &Matrix) -> Vec<i64> {
        let east = Embedding::normalize(vec![1.0, 0.0, 0.0]).unwrap();
        let (mut nearest, _) = matrix.nearest(&east, 99);
        nearest.sort_by(|a, b| b.similarity.cosine().total_cmp(&a.similarity.cosine()));
        nearest.iter().map(|candidate| candidate.picture).collect()
    }

    #[test]
    fn changes_take_the_place_of_what_was() {
        let mut matrix = matrix();
        assert_eq!(order(&matrix), [3, 2, 1]);
        matrix.apply(&changed(rows([(4, 0.4), (1, 0.5)]), &[2]));
        assert_eq!(order(&matrix), [1, 4, 3]);
        matrix.apply(&changed(rows([(4, 0.6), (5, 0.05)]), &[3, 77]));
        assert_eq!(order(&matrix), [4, 1, 5]);
        assert_eq!(matrix.seq(), 9);
    }

    #[test]
    fn rows_of_the_tail_go_in_any_order() {
        let mut matrix = matrix();
        matrix.apply(&changed(rows([(4, 0.4), (5, 0.5), (6, 0.6)]), &[1, 2, 3]));
        matrix.apply(&changed(rows([]), &[4]));
        assert_eq!(order(&matrix), [6, 5]);
        matrix.apply(&changed(rows([(7, 0.7)]), &[5, 6]));
        assert_eq!(order(&matrix), [7]);
        matrix.apply(&changed(rows([]), &[7]));
        assert_eq!(order(&matrix), [0; 0]);
    }

    #[test]
    fn parts_are_everything_exactly_once() {
        for count in [0, 1, PART, 2 * PART + 7] {
            let count = i64::try_from(count).unwrap();
            let rows = rows((0..count).map(|id| (id, 0.5)));
            let none = HashSet::new();
            let parts = parts(&rows.ids, &rows.values, &none);
            let (ids, values): (Vec<_>, Vec<_>) = parts.map(|part| (part.ids, part.values)).unzip();
            assert_eq!((ids.concat(), values.concat()), (rows.ids, rows.values));
        }
    }

    #[test]
    fn the_nearest_are_found_wherever_they_lie() {
        let count = i64::try_from(ROWS_FOR_THREADS + 3).unwrap();
        let near = [0, count / 2, count - 1];
        let first = |id| if near.contains(&id) { 0.9 } else { 0.1 };
        let mut matrix = Matrix::new(Base::Read(rows((0..count).map(|id| (id, first(id))))), 1, 3);
        matrix.apply(&changed(rows([(count, 0.9), (0, 0.1)]), &[]));
        let east = Embedding::normalize(vec![1.0, 0.0, 0.0]).unwrap();
        let mut nearest: Vec<i64> =
            matrix.nearest(&east, 3).0.iter().map(|candidate| candidate.picture).collect();
        nearest.sort_unstable();
        assert_eq!(nearest, [count / 2, count - 1, count]);
    }
}
