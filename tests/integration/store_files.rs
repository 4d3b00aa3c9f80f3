//! Files that are not as they should be, and disks that refuse: always a
//! clear error, and nothing lost.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use carlens::domain::{Embedding, Record};
use carlens::store::{Embedded, Error, VectorStore, embedded};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::small_disk::SmallDisk;
use crate::store_samples::{assert_exact, id, random_embedding, record, spec};

const DIMENSION: usize = 32;

/// A folder with a place for a collection in it.
struct Place {
    folder: TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cars.db");
    Place { folder, path }
}

fn records(count: u64) -> Vec<Record> {
    let picture = |i: u64| record(id(i.to_string()), random_embedding(i, DIMENSION));
    (0..count).map(picture).collect()
}

fn query() -> Embedding {
    random_embedding(123_456, DIMENSION)
}

async fn create(path: &Path) -> Result<Embedded, Error> {
    Embedded::create(path, &spec("a", DIMENSION)).await
}

async fn open(path: &Path) -> Result<Embedded, Error> {
    Embedded::open(path, &spec("a", DIMENSION)).await
}

/// A closed collection of `records`.
async fn collection(path: &Path, records: &[Record]) {
    create(path).await.unwrap().upsert(records.to_vec()).await.unwrap();
}

/// Every way to open the file is refused for a reason that `fits`.
async fn assert_refused(path: &Path, fits: impl Fn(&Error) -> bool) {
    let refusals =
        [open(path).await.err(), create(path).await.err(), embedded::spaces(path).await.err()];
    for refusal in refusals {
        let refusal = refusal.expect("a refusal");
        assert!(fits(&refusal), "{refusal:?}");
        assert!(refusal.to_string().contains("cars.db"), "{refusal}");
    }
}

#[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
fn skipped(reason: &str) {
    eprintln!("skipped: {reason}");
}

#[tokio::test]
async fn a_collection_that_is_not_there_is_named() {
    let Place { folder, path } = place();
    for refused in [open(&path).await.err(), embedded::spaces(&path).await.err()] {
        assert!(matches!(refused, Some(Error::NoCollection { .. })), "{refused:?}");
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "looking leaves nothing behind");
}

#[tokio::test]
async fn an_empty_file_is_a_collection_yet_to_be_made() {
    let Place { folder: _folder, path } = place();
    fs::write(&path, "").unwrap();
    let refused = open(&path).await.err();
    assert!(matches!(refused, Some(Error::NoCollection { .. })), "{refused:?}");
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    collection(&path, &records(3)).await;
    assert_eq!(open(&path).await.unwrap().count().await.unwrap().pictures, 3);
}

