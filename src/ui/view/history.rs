//! Earlier queries to choose from.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::text::Line;
use tui_input::Input;

use super::{layout, query, text};
use crate::domain::Printable;
use crate::ui::state::State;
use crate::ui::update::matching;

pub(super) fn draw(state: &State, filter: &Input, selected: usize, frame: &mut Frame<'_>) {
    let theme = &state.preferences.theme;
    let area = super::window(frame, 70, 16);
    frame.render_widget(super::block(theme, "Earlier queries", true), area);
    let [line, rule, list] =
        Layout::vertical([Constraint::Length(1), Constraint::Length(1), Constraint::Min(0)])
            .areas(layout::inside(area));
    query::input(filter, true, frame, line);
    let rows = usize::from(list.height.max(1));
    let first = (selected + 1).saturating_sub(rows);
    let queries = matching(&state.history.queries, filter.value());
    let mut count = 0;
    for (n, (row, typed)) in list.rows().zip(queries.skip(first)).enumerate() {
        let chosen = first + n == selected;
        let typed = text::keep_end(&Printable::new(typed).to_string(), row.width.saturating_sub(2));
        let style = if chosen { theme.selected } else { ratatui::style::Style::new() };
        let sign = if chosen { "▶ " } else { "  " };
        frame.render_widget(Line::styled(format!("{sign}{typed}"), style), row);
        count += 1;
    }
    let hint =
        if count == 0 { "nothing like this" } else { "type to narrow down, Enter to search" };
    frame.render_widget(Line::styled(hint, theme.faint), rule);
}
