//! The embedded collection: one SQLite file in this machine's file system,
//! searched exactly.
//!
//! The file is the only truth. It is written by one process at a time, a
//! batch per transaction, and read by any number meanwhile; a process killed
//! at any moment loses at most the batch in hand, and nothing needs repair.
//! For searching, a matrix of all embeddings is kept in memory (or mapped
//! from a file beside the collection that can be made anew at any time) and
//! follows what other processes commit.
//!
//! ```text
//! connection  opens the file; schema says what is in it, space for which model
//! write       batches in            read    records and names out
//! index       keeps the matrix in step with the file
//! matrix      compares; sidecar keeps it between runs
//! backup      one file of it; restore puts one in its place
//! staged      a file in the making; stop ends what nobody wants any more
//! relocate    follows a folder that was moved
//! check       finds what is wrong; repair mends it, salvage a damaged file
//! ```

mod backup;
mod best;
mod check;
mod checksum;
mod claim;
mod columns;
mod connection;
mod failure;
mod index;
mod integrity;
mod leaves;
mod matrix;
mod numbered;
mod read;
mod relocate;
mod repair;
mod restore;
mod salvage;
mod schema;
mod sidecar;
mod space;
mod staged;
mod stop;
mod write;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

pub use self::backup::BackedUp;
pub(super) use self::columns::PathColumn;
pub(crate) use self::connection::beside;
use self::failure::{At, STORING};
use self::index::Index;
pub use self::relocate::{Below, Relocated};
pub use self::restore::{Restore, Restored};
#[cfg(any(test, fuzzing))]
pub(crate) use self::sidecar::sum_anew;
use self::space::Space;
use super::{Error, Findings, Known, Listed, Listing, Mended, Page, Refused, VectorStore};
use crate::domain::{CollectionSpec, Count, Embedding, Hit, ImageId, Record, SpaceSummary};

/// A matrix file is saved anew once this many changes are not in it: fewer
/// are read from the collection in an instant.
const CHANGES_WORTH_SAVING: i64 = 4096;

/// How many pictures a page of a listing has.
const PAGE: usize = 1000;

/// How many pictures are looked up between two chances for others to ask.
const TURN: usize = 256;

/// One space of a collection file.
///
/// Clones share the open file.
#[derive(Clone)]
pub struct Embedded(Arc<Open>);

/// Each has a connection of its own: a search waits neither for a batch being
/// written nor for records being read.
struct Open {
    path: PathBuf,
    space: Space,
    index: Index,
    reader: Mutex<Connection>,
    /// None if opened for searching.
    writer: Option<Mutex<Connection>>,
}

impl Embedded {
    /// Opens the collection at `path` for writing and searching; makes it, and
    /// the space of the model in `spec` beside those of other models, where
    /// they are missing.
    ///
    /// # Errors
    /// Among others [`Error::NotOurs`], [`Error::NewerVersion`] (the file is
    /// left as it was), [`Error::ReadOnly`] and [`Error::DiskFull`].
    pub async fn create(path: &Path, spec: &CollectionSpec) -> Result<Self, Error> {
        let (path, spec) = (path.to_path_buf(), spec.clone());
        blocking(move || {
            let path = absolute(&path)?;
            let writer = connection::for_writing(&path)?;
            let space = space::find_or_make(&writer, &path, &spec)?;
            Open::with(path, space, Some(writer))
        })
        .await
    }

    /// Opens the collection at `path` for searching what the model in `spec`
    /// embedded, also on a read-only disk. Writing to it is
    /// [`Error::ReadOnly`].
    ///
    /// # Errors
    /// Among others [`Error::NoCollection`], [`Error::OtherModel`],
    /// [`Error::NotOurs`] and [`Error::NewerVersion`].
    pub async fn open(path: &Path, spec: &CollectionSpec) -> Result<Self, Error> {
        let (path, spec) = (path.to_path_buf(), spec.clone());
        blocking(move || {
            let path = absolute(&path)?;
            let space = space::find(&connection::for_reading(&path)?, &path, &spec)?;
            Open::with(path, space, None)
        })
        .await
    }

    /// The collection's file, absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Open) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let open = Arc::clone(&self.0);
        blocking(move || work(&open)).await
    }
}

