//! Another job on the same machine.

use std::process::{Child, Command};
use std::thread;

/// The speed beside as many busy processes as there are cores, by that alone; the
/// median of rounds in turn.
pub fn speed_left(rounds: usize, mut speed: impl FnMut() -> f64) -> f64 {
    let mut left: Vec<f64> = (0..rounds)
        .map(|_| {
            let alone = speed();
            let _others = Busy::on_every_core();
            speed() / alone
        })
        .collect();
    left.sort_by(f64::total_cmp);
    left[left.len() / 2]
}

/// Processes that do nothing but take time, until they are dropped.
struct Busy(Vec<Child>);

impl Busy {
    fn on_every_core() -> Self {
        let start = |_| Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let cores = thread::available_parallelism().unwrap().get();
        Self((0..cores).map(start).collect())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for process in &mut self.0 {
            // It has nothing to lose.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
