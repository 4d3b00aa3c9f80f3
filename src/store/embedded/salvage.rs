//! Reads what can be read of a damaged collection into a new file, which gets
//! the collection's name; the damaged one is kept beside.
//!
//! Rows are read in the order they lie in, from the first on and from the last
//! back, each time to the first that cannot be read; those in between are
//! tried one by one, and then taken from wherever they lie in the file.

use std::cell::RefCell;
use std::fs;
use std::path::Path;

use rusqlite::types::Value::{self, Blob, Integer, Null, Text};
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension as _, Row, Statement, params_from_iter,
};
use tokio_util::sync::CancellationToken;

use super::columns::is_absolute_path;
use super::failure::At;
use super::leaves::Leaves;
use super::schema::{self, Kind};
use super::staged::Staged;
use super::stop::Stop;
use crate::store::Error;
use crate::store::findings::{Fault, Mended};

/// Rows that are tried one by one: what is tried longer is hardly there.
const MOST_TRIED: i64 = 4_000_000;

/// Fewer of a short file, which can hold no more rows than one in so many bytes,
/// but these at least: there may be gaps between their numbers.
const BYTES_OF_A_ROW: u64 = 16;
const LEAST_TRIED: i64 = 50_000;

/// Saves what can be read of the collection at the absolute `path`.
pub(super) fn save(
    path: &Path,
    token: &CancellationToken,
    mended: &mut Mended,
) -> Result<(), Error> {
    let staged = Staged::beside(path).at(path)?;
    {
        // Closed after SQLite, whose locks would go with it. A file without a
        // header that makes sense has no leaves that are found.
        let leaves = RefCell::new(Leaves::open(path).ok());
        let damaged = open(path).at(path)?;
        // Of a file that SQLite cannot even say this of, it can read no table.
        if schema::identify(&damaged).at(path)? == Kind::Foreign {
            return Err(Error::NotOurs { path: path.to_owned() });
        }
        let stop = Stop::watch(&damaged, token);
        let mut rescued = staged.open().at(path)?;
        let most = most_tried(path);
        let salvage = Salvage { damaged: &damaged, leaves: &leaves, stop: &stop, most };
        let change = rescued.transaction().at(path)?;
        let (kept, lost) = salvage.all(path, &change)?;
        change.commit().at(path)?;
        mended.salvaged = Some(kept);
        mended.lost += lost;
    }
    mended.faults.insert(Fault::File, 1);
    mended.kept = staged.supplant().at(path)?;
    Ok(())
}

/// For reading, and for nothing that a damaged file may get in the way of.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // A file that is shorter than it says is else refused as a whole.
    connection.pragma_update(None, "writable_schema", true)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// More folders, or models, nobody has.
const MOST_FOLDERS: i64 = 10_000;

/// Of a component of an embedding, as it is stored.
const BYTES: i64 = 2;

/// Greater numbers of rows are not ours.
const MOST_ROWS: i64 = 1 << 53;

/// The columns of a row, the first of which is its number.
type Values = Vec<Value>;

/// Told of every row that can be read.
type Take<'a> = &'a mut dyn FnMut(Values);

struct Salvage<'a> {
    damaged: &'a Connection,
    leaves: &'a RefCell<Option<Leaves>>,
    stop: &'a Stop<'a>,
    /// How many rows of a table are tried one by one.
    most: i64,
}

fn most_tried(path: &Path) -> i64 {
    let rows = fs::metadata(path).map_or(0, |stat| stat.len() / BYTES_OF_A_ROW);
    i64::try_from(rows).unwrap_or(i64::MAX).clamp(LEAST_TRIED, MOST_TRIED)
}

