//! A backup: the collection as it is at one moment, in one file, whoever
//! writes to it meanwhile.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql};
use tokio_util::sync::CancellationToken;

use super::connection::{self, beside};
use super::failure::At;
use super::staged::{ENDINGS, Staged};
use super::stop::Stop;
use crate::domain::Printable;
use crate::store::Error;

/// What a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackedUp {
    /// Pictures, of all models and hidden ones included.
    pub pictures: u64,
    /// Length of the file.
    pub bytes: u64,
}

/// Copies the collection at the absolute `path` to the absolute `file`, which
/// must not be there unless it is to `replace` it.
pub(super) fn make(
    path: &Path,
    file: &Path,
    replace: bool,
    token: &CancellationToken,
) -> Result<BackedUp, Error> {
    let reading = connection::for_reading(path)?;
    refuse_collection(path, file)?;
    if !replace && file.symlink_metadata().is_ok() {
        return Err(Error::Taken { path: file.to_owned() });
    }
    if file.parent().is_none_or(|folder| !folder.is_dir()) {
        return Err(unwritten(file, "there is no such folder"));
    }
    refuse_anothers_log(file)?;
    let staged = Staged::beside(file).map_err(|error| unwritten(file, error))?;
    let stop = Stop::watch(&reading, token);
    copy(&reading, staged.path()).map_err(|failure| match Err::<(), _>(failure).at(path) {
        // All else is about the file that is written.
        Err(error @ (Error::Damaged { .. } | Error::Busy { .. })) => error,
        Err(Error::DiskFull { .. }) => Error::DiskFull { path: file.to_owned() },
        Err(error) => unwritten(file, error),
        Ok(()) => unreachable!("it failed"),
    })?;
    stop.go_on()?;
    let pictures = pictures(&Connection::open(staged.path()).at(file)?).at(file)?;
    let bytes = fs::metadata(staged.path()).map_err(|error| unwritten(file, error))?.len();
    staged.put(replace).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::Taken { path: file.to_owned() },
        io::ErrorKind::StorageFull => Error::DiskFull { path: file.to_owned() },
        _ => unwritten(file, error),
    })?;
    Ok(BackedUp { pictures, bytes })
}

/// Copies what `connection` has open into the empty file at `target`.
pub(super) fn copy(connection: &Connection, target: &Path) -> rusqlite::Result<()> {
    // Ours only reads, but SQLite takes the copy for writing.
    connection.pragma_update(None, "query_only", false)?;
    connection.execute("VACUUM main INTO ?1", [PathText(target)])?;
    connection.pragma_update(None, "query_only", true)
}

/// How many pictures there are, hidden ones included.
pub(super) fn pictures(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .query_row("SELECT count(*) FROM picture", [], |row| row.get(0).map(i64::cast_unsigned))
}

/// The collection, and what belongs to it, is no place for its backup.
fn refuse_collection(path: &Path, file: &Path) -> Result<(), Error> {
    let is_same = |ending: &&str| is_same_file(&beside(path, ending), file);
    if [""].iter().chain(&ENDINGS).any(is_same) {
        return Err(Error::BackupIsCollection { path: file.to_owned() });
    }
    Ok(())
}

/// A log beside the name would be taken for the backup's.
fn refuse_anothers_log(file: &Path) -> Result<(), Error> {
    let logs = ["-wal", "-journal"].map(|ending| beside(file, ending));
    let Some(log) = logs.iter().find(|log| log.symlink_metadata().is_ok()) else { return Ok(()) };
    let cause = format!("{} belongs to another file of that name", Printable::new(log));
    Err(unwritten(file, cause))
}

/// Whether both are one file, by whatever names.
pub(super) fn is_same_file(one: &Path, other: &Path) -> bool {
    if one == other {
        return true;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let key = |path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        key(one).is_some() && key(one) == key(other)
    }
    #[cfg(not(unix))]
    {
        let real = |path: &Path| path.canonicalize().ok();
        real(one).is_some() && real(one) == real(other)
    }
}

fn unwritten(file: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Unwritten { path: PathBuf::from(file), source: source.into() }
}

/// A file name for SQLite, which takes its bytes as they are but calls them
/// text.
pub(super) struct PathText<'a>(pub(super) &'a Path);

impl ToSql for PathText<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let bytes = self.0.as_os_str().as_encoded_bytes();
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(bytes)))
    }
}
