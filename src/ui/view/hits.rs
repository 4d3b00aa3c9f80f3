//! The hits, best first: a list or thumbnails. Where there are none, what to
//! do about it.

use std::path::Path;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::layout::{self, Tiles};
use super::{picture, text};
use crate::backend::Failure;
use crate::domain::{Hit, Place, Printable, Service};
use crate::ui::action::{Action, Scope};
use crate::ui::gallery::Grade;
use crate::ui::state::{Answered, BackendState, Focus, LoadState, Results, State};
use crate::ui::theme::Theme;

/// Cells of the bar that tells how far a hit stands out.
const BAR: u16 = 5;

/// In a narrower list, the name matters more than the number, which is below
/// the picture as well.
const COLUMNS_FOR_LONG_COSINE: u16 = 32;

pub(super) fn draw(state: &State, frame: &mut Frame<'_>, area: Rect) {
    if area.is_empty() {
        return;
    }
    let theme = &state.preferences.theme;
    let focused = state.focus == Focus::Results && state.overlay.is_none();
    frame.render_widget(
        super::block(theme, title(state, area.width.saturating_sub(4)), focused),
        area,
    );
    let inner = layout::inside(area);
    match (&state.search.answered, &state.backend) {
        (Answered::Hits(results), _) if !results.answer.hits.is_empty() => {
            let tiles = layout::tiles(state);
            if state.layout.grid {
                grid(state, results, tiles, frame, inner);
            } else {
                list(state, results, frame, inner);
            }
        }
        (Answered::Failed(failure), _) | (_, BackendState::Failed(failure)) => {
            lines(explained(failure, theme), frame, inner);
        }
        _ if !has_pictures(state)
            && let LoadState::Failed(failure) = &state.load =>
        {
            lines(explained(failure, theme), frame, inner);
        }
        _ => lines(teaching(state), frame, inner),
    }
}

/// `3/10 · 2 marked · best of 60`
fn title(state: &State, columns: u16) -> String {
    let marked = (!state.marked.is_empty()).then(|| format!("{} marked", state.marked.len()));
    match state.results() {
        Some(Results { answer, selected, .. }) if !answer.hits.is_empty() => {
            let place = format!("{}/{}", selected + 1, answer.hits.len());
            let of_all = Some(match shared(state) {
                None => format!("best of {}", answer.searched),
                Some(service) => format!("best of {} in {service}", answer.searched),
            });
            text::fitting([Some(place), marked, of_all], columns)
        }
        _ => text::fitting([Some("Matches".into()), marked], columns),
    }
}

/// Who keeps the collection, if it is not this machine.
fn shared(state: &State) -> Option<Service> {
    match &state.backend {
        BackendState::Ready(status) => match &status.collection {
            Place::File(_) => None,
            Place::Database(place) => Some(place.service),
        },
        _ => None,
    }
}

fn list(state: &State, results: &Results, frame: &mut Frame<'_>, area: Rect) {
    for (row, n) in area.rows().zip(layout::visible(state)) {
        let hit = &results.answer.hits[n];
        frame.render_widget(entry(state, results, n, hit, row.width), row);
    }
}

/// `▶●0.2312 ███▌  car-005.jpg`
fn entry(state: &State, results: &Results, n: usize, hit: &Hit, width: u16) -> Line<'static> {
    let theme = &state.preferences.theme;
    let selected = n == results.selected;
    let wide = width >= COLUMNS_FOR_LONG_COSINE;
    let cosine = hit.similarity.cosine();
    let cosine = if wide { format!("{cosine:.4} ") } else { format!("{cosine:.2} ") };
    let before = [
        Span::raw(if selected { "▶" } else { " " }),
        mark(state, hit),
        Span::styled(cosine, theme.faint),
        text::bar(prominence(hit, results), if wide { BAR } else { 3 }, theme.bar),
        Span::raw(" "),
    ];
    let used: usize = before.iter().map(Span::width).sum();
    let room = width.saturating_sub(u16::try_from(used).unwrap_or(u16::MAX));
    let name = Span::styled(text::keep_end(&name(hit), room), chosen(selected, theme));
    before.into_iter().chain([name]).collect()
}

fn chosen(selected: bool, theme: &Theme) -> Style {
    if selected { theme.selected } else { Style::new() }
}

