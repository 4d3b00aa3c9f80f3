//! The rows that lie in the leaf pages of a damaged file, whatever has become
//! of the pages that lead to them.
//!
//! See "Database File Format" on sqlite.org: a leaf of a table is a page of type
//! 13 with cells of a length, a row's number and a record. Rows that go on in
//! other pages, as of embeddings of more than 2,000 components, are left out,
//! and so are pages that are free, where rows lie that were removed.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use rusqlite::types::Value;

/// The first byte of a table's leaf.
const LEAF: u8 = 13;

/// Bytes before the first page's own beginning.
const FILE_HEADER: usize = 100;

/// The pages of a file.
pub(super) struct Leaves {
    file: File,
    page_size: usize,
    free: HashSet<u32>,
}

/// A row's number and its columns.
pub(super) type Row = (i64, Vec<Value>);

impl Leaves {
    /// The file has to stay open as long as SQLite has it open: closing it takes
    /// SQLite's locks away.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut header = [0; FILE_HEADER];
        file.read_exact(&mut header)?;
        let page_size = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65_536,
            size => usize::from(size),
        };
        if page_size < 512 || !page_size.is_power_of_two() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the page size makes no sense"));
        }
        let mut leaves = Self { file, page_size, free: HashSet::new() };
        leaves.free = leaves.free_pages(number(&header, 32));
        Ok(leaves)
    }

    /// Calls `take` with each row of every leaf, until it returns false.
    pub(super) fn each(&mut self, mut take: impl FnMut(Row) -> bool) -> io::Result<()> {
        let mut page = vec![0; self.page_size];
        self.file.seek(SeekFrom::Start(0))?;
        for n in 1u32.. {
            match self.file.read_exact(&mut page) {
                // What is left of a file that was cut short is no page.
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => break,
                read => read?,
            }
            let header = if n == 1 { FILE_HEADER } else { 0 };
            if self.free.contains(&n) || page[header] != LEAF {
                continue;
            }
            for row in rows(&page, header) {
                if !take(row) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// As far as the list of them can be followed.
    fn free_pages(&mut self, first: u32) -> HashSet<u32> {
        let (mut free, mut next) = (HashSet::new(), first);
        let mut page = vec![0; self.page_size];
        while next != 0 && free.insert(next) {
            let at = u64::from(next - 1) * self.page_size as u64;
            let read =
                self.file.seek(SeekFrom::Start(at)).and_then(|_| self.file.read_exact(&mut page));
            if read.is_err() {
                break;
            }
            let count = (number(&page, 4) as usize).min(self.page_size / 4 - 2);
            free.extend((0..count).map(|n| number(&page, 8 + 4 * n)));
            next = number(&page, 0);
        }
        free
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes)
}

fn rows(page: &[u8], header: usize) -> impl Iterator<Item = Row> {
    let two = |at: usize| page.get(at..at + 2).map(|two| u16::from_be_bytes([two[0], two[1]]));
    let count = two(header + 3).unwrap_or(0);
    let places = (0..usize::from(count)).map_while(move |n| two(header + 8 + 2 * n));
    places.filter_map(|at| row(page.get(usize::from(at)..)?))
}

fn row(cell: &[u8]) -> Option<Row> {
    let mut rest = cell;
    let length = usize::try_from(varint(&mut rest)?).ok()?;
    let row = varint(&mut rest)?;
    Some((row, record(rest.get(..length)?)?))
}

/// The values of a record.
fn record(record: &[u8]) -> Option<Vec<Value>> {
    let mut types = record;
    let header = usize::try_from(varint(&mut types)?).ok()?;
    let mut types = record.get(record.len() - types.len()..header)?;
    let mut values = record.get(header..)?;
    let mut columns = Vec::new();
    while !types.is_empty() {
        let kind = varint(&mut types)?;
        columns.push(value(kind, &mut values)?);
    }
    Some(columns)
}

fn value(kind: i64, values: &mut &[u8]) -> Option<Value> {
    let length = match kind {
        0 | 8 | 9 => 0,
        1..=4 => usize::try_from(kind).ok()?,
        5 => 6,
        6 | 7 => 8,
        12.. => usize::try_from((kind - 12) / 2).ok()?,
        _ => return None,
    };
    let (bytes, rest) = values.split_at_checked(length)?;
    *values = rest;
    Some(match kind {
        0 => Value::Null,
        8 | 9 => Value::Integer(kind - 8),
        1..=6 => {
            let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
            Value::Integer(bytes.iter().fold(sign, |n, byte| n << 8 | i64::from(*byte)))
        }
        7 => Value::Real(f64::from_be_bytes(bytes.try_into().ok()?)),
        _ if kind % 2 == 0 => Value::Blob(bytes.to_vec()),
        _ => Value::Text(String::from_utf8(bytes.to_vec()).ok()?),
    })
}

/// A number of one to nine bytes, the seven lower bits of each.
fn varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut number = 0i64;
    for n in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if n == 8 {
            return Some(number << 8 | i64::from(*byte));
        }
        number = number << 7 | i64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, params};

    use super::*;

    #[test]
    fn every_row_is_found_without_the_pages_above() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("PRAGMA page_size = 1024; CREATE TABLE t (a, b, c, d)").unwrap();
        let number = |n: i64| n.pow(5) * if n % 2 == 0 { 1 } else { -1 };
        for n in 1..=500 {
            let (text, blob) = (format!("é {n}"), vec![7u8; usize::try_from(n % 90).unwrap()]);
            let row = params![number(n), text, blob, 0.5];
            connection.execute("INSERT INTO t VALUES (?1, ?2, ?3, ?4)", row).unwrap();
        }
        connection.execute("DELETE FROM t WHERE rowid BETWEEN 100 AND 300", []).unwrap();
        let root: u32 = connection
            .query_row("SELECT rootpage FROM sqlite_schema", [], |row| row.get(0))
            .unwrap();
        drop(connection);
        let mut bytes = std::fs::read(&path).unwrap();
        let root = root as usize;
        bytes[(root - 1) * 1024..root * 1024].fill(0);
        std::fs::write(&path, bytes).unwrap();
        let mut found = Vec::new();
        let mut leaves = Leaves::open(&path).unwrap();
        leaves
            .each(|(row, columns)| {
                if columns.len() == 4 {
                    assert_eq!(columns[0], Value::Integer(number(row)));
                    assert_eq!(columns[1], Value::Text(format!("é {row}")));
                    assert_eq!(columns[3], Value::Real(0.5));
                    found.push(row);
                }
                true
            })
            .unwrap();
        found.sort_unstable();
        assert_eq!(found, (1..100).chain(301..=500).collect::<Vec<_>>());
    }

    #[test]
    fn bytes_that_make_no_sense_are_no_row() {
        for seed in 0u32..2000 {
            let page: Vec<u8> = (0..512u32)
                .map(|n| (n + 1).wrapping_mul(seed.wrapping_mul(0x9e37_79b9) | 1).to_be_bytes()[1])
                .collect();
            rows(&page, 0).for_each(drop);
        }
    }
}
