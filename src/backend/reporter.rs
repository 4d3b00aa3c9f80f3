//! Where the events of one request go.

use std::pin::pin;

use tokio::sync::{mpsc, watch};

use super::message::{Event, RequestId};
use crate::store::Wait;

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

    /// The same of what may be left out: a front end too busy to take it will
    /// take the next.
    pub(super) fn report_if_free<T>(&self, event: fn(RequestId, T) -> Event, what: T) {
        let _ = self.events.try_send(event(self.id, what));
    }

    /// Does `work`, telling of what the store waits for meanwhile.
    pub(super) async fn while_waiting<T>(
        self,
        waits: Option<watch::Receiver<Option<Wait>>>,
        work: impl Future<Output = T>,
    ) -> T {
        let Some(mut waits) = waits else { return work.await };
        let (mut work, mut told) = (pin!(work), false);
        loop {
            tokio::select! {
                done = &mut work => {
                    if told {
                        self.report(Event::Waiting, None).await;
                    }
                    return done;
                }
                Ok(()) = waits.changed() => {
                    let wait = waits.borrow_and_update().clone();
                    told = wait.is_some();
                    self.report(Event::Waiting, wait).await;
                }
            }
        }
    }
}
