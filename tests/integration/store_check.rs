//! Every kind of damage is found by a check, mended by a repair, and gone
//! after it: then searches work, and others follow.

use std::fs;
use std::path::{Path, PathBuf};

use carlens::domain::{FileStamp, ImageId, Record};
use carlens::store::embedded::{self, Embedded};
use carlens::store::{Error, Fault, Findings, Mended, VectorStore};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::store_samples::{assert_exact, id, random_embedding, record, spec};

const DIMENSION: usize = 32;

/// A folder with a collection in it.
struct Place {
    _folder: TempDir,
    path: PathBuf,
}

impl Place {
    /// With so many pictures, two of them hidden.
    async fn with(count: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cars.db");
        let place = Self { _folder: folder, path };
        let store = place.create().await;
        store.upsert(records(0..count)).await.unwrap();
        store.hide(vec![id("0"), id("1")]).await.unwrap();
        place
    }

    async fn create(&self) -> Embedded {
        Embedded::create(&self.path, &spec("a", DIMENSION)).await.unwrap()
    }

    async fn open(&self) -> Embedded {
        Embedded::open(&self.path, &spec("a", DIMENSION)).await.unwrap()
    }

    /// Does what no carlens does.
    fn damage(&self, statements: &str) {
        let connection = Connection::open(&self.path).unwrap();
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        connection.execute_batch(statements).unwrap();
    }

    async fn check(&self) -> Findings {
        let token = CancellationToken::new();
        embedded::check(&self.path, &token, |_, _| {}).await.unwrap()
    }

    async fn repair(&self) -> Mended {
        let token = CancellationToken::new();
        embedded::repair(&self.path, &token, |_, _| {}).await.unwrap()
    }
}

fn records(numbers: std::ops::Range<u64>) -> Vec<Record> {
    numbers.map(|i| record(id(i.to_string()), random_embedding(i, DIMENSION))).collect()
}

fn faults(findings: &Findings) -> Vec<(Fault, u64)> {
    findings.faults.iter().map(|(&fault, found)| (fault, found.count)).collect()
}

async fn assert_holds(store: &Embedded, records: &[Record]) {
    for seed in 1000..1005 {
        let query = random_embedding(seed, DIMENSION);
        assert_exact(&store.search(query.clone(), 20).await.unwrap(), &query, records, 20);
    }
}

#[tokio::test]
async fn with_a_sound_collection_nothing_is_wrong_whatever_was_done_to_it() {
    let place = Place::with(50).await;
    let store = place.create().await;
    store.delete(vec![id("5")]).await.unwrap();
    store.show(vec![id("1")]).await.unwrap();
    store.upsert(records(7..9)).await.unwrap();
    let other = Embedded::create(&place.path, &spec("b", 3)).await.unwrap();
    other.upsert(vec![record(id("7"), random_embedding(1, 3))]).await.unwrap();
    let findings = place.check().await;
    let expected = Findings { pictures: 49, hidden: 1, missing: 49, ..Findings::default() };
    assert_eq!(findings, expected);
    assert_eq!(place.repair().await, Mended::default());
}

#[tokio::test]
async fn files_that_are_there_or_not_are_counted() {
    let place = Place::with(3).await;
    let folder = place.path.parent().unwrap();
    for name in ["here.jpg", "back.jpg", "another.jpg"] {
        fs::write(folder.join(name), "picture").unwrap();
    }
    let store = place.create().await;
    let ids =
        ["here.jpg", "back.jpg", "another.jpg"].map(|name| ImageId::new(folder, Path::new(name)));
    let modified = FileStamp::time_of(&fs::metadata(folder.join("back.jpg")).unwrap());
    let stamp = FileStamp { size: 7, modified, hash: [9; 32] };
    let records = ids
        .clone()
        .map(|id| Record { stamp: Some(stamp), ..record(id, random_embedding(7, DIMENSION)) });
    store.upsert(records.to_vec()).await.unwrap();
    store.hide(ids[1..].to_vec()).await.unwrap();
    // As long as the picture was.
    fs::write(folder.join("another.jpg"), "nothing").unwrap();
    let another = fs::File::options().write(true).open(folder.join("another.jpg")).unwrap();
    another.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let findings = place.check().await;
    assert!(findings.is_clean());
    let Findings { pictures, hidden, missing, back, .. } = findings;
    assert_eq!((pictures, hidden, missing, back), (2, 4, 1, 1));
}