fn mark(state: &State, hit: &Hit) -> Span<'static> {
    if state.marked.contains(&hit.id) {
        Span::styled("●", state.preferences.theme.marked)
    } else {
        Span::raw(" ")
    }
}

/// How far a hit stands out, from 0 to 1: four standard deviations above the
/// collection's mean are full length, which one hit in thirty thousand of a
/// normal distribution reaches. Where the store does not tell, as part of the
/// best hit's.
fn prominence(hit: &Hit, results: &Results) -> f64 {
    let of_best = || {
        let best = results.answer.hits.first().map_or(1.0, |best| best.similarity.cosine());
        hit.similarity.cosine() / best.max(f32::MIN_POSITIVE)
    };
    f64::from(hit.standing.map_or_else(of_best, |standing| standing / 4.0))
}

fn grid(state: &State, results: &Results, tiles: Tiles, frame: &mut Frame<'_>, area: Rect) {
    let visible = layout::visible(state);
    for n in visible.clone() {
        let tile = layout::tile(area, tiles, n - visible.start);
        let canvas = layout::tile_picture(tile);
        if let Some(want) = layout::hit_want(state, n, Grade::Small, canvas) {
            picture::draw_wanted(state, &want, frame, canvas);
        }
        let [caption, below] = layout::tile_captions(tile);
        let hit = &results.answer.hits[n];
        let selected = n == results.selected;
        let theme = &state.preferences.theme;
        let before = [Span::raw(if selected { "▶" } else { " " }), mark(state, hit)];
        let room = caption.width.saturating_sub(2);
        let name = Span::styled(text::keep_end(&name(hit), room), chosen(selected, theme));
        let line: Line<'_> = before.into_iter().chain([name]).collect();
        frame.render_widget(line, caption);
        let numbers = [
            Span::styled(format!("  {:.4} ", hit.similarity.cosine()), theme.faint),
            text::bar(prominence(hit, results), below.width.saturating_sub(9).min(BAR), theme.bar),
        ];
        frame.render_widget(Line::from_iter(numbers), below);
    }
}

/// The file's name; the folder is below the picture.
fn name(hit: &Hit) -> String {
    let path = hit.id.path();
    Printable::new(path.file_name().map_or(path, Path::new)).to_string()
}

fn lines(lines: Vec<Line<'static>>, frame: &mut Frame<'_>, area: Rect) {
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), area);
}

fn explained(failure: &Failure, theme: &Theme) -> Vec<Line<'static>> {
    let mut lines = vec![Line::from(Span::styled(failure.to_string(), theme.error))];
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
        LoadState::Finished { progress, .. }
        | LoadState::Watching { progress, .. }
        | LoadState::Stopped { progress, .. } => progress.embedded + progress.unchanged,
        _ => 0,
    };
    loaded > 0
        || !matches!(&state.backend, BackendState::Ready(status)
            if status.space().is_none_or(|space| space.pictures.pictures == 0))
}

/// Empty panes say what to do next.
fn teaching(state: &State) -> Vec<Line<'static>> {
    let key = |action, scope| state.preferences.keymap.keys(action, scope).unwrap_or_default();
    let loading = matches!(state.load, LoadState::Running { .. }) || !state.elsewhere.is_empty();
    let opening = matches!(state.backend, BackendState::Unasked | BackendState::Opening(_));
    let empty = state.results().is_some() || !has_pictures(state);
    let lines = match () {
        () if opening => vec![
            "Opening the model and the collection …".to_owned(),
            String::new(),
            "You can type already.".to_owned(),
        ],
        () if loading && state.results().is_some() => {
            vec!["Nothing yet: the first pictures are being embedded.".to_owned()]
        }
        () if empty && !loading => vec![
            "There are no pictures yet.".to_owned(),
            String::new(),
            "Type the path of a folder of them,".to_owned(),
            "  ~/Pictures/cars".to_owned(),
            format!("and press {}.", key(Action::Submit, Scope::Typing)),
        ],
        () => vec![
            "Type what the car looks like:".to_owned(),
            String::new(),
            "  red convertible".to_owned(),
            "  white van".to_owned(),
            String::new(),
            "or drop a picture of it here.".to_owned(),
            String::new(),
            format!("{}: to the matches", key(Action::Submit, Scope::Typing)),
            format!("{}: all keys", key(Action::Help, Scope::Typing)),
        ],
    };
    lines.into_iter().map(Line::from).collect()
}
