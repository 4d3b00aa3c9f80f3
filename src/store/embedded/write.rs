//! Writes pictures: each batch is one transaction, on the disk when it
//! returns.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::columns::{EmbeddingColumn, PathColumn};
use super::connection::empty_log;
use super::space::{self, Space};
use crate::domain::{ImageId, Record};

/// Inserts or replaces `records`, whose embeddings fit the space.
pub(super) fn upsert(
    connection: &mut Connection,
    space: &Space,
    records: &[Record],
) -> rusqlite::Result<()> {
    let mut batch = Batch::begin(connection, space)?;
    for record in records {
        batch.upsert(record)?;
    }
    batch.commit()?;
    empty_log(connection);
    Ok(())
}

/// Removes what there is of `ids`; returns how many that were.
pub(super) fn delete(
    connection: &mut Connection,
    space: &Space,
    ids: &[ImageId],
) -> rusqlite::Result<usize> {
    change_each(connection, space, ids, Batch::delete)
}

/// Hides what there is of `ids`; returns how many were not hidden before.
pub(super) fn hide(
    connection: &mut Connection,
    space: &Space,
    ids: &[ImageId],
) -> rusqlite::Result<usize> {
    change_each(connection, space, ids, Batch::hide)
}

/// Shows what is hidden of `ids`; returns how many that were.
pub(super) fn show(
    connection: &mut Connection,
    space: &Space,
    ids: &[ImageId],
) -> rusqlite::Result<usize> {
    change_each(connection, space, ids, Batch::show)
}

/// Does `change` to each of `ids`; returns how many it was done to.
fn change_each<'a>(
    connection: &'a mut Connection,
    space: &'a Space,
    ids: &[ImageId],
    change: fn(&mut Batch<'a>, &ImageId) -> rusqlite::Result<bool>,
) -> rusqlite::Result<usize> {
    let mut batch = Batch::begin(connection, space)?;
    let mut changed = 0;
    for id in ids {
        changed += usize::from(change(&mut batch, id)?);
    }
    batch.commit()?;
    Ok(changed)
}

/// A transaction that numbers its changes.
struct Batch<'a> {
    transaction: Transaction<'a>,
    space: &'a Space,
    seq: i64,
    folders: HashMap<Box<Path>, i64>,
}

