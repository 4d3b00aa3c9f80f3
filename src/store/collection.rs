//! Which collection is in use, of whichever store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use super::astra::Database;
use super::embedded::{self, Embedded};
use super::{Error, VectorStore, Wait};
use crate::domain::{CollectionSpec, Place, SpaceSummary};

/// A collection that may be opened, and may not be there yet.
#[derive(Clone)]
pub enum Collection {
    /// A file of this machine.
    Embedded(PathBuf),
    /// In a database, and a place on this machine beside which its loads are
    /// told of.
    Astra(Database, PathBuf),
}

impl Collection {
    /// Opens it for searching what the model in `spec` embedded.
    ///
    /// # Errors
    /// Among others [`Error::NoCollection`] and [`Error::OtherModel`].
    pub async fn open(&self, spec: &CollectionSpec) -> Result<Arc<dyn VectorStore>, Error> {
        Ok(match self {
            Self::Embedded(path) => Arc::new(Embedded::open(path, spec).await?),
            Self::Astra(database, _) => Arc::new(database.open(spec).await?),
        })
    }

    /// Opens it for loading as well; makes it where it is missing.
    ///
    /// # Errors
    /// If it cannot be made, or holds what must not be mixed with the model's
    /// embeddings.
    pub async fn create(&self, spec: &CollectionSpec) -> Result<Arc<dyn VectorStore>, Error> {
        Ok(match self {
            Self::Embedded(path) => Arc::new(Embedded::create(path, spec).await?),
            Self::Astra(database, _) => Arc::new(database.create(spec).await?),
        })
    }

    /// What it holds, of every model that has embedded anything; nothing if it
    /// is not there yet.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn spaces(&self) -> Result<Vec<SpaceSummary>, Error> {
        let spaces = match self {
            Self::Embedded(path) => match embedded::spaces(path).await {
                Err(Error::NoCollection { .. }) => Vec::new(),
                spaces => spaces?,
            },
            Self::Astra(database, _) => database.spaces().await?,
        };
        // A folder may be known of which nothing could be embedded yet.
        let is_empty = |space: &SpaceSummary| {
            space.pictures.pictures + space.hidden == 0 && space.folders.is_empty()
        };
        Ok(spaces.into_iter().filter(|space| !is_empty(space)).collect())
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> Place {
        match self {
            Self::Embedded(path) => Place::File(path.clone()),
            Self::Astra(database, _) => database.place(),
        }
    }

    /// Beside what on this machine its loads are told of.
    #[must_use]
    pub fn on_this_machine(&self) -> &Path {
        let (Self::Embedded(path) | Self::Astra(_, path)) = self;
        path
    }

    /// What its store waits for, while it does; `None` if it never waits.
    #[must_use]
    pub fn waits(&self) -> Option<watch::Receiver<Option<Wait>>> {
        match self {
            Self::Embedded(_) => None,
            Self::Astra(database, _) => Some(database.waits()),
        }
    }
}

/// The same place is the same collection.
impl PartialEq for Collection {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Collection {}

impl std::fmt::Debug for Collection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Collection").field(&self.place()).finish()
    }
}
