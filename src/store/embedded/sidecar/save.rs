//! Writes a matrix file: under another name first, on the disk before it gets
//! its own.

use std::error::Error as StdError;
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek as _, Write as _};
use std::path::Path;

use rusqlite::Connection;

use super::header::{self, Header};
use super::{Mark, padding, path, row_bytes};
use crate::store::embedded::checksum::Checksum;
use crate::store::embedded::columns;
use crate::store::embedded::connection::beside;
use crate::store::embedded::space::{self, Space};

/// Why a matrix was not saved: for the log alone.
pub(in super::super) type Unsaved = Box<dyn StdError + Send + Sync>;

/// Saves the matrix of `space` as the collection at `collection` has it now.
///
/// The matrix counts only once the returned mark is in the collection. `None`
/// means that another process is saving it.
pub(in super::super) fn save(
    connection: &mut Connection,
    collection: &Path,
    space: &Space,
) -> Result<Option<Mark>, Unsaved> {
    let place = path(collection, space);
    let unfinished = beside(&place, ".tmp");
    let Some(file) = claim(&unfinished)? else { return Ok(None) };
    let (written, mark) = write(file, connection, space).inspect_err(|_| {
        // Best effort: what is left is overwritten by the next save.
        let _ = fs::remove_file(&unfinished);
    })?;
    fs::rename(&unfinished, &place)?;
    drop(written); // not before: closing it ends the claim
    Ok(Some(mark))
}

/// Opens the file at `path` unless another process is writing it. What one
/// that was killed has left there is taken over.
fn claim(path: &Path) -> io::Result<Option<File>> {
    let file = File::options().write(true).create(true).truncate(false).open(path)?;
    if file.try_lock().is_err() || !is_still_at(&file, path)? {
        return Ok(None);
    }
    file.set_len(0)?;
    Ok(Some(file))
}

/// False if the file was finished and renamed between opening and locking it:
/// it is then the live matrix, which others have mapped.
#[cfg(unix)]
fn is_still_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let (held, there) = (file.metadata()?, fs::metadata(path));
    Ok(there.is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino())))
}

/// Elsewhere a file that is open is not renamed.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "on Unix it can fail")]
fn is_still_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

fn write(file: File, connection: &mut Connection, space: &Space) -> Result<(File, Mark), Unsaved> {
    let snapshot = connection.transaction()?;
    let seq = space::last_change(&snapshot, space)?;
    let mark = snapshot.query_row("SELECT randomblob(16)", [], |row| row.get(0))?;
    let mut body = Body::begin(file, space)?;
    space::every_embedding(&snapshot, space, |id, column| body.push(id, column))?;
    Ok((body.finish(seq, mark)?, mark))
}

/// A matrix file in the making.
struct Body<'a> {
    space: &'a Space,
    file: BufWriter<File>,
    checksum: Checksum,
    row: Vec<u8>,
    ids: Vec<i64>,
}

impl<'a> Body<'a> {
    /// Leaves room for the header, which is known last.
    fn begin(file: File, space: &'a Space) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(1 << 20, file);
        file.write_all(&[0; header::SIZE])?;
        let row = vec![0; row_bytes(space.dimension)];
        Ok(Self { space, file, checksum: Checksum::new(), row, ids: Vec::new() })
    }

    fn push(&mut self, id: i64, column: &[u8]) -> Result<(), Unsaved> {
        let _ = columns::components(column, self.space.dimension)?;
        self.row[..column.len()].copy_from_slice(column);
        self.ids.push(id);
        self.checksum.update(&self.row);
        Ok(self.file.write_all(&self.row)?)
    }

    fn finish(mut self, seq: i64, mark: Mark) -> io::Result<File> {
        let mut ids: Vec<u8> = self.ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        ids.resize(ids.len() + padding(ids.len()), 0);
        self.checksum.update(&ids);
        self.file.write_all(&ids)?;
        let header = Header {
            dimension: self.space.dimension,
            rows: self.ids.len(),
            seq,
            checksum: 0,
            fingerprint: self.space.fingerprint,
            mark,
        };
        self.checksum.update(&header.unsummed());
        let header = Header { checksum: self.checksum.finish(), ..header };
        self.file.rewind()?;
        self.file.write_all(&header.bytes())?;
        let file = self.file.into_inner()?;
        file.sync_all()?;
        Ok(file)
    }
}
