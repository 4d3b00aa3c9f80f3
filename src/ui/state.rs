//! Everything on screen, as data.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;

use ratatui::layout::Size;
use tui_input::Input;

use super::gallery::Gallery;
use super::key::Key;
use super::keymap::Keymap;
use super::theme::Theme;
use crate::backend::{
    Answer, Failure, LoadElsewhere, LoadProgress, ModelProgress, Offer, PullProgress, Query,
    Remark, RequestId, Status, Wait,
};
use crate::domain::{FileProblem, Hit, ImageId};
use crate::pace::Pace;

/// What the user has set.
#[derive(Clone, Debug, Default)]
pub struct Preferences {
    /// Hits per search.
    pub limit: usize,
    /// The folder to load into an empty collection.
    pub images: PathBuf,
    /// Which key does what.
    pub keymap: Keymap,
    /// Colours.
    pub theme: Theme,
    /// Whether the mouse is carlens' at first.
    pub mouse: bool,
    /// Whether folders are watched from the start.
    pub watch: bool,
    /// What `~` stands for.
    pub home: Option<PathBuf>,
}

/// The whole of the UI's state.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct State {
    /// What the user has set.
    pub preferences: Preferences,
    /// What is typed in the query pane.
    pub query: Input,
    /// Where keys go.
    pub focus: Focus,
    /// What is open over the panes.
    pub overlay: Option<Overlay>,
    /// The result pane.
    pub search: SearchState,
    /// How the result pane is laid out.
    pub layout: LayoutState,
    /// The pictures the user has put aside.
    pub marked: BTreeSet<ImageId>,
    /// The load view.
    pub load: LoadState,
    /// Loads of other processes.
    pub elsewhere: Vec<LoadElsewhere>,
    /// The tower that a load or a search waits for.
    pub model: Option<(RequestId, ModelProgress)>,
    /// What the database is waited for, and by whom.
    pub waiting: Option<(RequestId, Wait)>,
    /// The download of a model.
    pub download: DownloadState,
    /// Which model and collection are in use.
    pub backend: BackendState,
    /// Earlier queries, oldest first.
    pub history: History,
    /// Something said in passing, until the next key.
    pub notice: Option<Notice>,
    /// How pictures are drawn, for the status line.
    pub graphics: String,
    /// Whether the download was offered on an earlier day.
    pub offered_before: bool,
    /// Whether the terminal is at the other end of a network.
    pub remote: bool,
    pub(super) gallery: Gallery,
    pub(super) pressed: Vec<Key>,
    pub(super) screen: Size,
    pub(super) cell: (u16, u16),
    pub(super) mouse: bool,
    pub(super) edits: u64,
    pub(super) exporting: Option<RequestId>,
    /// Tells of the loads of other processes.
    pub(super) following: Option<RequestId>,
    /// Tells what the collection holds after one of them.
    pub(super) counting: Option<RequestId>,
    /// Whether folders are to be watched, once they are loaded.
    pub(super) watch: bool,
    /// Folders that were loaded.
    pub(super) loaded: Vec<PathBuf>,
    /// What was remarked last, which is said once.
    pub(super) remarked: Option<Remark>,
    pub(super) folders_to_load: VecDeque<PathBuf>,
    /// How many pictures were hidden since the first of these was loaded.
    pub(super) hidden_at_once: usize,
    pub(super) printed_at_exit: Vec<PathBuf>,
    pub(super) last_id: u64,
}

/// Where keys go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Focus {
    /// Letters are typed.
    #[default]
    Query,
    /// Letters are commands.
    Results,
}

/// What is open over the panes.
#[derive(Debug)]
pub enum Overlay {
    /// The keys, scrolled down by so many lines.
    Help(u16),
    /// The load view in full, scrolled down by so many failed files.
    Load(u16),
    /// Earlier queries to choose from.
    History {
        /// Only those with this in them.
        filter: Input,
        /// Counted from the newest.
        selected: usize,
    },
    /// Where to copy pictures to.
    Export {
        /// The folder.
        folder: Input,
        /// What is copied.
        pictures: Vec<PathBuf>,
    },
}

/// How the result pane is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayoutState {
    /// Thumbnails rather than a list.
    pub grid: bool,
    /// The large picture alone.
    pub zoomed: bool,
}

/// Something said in passing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What.
    pub text: String,
    /// Whether something went wrong.
    pub error: bool,
}

/// Earlier queries, and where in them one is.
#[derive(Debug, Default)]
pub struct History {
    /// Oldest first.
    pub queries: Vec<String>,
    /// How far back Up has gone, and what was typed before.
    pub(super) place: Option<(usize, String)>,
}

/// What is known of the backend.
#[derive(Debug, Default)]
pub enum BackendState {
    /// Nothing yet; the answer to this request will tell.
    #[default]
    Unasked,
    /// Waiting for this answer.
    Opening(RequestId),
    /// It works.
    Ready(Box<Status>),
    /// It does not.
    Failed(Failure),
}

