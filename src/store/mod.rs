//! Where embeddings live and are searched.
//!
//! One trait with one meaning, told to every implementation by the same
//! contract test. A *collection* is a named set of pictures; within it every
//! model has a *space* of its own, and a search never leaves the space of the
//! model that embedded its query.

pub mod embedded;
mod error;
mod scan;

use std::collections::HashMap;

use async_trait::async_trait;

pub use self::embedded::Embedded;
pub use self::error::Error;
use crate::domain::{Embedding, FileStamp, Hit, ImageId, Record};

/// A space of a collection: embeddings of one model, searched by cosine.
///
/// Implementations never block the executor.
#[async_trait]
pub trait VectorStore: Send + Sync {
    /// Inserts `records`, replacing those whose id is already there. All of
    /// them are stored when it returns, or none.
    async fn upsert(&self, records: Vec<Record>) -> Result<(), Error>;

    /// Removes the pictures named by `ids`; returns how many were there.
    async fn delete(&self, ids: Vec<ImageId>) -> Result<usize, Error>;

    /// The `limit` pictures most similar to `query`: exact, best first, equal
    /// ones ordered by id.
    async fn search(&self, query: Embedding, limit: usize) -> Result<Vec<Hit>, Error>;

    /// The records of those `ids` that are there, in the order asked.
    async fn get(&self, ids: Vec<ImageId>) -> Result<Vec<Record>, Error>;

    /// The stamps of those `ids` that are there, so that a second load is
    /// short.
    async fn stamps(&self, ids: Vec<ImageId>) -> Result<HashMap<ImageId, FileStamp>, Error>;

    /// How many pictures there are.
    async fn count(&self) -> Result<u64, Error>;

    /// Does what makes the next opening and search quick, worth its time after
    /// a load. Never needed for an answer to be right, so it cannot fail.
    async fn optimize(&self) {}
}