impl<'a> Batch<'a> {
    /// Takes the right to write at once, so that no other process can number
    /// its changes alike.
    fn begin(connection: &'a mut Connection, space: &'a Space) -> rusqlite::Result<Self> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let seq = space::last_change(&transaction, space)?;
        // No collection has been changed so often.
        if !(0..i64::MAX / 2).contains(&seq) {
            return Err(rusqlite::Error::IntegralValueOutOfRange(0, seq));
        }
        Ok(Self { transaction, space, seq, folders: HashMap::new() })
    }

    fn upsert(&mut self, record: &Record) -> rusqlite::Result<()> {
        let picture = self.upsert_picture(record)?;
        self.seq += 1;
        self.transaction
            .prepare_cached(
                "INSERT INTO embedding (picture, space, seq, vector) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET seq = excluded.seq, vector = excluded.vector",
            )?
            .execute(params![
                picture,
                self.space.id,
                self.seq,
                EmbeddingColumn(&record.embedding)
            ])?;
        self.forget_hidden(picture)
    }

    /// Moves the embedding of `id` out of the table that is searched.
    fn hide(&mut self, id: &ImageId) -> rusqlite::Result<bool> {
        let Some(picture) = self.picture(id)? else { return Ok(false) };
        let hidden = self
            .transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO hidden (picture, vector)
                 SELECT picture, vector FROM embedding WHERE picture = ?1",
            )?
            .execute([picture])?;
        if hidden == 0 {
            return Ok(false);
        }
        self.transaction
            .prepare_cached("DELETE FROM embedding WHERE picture = ?1")?
            .execute([picture])?;
        self.bury(picture)?;
        Ok(true)
    }

    /// Moves the embedding of `id` back.
    fn show(&mut self, id: &ImageId) -> rusqlite::Result<bool> {
        let Some(picture) = self.picture(id)? else { return Ok(false) };
        self.seq += 1;
        let shown = self
            .transaction
            .prepare_cached(
                "INSERT INTO embedding (picture, space, seq, vector)
                 SELECT picture, ?2, ?3, vector FROM hidden WHERE picture = ?1
                 ON CONFLICT DO NOTHING",
            )?
            .execute([picture, self.space.id, self.seq])?;
        self.forget_hidden(picture)?;
        Ok(shown > 0)
    }

    /// A picture that is searched is not hidden, and did not go.
    fn forget_hidden(&self, picture: i64) -> rusqlite::Result<()> {
        let was_hidden = self
            .transaction
            .prepare_cached("DELETE FROM hidden WHERE picture = ?1")?
            .execute([picture])?;
        if was_hidden > 0 {
            self.transaction
                .prepare_cached("DELETE FROM tombstone WHERE space = ?1 AND picture = ?2")?
                .execute([self.space.id, picture])?;
        }
        Ok(())
    }

    fn picture(&self, id: &ImageId) -> rusqlite::Result<Option<i64>> {
        self.transaction
            .prepare_cached(
                "SELECT id FROM picture WHERE space = ?1 AND path = ?3
                 AND folder = (SELECT id FROM folder WHERE path = ?2)",
            )?
            .query_row(
                params![self.space.id, PathColumn(id.folder()), PathColumn(id.path())],
                |row| row.get(0),
            )
            .optional()
    }

    fn upsert_picture(&mut self, record: &Record) -> rusqlite::Result<i64> {
        let folder = self.folder(record.id.folder())?;
        // As `read` understands it.
        let (width, height) = record.pixels.map_or((0, 0), |pixels| (pixels.width, pixels.height));
        let (size, modified) = record.stamp.map_or((0, 0), |stamp| (stamp.size, stamp.modified));
        let hash = record.stamp.as_ref().map_or(&[][..], |stamp| &stamp.hash);
        self.transaction
            .prepare_cached(
                "INSERT INTO picture (space, folder, path, size, modified, hash, width, height)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT DO UPDATE SET size = excluded.size, modified = excluded.modified,
                 hash = excluded.hash, width = excluded.width, height = excluded.height
                 RETURNING id",
            )?
            .query_row(
                params![
                    self.space.id,
                    folder,
                    PathColumn(record.id.path()),
                    size.cast_signed(),
                    modified,
                    hash,
                    width,
                    height
                ],
                |row| row.get(0),
            )
    }

    fn folder(&mut self, path: &Path) -> rusqlite::Result<i64> {
        if let Some(&folder) = self.folders.get(path) {
            return Ok(folder);
        }
        let folder = folder_number(&self.transaction, path)?;
        self.folders.insert(path.into(), folder);
        Ok(folder)
    }

    /// The embedding goes with its picture.
    fn delete(&mut self, id: &ImageId) -> rusqlite::Result<bool> {
        let Some(picture) = self.picture(id)? else { return Ok(false) };
        self.transaction.prepare_cached("DELETE FROM picture WHERE id = ?1")?.execute([picture])?;
        self.bury(picture)?;
        Ok(true)
    }

    /// Notes that `picture` is searched no more.
    fn bury(&mut self, picture: i64) -> rusqlite::Result<()> {
        self.seq += 1;
        self.transaction
            .prepare_cached("INSERT INTO tombstone (space, seq, picture) VALUES (?1, ?2, ?3)")?
            .execute([self.space.id, self.seq, picture])
            .map(|_| ())
    }

    fn commit(self) -> rusqlite::Result<()> {
        self.transaction
            .execute("UPDATE space SET seq = ?2 WHERE id = ?1", [self.space.id, self.seq])?;
        self.transaction.commit()
    }
}

/// Forgets those of `folders` that no picture is from.
pub(super) fn forget_folders(connection: &Connection, folders: &[PathBuf]) -> rusqlite::Result<()> {
    let mut forget = connection.prepare_cached(
        "DELETE FROM folder WHERE path = ?1 AND NOT EXISTS (
             SELECT 1 FROM picture
             WHERE picture.space IN (SELECT id FROM space) AND picture.folder = folder.id)",
    )?;
    folders.iter().try_for_each(|folder| forget.execute([PathColumn(folder.as_path())]).map(drop))
}

/// The number of the folder at `path`, which gets one where it has none.
pub(super) fn folder_number(connection: &Connection, path: &Path) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            // Changing nothing, as only a row that was written is returned.
            "INSERT INTO folder (path) VALUES (?1)
             ON CONFLICT DO UPDATE SET path = excluded.path RETURNING id",
        )?
        .query_row([PathColumn(path)], |row| row.get(0))
}
