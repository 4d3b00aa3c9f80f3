//! The load-progress view: a download first, as it was asked for, else the
//! load.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Gauge, Paragraph};

use super::theme;
use crate::backend::{LoadProgress, Offer};
use crate::progress;
use crate::ui::state::{BackendState, DownloadState, LoadState, State};

pub(super) fn draw(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let shown = Shown::of(state);
    let area = if area.height >= 3 {
        let block = theme::block(shown.title(), false);
        let inner = block.inner(area);
        frame.render_widget(block, area);
        inner
    } else {
        area
    };
    match shown {
        Shown::Bar { ratio, text, .. } => {
            let gauge = Gauge::default().ratio(ratio).label(text).gauge_style(theme::accent());
            frame.render_widget(gauge, area);
        }
        Shown::Text { text, style, .. } => {
            frame.render_widget(Paragraph::new(text).style(style), area);
        }
    }
}

/// One line about what is under way.
enum Shown {
    Bar { title: &'static str, ratio: f64, text: String },
    Text { title: &'static str, text: String, style: Style },
}

impl Shown {
    fn title(&self) -> &'static str {
        match self {
            Self::Bar { title, .. } | Self::Text { title, .. } => title,
        }
    }

    fn of(state: &State) -> Self {
        match &state.download {
            DownloadState::Running(_, name, at) => Self::Bar {
                title: "Download",
                ratio: ratio(at.done, at.total),
                text: format!("{name}: {}", progress::pull_line(at)),
            },
            DownloadState::Failed(failure) => {
                let hint = failure.hint.as_deref().unwrap_or_default();
                Self::Text {
                    title: "Download",
                    text: format!("{failure}; {hint}"),
                    style: theme::error(),
                }
            }
            DownloadState::Offered(offer) if !matches!(state.load, LoadState::Running { .. }) => {
                Self::Text { title: "Download", text: offered(offer), style: Style::new() }
            }
            DownloadState::Offered(_) | DownloadState::Idle => Self::of_load(state),
        }
    }

    fn of_load(state: &State) -> Self {
        let text = |text: String| Self::Text { title: "Load", text, style: Style::new() };
        match &state.load {
            LoadState::Running { progress, .. } => Self::Bar {
                title: "Load",
                ratio: ratio(progress.done() as u64, progress.found as u64),
                text: progress::load_line(progress),
            },
            LoadState::Finished { progress, .. } => text(finished(progress)),
            LoadState::Stopped(progress) => text(format!("stopped: {}", finished(progress))),
            LoadState::Failed(failure) => {
                let hint = failure.hint.as_deref().unwrap_or_default();
                Self::Text {
                    title: "Load",
                    text: format!("{failure} {hint}"),
                    style: theme::error(),
                }
            }
            LoadState::Idle => text(idle(state)),
        }
    }
}

fn idle(state: &State) -> String {
    match &state.backend {
        BackendState::Ready(status) => {
            let pictures = status.space().map_or(0, |space| space.pictures);
            format!("{pictures} pictures in the collection")
        }
        _ => String::new(),
    }
}

fn offered(offer: &Offer) -> String {
    format!(
        "F2 downloads {}, a much better model ({} MB, {}) · Esc: not now",
        offer.preset,
        offer.bytes / 1_000_000,
        offer.licence,
    )
}

fn finished(progress: &LoadProgress) -> String {
    let LoadProgress { embedded, unchanged, failed, elapsed, .. } = progress;
    if *embedded == 0 && *failed == 0 {
        return format!("{unchanged} pictures, all up to date");
    }
    let took = elapsed.as_secs_f64();
    format!("{embedded} embedded, {unchanged} unchanged, {failed} failed in {took:.1} s")
}

#[expect(clippy::cast_precision_loss, reason = "the length of a bar")]
fn ratio(done: u64, total: u64) -> f64 {
    if total == 0 { 0.0 } else { (done as f64 / total as f64).clamp(0.0, 1.0) }
}
