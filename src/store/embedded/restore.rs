//! Puts a backup in the collection's place.
//!
//! A collection that is sound stays the file it is, so that whoever has it
//! open follows: one transaction makes it hold what the backup holds, with
//! numbers of changes that nobody has seen. Where there is none, or a damaged
//! one, a copy of the backup gets its name.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio_util::sync::CancellationToken;

use super::backup::{self, PathText};
use super::claim;
use super::connection::{self, beside};
use super::failure::At;
use super::integrity;
use super::schema::{self, Kind};
use super::staged::{ENDINGS, Staged};
use super::stop::Stop;
use crate::store::Error;

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Pictures of the backup, hidden ones included.
    pub pictures: u64,
    /// Where the damaged collection is kept that was in its place.
    pub kept: Option<PathBuf>,
}

/// How a restore ended other than by an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restore {
    /// The backup is in the collection's place.
    Done(Restored),
    /// Nothing was changed, as something would be lost.
    WouldReplace {
        /// Pictures of the collection; `None` if it cannot be read.
        held: Option<u64>,
        /// Pictures of the backup.
        pictures: u64,
    },
}

/// Puts the backup at the absolute `file` in the place of the collection at
/// the absolute `path`; if that has pictures, only if it is to `replace` them.
pub(super) fn put(
    path: &Path,
    file: &Path,
    replace: bool,
    token: &CancellationToken,
) -> Result<Restore, Error> {
    if backup::is_same_file(path, file) {
        return Err(Error::BackupIsCollection { path: file.to_owned() });
    }
    claim::clear(path);
    let backup = checked(file, token)?;
    let pictures = backup::pictures(&backup).at(file)?;
    let live = Live::find(path, token)?;
    let held = match &live {
        Live::None => Some(0),
        Live::Sound(connection) => Some(backup::pictures(connection).at(path)?),
        Live::Damaged => None,
    };
    if held != Some(0) && !replace {
        return Ok(Restore::WouldReplace { held, pictures });
    }
    let kept = match live {
        Live::Sound(_) => {
            let mut connection = connection::for_writing(path)?;
            let stop = Stop::watch(&connection, token);
            let source = Source::of(path, file, &backup)?;
            stop.go_on()?;
            replace_content(&mut connection, source.path()).at(path)?;
            None
        }
        Live::None | Live::Damaged => take_place(path, &backup, token)?,
    };
    Ok(Restore::Done(Restored { pictures, kept }))
}

/// The backup, open for reading and known to be whole.
fn checked(file: &Path, token: &CancellationToken) -> Result<Connection, Error> {
    let unfit = |finding: String| Error::UnfitBackup { path: file.to_owned(), finding };
    let opened = connection::for_reading(file).map_err(|error| match error {
        Error::NotOurs { .. } => unfit("it is not a carlens collection".into()),
        Error::NoCollection { .. } => unfit("there is no such file, or nothing in it".into()),
        Error::NewerVersion { found, known, .. } => unfit(format!(
            "it was written by a newer carlens (format {found}, this one knows {known})"
        )),
        Error::Damaged { source, .. } => unfit(format!("it is damaged: {source}")),
        error => error,
    })?;
    let stop = Stop::watch(&opened, token);
    let findings = integrity::findings(&opened).at(file);
    stop.go_on()?;
    match findings?.first() {
        Some(finding) => Err(unfit(format!("it is damaged: {finding}"))),
        None => Ok(opened),
    }
}

/// What is in the collection's place.
enum Live {
    None,
    Sound(Connection),
    Damaged,
}

impl Live {
    fn find(path: &Path, token: &CancellationToken) -> Result<Self, Error> {
        let opened = match connection::for_reading(path) {
            Err(Error::NoCollection { .. }) => return Ok(Self::None),
            Err(Error::Damaged { .. } | Error::NotOurs { .. }) => return Ok(Self::Damaged),
            opened => opened?,
        };
        let stop = Stop::watch(&opened, token);
        let findings = integrity::findings(&opened).at(path);
        stop.go_on()?;
        drop(stop);
        Ok(if findings?.is_empty() { Self::Sound(opened) } else { Self::Damaged })
    }
}

/// The backup as a connection of another collection can attach it.
enum Source<'a> {
    Itself(&'a Path),
    /// A copy of it, which is of today's format and not shared.
    Copy(Staged),
}

impl<'a> Source<'a> {
    fn of(path: &Path, file: &'a Path, backup: &Connection) -> Result<Self, Error> {
        let mode = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
        let mode = backup.pragma_query_value(None, "journal_mode", mode).at(file)?;
        let is_current = schema::identify(backup).at(file)? == Kind::Collection(schema::FORMAT);
        if is_current && mode != "wal" {
            return Ok(Self::Itself(file));
        }
        let staged = Staged::beside(path).at(path)?;
        backup::copy(backup, staged.path()).at(path)?;
        drop(staged.open().at(path)?);
        Ok(Self::Copy(staged))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Itself(file) => file,
            Self::Copy(staged) => staged.path(),
        }
    }
}

/// A copy of the backup becomes the collection; returns the name that what
/// was in its place has now.
fn take_place(
    path: &Path,
    backup: &Connection,
    token: &CancellationToken,
) -> Result<Option<PathBuf>, Error> {
    path.parent().map_or(Ok(()), fs::create_dir_all).at(path)?;
    let staged = Staged::beside(path).at(path)?;
    let stop = Stop::watch(backup, token);
    backup::copy(backup, staged.path()).at(path)?;
    stop.go_on()?;
    // No matrix beside the collection is this file's.
    staged
        .open()
        .and_then(|copy| copy.execute("UPDATE space SET matrix_mark = NULL", []))
        .at(path)?;
    let is_empty = fs::metadata(path).is_ok_and(|found| found.len() == 0);
    let has_rest = ENDINGS.iter().any(|ending| beside(path, ending).exists());
    if is_empty && !has_rest {
        staged.put(true).at(path)?;
        return Ok(None);
    }
    staged.supplant().at(path)
}

