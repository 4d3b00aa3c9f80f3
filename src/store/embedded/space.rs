//! The spaces of a collection file: one per model, and never mixed.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::columns::PathColumn;
use super::connection::beside;
use super::failure::At;
use super::sidecar;
use crate::domain::{
    CollectionSpec, Count, Fingerprint, FolderSummary, ModelId, Place, SpaceSummary,
};
use crate::store::Error;

/// How the embeddings of every space are compared.
const METRIC: &str = "cosine";

/// One space, as found in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    /// Its number in the file.
    pub(super) id: i64,
    /// The model that made its embeddings.
    pub(super) fingerprint: Fingerprint,
    /// Components per embedding.
    pub(super) dimension: usize,
}

/// The space of the model in `spec`, or the reason to refuse.
pub(super) fn find(
    connection: &Connection,
    path: &Path,
    spec: &CollectionSpec,
) -> Result<Space, Error> {
    let held = all(connection).at(path)?;
    let place = Place::File(path.into());
    // A load that has just begun has made the file and no space yet.
    if held.is_empty() {
        return Err(Error::NoCollection { place });
    }
    let Some((_, space)) = held.iter().find(|(model, _)| *model == spec.model) else {
        let held = held.into_iter().map(|(model, _)| model).collect();
        return Err(Error::OtherModel { place, wanted: spec.model.clone(), held });
    };
    if space.dimension != spec.dimension {
        return Err(Error::Dimension { expected: space.dimension, actual: spec.dimension });
    }
    Ok(*space)
}

/// The same, making the space if there is none.
pub(super) fn find_or_make(
    connection: &Connection,
    path: &Path,
    spec: &CollectionSpec,
) -> Result<Space, Error> {
    match find(connection, path, spec) {
        Err(Error::NoCollection { .. } | Error::OtherModel { .. }) => {
            make(connection, spec).at(path)?;
            find(connection, path, spec)
        }
        found => found,
    }
}

fn make(connection: &Connection, spec: &CollectionSpec) -> rusqlite::Result<usize> {
    connection.execute(
        "INSERT INTO space (model_name, fingerprint, dimension, metric) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO NOTHING", // another process was first
        params![spec.model.name, spec.model.fingerprint, spec.dimension.cast_signed(), METRIC],
    )
}

/// All that make sense: one that is damaged is nobody's, and keeps nobody from
/// the others.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<(ModelId, Space)>> {
    connection
        .prepare(
            "SELECT id, model_name, fingerprint, dimension FROM space
             WHERE length(fingerprint) = 32 AND dimension BETWEEN 1 AND 65536 ORDER BY id",
        )?
        .query_map([], from_row)?
        .collect()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<(ModelId, Space)> {
    let model = ModelId { name: row.get(1)?, fingerprint: row.get(2)? };
    let dimension = row.get::<_, u32>(3)? as usize;
    let space = Space { id: row.get(0)?, fingerprint: model.fingerprint, dimension };
    Ok((model, space))
}

/// The number of the last change to the space.
pub(super) fn last_change(connection: &Connection, space: &Space) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT seq FROM space WHERE id = ?1")?
        .query_row([space.id], |row| row.get(0))
}

/// What the matrix file saved last is marked with.
pub(super) fn matrix_mark(
    connection: &Connection,
    space: &Space,
) -> rusqlite::Result<Option<sidecar::Mark>> {
    connection
        .query_row("SELECT matrix_mark FROM space WHERE id = ?1", [space.id], |row| row.get(0))
        .optional()
        .map(Option::flatten)
}

/// Ties the matrix file that carries `mark` to the space.
pub(super) fn set_matrix_mark(
    connection: &Connection,
    space: &Space,
    mark: sidecar::Mark,
) -> rusqlite::Result<()> {
    connection
        .execute("UPDATE space SET matrix_mark = ?2 WHERE id = ?1", params![space.id, mark])
        .map(|_| ())
}

/// Gives `each` every picture's number, rising, and the column with its
/// embedding.
pub(super) fn every_embedding<E: From<rusqlite::Error>>(
    connection: &Connection,
    space: &Space,
    mut each: impl FnMut(i64, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    // The plus keeps SQLite from finding the rows by index and sorting them:
    // they lie in the order wanted.
    let mut statement = connection
        .prepare("SELECT picture, vector FROM embedding WHERE +space = ?1 ORDER BY picture")?;
    let mut rows = statement.query([space.id])?;
    while let Some(row) = rows.next()? {
        each(row.get(0)?, row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?)?;
    }
    Ok(())
}

/// Summaries of every space of the collection at `path`, oldest first.
pub(super) fn summaries(connection: &Connection, path: &Path) -> Result<Vec<SpaceSummary>, Error> {
    let spaces = all(connection).at(path)?;
    let bytes = bytes_on_disk(path, &spaces);
    let summarize = |(model, space): (ModelId, Space)| {
        let folders = folders(connection, &space)?;
        Ok(SpaceSummary {
            model: Some(model),
            dimension: space.dimension,
            pictures: Count::exactly(folders.iter().filter_map(|folder| folder.pictures).sum()),
            hidden: hidden(connection, &space)?,
            folders,
            bytes: Some(bytes),
        })
    };
    spaces.into_iter().map(summarize).collect::<rusqlite::Result<_>>().at(path)
}

fn folders(connection: &Connection, space: &Space) -> rusqlite::Result<Vec<FolderSummary>> {
    let mut folders: Vec<FolderSummary> = connection
        .prepare_cached(
            // A folder of no picture belongs to every model.
            "SELECT folder.path, count(picture.id) - count(hidden.picture)
             FROM folder LEFT JOIN picture
                 ON picture.space = ?1 AND picture.folder = folder.id
             LEFT JOIN hidden ON hidden.picture = picture.id
             GROUP BY folder.id
             HAVING count(picture.id) > 0 OR NOT EXISTS (
                 SELECT 1 FROM picture AS other
                 WHERE other.space IN (SELECT id FROM space) AND other.folder = folder.id)
             ORDER BY folder.path",
        )?
        .query_map([space.id], |row| {
            let path = row.get::<_, PathColumn<PathBuf>>(0)?.0;
            let pictures = row.get(1).map(i64::cast_unsigned)?;
            // One that is gone and has nothing to be searched is not missed,
            // unless there is no other.
            let here = pictures > 0 || path.exists();
            Ok(FolderSummary { path, pictures: Some(pictures), here })
        })?
        .collect::<rusqlite::Result<_>>()?;
    if folders.iter().all(|folder| !folder.here) {
        for folder in &mut folders {
            folder.here = true;
        }
    }
    Ok(folders)
}

fn hidden(connection: &Connection, space: &Space) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "SELECT count(*) FROM hidden JOIN picture ON picture.id = hidden.picture
             WHERE picture.space = ?1",
        )?
        .query_row([space.id], |row| row.get(0).map(i64::cast_unsigned))
}

fn bytes_on_disk(path: &Path, spaces: &[(ModelId, Space)]) -> u64 {
    let matrices = spaces.iter().map(|(_, space)| sidecar::path(path, space));
    let files = [path.to_path_buf(), beside(path, "-wal")].into_iter().chain(matrices);
    files.filter_map(|file| fs::metadata(file).ok()).map(|found| found.len()).sum()
}
