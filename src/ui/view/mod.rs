//! How the state looks. Reads the state, never changes it.
//!
//! ```text
//! ╭ Search ──────────────────────────────╮
//! │ red convertible                      │  query pane
//! ╰──────────────────────────────────────╯
//! ╭ 10 of 60 ─────╮╭ car-005.jpg ────────╮
//! │▶ 0.82 ███▌ …  ││                     │  result pane: list or thumbnails,
//! │  0.80 ██▊  …  ││                     │  and the picture
//! ╰───────────────╯╰─────────────────────╯
//!  Load ███████░░░░ 12 of 60 …              load-progress view, one line of it
//!  keys that work now              compact
//! ```

mod context;
mod help;
mod history;
mod hits;
mod layout;
mod load;
mod load_view;
mod picture;
mod prompt;
mod query;
mod text;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Block, BorderType, Clear};

pub(super) use layout::{Step, Target, target_at, tiles, wants};

use super::state::{Overlay, State};
use super::theme::Theme;
use layout::Panes;

/// Draws the whole screen.
pub(super) fn view(state: &State, frame: &mut Frame<'_>) {
    let panes = Panes::of(state);
    // The frame may be a moment ahead of what the state has been told.
    if panes.keys.bottom() > frame.area().bottom() || panes.keys.right() > frame.area().right() {
        return;
    }
    query::draw(state, frame, &panes);
    hits::draw(state, frame, panes.hits);
    picture::draw(state, frame, &panes);
    load::draw(state, frame, panes.load);
    context::draw(state, frame, panes.keys);
    match &state.overlay {
        None => {}
        Some(Overlay::Help(scroll)) => help::draw(state, *scroll, frame),
        Some(Overlay::Load(scroll)) => load_view::draw(state, *scroll, frame),
        Some(Overlay::History { filter, selected }) => {
            history::draw(state, filter, *selected, frame);
        }
        Some(Overlay::Export { folder, pictures }) => {
            prompt::draw(state, folder, pictures.len(), frame);
        }
    }
}

/// How far the help can be scrolled.
pub(super) fn help_scroll(state: &State) -> u16 {
    help::most_scroll(state)
}

/// How far the load view can be scrolled.
pub(super) fn load_scroll(state: &State) -> u16 {
    u16::try_from(state.load.failed().len().saturating_sub(1)).unwrap_or(u16::MAX)
}

/// A pane with a border; the one that keys go to stands out.
fn block(theme: &Theme, title: impl Into<String>, focused: bool) -> Block<'static> {
    let title: String = title.into();
    let style = if focused { theme.accent } else { theme.faint };
    let block = Block::bordered().border_type(BorderType::Rounded).border_style(style);
    if title.is_empty() {
        block
    } else {
        block
            .title_style(if focused { theme.accent } else { Style::new() })
            .title(format!(" {title} "))
    }
}

/// A window of at most this size in the middle of the screen, emptied. What
/// is under it stays readable around it.
fn window(frame: &mut Frame<'_>, width: u16, height: u16) -> Rect {
    let screen = frame.area();
    let area = screen.centered(
        ratatui::layout::Constraint::Length(width.min(screen.width)),
        ratatui::layout::Constraint::Length(height.min(screen.height)),
    );
    frame.render_widget(Clear, area);
    area
}
