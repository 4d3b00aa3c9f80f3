//! How the state looks. Reads the state, never changes it.
//!
//! ```text
//! ┌ Search ──────────────────────────────┐
//! │ red convertible                      │  query pane
//! ├ Matches ──────┬ car-005.jpg ─────────┤
//! │ ▶ 0.82 …      │                      │  result pane: list and picture
//! │   0.80 …      │                      │
//! ├ Load ─────────┴──────────────────────┤
//! │ ███████░░░░  12 of 60 …              │  load-progress view
//! └──────────────────────────────────────┘
//!  keys that work now          compact
//! ```

mod help;
mod load;
mod picture;
mod query;
mod results;
mod status_line;
mod theme;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};

use super::state::State;

/// Draws the whole screen.
pub(super) fn view(state: &State, frame: &mut Frame<'_>) {
    let panes = Panes::of(state, frame.area());
    query::draw(state, frame, panes.query);
    results::draw(state, frame, panes.list);
    picture::draw(state, frame, panes.picture);
    load::draw(state, frame, panes.load);
    status_line::draw(state, frame, panes.status_line);
    if state.help {
        help::draw(state, frame);
    }
}

/// Where the picture itself goes, inside its border.
pub(super) fn picture_area(state: &State) -> Rect {
    let screen = Rect::new(0, 0, state.screen.width, state.screen.height);
    theme::block("", false).inner(Panes::of(state, screen).picture)
}

/// The areas of the screen.
struct Panes {
    query: Rect,
    list: Rect,
    picture: Rect,
    load: Rect,
    status_line: Rect,
}

impl Panes {
    /// The load view keeps its place while it has something to say at any
    /// time, so that the picture is not resized when a load ends.
    fn of(_: &State, screen: Rect) -> Self {
        let load = if screen.height >= 16 { 3 } else { 1 };
        let [query, results, load, status_line] = Layout::vertical([
            Constraint::Length(3),
            Constraint::Min(0),
            Constraint::Length(load),
            Constraint::Length(1),
        ])
        .areas(screen);
        // Side by side where there is room for both, else the list on top.
        let (list, picture) = if screen.width >= 60 {
            let list = (screen.width / 3).clamp(24, 44);
            let [list, picture] =
                Layout::horizontal([Constraint::Length(list), Constraint::Min(0)]).areas(results);
            (list, picture)
        } else {
            let list = (results.height / 3).clamp(3, 8);
            let [list, picture] =
                Layout::vertical([Constraint::Length(list), Constraint::Min(0)]).areas(results);
            (list, picture)
        };
        Self { query, list, picture, load, status_line }
    }
}
