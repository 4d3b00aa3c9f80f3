//! How fast the embedded collection inserts, opens and searches, beside the
//! plain way to do the same with the libraries at hand.
//!
//! `cargo bench --bench store [-- ROWS…]`; 10,000 and 100,000 rows of 512
//! dimensions unless told. Peers: for inserting, one SQLite table with one
//! blob per row and the same promise to survive a power cut; for searching,
//! candle's product of an f32 matrix in memory with the query, and a partial
//! sort; for opening and the first search, both of these.
//!
//! A search can be no faster than its embeddings are read: beside it stands how
//! fast this machine reads as many bytes when it only adds them up. These three
//! are timed in turn, in seven rounds of all queries each: what is printed are
//! medians of the rounds' medians, and of their ratios; a round that other
//! programs disturbed is taken again. Recall is the share of the ten pictures that
//! the f32 product finds.

#![expect(clippy::unwrap_used, reason = "a benchmark has nobody to report to")]
#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use carlens::domain::{Embedding, Hit, ImageId, Record};
use carlens::store::{Embedded, VectorStore as _};
use rusqlite::{Connection, params};

#[path = "../integration/store_samples.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod samples;

mod rounds;

use rounds::{median, quiet_rounds, ratio};

const DIMENSION: usize = 512;
/// Pictures of a batch, which are stored in one transaction.
const BATCH: usize = 100;
const SEARCHES: u64 = 200;
const ROUNDS: usize = 7;
const LIMIT: usize = 10;

fn main() {
    let rows: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let rows = if rows.is_empty() { vec![10_000, 100_000] } else { rows };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for rows in rows {
        println!("{rows} rows of {DIMENSION} dimensions");
        let folder = tempfile::tempdir().unwrap();
        let records: Vec<Record> = (0..rows).map(record).collect();
        let queries: Vec<Embedding> =
            (0..SEARCHES).map(|n| samples::random_embedding(u64::MAX - n, DIMENSION)).collect();
        let plain = insert_plainly(&folder.path().join("plain.db"), &records);
        let place = folder.path().join("collection.db");
        let (store, ours) = runtime.block_on(insert(&place, &records));
        print_insert("carlens", ours, rows, plain);
        print_insert("SQLite", plain, rows, plain);
        runtime.block_on(store.optimize());
        drop(store);
        drop(records);
        let (matrix, plain) = open_plainly(&folder.path().join("plain.db"), &queries[0]);
        let (store, ours) = runtime.block_on(open(&place, &queries[0]));
        print_open("carlens, from its matrix", ours, plain);
        drop(store);
        remove_matrices(folder.path());
        let (store, ours) = runtime.block_on(open(&place, &queries[0]));
        print_open("carlens, from SQLite", ours, plain);
        print_open("SQLite, candle f32", plain, plain);
        let search =
            |query: &Embedding| runtime.block_on(store.search(query.clone(), LIMIT)).unwrap();
        let exact: Vec<_> = queries.iter().map(|query| search_plainly(&matrix, query)).collect();
        let found: Vec<_> = queries.iter().map(search).collect();
        let words = vec![1u64; rows * DIMENSION * 2 / size_of::<u64>()];
        let mut all = [const { Vec::new() }; 3];
        let rounds = quiet_rounds(ROUNDS, || {
            let plain = |query| seconds(|| search_plainly(&matrix, query));
            let ours = |query| seconds(|| search(query));
            let round = [
                queries.iter().map(ours).collect::<Vec<f64>>(),
                queries.iter().map(plain).collect(),
                queries.iter().map(|_| read(&words).as_secs_f64()).collect(),
            ];
            all.iter_mut().zip(&round).for_each(|(all, times)| all.extend_from_slice(times));
            round.iter().map(|times| median(times)).collect()
        });
        let [ours, plain, reading] = &rounds[..] else { unreachable!("three are timed") };
        print_search("carlens", ours, &all[0], plain);
        print_search("candle f32", plain, &all[1], plain);
        println!("  recall@{LIMIT} {:.4}", recall(&exact, &found));
        print_reading(size_of_val(&words[..]), reading, ours);
    }
}

fn id(n: usize) -> ImageId {
    samples::id(format!("folder {}/car {n:07}.jpg", n % 100))
}

fn record(n: usize) -> Record {
    samples::record(id(n), samples::random_embedding(n as u64, DIMENSION))
}

async fn insert(place: &Path, records: &[Record]) -> (Embedded, Duration) {
    let store = Embedded::create(place, &samples::spec("bench", DIMENSION)).await.unwrap();
    let begun = Instant::now();
    for batch in records.chunks(BATCH) {
        store.upsert(batch.to_vec()).await.unwrap();
    }
    (store, begun.elapsed())
}

fn insert_plainly(place: &Path, records: &[Record]) -> Duration {
    let mut connection = Connection::open(place).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    connection
        .execute_batch("CREATE TABLE image (path TEXT PRIMARY KEY, embedding BLOB) STRICT")
        .unwrap();
    let begun = Instant::now();
    for batch in records.chunks(BATCH) {
        let transaction = connection.transaction().unwrap();
        for record in batch {
            let path = record.id.path().to_string_lossy();
            let bytes: Vec<u8> =
                record.embedding.as_slice().iter().flat_map(|x| x.to_le_bytes()).collect();
            transaction
                .prepare_cached("INSERT INTO image VALUES (?1, ?2)")
                .and_then(|mut insert| insert.execute(params![path, bytes]))
                .unwrap();
        }
        transaction.commit().unwrap();
    }
    begun.elapsed()
}

