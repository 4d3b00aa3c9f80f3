//! From keys to actions, and what typing does.

use tui_input::{Input, InputRequest};

use super::{act, search};
use crate::ui::action::Scope;
use crate::ui::key::Key;
use crate::ui::keymap::Match;
use crate::ui::message::Effect;
use crate::ui::state::{Focus, Overlay, State};

/// A key was pressed.
pub(super) fn press(state: &mut State, key: Key) -> Vec<Effect> {
    state.notice = None;
    state.pressed.push(key);
    let scope = scope(state);
    match state.preferences.keymap.find(scope, &state.pressed) {
        Match::Action(action) => {
            state.pressed.clear();
            act(state, action)
        }
        Match::Prefix => Vec::new(),
        Match::Nothing => {
            let alone = state.pressed.len() == 1;
            state.pressed.clear();
            match key.typed() {
                Some(c) if scope == Scope::Typing => edit(state, InputRequest::InsertChar(c)),
                // After a sequence that is none, the key counts by itself.
                _ if !alone => press(state, key),
                _ => Vec::new(),
            }
        }
    }
}

/// Where keys go now.
pub(in crate::ui) fn scope(state: &State) -> Scope {
    let typing = match &state.overlay {
        Some(Overlay::History { .. } | Overlay::Export { .. }) => true,
        Some(Overlay::Help(_) | Overlay::Load(_)) => false,
        None => state.focus == Focus::Query,
    };
    if typing { Scope::Typing } else { Scope::Browsing }
}

/// Line breaks in what was pasted would end the query too early.
pub(super) fn paste(state: &mut State, text: &str) -> Vec<Effect> {
    if scope(state) == Scope::Browsing {
        state.overlay = None;
        state.focus = Focus::Query;
        // A file dropped on the results is a new question.
        state.query.reset();
    }
    let mut effects = Vec::new();
    for c in text.trim().chars() {
        let c = if c.is_control() { ' ' } else { c };
        effects = edit(state, InputRequest::InsertChar(c));
    }
    effects
}

/// Changes what is typed, in whichever box that is.
pub(super) fn edit(state: &mut State, edit: InputRequest) -> Vec<Effect> {
    let changed = input(state).handle(edit).is_some_and(|changed| changed.value);
    match &mut state.overlay {
        Some(Overlay::History { selected, .. }) if changed => *selected = 0,
        None if changed => return search::edited(state),
        _ => {}
    }
    Vec::new()
}

fn input(state: &mut State) -> &mut Input {
    match &mut state.overlay {
        Some(Overlay::History { filter, .. }) => filter,
        Some(Overlay::Export { folder, .. }) => folder,
        _ => &mut state.query,
    }
}
