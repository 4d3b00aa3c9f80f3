//! The last line: the keys that work now, and what is in use.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::widgets::Paragraph;

use super::theme;
use crate::domain::Printable;
use crate::ui::state::{BackendState, Focus, State};

pub(super) fn draw(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let right = in_use(state);
    let width = u16::try_from(right.chars().count()).unwrap_or(u16::MAX);
    let [left, right_area] =
        Layout::horizontal([Constraint::Min(40), Constraint::Length(width)]).areas(area);
    let keys = match state.focus {
        _ if state.help => " any key closes the help",
        Focus::Query => " Enter search · ↑↓ matches · F1 help · Ctrl-C quit",
        Focus::Results => " jk matches · / query · m more like this · ? help · q quit",
    };
    frame.render_widget(Paragraph::new(keys).style(theme::faint()), left);
    let right = Paragraph::new(right).style(theme::faint()).alignment(Alignment::Right);
    frame.render_widget(right, right_area);
}

fn in_use(state: &State) -> String {
    match &state.backend {
        BackendState::Ready(status) => {
            format!("{} · {} ", Printable::new(&status.model.name), state.graphics)
        }
        _ => format!("{} ", state.graphics),
    }
}
