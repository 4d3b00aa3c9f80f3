//! Asking, being answered, and what was asked before.

use tui_input::Input;

use super::{load, results};
use crate::backend::{Event, Query, Remark, Request};
use crate::ui::gallery::{Grade, Source};
use crate::ui::message::{Effect, Intent, Typed};
use crate::ui::state::{Answered, Asked, Focus, Notice, Overlay, Results, State};

/// Results to go back to.
const MOST_BEFORE: usize = 50;

/// Earlier queries kept.
pub(in crate::ui) const MOST_HISTORY: usize = 1000;

/// The query was changed by the user.
pub(super) fn edited(state: &mut State) -> Vec<Effect> {
    state.edits += 1;
    state.history.place = None;
    vec![Effect::AwaitPause(state.edits)]
}

/// Searches for what is typed so far, unless that is being done already.
pub(super) fn typing_paused(state: &State, edit: u64) -> Vec<Effect> {
    let typed = state.query.value().trim();
    let current = edit == state.edits && state.focus == Focus::Query && state.overlay.is_none();
    if current && typed.chars().nth(1).is_some() {
        vec![Effect::Understand(Intent::Preview, typed.to_owned())]
    } else {
        Vec::new()
    }
}

/// Enter, in whichever box.
pub(super) fn submit(state: &mut State) -> Vec<Effect> {
    match state.overlay.take() {
        Some(Overlay::History { filter, selected }) => {
            let chosen = matching(&state.history.queries, filter.value()).nth(selected);
            let Some(chosen) = chosen.cloned() else { return Vec::new() };
            state.query = chosen.into();
            state.edits += 1;
        }
        Some(Overlay::Export { folder, pictures }) => {
            return results::export(state, folder.value().trim(), pictures);
        }
        overlay => state.overlay = overlay,
    }
    let typed = state.query.value().trim();
    if typed.is_empty() {
        return Vec::new();
    }
    // What is still to be searched for while typing is searched for now.
    state.edits += 1;
    vec![Effect::Understand(Intent::Submit, typed.to_owned())]
}

/// Searches for what the typed text means.
pub(super) fn understood(state: &mut State, intent: Intent, typed: Option<Typed>) -> Vec<Effect> {
    let query = match typed {
        None => return Vec::new(),
        Some(Typed::Folder(folder)) => {
            return match intent {
                Intent::Submit => load::load_too(state, folder),
                Intent::Preview => Vec::new(),
            };
        }
        Some(Typed::Query(query)) => query,
    };
    match intent {
        Intent::Submit => {
            let mut effects = remember(state);
            state.focus = Focus::Results;
            effects.push(search(state, query, true));
            effects
        }
        Intent::Preview => {
            let shown = state.results().map(|results| &results.asked);
            let latest = state.search.waiting.as_ref().or(shown).map(|asked| &asked.query);
            if latest == Some(&query) { Vec::new() } else { vec![search(state, query, false)] }
        }
    }
}

fn search(state: &mut State, query: Query, submitted: bool) -> Effect {
    let typed = state.query.value().to_owned();
    let request = state.next_id();
    ask(state, Asked { request, query, typed, submitted })
}

fn ask(state: &mut State, asked: Asked) -> Effect {
    let (id, query) = (asked.request, asked.query.clone());
    state.search.waiting = Some(asked);
    Effect::Send(Request::Search { id, query, limit: state.preferences.limit, within: None })
}

/// Asks the last question again, as the collection has changed.
pub(super) fn search_again(state: &mut State) -> Option<Effect> {
    if state.search.waiting.is_some() {
        return None;
    }
    let asked = state.results()?.asked.clone();
    let request = state.next_id();
    Some(ask(state, Asked { request, ..asked }))
}

pub(super) fn more_like_this(state: &mut State) -> Vec<Effect> {
    let Some(hit) = state.selected() else { return Vec::new() };
    let path = hit.id.location();
    state.query = path.to_string_lossy().into_owned().into();
    state.edits += 1;
    vec![search(state, Query::Picture(path), true)]
}

