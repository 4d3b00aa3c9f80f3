//! How the state changes. No I/O, no clock, no terminal: only data in and out.

use std::sync::Arc;

use ratatui::layout::Size;

use super::message::{Effect, Message};
use super::state::{Answered, BackendState, DownloadState, Focus, LoadState, PictureState, State};
use super::view;
use crate::backend::{
    Event, Failure, LoadProgress, PullProgress, Query, Request, RequestId, Status, Thumbnail,
};
use crate::domain::PixelSize;

/// Pictures are decoded no larger than this: more than any pane shows.
const THUMBNAIL: PixelSize = PixelSize { width: 1920, height: 1440 };

/// What is to be done first, before anything has happened.
pub fn start(state: &mut State) -> Vec<Effect> {
    vec![ask_status(state)]
}

/// Applies `message` to `state`, and says what must be done next.
pub fn update(state: &mut State, message: Message) -> Vec<Effect> {
    match message {
        Message::Edit(edit) => {
            state.query.handle(edit);
        }
        Message::Paste(text) => paste(state, &text),
        Message::Submit => return submit(state),
        Message::Understood(query) => return understood(state, query),
        Message::Select(by) => return select(state, |at| at.saturating_add_signed(by)),
        Message::SelectFirst => return select(state, |_| 0),
        Message::SelectLast => return select(state, |_| usize::MAX),
        Message::MoreLikeThis => return more_like_this(state),
        Message::Focus(focus) => state.focus = focus,
        Message::Back => back(state),
        Message::ToggleHelp => state.help = !state.help,
        Message::Download => return download(state),
        Message::Stop => return stop(state),
        Message::Resized(size) => return resized(state, size),
        Message::Suspend => return vec![Effect::Suspend],
        Message::Quit => return vec![Effect::Quit],
        Message::Backend(event) => return apply(state, event),
        Message::Encoded(id, picture) => encoded(state, id, picture),
    }
    Vec::new()
}

/// Line breaks in what was pasted would end the query too early.
fn paste(state: &mut State, text: &str) {
    state.focus = Focus::Query;
    for c in text.trim().chars() {
        let c = if c.is_control() { ' ' } else { c };
        state.query.handle(tui_input::InputRequest::InsertChar(c));
    }
}

fn submit(state: &State) -> Vec<Effect> {
    let typed = state.query.value().trim();
    if typed.is_empty() { Vec::new() } else { vec![Effect::Understand(typed.to_owned())] }
}

fn understood(state: &mut State, query: Option<Query>) -> Vec<Effect> {
    let Some(query) = query else { return Vec::new() };
    state.focus = Focus::Results;
    vec![search(state, query)]
}

fn search(state: &mut State, query: Query) -> Effect {
    let id = state.next_id();
    state.search.waiting = Some((id, query.clone()));
    Effect::Send(Request::Search { id, query, limit: state.limit })
}

fn more_like_this(state: &mut State) -> Vec<Effect> {
    let Some(hit) = state.selected() else { return Vec::new() };
    let path = hit.id.location();
    state.query = path.to_string_lossy().into_owned().into();
    vec![search(state, Query::Picture(path))]
}

fn select(state: &mut State, to: impl FnOnce(usize) -> usize) -> Vec<Effect> {
    let Answered::Hits { answer, selected, .. } = &mut state.search.answered else {
        return Vec::new();
    };
    let before = *selected;
    *selected = to(before).min(answer.hits.len().saturating_sub(1));
    if *selected == before { Vec::new() } else { show_selected(state) }
}

/// Asks for the picture of the selected hit.
fn show_selected(state: &mut State) -> Vec<Effect> {
    let Some(path) = state.selected().map(|hit| hit.id.location()) else {
        state.picture = PictureState::None;
        return Vec::new();
    };
    let id = state.next_id();
    state.picture = PictureState::Decoding(id);
    vec![Effect::Send(Request::Thumbnail { id, path, bounds: THUMBNAIL })]
}

