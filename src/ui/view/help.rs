//! Every key, as the key map has it.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
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
    let lines = lines(state);
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let columns = columns(screen);
    let height = rows.div_ceil(columns) + 4;
    let area = super::window(frame, if columns == 2 { WIDE } else { 66 }, height);
    frame.render_widget(super::block(theme, "Keys", true), area);
    let inner = layout::inside(area);
    let [body, about] = Layout::vertical([Constraint::Min(0), Constraint::Length(2)]).areas(inner);
    if columns == 2 {
        let (left, right) = lines.split_at(lines.len().div_ceil(2));
        let [a, b] = Layout::horizontal([Constraint::Fill(1); 2]).areas(body);
        frame.render_widget(Paragraph::new(left.to_vec()), a);
        frame.render_widget(Paragraph::new(right.to_vec()), b);
    } else {
        frame.render_widget(Paragraph::new(lines).scroll((scroll, 0)), body);
    }
    let about_lines = vec![
        Line::styled(format!(" pictures: {}", state.graphics), theme.faint),
        Line::styled(" keys and colours are set in config.toml; see README.md", theme.faint),
    ];
    frame.render_widget(Paragraph::new(about_lines), about);
}

fn columns(screen: Rect) -> u16 {
    if screen.width >= WIDE { 2 } else { 1 }
}

/// Nothing where all of it is in sight.
pub(super) fn most_scroll(state: &State) -> u16 {
    let screen = Rect::new(0, 0, state.screen.width, state.screen.height);
    if columns(screen) == 2 {
        return 0;
    }
    let rows = u16::try_from(lines(state).len()).unwrap_or(u16::MAX);
    rows.saturating_sub(screen.height.saturating_sub(4))
}

fn lines(state: &State) -> Vec<Line<'static>> {
    let theme = &state.preferences.theme;
    let mut lines = Vec::new();
    for (scope, heading) in [
        (Scope::Browsing, "Among the matches"),
        (Scope::Typing, "While typing"),
        (Scope::Always, "Always"),
    ] {
        lines.push(Line::styled(format!(" {heading}"), theme.accent));
        let of_scope = state.preferences.keymap.help().filter(|(_, of, _)| *of == scope);
        lines.extend(of_scope.map(|(keys, _, what)| {
            let pad = 21_usize.saturating_sub(usize::from(text::width(&keys)));
            Line::from(vec![
                Span::raw(format!("  {keys}{} ", " ".repeat(pad))),
                Span::styled(what, theme.faint),
            ])
        }));
    }
    lines
}
