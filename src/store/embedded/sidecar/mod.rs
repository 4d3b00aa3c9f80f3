//! The matrix file beside a collection: every embedding of one space, laid
//! out as the scan wants them, so that opening a large collection reads no
//! SQL.
//!
//! It is derived and never the truth. Whatever does not fit (another format,
//! model or collection, a checksum that is off) is as good as no file, and
//! the embeddings come from the collection itself. What proves that a matrix
//! belongs to a collection is a random mark in both: a copy restored over the
//! collection, or a collection made anew under an old name, carries another.
//!
//! ```text
//! header      128 bytes, see `header`
//! rows        half precision, each padded to a multiple of `scan::BLOCK`
//! ids         the pictures' numbers, rising, i64; zeros to a whole block
//! ```
//!
//! Numbers are little-endian; on other machines there is simply no matrix
//! file.

mod header;
mod save;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use half::f16;
use memmap2::Mmap;

use self::header::Header;
pub(super) use self::save::{Unsaved, save};
use super::checksum::{self, Checksum};
use super::space::Space;
use crate::store::scan;

/// Ties a matrix file to the collection that wrote it.
pub(super) type Mark = [u8; 16];

/// Where the matrix of `space` lies beside the collection at `collection`.
pub(super) fn path(collection: &Path, space: &Space) -> PathBuf {
    let fingerprint = space.fingerprint.to_string();
    collection.with_extension(format!("{}.matrix", &fingerprint[..16]))
}

/// The number of the last change in the matrix at `path`, if it is that of
/// `space` with that `mark`.
pub(super) fn last_change(path: &Path, space: &Space, mark: Mark) -> Option<i64> {
    let mut bytes = [0; header::SIZE];
    File::open(path).ok()?.read_exact(&mut bytes).ok()?;
    Some(Header::parse(&bytes)?.belonging_to(space, mark)?.seq)
}

/// What lies where the matrix file of a space is expected.
pub(super) enum Beside {
    /// No file.
    Nothing,
    /// The matrix of another collection, or an older one of this.
    Other,
    /// What cannot be read as the matrix that was saved.
    Damaged,
    /// The matrix that was saved last.
    Saved(Saved),
}

/// What is at `path`, where the matrix of `space` that carries `mark` is
/// expected.
pub(super) fn beside(path: &Path, space: &Space, mark: Option<Mark>) -> Beside {
    let Ok(mut file) = File::open(path) else { return Beside::Nothing };
    let mut bytes = [0; header::SIZE];
    let Some(header) = file.read_exact(&mut bytes).ok().and_then(|()| Header::parse(&bytes)) else {
        return Beside::Damaged;
    };
    match mark.filter(|mark| header.mark == *mark) {
        None => Beside::Other,
        Some(mark) => Saved::open(path, space, mark).map_or(Beside::Damaged, Beside::Saved),
    }
}

/// A matrix file, mapped and known to be whole.
pub(super) struct Saved {
    map: Mmap,
    header: Header,
}

impl Saved {
    /// Maps the matrix at `path`, or `None` if there is none of `space` with
    /// that `mark`, or it is not what was written.
    pub(super) fn open(path: &Path, space: &Space, mark: Mark) -> Option<Self> {
        if cfg!(target_endian = "big") {
            return None;
        }
        let map = map(&File::open(path).ok()?)?;
        let header = Header::parse(map.first_chunk()?)?.belonging_to(space, mark)?;
        let saved = Self { map, header };
        let whole = saved.has_its_length() && saved.sum() == saved.header.checksum;
        (whole && saved.ids().is_sorted()).then_some(saved)
    }

    /// The number of the last change that is in it.
    pub(super) fn seq(&self) -> i64 {
        self.header.seq
    }

    /// The pictures' numbers, rising.
    pub(super) fn ids(&self) -> &[i64] {
        let ids = &self.map[header::SIZE + self.header.row_bytes()..];
        #[expect(unsafe_code, reason = "the file holds numbers")]
        // SAFETY: every sequence of bytes is a number. The ids begin at a multiple of 64.
        let (_, ids, _) = unsafe { ids.align_to::<i64>() };
        &ids[..self.header.rows]
    }

    /// Their padded embeddings, in the same order.
    pub(super) fn values(&self) -> &[f16] {
        let values = &self.map[header::SIZE..][..self.header.row_bytes()];
        #[expect(unsafe_code, reason = "the file holds numbers")]
        // SAFETY: every sequence of bytes is a number. The rows begin at a multiple of 64.
        let (_, values, _) = unsafe { values.align_to::<f16>() };
        values
    }

    fn has_its_length(&self) -> bool {
        self.header.file_bytes() == Some(self.map.len())
    }

    fn sum(&self) -> u64 {
        sum(&self.header, &self.map[header::SIZE..])
    }
}

#[expect(unsafe_code, reason = "the matrix is as large as the collection; a copy costs as much")]
fn map(file: &File) -> Option<Mmap> {
    // SAFETY: matrix files are written under another name and renamed when
    // whole; no carlens ever writes to or shortens one that has its name, and
    // replacing it leaves this mapping on the old one.
    unsafe { Mmap::map(file) }.ok()
}

/// The checksum of a matrix file with this header and what follows it.
fn sum(header: &Header, body: &[u8]) -> u64 {
    let mut sum = Checksum::new();
    sum.update(body);
    sum.update(&header.unsummed());
    sum.finish()
}

