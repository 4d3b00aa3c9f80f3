//! One collection's address and token: opens it, makes it where it is missing,
//! and says what is in it. A collection that exists is never changed.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::client::Client;
use super::command::{Command, Filter};
use super::document::{self, IMAGE_FOLDER, Names};
use super::origin::{self, Origin};
use super::patience::Patience;
use super::{Address, Astra, Error};
use crate::domain::{CollectionSpec, Count, FolderSummary, Place, SpaceSummary};
use crate::secret::Secret;
use crate::store;
use crate::store::wait::{Wait, Waits};

/// What it takes to use a collection behind the Data API.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it is.
    pub address: Address,
    /// What opens it.
    pub token: Secret,
    /// The folder of this machine that pictures without another one are in.
    pub images: PathBuf,
    /// Whether pictures whose model is not recorded are taken for those of the
    /// model in use.
    pub adopt: bool,
    /// How long to wait for answers.
    pub patience: Patience,
}

/// A collection behind the Data API. Clones share their connections.
#[derive(Clone)]
pub struct Database(Arc<Shared>);

struct Shared {
    settings: Settings,
    names: Names,
    waits: Arc<Waits>,
    client: OnceLock<Client>,
}

/// A collection as it was found.
struct Existing {
    /// Components per vector.
    dimension: usize,
    /// Whether it can be filtered by folder.
    indexes_folder: bool,
    origin: Option<Origin>,
}