#[tokio::test]
async fn a_file_of_something_else_is_refused_and_left_alone() {
    let long = "The cars are parked in the street.\n".repeat(1000);
    let contents = ["x", &long[..20], &long[..600], &long];
    for content in contents {
        let Place { folder, path } = place();
        fs::write(&path, content).unwrap();
        assert_refused(&path, |error| matches!(error, Error::NotOurs { .. })).await;
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }
    let Place { folder: _folder, path } = place();
    fs::create_dir(&path).unwrap();
    assert_refused(&path, |error| matches!(error, Error::NotOurs { .. })).await;
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_left_alone() {
    for mode in ["delete", "wal"] {
        let Place { folder: _folder, path } = place();
        let theirs = place();
        let connection = Connection::open(&theirs.path).unwrap();
        connection.pragma_update(None, "journal_mode", mode).unwrap();
        connection.execute_batch("CREATE TABLE space (id); INSERT INTO space VALUES (7)").unwrap();
        // Copied while open, so that a log is left beside it.
        for ending in ["", "-wal"] {
            let from = theirs.folder.path().join(format!("cars.db{ending}"));
            if from.exists() {
                fs::copy(from, path.with_file_name(format!("cars.db{ending}"))).unwrap();
            }
        }
        let before = fs::read(&path).unwrap();
        assert_refused(&path, |error| matches!(error, Error::NotOurs { .. })).await;
        assert_eq!(fs::read(&path).unwrap(), before, "{mode}");
        let seven: i64 = Connection::open(&path)
            .unwrap()
            .query_row("SELECT id FROM space", [], |row| row.get(0))
            .unwrap();
        assert_eq!(seven, 7, "{mode}");
    }
}

#[tokio::test]
async fn a_database_of_another_program_gets_no_files_beside_it() {
    let Place { folder, path } = place();
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection.execute_batch("CREATE TABLE space (id)").unwrap();
    drop(connection);
    let before = fs::read(&path).unwrap();
    assert_refused(&path, |error| matches!(error, Error::NotOurs { .. })).await;
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_newer_collection_asks_for_an_update_and_is_left_alone() {
    let Place { folder: _folder, path } = place();
    collection(&path, &records(3)).await;
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = fs::read(&path).unwrap();
    assert_refused(&path, |error| {
        matches!(error, Error::NewerVersion { found: 99, known: 2, .. })
            && error.to_string().contains("update carlens")
    })
    .await;
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_truncated_collection_is_damaged() {
    let whole = place();
    collection(&whole.path, &records(500)).await;
    let bytes = fs::read(&whole.path).unwrap();
    // SQLite reads a last page that is cut as if zeros followed, so whole
    // pages are cut here.
    for length in [bytes.len() - 8192, bytes.len() / 2, 8192, 8191, 600, 100] {
        let Place { folder: _folder, path } = place();
        fs::write(&path, &bytes[..length]).unwrap();
        let refused = match open(&path).await {
            Ok(store) => store.search(query(), 5).await.err(),
            Err(refused) => Some(refused),
        };
        let Some(refused) = refused else { panic!("{length} bytes are searched") };
        let clear = matches!(refused, Error::Damaged { .. } | Error::NotOurs { .. });
        assert!(clear, "{length} bytes: {refused:?}");
    }
}

#[tokio::test]
async fn damage_anywhere_gives_an_answer_or_an_error() {
    let whole = place();
    let all = records(300);
    collection(&whole.path, &all).await;
    let bytes = fs::read(&whole.path).unwrap();
    let ids: Vec<_> = all.iter().map(|record| record.id.clone()).collect();
    let mut refused = 0;
    for at in (0..bytes.len()).step_by(bytes.len() / 150) {
        let Place { folder: _folder, path } = place();
        let mut damaged = bytes.clone();
        for byte in &mut damaged[at..(at + 40).min(bytes.len())] {
            *byte = !*byte;
        }
        fs::write(&path, damaged).unwrap();
        let Ok(store) = open(&path).await else {
            refused += 1;
            continue;
        };
        let answers = [
            store.search(query(), 5).await.err(),
            store.get(ids.clone()).await.err(),
            store.known(ids.clone()).await.err(),
            store.count().await.err(),
            embedded::spaces(&path).await.err(),
        ];
        refused += u32::from(answers.iter().any(Option::is_some));
        drop(store);
        if let Ok(store) = create(&path).await {
            // Either is right; a panic is not.
            let _ = store.upsert(all[..50].to_vec()).await;
            let _ = store.delete(ids[50..60].to_vec()).await;
        }
    }
    assert!(refused > 20, "only {refused} noticed");
}

#[tokio::test]
async fn a_picture_whose_row_is_lost_is_left_out_and_the_next_best_moves_up() {
    let Place { folder: _folder, path } = place();
    collection(&path, &records(3)).await;
    let best = open(&path).await.unwrap().search(query(), 3).await.unwrap();
    let statements = "PRAGMA foreign_keys = OFF; DELETE FROM picture WHERE path = ";
    let lost = best[0].id.path().to_str().unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(&format!("{statements} CAST('{lost}' AS BLOB)")).unwrap();
    let left = open(&path).await.unwrap().search(query(), 2).await.unwrap();
    assert_eq!(left, best[1..]);
}

#[tokio::test]
async fn a_second_writer_waits_and_then_says_so() {
    let Place { folder: _folder, path } = place();
    let store = create(&path).await.unwrap();
    let theirs = Connection::open(&path).unwrap();
    theirs.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = store.upsert(records(3)).await.unwrap_err();
    assert!(matches!(refused, Error::Busy { .. }), "{refused:?}");
    assert_eq!(store.count().await.unwrap().pictures, 0);
    theirs.execute_batch("ROLLBACK").unwrap();
    store.upsert(records(3)).await.unwrap();
    assert_eq!(store.count().await.unwrap().pictures, 3);
}

#[tokio::test]
async fn two_stores_write_to_one_collection_in_turn() {
    let Place { folder: _folder, path } = place();
    let all = records(400);
    let (first, second) = (create(&path).await.unwrap(), create(&path).await.unwrap());
    let load = |store: Embedded, part: Vec<Record>| {
        tokio::spawn(async move {
            for batch in part.chunks(10) {
                store.upsert(batch.to_vec()).await.unwrap();
            }
        })
    };
    let loads = [load(first.clone(), all[..250].to_vec()), load(second, all[150..].to_vec())];
    for load in loads {
        load.await.unwrap();
    }
    assert_exact(&first.search(query(), 400).await.unwrap(), &query(), &all, 400);
}

/// A folder that cannot be written, even by root; writable again when dropped.
struct ReadOnly<'a> {
    folder: &'a Path,
    mounted: bool,
}

impl<'a> ReadOnly<'a> {
    /// None, with a reason printed, where that cannot be arranged.
    fn make(folder: &'a Path) -> Option<Self> {
        let mut read_only = Self { folder, mounted: false };
        set_mode(folder, 0o555, 0o444);
        if fs::write(folder.join("probe"), "").is_ok() {
            fs::remove_file(folder.join("probe")).unwrap();
            read_only.mounted = run("mount", &["--bind"], &[folder, folder])
                && run("mount", &["-o", "remount,ro,bind"], &[folder]);
            if !read_only.mounted {
                skipped("this user may write anywhere and may not mount");
                return None;
            }
        }
        Some(read_only)
    }
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        if self.mounted {
            run("umount", &[], &[self.folder]);
        }
        set_mode(self.folder, 0o755, 0o644);
    }
}

fn set_mode(folder: &Path, folder_mode: u32, file_mode: u32) {
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    for entry in folder.read_dir().unwrap() {
        fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(file_mode)).unwrap();
    }
    fs::set_permissions(folder, Permissions::from_mode(folder_mode)).unwrap();
}

