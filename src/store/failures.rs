//! Which files could not be embedded, and why, so that they are not tried
//! again before they change.
//!
//! Kept beside the collection, on this machine only, as it is about this
//! machine's files. Derived and never the truth: where it cannot be kept, or
//! is lost, files are merely tried again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Row, TransactionBehavior, params};

use super::embedded::{PathColumn, beside};

/// How long to wait for another process that is writing.
const PATIENCE: Duration = Duration::from_secs(5);

const TABLE: &str = "
CREATE TABLE IF NOT EXISTS failure (
    path     BLOB    PRIMARY KEY,
    size     INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    decoders INTEGER NOT NULL,
    reason   TEXT    NOT NULL,
    format   TEXT
) STRICT, WITHOUT ROWID;
";

/// A file that could not be embedded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// Its length in bytes when it was tried.
    pub size: u64,
    /// Its last modification then, in nanoseconds since 1970.
    pub modified: i64,
    /// Which decoders tried it: others may do better.
    pub decoders: u32,
    /// Why, as the end of a sentence that begins with the path.
    pub reason: String,
    /// The format's name, if the file is of one that is known but not decoded.
    pub format: Option<String>,
}

/// The files that failed, beside one collection.
pub struct Failures(Option<Mutex<Connection>>);

impl Failures {
    /// Those beside `collection`, whose folder exists. Only for as long as this
    /// lives, where nothing can be kept; none where there is no memory for them.
    #[must_use]
    pub fn beside(collection: &Path) -> Self {
        let place = beside(collection, "-failed");
        let connection = open(&place).or_else(|error| {
            tracing::warn!(%error, "the list of failed files is begun anew");
            let damaged = [ErrorCode::DatabaseCorrupt, ErrorCode::NotADatabase].map(Some);
            if damaged.contains(&error.sqlite_error_code()) {
                // What is left of it is opened, or not.
                let _ = std::fs::remove_file(&place);
                return open(&place);
            }
            Err(error)
        });
        let in_memory = |_| {
            let connection = Connection::open_in_memory()?;
            connection.execute_batch(TABLE)?;
            Ok(connection)
        };
        let connection: rusqlite::Result<Connection> = connection.or_else(in_memory);
        Self(connection.ok().map(Mutex::new))
    }

    /// All files that are remembered beside `collection`, by path; makes
    /// nothing there.
    #[must_use]
    pub fn known(collection: &Path) -> Vec<Failed> {
        let is_there = beside(collection, "-failed").exists();
        if is_there { Self::beside(collection).all() } else { Vec::new() }
    }

    /// All files at or below `folder`, by path.
    #[must_use]
    pub fn below(&self, folder: &Path) -> HashMap<PathBuf, Failed> {
        let all = self.all().into_iter().filter(|failed| failed.path.starts_with(folder));
        all.map(|failed| (failed.path.clone(), failed)).collect()
    }

