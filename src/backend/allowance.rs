//! How much memory pictures may take together.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes are counted in lumps of so many.
const LUMP: u64 = 64 << 10;

/// Bytes to be shared out among threads, first come, first served.
#[derive(Clone)]
pub(super) struct Allowance {
    free: Arc<Semaphore>,
    lumps: u32,
}

/// A part of an allowance, which is given back when this goes.
pub(super) struct Portion(#[expect(dead_code, reason = "kept until it goes")] OwnedSemaphorePermit);

impl Allowance {
    pub(super) fn of(bytes: u64) -> Self {
        let lumps = u32::try_from(bytes / LUMP).unwrap_or(u32::MAX).max(1);
        Self { free: Arc::new(Semaphore::new(lumps as usize)), lumps }
    }

    /// Waits until so many bytes are free; whoever wants more than there are
    /// waits until they are alone, and takes them all.
    ///
    /// Blocks, so never on the executor. Whoever holds a portion must not take
    /// another one of the same allowance.
    pub(super) fn take(&self, bytes: u64, runtime: &Handle) -> Portion {
        let lumps = u32::try_from(bytes.div_ceil(LUMP)).unwrap_or(u32::MAX).min(self.lumps);
        let portion = runtime.block_on(Arc::clone(&self.free).acquire_many_owned(lumps));
        Portion(portion.expect("it is never closed"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// Hands out portions of so many bytes one after the other on a thread of
    /// its own, each as soon as it has it.
    fn takes(allowance: &Allowance, bytes: &'static [u64]) -> mpsc::Receiver<Portion> {
        let (taken, portions) = mpsc::channel();
        let (allowance, runtime) = (allowance.clone(), Handle::current());
        thread::spawn(move || {
            bytes.iter().try_for_each(|bytes| taken.send(allowance.take(*bytes, &runtime)))
        });
        portions
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn portions_are_given_until_all_is_taken_and_again_when_they_are_back() {
        let allowance = Allowance::of(100 * LUMP);
        let portions = takes(&allowance, &[60 * LUMP, 40 * LUMP, 1]);
        let (first, second) = (portions.recv().unwrap(), portions.recv().unwrap());
        assert_eq!(allowance.free.available_permits(), 0);
        drop(first);
        let third = portions.recv().unwrap();
        assert_eq!(allowance.free.available_permits(), 59);
        drop((second, third));
        assert_eq!(allowance.free.available_permits(), 100);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn more_than_there_is_waits_to_be_alone_and_is_not_overtaken() {
        let allowance = Allowance::of(100 * LUMP);
        let small = allowance_of(&allowance, LUMP);
        let large = takes(&allowance, &[u64::MAX]);
        while allowance.free.available_permits() > 0 {
            // The large one is given whatever is free as it waits.
            thread::yield_now();
        }
        let late = takes(&allowance, &[LUMP]);
        assert!(large.try_recv().is_err() && late.try_recv().is_err());
        drop(small);
        let alone = large.recv().unwrap();
        assert!(late.try_recv().is_err());
        drop(alone);
        late.recv().unwrap();
    }

    fn allowance_of(allowance: &Allowance, bytes: u64) -> Portion {
        let (allowance, runtime) = (allowance.clone(), Handle::current());
        thread::spawn(move || allowance.take(bytes, &runtime)).join().unwrap()
    }
}
