//! A backup is made while the collection is in use, and restored while it is
//! searched; what does not fit is refused and changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use carlens::domain::{ImageId, Record};
use carlens::store::embedded::{self, Embedded};
use carlens::store::{BackedUp, Error, Page, Restore, Restored, VectorStore};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::small_disk::SmallDisk;
use crate::store_samples::{assert_exact, id, random_embedding, record, spec};

const DIMENSION: usize = 32;

/// A folder with a place for a collection and for a backup of it.
struct Place {
    folder: TempDir,
    collection: PathBuf,
    backup: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let [collection, backup] = ["cars.db", "backup"].map(|name| folder.path().join(name));
    Place { folder, collection, backup }
}

fn records(numbers: std::ops::Range<u64>) -> Vec<Record> {
    numbers.map(|i| record(id(i.to_string()), random_embedding(i, DIMENSION))).collect()
}

fn ids(numbers: std::ops::Range<u64>) -> Vec<ImageId> {
    numbers.map(|i| id(i.to_string())).collect()
}

async fn create(path: &Path) -> Embedded {
    Embedded::create(path, &spec("a", DIMENSION)).await.unwrap()
}

async fn open(path: &Path) -> Embedded {
    Embedded::open(path, &spec("a", DIMENSION)).await.unwrap()
}

async fn back_up(place: &Place, replace: bool) -> Result<BackedUp, Error> {
    embedded::backup(&place.collection, &place.backup, replace, &CancellationToken::new()).await
}

async fn restore(place: &Place, replace: bool) -> Result<Restore, Error> {
    embedded::restore(&place.collection, &place.backup, replace, &CancellationToken::new()).await
}

#[track_caller]
fn assert_done(restored: Result<Restore, Error>, expected: u64) -> Option<PathBuf> {
    match restored.unwrap() {
        Restore::Done(Restored { pictures, kept }) => {
            assert_eq!(pictures, expected);
            kept
        }
        asked @ Restore::WouldReplace { .. } => panic!("{asked:?}"),
    }
}

