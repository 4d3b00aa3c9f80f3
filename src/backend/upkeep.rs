//! What is done to the collection as a whole, and not for one model: alone
//! where it changes anything.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::message::Failure;
use super::reporter::Reporter;
use super::turn::Turn;
use crate::store::Collection;

/// One such task under way.
pub(super) struct Upkeep {
    pub(super) collection: Collection,
    /// Held by a load of this process.
    pub(super) loading: Arc<Mutex<()>>,
    pub(super) reporter: Reporter,
    pub(super) token: CancellationToken,
}

impl Upkeep {
    /// Waits until nobody else changes the collection, and does `work`, which
    /// looks at the token itself.
    pub(super) async fn alone<T>(
        &self,
        doing: &str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let collection = self.collection.on_this_machine();
        let turn = Turn::wait(collection, &self.loading, &self.reporter);
        let turn = self.token.run_until_cancelled(turn).await;
        let turn = turn.ok_or_else(|| Failure::because(doing, "it was stopped"))?;
        let _turn = turn.map_err(|e| Failure::new(doing, &e))?;
        work.await
    }

    /// The collection's file, or the reason why there is none.
    pub(super) fn file(&self, doing: &str, advice: &str) -> Result<&Path, Failure> {
        match &self.collection {
            Collection::Embedded(path) => Ok(path),
            Collection::Astra(..) => {
                let place = self.collection.place();
                let cause = format!("{place} is in a database, and this is for a file");
                Err(Failure::because(doing, cause).hint(advice))
            }
        }
    }
}
