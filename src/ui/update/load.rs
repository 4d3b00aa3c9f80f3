//! The model, loads and downloads: in use, under way, of other processes.

use std::collections::VecDeque;
use std::path::PathBuf;

use super::{has_status, search};
use crate::backend::{Event, Failure, LoadProgress, PullProgress, Request, RequestId, Status};
use crate::domain::{FileProblem, Printable};
use crate::pace::Pace;
use crate::ui::message::Effect;
use crate::ui::state::{BackendState, DownloadState, LoadState, Notice, State};

pub(super) fn ask_status(state: &mut State) -> Effect {
    let id = state.next_id();
    state.backend = BackendState::Opening(id);
    Effect::Send(Request::Status { id })
}

/// How far the model is read, until whoever waits for it is told of more.
pub(super) fn model_progress(state: &mut State, event: &Event) {
    let id = event.request();
    match event {
        Event::ModelProgress(_, progress) => {
            let wanted = waits_for_model(state, id) && progress.read < progress.total;
            state.model = wanted.then(|| (id, progress.clone()));
        }
        _ if state.model.as_ref().is_some_and(|(waiting, _)| *waiting == id) => state.model = None,
        _ => {}
    }
}

fn waits_for_model(state: &State, id: RequestId) -> bool {
    let searching = state.search.waiting.as_ref().is_some_and(|asked| asked.request == id);
    searching || loading_id(&state.load) == Some(id)
}

/// An event that is none of the searches' or pictures'.
pub(super) fn answered(state: &mut State, event: Event) -> Vec<Effect> {
    let id = event.request();
    match (&state.backend, &state.download) {
        (BackendState::Opening(waiting), _) if *waiting == id => opened(state, event),
        _ if state.counting == Some(id) => counted(state, event),
        _ if loading_id(&state.load) == Some(id) => loading(state, event),
        (_, DownloadState::Running(waiting, ..)) if *waiting == id => pulling(state, event),
        _ => Vec::new(),
    }
}

/// Whose events the load view shows.
fn loading_id(load: &LoadState) -> Option<RequestId> {
    match load {
        LoadState::Running { id, .. } | LoadState::Watching { id, .. } => Some(*id),
        _ => None,
    }
}

fn opened(state: &mut State, event: Event) -> Vec<Effect> {
    match event {
        Event::StatusReported(_, status) => ready(state, status),
        Event::Failed(_, failure) => {
            state.backend = BackendState::Failed(failure);
            Vec::new()
        }
        Event::Cancelled(_) => {
            state.backend = BackendState::Failed(Failure {
                doing: "opening the collection".into(),
                causes: vec!["it was given up".into()],
                hint: Some("search for something to try it once more".into()),
            });
            Vec::new()
        }
        _ => Vec::new(),
    }
}

/// What could not be opened before can be, as it has just been searched.
pub(super) fn open_again(state: &mut State) -> Option<Effect> {
    matches!(state.backend, BackendState::Failed(_)).then(|| ask_status(state))
}

fn ready(state: &mut State, status: Status) -> Vec<Effect> {
    let mut effects = Vec::new();
    let free = matches!(state.download, DownloadState::Idle);
    if let Some(offer) = status.offer.clone().filter(|_| free && !state.offered_before) {
        state.download = DownloadState::Offered(offer);
        state.offered_before = true;
        effects.push(Effect::RememberOffer);
    }
    // What is shared is not written to by looking at it.
    state.folders_to_load = if status.collection.is_shared() {
        VecDeque::new()
    } else {
        status.folders_or(state.preferences.images.clone()).into()
    };
    state.backend = BackendState::Ready(Box::new(status));
    effects.extend(load_or_stop_watching(state));
    effects
}

/// Loads the next folder; watches those that were loaded when there is none.
fn load_next(state: &mut State) -> Option<Effect> {
    if let Some(folder) = state.folders_to_load.pop_front() {
        return Some(Effect::FindFolder(folder));
    }
    state.hidden_at_once = 0;
    let may_watch = state.watch && loading_id(&state.load).is_none();
    let folders = Some(state.loaded.clone()).filter(|folders| may_watch && !folders.is_empty())?;
    let id = state.next_id();
    let (progress, failed) = last(&mut state.load);
    state.load = LoadState::Watching { id, progress, failed };
    Some(Effect::Send(Request::Watch { id, folders }))
}

/// What came of the last load.
fn last(load: &mut LoadState) -> (LoadProgress, Vec<FileProblem>) {
    match load {
        LoadState::Watching { progress, failed, .. }
        | LoadState::Finished { progress, failed }
        | LoadState::Stopped { progress, failed } => {
            (std::mem::take(progress), std::mem::take(failed))
        }
        _ => Default::default(),
    }
}

