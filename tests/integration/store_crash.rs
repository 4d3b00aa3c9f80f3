//! Processes that are killed while they load, and those that search
//! meanwhile.
//!
//! The loading process is this test binary itself, started again to run one
//! ignored test.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use carlens::domain::{ImageId, Record};
use carlens::store::{Embedded, VectorStore};

use crate::store_samples::{Random, assert_exact, id, random_embedding, record, spec};

const DIMENSION: usize = 16;

/// Pictures per batch: seven batches make a matrix worth saving.
const BATCH: u64 = 600;

/// What the loading process says before the number of a batch.
const STORED: &str = "stored batch ";

fn batch(number: u64) -> Vec<Record> {
    let picture = |i: u64| record(id(i.to_string()), random_embedding(i, DIMENSION));
    (number * BATCH..(number + 1) * BATCH).map(picture).collect()
}

#[tokio::test]
#[ignore = "not a test: the process that the others start and kill"]
async fn load_without_end() {
    let path = std::env::var_os("CARLENS_TEST_COLLECTION").expect("started by another test");
    let store = Embedded::create(Path::new(&path), &spec("a", DIMENSION)).await.unwrap();
    for number in store.count().await.unwrap().pictures / BATCH.. {
        store.upsert(batch(number)).await.unwrap();
        writeln!(std::io::stdout(), "{STORED}{number}").unwrap();
        store.optimize().await;
    }
}

/// A process loading into a collection, killed when dropped.
struct Loader {
    process: Child,
    says: BufReader<ChildStdout>,
}

impl Loader {
    fn start(collection: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store_crash::load_without_end", "--ignored", "--nocapture"])
            .env("CARLENS_TEST_COLLECTION", collection)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(process.stdout.take().unwrap());
        Self { process, says }
    }

    /// The number of the next batch that it says is stored, or `None` when it
    /// has ended.
    fn stored(&mut self) -> Option<u64> {
        let mut line = String::new();
        while self.says.read_line(&mut line).unwrap() > 0 {
            if let Some((_, number)) = line.split_once(STORED)
                && number.ends_with('\n')
            {
                return Some(number.trim().parse().unwrap());
            }
            line.clear();
        }
        None
    }

    /// Kills it with SIGKILL; returns the last batch it ever acknowledged.
    fn kill(mut self, mut last: Option<u64>) -> Option<u64> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        while let Some(number) = self.stored() {
            last = Some(number);
        }
        last
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        // Nothing to kill if the test got as far as killing it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn assert_intact(collection: &Path) {
    let connection = rusqlite::Connection::open(collection).unwrap();
    let verdict: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

#[tokio::test]
async fn a_killed_load_loses_at_most_the_batch_in_hand() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cars.db");
    let mut random = Random(0x00c0_ffee);
    let (mut batches, mut cut_saves) = (0, 0);
    for _ in 0..24 {
        let mut loader = Loader::start(&path);
        let mut last = None;
        for _ in 0..=random.below(9) {
            last = Some(loader.stored().expect("a batch"));
        }
        // Anywhere in the next batch, or in saving the matrix.
        std::thread::sleep(Duration::from_micros(random.below(40_000)));
        last = loader.kill(last);

        cut_saves += u32::from(unfinished_save(folder.path()));
        let store = Embedded::open(&path, &spec("a", DIMENSION)).await.unwrap();
        let count = store.count().await.unwrap().pictures;
        assert_eq!(count % BATCH, 0, "whole batches only");
        batches = count / BATCH;
        assert!(last.is_some_and(|last| batches == last + 1 || batches == last + 2));
        assert_searches(&store, batches).await;
        drop(store);
        assert_intact(&path);
    }
    assert_everything_is_there(&path, batches).await;
    writeln!(std::io::stderr(), "{batches} batches, {cut_saves} kills left a matrix half saved")
        .unwrap();
}

fn unfinished_save(folder: &Path) -> bool {
    let mut names = folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name());
    names.any(|name| name.as_encoded_bytes().ends_with(b".tmp"))
}