/// What the result pane shows. The answer to the last query stays until the
/// next one is here.
#[derive(Debug, Default)]
pub struct SearchState {
    /// The question that still lacks its answer.
    pub waiting: Option<Asked>,
    /// The last answer.
    pub answered: Answered,
    /// The results before it, the latest last.
    pub(super) before: Vec<Results>,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The request that asks it.
    pub request: RequestId,
    /// What is asked.
    pub query: Query,
    /// What was typed to ask it.
    pub typed: String,
    /// Whether it was asked in earnest, or while typing.
    pub submitted: bool,
}

/// The last answer to a search.
#[derive(Debug, Default)]
pub enum Answered {
    /// Nothing asked yet.
    #[default]
    Nothing,
    /// Hits, best first; there may be none.
    Hits(Results),
    /// It failed.
    Failed(Failure),
}

/// An answer, and where in it one is.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    /// What was asked.
    pub asked: Asked,
    /// The answer.
    pub answer: Answer,
    /// Which hit is highlighted.
    pub selected: usize,
}

/// What the load view shows.
#[derive(Debug, Default)]
pub enum LoadState {
    /// No load asked for.
    #[default]
    Idle,
    /// Under way.
    Running {
        /// Whose events to take.
        id: RequestId,
        /// Which folder.
        folder: PathBuf,
        /// How far it is.
        progress: LoadProgress,
        /// How fast it has been going lately.
        pace: Pace,
        /// What could not be embedded so far.
        failed: Vec<FileProblem>,
        /// What could not be embedded when a watched folder last changed.
        failed_before: Vec<FileProblem>,
    },
    /// Up to date with folders that are watched.
    Watching {
        /// Whose events to take.
        id: RequestId,
        /// The count of the last change.
        progress: LoadProgress,
        /// What could not be embedded then.
        failed: Vec<FileProblem>,
    },
    /// Complete.
    Finished {
        /// The final count.
        progress: LoadProgress,
        /// What could not be embedded.
        failed: Vec<FileProblem>,
    },
    /// Stopped by the user.
    Stopped {
        /// How far it got.
        progress: LoadProgress,
        /// What could not be embedded.
        failed: Vec<FileProblem>,
    },
    /// It failed.
    Failed(Failure),
}

/// What the download line shows.
#[derive(Debug, Default)]
pub enum DownloadState {
    /// Nothing to offer.
    #[default]
    Idle,
    /// A better model could be had.
    Offered(Offer),
    /// Under way.
    Running(RequestId, String, PullProgress),
    /// It failed.
    Failed(Failure),
}

impl Notice {
    pub(super) fn said(text: impl Into<String>) -> Self {
        Self { text: text.into(), error: false }
    }

    pub(super) fn failed(text: impl Into<String>) -> Self {
        Self { text: text.into(), error: true }
    }
}

impl LoadState {
    /// What could not be embedded.
    #[must_use]
    pub fn failed(&self) -> &[FileProblem] {
        match self {
            Self::Running { failed, .. }
            | Self::Watching { failed, .. }
            | Self::Finished { failed, .. }
            | Self::Stopped { failed, .. } => failed,
            Self::Idle | Self::Failed(_) => &[],
        }
    }
}

impl State {
    /// The state of an application that has just been opened.
    #[must_use]
    pub fn new(preferences: Preferences, history: Vec<String>, offered_before: bool) -> Self {
        Self {
            mouse: preferences.mouse,
            watch: preferences.watch,
            preferences,
            history: History { queries: history, place: None },
            offered_before,
            ..Self::default()
        }
    }

    /// The results on screen.
    #[must_use]
    pub fn results(&self) -> Option<&Results> {
        match &self.search.answered {
            Answered::Hits(results) => Some(results),
            _ => None,
        }
    }

    /// The selected hit.
    #[must_use]
    pub fn selected(&self) -> Option<&Hit> {
        self.results().and_then(|results| results.answer.hits.get(results.selected))
    }

    /// The paths to print once the screen is gone.
    #[must_use]
    pub fn printed_at_exit(&self) -> &[PathBuf] {
        &self.printed_at_exit
    }

    /// Whether a request still lacks its final event.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.search.waiting.is_some()
            || self.exporting.is_some()
            || self.gallery.is_waiting()
            || matches!(self.backend, BackendState::Opening(_))
            || matches!(self.load, LoadState::Running { .. })
            || matches!(self.download, DownloadState::Running(..))
    }

    pub(super) fn next_id(&mut self) -> RequestId {
        next(&mut self.last_id)
    }
}

/// Apart from the state, for when the rest of it is borrowed.
pub(super) fn next(last_id: &mut u64) -> RequestId {
    *last_id += 1;
    RequestId(*last_id)
}
