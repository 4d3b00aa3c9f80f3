//! Rounds in which carlens and its peers are timed in turn, while nothing else
//! keeps the machine busy.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// A round is taken again so often.
const PATIENCE: usize = 5;

/// What is measured in each round, after one for nothing; rounds that others
/// disturbed are taken again, and counted in the end.
pub fn quiet_rounds(rounds: usize, mut round: impl FnMut() -> Vec<f64>) -> Vec<Vec<f64>> {
    // Once for nothing, so that everything is warm.
    let mut times: Vec<Vec<f64>> = round().iter().map(|_| Vec::new()).collect();
    let mut disturbed = 0;
    for _ in 0..rounds {
        for attempt in 1..=PATIENCE {
            let (before, began) = (Busy::now(), Instant::now());
            let found = round();
            let others = before.others_since(began.elapsed());
            if others > 0.05 && attempt < PATIENCE {
                continue;
            }
            disturbed += usize::from(others > 0.05);
            times.iter_mut().zip(found).for_each(|(times, time)| times.push(time));
            break;
        }
    }
    if disturbed > 0 {
        println!("  ({disturbed} of {rounds} rounds were disturbed by other programs)");
    }
    times
}

/// Processor time until now, in seconds: of all programs, and of this one with
/// those that it has started.
struct Busy {
    all: f64,
    ours: f64,
}

impl Busy {
    fn now() -> Self {
        const TICKS: f64 = 100.0;
        let number = |text: &str| text.parse::<f64>().unwrap_or(0.0);
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = stat.lines().next().unwrap_or_default();
        let fields: Vec<f64> = line.split_whitespace().skip(1).map(number).collect();
        // With what the host has taken away, without what it waits and what a guest
        // takes, which is counted twice.
        let all = [0, 1, 2, 5, 6, 7].iter().filter_map(|&at| fields.get(at)).sum::<f64>() / TICKS;
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let stats =
            processes.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
        let us = std::process::id().to_string();
        let ours = stats.filter_map(|stat| {
            let (id, rest) = (stat.split(' ').next()?, stat.rsplit(") ").next()?);
            let fields: Vec<&str> = rest.split(' ').collect();
            // State, parent; user and system time, then those of children that
            // have ended.
            let is_ours = id == us || fields.get(1) == Some(&us.as_str());
            let times = fields.get(11..15)?.iter().map(|field| number(field));
            is_ours.then(|| times.sum::<f64>())
        });
        Self { all, ours: ours.sum::<f64>() / TICKS }
    }

    /// What other programs have taken of the machine since.
    fn others_since(&self, elapsed: Duration) -> f64 {
        let now = Self::now();
        let cores = thread::available_parallelism().map_or(1, usize::from);
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let cores = cores as f64;
        ((now.all - self.all) - (now.ours - self.ours)) / elapsed.as_secs_f64() / cores
    }
}

/// How many times as long the first took as the second, in the median round.
pub fn ratio(first: &[f64], second: &[f64]) -> f64 {
    median(&first.iter().zip(second).map(|(a, b)| a / b).collect::<Vec<f64>>())
}

pub fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
