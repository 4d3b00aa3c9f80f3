//! The query pane: one line of input, scrolled to keep the cursor in sight.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::theme;
use crate::ui::state::{Focus, State};

pub(super) fn draw(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let focused = state.focus == Focus::Query;
    let title = if state.search.waiting.is_some() { "Search · searching …" } else { "Search" };
    let block = theme::block(title, focused);
    let inner = block.inner(area);
    let scroll = state.query.visual_scroll(usize::from(inner.width.saturating_sub(1)));
    let line = if state.query.value().is_empty() {
        Line::from(Span::styled(
            "what the car looks like, or the path of a picture",
            theme::faint(),
        ))
    } else {
        Line::from(state.query.value())
    };
    let scrolled = u16::try_from(scroll).unwrap_or(u16::MAX);
    frame.render_widget(Paragraph::new(line).scroll((0, scrolled)).block(block), area);
    if focused && !state.help {
        let cursor = state.query.visual_cursor().saturating_sub(scroll);
        let column = inner.x.saturating_add(u16::try_from(cursor).unwrap_or(u16::MAX));
        frame.set_cursor_position(Position::new(column.min(inner.right()), inner.y));
    }
}
