//! How fast work goes just now, and how long the rest of it will take.

use std::collections::VecDeque;
use std::time::Duration;

/// What lies this far back counts for a third of what happens now.
const MEMORY: Duration = Duration::from_secs(15);

/// Too short a time to go by.
const TOO_SHORT: Duration = Duration::from_millis(500);

/// A wait that is longer makes the work slow, rather than being its next step.
const PATIENCE: Duration = Duration::from_secs(5);

/// Steps of which the middle one tells how many free pieces come with a costly
/// one.
const STEPS: usize = 15;

/// So many free pieces in a row say that nothing costly may come for long.
const RUN: f64 = 64.0;

/// The pace of the recent past.
///
/// Some pieces of work cost time and some are almost free, as a picture that
/// is stored already is. Both are told apart: ten thousand that are passed
/// over say nothing of how long the next new one takes.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    at: Duration,
    costly: Recent,
    free: Recent,
    /// Time since the last costly piece that no free one took.
    pending: Duration,
    /// Free pieces since the last costly one.
    run: f64,
    /// Free pieces for each costly one, of the last steps.
    ratios: VecDeque<f64>,
    counted: (u64, u64),
}

/// Pieces and the time they took, where what is long past counts less.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    pieces: f64,
    seconds: f64,
}

impl Recent {
    fn add(&mut self, pieces: f64, time: Duration) {
        let kept = (-time.as_secs_f64() / MEMORY.as_secs_f64()).exp();
        self.pieces = self.pieces * kept + pieces;
        self.seconds = self.seconds * kept + time.as_secs_f64();
    }

    fn seconds_each(&self) -> Option<f64> {
        (self.pieces > 0.0).then(|| self.seconds / self.pieces)
    }
}

impl Pace {
    /// The mean pace of work that has done so many pieces since it began.
    pub(crate) fn mean(at: Duration, costly: u64) -> Self {
        let mut pace = Self::default();
        pace.observe(at, costly, 0);
        pace
    }

    /// Takes in how many `costly` and `free` pieces were done `at` a time since
    /// the work began. Smaller numbers than before are those of new work.
    pub(crate) fn observe(&mut self, at: Duration, costly: u64, free: u64) {
        if at < self.at || costly < self.counted.0 || free < self.counted.1 {
            *self = Self::default();
        }
        let time = at.saturating_sub(self.at);
        let (more_costly, more_free) = (costly - self.counted.0, free - self.counted.1);
        self.at = at;
        self.counted = (costly, free);
        self.run += float(more_free);
        if more_costly > 0 {
            // What comes before the first costly piece tells nothing of those
            // between two of them.
            let ratio = if self.costly.pieces > 0.0 { self.run / float(more_costly) } else { 0.0 };
            self.ratios.push_back(ratio);
            if self.ratios.len() > STEPS {
                self.ratios.pop_front();
            }
            self.costly.add(float(more_costly), time + std::mem::take(&mut self.pending));
            self.run = 0.0;
        } else if more_free > 0 {
            self.free.add(float(more_free), time);
        } else {
            self.pending += time;
        }
    }

    /// Costly pieces per second; nothing before there is something to go by,
    /// nor while only free ones go by.
    pub(crate) fn rate(&self) -> Option<f64> {
        let waited = self.pending.saturating_sub(PATIENCE).as_secs_f64();
        let seconds = self.costly.seconds + waited;
        let enough = self.costly.pieces > 0.0 && seconds >= TOO_SHORT.as_secs_f64();
        (enough && !self.is_passing_over()).then(|| self.costly.pieces / seconds)
    }

    /// How long `rest` more pieces will take.
    pub(crate) fn left(&self, rest: u64) -> Option<Duration> {
        let rate = self.rate()?;
        let costly = float(rest) / (1.0 + self.usual_ratio());
        let free = (float(rest) - costly) * self.free.seconds_each().unwrap_or(0.0);
        Duration::try_from_secs_f64(costly / rate + free).ok()
    }

    fn is_passing_over(&self) -> bool {
        self.run > RUN + 8.0 * self.usual_ratio()
    }

