//! Where the events of one request go.

use tokio::sync::mpsc;

use super::message::{Event, RequestId};

/// Tells the front end how a request gets on.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    id: RequestId,
    events: mpsc::Sender<Event>,
}

impl Reporter {
    pub(super) fn new(id: RequestId, events: mpsc::Sender<Event>) -> Self {
        Self { id, events }
    }

    /// `event` makes one of the request's id and what there is to tell. A front
    /// end that has left no longer needs to hear.
    pub(super) async fn report<T>(&self, event: fn(RequestId, T) -> Event, what: T) {
        let _ = self.events.send(event(self.id, what)).await;
    }
}
