//! How long the threads of a load are at work on what.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::message::StageTimes;

/// What pictures go through, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Reading,
    Decoding,
    Resizing,
    Encoding,
    Storing,
}

/// Watches that any thread may run, also several at once.
#[derive(Debug, Default)]
pub(super) struct Stopwatches([AtomicU64; 5]);

impl Stopwatches {
    /// What `work` gives, whose time counts.
    pub(super) fn time<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        self.add(stage, began.elapsed());
        done
    }

    /// The same of what is waited for.
    pub(super) async fn time_all<T>(&self, stage: Stage, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = work.await;
        self.add(stage, began.elapsed());
        done
    }

    fn add(&self, stage: Stage, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0[stage as usize].fetch_add(nanos, Ordering::Relaxed);
    }

    pub(super) fn times(&self) -> StageTimes {
        let of =
            |stage: Stage| Duration::from_nanos(self.0[stage as usize].load(Ordering::Relaxed));
        StageTimes {
            reading: of(Stage::Reading),
            decoding: of(Stage::Decoding),
            resizing: of(Stage::Resizing),
            encoding: of(Stage::Encoding),
            storing: of(Stage::Storing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_every_thread_counts_for_its_stage() {
        let watches = Stopwatches::default();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| watches.add(Stage::Decoding, Duration::from_secs(3)));
            }
        });
        assert_eq!(watches.time(Stage::Storing, || 7), 7);
        let times = watches.times();
        assert_eq!((times.decoding, times.encoding), (Duration::from_secs(6), Duration::ZERO));
        assert!(times.storing > Duration::ZERO);
    }
}
