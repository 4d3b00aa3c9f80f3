//! The query pane: one line of input, scrolled to keep the cursor in sight,
//! and the picture that is asked for.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use tui_input::Input;

use super::layout::{self, Panes};
use super::picture;
use crate::backend::Query;
use crate::ui::query;
use crate::ui::state::{Focus, State};

pub(super) fn draw(state: &State, frame: &mut Frame<'_>, panes: &Panes) {
    let theme = &state.preferences.theme;
    let focused = state.focus == Focus::Query && state.overlay.is_none();
    let title = match state.search.waiting.as_ref().map(|asked| &asked.query) {
        Some(Query::Address(_)) => "Search · fetching the picture …",
        Some(_) => "Search · searching …",
        None if focused && is_new(state) => "Search · Enter searches for it",
        None => "Search",
    };
    let inner = layout::inside(panes.query);
    frame.render_widget(super::block(theme, title, focused), panes.query);
    let line = Rect {
        width: inner.width.saturating_sub(panes.query_picture.width),
        height: inner.height.min(1),
        ..inner
    };
    if state.query.value().is_empty() {
        let hint = "words, or the path or address of a picture";
        frame.render_widget(Span::styled(hint, theme.faint), line);
    }
    input(&state.query, focused, frame, line);
    if let Some(want) = layout::query_want(state) {
        picture::draw_wanted(state, &want, frame, panes.query_picture);
    }
}

/// Whether what is typed waits to be confirmed, and is not what is shown.
fn is_new(state: &State) -> bool {
    let typed = state.query.value();
    query::waits_for_enter(typed)
        && state.results().is_none_or(|results| results.asked.typed != typed)
}

/// A line of input; where keys go, with its cursor.
pub(super) fn input(input: &Input, focused: bool, frame: &mut Frame<'_>, area: Rect) {
    let scroll = input.visual_scroll(usize::from(area.width.saturating_sub(1)));
    let scrolled = u16::try_from(scroll).unwrap_or(u16::MAX);
    if !input.value().is_empty() {
        let line = Line::from(input.value());
        frame.render_widget(Paragraph::new(line).scroll((0, scrolled)), area);
    }
    if focused && !area.is_empty() {
        let cursor = input.visual_cursor().saturating_sub(scroll);
        let column = area.x.saturating_add(u16::try_from(cursor).unwrap_or(u16::MAX));
        frame.set_cursor_position(Position::new(column.min(area.right() - 1), area.y));
    }
}