/// The next load waits for the one under way, but folders that are watched are
/// only watched again after it.
fn load_or_stop_watching(state: &mut State) -> Option<Effect> {
    match state.load {
        LoadState::Running { .. } => None,
        LoadState::Watching { id, .. } => Some(Effect::Send(Request::Cancel(id))),
        _ => load_next(state),
    }
}

/// Watches the folders that were loaded, or no longer.
pub(super) fn toggle_watch(state: &mut State) -> Vec<Effect> {
    state.watch = !state.watch;
    state.notice = Some(Notice::said(if state.watch {
        "the folders are watched: what changes is loaded"
    } else {
        "the folders are no longer watched"
    }));
    if state.loaded.is_empty()
        && let BackendState::Ready(status) = &state.backend
    {
        state.loaded = status.folders_or(state.preferences.images.clone());
    }
    let effect = match (&state.load, state.watch) {
        (LoadState::Watching { id, .. }, false) => Some(Effect::Send(Request::Cancel(*id))),
        (LoadState::Running { .. } | LoadState::Watching { .. }, _) | (_, false) => None,
        (_, true) => load_next(state),
    };
    effect.into_iter().collect()
}

/// Loads `folder` as well, once what is being loaded is done.
pub(super) fn load_too(state: &mut State, folder: PathBuf) -> Vec<Effect> {
    state.notice = Some(Notice::said(format!("loading {}", Printable::new(&folder))));
    state.query.reset();
    state.folders_to_load.push_back(folder);
    load_or_stop_watching(state).into_iter().collect()
}

/// Loads it if it is there. A folder that is gone today is no reason to
/// complain at every start, unless there is nothing else.
pub(super) fn folder_found(state: &mut State, folder: PathBuf, found: bool) -> Vec<Effect> {
    if !found {
        let empty = matches!(&state.backend, BackendState::Ready(status)
            if status.space().is_none_or(|space| space.pictures.pictures == 0));
        if empty {
            let folder = Printable::new(&folder);
            state.notice = Some(Notice::failed(format!("there is no folder {folder} to load")));
        }
        return load_next(state).into_iter().collect();
    }
    let id = state.next_id();
    state.load = running(id, folder.clone(), Vec::new());
    if !state.loaded.contains(&folder) {
        state.loaded.push(folder.clone());
    }
    let hidden = state.hidden_at_once;
    vec![Effect::Send(Request::Load { id, folder, hidden })]
}

fn running(id: RequestId, folder: PathBuf, failed_before: Vec<FileProblem>) -> LoadState {
    let (progress, pace) = (LoadProgress::default(), Pace::default());
    LoadState::Running { id, folder, progress, pace, failed: Vec::new(), failed_before }
}

/// A folder that is watched is looked at, and may give nothing to do.
fn watching(state: &mut State, event: Event) -> Vec<Effect> {
    match event {
        Event::LoadPlanned(id, plan) => {
            let (_, failed) = last(&mut state.load);
            state.load = running(id, plan.folder, failed);
        }
        Event::Failed(_, failure) => {
            state.watch = false;
            state.load = LoadState::Failed(failure);
        }
        Event::Cancelled(_) => {
            let (progress, failed) = last(&mut state.load);
            // Of a watch that has not looked at anything there is nothing to say.
            state.load = if progress.walked {
                LoadState::Finished { progress, failed }
            } else {
                LoadState::Idle
            };
            return load_next(state).into_iter().collect();
        }
        _ => {}
    }
    Vec::new()
}

fn loading(state: &mut State, event: Event) -> Vec<Effect> {
    if let Event::Remarked(_, remark) = event {
        state.notice = Some(Notice::said(format!("{}; {}", remark.text, remark.hint)));
        return Vec::new();
    }
    let LoadState::Running { progress, pace, failed, failed_before, .. } = &mut state.load else {
        return watching(state, event);
    };
    match event {
        Event::LoadProgress(_, now) => {
            now.add_to(pace);
            *progress = now;
        }
        Event::PictureFailed(_, problem) => failed.push(problem),
        Event::FolderUpToDate(id, progress) => {
            let changed = progress.changed() > 0;
            let failed = std::mem::take(if changed { failed } else { failed_before });
            state.load = LoadState::Watching { id, progress, failed };
            let mut effects = loaded(state, changed);
            if !state.watch || !state.folders_to_load.is_empty() {
                effects.push(Effect::Send(Request::Cancel(id)));
            }
            return effects;
        }
        Event::LoadFinished(_, progress) => {
            let (changed, failed) = (progress.changed() > 0, std::mem::take(failed));
            state.hidden_at_once += progress.hidden;
            state.load = LoadState::Finished { progress, failed };
            return loaded(state, changed);
        }
        Event::Cancelled(_) => {
            let (progress, failed) = (std::mem::take(progress), std::mem::take(failed));
            state.load = LoadState::Stopped { progress, failed };
            // Whoever stops a load by hand wants no other one.
            let goes_on = state.watch;
            return goes_on.then(|| load_next(state)).flatten().into_iter().collect();
        }
        Event::Failed(_, failure) => {
            state.watch = false;
            state.load = LoadState::Failed(failure);
        }
        _ => {}
    }
    Vec::new()
}

