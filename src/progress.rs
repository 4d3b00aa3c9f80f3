//! Progress in words, the same in a terminal application and in a log.

use std::fmt;
use std::time::Duration;

use crate::backend::{
    CheckProgress, CopyProgress, LoadElsewhere, LoadProgress, ModelProgress, PullProgress, Tower,
    Wait, WaitReason,
};
use crate::domain::{FileProblem, Formats, Printable};
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
        failed: (progress.failed > 0).then(|| failed(progress)),
        current,
        ..Line::default()
    }
}

/// What became of a load: `56 embedded, 0 unchanged, 4 failed (3 HEIC, 1 CR2), 2
/// hidden in 7.9 s`
pub(crate) fn load_summary(at: &LoadProgress) -> String {
    let LoadProgress { embedded, unchanged, .. } = at;
    let if_any = [
        (at.recognised, "known by another name"),
        (at.returned, "back"),
        (at.hidden, "hidden"),
        (at.missing, "missing"),
        (at.removed, "removed"),
    ];
    let before = (at.failed_before > 0).then(|| failed_before(at));
    let if_any = if_any.into_iter().filter(|(count, _)| *count > 0);
    let if_any = if_any.map(|(count, what)| format!("{count} {what}"));
    let always = [format!("{embedded} embedded"), format!("{unchanged} unchanged"), failed(at)];
    let all: Vec<String> = always.into_iter().chain(before).chain(if_any).collect();
    format!("{} in {:.1} s", all.join(", "), at.elapsed.as_secs_f64())
}

/// `4 failed (2 HEIC, 1 CR2)`
pub(crate) fn failed(progress: &LoadProgress) -> String {
    of_formats(format!("{} failed", progress.failed), &progress.failed_by_format)
}

/// `4 failed before (2 HEIC, 1 CR2)`
pub(crate) fn failed_before(progress: &LoadProgress) -> String {
    let formats = &progress.failed_before_by_format;
    of_formats(format!("{} failed before", progress.failed_before), formats)
}

/// `4 files (2 HEIC, 1 CR2)`
pub(crate) fn failed_files(failed: &[FileProblem]) -> String {
    let formats = failed.iter().map(|problem| problem.format.as_deref()).collect();
    of_formats(counted(failed.len(), "file"), &formats)
}

fn of_formats(counted: String, formats: &Formats) -> String {
    if formats.is_empty() { counted } else { format!("{counted} ({formats})") }
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

/// The words for one, or those for any other number.
pub(crate) fn one_or_more<N: Copy + PartialEq + From<u8>>(
    n: N,
    one: &'static str,
    more: &'static str,
) -> &'static str {
    if n == N::from(1) { one } else { more }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn formats(names: &[&str]) -> Formats {
        names.iter().map(|name| Some(*name)).collect()
    }

    #[test]
    fn files_that_are_not_decoded_are_counted_by_format() {
        let mut progress = LoadProgress {
            found: 9,
            walked: true,
            embedded: 5,
            failed: 4,
            failed_by_format: formats(&["HEIC", "CR2", "HEIC"]),
            elapsed: Duration::from_millis(1234),
            ..LoadProgress::default()
        };
        assert_eq!(
            load_summary(&progress),
            "5 embedded, 0 unchanged, 4 failed (2 HEIC, 1 CR2) in 1.2 s"
        );
        let line = load_line(&progress, &Pace::default());
        assert_eq!(line.failed.unwrap(), "4 failed (2 HEIC, 1 CR2)");
        progress.failed_before = 300;
        progress.failed_before_by_format = formats(&["HEIC"; 299]);
        progress.hidden = 2;
        assert_eq!(
            load_summary(&progress),
            "5 embedded, 0 unchanged, 4 failed (2 HEIC, 1 CR2), 300 failed before (299 HEIC), \
             2 hidden in 1.2 s"
        );
    }

    #[test]
    fn where_nothing_is_of_another_format_none_is_named() {
        let progress = LoadProgress { failed: 1, ..LoadProgress::default() };
        assert_eq!(load_summary(&progress), "0 embedded, 0 unchanged, 1 failed in 0.0 s");
        let problem = |format: Option<&str>| FileProblem {
            format: format.map(str::to_owned),
            ..FileProblem::new("car.heic".into(), "is broken".into())
        };
        assert_eq!(failed_files(&[problem(None)]), "1 file");
        assert_eq!(failed_files(&[problem(None), problem(Some("HEIC"))]), "2 files (1 HEIC)");
    }
}
