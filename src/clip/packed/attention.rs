//! Scaled dot-product attention of one head over one sequence.

use pulp::{Simd, WithSimd};

use super::PANEL;
use super::float::{add_products, store};
use super::norm::exp;

/// Queries that are looked at together.
const QUERIES: usize = 6;

/// Which positions a query may look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::clip) enum Sight {
    /// All.
    Full,
    /// Its own and those before.
    Causal,
}

/// One head over one sequence, each `[positions][PANEL]`.
pub(super) struct Attend<'a> {
    /// Of the last positions, if not of all.
    pub(super) queries: &'a [f32],
    pub(super) keys: &'a [f32],
    pub(super) values: &'a [f32],
    pub(super) sight: Sight,
    /// The position of the first query.
    pub(super) first: usize,
    /// As long as the queries.
    pub(super) out: &'a mut [f32],
    pub(super) scratch: &'a mut Scratch,
}

/// Memory that is used for one head after the other.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Keys as a product reads them.
    keys: Vec<f32>,
    /// Values as a product reads them.
    values: Vec<f32>,
    /// `[QUERIES][positions]`, with what is missing to whole vectors.
    scores: Vec<f32>,
}

impl WithSimd for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 { self.by::<S, 4>(simd) } else { self.by::<S, 2>(simd) }
    }
}

impl Attend<'_> {
    #[inline(always)]
    fn by<S: Simd, const V: usize>(self, simd: S) {
        let columns = V * S::F32_LANES;
        let Self { queries, keys, values, sight, first, out, scratch } = self;
        let positions = keys.len() / PANEL;
        let width = positions.next_multiple_of(columns);
        pack_keys(keys, columns, width, &mut scratch.keys);
        pack_values(values, columns, &mut scratch.values);
        scratch.scores.clear();
        scratch.scores.resize(QUERIES * width, 0.0);
        let count = queries.len() / PANEL;
        let mut done = 0;
        while done < count {
            let step = QUERIES.min(count - done);
            let from = &queries[done * PANEL..][..step * PANEL];
            let to = &mut out[done * PANEL..][..step * PANEL];
            let sees = |query: usize| match sight {
                Sight::Full => positions,
                Sight::Causal => (first + done + query + 1).min(positions),
            };
            match step {
                1 => some::<S, V, 1>(simd, from, scratch, width, sees, to),
                2 => some::<S, V, 2>(simd, from, scratch, width, sees, to),
                3 => some::<S, V, 3>(simd, from, scratch, width, sees, to),
                4 => some::<S, V, 4>(simd, from, scratch, width, sees, to),
                5 => some::<S, V, 5>(simd, from, scratch, width, sees, to),
                _ => some::<S, V, 6>(simd, from, scratch, width, sees, to),
            }
            done += step;
        }
    }
}

/// `[positions / columns][PANEL][columns]`.
#[inline(always)]
fn pack_keys(keys: &[f32], columns: usize, width: usize, packed: &mut Vec<f32>) {
    packed.clear();
    packed.resize(width * PANEL, 0.0);
    for (position, key) in keys.chunks_exact(PANEL).enumerate() {
        let block = &mut packed[position / columns * PANEL * columns..];
        for (to, value) in block[position % columns..].iter_mut().step_by(columns).zip(key) {
            *to = *value;
        }
    }
}

/// `[PANEL / columns][positions][columns]`.
#[inline(always)]
fn pack_values(values: &[f32], columns: usize, packed: &mut Vec<f32>) {
    packed.clear();
    for first in (0..PANEL).step_by(columns) {
        for value in values.chunks_exact(PANEL) {
            packed.extend_from_slice(&value[first..first + columns]);
        }
    }
}

