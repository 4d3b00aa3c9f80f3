//! The contract, told to a real database where one is named: Astra DB, or a
//! Data API of one's own in front of HCD, DSE or Cassandra. In a collection of
//! its own, which is gone in the end.
//!
//! `ASTRA_DB_API_ENDPOINT=… ASTRA_DB_APPLICATION_TOKEN=… cargo test`

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use carlens::domain::{Count, Embedding, Hit, ImageId, Record};
use carlens::secret::Secret;
use carlens::store::astra::{Address, DEFAULT_KEYSPACE, Database, Patience, Reading, Settings};
use carlens::store::{Error, Known, Listing, Page, Refused, VectorStore};

use super::scene::model;
use crate::store_contract::contract;

/// A replicated database may not find at once what was just stored.
struct Settling<S>(S);

/// Longer than replicas lag behind.
const SETTLED: Duration = Duration::from_secs(2);

#[async_trait]
impl<S: VectorStore> VectorStore for Settling<S> {
    async fn upsert(&self, records: Vec<Record>) -> Result<Vec<Refused>, Error> {
        let refused = self.0.upsert(records).await;
        tokio::time::sleep(SETTLED).await;
        refused
    }

    async fn delete(&self, ids: Vec<ImageId>) -> Result<usize, Error> {
        let deleted = self.0.delete(ids).await;
        tokio::time::sleep(SETTLED).await;
        deleted
    }

    async fn search_within(
        &self,
        query: Embedding,
        limit: usize,
        within: Option<&Path>,
    ) -> Result<Vec<Hit>, Error> {
        self.0.search_within(query, limit, within).await
    }

    async fn get(&self, ids: Vec<ImageId>) -> Result<Vec<Record>, Error> {
        self.0.get(ids).await
    }

    async fn known(&self, ids: Vec<ImageId>) -> Result<HashMap<ImageId, Known>, Error> {
        self.0.known(ids).await
    }

    async fn with_content(&self, hashes: Vec<[u8; 32]>) -> Result<Vec<Record>, Error> {
        self.0.with_content(hashes).await
    }

    async fn folders(&self) -> Result<Vec<PathBuf>, Error> {
        self.0.folders().await
    }

    async fn list(&self, page: Page) -> Result<Listing, Error> {
        self.0.list(page).await
    }

    async fn count(&self) -> Result<Count, Error> {
        self.0.count().await
    }
}

#[tokio::test]
async fn a_real_database_keeps_the_contract() {
    let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let (Some(endpoint), Some(token)) =
        (variable("ASTRA_DB_API_ENDPOINT"), variable("ASTRA_DB_APPLICATION_TOKEN"))
    else {
        return;
    };
    let keyspace = variable("ASTRA_DB_KEYSPACE").unwrap_or_else(|| DEFAULT_KEYSPACE.into());
    let collection = format!("carlens_contract_{}", std::process::id());
    let address = Address::new(&endpoint, &keyspace, &collection, Reading::default()).unwrap();
    let database = Database::new(Settings {
        address,
        token: Secret::new(&token).unwrap(),
        images: "/nowhere/images".into(),
        adopt: false,
        patience: Patience::default(),
    });
    let told = tokio::spawn({
        let database = database.clone();
        async move { contract(&Settling(database.create(&model()).await.unwrap())).await }
    });
    let told = told.await;
    database.remove_collection().await.unwrap();
    told.unwrap();
}