/// Gives a matrix file the checksum of what is in it, so that damage behind it
/// is met.
#[cfg(any(test, fuzzing))]
pub(crate) fn sum_anew(file: &mut [u8]) {
    let Some(header) = file.first_chunk().and_then(Header::parse) else { return };
    let header = Header { checksum: sum(&header, &file[header::SIZE..]), ..header };
    file[..header::SIZE].copy_from_slice(&header.bytes());
}

/// Bytes of an embedding in the file.
fn row_bytes(dimension: usize) -> usize {
    scan::stride(dimension) * size_of::<f16>()
}

/// Zeros to a whole block of the checksum.
fn padding(bytes: usize) -> usize {
    bytes.next_multiple_of(checksum::BLOCK) - bytes
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::domain::{
        CollectionSpec, Embedding, FileStamp, Fingerprint, ImageId, ModelId, PixelSize, Record,
    };
    use crate::store::embedded::{connection, space, write};

    /// A collection of three pictures with its matrix saved.
    struct Collection {
        _folder: tempfile::TempDir,
        matrix: PathBuf,
        space: Space,
        mark: Mark,
    }

    fn collection() -> Collection {
        let folder = tempfile::tempdir().unwrap();
        let collection = folder.path().join("cars.db");
        let mut connection = connection::for_writing(&collection).unwrap();
        let model = ModelId { name: "tiny".into(), fingerprint: Fingerprint([3; 32]) };
        let spec = CollectionSpec { model, dimension: 5 };
        let space = space::find_or_make(&connection, &collection, &spec).unwrap();
        write::upsert(&mut connection, &space, &["a", "b", "c"].map(record)).unwrap();
        let mark = save(&mut connection, &collection, &space).unwrap().unwrap();
        Collection { _folder: folder, matrix: path(&collection, &space), space, mark }
    }

    fn record(name: &str) -> Record {
        Record {
            id: ImageId::new(Path::new("/cars"), Path::new(name)),
            embedding: Embedding::normalize(vec![0.0, 0.0, 3.0, 0.0, 4.0]).unwrap(),
            stamp: Some(FileStamp { size: 1, modified: 2, hash: [3; 32] }),
            pixels: Some(PixelSize { width: 4, height: 3 }),
        }
    }

    impl Collection {
        fn open(&self) -> Option<Saved> {
            Saved::open(&self.matrix, &self.space, self.mark)
        }
    }

    #[test]
    fn a_matrix_is_read_as_it_was_saved() {
        let collection = collection();
        let saved = collection.open().unwrap();
        assert_eq!((saved.seq(), saved.ids()), (3, &[1, 2, 3][..]));
        let row = [0.0, 0.0, 0.6, 0.0, 0.8].map(f16::from_f32);
        for stored in saved.values().chunks_exact(scan::BLOCK) {
            assert_eq!(stored[..5], row);
            assert!(stored[5..].iter().all(|&padding| padding == f16::ZERO));
        }
        assert_eq!(last_change(&collection.matrix, &collection.space, collection.mark), Some(3));
    }

    #[test]
    fn a_matrix_of_something_else_is_none() {
        let Collection { _folder, matrix, space, mark } = collection();
        let other_model = Space { fingerprint: Fingerprint([4; 32]), ..space };
        let other_dimension = Space { dimension: 6, ..space };
        assert!(Saved::open(&matrix, &space, [0; 16]).is_none());
        assert!(Saved::open(&matrix, &other_model, mark).is_none());
        assert!(Saved::open(&matrix, &other_dimension, mark).is_none());
        assert!(Saved::open(Path::new("/nowhere"), &space, mark).is_none());
    }

    #[test]
    fn a_matrix_with_any_byte_changed_is_none() {
        let collection = collection();
        let whole = fs::read(&collection.matrix).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(&collection.matrix, bytes).unwrap();
            // The end of the header is room for what comes.
            assert!(collection.open().is_none() || (96..128).contains(&at), "byte {at}");
        }
    }

    #[test]
    fn a_matrix_of_another_length_is_none() {
        let collection = collection();
        let whole = fs::read(&collection.matrix).unwrap();
        let longer = [&whole[..], &[0; 64]].concat();
        for bytes in (0..whole.len()).map(|end| &whole[..end]).chain([&longer[..]]) {
            fs::write(&collection.matrix, bytes).unwrap();
            assert!(collection.open().is_none(), "{} bytes", bytes.len());
        }
    }

    #[test]
    fn what_a_killed_save_left_is_taken_over() {
        let collection = collection();
        let unfinished = collection.matrix.with_extension("matrix.tmp");
        fs::write(&unfinished, vec![7; 9999]).unwrap();
        let place = collection.matrix.with_file_name("cars.db");
        let mut connection = connection::for_reading(&place).unwrap();
        let mark = save(&mut connection, &place, &collection.space).unwrap().unwrap();
        assert!(Saved::open(&collection.matrix, &collection.space, mark).is_some());
        assert!(!unfinished.exists());
    }

    #[test]
    fn a_matrix_another_process_is_saving_is_left_to_it() {
        let collection = collection();
        let unfinished = collection.matrix.with_extension("matrix.tmp");
        let theirs = File::create(&unfinished).unwrap();
        theirs.lock().unwrap();
        let place = collection.matrix.with_file_name("cars.db");
        let mut connection = connection::for_reading(&place).unwrap();
        assert!(save(&mut connection, &place, &collection.space).unwrap().is_none());
        assert!(collection.open().is_some());
    }
}