/// `R` queries.
#[inline(always)]
fn some<S: Simd, const V: usize, const R: usize>(
    simd: S,
    queries: &[f32],
    scratch: &mut Scratch,
    width: usize,
    sees: impl Fn(usize) -> usize,
    out: &mut [f32],
) {
    let columns = V * S::F32_LANES;
    let Scratch { keys, values, scores } = scratch;
    for (keys, first) in keys.chunks_exact(PANEL * columns).zip((0..width).step_by(columns)) {
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        add_products(simd, &mut sums, queries, PANEL, keys);
        for (sums, scores) in sums.iter().zip(scores.chunks_exact_mut(width)) {
            store(simd, sums, &mut scores[first..]);
        }
    }
    for (query, scores) in scores.chunks_exact_mut(width).take(R).enumerate() {
        soften(simd, scores, sees(query));
    }
    let positions = values.len() / PANEL;
    let blocks = values.chunks_exact(positions * columns);
    for (values, first) in blocks.zip((0..PANEL).step_by(columns)) {
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        add_products(simd, &mut sums, scores, width, values);
        for (sums, out) in sums.iter().zip(out.chunks_exact_mut(PANEL)) {
            store(simd, sums, &mut out[first..]);
        }
    }
}

/// Softmax over the first `seen` scores, which are scaled; the others become
/// zero.
#[inline(always)]
fn soften<S: Simd>(simd: S, scores: &mut [f32], seen: usize) {
    // By the square root of a head's components.
    let scale = simd.splat_f32s(0.125);
    scores[seen..].fill(f32::NEG_INFINITY);
    let (vectors, _) = S::as_mut_simd_f32s(scores);
    let mut most = simd.splat_f32s(f32::NEG_INFINITY);
    for score in vectors.iter_mut() {
        *score = simd.mul_f32s(*score, scale);
        most = simd.max_f32s(most, *score);
    }
    let most = simd.splat_f32s(simd.reduce_max_f32s(most));
    for score in vectors {
        *score = exp(simd, simd.sub_f32s(*score, most));
    }
    scores[seen..].fill(0.0);
    let (vectors, _) = S::as_mut_simd_f32s(scores);
    let mut sum = simd.splat_f32s(0.0);
    for score in vectors.iter() {
        sum = simd.add_f32s(sum, *score);
    }
    let share = simd.splat_f32s(1.0 / simd.reduce_sum_f32s(sum));
    for score in vectors {
        *score = simd.mul_f32s(*score, share);
    }
}

#[cfg(test)]
mod tests {
    use super::super::oracle::{dot, noise, vectors};
    use super::*;

    /// What the query at `position` gets.
    fn expected(query: &[f32], keys: &[f32], values: &[f32], seen: usize) -> Vec<f64> {
        let weights: Vec<f64> = keys
            .chunks_exact(PANEL)
            .take(seen)
            .map(|key| (dot(query, key).0 / 8.0).exp())
            .collect();
        let sum: f64 = weights.iter().sum();
        let mixed = |component| {
            let values = values.chunks_exact(PANEL).map(|value| f64::from(value[component]));
            weights.iter().zip(values).map(|(weight, value)| weight * value).sum::<f64>() / sum
        };
        (0..PANEL).map(mixed).collect()
    }

    #[test]
    fn a_query_gets_the_softmax_of_what_it_sees() {
        // One after the other: what a longer sequence has left must not matter.
        let mut scratch = Scratch::default();
        for vectors in vectors() {
            for positions in [77, 1, 2, 5, 6, 7, 50, 64, 65, 197] {
                // Such that some weights are almost nothing and others almost all.
                let of = |seed| noise(seed, positions * PANEL);
                let queries: Vec<f32> = of(4).iter().map(|x| x * 4.0).collect();
                let (keys, values) = (of(5), of(6));
                for (sight, first) in
                    [(Sight::Full, 0), (Sight::Causal, 0), (Sight::Causal, positions - 1)]
                {
                    let queries = &queries[first * PANEL..];
                    let mut out = vec![f32::NAN; queries.len()];
                    vectors.run(Attend {
                        queries,
                        keys: &keys,
                        values: &values,
                        sight,
                        first,
                        out: &mut out,
                        scratch: &mut scratch,
                    });
                    let rows = queries.chunks_exact(PANEL).zip(out.chunks_exact(PANEL));
                    for (n, (query, out)) in rows.enumerate() {
                        let seen = if sight == Sight::Full { positions } else { first + n + 1 };
                        let expected = expected(query, &keys, &values, seen);
                        let error =
                            out.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs());
                        let error = error.fold(0.0, f64::max);
                        assert!(
                            error <= 2e-6,
                            "{vectors:?}, {n} of {positions}, {sight:?} from {first}: {error}"
                        );
                    }
                }
            }
        }
    }
}