    /// The middle of the last ones: one long run of free pieces between two
    /// costly ones changes nothing.
    fn usual_ratio(&self) -> f64 {
        let mut sorted: Vec<f64> = self.ratios.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn float(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pace, and the counts it is told.
    #[derive(Default)]
    struct Work {
        pace: Pace,
        at: Duration,
        costly: u64,
        free: u64,
    }

    impl Work {
        /// `steps` times so many more pieces, a tenth of a second each.
        fn go_on(&mut self, steps: usize, costly: u64, free: u64) -> &mut Self {
            for _ in 0..steps {
                self.at += Duration::from_millis(100);
                self.costly += costly;
                self.free += free;
                self.pace.observe(self.at, self.costly, self.free);
            }
            self
        }

        #[track_caller]
        fn goes_at(&self, rate: f64) {
            let now = self.pace.rate().expect("a rate");
            assert!((now / rate - 1.0).abs() < 0.1, "{now} rather than {rate}");
        }

        #[track_caller]
        fn lasts(&self, rest: u64, seconds: f64) {
            let left = self.pace.left(rest).expect("a time").as_secs_f64();
            assert!((left / seconds - 1.0).abs() < 0.25, "{left} rather than {seconds}");
        }
    }

    #[test]
    fn a_steady_pace_is_the_count_by_the_time() {
        let mut work = Work::default();
        work.go_on(100, 2, 0).goes_at(20.0);
        work.lasts(200, 10.0);
    }

    #[test]
    fn nothing_is_foretold_before_there_is_something_to_go_by() {
        let mut work = Work::default();
        assert!(work.pace.left(9).is_none());
        work.go_on(2, 5, 0);
        assert!(work.pace.rate().is_none(), "after a fifth of a second");
        let mut waiting = Work::default();
        waiting.go_on(100, 0, 0);
        assert!(waiting.pace.rate().is_none());
    }

    #[test]
    fn unchanged_pictures_before_new_ones_make_no_promise() {
        let mut work = Work::default();
        work.go_on(20, 0, 500);
        assert!(work.pace.left(1000).is_none(), "none of them took time");
        work.go_on(30, 1, 0).goes_at(10.0);
        work.lasts(1000, 100.0);
    }

    #[test]
    fn unchanged_pictures_after_new_ones_make_no_threat() {
        let mut work = Work::default();
        work.go_on(100, 1, 0).lasts(10_000, 1000.0);
        work.go_on(1, 0, 500);
        assert!(work.pace.left(9500).is_none(), "not the quarter of an hour of before");
    }

    #[test]
    fn new_pictures_among_unchanged_ones_are_foretold_as_such() {
        let mut work = Work::default();
        for _ in 0..30 {
            // A batch of eight, embedded in a second, and what is passed over
            // until there are eight more.
            work.go_on(9, 0, 0).go_on(1, 8, 0).go_on(2, 0, 400);
        }
        work.go_on(9, 0, 0).go_on(1, 8, 0).goes_at(8.0);
        work.lasts(8080, 12.0);
    }

    #[test]
    fn one_long_run_of_unchanged_pictures_is_soon_over() {
        let mut work = Work::default();
        work.go_on(100, 1, 0).go_on(20, 0, 500).go_on(1, 1, 0).lasts(100, 10.0);
    }

    #[test]
    fn a_slower_pace_is_seen_within_half_a_minute() {
        let mut work = Work::default();
        work.go_on(600, 4, 0).goes_at(40.0);
        work.go_on(450, 1, 0);
        let now = work.pace.rate().unwrap();
        assert!((10.0..13.0).contains(&now), "{now}");
    }

    #[test]
    fn batches_make_no_waves_and_a_standstill_is_told() {
        let mut work = Work::default();
        for _ in 0..20 {
            work.go_on(19, 0, 0).go_on(1, 8, 0).goes_at(4.0);
        }
        work.go_on(19, 0, 0).goes_at(4.0);
        work.go_on(600, 0, 0);
        assert!(work.pace.rate().unwrap() < 1.5);
    }

    #[test]
    fn smaller_counts_are_those_of_other_work() {
        let mut work = Work::default();
        work.go_on(100, 9, 0);
        work.costly = 0;
        work.at = Duration::ZERO;
        work.go_on(50, 1, 0).goes_at(10.0);
    }
}
