//! Collections by any bytes.

use std::fs;
use std::future::Future;
use std::path::Path;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::domain::{
    CollectionSpec, Embedding, FileStamp, Fingerprint, ImageId, ModelId, PixelSize, Record,
    SpaceSummary,
};
use crate::store::embedded::{self, Embedded};
use crate::store::{Findings, Page, VectorStore};

/// Larger embeddings are not compared: they would be ours, not the file's.
const MOST_COMPONENTS: usize = 1024;

/// A file of these bytes lies where a collection is expected.
pub fn collection(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("cars.db");
    fs::write(&path, bytes).expect("a temporary file");
    use_in_every_way(&path);
    let is_foreign = bytes.get(68..72) != Some(b"cLns") && !bytes.is_empty();
    if is_foreign {
        assert!(fs::read(&path).is_ok_and(|left| left == bytes), "a foreign file was written to");
        let files = folder.path().read_dir().map(Iterator::count);
        assert!(files.is_ok_and(|files| files == 1), "a foreign file got company");
    }
}

/// Everything that is done with a collection, on whatever lies at `path`.
pub(super) fn use_in_every_way(path: &Path) {
    wait_for(async {
        let before = fs::read(path).expect("it was written");
        let specs = specs(&embedded::spaces(path).await.unwrap_or_default());
        for spec in &specs {
            if let Ok(store) = Embedded::open(path, spec).await {
                read(&store, spec.dimension).await;
            }
        }
        let token = CancellationToken::new();
        let _ = embedded::check(path, &token, |_, _| {}).await;
        assert!(fs::read(path).is_ok_and(|after| after == before), "reading has changed the file");
        for spec in specs.iter().chain([&spec()]) {
            if let Ok(store) = Embedded::create(path, spec).await {
                read(&store, spec.dimension).await;
                write(&store, spec.dimension).await;
                read(&store, spec.dimension).await;
            }
        }
        if embedded::repair(path, &token, |_, _| {}).await.is_ok() {
            let left = embedded::check(path, &token, |_, _| {}).await;
            assert!(left.as_ref().is_ok_and(Findings::is_clean), "not mended: {left:?}");
        }
    });
}

/// What the model of each space may ask for.
fn specs(spaces: &[SpaceSummary]) -> Vec<CollectionSpec> {
    let spec = |space: &SpaceSummary| {
        let dimension = space.dimension;
        let model = space.model.clone()?;
        (dimension <= MOST_COMPONENTS).then_some(CollectionSpec { model, dimension })
    };
    spaces.iter().filter_map(spec).take(2).collect()
}

async fn read(store: &Embedded, dimension: usize) {
    let mut ids = vec![record(1, 1).id];
    let mut page = Some(Page::default());
    for _ in 0..3 {
        let Some(asked) = page.take() else { break };
        let Ok(listing) = store.list(asked).await else { break };
        ids.extend(listing.pictures.into_iter().map(|picture| picture.id));
        page = listing.next;
    }
    let _ = store.count().await;
    let _ = store.known(ids.clone()).await;
    for found in store.get(ids).await.unwrap_or_default() {
        assert_eq!(found.embedding.dimension(), dimension);
    }
    for within in [None, Some(Path::new("/cars"))] {
        let Some(query) = embedding(2, dimension) else { continue };
        let hits = store.search_within(query, 3, within).await.unwrap_or_default();
        assert!(hits.len() <= 3, "more than was asked for");
        assert!(hits.is_sorted_by(|a, b| a.similarity >= b.similarity), "not the best first");
        let is_within = |hit: &crate::domain::Hit| {
            within.is_none_or(|within| hit.id.location().starts_with(within))
        };
        assert!(hits.iter().all(is_within), "from elsewhere");
    }
}

async fn write(store: &Embedded, dimension: usize) {
    if dimension > 0 {
        let records = vec![record(1, dimension), record(2, dimension)];
        let _ = store.upsert(records).await;
    }
    let _ = store.delete(vec![record(2, 1).id]).await;
    store.optimize().await;
}

/// The model of the collections that the seeds begin with.
pub(super) fn spec() -> CollectionSpec {
    let model = ModelId { name: "tiny".into(), fingerprint: Fingerprint([7; 32]) };
    CollectionSpec { model, dimension: 3 }
}

/// Picture number `n`.
pub(super) fn record(n: u8, dimension: usize) -> Record {
    Record {
        id: ImageId::new(Path::new("/cars"), Path::new(&format!("{n}.jpg"))),
        embedding: embedding(n, dimension).expect("a direction"),
        stamp: Some(FileStamp { size: 1, modified: -2, hash: [n; 32] }),
        pixels: Some(PixelSize { width: 4, height: 3 }),
    }
}

fn embedding(seed: u8, dimension: usize) -> Option<Embedding> {
    let component = |n: usize| if n % 3 == usize::from(seed) % 3 { 1.0 } else { -0.25 };
    Embedding::normalize((0..dimension).map(component).collect())
}

/// The outcome of `work`; a store never blocks the executor, so it needs one.
pub(super) fn wait_for<T>(work: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = || Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    RUNTIME.get_or_init(runtime).block_on(work)
}