/// What the collection at `path` holds of each model, oldest first. Needs no
/// model, and no right to write.
///
/// # Errors
/// Among others [`Error::NoCollection`], [`Error::NotOurs`] and
/// [`Error::NewerVersion`].
pub async fn spaces(path: &Path) -> Result<Vec<SpaceSummary>, Error> {
    let path = path.to_path_buf();
    blocking(move || {
        let path = absolute(&path)?;
        space::summaries(&connection::for_reading(&path)?, &path)
    })
    .await
}

/// Copies the collection at `path` to `file`, as it is at one moment, while
/// others use it. The file is there whole or not at all.
///
/// # Errors
/// Among others [`Error::Taken`] if `file` is there and not to be `replace`d,
/// [`Error::BackupIsCollection`], [`Error::DiskFull`], [`Error::Unwritten`]
/// and [`Error::Stopped`].
pub async fn backup(
    path: &Path,
    file: &Path,
    replace: bool,
    token: &CancellationToken,
) -> Result<BackedUp, Error> {
    let (path, file, token) = (path.to_owned(), file.to_owned(), token.clone());
    blocking(move || backup::make(&absolute(&path)?, &absolute(&file)?, replace, &token)).await
}

/// Puts the backup `file` in the place of the collection at `path`, while
/// others search it. Whoever calls keeps others from loading meanwhile.
///
/// # Errors
/// Among others [`Error::UnfitBackup`]: then, as after all of them, the
/// collection is as it was.
pub async fn restore(
    path: &Path,
    file: &Path,
    replace: bool,
    token: &CancellationToken,
) -> Result<Restore, Error> {
    let (path, file, token) = (path.to_owned(), file.to_owned(), token.clone());
    blocking(move || restore::put(&absolute(&path)?, &absolute(&file)?, replace, &token)).await
}

/// Looks for whatever may be wrong with the collection at `path`; changes
/// nothing. `tell` hears how many pictures of how many have been looked at.
///
/// # Errors
/// Among others [`Error::NoCollection`], [`Error::NotOurs`],
/// [`Error::NewerVersion`] and [`Error::Stopped`]; damage is a finding.
pub async fn check(
    path: &Path,
    token: &CancellationToken,
    tell: impl Fn(u64, u64) + Send + 'static,
) -> Result<Findings, Error> {
    let (path, token) = (path.to_owned(), token.clone());
    blocking(move || check::look(&absolute(&path)?, &token, &tell)).await
}

/// Mends what [`check()`] finds wrong. Whoever calls keeps others from loading
/// meanwhile.
///
/// # Errors
/// Among others [`Error::BeyondRepair`] and [`Error::Stopped`]; then the
/// collection is as it was.
pub async fn repair(
    path: &Path,
    token: &CancellationToken,
    tell: impl Fn(u64, u64) + Send + 'static,
) -> Result<Mended, Error> {
    let (path, token) = (path.to_owned(), token.clone());
    blocking(move || repair::mend(&absolute(&path)?, &token, &tell)).await
}

/// What the collection at `path` has below the absolute `folder`.
///
/// # Errors
/// Among others [`Error::NoCollection`].
pub async fn below(path: &Path, folder: &Path) -> Result<Below, Error> {
    let (path, folder) = (path.to_owned(), folder.to_owned());
    blocking(move || relocate::below(&absolute(&path)?, &folder)).await
}

/// Gives what the collection at `path` has below the absolute `folder` the
/// names that `rename` makes of its old places, all at once. What is known by
/// the new name already stays, in the place of what comes. Whoever calls keeps
/// others from loading meanwhile.
///
/// # Errors
/// Then nothing is renamed.
pub async fn relocate(
    path: &Path,
    folder: &Path,
    rename: impl Fn(&Path) -> ImageId + Send + 'static,
) -> Result<Relocated, Error> {
    let (path, folder) = (path.to_owned(), folder.to_owned());
    blocking(move || relocate::to(&absolute(&path)?, &folder, &rename)).await
}

#[async_trait]
impl VectorStore for Embedded {
    /// All of them are stored when it returns, or none; nothing is refused.
    async fn upsert(&self, records: Vec<Record>) -> Result<Vec<Refused>, Error> {
        self.blocking(move |open| open.upsert(&records)).await.map(|()| Vec::new())
    }

    async fn delete(&self, ids: Vec<ImageId>) -> Result<usize, Error> {
        self.blocking(move |open| {
            write::delete(&mut *open.writer()?, &open.space, &ids).at(&open.path)
        })
        .await
    }