fn back(state: &mut State) {
    if state.help {
        state.help = false;
    } else if matches!(state.download, DownloadState::Offered(_) | DownloadState::Failed(_)) {
        state.download = DownloadState::Idle;
    } else if state.focus == Focus::Results {
        state.focus = Focus::Query;
    } else {
        state.query.reset();
    }
}

fn download(state: &mut State) -> Vec<Effect> {
    let offer = match (&state.download, &state.backend) {
        (DownloadState::Running(..), _) => return Vec::new(),
        (DownloadState::Offered(offer), _) => Some(offer.clone()),
        (_, BackendState::Ready(status)) => status.offer.clone(),
        _ => None,
    };
    let Some(offer) = offer else { return Vec::new() };
    let id = state.next_id();
    state.download = DownloadState::Running(id, offer.preset.clone(), PullProgress::default());
    vec![Effect::Send(Request::Pull { id, preset: offer.preset })]
}

/// The download first, as it is the one that was asked for.
fn stop(state: &mut State) -> Vec<Effect> {
    match (&state.download, &state.load) {
        (DownloadState::Running(id, ..), _) | (_, LoadState::Running { id, .. }) => {
            vec![Effect::Send(Request::Cancel(*id))]
        }
        _ => Vec::new(),
    }
}

fn resized(state: &mut State, size: Size) -> Vec<Effect> {
    state.screen = size;
    encode(state)
}

/// Turns the decoded picture into cells for its pane as it is now.
fn encode(state: &mut State) -> Vec<Effect> {
    let id = state.next_id();
    let area = view::picture_area(state).as_size();
    let PictureState::Decoded { encoding, decoded, .. } = &mut state.picture else {
        return Vec::new();
    };
    *encoding = Some(id);
    vec![Effect::Encode(id, Arc::clone(decoded), area)]
}

fn encoded(state: &mut State, id: RequestId, picture: Result<super::graphics::Picture, String>) {
    let PictureState::Decoded { encoding, encoded, .. } = &mut state.picture else { return };
    if *encoding != Some(id) {
        return;
    }
    *encoding = None;
    match picture {
        Ok(picture) => *encoded = Some(picture),
        Err(reason) => state.picture = PictureState::Failed(reason),
    }
}

fn ask_status(state: &mut State) -> Effect {
    let id = state.next_id();
    state.backend = BackendState::Opening(id);
    Effect::Send(Request::Status { id })
}

/// An event that no pane is waiting for answers a superseded request.
fn apply(state: &mut State, event: Event) -> Vec<Effect> {
    let id = event.request();
    if state.search.waiting.as_ref().is_some_and(|(waiting, _)| *waiting == id) {
        return searched(state, event);
    }
    match (&state.backend, &state.load, &state.download, &state.picture) {
        (BackendState::Opening(waiting), ..) if *waiting == id => opened(state, event),
        (_, LoadState::Running { id: waiting, .. }, ..) if *waiting == id => loading(state, event),
        (_, _, DownloadState::Running(waiting, ..), _) if *waiting == id => pulling(state, event),
        (_, _, _, PictureState::Decoding(waiting)) if *waiting == id => decoded(state, event),
        _ => Vec::new(),
    }
}

fn searched(state: &mut State, event: Event) -> Vec<Effect> {
    let Some((_, query)) = state.search.waiting.take() else { return Vec::new() };
    match event {
        Event::SearchFinished(_, answer) => {
            let again = matches!(&state.search.answered, Answered::Hits { query: before, .. } if *before == query);
            let kept = state.selected().filter(|_| again).map(|hit| hit.id.clone());
            let at = kept.as_ref().and_then(|id| answer.hits.iter().position(|hit| hit.id == *id));
            state.search.answered = Answered::Hits { query, answer, selected: at.unwrap_or(0) };
            if at.is_some() { Vec::new() } else { show_selected(state) }
        }
        Event::Failed(_, failure) => {
            state.search.answered = Answered::Failed(failure);
            state.picture = PictureState::None;
            Vec::new()
        }
        _ => Vec::new(),
    }
}

