//! The question where to copy pictures to.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::text::Line;
use tui_input::Input;

use super::{layout, query};
use crate::progress::counted;
use crate::ui::state::State;

pub(super) fn draw(state: &State, folder: &Input, pictures: usize, frame: &mut Frame<'_>) {
    let theme = &state.preferences.theme;
    let area = super::window(frame, 64, 5);
    let title = format!("Copy {} to the folder", counted(pictures, "picture"));
    frame.render_widget(super::block(theme, title, true), area);
    let [line, _, hint] = Layout::vertical([Constraint::Length(1); 3]).areas(layout::inside(area));
    query::input(folder, true, frame, line);
    let keys = "Enter: copy, or with no folder print the paths on exit · Esc";
    frame.render_widget(Line::styled(keys, theme.faint), hint);
}
