//! The load-progress view in one line.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::text;
use crate::backend::{LoadElsewhere, LoadProgress, Offer};
use crate::domain::Printable;
use crate::pace::Pace;
use crate::progress;
use crate::ui::action::{Action, Scope};
use crate::ui::state::{BackendState, DownloadState, LoadState, Overlay, State};

/// Cells of a bar.
const BAR: u16 = 16;

/// What there is to say about one thing under way, or done.
pub(super) struct Report {
    pub(super) title: &'static str,
    /// How much of it is done, if it is under way.
    pub(super) ratio: Option<f64>,
    pub(super) text: String,
    pub(super) failed: bool,
}

impl Report {
    fn said(title: &'static str, text: String) -> Self {
        Self { title, ratio: None, text, failed: false }
    }

    /// The parts of a line: title, bar, text.
    pub(super) fn spans(self, state: &State, bar: u16) -> Vec<Span<'static>> {
        let theme = &state.preferences.theme;
        let mut spans = vec![Span::styled(label(self.title), theme.accent)];
        if let Some(ratio) = self.ratio {
            spans.push(Span::styled("▕", theme.faint));
            spans.push(text::bar(ratio, bar, theme.bar));
            spans.push(Span::styled("▏", theme.faint));
        }
        spans.push(Span::styled(self.text, if self.failed { theme.error } else { Style::new() }));
        spans
    }
}

/// What a line of this title begins with.
fn label(title: &str) -> String {
    format!(" {title} ")
}

pub(super) fn draw(state: &State, frame: &mut Frame<'_>, area: Rect) {
    // A narrow screen needs the numbers more than the bar.
    let bar = if area.width < 80 { 6 } else { BAR };
    let line: Line<'_> =
        summary(state).into_iter().flat_map(|report| report.spans(state, bar)).collect();
    frame.render_widget(line, area);
}

/// What is under way, else what was last, else what there is.
fn summary(state: &State) -> Vec<Report> {
    if let Some(report) = waiting(state) {
        return vec![report];
    }
    let running: Vec<Report> = [download(state), model(state), load(state)]
        .into_iter()
        .flatten()
        .chain(state.elsewhere.iter().map(elsewhere))
        .filter(|report| report.ratio.is_some())
        .collect();
    if !running.is_empty() {
        return running;
    }
    vec![download(state).or_else(|| load(state)).unwrap_or_else(|| in_collection(state))]
}

/// The download, if there is one or could be.
pub(super) fn download(state: &State) -> Option<Report> {
    Some(match &state.download {
        DownloadState::Idle => return None,
        DownloadState::Running(_, name, at) => Report {
            title: "Download",
            ratio: Some(progress::ratio(at.done, at.total)),
            text: format!(
                "{name}: {}",
                progress::pull_line(at, &Pace::mean(at.elapsed, at.received))
            ),
            failed: false,
        },
        DownloadState::Failed(failure) => {
            let hint = failure.hint.as_deref().unwrap_or_default();
            let text = format!("{failure}; {hint}");
            Report { title: "Download", ratio: None, text, failed: true }
        }
        DownloadState::Offered(offer) => {
            let room = state.screen.width.saturating_sub(text::width(&label("Download")));
            Report::said("Download", offered(state, offer, room))
        }
    })
}

/// The model, while it is being read.
pub(super) fn model(state: &State) -> Option<Report> {
    let (_, progress) = state.model.as_ref()?;
    Some(Report {
        title: "Reading",
        ratio: Some(progress::ratio(progress.read, progress.total)),
        text: progress::model_line(progress, &Pace::mean(progress.elapsed, progress.read))
            .to_string(),
        failed: false,
    })
}

/// What the database is waited for, while it is: nothing else goes on then.
pub(super) fn waiting(state: &State) -> Option<Report> {
    let (_, wait) = state.waiting.as_ref()?;
    let key = state.preferences.keymap.keys(Action::Stop, Scope::Always);
    let give_up = key.map(|key| format!("{key} gives up"));
    let text = text::joined([Some(progress::wait_line(wait)), give_up]);
    Some(Report { failed: true, ..Report::said("Waiting", text) })
}

