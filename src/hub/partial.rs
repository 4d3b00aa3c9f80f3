//! A blob that is not complete yet: `blobs/HASH.incomplete`.
//!
//! Only who holds the blob's lock has one. It lies on the disk under its own
//! name until its hash is right; then it is renamed, so that no program ever
//! sees half a blob. Whatever else happens it stays, to be continued.
//!
//! Every access is off the executor's threads and takes the file along: if the
//! pull is dropped meanwhile, the lock is kept until the write has ended.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;
use super::checksum::Checksum;

/// The right to write a blob.
#[derive(Debug)]
pub(super) struct Lock {
    /// `None` on file systems that know no locks. Two programs may then do the
    /// same work, and the hash tells whether they got in each other's way.
    _file: Option<File>,
}

impl Lock {
    /// Takes the lock at `path`, or returns `None` if another has it. It is
    /// the same lock that Python's `huggingface_hub` takes.
    pub(super) async fn take(path: PathBuf) -> Result<Option<Self>, Error> {
        let shown = path.clone();
        // Opened at each try, since the other may remove the file at its end.
        let taken = off_thread(move || {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            match file.try_lock() {
                Ok(()) => Ok(Some(Self { _file: Some(file) })),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(error)) => {
                    tracing::debug!(%error, "this file system has no locks");
                    Ok(Some(Self { _file: None }))
                }
            }
        });
        taken.await.map_err(|error| Error::from_disk("lock", &shown, error))
    }
}

/// A blob in the making.
pub(super) struct Partial {
    open: Arc<Open>,
    length: u64,
}

struct Open {
    file: File,
    path: PathBuf,
    _lock: Lock,
}

impl Partial {
    /// Opens what is there of the blob at `path`.
    pub(super) async fn open(path: PathBuf, lock: Lock) -> Result<Self, Error> {
        let shown = path.clone();
        let opened = off_thread(move || {
            let file = OpenOptions::new().create(true).read(true).append(true).open(&path)?;
            let length = file.metadata()?.len();
            Ok(Self { open: Arc::new(Open { file, path, _lock: lock }), length })
        });
        opened.await.map_err(|error| Error::from_disk("open", &shown, error))
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Adds `piece` at the end.
    pub(super) async fn append(
        &mut self,
        piece: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<(), Error> {
        let length = piece.as_ref().len() as u64;
        self.with("write", move |open| (&open.file).write_all(piece.as_ref())).await?;
        self.length += length;
        Ok(())
    }

    /// Throws away what is there.
    pub(super) async fn clear(&mut self) -> Result<(), Error> {
        self.length = 0;
        self.with("write", |open| open.file.set_len(0)).await
    }

    /// Puts the blob to its place if its hash is `checksum`, else deletes it
    /// and returns `false`.
    pub(super) async fn finish(self, checksum: Checksum, blob: PathBuf) -> Result<bool, Error> {
        let length = self.length;
        self.with("verify", move |open| {
            (&open.file).rewind()?;
            let matches = checksum.matches(&mut &open.file, length)?;
            if matches {
                open.file.sync_all()?;
                fs::rename(&open.path, &blob)?;
            } else {
                fs::remove_file(&open.path)?;
            }
            Ok(matches)
        })
        .await
    }

    async fn with<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Open) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let open = Arc::clone(&self.open);
        let done = off_thread(move || work(&open)).await;
        done.map_err(|error| Error::from_disk(doing, &self.open.path, error))
    }
}

/// Whether the file at `path` is there and what `checksum` says it is.
pub(super) async fn is_intact(path: PathBuf, checksum: Checksum, size: u64) -> Result<bool, Error> {
    let shown = path.clone();
    let intact = off_thread(move || check(&path, &checksum, size));
    intact.await.map_err(|error| Error::from_disk("read", &shown, error))
}

fn check(path: &Path, checksum: &Checksum, size: u64) -> io::Result<bool> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    Ok(file.metadata()?.len() == size && checksum.matches(&mut file, size)?)
}

/// Runs `work`, which may take long, where it holds up nobody.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(io::Error::other("the program is ending")),
        },
    }
}