impl Database {
    /// Nothing is sent before something is asked.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let images = &settings.images;
        let images = images.canonicalize().or_else(|_| std::path::absolute(images));
        let names = Names { images: images.unwrap_or_else(|_| settings.images.clone()).into() };
        let (waits, client) = (Arc::new(Waits::new()), OnceLock::new());
        Self(Arc::new(Shared { settings, names, waits, client }))
    }

    /// For people.
    #[must_use]
    pub fn place(&self) -> Place {
        self.0.settings.address.place()
    }

    /// What it waits for, while it does.
    #[must_use]
    pub fn waits(&self) -> watch::Receiver<Option<Wait>> {
        self.0.waits.watch()
    }

    /// Opens the collection for searching what the model in `spec` embedded.
    ///
    /// # Errors
    /// Among others [`store::Error::NoCollection`] and
    /// [`store::Error::OtherModel`]; [`Error`] for all that lies in between.
    pub async fn open(&self, spec: &CollectionSpec) -> Result<Astra, store::Error> {
        let existing = self.existing().await?;
        let existing =
            existing.ok_or_else(|| store::Error::NoCollection { place: self.place() })?;
        self.check_shape(&existing, spec)?;
        self.check_model(existing.origin.as_ref(), spec)?;
        Ok(self.astra(spec, existing.origin, existing.indexes_folder))
    }

    /// Opens it for loading as well; makes it if it is missing.
    ///
    /// # Errors
    /// As [`Database::open`], and [`Error::UnknownOrigin`] if it holds
    /// pictures of a model that is not recorded.
    pub async fn create(&self, spec: &CollectionSpec) -> Result<Astra, store::Error> {
        let mut existing = self.existing().await?;
        if existing.is_none() {
            self.make(spec).await?;
            existing = self.existing().await?;
        }
        let existing = existing.ok_or_else(|| Error::Lost { place: self.place() })?;
        self.check_shape(&existing, spec)?;
        let origin = match existing.origin {
            Some(origin) => origin,
            None => self.record_origin(spec).await?,
        };
        self.check_model(Some(&origin), spec)?;
        let adopted = origin.adopted;
        let astra = self.astra(spec, Some(origin), existing.indexes_folder);
        if adopted {
            astra.learn_foreign().await?;
        }
        Ok(astra)
    }

    /// What it holds: one entry, or none if there is no collection.
    ///
    /// # Errors
    /// If it cannot be asked.
    pub async fn spaces(&self) -> Result<Vec<SpaceSummary>, store::Error> {
        let Some(Existing { dimension, origin, .. }) = self.existing().await? else {
            return Ok(Vec::new());
        };
        let pictures = count(self.client()?, origin.is_some()).await?;
        let (model, folders) = match origin {
            Some(origin) => (Some(origin.model), origin.folders),
            None => (None, vec![IMAGE_FOLDER.into()]),
        };
        let folders = folders.into_iter().map(|folder| self.folder_summary(folder)).collect();
        Ok(vec![SpaceSummary { model, dimension, pictures, hidden: 0, folders, bytes: None }])
    }

    /// Removes the collection with everything in it.
    ///
    /// # Errors
    /// If it cannot be removed. One that is not there is no error.
    pub async fn remove_collection(&self) -> Result<(), store::Error> {
        let client = self.client()?;
        client.send(&Command::delete_collection(client.address.collection())).await?;
        Ok(())
    }

    pub(super) fn client(&self) -> Result<&Client, Error> {
        let Shared { settings, waits, client, .. } = &*self.0;
        if let Some(client) = client.get() {
            return Ok(client);
        }
        let Settings { address, token, patience, .. } = settings.clone();
        let made = Client::new(address, token, patience, Arc::clone(waits))?;
        Ok(client.get_or_init(|| made))
    }

    fn folder_summary(&self, folder: PathBuf) -> FolderSummary {
        let path = match folder {
            folder if folder == Path::new(IMAGE_FOLDER) => self.0.names.images.to_path_buf(),
            folder => folder,
        };
        FolderSummary { here: path.is_dir(), path, pictures: None }
    }

    fn astra(&self, spec: &CollectionSpec, origin: Option<Origin>, indexes_folder: bool) -> Astra {
        let recorded = origin.is_some();
        // Other programs name no folder.
        let ours = origin.as_ref().is_some_and(|origin| !origin.adopted);
        let folders = origin.map(|origin| origin.folders).unwrap_or_default();
        let folders: HashSet<OsString> = folders.into_iter().map(PathBuf::into_os_string).collect();
        Astra {
            database: self.clone(),
            spec: spec.clone(),
            recorded,
            filters_by_folder: ours && indexes_folder,
            names: self.0.names.clone(),
            foreign: Mutex::default(),
            folders: Mutex::new(folders),
            sample: Mutex::default(),
        }
    }

    /// The collection, if it is there.
    async fn existing(&self) -> Result<Option<Existing>, store::Error> {
        let client = self.client()?;
        let reply = client.send(&Command::find_collections()).await?;
        let name = client.address.collection();
        let collections = reply.status.get("collections").and_then(Value::as_array);
        let is_ours = |collection: &&Value| collection.get("name").is_some_and(|n| n == name);
        let Some(found) = collections.and_then(|all| all.iter().find(is_ours)) else {
            return Ok(None);
        };
        let dimension = self.dimension_of(found)?;
        let indexes_folder = indexes(found, document::FOLDER);
        Ok(Some(Existing { dimension, indexes_folder, origin: self.origin().await? }))
    }

    /// Components per vector of a collection whose vectors are compared by
    /// cosine.
    fn dimension_of(&self, collection: &Value) -> Result<usize, Error> {
        let vector = collection.pointer("/options/vector");
        let dimension = vector.and_then(|v| v.get("dimension")?.as_u64());
        let metric = vector.and_then(|v| v.get("metric")?.as_str()).unwrap_or("cosine");
        match dimension {
            Some(dimension) if metric == "cosine" => {
                Ok(usize::try_from(dimension).unwrap_or(usize::MAX))
            }
            Some(_) => Err(self.other_shape(&format!("vectors compared by {metric}"))),
            None => Err(self.other_shape("documents without vectors")),
        }
    }

    fn other_shape(&self, found: &str) -> Error {
        let needed = "vectors compared by cosine".into();
        Error::OtherShape { place: self.place(), found: found.into(), needed }
    }

    fn check_shape(&self, existing: &Existing, spec: &CollectionSpec) -> Result<(), Error> {
        if existing.dimension == spec.dimension {
            return Ok(());
        }
        let vectors = |dimension| format!("vectors of {dimension} components");
        let (found, needed) = (vectors(existing.dimension), vectors(spec.dimension));
        Err(Error::OtherShape { place: self.place(), found, needed })
    }

    fn check_model(
        &self,
        origin: Option<&Origin>,
        spec: &CollectionSpec,
    ) -> Result<(), store::Error> {
        match origin {
            Some(origin) if origin.model != spec.model => Err(store::Error::OtherModel {
                place: self.place(),
                wanted: spec.model.clone(),
                held: vec![origin.model.clone()],
            }),
            _ => Ok(()),
        }
    }

    /// What the collection says of its model.
    async fn origin(&self) -> Result<Option<Origin>, store::Error> {
        let reply = self.client()?.send(&Command::find_one(origin::KEY)).await?;
        match reply.data.get("document").filter(|document| !document.is_null()) {
            None => Ok(None),
            Some(document) => match Origin::read(document) {
                origin::Reading::Origin(origin) => Ok(Some(origin)),
                origin::Reading::Foreign => Ok(None),
                origin::Reading::Newer(format) => {
                    Err(Error::Newer { place: self.place(), format }.into())
                }
            },
        }
    }

    /// Makes the collection. Its fields are indexed only where they are
    /// filtered by: an index costs every insertion, and a database has room
    /// for so many.
    async fn make(&self, spec: &CollectionSpec) -> Result<(), Error> {
        let client = self.client()?;
        let indexing = json!({ "allow": ["text", document::FOLDER] });
        let make =
            Command::create_collection(client.address.collection(), spec.dimension, &indexing);
        match client.send(&make).await {
            // Somebody else was first; what they made will be looked at.
            Err(Error::Refused { code, .. })
                if code == "EXISTING_COLLECTION_DIFFERENT_SETTINGS" =>
            {
                Ok(())
            }
            made => made.map(drop),
        }
    }

    /// Records the model in use as the one of the collection, unless there are
    /// pictures of which nobody knows.
    async fn record_origin(&self, spec: &CollectionSpec) -> Result<Origin, store::Error> {
        let client = self.client()?;
        let adopt = self.0.settings.adopt;
        let adopted = count(client, false).await?.pictures > 0;
        // Another process may have been first, between two of our questions.
        if let (true, Some(origin)) = (adopted, self.origin().await?) {
            return Ok(origin);
        }
        if adopted && !adopt {
            let (place, model) = (self.place(), spec.model.clone());
            return Err(Error::UnknownOrigin { place, model }.into());
        }
        match client.send(&Command::insert_one(&Origin::document(spec, adopted))).await {
            Ok(_) => {}
            // Another process was first.
            Err(Error::Refused { code, .. }) if code == "DOCUMENT_ALREADY_EXISTS" => {}
            Err(error) => return Err(error.into()),
        }
        let lost = || Error::Lost { place: self.place() };
        self.origin().await?.ok_or_else(|| lost().into())
    }
}

