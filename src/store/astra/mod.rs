//! The collection in `DataStax` Astra DB, or in a database of one's own behind
//! the Data API, as in `DataStax`'s article: shared by everybody who has the
//! token.
//!
//! One collection holds the pictures of one model, so that whoever else
//! searches it (the article's app) finds what belongs together. The model is
//! recorded in the collection itself; one that somebody else has filled says
//! nothing of the kind, and is searched with a warning.
//!
//! ```text
//! database   one collection's address and token: opens, makes, describes it
//! document   a picture as a document        origin  the model, as a document
//! command    what is sent                   reply   what comes back
//! client     asks until there is an answer: patience, pace
//! bulk       stores many documents
//! ```
//!
//! The wire format and its limits are those of the Data API, v1
//! (<https://docs.datastax.com/en/astra-db-serverless/api-reference/overview.html>).

mod address;
mod bulk;
mod client;
mod command;
mod database;
mod document;
mod error;
mod origin;
mod pace;
mod patience;
mod reply;
mod vector;

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

pub use self::address::{Address, DEFAULT_KEYSPACE, Reading};
use self::client::Client;
use self::command::{Command, Filter, MOST_HITS, MOST_IDS};
pub use self::database::{Database, Settings};
use self::document::{Found, Names};
pub use self::error::Error;
pub use self::patience::Patience;
use super::spread::Spread;
use super::{Known, Listed, Listing, Page, Refused, VectorStore};
use crate::domain::{CollectionSpec, Count, Embedding, Hit, ImageId, Record, Similarity};

/// How many documents show how far a hit stands out. Their order in the
/// database is that of a hash, so the first ones are as good as any; with so
/// many the mean is known to a fourteenth of a standard deviation.
const SAMPLE: usize = 200;

/// Lookups under way at a time.
const LOOKUPS: usize = 4;

/// The pictures of one model in a collection behind the Data API.
pub struct Astra {
    database: Database,
    spec: CollectionSpec,
    /// Whether the collection says that they are this model's.
    recorded: bool,
    /// Whether every picture has a folder that the database can filter by.
    filters_by_folder: bool,
    names: Names,
    /// The `_id`s of pictures that another program stored under its own.
    foreign: Mutex<HashMap<ImageId, Value>>,
    /// Folders that the collection knows of.
    folders: Mutex<HashSet<OsString>>,
    sample: Mutex<Option<Arc<Vec<Embedding>>>>,
}

impl Astra {
    fn client(&self) -> Result<&Client, Error> {
        self.database.client()
    }

    fn check_dimension(&self, embedding: &Embedding) -> Result<(), super::Error> {
        let (expected, actual) = (self.spec.dimension, embedding.dimension());
        if expected == actual { Ok(()) } else { Err(super::Error::Dimension { expected, actual }) }
    }

    /// The `_id` that the picture has or would have.
    fn key(&self, id: &ImageId) -> Value {
        let foreign = lock(&self.foreign).get(id).cloned();
        foreign.unwrap_or_else(|| json!(self.names.key(id)))
    }

    /// What a document is about; one of another program's is remembered.
    fn found(&self, document: Value) -> Option<Found> {
        let found = self.names.found(document)?;
        if found.foreign {
            lock(&self.foreign).insert(found.id.clone(), found.key.clone());
        }
        Some(found)
    }

    /// All documents of `filter`, page by page.
    async fn find(&self, filter: Filter, projection: Value) -> Result<Vec<Value>, Error> {
        let (mut documents, mut page) = (Vec::new(), None);
        loop {
            let find = Command::find_page(&filter, &projection, page.as_deref());
            let mut reply = self.client()?.send(&find).await?;
            documents.extend(reply.documents());
            page = reply.next_page();
            if page.is_none() {
                return Ok(documents);
            }
        }
    }

