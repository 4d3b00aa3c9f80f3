//! What a check of a collection finds, and what a repair did about it.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// How many of a kind are named.
const EXAMPLES: usize = 3;

/// What can be wrong with a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The file itself: its pages contradict each other, or hold values of
    /// types that nobody stored.
    File,
    /// A picture whose path, size, hash or model makes no sense.
    Row,
    /// A picture of a folder that is not there.
    NoFolder,
    /// A picture without an embedding.
    NoEmbedding,
    /// A picture that is both shown and hidden.
    ShownAndHidden,
    /// An embedding without a picture.
    Orphan,
    /// An embedding of a wrong length, not finite, or without a direction.
    Vector,
    /// An embedding that is not of unit length, so that its similarity to
    /// anything is not the cosine.
    Length,
    /// A file that is stored twice.
    Duplicate,
    /// Numbers of changes by which others cannot follow.
    Numbering,
    /// A matrix file that differs from the collection it is of.
    Matrix,
}

/// The faults of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How many.
    pub count: u64,
    /// Some of them, as they come from files: not to be printed as they are.
    pub examples: Vec<String>,
}

/// What a check finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Pictures that are searched.
    pub pictures: u64,
    /// Pictures that are hidden.
    pub hidden: u64,
    /// Pictures that are searched and whose files are not there. Nothing is
    /// wrong with the collection then: a load hides them.
    pub missing: u64,
    /// Pictures that are hidden and whose files are there, as long as they were.
    pub back: u64,
    /// All that is wrong.
    pub faults: BTreeMap<Fault, Found>,
}

impl Findings {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    pub(crate) fn add(&mut self, fault: Fault, example: impl FnOnce() -> String) {
        let found = self.faults.entry(fault).or_default();
        found.count += 1;
        if found.examples.len() < EXAMPLES {
            found.examples.push(example());
        }
    }
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// How many faults of each kind are no more.
    pub faults: BTreeMap<Fault, u64>,
    /// Pictures that were removed or could not be read, and which the next
    /// load embeds again: at most, where a file was damaged.
    pub lost: u64,
    /// Pictures that were read out of a damaged file.
    pub salvaged: Option<u64>,
    /// The name that the damaged file is kept by.
    pub kept: Option<PathBuf>,
}
