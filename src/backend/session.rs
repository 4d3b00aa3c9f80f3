//! The model in use and the space of the collection that belongs to it.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::identity::Identity;
use super::message::Failure;
use super::model::Model;
use super::workers::Workers;
use crate::clip::{Arithmetic, Preprocessor};
use crate::domain::CollectionSpec;
use crate::store::{self, Collection, VectorStore};

use super::choice::ModelChoice;
use crate::hub::Hub;

/// One model, its thread, and its space of the collection.
pub(super) struct Session {
    pub(super) spec: CollectionSpec,
    pub(super) model: Model,
    pub(super) preprocessor: Preprocessor,
    /// What pictures are decoded on.
    pub(super) workers: Workers,
    collection: Collection,
    opened: Mutex<Option<Opened>>,
}

/// A store, and whether it was opened for loading.
struct Opened {
    store: Arc<dyn VectorStore>,
    writable: bool,
    /// Of its file.
    identity: Option<Identity>,
}

impl Session {
    /// Opens the model; the store waits until it is needed.
    pub(super) async fn open(
        choice: ModelChoice,
        (arithmetic, workers): (Arithmetic, Workers),
        hub: Arc<Hub>,
        collection: Collection,
    ) -> Result<Self, Failure> {
        let checkpoint = spawn_blocking(move || choice.open(arithmetic, &hub))
            .await
            .map_err(|e| Failure::new("opening the model", &e))??;
        let spec = checkpoint.spec();
        let preprocessor = checkpoint.preprocessor().clone();
        let model = Model::spawn(checkpoint, workers)
            .map_err(|e| Failure::new("starting a thread for the model", &e))?;
        Ok(Self { spec, model, preprocessor, workers, collection, opened: Mutex::new(None) })
    }

    /// The store to search, which must exist.
    pub(super) async fn for_search(&self) -> Result<Arc<dyn VectorStore>, store::Error> {
        self.opened(false).await
    }

    /// The store to load into, which is made if it does not exist.
    pub(super) async fn for_load(&self) -> Result<Arc<dyn VectorStore>, store::Error> {
        self.opened(true).await
    }

    async fn opened(&self, writable: bool) -> Result<Arc<dyn VectorStore>, store::Error> {
        let mut opened = self.opened.lock().await;
        // One that was removed, or restored, is another one.
        let is_there = |opened: &&Opened| opened.identity == self.identity();
        let suits = |opened: &&Opened| opened.writable || !writable;
        if let Some(opened) = opened.as_ref().filter(is_there).filter(suits) {
            return Ok(Arc::clone(&opened.store));
        }
        let store = if writable {
            self.collection.create(&self.spec).await?
        } else {
            self.collection.open(&self.spec).await?
        };
        let identity = self.identity();
        *opened = Some(Opened { store: Arc::clone(&store), writable, identity });
        Ok(store)
    }

    /// Of the collection's file, if it is one.
    fn identity(&self) -> Option<Identity> {
        let Collection::Embedded(path) = &self.collection else { return None };
        Some(Identity::of(&std::fs::metadata(path).ok()?))
    }
}
