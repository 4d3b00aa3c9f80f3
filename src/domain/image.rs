//! Pictures: what names one, and what is kept of it.

use std::fmt;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Embedding, Printable, Similarity};

/// Names a picture by the folder it was loaded from and its path relative to
/// that folder, byte for byte as the file system has it.
///
/// The position in a listing is never part of it: adding a file renames no
/// other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageId {
    folder: Arc<Path>,
    path: Arc<Path>,
}

impl ImageId {
    /// The picture at `path` below `folder`.
    pub fn new(folder: impl Into<Arc<Path>>, path: impl Into<Arc<Path>>) -> Self {
        Self { folder: folder.into(), path: path.into() }
    }

    /// The folder that was loaded, absolute.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path relative to [`ImageId::folder`].
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the file is.
    #[must_use]
    pub fn location(&self) -> PathBuf {
        self.folder.join(&self.path)
    }
}

/// What tells whether a file has changed since it was embedded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileStamp {
    /// Length in bytes.
    pub size: u64,
    /// Last modification, in nanoseconds since 1970 (negative before).
    pub modified: i64,
    /// SHA-256 of the content.
    pub hash: [u8; 32],
}

impl FileStamp {
    /// The last modification of a file, in nanoseconds since 1970. A file system
    /// that goes beyond the years 1677 to 2262 is believed to the nearest of them.
    #[must_use]
    pub fn time_of(stat: &Metadata) -> i64 {
        let nanoseconds = |time: SystemTime| match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
        };
        stat.modified().map_or(0, nanoseconds)
    }
}

/// Width and height in pixels, upright (after EXIF orientation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PixelSize {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

/// One picture as a store keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Which picture.
    pub id: ImageId,
    /// Its embedding.
    pub embedding: Embedding,
    /// The file it was made from, unless somebody else stored it who records
    /// no such thing.
    pub stamp: Option<FileStamp>,
    /// The picture's size, likewise.
    pub pixels: Option<PixelSize>,
}

/// One answer to a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Which picture.
    pub id: ImageId,
    /// How close it is to the query.
    pub similarity: Similarity,
    /// How far it stands out: standard deviations by which its similarity is
    /// above the mean of the whole collection's to the same query. None where
    /// that is not known, or all are alike. Cosines of different queries and
    /// models cannot be compared; this can, roughly.
    pub standing: Option<f32>,
    /// The picture's size, where the collection records it.
    pub pixels: Option<PixelSize>,
    /// The file as it was when it was embedded, where the collection records
    /// it.
    pub stamp: Option<FileStamp>,
}

/// A picture file that could not be embedded. Shown as a sentence of path and
/// reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblem {
    /// Its path relative to the loaded folder.
    pub path: PathBuf,
    /// Why, as the end of a sentence that begins with the path.
    pub reason: String,
    /// The format's name, if the file is of one that is known but not decoded.
    pub format: Option<String>,
}

impl FileProblem {
    /// One that is not about the file's format.
    #[must_use]
    pub fn new(path: PathBuf, reason: String) -> Self {
        Self { path, reason, format: None }
    }
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", Printable::new(&self.path), Printable::new(&self.reason))
    }
}
