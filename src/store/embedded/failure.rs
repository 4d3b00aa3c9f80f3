//! From what SQLite and the file system say to [`Error`].

use std::io;
use std::path::Path;

use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_IOERR_CORRUPTFS, SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_SHORT_READ};

use crate::store::Error;

/// What needs to write when a read-only disk is in the way.
pub(super) const STORING: &str = "store pictures";

/// Names the collection file a failure is about.
pub(super) trait At<T> {
    /// The same result with the failure explained.
    fn at(self, path: &Path) -> Result<T, Error>;
}

impl<T> At<T> for rusqlite::Result<T> {
    fn at(self, path: &Path) -> Result<T, Error> {
        self.map_err(|failure| explain(path, failure))
    }
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T, Error> {
        self.map_err(|failure| explain_io(path, failure))
    }
}

fn explain(path: &Path, failure: rusqlite::Error) -> Error {
    let path = path.to_path_buf();
    match failure.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::DiskFull { path },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy { path },
        Some(ErrorCode::ReadOnly) => Error::ReadOnly { path, doing: STORING },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Error::Damaged { path, source: failure.into() }
        }
        _ if is_full(&failure) => Error::DiskFull { path },
        _ if contradicts(&failure) => Error::Damaged { path, source: failure.into() },
        _ => Error::Storage { path, source: failure.into() },
    }
}

/// SQLite cannot lengthen the file its readers share: the only reason left
/// once that file is open is the room on the disk.
fn is_full(failure: &rusqlite::Error) -> bool {
    failure.sqlite_extended_error_code() == Some(SQLITE_IOERR_SHMSIZE)
}

/// SQLite gave a value of a type or size that we never store.
fn contradicts(failure: &rusqlite::Error) -> bool {
    matches!(
        failure.sqlite_extended_error_code(),
        Some(SQLITE_IOERR_SHORT_READ | SQLITE_IOERR_CORRUPTFS)
    ) || matches!(
        failure,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::QueryReturnedNoRows
    )
}

fn explain_io(path: &Path, failure: io::Error) -> Error {
    let path = path.to_path_buf();
    match failure.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::DiskFull { path },
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            Error::ReadOnly { path, doing: STORING }
        }
        _ => Error::Storage { path, source: failure.into() },
    }
}