    async fn search_within(
        &self,
        query: Embedding,
        limit: usize,
        within: Option<&Path>,
    ) -> Result<Vec<Hit>, Error> {
        let within = within.map(Path::to_path_buf);
        self.blocking(move |open| match within {
            None => open.search(&query, limit),
            Some(within) => open.search_within(&query, limit, &within),
        })
        .await
    }

    async fn get(&self, ids: Vec<ImageId>) -> Result<Vec<Record>, Error> {
        self.blocking(move |open| open.look_up(&ids, read::record)).await
    }

    async fn known(&self, ids: Vec<ImageId>) -> Result<HashMap<ImageId, Known>, Error> {
        self.blocking(move |open| {
            let named = |connection: &_, space: &_, id: &ImageId| {
                Ok(read::known(connection, space, id)?.map(|known| (id.clone(), known)))
            };
            open.look_up(&ids, named).map(HashMap::from_iter)
        })
        .await
    }

    async fn with_content(&self, hashes: Vec<[u8; 32]>) -> Result<Vec<Record>, Error> {
        self.blocking(move |open| {
            let reader = open.reader();
            let records = hashes.iter().map(|hash| read::with_content(&reader, &open.space, hash));
            records.collect::<rusqlite::Result<Vec<_>>>().map(|found| found.concat()).at(&open.path)
        })
        .await
    }

    async fn folders(&self) -> Result<Vec<PathBuf>, Error> {
        self.blocking(|open| read::folders(&open.reader()).at(&open.path)).await
    }

    async fn add_folder(&self, folder: PathBuf) -> Result<(), Error> {
        self.blocking(move |open| {
            write::folder_number(&*open.writer()?, &folder).map(drop).at(&open.path)
        })
        .await
    }

    async fn forget_folders(&self, folders: Vec<PathBuf>) -> Result<(), Error> {
        self.blocking(move |open| write::forget_folders(&*open.writer()?, &folders).at(&open.path))
            .await
    }

    fn can_hide(&self) -> bool {
        true
    }

    async fn hide(&self, ids: Vec<ImageId>) -> Result<usize, Error> {
        self.blocking(move |open| {
            write::hide(&mut *open.writer()?, &open.space, &ids).at(&open.path)
        })
        .await
    }

    async fn show(&self, ids: Vec<ImageId>) -> Result<usize, Error> {
        self.blocking(move |open| {
            write::show(&mut *open.writer()?, &open.space, &ids).at(&open.path)
        })
        .await
    }

    async fn list(&self, page: Page) -> Result<Listing, Error> {
        self.blocking(move |open| open.list(&page)).await
    }

    async fn count(&self) -> Result<Count, Error> {
        let count = |open: &Open| read::count(&open.reader(), &open.space).at(&open.path);
        self.blocking(count).await.map(Count::exactly)
    }

    /// Saves the matrix for the next opening, if enough has changed. Not
    /// being able to is no failure: it can be made anew at any time.
    async fn optimize(&self) {
        if self.0.writer.is_none() {
            return;
        }
        let open = Arc::clone(&self.0);
        if let Err(reason) = blocking(move || open.save_matrix()).await {
            tracing::warn!(reason, "the matrix is not saved; the next first search is slower");
        }
    }
}