/// Statements, the faults they make, and how many pictures are lost by them.
type Damage = (&'static str, &'static [(Fault, u64)], u64);

const DAMAGES: [Damage; 15] = [
    ("DELETE FROM picture WHERE id = 10", &[(Fault::Orphan, 1)], 0),
    ("INSERT INTO embedding VALUES (9999, 1, 50, x'00')", &[(Fault::Orphan, 1)], 0),
    ("INSERT INTO hidden VALUES (9999, x'00')", &[(Fault::Orphan, 1)], 0),
    ("DELETE FROM embedding WHERE picture = 10", &[(Fault::NoEmbedding, 1)], 1),
    (
        "INSERT INTO hidden SELECT picture, vector FROM embedding WHERE picture IN (10, 11)",
        &[(Fault::ShownAndHidden, 2)],
        0,
    ),
    ("UPDATE picture SET folder = 77 WHERE id = 10", &[(Fault::NoFolder, 1)], 1),
    ("UPDATE picture SET space = 77 WHERE id = 10", &[(Fault::Row, 1)], 1),
    ("UPDATE picture SET path = x'', width = 5 WHERE id = 10", &[(Fault::Row, 1)], 1),
    ("UPDATE picture SET hash = x'0102' WHERE id IN (10, 11)", &[(Fault::Row, 2)], 2),
    ("UPDATE picture SET width = -1 WHERE id = 10", &[(Fault::Row, 1)], 1),
    ("UPDATE embedding SET vector = zeroblob(64) WHERE picture = 10", &[(Fault::Vector, 1)], 1),
    ("UPDATE embedding SET vector = x'0102' WHERE picture = 10", &[(Fault::Vector, 1)], 1),
    (
        "UPDATE embedding SET vector =
         unhex('007c' || substr(hex(vector), 5)) WHERE picture = 10",
        &[(Fault::Vector, 1)],
        1,
    ),
    ("UPDATE space SET seq = 3", &[(Fault::Numbering, 1)], 0),
    ("INSERT INTO tombstone VALUES (1, 40, 30)", &[(Fault::Numbering, 1)], 0),
];

#[tokio::test]
async fn whatever_is_wrong_with_a_row_is_found_mended_and_gone() {
    for (statements, expected, lost) in DAMAGES {
        let place = Place::with(48).await;
        let reader = place.open().await;
        reader.search(random_embedding(1, DIMENSION), 3).await.unwrap();
        place.damage(statements);
        let found = place.check().await;
        assert_eq!(faults(&found), expected, "{statements}");
        let mended = place.repair().await;
        assert_eq!(mended.lost, lost, "{statements}");
        assert_eq!(mended.faults.into_iter().collect::<Vec<_>>(), expected, "{statements}");
        assert!(place.check().await.is_clean(), "{statements}: {:?}", place.check().await);
        // Loading again stores what was lost, and whoever was there follows.
        let store = place.create().await;
        store.upsert(records(2..48)).await.unwrap();
        for store in [&reader, &store] {
            assert_holds(store, &records(2..48)).await;
        }
        assert!(place.check().await.is_clean(), "{statements}");
    }
}

#[tokio::test]
async fn who_has_seen_what_is_removed_sees_it_no_more() {
    let place = Place::with(48).await;
    let reader = place.open().await;
    assert_eq!(reader.search(random_embedding(9, DIMENSION), 1).await.unwrap()[0].id, id("9"));
    place.damage("UPDATE embedding SET vector = zeroblob(64) WHERE picture = 10");
    place.repair().await;
    let expected = [records(2..9), records(10..48)].concat();
    assert_holds(&reader, &expected).await;
}

#[tokio::test]
async fn an_embedding_of_another_length_is_found() {
    let place = Place::with(5).await;
    let doubled: Vec<u8> = random_embedding(2, DIMENSION)
        .as_slice()
        .iter()
        .flat_map(|x| half::f16::from_f32(x * 1.02).to_le_bytes())
        .collect();
    let connection = Connection::open(&place.path).unwrap();
    connection.execute("UPDATE embedding SET vector = ?1 WHERE picture = 3", [doubled]).unwrap();
    drop(connection);
    assert_eq!(faults(&place.check().await), [(Fault::Length, 1)]);
    assert_eq!(place.repair().await.lost, 1);
    assert!(place.check().await.is_clean());
}