/// An answer to the search that is awaited.
pub(super) fn searched(state: &mut State, event: Event) -> Vec<Effect> {
    if !event.is_final() {
        match event {
            Event::QueryPicture(id, thumbnail) => {
                state.gallery.put(Source::Query(id), Grade::Small, thumbnail);
            }
            Event::Remarked(_, remark) => remarked(state, remark),
            _ => {}
        }
        return Vec::new();
    }
    let Some(asked) = state.search.waiting.take() else { return Vec::new() };
    match event {
        Event::SearchFinished(_, answer) => {
            let mut results = Results { asked, answer, selected: 0 };
            match std::mem::take(&mut state.search.answered) {
                Answered::Hits(before) if before.asked.query == results.asked.query => {
                    keep_place(&mut results, &before);
                }
                before => put_aside(state, before),
            }
            state.gallery.forgive();
            state.search.answered = Answered::Hits(results);
            return load::open_again(state).into_iter().collect();
        }
        Event::Failed(_, failure) => {
            let before = std::mem::replace(&mut state.search.answered, Answered::Failed(failure));
            put_aside(state, before);
        }
        _ => {}
    }
    Vec::new()
}

/// What was asked in earnest can be gone back to.
fn put_aside(state: &mut State, answered: Answered) {
    let Answered::Hits(results) = answered else { return };
    if results.asked.submitted {
        state.search.before.push(results);
        let excess = state.search.before.len().saturating_sub(MOST_BEFORE);
        state.search.before.drain(..excess);
    }
}

/// Said once: it is as true of the next search, and was read.
fn remarked(state: &mut State, remark: Remark) {
    if state.remarked.as_ref() != Some(&remark) {
        state.notice = Some(Notice::failed(format!("{}; {}", remark.text, remark.hint)));
        state.remarked = Some(remark);
    }
}

/// The same question again: whoever looks at a hit goes on looking at it.
fn keep_place(results: &mut Results, before: &Results) {
    let kept = before.answer.hits.get(before.selected);
    let place = kept.and_then(|kept| results.answer.hits.iter().position(|hit| hit.id == kept.id));
    results.selected = place.unwrap_or(0);
    results.asked.submitted |= before.asked.submitted;
}

pub(super) fn previous_results(state: &mut State) {
    let Some(results) = state.search.before.pop() else {
        state.notice = Some(Notice::said("there are no results before these"));
        return;
    };
    state.query = results.asked.typed.clone().into();
    state.edits += 1;
    state.search.waiting = None;
    state.search.answered = Answered::Hits(results);
}

/// Notes the query, unless it is the last one again.
fn remember(state: &mut State) -> Vec<Effect> {
    let typed = state.query.value().trim().to_owned();
    state.history.place = None;
    let queries = &mut state.history.queries;
    if queries.last() == Some(&typed) {
        return Vec::new();
    }
    queries.retain(|query| *query != typed);
    queries.push(typed.clone());
    let excess = queries.len().saturating_sub(MOST_HISTORY);
    queries.drain(..excess);
    vec![Effect::RememberQuery(typed)]
}

pub(super) fn history_previous(state: &mut State) {
    if let Some(Overlay::History { selected, filter }) = &mut state.overlay {
        let last = matching(&state.history.queries, filter.value()).count().saturating_sub(1);
        *selected = (*selected + 1).min(last);
        return;
    }
    let (back, typed) = match &state.history.place {
        Some((back, typed)) => (back + 1, typed.clone()),
        None => (1, state.query.value().to_owned()),
    };
    if let Some(n) = state.history.queries.len().checked_sub(back) {
        state.query = state.history.queries[n].clone().into();
        state.history.place = Some((back, typed));
    }
}

pub(super) fn history_next(state: &mut State) {
    if let Some(Overlay::History { selected, .. }) = &mut state.overlay {
        *selected = selected.saturating_sub(1);
        return;
    }
    match state.history.place.take() {
        Some((1, typed)) => state.query = typed.into(),
        Some((back, typed)) => {
            let n = state.history.queries.len() - (back - 1);
            state.query = state.history.queries[n].clone().into();
            state.history.place = Some((back - 1, typed));
        }
        None if state.overlay.is_none() => state.focus = Focus::Results,
        None => {}
    }
}

/// A second time, to the next older one.
pub(super) fn open_history(state: &mut State) {
    if matches!(state.overlay, Some(Overlay::History { .. })) {
        history_previous(state);
    } else if state.history.queries.is_empty() {
        state.notice = Some(Notice::said("there are no earlier queries yet"));
    } else {
        state.overlay = Some(Overlay::History { filter: Input::default(), selected: 0 });
    }
}

/// Those of `queries` with `part` in them, newest first.
pub(in crate::ui) fn matching<'a>(
    queries: &'a [String],
    part: &str,
) -> impl Iterator<Item = &'a String> {
    let part = part.trim().to_lowercase();
    queries.iter().rev().filter(move |query| query.to_lowercase().contains(&part))
}
