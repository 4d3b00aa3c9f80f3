//! Batches on their way into the store: as many at a time as it likes.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::domain::{ImageId, Record};
use crate::store::{self, Refused, VectorStore, Wait};

/// The batches under way.
pub(super) struct Storing {
    pub(super) store: Arc<dyn VectorStore>,
    under_way: JoinSet<Result<Stored, store::Error>>,
}

/// What became of a batch.
pub(super) struct Stored {
    /// Pictures whose file was written again with the same content.
    pub(super) touched: Vec<ImageId>,
    /// Pictures that were embedded.
    pub(super) fresh: Vec<ImageId>,
    /// Those of both that the store did not take.
    pub(super) refused: Vec<Refused>,
}

impl Storing {
    pub(super) fn new(store: Arc<dyn VectorStore>) -> Self {
        Self { store, under_way: JoinSet::new() }
    }

    pub(super) fn is_full(&self) -> bool {
        self.under_way.len() >= self.store.upserts_in_flight()
    }

    pub(super) fn start(&mut self, touched: Vec<Record>, fresh: Vec<Record>) {
        let store = Arc::clone(&self.store);
        self.under_way.spawn(async move {
            let ids = |records: &[Record]| records.iter().map(|r| r.id.clone()).collect();
            let (ids_touched, ids_fresh) = (ids(&touched), ids(&fresh));
            let refused = store.upsert([touched, fresh].concat()).await?;
            Ok(Stored { touched: ids_touched, fresh: ids_fresh, refused })
        });
    }

    /// The next batch that has come to an end, or `None` if none is under way.
    pub(super) async fn next(&mut self) -> Option<Result<Stored, store::Error>> {
        match self.under_way.join_next().await? {
            Ok(stored) => Some(stored),
            Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
        }
    }

    /// The same; `None` also if the load is cancelled while the store waits
    /// for something that may take long. What was on its way is then stored
    /// or not, which the next load finds out.
    pub(super) async fn next_unless_waiting(
        &mut self,
        token: &CancellationToken,
        waits: Option<&watch::Receiver<Option<Wait>>>,
    ) -> Option<Result<Stored, store::Error>> {
        let waiting = async {
            token.cancelled().await;
            let Some(mut waits) = waits.cloned() else { return std::future::pending().await };
            // An error would mean that nothing will ever be waited for again.
            if waits.wait_for(Option::is_some).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            stored = self.next() => stored,
            () = waiting => None,
        }
    }
}
