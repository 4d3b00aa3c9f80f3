//! Where embeddings live and are searched.
//!
//! One trait with one meaning, told to every implementation by the same
//! contract test. A *collection* is a named set of pictures; within it every
//! model has a *space* of its own, and a search never leaves the space of the
//! model that embedded its query.
//!
//! - [`embedded`]: a file of this machine, the default;
//! - [`astra`]: Astra DB, or whatever else serves its Data API.

pub mod astra;
mod collection;
pub mod embedded;
mod error;
mod failures;
mod findings;
mod scan;
mod spread;
mod wait;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

pub use self::astra::Astra;
pub use self::collection::Collection;
pub(crate) use self::embedded::beside;
pub use self::embedded::{BackedUp, Below, Embedded, Relocated, Restore, Restored};
pub use self::error::Error;
pub use self::failures::{Failed, Failures};
pub use self::findings::{Fault, Findings, Found, Mended};
pub use self::wait::{Wait, WaitReason};
use crate::domain::{Count, Embedding, FileStamp, Hit, ImageId, Record};

/// A space of a collection: embeddings of one model, searched by cosine.
///
/// Implementations never block the executor.
#[async_trait]
pub trait VectorStore: Send + Sync {
    /// Inserts `records`, replacing those whose id is already there. Those
    /// that the store does not take are returned; all others are stored. On an
    /// error some of them may be, and storing them again does no harm.
    async fn upsert(&self, records: Vec<Record>) -> Result<Vec<Refused>, Error>;

    /// Removes the pictures named by `ids`; returns how many were there.
    async fn delete(&self, ids: Vec<ImageId>) -> Result<usize, Error>;

    /// The `limit` pictures most similar to `query`, best first, equal ones
    /// ordered by id; only those below the absolute path `within`, if there is
    /// one. A store may know only so many, or approximately which.
    async fn search_within(
        &self,
        query: Embedding,
        limit: usize,
        within: Option<&Path>,
    ) -> Result<Vec<Hit>, Error>;

    /// The same of all pictures.
    async fn search(&self, query: Embedding, limit: usize) -> Result<Vec<Hit>, Error> {
        self.search_within(query, limit, None).await
    }

    /// The records of those `ids` that are there, hidden or not, in the order
    /// asked.
    async fn get(&self, ids: Vec<ImageId>) -> Result<Vec<Record>, Error>;

    /// What is known of the files of those `ids` that are there, hidden or
    /// not, so that a second load is short.
    async fn known(&self, ids: Vec<ImageId>) -> Result<HashMap<ImageId, Known>, Error>;

    /// The records, hidden or not, of files with one of these contents, by
    /// SHA-256: what was embedded once need not be embedded again under
    /// another name. A store may know only some.
    async fn with_content(&self, hashes: Vec<[u8; 32]>) -> Result<Vec<Record>, Error>;

    /// Every picture, hidden or not, page by page, in an order of the store's
    /// own. Pictures stored or removed meanwhile may be missed.
    async fn list(&self, page: Page) -> Result<Listing, Error>;

    /// How many pictures there are that are not hidden.
    async fn count(&self) -> Result<Count, Error>;

    /// The folders that pictures were loaded from, as ids name them.
    async fn folders(&self) -> Result<Vec<PathBuf>, Error>;

    /// Makes `folder` one of them, though no picture of it may be there; a store
    /// that machines share knows those that pictures are from.
    async fn add_folder(&self, _folder: PathBuf) -> Result<(), Error> {
        Ok(())
    }

    /// Forgets those of `folders` that no picture is from.
    async fn forget_folders(&self, _folders: Vec<PathBuf>) -> Result<(), Error> {
        Ok(())
    }

    /// Whether pictures can be hidden: not where machines share the store, as
    /// what one of them lacks another may have.
    fn can_hide(&self) -> bool {
        false
    }

    /// Leaves the pictures named by `ids` out of every search until they are
    /// shown or stored again; returns how many were not hidden before.
    async fn hide(&self, _ids: Vec<ImageId>) -> Result<usize, Error> {
        Ok(0)
    }

    /// Takes hidden pictures back into searches; returns how many were hidden.
    async fn show(&self, _ids: Vec<ImageId>) -> Result<usize, Error> {
        Ok(0)
    }

    /// Whether the model that made the embeddings is known to be the one whose
    /// space this is; where it is not, the user has to know.
    fn is_of_known_origin(&self) -> bool {
        true
    }

    /// How many upserts are worth having under way at a time.
    fn upserts_in_flight(&self) -> usize {
        1
    }

    /// Does what makes the next opening and search quick, worth its time after
    /// a load. Never needed for an answer to be right, so it cannot fail.
    async fn optimize(&self) {}
}

/// A picture that a store does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub id: ImageId,
    /// Why, as the end of a sentence that begins with the picture.
    pub reason: String,
}

/// Where a listing goes on: at first [`Page::default`], then as it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page(Option<String>);

impl Page {
    fn at(place: String) -> Self {
        Self(Some(place))
    }

    fn place(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// A page of a listing.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// Some pictures.
    pub pictures: Vec<Listed>,
    /// The page after this one, if there is any.
    pub next: Option<Page>,
}

/// A picture in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Which.
    pub id: ImageId,
    /// What is known of its file.
    pub known: Known,
}

/// What a store knows of a picture's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The file as it was when it was embedded, where that is recorded.
    pub stamp: Option<FileStamp>,
    /// Whether the picture is hidden, as the file was gone.
    pub hidden: bool,
}
