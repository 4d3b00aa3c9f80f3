//! How the state changes. No I/O, no clock, no terminal: only data in and out.

mod keys;
mod load;
mod results;
mod search;
#[cfg(test)]
mod tests;

use ratatui::layout::{Position, Size};

pub(super) use keys::scope;
pub(super) use search::{MOST_HISTORY, matching};

use super::action::Action;
use super::message::{Click, Effect, Message};
use super::state::{BackendState, Focus, Notice, Overlay, State, next};
use super::view::{self, Target};
use crate::backend::{Event, Failure, Request};

/// What is to be done first, before anything has happened.
pub(super) fn start(state: &mut State) -> Vec<Effect> {
    let following = state.next_id();
    state.following = Some(following);
    let mut effects =
        vec![load::ask_status(state), Effect::Send(Request::FollowLoads { id: following })];
    if state.mouse {
        effects.push(Effect::TakeMouse(true));
    }
    effects
}

/// Applies `message` to `state`, and says what must be done next.
pub(super) fn update(state: &mut State, message: Message) -> Vec<Effect> {
    let mut effects = apply(state, message);
    let wants = view::wants(state);
    let last_id = &mut state.last_id;
    effects.extend(state.gallery.settle(&wants, || next(last_id)));
    effects
}

fn apply(state: &mut State, message: Message) -> Vec<Effect> {
    match message {
        Message::Key(key) => return keys::press(state, key),
        Message::Paste(text) => return keys::paste(state, &text),
        Message::Mouse(click, at) => return mouse(state, click, at),
        Message::Resized(size, cell) => resized(state, size, cell),
        Message::TypingPaused(edit) => return search::typing_paused(state, edit),
        Message::Understood(intent, query) => return search::understood(state, intent, query),
        Message::FolderFound(folder, found) => return load::folder_found(state, folder, found),
        Message::Backend(event) => return answered(state, event),
        Message::Encoded(id, picture) => state.gallery.encoded(id, picture),
        Message::Opened(path, outcome) => results::opened(state, &path, outcome),
        Message::Resumed => return vec![Effect::TakeMouse(state.mouse)],
        Message::Quit => return vec![Effect::Quit],
    }
    Vec::new()
}

/// Does what a key asks for.
fn act(state: &mut State, action: Action) -> Vec<Effect> {
    match action {
        Action::Submit => return search::submit(state),
        Action::Edit(edit) => return keys::edit(state, edit),
        Action::HistoryPrevious => search::history_previous(state),
        Action::HistoryNext => search::history_next(state),
        Action::History => search::open_history(state),
        Action::Browse => focus(state, Focus::Results),
        Action::Type => focus(state, Focus::Query),
        Action::Next => results::go(state, view::Step::Down(1)),
        Action::Previous => results::go(state, view::Step::Up(1)),
        Action::Left => results::go(state, view::Step::Left),
        Action::Right => results::go(state, view::Step::Right),
        Action::First => results::go(state, view::Step::First),
        Action::Last => results::go(state, view::Step::Last),
        Action::PageDown => results::go(state, view::Step::Pages(2)),
        Action::PageUp => results::go(state, view::Step::Pages(-2)),
        Action::HalfPageDown => results::go(state, view::Step::Pages(1)),
        Action::HalfPageUp => results::go(state, view::Step::Pages(-1)),
        Action::MoreLikeThis => return search::more_like_this(state),
        Action::PreviousResults => search::previous_results(state),
        Action::Open => return results::open(state),
        Action::CopyPath => return results::copy_path(state),
        Action::CopyPaths => return results::copy_paths(state),
        Action::Mark => results::mark(state),
        Action::Unmark => state.marked.clear(),
        Action::Export => results::ask_where_to_export(state),
        Action::ToggleGrid => state.layout.grid = !state.layout.grid,
        Action::ToggleZoom => state.layout.zoomed = !state.layout.zoomed,
        Action::LoadView => toggle(state, Overlay::Load(0)),
        Action::Help => toggle(state, Overlay::Help(0)),
        Action::Pause => return load::pause(state),
        Action::Watch => return load::toggle_watch(state),
        Action::Stop => return load::stop(state),
        Action::Download => return load::download(state),
        Action::ToggleMouse => return toggle_mouse(state),
        Action::Back => return back(state),
        Action::Leave if state.overlay.is_some() => state.overlay = None,
        Action::Leave | Action::Quit => return vec![Effect::Quit],
        Action::Suspend => return vec![Effect::Suspend],
    }
    Vec::new()
}

