//! Parcels on their way into the store: as many at a time as it likes.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::stages::{Stage, Stopwatches};
use crate::domain::{ImageId, Record};
use crate::store::{self, Refused, VectorStore, Wait};

/// The parcels under way.
pub(super) struct Storing {
    pub(super) store: Arc<dyn VectorStore>,
    watches: Arc<Stopwatches>,
    under_way: JoinSet<Result<Stored, store::Error>>,
}

/// What is stored together.
pub(super) struct Parcel {
    /// Pictures whose file was written again with the same content.
    pub(super) touched: Vec<Record>,
    /// Pictures whose content was known by another name.
    pub(super) recognised: Vec<Record>,
    /// Pictures that were embedded.
    pub(super) fresh: Vec<Record>,
    /// Hidden pictures whose file is back.
    pub(super) returned: Vec<ImageId>,
}

/// What became of a parcel.
pub(super) struct Stored {
    /// Pictures whose file was written again with the same content.
    pub(super) touched: Vec<ImageId>,
    /// Pictures whose content was known by another name.
    pub(super) recognised: Vec<ImageId>,
    /// Pictures that were embedded.
    pub(super) fresh: Vec<ImageId>,
    /// Hidden pictures whose file is back.
    pub(super) returned: Vec<ImageId>,
    /// Those of the first three that the store did not take.
    pub(super) refused: Vec<Refused>,
}

impl Parcel {
    pub(super) fn is_empty(&self) -> bool {
        let Self { touched, recognised, fresh, returned } = self;
        touched.is_empty() && recognised.is_empty() && fresh.is_empty() && returned.is_empty()
    }
}

impl Storing {
    pub(super) fn new(store: Arc<dyn VectorStore>, watches: Arc<Stopwatches>) -> Self {
        Self { store, watches, under_way: JoinSet::new() }
    }

    pub(super) fn is_full(&self) -> bool {
        self.under_way.len() >= self.store.upserts_in_flight()
    }

    pub(super) fn start(&mut self, parcel: Parcel) {
        let (store, watches) = (Arc::clone(&self.store), Arc::clone(&self.watches));
        let parcel = Self::put_away(store, parcel);
        self.under_way.spawn(async move { watches.time_all(Stage::Storing, parcel).await });
    }

    async fn put_away(store: Arc<dyn VectorStore>, parcel: Parcel) -> Result<Stored, store::Error> {
        let Parcel { touched, recognised, fresh, returned } = parcel;
        let ids = |records: &[Record]| records.iter().map(|r| r.id.clone()).collect::<Vec<_>>();
        let stored = [&touched, &recognised, &fresh].map(|records| ids(records));
        let records = [touched, recognised, fresh].concat();
        let refused = if records.is_empty() { Vec::new() } else { store.upsert(records).await? };
        if !returned.is_empty() {
            store.show(returned.clone()).await?;
        }
        let [touched, recognised, fresh] = stored;
        Ok(Stored { touched, recognised, fresh, returned, refused })
    }

    /// The next parcel that has come to an end, or `None` if none is under way.
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