fn run(program: &str, arguments: &[&str], paths: &[&Path]) -> bool {
    let done = Command::new(program).args(arguments).args(paths).output();
    done.is_ok_and(|output| output.status.success())
}

#[tokio::test]
async fn a_collection_on_a_read_only_disk_is_searched() {
    let Place { folder, path } = place();
    let all = records(30);
    collection(&path, &all).await;
    let Some(_read_only) = ReadOnly::make(folder.path()) else { return };
    let store = open(&path).await.unwrap();
    assert_exact(&store.search(query(), 9).await.unwrap(), &query(), &all, 9);
    assert_eq!(embedded::spaces(&path).await.unwrap()[0].pictures.pictures, 30);
    for refused in [
        create(&path).await.err(),
        create(&folder.path().join("new.db")).await.err(),
        store.upsert(all.clone()).await.err(),
        store.delete(vec![all[0].id.clone()]).await.err(),
    ] {
        assert!(matches!(refused, Some(Error::ReadOnly { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn a_log_left_on_a_read_only_disk_is_not_passed_over() {
    let Place { folder: live, path: source } = place();
    let store = create(&source).await.unwrap();
    let all = records(30);
    store.upsert(all.clone()).await.unwrap();
    // As a killed process would leave it; a batch of new pictures leaves no log.
    store.delete(vec![all[0].id.clone()]).await.unwrap();
    let Place { folder, path } = place();
    for name in ["cars.db", "cars.db-wal"] {
        fs::copy(live.path().join(name), folder.path().join(name)).unwrap();
    }
    let Some(read_only) = ReadOnly::make(folder.path()) else { return };
    let refused = open(&path).await.err();
    let Some(Error::ReadOnly { doing, .. }) = &refused else { panic!("{refused:?}") };
    assert!(doing.contains("finish"), "{doing}");
    drop(read_only);
    assert_eq!(open(&path).await.unwrap().count().await.unwrap().pictures, 29);
}

#[tokio::test]
async fn a_log_that_is_lost_costs_no_batch_that_was_stored() {
    let Place { folder: live, path: source } = place();
    let store = create(&source).await.unwrap();
    let all = records(30);
    for batch in all.chunks(10) {
        store.upsert(batch.to_vec()).await.unwrap();
    }
    // As a killed process would leave it, but for the log.
    let Place { folder: _folder, path } = place();
    fs::copy(live.path().join("cars.db"), &path).unwrap();
    let store = open(&path).await.unwrap();
    assert_exact(&store.search(query(), 9).await.unwrap(), &query(), &all, 9);
}

#[tokio::test]
async fn a_full_disk_loses_nothing_stored() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path(), "2m") else { return };
    let (path, filler) = (disk.path().join("cars.db"), disk.path().join("filler"));
    fs::write(&filler, vec![1; 512 << 10]).unwrap();
    let all = records(20_000);
    let store = create(&path).await.unwrap();
    let mut batches = all.chunks(100);
    let mut stored = 0;
    let refused = loop {
        match store.upsert(batches.next().unwrap().to_vec()).await {
            Ok(_) => stored += 100,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, Error::DiskFull { .. }), "{refused:?}");
    assert!(stored > 100);
    // The disk stays full, and what was stored is still searched ...
    assert_exact(&store.search(query(), 9).await.unwrap(), &query(), &all[..stored], 9);
    store.optimize().await;
    drop(store);
    // ... as it is once there is room again.
    fs::remove_file(&filler).unwrap();
    let store = create(&path).await.unwrap();
    assert_exact(&store.search(query(), 9).await.unwrap(), &query(), &all[..stored], 9);
    store.upsert(all[stored..stored + 100].to_vec()).await.unwrap();
    assert_eq!(store.count().await.unwrap().pictures, stored as u64 + 100);
}

/// Enough pictures for the matrix to be saved.
const MANY: u64 = 4200;

fn matrix_file(folder: &Path) -> PathBuf {
    let files = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut matrices = files.filter(|path| path.extension().is_some_and(|e| e == "matrix"));
    matrices.next().expect("a matrix file")
}

#[tokio::test]
async fn a_saved_matrix_is_used_and_followed() {
    let Place { folder, path } = place();
    let mut all = records(MANY);
    let store = create(&path).await.unwrap();
    store.upsert(all.clone()).await.unwrap();
    store.optimize().await;
    matrix_file(folder.path());
    drop(store);
    // Told apart from the collection by an embedding changed behind its back.
    let behind = Connection::open(&path).unwrap();
    behind
        .execute(
            "UPDATE embedding SET vector = (SELECT vector FROM embedding WHERE picture = 2)
             WHERE picture = 1",
            [],
        )
        .unwrap();
    let store = create(&path).await.unwrap();
    assert_exact(&store.search(query(), 4200).await.unwrap(), &query(), &all, 4200);
    // What changes after it was saved counts.
    all[7] = record(all[7].id.clone(), query());
    store.upsert(vec![all[7].clone()]).await.unwrap();
    store.delete(vec![all.pop().unwrap().id]).await.unwrap();
    drop(store);
    let store = open(&path).await.unwrap();
    let hits = store.search(query(), 4200).await.unwrap();
    assert_exact(&hits, &query(), &all, 4199);
    assert_eq!(hits[0].id, all[7].id);
}

#[tokio::test]
async fn a_damaged_matrix_is_passed_over() {
    let Place { folder, path } = place();
    let all = records(MANY);
    let store = create(&path).await.unwrap();
    store.upsert(all.clone()).await.unwrap();
    store.optimize().await;
    drop(store);
    let matrix = matrix_file(folder.path());
    let whole = fs::read(&matrix).unwrap();
    let mut damaged = whole.clone();
    damaged[100_000..100_200].fill(0x3c);
    for bytes in [&damaged[..], &whole[..whole.len() / 2], b"nonsense", b""] {
        fs::write(&matrix, bytes).unwrap();
        let store = open(&path).await.unwrap();
        assert_exact(&store.search(query(), 20).await.unwrap(), &query(), &all, 20);
    }
}

#[tokio::test]
async fn a_matrix_of_a_collection_since_replaced_is_passed_over() {
    let Place { folder, path } = place();
    let store = create(&path).await.unwrap();
    store.upsert(records(MANY)).await.unwrap();
    store.optimize().await;
    drop(store);
    matrix_file(folder.path());
    // Made anew under the old name, with as many changes or more.
    fs::remove_file(&path).unwrap();
    let others: Vec<Record> = (0..MANY + 50)
        .map(|i| record(id(format!("new {i}")), random_embedding(i + 777_777, DIMENSION)))
        .collect();
    collection(&path, &others).await;
    let store = open(&path).await.unwrap();
    assert_exact(&store.search(query(), 20).await.unwrap(), &query(), &others, 20);
}

#[tokio::test]
async fn a_matrix_that_cannot_be_saved_is_no_failure() {
    let Place { folder, path } = place();
    let store = create(&path).await.unwrap();
    store.upsert(records(MANY)).await.unwrap();
    store.optimize().await;
    let matrix = matrix_file(folder.path());
    fs::remove_file(&matrix).unwrap();
    fs::create_dir(matrix.with_extension("matrix.tmp")).unwrap();
    store.optimize().await;
    assert!(!matrix.exists());
    assert_eq!(store.search(query(), 20).await.unwrap().len(), 20);
}