/// In one transaction: all of the backup at `source`, and nothing else.
fn replace_content(connection: &mut Connection, source: &Path) -> rusqlite::Result<()> {
    connection.execute("ATTACH ?1 AS backup", [PathText(source)])?;
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    change.execute_batch(MAPS)?;
    change.execute_batch(PICTURES)?;
    change.execute_batch(CHANGES)?;
    leave_out_the_rest(&change)?;
    change.commit()
}

/// Which of our numbers stands for which of the backup's: for spaces and
/// folders, and how far the changes of each space are numbered.
const MAPS: &str = "
CREATE TEMP TABLE of_space (theirs INTEGER PRIMARY KEY, ours INTEGER NOT NULL);
CREATE TEMP TABLE of_folder (theirs INTEGER PRIMARY KEY, ours INTEGER NOT NULL);
CREATE TEMP TABLE of_picture (theirs INTEGER PRIMARY KEY, ours INTEGER NOT NULL UNIQUE);

INSERT INTO main.space (model_name, fingerprint, dimension, metric)
    SELECT model_name, fingerprint, dimension, metric FROM backup.space WHERE true
    ON CONFLICT DO NOTHING;
INSERT INTO of_space SELECT theirs.id, ours.id
    FROM backup.space AS theirs JOIN main.space AS ours USING (fingerprint);
UPDATE main.space SET seq = max(seq,
    coalesce((SELECT max(seq) FROM main.embedding WHERE space = main.space.id), 0),
    coalesce((SELECT max(seq) FROM main.tombstone WHERE space = main.space.id), 0));

INSERT INTO main.folder (path) SELECT path FROM backup.folder WHERE true ON CONFLICT DO NOTHING;
INSERT INTO of_folder SELECT theirs.id, ours.id
    FROM backup.folder AS theirs JOIN main.folder AS ours USING (path);
";

/// Pictures keep their numbers: whoever has one in mind means the same one.
const PICTURES: &str = "
INSERT INTO main.picture (space, folder, path, size, modified, hash, width, height)
    SELECT of_space.ours, of_folder.ours, path, size, modified, hash, width, height
    FROM backup.picture AS theirs
    JOIN of_space ON of_space.theirs = theirs.space
    JOIN of_folder ON of_folder.theirs = theirs.folder
    WHERE true ORDER BY theirs.id
    ON CONFLICT (space, folder, path) DO UPDATE SET size = excluded.size,
    modified = excluded.modified, hash = excluded.hash, width = excluded.width,
    height = excluded.height;
INSERT INTO of_picture SELECT theirs.id, ours.id
    FROM backup.picture AS theirs
    JOIN of_space ON of_space.theirs = theirs.space
    JOIN of_folder ON of_folder.theirs = theirs.folder
    JOIN main.picture AS ours ON ours.space = of_space.ours AND ours.folder = of_folder.ours
    AND ours.path = theirs.path;
";

/// Tombstones for what is searched no more, numbers for what is.
const CHANGES: &str = "
CREATE TEMP TABLE shown (picture INTEGER PRIMARY KEY, space INTEGER NOT NULL, theirs INTEGER);
INSERT INTO shown SELECT of_picture.ours, picture.space, embedding.picture
    FROM backup.embedding JOIN of_picture ON of_picture.theirs = embedding.picture
    JOIN main.picture ON picture.id = of_picture.ours;

INSERT INTO main.tombstone (space, seq, picture)
    SELECT gone.space, space.seq + row_number() OVER (PARTITION BY gone.space), gone.picture
    FROM main.embedding AS gone JOIN main.space ON space.id = gone.space
    WHERE gone.picture NOT IN (SELECT picture FROM shown);
UPDATE main.space SET seq = max(seq,
    coalesce((SELECT max(seq) FROM main.tombstone WHERE space = main.space.id), 0));
DELETE FROM main.tombstone WHERE picture IN (SELECT picture FROM shown);

DELETE FROM main.embedding;
INSERT INTO main.embedding (picture, space, seq, vector)
    SELECT shown.picture, shown.space,
    space.seq + row_number() OVER (PARTITION BY shown.space ORDER BY shown.picture), theirs.vector
    FROM shown JOIN main.space ON space.id = shown.space
    JOIN backup.embedding AS theirs ON theirs.picture = shown.theirs;
UPDATE main.space SET seq = max(seq,
    coalesce((SELECT max(seq) FROM main.embedding WHERE space = main.space.id), 0));

DELETE FROM main.hidden;
INSERT INTO main.hidden (picture, vector)
    SELECT of_picture.ours, theirs.vector
    FROM backup.hidden AS theirs JOIN of_picture ON of_picture.theirs = theirs.picture;
";

/// A space stays, though empty, as its number must never be another model's.
fn leave_out_the_rest(change: &Transaction<'_>) -> rusqlite::Result<()> {
    change.execute_batch(
        "DELETE FROM main.picture WHERE id NOT IN (SELECT ours FROM of_picture);
         DELETE FROM main.folder WHERE id NOT IN (SELECT ours FROM of_folder);",
    )
}