impl Salvage<'_> {
    /// Copies all tables; returns how many pictures were, and how many of
    /// those that are known were not.
    fn all(&self, path: &Path, to: &Connection) -> Result<(u64, u64), Error> {
        let beyond = |source: rusqlite::Error| match source.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Error::Stopped,
            _ => Error::BeyondRepair { path: path.to_owned(), source: source.into() },
        };
        // Without them nothing is known of any picture.
        let mut spaces = self.copy(&SPACES, to, path)?.map_err(beyond)?;
        if spaces == 0 {
            spaces = self.copy_indexed_spaces(to).unwrap_or(0);
        }
        if self.copy(&FOLDERS, to, path)?.map_err(beyond)? == 0 {
            let _ = self.copy_indexed_folders(to);
        }
        if spaces == 0 {
            return Err(beyond(rusqlite::Error::QueryReturnedNoRows));
        }
        // What is found of one of these does not need the others.
        let pictures = self.copy(&PICTURES, to, path)?.unwrap_or(0);
        let embeddings = self.copy(&EMBEDDINGS, to, path)?.unwrap_or(0);
        let hidden = self.copy(&HIDDEN, to, path)?.unwrap_or(0);
        self.stop.go_on()?;
        to.execute_batch(TIDY).at(path)?;
        let kept = super::backup::pictures(to).at(path)?;
        let known = pictures.max(embeddings + hidden).max(self.known());
        Ok((kept, known.saturating_sub(kept)))
    }

    /// How many pictures there were, as far as an index tells, or at most.
    fn known(&self) -> u64 {
        let count = self.damaged.query_row("SELECT count(*) FROM picture", [], |row| row.get(0));
        count.or_else(|_| self.last()).map_or(0, i64::cast_unsigned)
    }

    /// The greatest number that a picture has had.
    fn last(&self) -> rusqlite::Result<i64> {
        let last = "SELECT seq FROM sqlite_sequence WHERE name = 'picture'";
        self.damaged.query_row(last, [], |row| row.get(0))
    }

    /// Copies what an index has of the folders, which is all there is of them.
    fn copy_indexed_folders(&self, to: &Connection) -> rusqlite::Result<()> {
        let indexed = "SELECT id, path FROM folder INDEXED BY sqlite_autoindex_folder_1";
        let mut folders = self.damaged.prepare(indexed)?;
        let mut folders = folders.query([])?;
        while let Some(row) = folders.next()? {
            let folder = values(row, &FOLDERS).unwrap_or_default();
            if matches!(folder.get(1), Some(Blob(path)) if is_absolute_path(path)) {
                to.execute(FOLDERS.put, params_from_iter(folder))?;
            }
        }
        Ok(())
    }

    /// Copies what an index has of the spaces, and what follows from their
    /// pictures; returns how many they are. Only their models' names are lost.
    fn copy_indexed_spaces(&self, to: &Connection) -> rusqlite::Result<u64> {
        let indexed = "SELECT id, fingerprint FROM space INDEXED BY sqlite_autoindex_space_1";
        let mut spaces = self.damaged.prepare(indexed)?;
        let spaces = spaces.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut copied = 0;
        for space in spaces {
            let (id, fingerprint): (i64, Value) = space?;
            let bytes = "SELECT length(vector) FROM embedding WHERE space = ?1 LIMIT 1";
            let bytes: i64 = self.damaged.query_row(bytes, [id], |row| row.get(0))?;
            let seq = "SELECT coalesce(max(seq), 0) FROM embedding WHERE space = ?1";
            let seq: i64 = self.damaged.query_row(seq, [id], |row| row.get(0))?;
            let name = Text("a model whose name is lost".to_owned());
            let row = [Integer(id), name, fingerprint, Integer(bytes / BYTES), Integer(seq)];
            copied += to.execute(SPACES.put, params_from_iter(row))? as u64;
        }
        Ok(copied)
    }

    /// Copies the rows of a table that can be read; returns how many were of
    /// use, or why none can be.
    fn copy(
        &self,
        table: &Table,
        to: &Connection,
        path: &Path,
    ) -> Result<rusqlite::Result<u64>, Error> {
        let mut put = Put { statement: to.prepare(table.put).at(path)?, stored: 0, failed: None };
        let read = self.read(table, &mut |row| put.row(&row));
        self.stop.go_on()?;
        match put.failed {
            Some(failure) => Err(failure).at(path),
            None => Ok(read.map(|()| put.stored)),
        }
    }

    fn read(&self, table: &Table, take: Take<'_>) -> rusqlite::Result<()> {
        let up = self.run(table, "ASC", i64::MIN, take)?;
        let Some(first) = up else { return Ok(()) };
        let down = self.run(table, "DESC", first, take)?;
        let Some(last) = down else { return Ok(()) };
        let first = first.max(0);
        // Nothing was read from the end on, if the last row read is the first.
        let last = if last <= first { i64::MAX } else { last };
        let most = first.saturating_add(self.most);
        self.one_by_one(table, first, last.min(self.end(table)).min(most), take)?;
        self.take_from_leaves(table, take);
        Ok(())
    }

    /// Rows of the table that lie in the file, those that were read before
    /// among them.
    fn take_from_leaves(&self, table: &Table, take: Take<'_>) {
        let mut leaves = self.leaves.borrow_mut();
        let Some(leaves) = leaves.as_mut() else { return };
        let read = leaves.each(|(number, columns)| {
            if (1..=MOST_ROWS).contains(&number)
                && let Some(columns) = (table.of_leaf)(columns)
            {
                take([vec![Value::Integer(number)], columns].concat());
            }
            self.stop.go_on().is_ok()
        });
        if let Err(error) = read {
            tracing::warn!(%error, "the file cannot be read to its end");
        }
    }

    /// No row of the table has this number or a greater one.
    fn end(&self, table: &Table) -> i64 {
        if !table.is_of_pictures {
            return MOST_FOLDERS;
        }
        self.last().map_or(i64::MAX, |last| last.saturating_add(1))
    }

    /// Reads the rows after number `from` to the end, or to what cannot be
    /// read: then the number of the last one before that.
    fn run(
        &self,
        table: &Table,
        order: &str,
        from: i64,
        take: Take<'_>,
    ) -> rusqlite::Result<Option<i64>> {
        let Table { name, columns, number, .. } = table;
        let select =
            format!("SELECT {columns} FROM {name} WHERE {number} > ?1 ORDER BY {number} {order}");
        let mut statement = self.damaged.prepare(&select)?;
        let mut found = statement.query([from])?;
        let mut last = from;
        loop {
            match found.next() {
                Ok(None) => return Ok(None),
                Ok(Some(row)) => {
                    last = row.get(0).unwrap_or(last);
                    values(row, table).into_iter().for_each(&mut *take);
                }
                Err(failure) if is_stop(&failure) => return Err(failure),
                Err(_) => return Ok(Some(last)),
            }
        }
    }

    fn one_by_one(
        &self,
        table: &Table,
        first: i64,
        last: i64,
        take: Take<'_>,
    ) -> rusqlite::Result<()> {
        let Table { name, columns, number, .. } = table;
        let select = format!("SELECT {columns} FROM {name} WHERE {number} = ?1");
        let mut statement = self.damaged.prepare(&select)?;
        for number in first.saturating_add(1)..last {
            if self.stop.go_on().is_err() {
                break;
            }
            match statement.query_row([number], |row| Ok(values(row, table))).optional() {
                Ok(row) => row.flatten().into_iter().for_each(&mut *take),
                Err(failure) if is_stop(&failure) => return Err(failure),
                Err(_) => {}
            }
        }
        Ok(())
    }
}

