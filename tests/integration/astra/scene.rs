//! A database, and a way to use it.

use std::path::PathBuf;
use std::time::Duration;

use carlens::domain::{CollectionSpec, Service};
use carlens::secret::Secret;
use carlens::store::astra::{Address, Database, Patience, Reading, Settings};

use crate::data_api_stub::{DataApiStub, TOKEN};
use crate::store_samples::spec;

pub const COLLECTION: &str = "car_images";

/// As patient as the real one in numbers of attempts, but faster.
pub fn patience() -> Patience {
    Patience {
        answer: Duration::from_secs(20),
        attempts: 4,
        limited: 6,
        pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(4),
        resume_pause: Duration::from_millis(5),
        resume: Duration::from_secs(10),
        ..Patience::default()
    }
}

/// A database with nothing in it.
pub struct Scene {
    pub stub: DataApiStub,
    pub images: PathBuf,
}

impl Scene {
    pub async fn new() -> Self {
        Self { stub: DataApiStub::serve().await, images: "/nowhere/images".into() }
    }

    pub fn settings(&self) -> Settings {
        self.settings_with(TOKEN, Reading { service: Some(Service::Astra), plain_http: false })
    }

    pub fn settings_with(&self, token: &str, reading: Reading) -> Settings {
        let address = Address::new(&self.stub.endpoint(), "default_keyspace", COLLECTION, reading);
        Settings {
            address: address.unwrap(),
            token: Secret::new(token).unwrap(),
            images: self.images.clone(),
            adopt: false,
            patience: patience(),
        }
    }

    pub fn database(&self) -> Database {
        Database::new(self.settings())
    }

    /// The names of the commands that were sent.
    pub fn commands(&self) -> Vec<String> {
        self.stub.requests().into_iter().map(|request| request.command).collect()
    }
}

/// A model whose embeddings have four components.
pub fn model() -> CollectionSpec {
    spec("a", 4)
}

/// The file names of what is in the collection, sorted.
pub fn texts(stub: &DataApiStub) -> Vec<String> {
    let documents = stub.documents(COLLECTION).into_iter();
    let mut texts: Vec<String> =
        documents.filter_map(|d| Some(d.get("text")?.as_str()?.to_owned())).collect();
    texts.sort();
    texts
}
