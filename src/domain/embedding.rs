//! Embeddings and how alike two of them are.

/// A CLIP embedding, always finite and of unit length.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding(Box<[f32]>);

impl Embedding {
    /// Scales `raw` to unit length, or returns `None` if it has no direction
    /// (it is empty, all zero, or not finite).
    ///
    /// ```
    /// use carlens::domain::Embedding;
    /// let embedding = Embedding::normalize(vec![3.0, 4.0]).expect("a direction");
    /// assert_eq!(embedding.as_slice(), [0.6, 0.8]);
    /// assert!(Embedding::normalize(vec![0.0; 2]).is_none());
    /// assert!(Embedding::normalize(vec![f32::NAN, 1.0]).is_none());
    /// ```
    #[must_use]
    pub fn normalize(mut raw: Vec<f32>) -> Option<Self> {
        // In f64, as the squares of ordinary f32 values can overflow f32.
        let norm = raw.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        if !norm.is_finite() || norm == 0.0 {
            return None;
        }
        for x in &mut raw {
            #[expect(clippy::cast_possible_truncation, reason = "a quotient of at most 1")]
            let scaled = (f64::from(*x) / norm) as f32;
            *x = scaled;
        }
        Some(Self(raw.into_boxed_slice()))
    }

    /// The components.
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// How many components there are.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.0.len()
    }

    /// Cosine similarity of the two pictures or texts.
    #[must_use]
    pub fn similarity(&self, other: &Self) -> Similarity {
        Similarity::from_cosine(self.0.iter().zip(&other.0).map(|(a, b)| a * b).sum())
    }
}

/// How alike two embeddings are: the plain cosine, so 1 is the same
/// direction, 0 unrelated and -1 opposite.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Similarity(f32);

impl Similarity {
    /// A cosine, which rounding may have carried a little past ±1.
    #[must_use]
    pub fn from_cosine(cosine: f32) -> Self {
        Self(cosine.clamp(-1.0, 1.0))
    }

    /// The cosine, in `[-1, 1]`.
    #[must_use]
    pub fn cosine(self) -> f32 {
        self.0
    }
}