fn is_stop(failure: &rusqlite::Error) -> bool {
    failure.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
}

/// A table as it is read and written.
struct Table {
    name: &'static str,
    /// The first is the row's number.
    columns: &'static str,
    number: &'static str,
    /// How many columns.
    width: usize,
    /// Whether rows are numbered as pictures are.
    is_of_pictures: bool,
    put: &'static str,
    /// The columns but for the number, of a row that is one of this table by the
    /// types of all that it holds.
    of_leaf: fn(Vec<Value>) -> Option<Values>,
}

const SPACES: Table = Table {
    name: "space",
    columns: "id, model_name, fingerprint, dimension, seq",
    number: "id",
    width: 5,
    is_of_pictures: false,
    put: "INSERT OR IGNORE INTO space (id, model_name, fingerprint, dimension, metric, seq)
          VALUES (?1, ?2, ?3, ?4, 'cosine', max(0, min(?5, 4611686018427387903)))",
    of_leaf: |row| match &row[..] {
        [Null, name @ Text(_), fingerprint @ Blob(_), dimension @ Integer(_), Text(_), seq, _] => {
            Some([name, fingerprint, dimension, seq].map(Clone::clone).to_vec())
        }
        _ => None,
    },
};

const FOLDERS: Table = Table {
    name: "folder",
    columns: "id, path",
    number: "id",
    width: 2,
    is_of_pictures: false,
    put: "INSERT OR IGNORE INTO folder (id, path) VALUES (?1, ?2)",
    of_leaf: |row| match &row[..] {
        [Null, path @ Blob(bytes)] => is_absolute_path(bytes).then(|| vec![path.clone()]),
        _ => None,
    },
};