    /// What is there of `ids`, by id.
    async fn look_up(
        &self,
        ids: &[ImageId],
        projection: &Value,
    ) -> Result<HashMap<ImageId, Found>, Error> {
        let wanted: HashMap<String, &ImageId> =
            ids.iter().map(|id| (self.key(id).to_string(), id)).collect();
        let keys: Vec<Value> = ids.iter().map(|id| self.key(id)).collect();
        let finds = keys
            .chunks(MOST_IDS)
            .map(|keys| self.find(Filter::Ids(keys.to_vec()), projection.clone()))
            .collect::<Vec<_>>();
        let documents: Vec<Value> =
            stream::iter(finds).buffer_unordered(LOOKUPS).try_concat().await?;
        let found = documents.into_iter().filter_map(|document| self.names.found(document));
        Ok(found
            .filter_map(|found| Some(((*wanted.get(&found.key.to_string())?).clone(), found)))
            .collect())
    }

    /// Notes in the collection which folders it has pictures from.
    async fn note_folders(&self, records: &[Record]) -> Result<(), Error> {
        let of_records: HashSet<&Path> = records.iter().map(|record| record.id.folder()).collect();
        for folder in of_records {
            let name = self.names.folder(folder).to_owned();
            if lock(&self.folders).contains(&name) {
                continue;
            }
            let value = json!(name.to_string_lossy());
            let note = Command::add_to_set(origin::KEY, origin::FOLDERS, &value);
            self.client()?.send(&note).await?;
            lock(&self.folders).insert(name);
        }
        Ok(())
    }

    /// The nearest documents, best first, equal ones by id. Where the last of
    /// them has an equal that was left out, more are asked for.
    ///
    /// Pictures of other folders are left out by the database where it can,
    /// and else here.
    async fn nearest(
        &self,
        query: &Embedding,
        limit: usize,
        within: Option<&Path>,
    ) -> Result<Vec<Found>, Error> {
        let filter = within.and_then(|within| self.folder_filter(within)).unwrap_or(Filter::All);
        let mut asked = (limit + 1).min(MOST_HITS);
        loop {
            let projection = document::projection();
            let find = Command::find_nearest(&filter, query, &projection, asked);
            let documents = self.client()?.send(&find).await?.documents();
            let all_seen = documents.len() < asked;
            let is_within = |found: &Found| {
                within
                    .is_none_or(|within| self.here(found.id.clone()).location().starts_with(within))
            };
            let found = documents.into_iter().filter_map(|document| self.found(document));
            let nearest = ranked(found.filter(is_within).collect());
            let decided = nearest.len() > limit
                && similarity(&nearest[limit]) < similarity(&nearest[limit - 1]);
            let few = nearest.len() < limit && !all_seen;
            match within {
                Some(within) if few && asked == MOST_HITS => {
                    return self.nearest_of_folder(query, limit, within).await;
                }
                _ if all_seen || decided || asked == MOST_HITS => {
                    return Ok(nearest.into_iter().take(limit).collect());
                }
                _ => asked = (asked * 2).min(MOST_HITS),
            }
        }
    }

    /// The nearest pictures below `within`, where they are not among those that
    /// the database gives: compared here, one by one.
    async fn nearest_of_folder(
        &self,
        query: &Embedding,
        limit: usize,
        within: &Path,
    ) -> Result<Vec<Found>, Error> {
        let listed = self.find(Filter::All, document::projection()).await?;
        let ids: HashSet<ImageId> = listed
            .into_iter()
            .filter_map(|document| Some(self.found(document)?.id))
            .filter(|id| self.here(id.clone()).location().starts_with(within))
            .collect();
        let ids: Vec<ImageId> = ids.into_iter().collect();
        let found = self.look_up(&ids, &document::whole()).await?;
        let compared = found.into_values().filter_map(|found| {
            let embedding = Embedding::normalize(found.vector.clone()?)?;
            let same = embedding.dimension() == query.dimension();
            let cosine = f64::from(embedding.similarity(query).cosine());
            same.then(|| Found { similarity: Some(f64::midpoint(1.0, cosine)), ..found })
        });
        Ok(ranked(compared.collect()).into_iter().take(limit).collect())
    }

