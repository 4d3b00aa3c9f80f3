//! The last line: what was just said, else the keys that work now; and what is
//! in use.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::Line;

use super::text;
use crate::domain::{Place, Printable};
use crate::ui::action::{Action, Scope};
use crate::ui::state::{BackendState, DownloadState, LoadState, Overlay, State};
use crate::ui::update::scope;

pub(super) fn draw(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let theme = &state.preferences.theme;
    if let Some(notice) = &state.notice {
        let style = if notice.error { theme.error } else { Style::new() };
        let told = text::keep_end(&notice.text, area.width.saturating_sub(1));
        frame.render_widget(Line::styled(format!(" {told}"), style), area);
        return;
    }
    let keys = keys(state, area.width.saturating_sub(1));
    // The keys are worth more than what is in use.
    let room = area.width.saturating_sub(text::width(&keys) + 3);
    let in_use = text::fitting(in_use(state), room);
    let columns = if in_use.is_empty() { 0 } else { text::width(&in_use) + 1 };
    let [left, right] =
        Layout::horizontal([Constraint::Min(0), Constraint::Length(columns)]).areas(area);
    frame.render_widget(Line::styled(format!(" {keys}"), theme.faint), left);
    frame.render_widget(Line::styled(in_use, theme.faint), right);
}

/// The last ones, which lead out, are there as long as there is room for any.
fn keys(state: &State, columns: u16) -> String {
    let scope = scope(state);
    let hints: &[(Action, &str)] = match (&state.overlay, scope) {
        (Some(Overlay::Help(_) | Overlay::Load(_)), _) => {
            &[(Action::Next, "down"), (Action::Previous, "up"), (Action::Back, "back")]
        }
        (Some(_), _) => &[(Action::Submit, "take it"), (Action::Back, "back")],
        (None, Scope::Typing) => &[
            (Action::Submit, "search"),
            (Action::Browse, "matches"),
            (Action::HistoryPrevious, "earlier"),
            (Action::History, "history"),
            (Action::Help, "help"),
            (Action::Quit, "quit"),
        ],
        (None, _) => &[
            (Action::Type, "query"),
            (Action::Next, "next"),
            (Action::Open, "open"),
            (Action::MoreLikeThis, "more like this"),
            (Action::ToggleGrid, "grid"),
            (Action::Mark, "mark"),
            (Action::Export, "export"),
            (Action::ToggleZoom, "zoom"),
            (Action::Help, "help"),
            (Action::Leave, "quit"),
        ],
    };
    let shown = |(action, what): &(Action, &str)| {
        state.preferences.keymap.keys(*action, scope).map(|keys| format!("{keys} {what}"))
    };
    let (first, last) = hints.split_at(hints.len().saturating_sub(2));
    let last = text::fitting(last.iter().map(shown), columns);
    let busy = matches!(state.load, LoadState::Running { .. })
        || matches!(state.download, DownloadState::Running(..));
    let busy = (busy && state.overlay.is_none()).then_some((Action::LoadView, "progress"));
    let pending = state.pressed.last().map(|key| format!("{key} …"));
    let first = [pending, busy.as_ref().and_then(shown)].into_iter().chain(first.iter().map(shown));
    let first = text::fitting(first, columns.saturating_sub(text::width(&last) + 3));
    text::joined([Some(first), Some(last)])
}

/// The model, the store if it is not the one on this machine, the graphics.
fn in_use(state: &State) -> [Option<String>; 3] {
    let (model, store) = match &state.backend {
        BackendState::Ready(status) => (
            Some(Printable::new(&status.model.name).to_string()),
            match &status.collection {
                Place::File(_) => None,
                Place::Database(place) => Some(place.service.to_string()),
            },
        ),
        _ => (None, None),
    };
    [model, store, Some(state.graphics.clone())]
}