impl Astra {
    /// Learns under which ids another program has stored pictures, so that
    /// they are replaced where they are and not stored again beside.
    async fn learn_foreign(&self) -> Result<(), Error> {
        for document in self.find(Filter::All, document::projection()).await? {
            self.found(document);
        }
        Ok(())
    }
}

/// Whether a collection, as the server describes it, can be filtered by the
/// field at `path`: all are indexed, unless it says which are or are not.
fn indexes(collection: &Value, path: &str) -> bool {
    let listed = |list: &str| {
        let paths = collection.pointer(&format!("/options/indexing/{list}"))?.as_array()?;
        let covers = |listed: &str| {
            listed == "*" || listed == path || path.starts_with(&format!("{listed}."))
        };
        Some(paths.iter().filter_map(Value::as_str).any(covers))
    };
    listed("allow").unwrap_or(true) && !listed("deny").unwrap_or(false)
}

/// How many pictures there are. A server counts up to a thousand; for more it
/// has an estimate, which may lag behind.
pub(super) async fn count(client: &Client, recorded: bool) -> Result<Count, Error> {
    let number = |reply: &super::reply::Reply| {
        reply.status.get("count").and_then(Value::as_u64).unwrap_or(0)
    };
    let counted = client.send(&Command::count()).await?;
    let exact = counted.status.get("moreData").and_then(Value::as_bool) != Some(true);
    // The document that records the model is none of them.
    let pictures = number(&counted).saturating_sub(u64::from(recorded));
    if exact {
        return Ok(Count::exactly(pictures));
    }
    let estimated = number(&client.send(&Command::estimated_count()).await?);
    // The estimate of a young collection may be anything, even none.
    Ok(if estimated > pictures { Count::about(estimated) } else { Count::over(pictures) })
}