fn focus(state: &mut State, focus: Focus) {
    state.overlay = None;
    state.focus = focus;
}

/// Opens it, or closes it if one of its kind is open.
fn toggle(state: &mut State, overlay: Overlay) {
    let open = state.overlay.as_ref().map(std::mem::discriminant);
    let same = open == Some(std::mem::discriminant(&overlay));
    state.overlay = (!same).then_some(overlay);
}

/// One step back, from the inside out.
fn back(state: &mut State) -> Vec<Effect> {
    if state.overlay.take().is_some() || load::dismiss(state) {
        return Vec::new();
    }
    if state.layout.zoomed {
        state.layout.zoomed = false;
    } else if state.focus == Focus::Results {
        state.focus = Focus::Query;
    } else {
        return keys::edit(state, tui_input::InputRequest::DeleteLine);
    }
    Vec::new()
}

fn toggle_mouse(state: &mut State) -> Vec<Effect> {
    state.mouse = !state.mouse;
    state.notice = Some(Notice::said(if state.mouse {
        "mouse on: click, double click to open, wheel"
    } else {
        "mouse off: the terminal selects text with it"
    }));
    vec![Effect::TakeMouse(state.mouse)]
}

fn mouse(state: &mut State, click: Click, at: Position) -> Vec<Effect> {
    if state.overlay.is_some() {
        let step = match click {
            Click::WheelUp => view::Step::Up(3),
            Click::WheelDown => view::Step::Down(3),
            Click::Press => {
                state.overlay = None;
                return Vec::new();
            }
        };
        results::go(state, step);
        return Vec::new();
    }
    match (click, view::target_at(state, at)) {
        (Click::WheelUp, _) => results::go(state, view::Step::Up(1)),
        (Click::WheelDown, _) => results::go(state, view::Step::Down(1)),
        (Click::Press, Some(Target::Query)) => state.focus = Focus::Query,
        (Click::Press, Some(Target::Hit(n))) => return results::click(state, n),
        (Click::Press, Some(Target::Picture)) => {
            state.focus = Focus::Results;
            state.layout.zoomed = !state.layout.zoomed;
        }
        (Click::Press, Some(Target::Load)) => state.overlay = Some(Overlay::Load(0)),
        (Click::Press, None) => {}
    }
    Vec::new()
}

fn resized(state: &mut State, size: Size, cell: (u16, u16)) {
    if state.cell != cell {
        state.gallery.forget_drawn();
    }
    (state.screen, state.cell) = (size, cell);
}

/// An event that nothing is waiting for answers a superseded request.
fn answered(state: &mut State, event: Event) -> Vec<Effect> {
    let id = event.request();
    load::model_progress(state, &event);
    waiting(state, &event);
    if state.gallery.awaits(id) {
        state.gallery.decoded(event);
        return Vec::new();
    }
    if state.search.waiting.as_ref().is_some_and(|asked| asked.request == id) {
        return search::searched(state, event);
    }
    if state.exporting == Some(id) {
        results::exported(state, event);
        return Vec::new();
    }
    if state.following == Some(id) {
        return load::elsewhere(state, event);
    }
    load::answered(state, event)
}

/// Whoever waits for the database, until it answers.
fn waiting(state: &mut State, event: &Event) {
    let id = event.request();
    match event {
        Event::Waiting(_, wait) => state.waiting = wait.clone().map(|wait| (id, wait)),
        event if event.is_final() => {
            state.waiting.take_if(|(waiting, _)| *waiting == id);
        }
        _ => {}
    }
}

fn failed(failure: &Failure) -> Notice {
    Notice::failed(match &failure.hint {
        Some(hint) => format!("{failure}; {hint}"),
        None => failure.to_string(),
    })
}

fn has_status(state: &State) -> bool {
    matches!(state.backend, BackendState::Ready(_))
}
