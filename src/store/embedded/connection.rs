//! Opens the collection file: for writing, or for reading wherever it lies.
//!
//! SQLite alone opens the file. Looking into it by other means and closing it
//! again would drop the locks this process holds on it (POSIX releases them
//! with the first descriptor closed).

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::failure::{At, STORING};
use super::schema::{self, Kind};
use crate::domain::Place;
use crate::store::Error;

/// How long to wait for another process's transaction. Ours take some
/// milliseconds; this outlasts a slow disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens the collection at the absolute `path` for writing; makes it, and its
/// folder, if there is none.
pub(super) fn for_writing(path: &Path) -> Result<Connection, Error> {
    refuse_other_than_file(path)?;
    path.parent().map_or(Ok(()), fs::create_dir_all).at(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut connection = open(path, path, flags).map_err(|failure| cannot_write(path, failure))?;
    if connection.is_readonly("main").at(path)? {
        return Err(Error::ReadOnly { path: path.to_path_buf(), doing: STORING });
    }
    schema::migrate(&mut connection).at(path)?;
    refuse_newer(path, schema::identify(&connection).at(path)?)?;
    share(&connection);
    prepare(&connection).at(path)?;
    Ok(connection)
}

/// Opens the collection at the absolute `path` for reading, also on a
/// read-only disk.
pub(super) fn for_reading(path: &Path) -> Result<Connection, Error> {
    refuse_other_than_file(path)?;
    if !fs::exists(path).at(path)? {
        return Err(Error::NoCollection { place: Place::File(path.to_path_buf()) });
    }
    // Able to write where that is allowed: SQLite then tidies up after a
    // process that was killed. Our own statements are held to reading.
    let connection = open(path, path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .or_else(|failure| unshared(path, failure))?;
    let Kind::Collection(format) = schema::identify(&connection).at(path)? else {
        return Err(Error::NoCollection { place: Place::File(path.to_path_buf()) });
    };
    prepare(&connection).at(path)?;
    schema::stand_in(&connection, format).at(path)?;
    connection.pragma_update(None, "query_only", true).at(path)?;
    Ok(connection)
}

/// Opens `name`, which is `path` or a URI of it, and makes sure that it is a
/// collection (or empty) before anything else is done to it.
fn open(path: &Path, name: &Path, flags: OpenFlags) -> Result<Connection, Failure> {
    let has_log = has_content(&beside(path, "-wal"));
    let connection = Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    // Closing a stranger's file must not move its log into it. Where it has
    // none, closing takes away the empty one that SQLite has made.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
    let kind = schema::identify(&connection)?;
    if kind == Kind::Foreign {
        return Err(Failure::Explained(Error::NotOurs { path: path.to_path_buf() }));
    }
    refuse_newer(path, kind).map_err(Failure::Explained)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(connection)
}

/// Why [`open()`] failed; what SQLite says is judged by who asked.
enum Failure {
    Explained(Error),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(failure: rusqlite::Error) -> Self {
        Self::Sqlite(failure)
    }
}

impl Failure {
    fn explain(self, path: &Path) -> Error {
        match self {
            Self::Explained(error) => error,
            Self::Sqlite(failure)
                if failure.sqlite_error_code() == Some(ErrorCode::NotADatabase) =>
            {
                Error::NotOurs { path: path.to_path_buf() }
            }
            Self::Sqlite(failure) => Err::<(), _>(failure).at(path).expect_err("a failure"),
        }
    }

    /// SQLite may read the file, but not make or write the files beside it
    /// through which processes share it.
    fn is_for_want_of_writing(&self) -> bool {
        let Self::Sqlite(failure) = self else { return false };
        matches!(failure.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
    }
}

fn cannot_write(path: &Path, failure: Failure) -> Error {
    if failure.is_for_want_of_writing() {
        return Error::ReadOnly { path: path.to_path_buf(), doing: STORING };
    }
    failure.explain(path)
}

/// Opens a collection that nobody can be writing to, as its folder is
/// read-only, without sharing it.
fn unshared(path: &Path, failure: Failure) -> Result<Connection, Error> {
    if !failure.is_for_want_of_writing() {
        return Err(failure.explain(path));
    }
    if has_content(&beside(path, "-wal")) || has_content(&beside(path, "-journal")) {
        let doing = "finish what a program that was stopped has begun";
        return Err(Error::ReadOnly { path: path.to_path_buf(), doing });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    open(path, &immutable(path), flags).map_err(|failure| failure.explain(path))
}

/// The URI that tells SQLite that the absolute `path` does not change.
fn immutable(path: &Path) -> PathBuf {
    let mut uri = String::from("file://");
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' => {
                uri.push(char::from(byte));
            }
            _ => write!(uri, "%{byte:02X}").expect("a string takes everything"),
        }
    }
    uri.push_str("?immutable=1");
    PathBuf::from(uri)
}

/// A folder, a device or a pipe would fail in odd ways or never answer, and a
/// file shorter than the smallest page passes for an empty database, which
/// would be written over.
fn refuse_other_than_file(path: &Path) -> Result<(), Error> {
    const SMALLEST_PAGE: u64 = 512;
    match fs::metadata(path) {
        Ok(found) if !found.is_file() || (1..SMALLEST_PAGE).contains(&found.len()) => {
            Err(Error::NotOurs { path: path.to_path_buf() })
        }
        _ => Ok(()),
    }
}

fn refuse_newer(path: &Path, kind: Kind) -> Result<(), Error> {
    match kind {
        Kind::Collection(found) if found > schema::FORMAT => {
            let path = path.to_path_buf();
            Err(Error::NewerVersion { path, found, known: schema::FORMAT })
        }
        _ => Ok(()),
    }
}

/// Lets others read while we write. Where the file system cannot, or another
/// process is about to do the same, the file works as it is: reader and
/// writer then wait for one another.
fn share(connection: &Connection) {
    let mode = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0));
    if !matches!(mode.as_deref(), Ok("wal")) {
        tracing::warn!(?mode, "the collection cannot be searched while it is written");
    }
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Mapping the file turns a failing disk into a crash, and has made
    // damage worse where a log was damaged.
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "foreign_keys", true)
}

/// Moves what SQLite's log holds into the collection's file, so that a log that
/// is lost or cut short costs nothing but what is written next. While another
/// process reads, what it reads from stays.
pub(super) fn empty_log(connection: &Connection) {
    let at_once = connection.busy_timeout(Duration::ZERO);
    let moved = at_once.and_then(|()| {
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))
    });
    match moved {
        Ok(false) => {}
        Ok(true) => tracing::debug!("others read from the log"),
        Err(error) => tracing::debug!(%error, "the log stays as it is"),
    }
    if let Err(error) = connection.busy_timeout(PATIENCE) {
        tracing::warn!(%error, "another process that writes is not waited for");
    }
}

/// The file whose name is that of `path` with `ending` after it.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

fn has_content(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.len() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_holds_any_name() {
        let uri = immutable(Path::new("/a b/ü?#%.db"));
        assert_eq!(uri.to_str(), Some("file:///a%20b/%C3%BC%3F%23%25.db?immutable=1"));
    }
}
