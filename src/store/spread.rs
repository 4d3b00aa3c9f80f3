//! How far a hit stands out: where its score lies among all the others.

use crate::domain::Similarity;

/// How the scores of everything compared are spread.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spread {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Spread {
    /// Takes the scores of some rows into account; one that is no number is
    /// left out.
    pub(super) fn add(&mut self, dots: impl IntoIterator<Item = f32>) {
        for dot in dots.into_iter().filter(|dot| dot.is_finite()).map(f64::from) {
            self.count += 1.0;
            self.sum += dot;
            self.squares += dot * dot;
        }
    }

    /// By how many standard deviations `similarity` is above the mean; nothing
    /// where all scores are the same but for rounding.
    pub(super) fn standing(&self, similarity: Similarity) -> Option<f32> {
        let mean = self.sum / self.count;
        let deviation = (self.squares / self.count - mean * mean).max(0.0).sqrt();
        #[expect(clippy::cast_possible_truncation, reason = "at most the root of the count")]
        let standing = ((f64::from(similarity.cosine()) - mean) / deviation) as f32;
        (deviation > 1e-4).then_some(standing)
    }

    /// Both taken together.
    pub(super) fn merge(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_is_told_in_standard_deviations() {
        let mut spread = Spread::default();
        spread.add([0.1, 0.3, f32::NAN]);
        spread.add([0.1, 0.3]);
        let standing = spread.standing(Similarity::from_cosine(0.4)).unwrap();
        assert!((standing - 2.0).abs() < 1e-5, "{standing}");
        let mut alike = Spread::default();
        alike.add([0.2; 9]);
        assert_eq!(alike.standing(Similarity::from_cosine(0.2)), None);
        assert_eq!(Spread::default().standing(Similarity::from_cosine(0.2)), None);
    }
}