fn opened(state: &mut State, event: Event) -> Vec<Effect> {
    match event {
        Event::StatusReported(_, status) => ready(state, status),
        Event::Failed(_, failure) => {
            state.backend = BackendState::Failed(failure);
            Vec::new()
        }
        _ => Vec::new(),
    }
}

fn ready(state: &mut State, status: Status) -> Vec<Effect> {
    let mut effects = Vec::new();
    let free = matches!(state.download, DownloadState::Idle);
    if let Some(offer) = status.offer.clone().filter(|_| free && !state.offered_before) {
        state.download = DownloadState::Offered(offer);
        state.offered_before = true;
        effects.push(Effect::RememberOffer);
    }
    state.folders_to_load = status.folders_or(state.images.clone()).into();
    state.backend = BackendState::Ready(Box::new(status));
    effects.extend(load_next(state));
    effects
}

/// A folder that is gone today is no reason to complain at every start.
fn load_next(state: &mut State) -> Option<Effect> {
    state.folders_to_load.pop_front().map(Effect::LoadIfThere)
}

/// Begins to load `folder`, which is there.
pub(super) fn load(state: &mut State, folder: std::path::PathBuf) -> Effect {
    let id = state.next_id();
    state.load = LoadState::Running { id, progress: LoadProgress::default(), failed: Vec::new() };
    Effect::Send(Request::Load { id, folder })
}

/// Goes on with the next folder, as this one is not there.
pub(super) fn skip_folder(state: &mut State) -> Option<Effect> {
    load_next(state)
}

fn loading(state: &mut State, event: Event) -> Vec<Effect> {
    let LoadState::Running { progress, failed, .. } = &mut state.load else { return Vec::new() };
    match event {
        Event::LoadProgress(_, now) => *progress = now,
        Event::PictureFailed(_, problem) => failed.push(problem),
        Event::LoadFinished(_, progress) => {
            let (changed, failed) = (progress.embedded > 0, std::mem::take(failed));
            state.load = LoadState::Finished { progress, failed };
            return loaded(state, changed);
        }
        Event::Cancelled(_) => state.load = LoadState::Stopped(std::mem::take(progress)),
        Event::Failed(_, failure) => state.load = LoadState::Failed(failure),
        _ => {}
    }
    Vec::new()
}

/// What was found before may not be the best any more.
fn loaded(state: &mut State, changed: bool) -> Vec<Effect> {
    let mut effects: Vec<Effect> = load_next(state).into_iter().collect();
    let asked = match &state.search.answered {
        Answered::Hits { query, .. } if changed && state.search.waiting.is_none() => {
            Some(query.clone())
        }
        _ => None,
    };
    effects.extend(asked.map(|query| search(state, query)));
    effects
}

fn pulling(state: &mut State, event: Event) -> Vec<Effect> {
    let DownloadState::Running(id, name, _) = &state.download else { return Vec::new() };
    match event {
        Event::PullProgress(_, progress) => {
            state.download = DownloadState::Running(*id, name.clone(), progress);
        }
        Event::Pulled(..) => {
            state.download = DownloadState::Idle;
            return vec![ask_status(state)];
        }
        Event::Failed(_, failure) => state.download = DownloadState::Failed(failure),
        _ => state.download = DownloadState::Idle,
    }
    Vec::new()
}

fn decoded(state: &mut State, event: Event) -> Vec<Effect> {
    match event {
        Event::ThumbnailReady(_, Thumbnail { picture, .. }) => {
            let decoded = Arc::new(picture);
            state.picture = PictureState::Decoded { encoding: None, decoded, encoded: None };
            encode(state)
        }
        Event::Failed(_, Failure { causes, .. }) => {
            state.picture = PictureState::Failed(causes.join(": "));
            Vec::new()
        }
        _ => Vec::new(),
    }
}
