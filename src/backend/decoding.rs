//! From the bytes of files to pixel values, on several threads.
//!
//! Files wait in a queue; each thread decodes one after the other. For each
//! thread, the files take 8 MiB at most, and all that is decoded 96 MiB.
//! Whatever wants more waits until it is alone: the file that is put into the
//! queue, or the picture that is decoded. Within the limits of
//! [`picture`](crate::picture), these are 512 MiB for a file and 1.5 GiB for
//! a picture with its decoder's copy of the file; files that are being looked up
//! may take as much as a file in the queue and 16 MiB.

use std::io;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope};

use tokio::runtime::Handle;

use super::allowance::{Allowance, Portion};
use crate::domain::{FileStamp, ImageId};

/// Bytes for each thread of files that wait to be decoded, or are.
const FILES: u64 = 8 << 20;

/// Bytes for each thread of pixels that are being decoded, and of what their
/// decoders keep: enough for 12 megapixels, and a copy of them.
const PIXELS: u64 = 96 << 20;

/// Files that wait to be decoded, however short they are.
const QUEUE: usize = 32;

/// A file that is to be decoded.
pub(super) struct Content {
    pub(super) id: ImageId,
    pub(super) stamp: FileStamp,
    pub(super) bytes: Vec<u8>,
}

/// Files that wait, each with its part of the memory for files.
pub(super) struct Queue {
    sender: SyncSender<(Content, Portion)>,
    files: Allowance,
    runtime: Handle,
}

/// Where the memory for the pixels of a picture is taken from.
pub(super) struct Pixels {
    allowance: Allowance,
    runtime: Handle,
}

impl Pixels {
    /// What `decode` gives, once there is memory for `bytes`.
    pub(super) fn within<T>(&self, bytes: u64, decode: impl FnOnce() -> T) -> T {
        let _portion = self.allowance.take(bytes, &self.runtime);
        decode()
    }
}

impl Queue {
    /// Starts so many threads, which give `work` one file after the other until
    /// the queue is gone or `work` says that nobody wants more.
    ///
    /// # Errors
    /// If not even one of them can be started.
    pub(super) fn start<'scope, W>(
        scope: &'scope Scope<'scope, '_>,
        threads: NonZero<usize>,
        runtime: &Handle,
        work: &'scope W,
    ) -> io::Result<Self>
    where
        W: Fn(Content, &Pixels) -> bool + Sync,
    {
        let (sender, waiting) = sync_channel(QUEUE);
        // Gone with the last thread, so that nobody hands over to none.
        let waiting = Arc::new(Mutex::new(waiting));
        let of_all = |bytes: u64| Allowance::of(bytes.saturating_mul(threads.get() as u64));
        let (files, pixels) = (of_all(FILES), of_all(PIXELS));
        for n in 0..threads.get() {
            let waiting = Arc::clone(&waiting);
            let pixels = Pixels { allowance: pixels.clone(), runtime: runtime.clone() };
            let decode =
                move || while next(&waiting).is_some_and(|(file, _portion)| work(file, &pixels)) {};
            let started = thread::Builder::new().name("decoder".into()).spawn_scoped(scope, decode);
            if n == 0 {
                started?;
            }
        }
        Ok(Self { sender, files, runtime: runtime.clone() })
    }

    /// Hands `content` over once there is room; says whether anybody takes it.
    pub(super) fn put(&self, content: Content) -> bool {
        let portion = self.files.take(content.bytes.len() as u64, &self.runtime);
        self.sender.send((content, portion)).is_ok()
    }
}

/// The next one that waits, or `None` if none will come.
fn next<T>(waiting: &Mutex<Receiver<T>>) -> Option<T> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;
    use std::sync::Barrier;

    use super::*;

    fn content(length: usize) -> Content {
        let id = ImageId::new(Path::new("/cars"), Path::new("car.jpg"));
        let stamp = FileStamp { size: length as u64, modified: 0, hash: [0; 32] };
        Content { id, stamp, bytes: vec![0; length] }
    }

    fn threads(count: usize) -> NonZero<usize> {
        NonZero::new(count).unwrap()
    }

    /// Does `work` with files of these lengths, on a thread that may block.
    async fn decode_all(
        count: usize,
        lengths: Vec<usize>,
        work: impl Fn(Content, &Pixels) -> bool + Send + Sync + 'static,
    ) -> bool {
        let runtime = Handle::current();
        let decode = move || {
            thread::scope(|scope| {
                let queue = Queue::start(scope, threads(count), &runtime, &work).unwrap();
                lengths.into_iter().all(|length| queue.put(content(length)))
            })
        };
        tokio::task::spawn_blocking(decode).await.unwrap()
    }

    #[tokio::test]
    async fn files_are_decoded_on_several_threads_at_once() {
        let together = Barrier::new(3);
        let (done, heard) = std::sync::mpsc::channel();
        let work = move |_: Content, _: &Pixels| {
            together.wait();
            done.send(thread::current().id()).is_ok()
        };
        assert!(decode_all(3, vec![1; 6], work).await);
        let all: Vec<_> = heard.try_iter().collect();
        assert_eq!((all.len(), all.iter().collect::<HashSet<_>>().len()), (6, 3));
    }

    #[tokio::test]
    async fn a_picture_beyond_all_memory_is_decoded_alone() {
        let at_work = Arc::new(Mutex::new(()));
        let shared = Arc::clone(&at_work);
        let work = move |_: Content, pixels: &Pixels| {
            pixels.within(u64::MAX, || {
                let _alone = shared.try_lock().expect("it is alone");
                thread::yield_now();
            });
            true
        };
        assert!(decode_all(3, vec![1; 50], work).await);
    }

    #[tokio::test]
    async fn a_file_beyond_all_memory_is_taken_nevertheless() {
        let long = usize::try_from(2 * FILES).unwrap() + 1;
        assert!(decode_all(2, vec![long, 1, long], |_, _| true).await);
    }

    #[tokio::test]
    async fn nobody_hands_over_to_none() {
        assert!(!decode_all(2, vec![1; QUEUE + 3], |_, _| false).await);
    }
}