    /// What leaves exactly the pictures below `within`, if the database can
    /// filter by it: all of them have to name this folder, and no other above
    /// or below it.
    fn folder_filter(&self, within: &Path) -> Option<Filter> {
        let name = self.names.folder(within);
        let folders = lock(&self.folders);
        let place = |folder: &OsString| match Path::new(folder) {
            folder if folder == Path::new(document::IMAGE_FOLDER) => {
                self.names.images.to_path_buf()
            }
            folder => folder.to_path_buf(),
        };
        // Pictures below the image folder name that, whatever was loaded.
        let images = OsString::from(document::IMAGE_FOLDER);
        let apart = |other: &Path| !other.starts_with(within) && !within.starts_with(other);
        let only =
            folders.iter().chain([&images]).all(|folder| *folder == name || apart(&place(folder)));
        let usable = self.filters_by_folder && folders.contains(name) && only;
        let name = name.to_str().filter(|_| usable)?;
        Some(Filter::Equals(document::FOLDER, json!(name)))
    }

    /// Some embeddings of the collection; all, if there are only few.
    async fn sample(&self) -> Result<Arc<Vec<Embedding>>, Error> {
        if let Some(sample) = lock(&self.sample).clone() {
            return Ok(sample);
        }
        let (mut sample, mut page) = (Vec::new(), None);
        loop {
            let projection = json!({ "text": true, "$vector": true });
            let find = Command::find_page(&Filter::All, &projection, page.as_deref());
            let mut reply = self.client()?.send(&find).await?;
            let vectors = reply.documents();
            let vectors = vectors.iter().filter_map(|d| vector::components(d.get("$vector")?));
            sample.extend(vectors.filter_map(Embedding::normalize));
            page = reply.next_page();
            if page.is_none() || sample.len() >= SAMPLE {
                break;
            }
        }
        let sample = Arc::new(sample);
        *lock(&self.sample) = Some(Arc::clone(&sample));
        Ok(sample)
    }

    /// All that there is was the sample, and now there is something else.
    fn forget_small_sample(&self) {
        let mut sample = lock(&self.sample);
        if sample.as_ref().is_some_and(|sample| sample.len() < SAMPLE) {
            *sample = None;
        }
    }

    fn hit(&self, found: Found, spread: &Spread) -> Hit {
        let similarity = similarity(&found);
        Hit {
            id: self.here(found.id),
            similarity,
            standing: spread.standing(similarity),
            pixels: found.pixels,
            stamp: found.stamp,
        }
    }

    /// A picture of a folder that this machine does not have may be below its
    /// image folder.
    fn here(&self, id: ImageId) -> ImageId {
        let here = self.names.images.join(id.path());
        if !id.location().exists() && here.exists() {
            return ImageId::new(Arc::clone(&self.names.images), id.path());
        }
        id
    }
}

#[async_trait]
impl VectorStore for Astra {
    async fn upsert(&self, records: Vec<Record>) -> Result<Vec<Refused>, super::Error> {
        records.iter().try_for_each(|record| self.check_dimension(&record.embedding))?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let records = last_of_each(records);
        self.note_folders(&records).await?;
        let documents =
            records.iter().map(|record| self.names.document(record, &self.key(&record.id)));
        let not_taken = bulk::store(self.client()?, documents.collect()).await?;
        self.forget_small_sample();
        let refused = not_taken.into_iter().map(|not_taken| Refused {
            id: records[not_taken.number].id.clone(),
            reason: not_taken.reason,
        });
        Ok(refused.collect())
    }

    async fn delete(&self, ids: Vec<ImageId>) -> Result<usize, super::Error> {
        let keys: Vec<Value> = ids.iter().map(|id| self.key(id)).collect();
        let mut deleted = 0;
        for keys in keys.chunks(MOST_IDS) {
            let delete = Command::delete_many(keys.to_vec());
            loop {
                let reply = self.client()?.send_in_turn(&delete).await?;
                deleted += reply.status.get("deletedCount").and_then(Value::as_u64).unwrap_or(0);
                if reply.status.get("moreData").and_then(Value::as_bool) != Some(true) {
                    break;
                }
            }
        }
        let mut foreign = lock(&self.foreign);
        for id in &ids {
            foreign.remove(id);
        }
        drop(foreign);
        self.forget_small_sample();
        Ok(usize::try_from(deleted).unwrap_or(usize::MAX))
    }