/// Our own load, if there is or was one.
pub(super) fn load(state: &State) -> Option<Report> {
    Some(match &state.load {
        LoadState::Idle => return None,
        LoadState::Running { progress, .. } if !progress.walked && !state.elsewhere.is_empty() => {
            Report::said("Load", "waits for the one elsewhere".into())
        }
        LoadState::Running { progress, pace, .. } => running(progress, pace),
        LoadState::Watching { progress, failed, .. } => {
            let text = format!("{}, watching", finished(state, progress));
            Report { failed: !failed.is_empty(), ..Report::said("Load", text) }
        }
        LoadState::Finished { progress, failed } => {
            Report { failed: !failed.is_empty(), ..Report::said("Load", finished(state, progress)) }
        }
        LoadState::Stopped { progress, .. } => {
            Report::said("Load", format!("stopped: {}", finished(state, progress)))
        }
        LoadState::Failed(failure) => {
            let hint = failure.hint.as_deref().unwrap_or_default();
            let text = format!("{failure} {hint}");
            Report { title: "Load", ratio: None, text, failed: true }
        }
    })
}

/// The load of another process.
pub(super) fn elsewhere(load: &LoadElsewhere) -> Report {
    let line = progress::elsewhere_line(load);
    let text = format!("{line} (process {}, {})", load.process, load.folder);
    let ratio = Some(line.ratio.unwrap_or(0.0));
    Report { title: "Load elsewhere", ratio, text, failed: false }
}

fn running(progress: &LoadProgress, pace: &Pace) -> Report {
    let line = progress::load_line(progress, pace);
    let ratio = Some(line.ratio.unwrap_or(0.0));
    Report { title: "Load", ratio, text: line.to_string(), failed: false }
}

pub(super) fn in_collection(state: &State) -> Report {
    match &state.backend {
        BackendState::Ready(status) => {
            let count = status.space().map(|space| space.pictures).unwrap_or_default();
            let plural = if count.pictures == 1 { "" } else { "s" };
            Report::said("Load", format!("{count} picture{plural} in the collection"))
        }
        BackendState::Failed(failure) => {
            Report { failed: true, ..Report::said("Load", failure.to_string()) }
        }
        BackendState::Unasked | BackendState::Opening(_) => {
            Report::said("Load", "opening the model …".into())
        }
    }
}

/// In as many columns as there is `room`.
fn offered(state: &State, offer: &Offer, room: u16) -> String {
    let key = |action| state.preferences.keymap.keys(action, Scope::Always).unwrap_or_default();
    let (fetch, later) = (key(Action::Download), key(Action::Back));
    let (name, megabytes) = (Printable::new(&offer.preset), offer.bytes / 1_000_000);
    let parts = [
        format!("{fetch} fetches {name} ({megabytes} MB, {})", offer.licence),
        format!("{later}: not now"),
        "a much better model".to_owned(),
    ];
    text::fitting(parts.map(Some), room)
}

fn finished(state: &State, progress: &LoadProgress) -> String {
    let LoadProgress { unchanged, failed, failed_before, missing, .. } = progress;
    if progress.changed() == 0 && *missing == 0 {
        let pictures = progress::counted(*unchanged, "picture");
        let before = (*failed_before > 0).then(|| progress::failed_before(progress));
        let before = before.map(|before| format!(", {before}")).unwrap_or_default();
        return format!("{pictures}, all up to date{before}");
    }
    let key = state.preferences.keymap.keys(Action::LoadView, Scope::Always);
    let listed = matches!(state.overlay, Some(Overlay::Load(_)));
    let list =
        key.filter(|_| *failed > 0 && !listed).map(|key| format!(" · {key} lists the failed"));
    format!("{}{}", progress::load_summary(progress), list.unwrap_or_default())
}
