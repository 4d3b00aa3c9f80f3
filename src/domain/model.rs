//! Which model an embedding came from: embeddings of two models never mix.

use std::fmt;

/// SHA-256 over what decides a checkpoint's embeddings. Two checkpoints with
/// the same fingerprint give the same embeddings.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// A model as a collection records it. Only the fingerprint decides whether
/// two are the same; the name is for people.
#[derive(Clone, Debug)]
pub struct ModelId {
    /// The preset or folder it was opened as.
    pub name: String,
    /// What its embeddings depend on.
    pub fingerprint: Fingerprint,
}

impl PartialEq for ModelId {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for ModelId {}

/// What the embeddings of one space of a collection have in common. The
/// metric is the cosine throughout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionSpec {
    /// The model that made the embeddings.
    pub model: ModelId,
    /// Components per embedding.
    pub dimension: usize,
}