    /// All files, by path.
    #[must_use]
    pub fn all(&self) -> Vec<Failed> {
        let Some(connection) = self.connection() else { return Vec::new() };
        let all = || {
            connection
                .prepare(
                    "SELECT path, size, modified, decoders, reason, format FROM failure
                     ORDER BY path",
                )?
                .query_map([], from_row)?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        all().unwrap_or_else(|error| {
            tracing::warn!(%error, "which files failed before is not known");
            Vec::new()
        })
    }

    /// Remembers `failed`, in the place of what was known of the file.
    pub fn remember(&self, failed: &Failed) {
        let Some(connection) = self.connection() else { return };
        let Failed { path, size, modified, decoders, reason, format } = failed;
        let path = PathColumn(path.as_path());
        let remembered = connection.execute(
            "INSERT OR REPLACE INTO failure (path, size, modified, decoders, reason, format)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![path, size.cast_signed(), modified, decoders, reason, format],
        );
        if let Err(error) = remembered {
            tracing::warn!(%error, "a failed file will be tried again");
        }
    }

    /// Forgets the file at `path`, as it is well or gone.
    pub fn forget(&self, path: &Path) {
        let Some(connection) = self.connection() else { return };
        let forgotten =
            connection.execute("DELETE FROM failure WHERE path = ?1", [PathColumn(path)]);
        if let Err(error) = forgotten {
            tracing::warn!(%error, "a file is still listed as failed");
        }
    }

    /// Forgets all files at or below `folder`, as it is gone.
    pub fn forget_below(&self, folder: &Path) {
        self.below(folder).keys().for_each(|path| self.forget(path));
    }

    /// Follows a folder that was moved from `old` to `new`.
    pub fn relocate(&self, old: &Path, new: &Path) {
        for failed in self.below(old).into_values() {
            self.forget(&failed.path);
            if let Ok(below) = failed.path.strip_prefix(old) {
                let path = new.join(below);
                self.remember(&Failed { path, ..failed });
            }
        }
    }

    fn connection(&self) -> Option<MutexGuard<'_, Connection>> {
        Some(self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn open(place: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(place)?;
    connection.busy_timeout(PATIENCE)?;
    // What a power cut takes is tried again.
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.execute_batch(TABLE)?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// An older carlens noted the format in the reason alone.
fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let is_current =
        |connection: &Connection| connection.prepare("SELECT format FROM failure").is_ok();
    if is_current(connection) {
        return Ok(());
    }
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been quicker.
    if !is_current(&change) {
        change.execute_batch(
            "ALTER TABLE failure ADD COLUMN format TEXT;
             UPDATE failure SET format = substr(reason, 11, length(reason) - 41)
             WHERE reason LIKE 'is in the % format, which is not supported'",
        )?;
    }
    change.commit()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Failed> {
    Ok(Failed {
        path: row.get::<_, PathColumn<_>>(0)?.0,
        size: row.get::<_, i64>(1)?.cast_unsigned(),
        modified: row.get(2)?,
        decoders: row.get(3)?,
        reason: row.get(4)?,
        format: row.get(5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(path: &str, reason: &str) -> Failed {
        Failed {
            path: path.into(),
            size: 3,
            modified: -7,
            decoders: 1,
            reason: reason.into(),
            format: None,
        }
    }

    #[test]
    fn failures_follow_a_folder_that_was_moved() {
        let folder = tempfile::tempdir().unwrap();
        let failures = Failures::beside(&folder.path().join("cars.db"));
        failures.remember(&failed("/cars/a.jpg", "is empty"));
        failures.remember(&failed("/carsick.jpg", "is empty"));
        failures.relocate(Path::new("/cars"), Path::new("/disk/cars"));
        let paths = failures.all().into_iter().map(|failed| failed.path).collect::<Vec<_>>();
        assert_eq!(paths, ["/carsick.jpg", "/disk/cars/a.jpg"].map(PathBuf::from));
    }

    #[test]
    fn a_failure_is_remembered_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let collection = folder.path().join("cars.db");
        let failures = Failures::beside(&collection);
        failures.remember(&failed("/cars/a.jpg", "is empty"));
        failures.remember(&failed("/cars/a.jpg", "is damaged"));
        failures.remember(&failed("/carsick.jpg", "is empty"));
        drop(failures);
        let failures = Failures::beside(&collection);
        let below = failures.below(Path::new("/cars"));
        assert_eq!(below.into_values().collect::<Vec<_>>(), [failed("/cars/a.jpg", "is damaged")]);
        failures.forget(Path::new("/cars/a.jpg"));
        assert_eq!(Failures::known(&collection), [failed("/carsick.jpg", "is empty")]);
    }

    #[test]
    fn asking_for_what_nobody_remembered_makes_no_file() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Failures::known(&folder.path().join("cars.db")), []);
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn what_an_older_carlens_remembered_is_still_known_with_its_format() {
        let folder = tempfile::tempdir().unwrap();
        let collection = folder.path().join("cars.db");
        let old = Connection::open(beside(&collection, "-failed")).unwrap();
        old.execute_batch(
            "CREATE TABLE failure (path BLOB PRIMARY KEY, size INTEGER NOT NULL,
                modified INTEGER NOT NULL, decoders INTEGER NOT NULL, reason TEXT NOT NULL
             ) STRICT, WITHOUT ROWID;
             INSERT INTO failure VALUES
                (x'2f61', 3, -7, 1, 'is in the JPEG XL format, which is not supported'),
                (x'2f62', 3, -7, 1, 'is empty')",
        )
        .unwrap();
        drop(old);
        let unsupported = Failed {
            format: Some("JPEG XL".into()),
            ..failed("/a", "is in the JPEG XL format, which is not supported")
        };
        for _ in 0..2 {
            let failures = Failures::beside(&collection);
            assert_eq!(failures.all(), [unsupported.clone(), failed("/b", "is empty")]);
        }
    }

    #[test]
    fn a_list_that_cannot_be_kept_lasts_as_long_as_it_is_open() {
        let failures = Failures::beside(Path::new("/nowhere/cars.db"));
        failures.remember(&failed("/cars/a.jpg", "is empty"));
        assert_eq!(failures.all().len(), 1);
    }
}