#[tokio::test]
async fn of_a_file_that_is_stored_twice_one_is_kept() {
    let place = Place::with(5).await;
    let store = place.create().await;
    let [outer, shown, inner] = [("/cars", "in/x"), ("/cars", "in/y"), ("/cars/in", "x")]
        .map(|(folder, path)| ImageId::new(Path::new(folder), Path::new(path)));
    let hidden = ImageId::new(Path::new("/cars/in"), Path::new("y"));
    let ids = [&outer, &shown, &inner, &hidden].map(Clone::clone);
    let twice = ids.clone().map(|id| record(id, random_embedding(70, DIMENSION)));
    store.upsert(twice.to_vec()).await.unwrap();
    store.hide(vec![hidden.clone()]).await.unwrap();
    assert_eq!(faults(&place.check().await), [(Fault::Duplicate, 2)]);
    let mended = place.repair().await;
    assert_eq!((mended.lost, mended.faults[&Fault::Duplicate]), (0, 2));
    assert!(place.check().await.is_clean());
    let left = store.get(ids.to_vec()).await.unwrap();
    let left: Vec<ImageId> = left.into_iter().map(|record| record.id).collect();
    assert_eq!(left, [shown, inner], "the inner one, but rather one that is shown");
}

fn matrix(place: &Place) -> PathBuf {
    let mut files = fs::read_dir(place.path.parent().unwrap()).unwrap();
    let is_matrix = |path: &PathBuf| path.extension().is_some_and(|e| e == "matrix");
    files.by_ref().map(|file| file.unwrap().path()).find(is_matrix).unwrap()
}

#[tokio::test]
async fn a_matrix_file_that_is_wrong_is_dropped() {
    for how in ["header", "body", "collection"] {
        let place = Place::with(5000).await;
        let store = place.create().await;
        store.optimize().await;
        assert!(place.check().await.is_clean());
        // What changes after it is no difference.
        store.delete(vec![id("17")]).await.unwrap();
        store.hide(vec![id("18")]).await.unwrap();
        store.upsert(records(19..20)).await.unwrap();
        assert!(place.check().await.is_clean());
        drop(store);
        let mut bytes = fs::read(matrix(&place)).unwrap();
        match how {
            "header" => bytes[0] ^= 1,
            "body" => bytes[5000] ^= 1,
            _ => place.damage(
                "UPDATE embedding SET vector =
                 (SELECT vector FROM embedding WHERE picture = 100) WHERE picture = 200",
            ),
        }
        fs::write(matrix(&place), bytes).unwrap();
        assert_eq!(faults(&place.check().await), [(Fault::Matrix, 1)], "{how}");
        assert_eq!(place.repair().await.faults[&Fault::Matrix], 1);
        assert!(place.check().await.is_clean(), "{how}");
    }
}

#[tokio::test]
async fn of_a_damaged_file_all_that_can_be_read_is_saved() {
    let whole = Place::with(1000).await;
    drop(whole.create().await);
    let bytes = fs::read(&whole.path).unwrap();
    let pages = bytes.len() / 8192;
    let (mut damaged, mut saved) = (0, Vec::new());
    for page in 1..pages {
        let place = Place::with(3).await;
        let mut bytes = bytes.clone();
        bytes[page * 8192..][..4096].fill(0xa5);
        fs::write(&place.path, &bytes).unwrap();
        let found = place.check().await;
        if !found.faults.contains_key(&Fault::File) {
            continue;
        }
        damaged += 1;
        let token = CancellationToken::new();
        let mended = match embedded::repair(&place.path, &token, |_, _| {}).await {
            Ok(mended) => mended,
            Err(error) => {
                assert!(matches!(error, Error::BeyondRepair { .. }), "page {page}: {error:?}");
                assert_eq!(fs::read(&place.path).unwrap(), bytes, "nothing is changed");
                continue;
            }
        };
        assert_eq!(fs::read(mended.kept.unwrap()).unwrap(), bytes, "page {page}");
        assert!(place.check().await.is_clean(), "page {page}: {:?}", place.check().await);
        saved.push(mended.salvaged.unwrap());
        assert_eq!(mended.salvaged.unwrap() + mended.lost, 1000, "page {page}");
        let store = place.create().await;
        store.upsert(records(2..1000)).await.unwrap();
        store.delete(vec![id("0"), id("1")]).await.unwrap();
        assert_holds(&place.open().await, &records(2..1000)).await;
    }
    assert!(damaged > 20 && saved.len() + 3 > damaged, "{damaged} damaged, {saved:?} saved");
    // But for the folder's own page, none is worth more than its rows.
    let few = saved.iter().filter(|&&saved| saved < 850).count();
    assert!(few <= 1, "{saved:?}");
}

