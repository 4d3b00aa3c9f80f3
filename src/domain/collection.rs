//! What a collection is and what it holds.

use std::fmt;
use std::path::PathBuf;

use super::{ModelId, Printable};

/// What the embeddings of one space of a collection have in common. The
/// metric is the cosine throughout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionSpec {
    /// The model that made the embeddings.
    pub model: ModelId,
    /// Components per embedding.
    pub dimension: usize,
}

/// Where a collection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file of this machine.
    File(PathBuf),
    /// In a database behind the Data API.
    Database(Box<DatabasePlace>),
}

/// Where in which database a collection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabasePlace {
    /// Who serves it.
    pub service: Service,
    /// Its address, without anything secret.
    pub endpoint: String,
    /// The keyspace in it.
    pub keyspace: String,
    /// The collection's name.
    pub collection: String,
}

/// Who serves a Data API. They differ in paths and tokens only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// `DataStax` Astra DB.
    Astra,
    /// HCD, DSE or Cassandra behind a Data API of one's own.
    SelfHosted,
}

impl Place {
    /// Whether others may have put things there, from other machines.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Database(_))
    }

    /// Which of the `store` settings this is.
    #[must_use]
    pub fn store(&self) -> &'static str {
        if self.is_shared() { "astra" } else { "embedded" }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => Printable::new(path).fmt(f),
            Self::Database(place) => write!(
                f,
                "{} in {} of {} at {}",
                Printable::new(&place.collection),
                Printable::new(&place.keyspace),
                place.service,
                Printable::new(&place.endpoint)
            ),
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Astra => "Astra DB",
            Self::SelfHosted => "the Data API",
        })
    }
}

/// How many pictures there are, as far as a store can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// So many.
    pub pictures: u64,
    /// How well that is known.
    pub accuracy: Accuracy,
}

/// How well a number is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accuracy {
    /// Counted.
    #[default]
    Exact,
    /// Estimated.
    Estimate,
    /// There are more.
    AtLeast,
}

impl Count {
    /// So many, counted.
    #[must_use]
    pub fn exactly(pictures: u64) -> Self {
        Self { pictures, accuracy: Accuracy::Exact }
    }

    /// So many, estimated.
    #[must_use]
    pub fn about(pictures: u64) -> Self {
        Self { pictures, accuracy: Accuracy::Estimate }
    }

    /// More than so many.
    #[must_use]
    pub fn over(pictures: u64) -> Self {
        Self { pictures, accuracy: Accuracy::AtLeast }
    }

    /// Whether they were counted to the end.
    #[must_use]
    pub fn is_exact(self) -> bool {
        self.accuracy == Accuracy::Exact
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.accuracy {
            Accuracy::Exact => "",
            Accuracy::Estimate => "about ",
            Accuracy::AtLeast => "over ",
        })?;
        self.pictures.fmt(f)
    }
}

/// What one model's part of a collection holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceSummary {
    /// The model that made the embeddings, if that was recorded.
    pub model: Option<ModelId>,
    /// Components per embedding.
    pub dimension: usize,
    /// How many pictures there are.
    pub pictures: Count,
    /// How many are hidden besides, as their files are gone.
    pub hidden: u64,
    /// The folders they were loaded from, by path.
    pub folders: Vec<FolderSummary>,
    /// Bytes on disk of the whole collection, which its spaces share.
    pub bytes: Option<u64>,
}

/// One folder of a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderSummary {
    /// Its path, on the machine that loaded it.
    pub path: PathBuf,
    /// How many pictures are from there, where the store keeps count.
    pub pictures: Option<u64>,
    /// Whether it is to be loaded again from here: a shared collection also
    /// knows folders of other machines.
    pub here: bool,
}

impl SpaceSummary {
    /// The model's name, for people.
    #[must_use]
    pub fn model_name(&self) -> String {
        let unknown = || "a model that is not recorded".to_owned();
        self.model.as_ref().map_or_else(unknown, |model| Printable::new(&model.name).to_string())
    }
}
