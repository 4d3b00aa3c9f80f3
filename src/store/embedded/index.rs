//! Keeps the matrix in step with the collection file, whoever writes to it.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rusqlite::{Connection, Transaction};

use super::best::Candidate;
use super::failure::At;
use super::matrix::{Base, Changes, Matrix, Rows};
use super::sidecar::{self, Saved};
use super::space::{self, Space};
use crate::domain::Embedding;
use crate::store::Error;
use crate::store::spread::Spread;

/// The matrix of one space, brought up to date before every look at it.
pub(super) struct Index {
    path: PathBuf,
    space: Space,
    /// Its own, so that reading a large collection for the first time keeps
    /// nobody else from asking.
    connection: Mutex<Connection>,
    /// Nothing until the first search: a load needs no matrix.
    matrix: RwLock<Option<Matrix>>,
}

impl Index {
    /// Follows `space` of the collection at `path` through `connection`.
    pub(super) fn new(path: PathBuf, space: Space, connection: Connection) -> Self {
        Self { path, space, connection: Mutex::new(connection), matrix: RwLock::new(None) }
    }

    /// See [`Matrix::nearest`]; includes every change committed before the
    /// call.
    pub(super) fn nearest(
        &self,
        query: &Embedding,
        limit: usize,
    ) -> Result<(Vec<Candidate>, Spread), Error> {
        self.catch_up().at(&self.path)?;
        let nearest = self.matrix().as_ref().map(|matrix| matrix.nearest(query, limit));
        Ok(nearest.unwrap_or_default())
    }

    /// Reads without holding the matrix; running searches are waited for only
    /// while what was read is put in its place.
    fn catch_up(&self) -> rusqlite::Result<()> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = connection.transaction()?;
        match self.seq() {
            None => {
                let matrix = self.start(&snapshot)?;
                *self.matrix_mut() = Some(matrix);
            }
            Some(seq) if seq != space::last_change(&snapshot, &self.space)? => {
                let changes = changes(&snapshot, &self.space, seq)?;
                self.matrix_mut().iter_mut().for_each(|matrix| matrix.apply(&changes));
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn matrix(&self) -> RwLockReadGuard<'_, Option<Matrix>> {
        self.matrix.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn matrix_mut(&self) -> RwLockWriteGuard<'_, Option<Matrix>> {
        self.matrix.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn seq(&self) -> Option<i64> {
        self.matrix().as_ref().map(Matrix::seq)
    }

    fn start(&self, snapshot: &Transaction<'_>) -> rusqlite::Result<Matrix> {
        match self.saved(snapshot)? {
            Some(saved) => continued(snapshot, &self.space, saved),
            None => read(snapshot, &self.space),
        }
    }

    fn saved(&self, snapshot: &Transaction<'_>) -> rusqlite::Result<Option<Saved>> {
        let mark = space::matrix_mark(snapshot, &self.space)?;
        let place = sidecar::path(&self.path, &self.space);
        Ok(mark.and_then(|mark| Saved::open(&place, &self.space, mark)))
    }
}

fn continued(snapshot: &Transaction<'_>, space: &Space, saved: Saved) -> rusqlite::Result<Matrix> {
    let seq = saved.seq();
    let mut matrix = Matrix::new(Base::Saved(saved), seq, space.dimension);
    matrix.apply(&changes(snapshot, space, seq)?);
    Ok(matrix)
}

fn read(snapshot: &Transaction<'_>, space: &Space) -> rusqlite::Result<Matrix> {
    let mut rows = Rows::new(space.dimension);
    space::every_embedding(snapshot, space, |id, column| rows.push(id, column))?;
    let seq = space::last_change(snapshot, space)?;
    Ok(Matrix::new(Base::Read(rows), seq, space.dimension))
}

fn changes(snapshot: &Transaction<'_>, space: &Space, since: i64) -> rusqlite::Result<Changes> {
    let mut changed = Rows::new(space.dimension);
    let mut statement = snapshot
        .prepare_cached("SELECT picture, vector FROM embedding WHERE space = ?1 AND seq > ?2")?;
    let mut rows = statement.query([space.id, since])?;
    while let Some(row) = rows.next()? {
        changed.push(row.get(0)?, row.get_ref(1)?.as_blob()?)?;
    }
    let removed = snapshot
        .prepare_cached("SELECT picture FROM tombstone WHERE space = ?1 AND seq > ?2")?
        .query_map([space.id, since], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Changes { seq: space::last_change(snapshot, space)?, rows: changed, removed })
}