/// What was found before may not be the best any more.
fn loaded(state: &mut State, changed: bool) -> Vec<Effect> {
    let mut effects = Vec::new();
    if !matches!(state.load, LoadState::Watching { .. }) {
        effects.extend(load_next(state));
    }
    if changed {
        effects.extend(search::search_again(state));
    }
    effects
}

/// A load that has ended elsewhere may have changed the collection.
pub(super) fn elsewhere(state: &mut State, event: Event) -> Vec<Effect> {
    let Event::LoadsElsewhere(_, loads) = event else { return Vec::new() };
    let ended = loads.len() < state.elsewhere.len();
    state.elsewhere = loads;
    if !ended {
        return Vec::new();
    }
    let id = state.next_id();
    state.counting = Some(id);
    let count = Effect::Send(Request::Status { id });
    search::search_again(state).into_iter().chain([count]).collect()
}

/// What the collection holds by now.
fn counted(state: &mut State, event: Event) -> Vec<Effect> {
    state.counting = None;
    if let (Event::StatusReported(_, now), BackendState::Ready(status)) =
        (event, &mut state.backend)
    {
        **status = now;
    }
    Vec::new()
}

pub(super) fn download(state: &mut State) -> Vec<Effect> {
    let offer = match (&state.download, &state.backend) {
        (DownloadState::Running(..), _) => return Vec::new(),
        (DownloadState::Offered(offer), _) => Some(offer.clone()),
        (_, BackendState::Ready(status)) => status.offer.clone(),
        _ => None,
    };
    let Some(offer) = offer else {
        if has_status(state) {
            state.notice = Some(Notice::said("there is no better model to download"));
        }
        return Vec::new();
    };
    let id = state.next_id();
    state.download = DownloadState::Running(id, offer.preset.clone(), PullProgress::default());
    vec![Effect::Send(Request::Pull { id, preset: offer.preset })]
}

fn pulling(state: &mut State, event: Event) -> Vec<Effect> {
    let DownloadState::Running(id, name, _) = &state.download else { return Vec::new() };
    match event {
        Event::PullProgress(_, progress) => {
            state.download = DownloadState::Running(*id, name.clone(), progress);
        }
        Event::Pulled(..) => {
            state.notice = Some(Notice::said(format!("{name} is here")));
            state.download = DownloadState::Idle;
            return vec![ask_status(state)];
        }
        Event::Cancelled(_) => {
            state.notice = Some(Notice::said(
                "the download is stopped; downloading again goes on where it stopped",
            ));
            state.download = DownloadState::Idle;
        }
        Event::Failed(_, failure) => state.download = DownloadState::Failed(failure),
        _ => state.download = DownloadState::Idle,
    }
    Vec::new()
}

/// Takes away what asks for attention; whether there was anything.
pub(super) fn dismiss(state: &mut State) -> bool {
    let open = matches!(state.download, DownloadState::Offered(_) | DownloadState::Failed(_));
    if open {
        state.download = DownloadState::Idle;
    }
    open
}

/// The download first, as it is the one that was asked for; while a database
/// is waited for, everything that waits for it.
pub(super) fn stop(state: &mut State) -> Vec<Effect> {
    let stopped = match state.waiting {
        Some(_) => waiting(state),
        None => under_way(state).into_iter().collect(),
    };
    if loading_id(&state.load).is_some_and(|id| stopped.contains(&id)) {
        state.watch = false;
    }
    if stopped.is_empty() {
        state.notice = Some(Notice::said("there is nothing to stop"));
    }
    stopped.into_iter().map(|id| Effect::Send(Request::Cancel(id))).collect()
}

/// All that needs the store just now.
fn waiting(state: &State) -> Vec<RequestId> {
    let opening = match state.backend {
        BackendState::Opening(id) => Some(id),
        _ => None,
    };
    let searching = state.search.waiting.as_ref().map(|asked| asked.request);
    [opening, searching, loading_id(&state.load)].into_iter().flatten().collect()
}

fn under_way(state: &State) -> Option<RequestId> {
    match &state.download {
        DownloadState::Running(id, ..) => Some(*id),
        _ => loading_id(&state.load),
    }
}

pub(super) fn pause(state: &mut State) -> Vec<Effect> {
    if let LoadState::Running { id, progress, .. } = &state.load {
        return vec![Effect::Send(Request::Pause { load: *id, paused: !progress.paused })];
    }
    state.notice = Some(Notice::said("there is no load to pause"));
    Vec::new()
}