#[tokio::test]
async fn without_the_page_of_its_models_or_folders_a_collection_is_saved_by_their_index() {
    for table in ["space", "folder"] {
        let place = Place::with(1000).await;
        place.damage("PRAGMA wal_checkpoint(TRUNCATE)");
        let page = "SELECT rootpage FROM sqlite_master WHERE name = ?1";
        let connection = Connection::open(&place.path).unwrap();
        let page: u32 = connection.query_row(page, [table], |row| row.get(0)).unwrap();
        drop(connection);
        let mut bytes = fs::read(&place.path).unwrap();
        bytes[(page as usize - 1) * 8192..page as usize * 8192].fill(0);
        fs::write(&place.path, bytes).unwrap();
        let mended = place.repair().await;
        assert_eq!((mended.salvaged, mended.lost), (Some(1000), 0), "{table}");
        assert!(place.check().await.is_clean(), "{table}");
        assert_holds(&place.open().await, &records(2..1000)).await;
    }
}

#[tokio::test]
async fn of_a_file_that_was_cut_short_all_that_is_there_is_saved() {
    let whole = Place::with(1000).await;
    drop(whole.create().await);
    let bytes = fs::read(&whole.path).unwrap();
    let pages = bytes.len() / 8192;
    let mut saved = Vec::new();
    // Of the last, nothing is left but the tables' first pages.
    for kept in [pages - 1, pages - 2, pages * 3 / 4, pages / 2, 12] {
        let place = Place::with(3).await;
        fs::write(&place.path, &bytes[..kept * 8192]).unwrap();
        let token = CancellationToken::new();
        let mended = embedded::repair(&place.path, &token, |_, _| {}).await.unwrap();
        assert!(place.check().await.is_clean(), "{kept} pages");
        saved.push(mended.salvaged.unwrap());
        assert_eq!(mended.salvaged.unwrap() + mended.lost, 1000, "{kept} pages");
    }
    assert!(saved[0] > 900 && saved[1] > 850 && saved[2] > 500 && saved[3] > 200, "{saved:?}");
}

#[tokio::test]
async fn what_is_no_collection_is_refused_by_both() {
    let place = Place::with(3).await;
    let token = CancellationToken::new();
    fs::remove_file(&place.path).unwrap();
    let refused = embedded::check(&place.path, &token, |_, _| {}).await.err();
    assert!(matches!(refused, Some(Error::NoCollection { .. })), "{refused:?}");
    let refused = embedded::repair(&place.path, &token, |_, _| {}).await.err();
    assert!(matches!(refused, Some(Error::NoCollection { .. })), "{refused:?}");
    assert!(!place.path.exists());
    fs::write(&place.path, "my shopping list".repeat(100)).unwrap();
    let refused = embedded::repair(&place.path, &token, |_, _| {}).await.err();
    assert!(matches!(refused, Some(Error::NotOurs { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_damaged_file_of_another_program_is_not_mended_though_it_looks_like_ours() {
    let place = Place::with(1000).await;
    place.damage("PRAGMA application_id = 1; PRAGMA wal_checkpoint(TRUNCATE)");
    let whole = fs::read(&place.path).unwrap();
    for bytes in [&whole[..], &whole[..whole.len() - 8192]] {
        fs::write(&place.path, bytes).unwrap();
        let token = CancellationToken::new();
        let refused = embedded::repair(&place.path, &token, |_, _| {}).await.err();
        assert!(matches!(refused, Some(Error::NotOurs { .. })), "{refused:?}");
        assert!(fs::read(&place.path).unwrap() == bytes);
    }
}

#[tokio::test]
async fn a_check_and_a_repair_that_are_stopped_change_nothing() {
    let place = Place::with(2000).await;
    place.damage("UPDATE embedding SET vector = zeroblob(64)");
    let token = CancellationToken::new();
    token.cancel();
    assert!(embedded::check(&place.path, &token, |_, _| {}).await.is_err());
    assert!(embedded::repair(&place.path, &token, |_, _| {}).await.is_err());
    assert_eq!(faults(&place.check().await), [(Fault::Vector, 1998)]);
}
