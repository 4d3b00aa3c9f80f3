//! Moving among the matches, and what can be done with them.

use std::path::{Path, PathBuf};

use tui_input::Input;

use super::failed;
use crate::backend::{Event, Request};
use crate::domain::Printable;
use crate::progress::counted;
use crate::ui::message::Effect;
use crate::ui::state::{Answered, Focus, Notice, Overlay, State};
use crate::ui::view::{self, Step};

/// Where pictures are copied to unless told otherwise.
const EXPORT_FOLDER: &str = "carlens-export";

/// Takes `step`, in whatever is open.
pub(super) fn go(state: &mut State, step: Step) {
    let most = match &state.overlay {
        Some(Overlay::Help(_)) => view::help_scroll(state),
        Some(Overlay::Load(_)) => view::load_scroll(state),
        _ => 0,
    };
    match &mut state.overlay {
        Some(Overlay::Help(scroll) | Overlay::Load(scroll)) => {
            *scroll = step.scrolled(*scroll, most);
        }
        Some(_) => {}
        None => select(state, step),
    }
}

fn select(state: &mut State, step: Step) {
    let layout = view::tiles(state);
    if let Answered::Hits(results) = &mut state.search.answered {
        let last = results.answer.hits.len().saturating_sub(1);
        results.selected = step.taken(results.selected, last, layout);
    }
}

/// Selects what is clicked; what is selected already is opened.
pub(super) fn click(state: &mut State, n: usize) -> Vec<Effect> {
    state.focus = Focus::Results;
    let again = state.results().is_some_and(|results| results.selected == n);
    if again {
        return open(state);
    }
    if let Answered::Hits(results) = &mut state.search.answered {
        results.selected = n;
    }
    Vec::new()
}

/// Over a network there is no viewer; then the path is what helps.
pub(super) fn open(state: &mut State) -> Vec<Effect> {
    let Some(path) = state.selected().map(|hit| hit.id.location()) else { return Vec::new() };
    if state.remote {
        state.notice = Some(Notice::said(format!("on this machine: {}", Printable::new(&path))));
        return Vec::new();
    }
    vec![Effect::Open(path)]
}

pub(super) fn opened(state: &mut State, path: &Path, outcome: Result<(), String>) {
    let path = Printable::new(path);
    state.notice = Some(match outcome {
        Ok(()) => Notice::said(format!("opened {path}")),
        Err(reason) => Notice::failed(format!("{path}: the viewer could not show it ({reason})")),
    });
}

pub(super) fn copy_path(state: &mut State) -> Vec<Effect> {
    let Some(path) = state.selected().map(|hit| hit.id.location()) else { return Vec::new() };
    state.notice = Some(Notice::said(format!("copied {}", Printable::new(&path))));
    vec![Effect::Copy(path.into_os_string().into_encoded_bytes())]
}

pub(super) fn copy_paths(state: &mut State) -> Vec<Effect> {
    let paths = if state.marked.is_empty() { all(state) } else { marked(state) };
    if paths.is_empty() {
        return Vec::new();
    }
    state.notice = Some(Notice::said(format!("copied {}", counted(paths.len(), "path"))));
    let lines: Vec<_> = paths.iter().map(|path| path.as_os_str().as_encoded_bytes()).collect();
    vec![Effect::Copy(lines.join(&b'\n'))]
}

fn all(state: &State) -> Vec<PathBuf> {
    let hits = state.results().into_iter().flat_map(|results| &results.answer.hits);
    hits.map(|hit| hit.id.location()).collect()
}

fn marked(state: &State) -> Vec<PathBuf> {
    state.marked.iter().map(crate::domain::ImageId::location).collect()
}

/// The next one is then under the cursor, to be marked as well.
pub(super) fn mark(state: &mut State) {
    let Some(id) = state.selected().map(|hit| hit.id.clone()) else { return };
    if !state.marked.remove(&id) {
        state.marked.insert(id);
    }
    select(state, Step::Right);
}

pub(super) fn ask_where_to_export(state: &mut State) {
    let mut pictures = marked(state);
    if pictures.is_empty() {
        pictures.extend(state.selected().map(|hit| hit.id.location()));
    }
    if !pictures.is_empty() {
        let folder = Input::from(EXPORT_FOLDER);
        state.overlay = Some(Overlay::Export { folder, pictures });
    }
}

/// Copies `pictures` to `folder`; without one, prints their paths at the end.
pub(super) fn export(state: &mut State, folder: &str, pictures: Vec<PathBuf>) -> Vec<Effect> {
    if folder.is_empty() {
        let told = format!("{} will be printed when you quit", counted(pictures.len(), "path"));
        state.notice = Some(Notice::said(told));
        state.printed_at_exit = pictures;
        return Vec::new();
    }
    let folder = match (folder.strip_prefix("~/"), &state.preferences.home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(folder),
    };
    let id = state.next_id();
    state.exporting = Some(id);
    state.notice = Some(Notice::said(format!("copying {} …", counted(pictures.len(), "picture"))));
    vec![Effect::Send(Request::Export { id, pictures, folder })]
}

pub(super) fn exported(state: &mut State, event: Event) {
    state.exporting = None;
    state.notice = match event {
        Event::Exported(_, exported) => {
            let folder = Printable::new(&exported.folder);
            let copied = counted(exported.copied, "picture");
            Some(match exported.failed.first() {
                None => Notice::said(format!("copied {copied} to {folder}")),
                Some(problem) => Notice::failed(format!(
                    "copied {copied} to {folder}, but not {}: {} {}",
                    exported.failed.len(),
                    Printable::new(&problem.path),
                    problem.reason,
                )),
            })
        }
        Event::Failed(_, failure) => Some(failed(&failure)),
        _ => None,
    };
}