/// A new process would see the same: the collection was opened after the kill.
async fn assert_searches(store: &Embedded, batches: u64) {
    let all: Vec<Record> = (0..batches).flat_map(batch).collect();
    for query in 0..2 {
        let query = random_embedding(u64::MAX / 2 + query + batches, DIMENSION);
        assert_exact(&store.search(query.clone(), 25).await.unwrap(), &query, &all, 25);
    }
}

async fn assert_everything_is_there(path: &Path, batches: u64) {
    let store = Embedded::open(path, &spec("a", DIMENSION)).await.unwrap();
    for number in 0..batches {
        let expected = batch(number);
        let ids: Vec<ImageId> = expected.iter().map(|record| record.id.clone()).collect();
        let records = store.get(ids).await.unwrap();
        assert_eq!(records.len(), expected.len());
        for (stored, expected) in records.iter().zip(&expected) {
            assert_eq!((&stored.id, stored.stamp), (&expected.id, expected.stamp));
            assert!(stored.embedding.similarity(&expected.embedding).cosine() > 0.999_99);
        }
    }
    // And exactly once: every hit another picture.
    let query = random_embedding(1, DIMENSION);
    let hits = store.search(query, usize::MAX).await.unwrap();
    let ids: std::collections::HashSet<_> = hits.iter().map(|hit| &hit.id).collect();
    assert_eq!((hits.len() as u64, ids.len() as u64), (batches * BATCH, batches * BATCH));
    let matrices = path.parent().unwrap().read_dir().unwrap().filter(|entry| {
        entry.as_ref().unwrap().path().extension().is_some_and(|ending| ending == "matrix")
    });
    assert_eq!(matrices.count(), 1, "the matrix was saved in between");
}

#[tokio::test]
async fn a_second_process_searches_while_one_loads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cars.db");
    let mut loader = Loader::start(&path);
    loader.stored().expect("a batch");
    let store = Embedded::open(&path, &spec("a", DIMENSION)).await.unwrap();
    let (mut counted, mut found, mut looks) = (0, 0, 0);
    let deadline = Instant::now() + Duration::from_mins(1);
    while found < 12 * BATCH {
        let count = store.count().await.unwrap().pictures;
        let hits = store.search(random_embedding(5, DIMENSION), usize::MAX).await.unwrap();
        let hits = hits.len() as u64;
        assert!(count >= counted && count >= found, "{count} after {counted} and {found}");
        assert!(hits >= count, "a search sees what was counted before");
        assert_eq!((count % BATCH, hits % BATCH), (0, 0), "whole batches only");
        (counted, found, looks) = (count, hits, looks + 1);
        assert!(Instant::now() < deadline, "the loader stands still at {found}");
    }
    loader.kill(None);
    assert!(looks > 2);
}

#[tokio::test]
async fn a_deleted_picture_disappears_for_a_second_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cars.db");
    let writer = Embedded::create(&path, &spec("a", DIMENSION)).await.unwrap();
    let mut all = batch(0);
    writer.upsert(all.clone()).await.unwrap();
    let reader = Embedded::open(&path, &spec("a", DIMENSION)).await.unwrap();
    let query = random_embedding(5, DIMENSION);
    assert_exact(&reader.search(query.clone(), 9).await.unwrap(), &query, &all, 9);
    let gone = reader.search(query.clone(), 5).await.unwrap();
    let gone: Vec<ImageId> = gone.into_iter().map(|hit| hit.id).collect();
    all.retain(|record| !gone.contains(&record.id));
    assert_eq!(writer.delete(gone).await.unwrap(), 5);
    assert_exact(&reader.search(query.clone(), 9).await.unwrap(), &query, &all, 9);
}

#[tokio::test]
async fn a_search_waits_for_no_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cars.db");
    let store = Embedded::create(&path, &spec("a", DIMENSION)).await.unwrap();
    store.upsert(batch(0)).await.unwrap();
    let theirs = rusqlite::Connection::open(&path).unwrap();
    theirs.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.upsert(batch(1)).await }
    });
    let hits = store.search(random_embedding(5, DIMENSION), usize::MAX).await.unwrap();
    assert_eq!(hits.len() as u64, BATCH);
    theirs.execute_batch("COMMIT").unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(store.count().await.unwrap().pictures, 2 * BATCH);
}
