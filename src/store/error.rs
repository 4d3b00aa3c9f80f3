//! What can go wrong in a store, in words for the person at the terminal.
//!
//! A case exists where a caller may act on it; everything else is
//! [`Error::Storage`].

use std::error::Error as StdError;
use std::path::PathBuf;

use super::astra;
use crate::domain::{ModelId, Place, Printable};

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An embedding of another length than the space has.
    #[error(
        "the embedding has {actual} components where the collection has {expected}: \
         it comes from another model"
    )]
    Dimension {
        /// Components per embedding of the space.
        expected: usize,
        /// Components of the one offered.
        actual: usize,
    },

    /// Nothing has been loaded yet: there is no file, or an empty one.
    #[error("there is no collection {place}: load a folder of pictures first")]
    NoCollection {
        /// Where it was looked for.
        place: Place,
    },

    /// The collection has pictures, but none embedded by this model.
    #[error(
        "the collection {place} holds nothing embedded by {}, only by {}: load the pictures with \
         this model{}, or search with the model they were loaded with",
        named(.wanted), listed(.held), another(.place)
    )]
    OtherModel {
        /// The collection.
        place: Place,
        /// The model that was asked for.
        wanted: ModelId,
        /// The models there are.
        held: Vec<ModelId>,
    },

    /// The file is something else; it was left as it is.
    #[error(
        "{} is not a carlens collection and was left untouched: choose another name for the \
         collection, or move that file away",
        Printable::new(.path)
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
    },

    /// The collection was written by a newer carlens; it was left as it is.
    #[error(
        "the collection {} was written by a newer carlens (format {found}, this one knows \
         {known}): update carlens",
        Printable::new(.path)
    )]
    NewerVersion {
        /// The collection's file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format this program knows.
        known: i64,
    },

    /// Writing is needed and not possible.
    #[error(
        "cannot {doing} in {}: the file, its folder or the disk is read-only. Allow writing \
         there, or copy the collection to a place where you can write",
        Printable::new(.path)
    )]
    ReadOnly {
        /// The collection's file.
        path: PathBuf,
        /// What needs to write, such as "store pictures".
        doing: &'static str,
    },

    /// No room to write. What was stored before is still there.
    #[error(
        "the disk of {} is full: free some space and try again. Everything stored so far is kept",
        Printable::new(.path)
    )]
    DiskFull {
        /// The collection's file.
        path: PathBuf,
    },

    /// Another process kept writing for as long as one waits.
    #[error(
        "another program is writing to the collection {}: try again when it has finished",
        Printable::new(.path)
    )]
    Busy {
        /// The collection's file.
        path: PathBuf,
    },

    /// The file is ours, and its content contradicts itself.
    #[error(
        "the collection {} is damaged: `carlens check --repair` saves what can be read of it, and \
         `carlens restore` puts a backup in its place",
        Printable::new(.path)
    )]
    Damaged {
        /// The collection's file.
        path: PathBuf,
        /// What was found.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// A file is there already, and nobody said that it may go.
    #[error("{} is there already: choose another name, or replace it with --force", Printable::new(.path))]
    Taken {
        /// The file.
        path: PathBuf,
    },

    /// The file for a backup is the collection itself, or belongs to it.
    #[error("{} is the collection itself: choose another name for the backup", Printable::new(.path))]
    BackupIsCollection {
        /// The file.
        path: PathBuf,
    },

    /// A backup cannot be written.
    #[error("the backup {} cannot be written", Printable::new(.path))]
    Unwritten {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// A file cannot be restored; the collection was left as it is.
    #[error("{} cannot be restored, as {finding}; nothing was changed", Printable::new(.path))]
    UnfitBackup {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, as a clause.
        finding: String,
    },

    /// Nothing can be saved from a damaged collection.
    #[error(
        "nothing can be read of the collection {} any more: restore a backup of it, or move it \
         away and load the pictures again",
        Printable::new(.path)
    )]
    BeyondRepair {
        /// The collection's file.
        path: PathBuf,
        /// What was found.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// Whoever asked wants it no more.
    #[error("it was stopped")]
    Stopped,

    /// The database behind the Data API, or the way to it.
    #[error(transparent)]
    Database(#[from] astra::Error),

    /// Anything else the storage says.
    #[error("the collection {} cannot be used", Printable::new(.path))]
    Storage {
        /// The collection's file.
        path: PathBuf,
        /// What it said.
        source: Box<dyn StdError + Send + Sync>,
    },
}

/// A model by its name and the start of its fingerprint, as two checkpoints
/// can go by one name.
fn named(model: &ModelId) -> String {
    let fingerprint = model.fingerprint.to_string();
    format!("{} ({})", Printable::new(&model.name), &fingerprint[..8])
}

/// A database keeps one model's pictures in a collection, a file any number.
fn another(place: &Place) -> &'static str {
    if place.is_shared() { " into a collection of another name" } else { "" }
}

fn listed(models: &[ModelId]) -> String {
    models.iter().map(named).collect::<Vec<_>>().join(", ")
}
