//! Everything on screen, as data.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use image::DynamicImage;
use ratatui::layout::Size;
use tui_input::Input;

use super::graphics::Picture;
use crate::backend::{
    Answer, Failure, LoadProgress, Offer, PullProgress, Query, RequestId, Status,
};
use crate::domain::{FileProblem, Hit};

/// The whole of the UI's state.
#[derive(Debug, Default)]
pub struct State {
    /// What is typed in the query pane.
    pub query: Input,
    /// Where keys go.
    pub focus: Focus,
    /// Whether the keys are shown over everything.
    pub help: bool,
    /// The result pane's list.
    pub search: SearchState,
    /// The result pane's picture.
    pub picture: PictureState,
    /// The load view.
    pub load: LoadState,
    /// The download of a model.
    pub download: DownloadState,
    /// Which model and collection are in use.
    pub backend: BackendState,
    /// How pictures are drawn, for the status line.
    pub graphics: String,
    /// Hits per search.
    pub limit: usize,
    /// The folder to load into an empty collection.
    pub images: PathBuf,
    /// Whether the download was offered on an earlier day.
    pub offered_before: bool,
    pub(super) screen: Size,
    pub(super) folders_to_load: VecDeque<PathBuf>,
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

/// What the list shows. The answer to the last query stays until the next one
/// is here.
#[derive(Debug, Default)]
pub struct SearchState {
    /// The question that still lacks its answer.
    pub waiting: Option<(RequestId, Query)>,
    /// The last answer.
    pub answered: Answered,
}

/// The last answer to a search.
#[derive(Debug, Default)]
pub enum Answered {
    /// Nothing asked yet.
    #[default]
    Nothing,
    /// Hits, best first; there may be none.
    Hits {
        /// What was asked.
        query: Query,
        /// The answer.
        answer: Answer,
        /// Which hit is highlighted.
        selected: usize,
    },
    /// It failed.
    Failed(Failure),
}

/// The picture of the selected hit.
#[derive(Debug, Default)]
pub enum PictureState {
    /// No hit is selected.
    #[default]
    None,
    /// The file is being decoded.
    Decoding(RequestId),
    /// It is being turned into cells, or drawn already.
    Decoded {
        /// The request of the encoding under way.
        encoding: Option<RequestId>,
        /// The pixels.
        decoded: Arc<DynamicImage>,
        /// What is drawn.
        encoded: Option<Picture>,
    },
    /// It cannot be shown.
    Failed(String),
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
        /// How far it is.
        progress: LoadProgress,
        /// What could not be embedded so far.
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
    Stopped(LoadProgress),
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

impl State {
    /// The state of an application that has just been opened.
    #[must_use]
    pub fn new(graphics: String, limit: usize, images: PathBuf, offered_before: bool) -> Self {
        Self { graphics, limit, images, offered_before, ..Self::default() }
    }

    /// The selected hit.
    #[must_use]
    pub fn selected(&self) -> Option<&Hit> {
        match &self.search.answered {
            Answered::Hits { answer, selected, .. } => answer.hits.get(*selected),
            _ => None,
        }
    }

    /// Whether a request still lacks its final event.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.search.waiting.is_some()
            || matches!(self.backend, BackendState::Opening(_))
            || matches!(self.load, LoadState::Running { .. })
            || matches!(self.download, DownloadState::Running(..))
            || matches!(
                self.picture,
                PictureState::Decoding(_) | PictureState::Decoded { encoding: Some(_), .. }
            )
    }

    pub(super) fn next_id(&mut self) -> RequestId {
        self.last_id += 1;
        RequestId(self.last_id)
    }
}
