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
    /// What `work` gives, whose time counts, also while it waits for a disk or a
    /// database.
    pub(super) fn time<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        self.time_by(|| began.elapsed(), stage, work)
    }

    /// The same of what is waited for.
    pub(super) async fn time_all<T>(&self, stage: Stage, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = work.await;
        self.add(stage, began.elapsed());
        done
    }

    /// What `work` gives. What counts is the time that the processor was at it,
    /// not that in which it was at another thread.
    pub(super) fn time_work<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        self.time_by(worked, stage, work)
    }

    /// The same of all threads of the rayon pool that it is called in, which do
    /// nothing else meanwhile.
    pub(super) fn time_pool<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        self.time_by(|| rayon::broadcast(|_| worked()).into_iter().sum(), stage, work)
    }

    /// The same by a clock.
    fn time_by<T>(
        &self,
        clock: impl Fn() -> Duration,
        stage: Stage,
        work: impl FnOnce() -> T,
    ) -> T {
        let began = clock();
        let done = work();
        self.add(stage, clock().saturating_sub(began));
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

/// How long the processor has been at this thread.
#[cfg(unix)]
fn worked() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // Never negative.
    Duration::try_from(time).unwrap_or_default()
}

/// How long this thread has been, since it was first asked: where it does not
/// wait for others, how long the processor has been at it.
#[cfg(not(unix))]
fn worked() -> Duration {
    thread_local!(static BORN: Instant = Instant::now());
    BORN.with(Instant::elapsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the processor busy for that long.
    fn work(time: Duration) {
        let began = worked();
        while worked().saturating_sub(began) < time {}
    }

    #[test]
    fn what_a_thread_waits_for_is_no_work() {
        let watches = Stopwatches::default();
        let (hold, held) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let wait = move || held.recv().unwrap();
            scope.spawn(|| watches.time_work(Stage::Decoding, wait));
            watches.time_work(Stage::Resizing, || work(Duration::from_millis(60)));
            hold.send(()).unwrap();
        });
        let times = watches.times();
        assert!(times.resizing >= Duration::from_millis(60), "{times:?}");
        assert!(times.decoding < Duration::from_millis(30), "{times:?}");
    }

    #[test]
    fn what_all_threads_of_a_pool_do_counts() {
        let watches = Stopwatches::default();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let each = Duration::from_millis(20);
        pool.install(|| {
            watches.time_pool(Stage::Encoding, || rayon::broadcast(|_| work(each)));
        });
        assert!(watches.times().encoding >= 2 * each, "{:?}", watches.times());
    }

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
