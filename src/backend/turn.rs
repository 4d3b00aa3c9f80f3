//! Whose turn it is to change a collection: one task of one process at a time.
//!
//! A lock on a file beside the collection, which the system takes away with
//! its process: one that was killed holds nobody up.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::sleep;

use super::elsewhere;
use super::message::Event;
use super::reporter::Reporter;
use crate::store;

/// How often to look whether the other process has finished: nothing tells.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The right to change a collection, until dropped.
#[derive(Debug)]
pub(super) struct Turn {
    // Before the other: who waits in this process needs the file next.
    _among_processes: Option<File>,
    _in_this_one: OwnedMutexGuard<()>,
}

impl Turn {
    /// Waits until nobody else changes `collection`: first in this process,
    /// where whoever does holds `loading`, then in another, which is reported.
    pub(super) async fn wait(
        collection: &Path,
        loading: &Arc<Mutex<()>>,
        reporter: &Reporter,
    ) -> io::Result<Self> {
        let here = Arc::clone(loading).lock_owned().await;
        let file = lock(collection, async || {
            reporter.report(Event::Remarked, elsewhere::waiting_for(collection)).await;
        });
        Ok(Self { _among_processes: file.await?, _in_this_one: here })
    }
}

/// Waits until no other process has the turn at `collection`, after having
/// told so by `tell`. None where the file system knows no locks: then nobody
/// waits.
async fn lock(collection: &Path, tell: impl AsyncFnOnce()) -> io::Result<Option<File>> {
    let Some(file) = open(collection)? else { return Ok(None) };
    let mut tell = Some(tell);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, "loads of other processes are not waited for");
                return Ok(None);
            }
        }
        if let Some(tell) = tell.take() {
            tell().await;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// A folder that cannot be written to is nobody's to change.
fn open(collection: &Path) -> io::Result<Option<File>> {
    let place = store::beside(collection, "-turn");
    place.parent().map_or(Ok(()), fs::create_dir_all)?;
    match OpenOptions::new().create(true).truncate(false).write(true).open(place) {
        Ok(file) => Ok(Some(file)),
        Err(error) => {
            tracing::warn!(%error, "loads of other processes are not waited for");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_waits_for_the_other_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let collection = folder.path().join("cars.db");
        let first = lock(&collection, async || panic!("nobody to wait for")).await.unwrap();
        let (told, waiting) = tokio::sync::oneshot::channel();
        let second = lock(&collection, async || told.send(()).unwrap());
        let first_ends = async {
            waiting.await.unwrap();
            drop(first);
        };
        let (second, ()) = tokio::join!(second, first_ends);
        second.unwrap();
    }

    #[tokio::test]
    async fn where_nothing_can_be_written_nobody_waits() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("cars.db-turn")).unwrap();
        let collection = folder.path().join("cars.db");
        for _ in 0..2 {
            lock(&collection, async || panic!("nobody to wait for")).await.unwrap();
        }
    }
}
