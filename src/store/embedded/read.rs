//! Reads what is kept of pictures; comparing embeddings is left to others.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::best::{Candidate, Spread};
use super::columns::{self, PathColumn};
use super::space::Space;
use crate::domain::{FileStamp, Hit, ImageId, PixelSize, Record};

/// The record of `id`, if it is there.
pub(super) fn record(
    connection: &Connection,
    space: &Space,
    id: &ImageId,
) -> rusqlite::Result<Option<Record>> {
    connection
        .prepare_cached(
            "SELECT size, modified, hash, width, height, vector FROM picture
             JOIN embedding ON embedding.picture = picture.id
             WHERE picture.space = ?1 AND path = ?3
             AND folder = (SELECT id FROM folder WHERE path = ?2)",
        )?
        .query_row(params![space.id, PathColumn(id.folder()), PathColumn(id.path())], |row| {
            Ok(Record {
                id: id.clone(),
                stamp: stamp_from(row)?,
                pixels: PixelSize { width: row.get(3)?, height: row.get(4)? },
                embedding: columns::embedding(row.get_ref(5)?.as_blob()?, space.dimension)?,
            })
        })
        .optional()
}

/// The stamp of `id`, if it is there.
pub(super) fn stamp(
    connection: &Connection,
    space: &Space,
    id: &ImageId,
) -> rusqlite::Result<Option<FileStamp>> {
    connection
        .prepare_cached(
            "SELECT size, modified, hash FROM picture WHERE space = ?1 AND path = ?3
             AND folder = (SELECT id FROM folder WHERE path = ?2)",
        )?
        .query_row(params![space.id, PathColumn(id.folder()), PathColumn(id.path())], stamp_from)
        .optional()
}

fn stamp_from(row: &Row<'_>) -> rusqlite::Result<FileStamp> {
    let size = row.get::<_, i64>(0)?.cast_unsigned();
    Ok(FileStamp { size, modified: row.get(1)?, hash: row.get(2)? })
}

/// How many pictures the space has.
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
                pixels: Some(PixelSize { width: row.get(3)?, height: row.get(4)? }),
                stamp: Some(stamp_from(row)?),
            })
        })
        .optional()
}
