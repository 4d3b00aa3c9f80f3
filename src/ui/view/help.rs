//! Every key, as the key map has it.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{layout, text};
use crate::ui::action::Scope;
use crate::ui::state::State;

/// Columns of the window; two lists beside one another from here on.
const WIDE: u16 = 108;

pub(super) fn draw(state: &State, scroll: u16, frame: &mut Frame<'_>) {
    let theme = &state.preferences.theme;
    let screen = frame.area();
    let columns = columns(state, screen.width);
    let rows = columns.iter().map(|column| rows(column)).max().unwrap_or(0);
    let width = if columns.len() == 1 { 66 } else { WIDE };
    let area = super::window(frame, width, rows.saturating_add(4));
    frame.render_widget(super::block(theme, "Keys", true), area);
    let inner = layout::inside(area);
    let [body, about] = Layout::vertical([Constraint::Min(0), Constraint::Length(2)]).areas(inner);
    let places = body.layout_vec(&Layout::horizontal(vec![Constraint::Fill(1); columns.len()]));
    for (column, place) in columns.into_iter().zip(places) {
        frame.render_widget(Paragraph::new(column).scroll((scroll, 0)), place);
    }
    let about_lines = vec![
        Line::styled(format!(" pictures: {}", state.graphics), theme.faint),
        Line::styled(" keys and colours are set in config.toml; see README.md", theme.faint),
    ];
    frame.render_widget(Paragraph::new(about_lines), about);
}

/// Nothing where all of it is in sight.
pub(super) fn most_scroll(state: &State) -> u16 {
    let room = state.screen.height.saturating_sub(4);
    let columns = columns(state, state.screen.width);
    columns.iter().map(|column| rows(column).saturating_sub(room)).max().unwrap_or(0)
}

/// The keys among the matches, and beside them, or below if the screen is
/// narrow, all others.
fn columns(state: &State, screen: u16) -> Vec<Vec<Line<'static>>> {
    let mut browsing = section(state, Scope::Browsing, "Among the matches");
    let mut others = section(state, Scope::Typing, "While typing");
    others.extend(section(state, Scope::Always, "Always"));
    if screen >= WIDE {
        return vec![browsing, others];
    }
    browsing.extend(others);
    vec![browsing]
}

fn rows(column: &[Line<'_>]) -> u16 {
    u16::try_from(column.len()).unwrap_or(u16::MAX)
}

fn section(state: &State, scope: Scope, heading: &str) -> Vec<Line<'static>> {
    let theme = &state.preferences.theme;
    let mut lines = vec![Line::styled(format!(" {heading}"), theme.accent)];
    let of_scope = state.preferences.keymap.help().filter(|(_, of, _)| *of == scope);
    lines.extend(of_scope.map(|(keys, _, what)| {
        let pad = 21_usize.saturating_sub(usize::from(text::width(&keys)));
        Line::from(vec![
            Span::raw(format!("  {keys}{} ", " ".repeat(pad))),
            Span::styled(what, theme.faint),
        ])
    }));
    lines
}
