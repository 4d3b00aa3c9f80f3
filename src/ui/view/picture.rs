//! The picture of the selected hit, large, and a line about it.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::layout::{self, Panes};
use super::text;
use crate::domain::{FileStamp, Hit, Printable};
use crate::ui::gallery::{Grade, Shown, Want};
use crate::ui::state::State;

/// A folder cut to fewer columns tells nothing.
const LEAST_FOLDER: u16 = 8;

pub(super) fn draw(state: &State, frame: &mut Frame<'_>, panes: &Panes) {
    let theme = &state.preferences.theme;
    let room = panes.picture.width.saturating_sub(4);
    let name = |hit: &Hit| text::keep_end(&Printable::new(hit.id.path()).to_string(), room);
    let title = state.selected().map(name).unwrap_or_default();
    let canvas = panes.canvas();
    frame.render_widget(super::block(theme, title, false), panes.picture);
    let Some((hit, results)) = state.selected().zip(state.results()) else { return };
    if let Some(want) = layout::hit_want(state, results.selected, Grade::Large, canvas) {
        draw_wanted(state, &want, frame, canvas);
    }
    let inner = layout::inside(panes.picture);
    if inner.height > canvas.height {
        let about = Rect { y: canvas.bottom(), height: inner.height - canvas.height, ..inner };
        for (line, row) in about_hit(hit, about.width, about.height).into_iter().zip(about.rows()) {
            frame.render_widget(Line::styled(line, theme.faint), row);
        }
    }
}

/// A picture, or why there is none.
pub(super) fn draw_wanted(state: &State, want: &Want, frame: &mut Frame<'_>, area: Rect) {
    match state.gallery.shown(want) {
        Shown::Picture(picture) => frame.render_widget(picture, area),
        Shown::Pending => note("…", state, frame, area),
        Shown::Failed(reason) => note(reason, state, frame, area),
    }
}

fn note(text: &str, state: &State, frame: &mut Frame<'_>, area: Rect) {
    let line = Line::from(Span::styled(text.to_owned(), state.preferences.theme.faint));
    let middle =
        Rect { y: area.y + area.height / 2, height: area.height - area.height / 2, ..area };
    frame.render_widget(Paragraph::new(line).centered().wrap(Wrap { trim: true }), middle);
}

/// `cosine 0.2312, +2.9σ · 480 x 320 · 2026-11-23 · 33 kB · /home/me/cars`, on
/// so many lines.
fn about_hit(hit: &Hit, columns: u16, lines: u16) -> Vec<String> {
    let standing = hit.standing.map(|standing| format!(", {standing:+.1}σ")).unwrap_or_default();
    let mut facts: Vec<Option<String>> = vec![
        Some(format!("cosine {:.4}{standing}", hit.similarity.cosine())),
        hit.pixels.map(|pixels| format!("{} x {}", pixels.width, pixels.height)),
        hit.stamp.as_ref().and_then(date),
        hit.stamp.map(|stamp| text::bytes(stamp.size)),
    ];
    let folder = Printable::new(hit.id.folder()).to_string();
    let mut told = Vec::new();
    for _ in 1..lines {
        let fits = |n: &usize| text::width(&text::joined(facts[..*n].to_vec())) <= columns;
        let most = (1..=facts.len()).rev().find(fits).unwrap_or(facts.len().min(1));
        told.push(text::joined(facts.drain(..most)));
    }
    let room = if lines > 1 { columns.saturating_sub(LEAST_FOLDER + 3) } else { columns };
    told.push(with_folder(&text::fitting(facts, room), &folder, columns));
    told
}

/// The folder, or its end, behind `facts`; of one of which hardly anything is
/// left, nothing.
fn with_folder(facts: &str, folder: &str, columns: u16) -> String {
    let room =
        if facts.is_empty() { columns } else { columns.saturating_sub(text::width(facts) + 3) };
    let folder = (room >= LEAST_FOLDER).then(|| text::keep_end(folder, room));
    text::joined([Some(facts.to_owned()), folder])
}

/// The day the file was last modified, here.
fn date(stamp: &FileStamp) -> Option<String> {
    let modified = Timestamp::from_nanosecond(stamp.modified.into()).ok()?;
    Some(modified.to_zoned(TimeZone::system()).strftime("%Y-%m-%d").to_string())
}