/// As if the collection had come alone, from a backup or another machine.
fn remove_matrices(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "matrix") {
            std::fs::remove_file(path).unwrap();
        }
    }
}

/// Opens the collection and answers the first query.
async fn open(place: &Path, query: &Embedding) -> (Embedded, Duration) {
    let begun = Instant::now();
    let store = Embedded::open(place, &samples::spec("bench", DIMENSION)).await.unwrap();
    assert_eq!(store.search(query.clone(), LIMIT).await.unwrap().len(), LIMIT);
    (store, begun.elapsed())
}

/// Reads all embeddings, a row each, and answers the first query.
fn open_plainly(place: &Path, query: &Embedding) -> (Tensor, Duration) {
    let begun = Instant::now();
    let connection = Connection::open(place).unwrap();
    let mut select = connection.prepare("SELECT embedding FROM image").unwrap();
    let mut rows = select.query([]).unwrap();
    let (mut all, mut count) = (Vec::new(), 0);
    while let Some(row) = rows.next().unwrap() {
        let bytes = row.get_ref(0).unwrap().as_blob().unwrap();
        all.extend(bytes.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)));
        count += 1;
    }
    let matrix = Tensor::from_vec(all, (count, DIMENSION), &Device::Cpu).unwrap();
    assert_eq!(search_plainly(&matrix, query).len(), LIMIT);
    (matrix, begun.elapsed())
}

/// The numbers of the rows that are found.
fn search_plainly(matrix: &Tensor, query: &Embedding) -> Vec<usize> {
    let query = Tensor::from_slice(query.as_slice(), (DIMENSION, 1), &Device::Cpu).unwrap();
    let cosines = matrix.matmul(&query).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let mut order: Vec<usize> = (0..cosines.len()).collect();
    order.select_nth_unstable_by(LIMIT, |a, b| cosines[*b].total_cmp(&cosines[*a]));
    order.truncate(LIMIT);
    order.sort_by(|a, b| cosines[*b].total_cmp(&cosines[*a]));
    order
}

/// Of the rows that were to be found, the share that was.
fn recall(exact: &[Vec<usize>], found: &[Vec<Hit>]) -> f64 {
    let is_found = |hits: &[Hit], row: usize| hits.iter().any(|hit| hit.id == id(row));
    let pairs = exact.iter().zip(found);
    let all = pairs.flat_map(|(rows, hits)| rows.iter().map(|&row| is_found(hits, row)));
    let found: Vec<f64> = all.map(|is_found| f64::from(u8::from(is_found))).collect();
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let count = found.len() as f64;
    found.iter().sum::<f64>() / count
}

/// How long all cores take to read `words`.
fn read(words: &[u64]) -> Duration {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let share = words.len().div_ceil(cores);
    // Threads that are there already, as starting them is no reading.
    let ready = Barrier::new(cores);
    let sum = |part: &[u64]| {
        ready.wait();
        let begun = Instant::now();
        black_box(part.iter().fold(0u64, |sum, word| sum.wrapping_add(*word)));
        begun.elapsed()
    };
    thread::scope(|scope| {
        let parts: Vec<_> = words.chunks(share).map(|part| scope.spawn(|| sum(part))).collect();
        parts.into_iter().map(|part| part.join().unwrap()).max().unwrap()
    })
}

fn seconds<T>(work: impl FnOnce() -> T) -> f64 {
    let begun = Instant::now();
    black_box(work());
    begun.elapsed().as_secs_f64()
}

/// `rounds` are medians of one round each, `all` every single time.
fn print_search(name: &str, rounds: &[f64], all: &[f64], peer: &[f64]) {
    let mut all = all.to_vec();
    all.sort_by(f64::total_cmp);
    println!(
        "  search {name:<12} p50 {:>8.2} ms   p99 {:>8.2} ms   {:>6.2} x the peer's p50",
        median(rounds) * 1e3,
        all[(all.len() - 1) * 99 / 100] * 1e3,
        ratio(rounds, peer),
    );
}

/// How fast as many bytes as a search reads are read by all cores, and which
/// part of that a search reaches.
fn print_reading(bytes: usize, reading: &[f64], search: &[f64]) {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 bytes")]
    let speed = bytes as f64 / median(reading) / 1e9;
    println!(
        "  reading as many bytes: {:.2} ms, {speed:.1} GB/s with all cores; a search reaches {:.0} %",
        median(reading) * 1e3,
        100.0 * ratio(reading, search),
    );
}

fn print_insert(name: &str, took: Duration, rows: usize, peer: Duration) {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 rows")]
    let rate = rows as f64 / took.as_secs_f64();
    let ratio = took.as_secs_f64() / peer.as_secs_f64();
    println!("  insert {name:<12} {rate:>12.0} rows/s {ratio:>29.2} x the peer's time");
}

fn print_open(name: &str, took: Duration, peer: Duration) {
    println!(
        "  open and search once, {name:<25} {:>10.2} ms {:>8.3} x the peer's time",
        milliseconds(took),
        took.as_secs_f64() / peer.as_secs_f64(),
    );
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