    /// At most a thousand, as the Data API gives no more; by the database's
    /// index, which is approximate. Standings are estimated by a sample.
    async fn search_within(
        &self,
        query: Embedding,
        limit: usize,
        within: Option<&Path>,
    ) -> Result<Vec<Hit>, super::Error> {
        self.check_dimension(&query)?;
        let limit = limit.min(MOST_HITS);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let (nearest, sample) =
            tokio::try_join!(self.nearest(&query, limit, within), self.sample())?;
        let mut spread = Spread::default();
        spread.add(sample.iter().map(|other| other.similarity(&query).cosine()));
        Ok(nearest.into_iter().map(|found| self.hit(found, &spread)).collect())
    }

    async fn get(&self, ids: Vec<ImageId>) -> Result<Vec<Record>, super::Error> {
        let mut found = self.look_up(&ids, &document::whole()).await?;
        let record = |id: ImageId| {
            let found = found.remove(&id)?;
            let embedding = Embedding::normalize(found.vector?)?;
            let fits = embedding.dimension() == self.spec.dimension;
            let Found { stamp, pixels, .. } = found;
            fits.then_some(Record { id, embedding, stamp, pixels })
        };
        Ok(ids.into_iter().filter_map(record).collect())
    }

    async fn known(&self, ids: Vec<ImageId>) -> Result<HashMap<ImageId, Known>, super::Error> {
        let found = self.look_up(&ids, &document::projection()).await?;
        Ok(found.into_iter().map(|(id, found)| (id, found.known())).collect())
    }

    /// A database is asked for nothing by content: that would be a request
    /// more for every picture, and one that many collections have no index
    /// for.
    async fn with_content(&self, _hashes: Vec<[u8; 32]>) -> Result<Vec<Record>, super::Error> {
        Ok(Vec::new())
    }

    async fn folders(&self) -> Result<Vec<PathBuf>, super::Error> {
        let folders = lock(&self.folders);
        Ok(folders
            .iter()
            .map(|folder| self.names.folder_here(folder.into()).to_path_buf())
            .collect())
    }

    async fn list(&self, page: Page) -> Result<Listing, super::Error> {
        let find = Command::find_page(&Filter::All, &document::projection(), page.place());
        let mut reply = self.client()?.send(&find).await?;
        let documents = reply.documents().into_iter();
        let found = documents.filter_map(|document| self.found(document));
        let pictures = found.map(|found| Listed { known: found.known(), id: found.id }).collect();
        Ok(Listing { pictures, next: reply.next_page().map(Page::at) })
    }

    async fn count(&self) -> Result<Count, super::Error> {
        Ok(database::count(self.client()?, self.recorded).await?)
    }

    fn is_of_known_origin(&self) -> bool {
        self.recorded
    }

    fn upserts_in_flight(&self) -> usize {
        LOOKUPS
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The plain cosine from Astra's `(1 + cosine) / 2`.
fn similarity(found: &Found) -> Similarity {
    #[expect(clippy::cast_possible_truncation, reason = "the precision of a similarity")]
    let cosine = (found.similarity.unwrap_or(0.5) * 2.0 - 1.0) as f32;
    Similarity::from_cosine(cosine)
}

/// Best first, equal ones by id; a picture that was stored twice, by two
/// programs, once.
fn ranked(mut found: Vec<Found>) -> Vec<Found> {
    let cosine = |found: &Found| similarity(found).cosine();
    found.sort_by(|a, b| cosine(b).total_cmp(&cosine(a)).then_with(|| a.id.cmp(&b.id)));
    let mut seen = HashSet::new();
    found.retain(|found| seen.insert(found.id.clone()));
    found
}

/// A picture given twice is stored as it was given last, and once: within a
/// request the database takes either.
fn last_of_each(records: Vec<Record>) -> Vec<Record> {
    let last: HashMap<ImageId, usize> =
        records.iter().enumerate().map(|(n, record)| (record.id.clone(), n)).collect();
    let is_last = |(n, record): (usize, Record)| (last[&record.id] == n).then_some(record);
    records.into_iter().enumerate().filter_map(is_last).collect()
}
