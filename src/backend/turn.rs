//! Whose turn it is to change a collection: one process at a time.
//!
//! A lock on a file beside the collection, which the system takes away with
//! its process: one that was killed holds nobody up.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use crate::store;

/// How often to look whether the other process has finished: nothing tells.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The right to change a collection, until dropped.
#[derive(Debug)]
pub(super) struct Turn {
    /// None where the file system knows no locks: then nobody waits.
    _file: Option<File>,
}

impl Turn {
    /// Waits until no other process has the turn at `collection`, after having
    /// told so by `tell`.
    pub(super) async fn wait(collection: &Path, tell: impl AsyncFnOnce()) -> io::Result<Self> {
        let Some(file) = open(collection)? else { return Ok(Self { _file: None }) };
        let mut tell = Some(tell);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: Some(file) }),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    tracing::warn!(%error, "loads of other processes are not waited for");
                    return Ok(Self { _file: None });
                }
            }
            if let Some(tell) = tell.take() {
                tell().await;
            }
            sleep(LOOK_EVERY).await;
        }
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
        let first = Turn::wait(&collection, async || panic!("nobody to wait for")).await.unwrap();
        let (told, waiting) = tokio::sync::oneshot::channel();
        let second = Turn::wait(&collection, async || told.send(()).unwrap());
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
            Turn::wait(&collection, async || panic!("nobody to wait for")).await.unwrap();
        }
    }
}
