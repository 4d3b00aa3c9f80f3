//! From a path to pixel values, unless the collection has the file already:
//! the blocking half of a load, on a thread of its own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{io, thread};

use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::priority;
use crate::clip::{PixelValues, Preprocessor};
use crate::domain::{FileProblem, FileStamp, ImageId, PixelSize};
use crate::picture;
use crate::store::{self, VectorStore};

/// How many files are looked up in the collection at a time.
const LOOKUP: usize = 256;

/// What became of one file.
pub(super) enum Read {
    /// It is in the collection, unchanged.
    Unchanged(ImageId),
    /// Its content is in the collection, but it was written again.
    Touched(ImageId, FileStamp),
    /// It is ready to be embedded.
    Picture(Picture),
    /// It cannot be embedded.
    Problem(FileProblem),
    /// The collection could not be asked; nothing follows.
    Stopped(store::Error),
}

/// A file ready to be embedded.
pub(super) struct Picture {
    pub(super) id: ImageId,
    pub(super) stamp: FileStamp,
    pub(super) pixels: PixelSize,
    pub(super) values: PixelValues,
}

/// Reads `paths` below `folder` in order, until the receiver has left.
pub(super) struct Reader {
    pub(super) folder: Arc<Path>,
    pub(super) paths: Vec<PathBuf>,
    pub(super) store: Arc<dyn VectorStore>,
    pub(super) preprocessor: Preprocessor,
    /// Ends the lookups in the collection, which may take long.
    pub(super) token: CancellationToken,
}

impl Reader {
    /// Starts to read on a thread of its own; what is returned waits for its
    /// end, and fails if it panicked.
    pub(super) fn start(self, read: mpsc::Sender<Read>) -> io::Result<oneshot::Receiver<()>> {
        let runtime = Handle::current();
        let (done, ended) = oneshot::channel();
        thread::Builder::new().name("reader".into()).spawn(move || {
            priority::lower();
            self.run(&runtime, &read);
            // Nobody waits where the load was dropped.
            let _ = done.send(());
        })?;
        Ok(ended)
    }

    fn run(self, runtime: &Handle, read: &mpsc::Sender<Read>) {
        for paths in self.paths.chunks(LOOKUP) {
            let ids: Vec<ImageId> = paths
                .iter()
                .map(|path| ImageId::new(Arc::clone(&self.folder), path.as_path()))
                .collect();
            let stamps = self.store.stamps(ids.clone());
            let known = match runtime.block_on(self.token.run_until_cancelled(stamps)) {
                Some(Ok(known)) => known,
                Some(Err(error)) => {
                    // If the receiver has left, nobody needs to know.
                    let _ = read.blocking_send(Read::Stopped(error));
                    return;
                }
                None => return,
            };
            for id in ids {
                if read.blocking_send(self.read(&id, &known)).is_err() {
                    return;
                }
            }
        }
    }

    fn read(&self, id: &ImageId, known: &HashMap<ImageId, FileStamp>) -> Read {
        let known = known.get(id).copied();
        self.read_unless_known(id, known).unwrap_or_else(|error| {
            let path = id.path().to_owned();
            Read::Problem(FileProblem { path, reason: error.to_string() })
        })
    }

    fn read_unless_known(
        &self,
        id: &ImageId,
        known: Option<FileStamp>,
    ) -> Result<Read, picture::Error> {
        let path = id.location();
        let kind = std::fs::metadata(&path)?;
        let modified = kind.modified().map_or(0, nanoseconds);
        if known.is_some_and(|known| known.size == kind.len() && known.modified == modified) {
            return Ok(Read::Unchanged(id.clone()));
        }
        let bytes = picture::read(&path)?;
        let hash = Sha256::digest(&bytes).into();
        let stamp = FileStamp { size: bytes.len() as u64, modified, hash };
        if known.is_some_and(|known| known.hash == hash) {
            return Ok(Read::Touched(id.clone(), stamp));
        }
        let decoded = picture::decode(&bytes)?;
        let pixels = picture::pixel_size(&decoded);
        let values = self
            .preprocessor
            .pixel_values(&picture::flatten(decoded))
            .map_err(|e| picture::Error::Damaged(e.to_string()))?;
        Ok(Read::Picture(Picture { id: id.clone(), stamp, pixels, values }))
    }
}

/// Since 1970; a file system that goes beyond the years 1677 to 2262 is
/// believed to the nearest of them.
fn nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
    }
}
