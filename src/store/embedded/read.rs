//! Reads what is kept of pictures; comparing embeddings is left to others.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::best::Candidate;
use super::columns::{self, PathColumn};
use super::space::Space;
use crate::domain::{FileStamp, Hit, ImageId, PixelSize, Record};
use crate::store::spread::Spread;
use crate::store::{Known, Listed};

/// Files of one content that are of use: any of them has the embedding, and
/// one of them may be the file that was renamed.
const MOST_COPIES: i64 = 64;

/// The record of `id`, if it is there.
pub(super) fn record(
    connection: &Connection,
    space: &Space,
    id: &ImageId,
) -> rusqlite::Result<Option<Record>> {
    connection
        .prepare_cached(
            "SELECT size, modified, hash, width, height,
                    coalesce(embedding.vector, hidden.vector) AS kept
             FROM picture
             LEFT JOIN embedding ON embedding.picture = picture.id
             LEFT JOIN hidden ON hidden.picture = picture.id
             WHERE picture.space = ?1 AND path = ?3
             AND folder = (SELECT id FROM folder WHERE path = ?2) AND kept IS NOT NULL",
        )?
        .query_row(params![space.id, PathColumn(id.folder()), PathColumn(id.path())], |row| {
            record_from(row, space, id.clone())
        })
        .optional()
}

fn record_from(row: &Row<'_>, space: &Space, id: ImageId) -> rusqlite::Result<Record> {
    Ok(Record {
        id,
        stamp: stamp_from(row)?,
        pixels: pixels_from(row)?,
        embedding: columns::embedding(row.get_ref(5)?.as_blob()?, space.dimension)?,
    })
}

/// The records of files with the content of this hash.
pub(super) fn with_content(
    connection: &Connection,
    space: &Space,
    hash: &[u8; 32],
) -> rusqlite::Result<Vec<Record>> {
    connection
        .prepare_cached(
            "SELECT size, modified, hash, width, height,
                    coalesce(embedding.vector, hidden.vector) AS kept, folder.path, picture.path
             FROM picture JOIN folder ON folder.id = picture.folder
             LEFT JOIN embedding ON embedding.picture = picture.id
             LEFT JOIN hidden ON hidden.picture = picture.id
             WHERE picture.space = ?1 AND hash = ?2 AND kept IS NOT NULL LIMIT ?3",
        )?
        .query_map(params![space.id, hash, MOST_COPIES], |row| {
            let folder = row.get::<_, PathColumn<_>>(6)?.0;
            let path = row.get::<_, PathColumn<_>>(7)?.0;
            record_from(row, space, ImageId::new(folder, path))
        })?
        .collect()
}

/// What is known of the file of `id`, if it is there with its embedding.
pub(super) fn known(
    connection: &Connection,
    space: &Space,
    id: &ImageId,
) -> rusqlite::Result<Option<Known>> {
    connection
        .prepare_cached(
            "SELECT size, modified, hash, embedding.picture IS NULL FROM picture
             LEFT JOIN embedding ON embedding.picture = picture.id
             LEFT JOIN hidden ON hidden.picture = picture.id
             WHERE picture.space = ?1 AND path = ?3
             AND folder = (SELECT id FROM folder WHERE path = ?2)
             AND (embedding.picture IS NOT NULL OR hidden.picture IS NOT NULL)",
        )?
        .query_row(params![space.id, PathColumn(id.folder()), PathColumn(id.path())], |row| {
            Ok(Known { stamp: stamp_from(row)?, hidden: row.get(3)? })
        })
        .optional()
}

/// The `size`, `modified` and `hash` that a row begins with; the hash of a
/// file that is not known is empty.
fn stamp_from(row: &Row<'_>) -> rusqlite::Result<Option<FileStamp>> {
    if row.get_ref(2)?.as_blob()?.is_empty() {
        return Ok(None);
    }
    let size = row.get::<_, i64>(0)?.cast_unsigned();
    Ok(Some(FileStamp { size, modified: row.get(1)?, hash: row.get(2)? }))
}

/// The `width` and `height` that follow; a size that is not known is 0.
fn pixels_from(row: &Row<'_>) -> rusqlite::Result<Option<PixelSize>> {
    let pixels = PixelSize { width: row.get(3)?, height: row.get(4)? };
    Ok((pixels.width > 0).then_some(pixels))
}

/// Pictures of the space and what is known of their files, from the picture
/// after number `after` on; with the number of the last one.
pub(super) fn listed(
    connection: &Connection,
    space: &Space,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Vec<(i64, Listed)>> {
    // The plus keeps SQLite from finding all pictures of the space by an index and
    // sorting them, for every page anew.
    connection
        .prepare_cached(
            "SELECT size, modified, hash, picture.id, folder.path, picture.path,
                    embedding.picture IS NULL
             FROM picture JOIN folder ON folder.id = picture.folder
             LEFT JOIN embedding ON embedding.picture = picture.id
             WHERE +picture.space = ?1 AND picture.id > ?2 ORDER BY picture.id LIMIT ?3",
        )?
        .query_map(params![space.id, after, limit.cast_signed()], |row| {
            let folder = row.get::<_, PathColumn<_>>(4)?.0;
            let path = row.get::<_, PathColumn<_>>(5)?.0;
            let known = Known { stamp: stamp_from(row)?, hidden: row.get(6)? };
            Ok((row.get(3)?, Listed { id: ImageId::new(folder, path), known }))
        })?
        .collect()
}

/// The folders that were loaded, by path.
pub(super) fn folders(connection: &Connection) -> rusqlite::Result<Vec<PathBuf>> {
    connection
        .prepare_cached("SELECT path FROM folder ORDER BY path")?
        .query_map([], |row| Ok(row.get::<_, PathColumn<_>>(0)?.0))?
        .collect()
}

/// How many pictures the space has that are not hidden.
pub(super) fn count(connection: &Connection, space: &Space) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT count(*) FROM embedding WHERE space = ?1")?
        .query_row([space.id], |row| row.get(0).map(i64::cast_unsigned))
}

/// Names the picture of `candidate`, or `None` if it has been removed since.
pub(super) fn hit(
    connection: &Connection,
    candidate: Candidate,
    spread: &Spread,
) -> rusqlite::Result<Option<Hit>> {
    connection
        .prepare_cached(
            "SELECT size, modified, hash, width, height, folder.path, picture.path FROM picture
             JOIN folder ON folder.id = picture.folder WHERE picture.id = ?1",
        )?
        .query_row([candidate.picture], |row| {
            let folder = row.get::<_, PathColumn<_>>(5)?.0;
            let path = row.get::<_, PathColumn<_>>(6)?.0;
            Ok(Hit {
                id: ImageId::new(folder, path),
                similarity: candidate.similarity,
                standing: spread.standing(candidate.similarity),
                pixels: pixels_from(row)?,
                stamp: stamp_from(row)?,
            })
        })
        .optional()
}