const PICTURES: Table = Table {
    name: "picture",
    columns: "id, space, folder, path, size, modified, hash, width, height",
    number: "id",
    width: 9,
    is_of_pictures: true,
    put: "INSERT OR IGNORE INTO picture
          (id, space, folder, path, size, modified, hash, width, height)
          SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
          WHERE ?2 IN (SELECT id FROM space) AND ?3 IN (SELECT id FROM folder)",
    of_leaf: |row| match &row[..] {
        [
            Null,
            Integer(_),
            Integer(_),
            Blob(_),
            Integer(_),
            Integer(_),
            Blob(_),
            Integer(_),
            Integer(_),
        ] => Some(row[1..].to_vec()),
        _ => None,
    },
};

const EMBEDDINGS: Table = Table {
    name: "embedding",
    columns: "picture, vector",
    number: "picture",
    width: 2,
    is_of_pictures: true,
    put: "INSERT OR IGNORE INTO embedding (picture, space, seq, vector)
          SELECT id, space, (SELECT seq FROM space WHERE space.id = picture.space) + id, ?2
          FROM picture WHERE id = ?1",
    of_leaf: |row| match &row[..] {
        [Null, Integer(_), Integer(_), vector @ Blob(_)] => Some(vec![vector.clone()]),
        _ => None,
    },
};

const HIDDEN: Table = Table {
    name: "hidden",
    columns: "picture, vector",
    number: "picture",
    width: 2,
    is_of_pictures: true,
    put: "INSERT OR IGNORE INTO hidden (picture, vector)
          SELECT id, ?2 FROM picture WHERE id = ?1
          AND id NOT IN (SELECT picture FROM embedding)",
    of_leaf: |row| match &row[..] {
        [Null, vector @ Blob(bytes)] => (!is_absolute_path(bytes)).then(|| vec![vector.clone()]),
        _ => None,
    },
};

/// A picture without an embedding is of no use. The changes of a space are
/// numbered anew, beyond those that were seen.
const TIDY: &str = "
DELETE FROM picture WHERE id NOT IN (SELECT picture FROM embedding)
    AND id NOT IN (SELECT picture FROM hidden);
UPDATE space SET seq = max(seq,
    coalesce((SELECT max(seq) FROM embedding WHERE space = space.id), 0));
";

/// The columns of a row, if they are of types that we store.
fn values(row: &Row<'_>, table: &Table) -> Option<Values> {
    let columns: rusqlite::Result<Values> = (0..table.width).map(|at| row.get(at)).collect();
    let is_number = |value: &Value| matches!(value, Value::Integer(1..=MOST_ROWS));
    columns.ok().filter(|columns| is_number(&columns[0]))
}

/// Where rows are stored.
struct Put<'a> {
    statement: Statement<'a>,
    stored: u64,
    failed: Option<rusqlite::Error>,
}

impl Put<'_> {
    /// One that does not fit is left out.
    fn row(&mut self, row: &Values) {
        match self.statement.execute(params_from_iter(row)) {
            Ok(changed) => self.stored += changed as u64,
            Err(failure) if failure.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            }
            Err(failure) => self.failed = Some(failure),
        }
    }
}