impl Open {
    fn with(path: PathBuf, space: Space, writer: Option<Connection>) -> Result<Embedded, Error> {
        let index = Index::new(path.clone(), space, connection::for_reading(&path)?);
        let reader = Mutex::new(connection::for_reading(&path)?);
        let writer = writer.map(Mutex::new);
        Ok(Embedded(Arc::new(Self { path, space, index, reader, writer })))
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> Result<MutexGuard<'_, Connection>, Error> {
        let read_only = || Error::ReadOnly { path: self.path.clone(), doing: STORING };
        let writer = self.writer.as_ref().ok_or_else(read_only)?;
        Ok(writer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn check_dimension(&self, embedding: &Embedding) -> Result<(), Error> {
        let (expected, actual) = (self.space.dimension, embedding.dimension());
        if expected == actual { Ok(()) } else { Err(Error::Dimension { expected, actual }) }
    }

    fn upsert(&self, records: &[Record]) -> Result<(), Error> {
        records.iter().try_for_each(|record| self.check_dimension(&record.embedding))?;
        write::upsert(&mut *self.writer()?, &self.space, records).at(&self.path)
    }

    fn search(&self, query: &Embedding, limit: usize) -> Result<Vec<Hit>, Error> {
        self.check_dimension(query)?;
        if limit == 0 {
            return Ok(Vec::new());
        }
        let (nearest, spread) = self.index.nearest(query, limit)?;
        let hits = {
            let reader = self.reader();
            let hits = nearest.into_iter().map(|candidate| read::hit(&reader, candidate, &spread));
            hits.collect::<rusqlite::Result<Option<_>>>().at(&self.path)?
        };
        // None if a picture was removed while we searched, or lacks its row in
        // a damaged file: without it, another belongs among the best.
        hits.map_or_else(|| self.best_named(query, limit, |_| true), |hits| Ok(ranked(hits, limit)))
    }

    fn search_within(
        &self,
        query: &Embedding,
        limit: usize,
        within: &Path,
    ) -> Result<Vec<Hit>, Error> {
        self.check_dimension(query)?;
        if limit == 0 {
            return Ok(Vec::new());
        }
        self.best_named(query, limit, |hit| hit.id.location().starts_with(within))
    }

    /// Names the best of all until enough of them are `wanted`; passes over
    /// those that cannot be named.
    fn best_named(
        &self,
        query: &Embedding,
        limit: usize,
        wanted: impl Fn(&Hit) -> bool,
    ) -> Result<Vec<Hit>, Error> {
        let (mut nearest, spread) = self.index.nearest(query, usize::MAX)?;
        nearest.sort_by(|a, b| b.similarity.cosine().total_cmp(&a.similarity.cosine()));
        let reader = self.reader();
        let mut hits: Vec<Hit> = Vec::new();
        for candidate in nearest {
            // Those equal to the last one count, as ids decide among them.
            let last = hits.get(limit - 1).map(|hit| hit.similarity);
            if last.is_some_and(|last| candidate.similarity < last) {
                break;
            }
            let hit = read::hit(&reader, candidate, &spread).at(&self.path)?;
            hits.extend(hit.filter(&wanted));
        }
        Ok(ranked(hits, limit))
    }

    /// What `find` finds of `ids`, in their order.
    fn look_up<T>(
        &self,
        ids: &[ImageId],
        find: impl Fn(&Connection, &Space, &ImageId) -> rusqlite::Result<Option<T>>,
    ) -> Result<Vec<T>, Error> {
        let mut found = Vec::new();
        for turn in ids.chunks(TURN) {
            let reader = self.reader();
            for id in turn {
                found.extend(find(&reader, &self.space, id).at(&self.path)?);
            }
        }
        Ok(found)
    }

    fn list(&self, page: &Page) -> Result<Listing, Error> {
        let after = page.place().and_then(|place| place.parse().ok()).unwrap_or(0);
        let listed = read::listed(&self.reader(), &self.space, after, PAGE).at(&self.path)?;
        let full = listed.len() == PAGE;
        let next = listed.last().filter(|_| full).map(|(last, _)| Page::at(last.to_string()));
        let pictures = listed.into_iter().map(|(_, listed)| listed).collect::<Vec<Listed>>();
        Ok(Listing { pictures, next })
    }

    /// Reads through a connection of its own, as that may take seconds.
    fn save_matrix(&self) -> Result<(), sidecar::Unsaved> {
        let mut reading = connection::for_reading(&self.path)?;
        if self.unsaved_changes(&reading)? < CHANGES_WORTH_SAVING {
            return Ok(());
        }
        let mark = sidecar::save(&mut reading, &self.path, &self.space)?;
        // None if another process is at it.
        mark.map_or(Ok(()), |mark| Ok(space::set_matrix_mark(&*self.writer()?, &self.space, mark)?))
    }

    fn unsaved_changes(&self, connection: &Connection) -> rusqlite::Result<i64> {
        let place = sidecar::path(&self.path, &self.space);
        let saved = space::matrix_mark(connection, &self.space)?
            .and_then(|mark| sidecar::last_change(&place, &self.space, mark));
        Ok(space::last_change(connection, &self.space)?.saturating_sub(saved.unwrap_or(0)))
    }
}

/// Best first, equal ones by id.
fn ranked(mut hits: Vec<Hit>, limit: usize) -> Vec<Hit> {
    hits.sort_by(|a, b| {
        b.similarity.cosine().total_cmp(&a.similarity.cosine()).then_with(|| a.id.cmp(&b.id))
    });
    hits.truncate(limit);
    hits
}

/// Absolute, so that changing the working folder changes no collection.
fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).at(path)
}

/// Runs `work` where waiting for the disk holds nobody up.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
    }
}
