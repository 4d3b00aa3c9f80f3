//! The list of hits, best first.

use std::path::Path;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{List, ListState, Paragraph, Wrap};

use super::theme;
use crate::backend::{Failure, Query};
use crate::domain::{Hit, Printable};
use crate::ui::state::{Answered, BackendState, Focus, LoadState, State};

pub(super) fn draw(state: &State, frame: &mut Frame<'_>, area: Rect) {
    match (&state.search.answered, &state.backend) {
        (Answered::Hits { answer, selected, .. }, _) if !answer.hits.is_empty() => {
            hits(state, &answer.hits, *selected, frame, area);
        }
        (Answered::Failed(failure), _) | (_, BackendState::Failed(failure)) => {
            text(explained(failure), state, frame, area);
        }
        _ => text(teaching(state), state, frame, area),
    }
}

fn hits(state: &State, hits: &[Hit], selected: usize, frame: &mut Frame<'_>, area: Rect) {
    let searched = match &state.search.answered {
        Answered::Hits { answer, .. } => answer.searched,
        _ => 0,
    };
    let block = theme::block(format!("Best of {searched}"), state.focus == Focus::Results);
    let rows = hits.iter().map(|hit| {
        let similarity = format!("{:.4} ", hit.similarity.cosine());
        Line::from(vec![Span::styled(similarity, theme::faint()), Span::raw(name(hit))])
    });
    let list =
        List::new(rows).highlight_symbol("▶ ").highlight_style(theme::selected()).block(block);
    let mut list_state = ListState::default().with_selected(Some(selected));
    frame.render_stateful_widget(list, area, &mut list_state);
}

/// The file's name; the folder is in the picture's title.
fn name(hit: &Hit) -> String {
    let path = hit.id.path();
    Printable::new(path.file_name().map_or(path, Path::new)).to_string()
}

fn text(lines: Vec<Line<'static>>, state: &State, frame: &mut Frame<'_>, area: Rect) {
    let block = theme::block("Matches", state.focus == Focus::Results);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }).block(block), area);
}

fn explained(failure: &Failure) -> Vec<Line<'static>> {
    let mut lines = vec![Line::from(Span::styled(failure.to_string(), theme::error()))];
    if let Some(hint) = &failure.hint {
        lines.push(Line::default());
        lines.push(Line::from(hint.clone()));
    }
    lines
}

/// Whether there is anything to search, by what the backend said at the start
/// and what has been loaded since.
fn has_pictures(state: &State) -> bool {
    let loaded = match &state.load {
        LoadState::Finished { progress, .. } | LoadState::Stopped(progress) => {
            progress.embedded + progress.unchanged
        }
        _ => 0,
    };
    loaded > 0
        || !matches!(&state.backend, BackendState::Ready(status)
            if status.space().is_none_or(|space| space.pictures == 0))
}

/// Empty panes say what to do next.
fn teaching(state: &State) -> Vec<Line<'static>> {
    let loading = matches!(state.load, LoadState::Running { .. });
    let empty = match &state.search.answered {
        Answered::Hits { .. } => true,
        _ => !has_pictures(state),
    };
    let lines: &[&str] = match (&state.search.answered, &state.backend) {
        (_, BackendState::Unasked | BackendState::Opening(_)) => {
            &["Opening the model and the collection …", "", "You can type already."]
        }
        (Answered::Hits { query: Query::Text(_) | Query::Picture(_), .. }, _) if loading => {
            &["Nothing yet: the first pictures are being embedded."]
        }
        _ if empty && !loading => &[
            "There are no pictures yet.",
            "",
            "Load a folder of them:",
            "  carlens load ~/Pictures/cars",
            "and come back.",
        ],
        _ => &[
            "Type what the car looks like and press Enter:",
            "",
            "  red convertible",
            "  white van",
            "",
            "or the path of a picture of it.",
        ],
    };
    lines.iter().map(|line| Line::from(*line)).collect()
}
