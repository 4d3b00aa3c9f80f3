//! Collections whole as files, with any content in their tables and in the
//! matrix file beside them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::collection::{record, spec, use_in_every_way, wait_for};
use crate::store::VectorStore as _;
use crate::store::embedded::{self, Embedded};

/// Every column that is read.
const COLUMNS: [(&str, &str); 21] = [
    ("space", "id"),
    ("space", "model_name"),
    ("space", "fingerprint"),
    ("space", "dimension"),
    ("space", "seq"),
    ("space", "matrix_mark"),
    ("folder", "id"),
    ("folder", "path"),
    ("picture", "id"),
    ("picture", "space"),
    ("picture", "folder"),
    ("picture", "path"),
    ("picture", "size"),
    ("picture", "modified"),
    ("picture", "hash"),
    ("picture", "width"),
    ("picture", "height"),
    ("embedding", "picture"),
    ("embedding", "space"),
    ("embedding", "seq"),
    ("embedding", "vector"),
];

/// What stands for the matrix file among the columns.
const MATRIX: u8 = 0xff;

/// These bytes say what is changed in a collection: a column or [`MATRIX`],
/// a row, and the new value; as often as they last.
pub fn records(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("cars.db");
    let sound = Sound::get();
    let mut matrix = sound.matrix.clone();
    fs::write(&path, &sound.collection).expect("a temporary file");
    change(&path, &mut matrix, Input(bytes));
    embedded::sum_anew(&mut matrix);
    fs::write(folder.path().join(&sound.matrix_name), matrix).expect("a temporary file");
    use_in_every_way(&path);
}

fn change(path: &Path, matrix: &mut [u8], mut input: Input<'_>) {
    let connection = Connection::open(path).expect("a sound collection");
    let settings = "PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; BEGIN";
    connection.execute_batch(settings).expect("a sound collection");
    while let Some((what, row)) = input.byte().zip(input.byte()) {
        if what == MATRIX {
            let at = usize::from(row) * 4;
            let bytes = input.bytes();
            matrix.iter_mut().skip(at).zip(bytes).for_each(|(to, from)| *to = *from);
            continue;
        }
        let (table, column) = COLUMNS[usize::from(what) % COLUMNS.len()];
        let change = match input.value() {
            Some(value) => connection.execute(
                &format!("UPDATE {table} SET {column} = ?1 WHERE rowid = ?2"),
                (value, row),
            ),
            None => connection.execute(&format!("DELETE FROM {table} WHERE rowid = ?1"), [row]),
        };
        // Two rows cannot have the same id.
        let _ = change;
    }
    connection.execute_batch("COMMIT").expect("a sound collection");
}

/// A collection with its matrix file, to be damaged.
struct Sound {
    collection: Vec<u8>,
    matrix: Vec<u8>,
    matrix_name: PathBuf,
}

impl Sound {
    fn get() -> &'static Self {
        static SOUND: OnceLock<Sound> = OnceLock::new();
        SOUND.get_or_init(|| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            wait_for(Self::make(folder.path()))
        })
    }

    async fn make(folder: &Path) -> Self {
        let path = folder.join("cars.db");
        let store = Embedded::create(&path, &spec()).await.expect("a collection");
        let records = (1..=6).map(|n| record(n, spec().dimension)).collect();
        store.upsert(records).await.expect("room for six pictures");
        // As if there were enough changes to save the matrix.
        execute(&path, "UPDATE space SET seq = 5000");
        store.optimize().await;
        store.delete(vec![record(6, 1).id]).await.expect("a picture less");
        drop(store);
        execute(&path, SLACKEN);
        let mut files =
            folder.read_dir().expect("a folder").map(|file| file.expect("a file").path());
        let matrix = files.find(|path| path.extension().is_some_and(|end| end == "matrix"));
        let matrix = matrix.expect("a matrix that is saved");
        Self {
            collection: fs::read(path).expect("a collection"),
            matrix_name: matrix.file_name().expect("a name").into(),
            matrix: fs::read(matrix).expect("a matrix"),
        }
    }
}

/// Columns take values of any type then, as they would where others or a bad
/// disk have written them.
const SLACKEN: &str = "
    PRAGMA journal_mode = DELETE;
    PRAGMA page_size = 512;
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = replace(replace(replace(sql, ' STRICT', ' '),
        'NOT NULL', ''), 'CHECK (dimension > 0)', '')
    WHERE type = 'table' AND name IN ('space', 'folder', 'picture', 'embedding');
    PRAGMA writable_schema = RESET;
    VACUUM;";

fn execute(path: &Path, statements: &str) {
    let connection = Connection::open(path).expect("a collection");
    connection.execute_batch(statements).expect("statements that are right");
}

/// What is left of the bytes.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        self.0.split_off_first().copied()
    }

    /// So many as the first byte says, or all.
    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte().unwrap_or(0)).min(self.0.len());
        self.0.split_off(..length).unwrap_or_default()
    }

    /// None stands for a row that goes.
    fn value(&mut self) -> Option<Value> {
        Some(match self.byte()? % 7 {
            0 => Value::Null,
            1 => Value::Integer(self.byte().unwrap_or(0).cast_signed().into()),
            2 => {
                let mut number = [0; 8];
                self.bytes().iter().zip(&mut number).for_each(|(from, to)| *to = *from);
                Value::Integer(i64::from_le_bytes(number))
            }
            3 => Value::Real(f64::from(self.byte().unwrap_or(0)) / 16.0),
            4 => Value::Text(String::from_utf8_lossy(self.bytes()).into_owned()),
            5 => Value::Blob(self.bytes().to_vec()),
            _ => return None,
        })
    }
}
