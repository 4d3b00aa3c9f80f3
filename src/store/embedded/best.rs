//! Keeps the best of many scores.

use crate::domain::Similarity;
use crate::store::spread::Spread;

/// A picture by its number in the collection file, and how close it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// The row of the `picture` table.
    pub(super) picture: i64,
    /// Its cosine with the query.
    pub(super) similarity: Similarity,
}

/// The `limit` best candidates offered so far, and all that equal the last of
/// them: which of those belong is decided by their ids, unknown here.
pub(super) struct Best {
    limit: usize,
    kept: Vec<Candidate>,
    floor: f32,
    crowded: usize,
    /// Of all that was compared, wanted or not.
    pub(super) spread: Spread,
}

impl Best {
    /// Nothing offered yet.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            kept: Vec::new(),
            floor: f32::NEG_INFINITY,
            crowded: crowd(limit),
            spread: Spread::default(),
        }
    }

    /// Whether a picture with this dot product can still be among the best; a
    /// score that is no number never is.
    pub(super) fn wants(&self, dot: f32) -> bool {
        similarity(dot).cosine() >= self.floor
    }

    /// Considers one more.
    pub(super) fn offer(&mut self, picture: i64, dot: f32) {
        if self.wants(dot) {
            self.kept.push(Candidate { picture, similarity: similarity(dot) });
            if self.kept.len() >= self.crowded {
                self.thin();
            }
        }
    }

    /// The best of both.
    pub(super) fn merge(mut self, other: Self) -> Self {
        self.kept.extend(other.kept);
        self.spread = self.spread.merge(other.spread);
        self
    }

    /// The best and those that equal the last of them, in no order.
    pub(super) fn finish(mut self) -> (Vec<Candidate>, Spread) {
        self.thin();
        (self.kept, self.spread)
    }

    fn thin(&mut self) {
        if (1..self.kept.len()).contains(&self.limit) {
            let by_similarity = |a: &Candidate, b: &Candidate| {
                b.similarity.cosine().total_cmp(&a.similarity.cosine())
            };
            let (_, last, _) = self.kept.select_nth_unstable_by(self.limit - 1, by_similarity);
            self.floor = last.similarity.cosine();
            self.kept.retain(|candidate| candidate.similarity.cosine() >= self.floor);
        }
        // Twice what is left, so that thinning stays cheap when all are equal.
        self.crowded = crowd(self.limit.max(self.kept.len()));
    }
}

/// Before anything is compared: what rounding carried past 1 equals 1. The
/// sum turns -0 into 0.
fn similarity(dot: f32) -> Similarity {
    Similarity::from_cosine(dot + 0.0)
}

fn crowd(kept: usize) -> usize {
    kept.saturating_mul(2).max(256)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(limit: usize, dots: impl IntoIterator<Item = f32>) -> Vec<i64> {
        let mut best = Best::new(limit);
        (0..).zip(dots).for_each(|(picture, dot)| best.offer(picture, dot));
        let mut pictures: Vec<i64> = best.finish().0.iter().map(|kept| kept.picture).collect();
        pictures.sort_unstable();
        pictures
    }

    #[test]
    fn the_best_are_kept_in_any_order_of_arrival() {
        let rising = (0_u16..2000).map(|i| f32::from(i) / 2000.0);
        assert_eq!(best(3, rising.clone()), [1997, 1998, 1999]);
        assert_eq!(best(3, rising.rev()), [0, 1, 2]);
    }

    #[test]
    fn all_that_equal_the_last_are_kept() {
        assert_eq!(best(1, vec![0.5; 1000]).len(), 1000);
        assert_eq!(best(2, [0.1, 0.9, 0.5, 0.5]), [1, 2, 3]);
        assert_eq!(best(1, [1.0, 1.000_001]), [0, 1]);
        assert_eq!(best(1, [0.0, -0.0]), [0, 1]);
        let opposite = (0..300).map(|i| if i == 299 { -1.000_001 } else { -1.0 });
        assert_eq!(best(1, opposite).len(), 300);
    }

    #[test]
    fn a_score_that_is_no_number_is_never_kept() {
        assert_eq!(best(9, [f32::NAN, 0.5]), [1]);
    }

    #[test]
    fn a_limit_beyond_all_keeps_all() {
        assert_eq!(best(usize::MAX, vec![0.5; 600]).len(), 600);
    }
}
