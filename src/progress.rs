//! Progress in words, the same in a terminal application and in a log.

use std::fmt;
use std::time::Duration;

use crate::backend::{
    CheckProgress, CopyProgress, LoadElsewhere, LoadProgress, ModelProgress, PullProgress, Tower,
    Wait, WaitReason,
};
use crate::domain::Printable;
use crate::pace::Pace;

/// Something under way, in the parts that a narrow screen may leave out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Line {
    /// Which of several things it is.
    pub(crate) title: Option<String>,
    /// How much of it is done, from 0 to 1, where that is known.
    pub(crate) ratio: Option<f64>,
    /// `14 of 60 pictures`
    pub(crate) counts: String,
    /// `7.0/s`
    pub(crate) rate: Option<String>,
    /// `6 s left`
    pub(crate) left: Option<String>,
    /// `2 failed`
    pub(crate) failed: Option<String>,
    /// The file last finished.
    pub(crate) current: Option<String>,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(title) = &self.title {
            write!(f, "{title}: ")?;
        }
        f.write_str(&self.counts)?;
        for part in [&self.rate, &self.left, &self.failed].into_iter().flatten() {
            write!(f, ", {part}")?;
        }
        self.current.as_ref().map_or(Ok(()), |current| write!(f, ": {current}"))
    }
}

/// `12 of 60 pictures, 8.1/s, 6 s left, 2 failed: car-012.jpg`
pub(crate) fn load_line(progress: &LoadProgress, pace: &Pace) -> Line {
    let left = progress.time_left(pace);
    let current = progress.current.as_ref().map(|path| Printable::new(path).to_string());
    line_of_load(progress, pace.rate(), left, current)
}

/// The same of a load that another process carries out, which knows its pace.
pub(crate) fn elsewhere_line(load: &LoadElsewhere) -> Line {
    line_of_load(&load.progress, load.rate, load.left, load.current.clone())
}

fn line_of_load(
    progress: &LoadProgress,
    rate: Option<f64>,
    left: Option<Duration>,
    current: Option<String>,
) -> Line {
    let (done, found) = (progress.done(), progress.found);
    if !progress.walked {
        let so_far = if found > 0 { format!(", {found} so far") } else { String::new() };
        return Line { counts: format!("looking for pictures{so_far}"), ..Line::default() };
    }
    let at = if progress.paused { "paused at " } else { "" };
    let going = !progress.paused;
    Line {
        ratio: Some(ratio(done as u64, found as u64)),
        counts: format!("{at}{done} of {found} pictures"),
        rate: rate.filter(|_| going).map(|rate| format!("{rate:.1}/s")),
        left: left.filter(|_| going).map(in_words),
        failed: (progress.failed > 0).then(|| format!("{} failed", progress.failed)),
        current,
        ..Line::default()
    }
}

/// `120 of 500 pictures, 81.0/s, 5 s left`
pub(crate) fn copy_line(progress: &CopyProgress, pace: &Pace) -> Line {
    let (done, total) = (progress.done() as u64, progress.total.pictures);
    Line {
        ratio: Some(ratio(done, total)),
        counts: format!("{done} of {} pictures", progress.total),
        rate: pace.rate().map(|rate| format!("{rate:.1}/s")),
        left: pace.left(total.saturating_sub(done)).map(in_words),
        failed: (progress.failed > 0).then(|| format!("{} failed", progress.failed)),
        ..Line::default()
    }
}

/// `1200 of 5000 pictures checked, 810.0/s, 5 s left`
pub(crate) fn check_line(progress: &CheckProgress, pace: &Pace) -> Line {
    let CheckProgress { looked, total, .. } = *progress;
    Line {
        ratio: Some(ratio(looked, total)),
        counts: format!("{looked} of {total} pictures checked"),
        rate: pace.rate().map(|rate| format!("{rate:.1}/s")),
        left: pace.left(total.saturating_sub(looked)).map(in_words),
        ..Line::default()
    }
}

/// `120 of 605 MB, 9.8 MB/s, 49 s left: model.safetensors`
pub(crate) fn pull_line(progress: &PullProgress, pace: &Pace) -> Line {
    bytes_line(progress.done, progress.total, pace, Printable::new(&progress.file).to_string())
}

/// `120 of 350 MB, 98.0 MB/s, 3 s left: clip-vit-b-32 for pictures`
pub(crate) fn model_line(progress: &ModelProgress, pace: &Pace) -> Line {
    let tower = match progress.tower {
        Tower::Text => "words",
        Tower::Picture => "pictures",
    };
    let what = format!("{} for {tower}", Printable::new(&progress.model));
    bytes_line(progress.read, progress.total, pace, what)
}

fn bytes_line(done: u64, total: u64, pace: &Pace, what: String) -> Line {
    Line {
        ratio: Some(ratio(done, total)),
        counts: format!("{} of {} MB", megabytes(done), megabytes(total)),
        rate: pace.rate().map(|rate| format!("{:.1} MB/s", rate / 1e6)),
        left: pace.left(total.saturating_sub(done)).map(in_words),
        current: Some(what),
        ..Line::default()
    }
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
pub(crate) fn counted<N: Copy + PartialEq + From<u8> + fmt::Display>(n: N, what: &str) -> String {
    let plural = if n == N::from(1) { "" } else { "s" };
    format!("{n} {what}{plural}")
}

fn megabytes(bytes: u64) -> u64 {
    bytes / 1_000_000
}

/// How much of `total` is done, from 0 to 1; none of nothing.
#[expect(clippy::cast_precision_loss, reason = "the length of a bar")]
pub(crate) fn ratio(done: u64, total: u64) -> f64 {
    if total == 0 { 0.0 } else { (done as f64 / total as f64).clamp(0.0, 1.0) }
}

fn in_words(left: Duration) -> String {
    format!("{} left", seconds(left))
}

/// `49 s`, `3 min 20 s`, `2 h 5 min`
fn seconds(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
