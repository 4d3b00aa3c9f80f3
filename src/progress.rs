//! Progress in words, the same in a terminal application and in a log.

use std::time::Duration;

use crate::backend::{
    CopyProgress, LoadProgress, ModelProgress, PullProgress, Tower, Wait, WaitReason,
};
use crate::domain::Printable;

/// `12 of 60 pictures, 8.1/s, 6 s left: car-012.jpg`
pub(crate) fn load_line(progress: &LoadProgress) -> String {
    if !progress.walked {
        return "looking for pictures".into();
    }
    let (done, found) = (progress.done(), progress.found);
    let pace = rate(done as u64, found as u64, progress.elapsed)
        .map(|(rate, left)| format!(", {rate:.1}/s, {} left", seconds(left)));
    let current = progress.current.as_ref().map(|path| format!(": {}", Printable::new(path)));
    [format!("{done} of {found} pictures"), pace.unwrap_or_default(), current.unwrap_or_default()]
        .concat()
}

/// `120 of 500 pictures, 81.0/s, 5 s left`
pub(crate) fn copy_line(progress: &CopyProgress) -> String {
    let (done, total) = (progress.done() as u64, progress.total.pictures);
    let pace = rate(done, total, progress.elapsed)
        .map(|(rate, left)| format!(", {rate:.1}/s, {} left", seconds(left)));
    format!("{done} of {} pictures{}", progress.total, pace.unwrap_or_default())
}

/// `120 of 605 MB, 9.8 MB/s, 49 s left: model.safetensors`
pub(crate) fn pull_line(progress: &PullProgress) -> String {
    let here_before = progress.done - progress.received.min(progress.done);
    let rest = progress.total.saturating_sub(here_before);
    let pace = rate(progress.received, rest, progress.elapsed)
        .map(|(rate, left)| format!(", {:.1} MB/s, {} left", rate / 1e6, seconds(left)));
    format!(
        "{} of {} MB{}: {}",
        megabytes(progress.done),
        megabytes(progress.total),
        pace.unwrap_or_default(),
        Printable::new(&progress.file)
    )
}

/// `120 of 350 MB, 98.0 MB/s, 3 s left: clip-vit-b-32 for pictures`
pub(crate) fn model_line(progress: &ModelProgress) -> String {
    let pace = rate(progress.read, progress.total, progress.elapsed)
        .map(|(rate, left)| format!(", {:.1} MB/s, {} left", rate / 1e6, seconds(left)));
    let tower = match progress.tower {
        Tower::Text => "words",
        Tower::Picture => "pictures",
    };
    format!(
        "{} of {} MB{}: {} for {tower}",
        megabytes(progress.read),
        megabytes(progress.total),
        pace.unwrap_or_default(),
        Printable::new(&progress.model)
    )
}

/// `the database was asleep and is being resumed, 4 min 32 s left`
pub(crate) fn wait_line(wait: &Wait) -> String {
    let left = seconds(wait.left);
    match &wait.reason {
        WaitReason::Resuming => {
            format!("the database was asleep and is being resumed, giving up in {left}")
        }
        WaitReason::RateLimited => {
            format!("the database takes no more requests for now, asking again in {left}")
        }
        WaitReason::Failed(reason) => format!("{reason}; asking again in {left}"),
    }
}

/// `1 picture`, `2 pictures`
pub(crate) fn counted(n: usize, what: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {what}{plural}")
}

fn megabytes(bytes: u64) -> u64 {
    bytes / 1_000_000
}

/// Per second, and the time left; nothing before there is something to go by.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn rate(done: u64, total: u64, elapsed: Duration) -> Option<(f64, Duration)> {
    if done == 0 || elapsed < Duration::from_millis(500) {
        return None;
    }
    let rate = done as f64 / elapsed.as_secs_f64();
    let left = total.saturating_sub(done) as f64 / rate;
    Some((rate, Duration::from_secs_f64(left)))
}

/// `49 s`, `3 min 20 s`, `2 h 5 min`
fn seconds(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
