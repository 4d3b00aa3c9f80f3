//! Owns the model and the store; the only way to either is a [`Request`].
//!
//! One async task takes requests and reports events: exactly one final event
//! for each request, whatever happens. A newer search supersedes an older
//! one; a load goes on beside searches and keeps what it has stored when it
//! is cancelled. CPU-bound work has threads of its own (`model`), files are
//! read on the runtime's blocking threads.

mod actor;
mod allowance;
mod backup;
mod batches;
mod check;
mod choice;
mod copy;
mod decoding;
mod elsewhere;
mod encoding;
mod export;
mod failure;
mod gone;
mod identity;
mod listing;
mod load;
mod message;
mod model;
mod preparing;
mod reading;
mod relocate;
mod reporter;
mod roots;
mod search;
mod session;
mod stages;
mod storing;
mod stray;
mod thumbnail;
mod turn;
mod upkeep;
mod walk;
mod watch;
mod watching;
mod web;
mod workers;

use std::num::NonZero;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub use choice::ModelChoice;
pub use message::{
    Answer, CheckProgress, Checked, Copied, CopyHow, CopyProgress, Ended, Event, Exported, Failure,
    LoadElsewhere, LoadPlan, LoadProgress, ModelEntry, ModelProgress, Offer, Prune, PullProgress,
    Query, Remark, Replacement, Request, RequestId, StageTimes, Status, Thumbnail, Verification,
};
pub use workers::Priority;

pub use crate::clip::{Arithmetic, Instructions, Precision, Tower};
use crate::hub::Hub;
pub use crate::store::{
    BackedUp, Collection, Fault, Findings, Found, Mended, Relocated, Restored, Wait, WaitReason,
};

/// How many messages may wait in either direction.
const CHANNEL_CAPACITY: usize = 64;

/// What the backend works with.
#[derive(Debug)]
pub struct Settings {
    /// Which model.
    pub model: ModelChoice,
    /// How its towers are computed.
    pub arithmetic: Arithmetic,
    /// On how many threads pictures are decoded, and embedded; as many as there
    /// are cores, if nothing is said.
    pub threads: Option<NonZero<usize>>,
    /// What those threads take where others work too.
    pub priority: Priority,
    /// Where models of the Hugging Face hub are.
    pub hub: Hub,
    /// Which collection.
    pub collection: Collection,
}

/// A running backend. [`Backend::shutdown`] stops it after the batch in hand.
#[derive(Debug)]
pub struct Backend {
    requests: mpsc::Sender<Request>,
    events: mpsc::Receiver<Event>,
    task: JoinHandle<()>,
}

impl Backend {
    /// Starts the backend task on the current runtime. Nothing is opened
    /// before the first request.
    #[must_use]
    pub fn spawn(settings: Settings) -> Self {
        let (requests, inbox) = mpsc::channel(CHANNEL_CAPACITY);
        let (outbox, events) = mpsc::channel(CHANNEL_CAPACITY);
        let task = tokio::spawn(actor::Actor::new(settings, outbox).run(inbox));
        Self { requests, events, task }
    }

    /// Hands over a request. Its answers come from [`Backend::next_event`].
    pub async fn send(&self, request: Request) {
        // The task only ends once `self` is gone, so this cannot fail.
        let _ = self.requests.send(request).await;
    }

    /// The next event, or `None` once the task has ended.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Stops accepting work and waits for what is under way to be put safe.
    pub async fn shutdown(self) {
        drop(self.requests);
        drop(self.events);
        // A panic in there has been reported already.
        let _ = self.task.await;
    }
}