/// Searches find these records and no others.
async fn assert_holds(store: &Embedded, records: &[Record]) {
    for seed in 1000..1010 {
        let query = random_embedding(seed, DIMENSION);
        assert_exact(&store.search(query.clone(), 20).await.unwrap(), &query, records, 20);
    }
    assert_eq!(store.count().await.unwrap().pictures, records.len() as u64);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_backup_is_made_while_others_write_and_is_a_collection_itself() {
    let place = place();
    let store = create(&place.collection).await;
    store.upsert(records(0..50)).await.unwrap();
    store.hide(ids(0..5)).await.unwrap();
    let theirs = Connection::open(&place.collection).unwrap();
    theirs.execute_batch("BEGIN IMMEDIATE; DELETE FROM picture").unwrap();
    assert_eq!(back_up(&place, false).await.unwrap().pictures, 50);
    drop(theirs);
    assert_holds(&open(&place.backup).await, &records(5..50)).await;
}

#[tokio::test]
async fn a_file_that_is_there_is_replaced_only_if_told_to_and_never_the_collection() {
    let mut place = place();
    create(&place.collection).await.upsert(records(0..5)).await.unwrap();
    fs::write(&place.backup, "precious").unwrap();
    assert!(matches!(back_up(&place, false).await, Err(Error::Taken { .. })));
    assert_eq!(fs::read_to_string(&place.backup).unwrap(), "precious");
    back_up(&place, true).await.unwrap();
    assert_holds(&open(&place.backup).await, &records(0..5)).await;
    let log = place.folder.path().join("other-wal");
    fs::write(&log, "log").unwrap();
    let backup = std::mem::replace(&mut place.backup, place.folder.path().join("other"));
    let refused = back_up(&place, true).await;
    assert!(matches!(refused, Err(Error::Unwritten { .. })), "{refused:?}");
    place.backup = backup;
    let linked = place.folder.path().join("linked");
    std::os::unix::fs::symlink(&place.collection, &linked).unwrap();
    for own in [place.collection.clone(), linked] {
        place.backup = own;
        let refused = back_up(&place, true).await;
        assert!(matches!(refused, Err(Error::BackupIsCollection { .. })), "{refused:?}");
        let refused = restore(&place, true).await;
        assert!(matches!(refused, Err(Error::BackupIsCollection { .. })), "{refused:?}");
    }
    assert_holds(&open(&place.collection).await, &records(0..5)).await;
}

#[tokio::test]
async fn a_full_disk_or_a_stop_leaves_no_part_of_a_backup() {
    let mut place = place();
    create(&place.collection).await.upsert(records(0..3000)).await.unwrap();
    let stopped = CancellationToken::new();
    stopped.cancel();
    let ended = embedded::backup(&place.collection, &place.backup, false, &stopped).await;
    assert!(ended.is_err(), "{ended:?}");
    assert_eq!(names(place.folder.path()), ["cars.db"]);
    let Some(disk) = SmallDisk::mount(&place.folder.path().join("disk"), "1m") else { return };
    disk.fill(100_000);
    place.backup = disk.path().join("backup");
    let refused = back_up(&place, false).await;
    assert!(matches!(refused, Err(Error::DiskFull { ref path }) if *path == place.backup));
    assert_eq!(names(disk.path()), ["filler"]);
}

#[tokio::test]
async fn who_has_the_collection_open_follows_a_restore() {
    let place = place();
    let store = create(&place.collection).await;
    // Enough for a matrix file.
    store.upsert(records(0..4200)).await.unwrap();
    store.optimize().await;
    store.hide(ids(0..10)).await.unwrap();
    back_up(&place, false).await.unwrap();

    store.show(ids(0..10)).await.unwrap();
    store.delete(ids(100..200)).await.unwrap();
    store.upsert(records(9000..9100)).await.unwrap();
    store.hide(ids(300..310)).await.unwrap();
    let other = records(400..500)
        .into_iter()
        .map(|old| Record { embedding: random_embedding(77, DIMENSION), ..old });
    store.upsert(other.collect()).await.unwrap();
    // Both have seen what was there before, one of them from the matrix file.
    let reader = open(&place.collection).await;
    let query = random_embedding(1, DIMENSION);
    for store in [&store, &reader] {
        store.search(query.clone(), 1).await.unwrap();
    }

    let asked = restore(&place, false).await.unwrap();
    assert_eq!(asked, Restore::WouldReplace { held: Some(4200), pictures: 4200 });
    assert_eq!(assert_done(restore(&place, true).await, 4200), None);
    let expected = records(10..4200);
    for store in [&store, &reader, &open(&place.collection).await] {
        assert_holds(store, &expected).await;
    }
    // Loading goes on, and is followed too.
    store.show(ids(0..10)).await.unwrap();
    store.upsert(records(9000..9001)).await.unwrap();
    let expected = [records(0..4200), records(9000..9001)].concat();
    for store in [&store, &reader, &open(&place.collection).await] {
        assert_holds(store, &expected).await;
    }
}

#[tokio::test]
async fn models_and_folders_of_a_backup_come_and_others_go() {
    let place = place();
    let other = spec("b", 3);
    let theirs = Embedded::create(&place.collection, &other).await.unwrap();
    theirs.upsert(vec![record(id("x"), random_embedding(1, 3))]).await.unwrap();
    drop(theirs);
    create(&place.collection).await.upsert(records(0..3)).await.unwrap();
    back_up(&place, false).await.unwrap();
    fs::remove_file(&place.collection).unwrap();
    let store = create(&place.collection).await;
    let elsewhere = ImageId::new(Path::new("/elsewhere"), Path::new("y"));
    store.upsert(vec![record(elsewhere, random_embedding(5, DIMENSION))]).await.unwrap();
    let third = Embedded::create(&place.collection, &spec("c", 4)).await.unwrap();
    third.upsert(vec![record(id("z"), random_embedding(1, 4))]).await.unwrap();
    third.search(random_embedding(1, 4), 1).await.unwrap();
    assert_done(restore(&place, true).await, 4);
    assert_holds(&store, &records(0..3)).await;
    assert_eq!(store.folders().await.unwrap(), [Path::new("/cars")]);
    let theirs = Embedded::open(&place.collection, &other).await.unwrap();
    assert_eq!(theirs.list(Page::default()).await.unwrap().pictures.len(), 1);
    assert_eq!(third.search(random_embedding(1, 4), 1).await.unwrap(), []);
}

#[tokio::test]
async fn a_backup_may_be_of_an_older_format_or_a_mere_copy_with_its_log() {
    let place = place();
    let store = create(&place.collection).await;
    store.upsert(records(0..5)).await.unwrap();
    back_up(&place, false).await.unwrap();
    let older = Connection::open(&place.backup).unwrap();
    let statements = "DROP INDEX picture_by_hash; DROP INDEX tombstone_by_picture;
                      DROP TABLE hidden; PRAGMA user_version = 1";
    older.execute_batch(statements).unwrap();
    drop(older);
    store.upsert(records(5..9)).await.unwrap();
    assert_done(restore(&place, true).await, 5);
    assert_holds(&store, &records(0..5)).await;
    // Copied while it is open.
    store.upsert(records(20..40)).await.unwrap();
    for ending in ["", "-wal"] {
        let [from, to] =
            [&place.collection, &place.backup].map(|path| format!("{}{ending}", path.display()));
        fs::copy(from, to).unwrap();
    }
    store.delete(ids(0..30)).await.unwrap();
    assert_done(restore(&place, true).await, 25);
    assert_holds(&store, &[records(0..5), records(20..40)].concat()).await;
    let left = ["backup", "cars.db", "cars.db-shm", "cars.db-wal"];
    assert_eq!(names(place.folder.path()), left);
}

#[tokio::test]
async fn where_there_is_no_collection_the_backup_becomes_it() {
    let place = place();
    create(&place.collection).await.upsert(records(0..50)).await.unwrap();
    back_up(&place, false).await.unwrap();
    fs::remove_file(&place.collection).unwrap();
    // A log that is left of it is not taken for the new file's.
    fs::write(place.collection.with_file_name("cars.db-wal"), "left").unwrap();
    let kept = assert_done(restore(&place, false).await, 50);
    assert_eq!(kept, Some(place.folder.path().join("cars.db.damaged")));
    assert_holds(&open(&place.collection).await, &records(0..50)).await;
}

#[tokio::test]
async fn a_damaged_collection_is_kept_beside() {
    let place = place();
    create(&place.collection).await.upsert(records(0..500)).await.unwrap();
    back_up(&place, false).await.unwrap();
    let mut bytes = fs::read(&place.collection).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0xa5);
    fs::write(&place.collection, &bytes).unwrap();
    let asked = restore(&place, false).await.unwrap();
    assert_eq!(asked, Restore::WouldReplace { held: None, pictures: 500 });
    let kept = assert_done(restore(&place, true).await, 500).unwrap();
    assert_eq!(fs::read(kept).unwrap(), bytes);
    assert_holds(&open(&place.collection).await, &records(0..500)).await;
}

#[tokio::test]
async fn what_is_no_backup_is_refused_and_nothing_changes() {
    let place = place();
    create(&place.collection).await.upsert(records(0..500)).await.unwrap();
    back_up(&place, false).await.unwrap();
    let whole = fs::read(&place.backup).unwrap();
    let mut damaged = whole.clone();
    damaged[40_000..48_000].fill(0xa5);
    let mut newer = whole.clone();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    let cut = whole[..whole.len() / 2].to_vec();
    let foreign = b"my shopping list".repeat(100);
    let cases = [
        (damaged, "it is damaged"),
        (cut, "it is damaged"),
        (newer, "a newer carlens (format 99"),
        (foreign, "it is not a carlens collection"),
        (Vec::new(), "nothing in it"),
    ];
    for (bytes, finding) in cases {
        fs::write(&place.backup, bytes).unwrap();
        let refused = restore(&place, true).await.unwrap_err().to_string();
        assert!(refused.contains(finding), "{refused}");
        assert_holds(&open(&place.collection).await, &records(0..500)).await;
    }
    fs::remove_file(&place.backup).unwrap();
    assert!(matches!(restore(&place, true).await, Err(Error::UnfitBackup { .. })));
}
