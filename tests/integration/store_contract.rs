//! What every store promises, told as one story; and what the embedded one
//! promises besides.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use carlens::domain::{Count, Embedding, FileStamp, FolderSummary, ImageId, Record};
use carlens::store::{Embedded, Error, Known, Listing, Page, VectorStore, embedded};

use crate::store_samples::{ROUNDING, assert_exact, embedding, id, random_embedding, record, spec};

/// Told to an empty store of embeddings with four components.
pub async fn contract(store: &dyn VectorStore) {
    an_empty_store_finds_nothing(store).await;
    what_is_stored_is_found_best_first(store).await;
    a_picture_stored_again_is_replaced(store).await;
    what_is_not_known_of_a_file_stays_unknown(store).await;
    records_come_back_as_they_were(store).await;
    an_embedding_of_another_length_is_refused(store).await;
    equal_ones_are_ordered_by_id(store).await;
    a_picture_deleted_is_gone(store).await;
    names_are_kept_byte_for_byte(store).await;
    a_search_may_be_of_one_folder(store).await;
    batches_of_any_length_are_stored(store).await;
}

fn east() -> Embedding {
    embedding(&[1.0, 0.0, 0.0, 0.0])
}

async fn found(store: &dyn VectorStore, limit: usize) -> Vec<ImageId> {
    store.search(east(), limit).await.unwrap().into_iter().map(|hit| hit.id).collect()
}

/// How many pictures there are, which a store knows as long as there are few.
async fn counted(store: &dyn VectorStore) -> u64 {
    let count = store.count().await.unwrap();
    assert!(count.is_exact(), "{count:?}");
    count.pictures
}

/// All pictures, page by page; none of them twice, each with its stamp.
async fn listed(store: &dyn VectorStore) -> Vec<ImageId> {
    let (mut ids, mut page) = (Vec::new(), Some(Page::default()));
    while let Some(this) = page {
        let Listing { pictures, next } = store.list(this).await.unwrap();
        assert!(pictures.iter().all(|picture| picture.known.stamp.is_some()));
        ids.extend(pictures.into_iter().map(|picture| picture.id));
        page = next;
    }
    let distinct: HashSet<&ImageId> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
    ids
}

async fn an_empty_store_finds_nothing(store: &dyn VectorStore) {
    assert_eq!(counted(store).await, 0);
    assert_eq!(store.search(east(), 10).await.unwrap(), []);
    assert_eq!(store.get(vec![id("a.jpg")]).await.unwrap(), []);
    assert!(store.known(vec![id("a.jpg")]).await.unwrap().is_empty());
    assert_eq!(store.delete(vec![id("a.jpg")]).await.unwrap(), 0);
    assert_eq!(store.upsert(Vec::new()).await.unwrap(), []);
    assert_eq!(listed(store).await, []);
    store.optimize().await;
}

async fn what_is_stored_is_found_best_first(store: &dyn VectorStore) {
    let batch = vec![
        record(id("opposite.jpg"), embedding(&[-1.0, 0.0, 0.0, 0.0])),
        record(id("same.jpg"), east()),
        record(id("unrelated.jpg"), embedding(&[0.0, 1.0, 0.0, 0.0])),
    ];
    store.upsert(batch.clone()).await.unwrap();
    let hits = store.search(east(), 10).await.unwrap();
    assert_exact(&hits, &east(), &batch, 10);
    let cosines: Vec<f32> = hits.iter().map(|hit| hit.similarity.cosine()).collect();
    for (cosine, plain) in cosines.iter().zip([1.0, 0.0, -1.0]) {
        assert!((cosine - plain).abs() < ROUNDING, "{cosine} is not {plain}");
    }
    // A store may not know how the others are spread, but must not guess.
    for (hit, expected) in hits.iter().zip([1.5_f32.sqrt(), 0.0, -1.5_f32.sqrt()]) {
        assert!(hit.standing.is_none_or(|standing| (standing - expected).abs() < 0.01), "{hit:?}");
    }
    assert_eq!(found(store, 1).await, [id("same.jpg")]);
    assert_eq!(found(store, 0).await, []);
    assert_eq!(found(store, usize::MAX).await.len(), 3);
    assert_eq!(counted(store).await, 3);
}

async fn a_picture_stored_again_is_replaced(store: &dyn VectorStore) {
    let turned = record(id("opposite.jpg"), embedding(&[0.8, 0.6, 0.0, 0.0]));
    store.upsert(vec![turned.clone()]).await.unwrap();
    assert_eq!(counted(store).await, 3);
    let order = ["same.jpg", "opposite.jpg", "unrelated.jpg"].map(id);
    assert_eq!(found(store, 10).await, order);
    let known = store.known(vec![turned.id.clone()]).await.unwrap();
    assert_eq!(known[&turned.id], Known { stamp: turned.stamp, hidden: false });
}

async fn what_is_not_known_of_a_file_stays_unknown(store: &dyn VectorStore) {
    let unknown = Record { stamp: None, pixels: None, ..record(id("foreign.jpg"), east()) };
    store.upsert(vec![unknown.clone()]).await.unwrap();
    let back = store.get(vec![unknown.id.clone()]).await.unwrap().remove(0);
    assert_eq!((back.stamp, back.pixels), (None, None));
    let nothing = Known { stamp: None, hidden: false };
    assert_eq!(store.known(vec![unknown.id.clone()]).await.unwrap()[&unknown.id], nothing);
    let known = record(unknown.id, east());
    store.upsert(vec![known.clone()]).await.unwrap();
    assert_eq!(store.known(vec![known.id.clone()]).await.unwrap().len(), 1);
    assert_eq!(store.delete(vec![known.id]).await.unwrap(), 1);
}

async fn records_come_back_as_they_were(store: &dyn VectorStore) {
    let asked = ["unrelated.jpg", "absent.jpg", "same.jpg"].map(id);
    let records = store.get(asked.to_vec()).await.unwrap();
    let original = record(id("same.jpg"), east());
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].id, id("unrelated.jpg"));
    assert_eq!((&records[1].id, records[1].pixels), (&original.id, original.pixels));
    assert_eq!(records[1].stamp, original.stamp);
    assert!(records[1].embedding.similarity(&east()).cosine() > 1.0 - ROUNDING);
    assert_eq!(store.known(asked.to_vec()).await.unwrap().len(), 2);
}

async fn an_embedding_of_another_length_is_refused(store: &dyn VectorStore) {
    let short = embedding(&[1.0, 2.0, 3.0]);
    let fits = record(id("fits.jpg"), east());
    let batch = vec![fits, record(id("short.jpg"), short.clone())];
    let refused = store.upsert(batch).await.unwrap_err();
    assert!(matches!(refused, Error::Dimension { expected: 4, actual: 3 }), "{refused}");
    assert_eq!(counted(store).await, 3, "nothing of what cannot be stored whole");
    let refused = store.search(short, 10).await.unwrap_err();
    assert!(matches!(refused, Error::Dimension { expected: 4, actual: 3 }), "{refused}");
}

async fn equal_ones_are_ordered_by_id(store: &dyn VectorStore) {
    let twins = ["z.jpg", "y.jpg", "a/b.jpg", "a.jpg"];
    let batch = twins.map(|name| record(id(name), embedding(&[9.0, 3.0, 0.0, 0.0])));
    store.upsert(batch.to_vec()).await.unwrap();
    let mut order = vec![id("same.jpg")];
    order.extend(["a/b.jpg", "a.jpg", "y.jpg", "z.jpg"].map(id));
    order[1..].sort();
    for limit in 1..=5 {
        assert_eq!(found(store, limit).await, order[..limit], "limit {limit}");
    }
}

async fn a_picture_deleted_is_gone(store: &dyn VectorStore) {
    let twice = ["z.jpg", "absent.jpg", "z.jpg", "same.jpg"].map(id);
    assert_eq!(store.delete(twice.to_vec()).await.unwrap(), 2);
    assert_eq!(counted(store).await, 5);
    let left = found(store, 10).await;
    assert_eq!(left.len(), 5);
    assert!(!left.contains(&id("same.jpg")) && !left.contains(&id("z.jpg")));
    assert!(store.get(vec![id("same.jpg")]).await.unwrap().is_empty());
    store.upsert(vec![record(id("same.jpg"), east())]).await.unwrap();
    assert_eq!(found(store, 1).await, [id("same.jpg")]);
}

async fn names_are_kept_byte_for_byte(store: &dyn VectorStore) {
    let names = [&b"line\nbreak.jpg"[..], b"\xff\xfe.jpg", b"\x1b[31m.jpg", "Škoda.jpg".as_bytes()];
    let ids = names.map(|name| {
        ImageId::new(
            Path::new(OsStr::from_bytes(b"/f\xf0lder")),
            Path::new(OsStr::from_bytes(name)),
        )
    });
    let batch = ids.clone().map(|id| record(id, embedding(&[0.0, 0.0, 0.0, 1.0])));
    store.upsert(batch.to_vec()).await.unwrap();
    let north = embedding(&[0.0, 0.0, 0.0, 1.0]);
    let hits = store.search(north, names.len()).await.unwrap();
    for id in &ids {
        assert!(hits.iter().any(|hit| {
            hit.id.path().as_os_str() == id.path().as_os_str() && hit.id.folder() == id.folder()
        }));
    }
    assert_eq!(store.delete(ids.to_vec()).await.unwrap(), names.len());
}

async fn a_search_may_be_of_one_folder(store: &dyn VectorStore) {
    let pictures =
        [("/lot", "a.jpg"), ("/lot", "b/a.jpg"), ("/lot/b", "c.jpg"), ("/lots", "a.jpg")]
            .map(|(folder, path)| ImageId::new(Path::new(folder), Path::new(path)));
    let batch = pictures.clone().map(|id| record(id, embedding(&[0.0, 0.0, 1.0, 1.0])));
    store.upsert(batch.to_vec()).await.unwrap();
    let [one, two, three, four] = pictures.clone();
    let query = embedding(&[0.0, 0.0, 1.0, 0.0]);
    for (within, limit, expected) in [
        ("/lot", 9, vec![one.clone(), two.clone(), three.clone()]),
        ("/lot", 2, vec![one.clone(), two.clone()]),
        ("/lot/b", 9, vec![two, three]),
        ("/lots", 9, vec![four]),
        ("/lot/a.jpg", 9, vec![one]),
        ("/l", 9, vec![]),
        ("/lot", 0, vec![]),
    ] {
        let hits = store.search_within(query.clone(), limit, Some(Path::new(within)));
        let found: Vec<ImageId> = hits.await.unwrap().into_iter().map(|hit| hit.id).collect();
        let mut expected = expected;
        expected.sort();
        assert_eq!(found, expected, "{within}, {limit}");
    }
    assert_eq!(store.delete(pictures.to_vec()).await.unwrap(), 4);
}

async fn batches_of_any_length_are_stored(store: &dyn VectorStore) {
    let before = counted(store).await;
    let batch: Vec<Record> =
        (0..1234).map(|i| record(id(format!("{i}.jpg")), random_embedding(i, 4))).collect();
    store.upsert(batch.clone()).await.unwrap();
    let count = store.count().await.unwrap();
    // A store may not count so far, but must not say that it did.
    assert!(count == Count::exactly(before + 1234) || !count.is_exact(), "{count:?}");
    let ids: Vec<ImageId> = batch.into_iter().map(|record| record.id).collect();
    assert_eq!(store.get(ids.clone()).await.unwrap().len(), 1234);
    assert_eq!(store.known(ids.clone()).await.unwrap().len(), 1234);
    let pages = listed(store).await;
    assert_eq!(pages.len() as u64, before + 1234);
    assert!(ids.iter().all(|id| pages.contains(id)));
    assert_eq!(store.delete(ids).await.unwrap(), 1234);
}

#[tokio::test]
async fn the_embedded_store_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::create(&folder.path().join("cars.db"), &spec("a", 4)).await.unwrap();
    contract(&store).await;
}

#[tokio::test]
async fn the_contract_holds_beside_another_models_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cars.db");
    let other = Embedded::create(&path, &spec("other", 4)).await.unwrap();
    let theirs = record(id("same.jpg"), embedding(&[1.0, 1.0, 0.0, 0.0]));
    other.upsert(vec![theirs.clone()]).await.unwrap();
    let store = Embedded::create(&path, &spec("a", 4)).await.unwrap();
    contract(&store).await;
    assert_exact(&other.search(east(), 9).await.unwrap(), &east(), &[theirs], 9);
}

#[tokio::test]
async fn what_is_hidden_is_not_found_and_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cars.db");
    let store = Embedded::create(&path, &spec("a", 4)).await.unwrap();
    // Another process, which has searched before, follows what happens.
    let elsewhere = Embedded::open(&path, &spec("a", 4)).await.unwrap();
    let all: Vec<Record> =
        (0..9).map(|i| record(id(format!("{i}.jpg")), random_embedding(i, 4))).collect();
    store.upsert(all.clone()).await.unwrap();
    let exact = async |rest: &[Record]| {
        for store in [&store, &elsewhere] {
            let hits = store.search(east(), 20).await.unwrap();
            assert_eq!(hits.len(), rest.len());
            assert_exact(&hits, &east(), rest, 20);
            assert_eq!(counted(store).await, rest.len() as u64);
        }
    };
    exact(&all).await;
    let ids = |records: &[Record]| records.iter().map(|r| r.id.clone()).collect::<Vec<_>>();
    let (hidden, rest) = all.split_at(4);
    assert_eq!(store.hide(ids(hidden)).await.unwrap(), 4);
    assert_eq!(store.hide(ids(hidden)).await.unwrap(), 0);
    assert_eq!(store.hide(vec![id("absent.jpg")]).await.unwrap(), 0);
    exact(rest).await;
    let known = store.known(ids(&all)).await.unwrap();
    assert_eq!(known.values().filter(|known| known.hidden).count(), 4);
    assert_eq!(embedded::spaces(&path).await.unwrap()[0].hidden, 4);
    // Shown, stored again, removed, and hidden once more.
    assert_eq!(store.show(ids(&all[..2])).await.unwrap(), 2);
    assert_eq!(store.show(ids(&all[..2])).await.unwrap(), 0);
    let again = record(all[2].id.clone(), random_embedding(77, 4));
    store.upsert(vec![again.clone()]).await.unwrap();
    assert_eq!(store.delete(vec![all[3].id.clone()]).await.unwrap(), 1);
    assert_eq!(store.hide(ids(&all[..1])).await.unwrap(), 1);
    exact(&[&all[1..2], &[again], rest].concat()).await;
    assert_eq!(embedded::spaces(&path).await.unwrap()[0].hidden, 1);
}

#[tokio::test]
async fn an_embedding_is_found_by_its_files_content() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cars.db");
    let store = Embedded::create(&path, &spec("a", 4)).await.unwrap();
    let with_content = |name: &str, hash| {
        let record = record(id(name), east());
        Record { stamp: record.stamp.map(|stamp| FileStamp { hash, ..stamp }), ..record }
    };
    let all = [("a.jpg", [1; 32]), ("b.jpg", [1; 32]), ("c.jpg", [2; 32])];
    store.upsert(all.map(|(name, hash)| with_content(name, hash)).to_vec()).await.unwrap();
    store.hide(vec![id("c.jpg")]).await.unwrap();
    let found = store.with_content(vec![[1; 32], [2; 32], [3; 32]]).await.unwrap();
    let names: Vec<ImageId> = found.into_iter().map(|record| record.id).collect();
    assert_eq!(names, ["a.jpg", "b.jpg", "c.jpg"].map(id));
}

#[tokio::test]
async fn searching_is_exact_for_any_dimension() {
    for dimension in [1, 16, 100, 512, 513] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cars.db");
        let store = Embedded::create(&path, &spec("a", dimension)).await.unwrap();
        let mut all: Vec<Record> =
            (0..700).map(|i| record(id(i.to_string()), random_embedding(i, dimension))).collect();
        // Half before the first search, half after; some of the first again.
        store.upsert(all[..350].to_vec()).await.unwrap();
        store.search(random_embedding(0, dimension), 1).await.unwrap();
        for (seed, replaced) in (9000..).zip(&mut all[..50]) {
            *replaced = record(replaced.id.clone(), random_embedding(seed, dimension));
        }
        store.upsert(all[..50].to_vec()).await.unwrap();
        store.upsert(all[350..].to_vec()).await.unwrap();
        for query in 1000..1010 {
            let query = random_embedding(query, dimension);
            assert_exact(&store.search(query.clone(), 40).await.unwrap(), &query, &all, 40);
        }
    }
}

#[tokio::test]
async fn each_model_has_a_space_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cars.db");
    let first = Embedded::create(&path, &spec("first", 4)).await.unwrap();
    first.upsert(vec![record(id("a.jpg"), east())]).await.unwrap();

    let refused = Embedded::open(&path, &spec("second", 5)).await.err().unwrap();
    let Error::OtherModel { wanted, held, .. } = &refused else { panic!("{refused}") };
    assert_eq!((wanted, &held[..]), (&spec("second", 5).model, &[spec("first", 4).model][..]));
    assert!(refused.to_string().contains("first (66697273)"), "{refused}");
    let refused = Embedded::open(&path, &spec("first", 5)).await.err().unwrap();
    assert!(matches!(refused, Error::Dimension { expected: 4, actual: 5 }), "{refused}");

    let second = Embedded::create(&path, &spec("second", 5)).await.unwrap();
    assert_eq!(counted(&second).await, 0);
    let elsewhere = ImageId::new(Path::new("/trucks"), Path::new("t.jpg"));
    let batch = [id("a.jpg"), id("b.jpg"), elsewhere];
    let batch = batch.map(|id| record(id, embedding(&[1.0, 2.0, 3.0, 4.0, 5.0])));
    second.upsert(batch.to_vec()).await.unwrap();
    assert_eq!(counted(&first).await, 1);

    let spaces = embedded::spaces(&path).await.unwrap();
    let [one, two] = &spaces[..] else { panic!("{spaces:?}") };
    assert_eq!((&*one.model_name(), one.dimension, one.pictures.pictures), ("first", 4, 1));
    assert_eq!((&*two.model_name(), two.dimension, two.pictures.pictures), ("second", 5, 3));
    let folder = |path: &str, pictures| FolderSummary {
        path: path.into(),
        pictures: Some(pictures),
        here: true,
    };
    assert_eq!(two.folders, [folder("/cars", 2), folder("/trucks", 1)]);
    assert!(one.bytes.is_some_and(|bytes| bytes > 8192));
}

#[tokio::test]
async fn what_was_stored_is_there_when_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/cars.db");
    let all = [record(id("a.jpg"), east()), record(id("b.jpg"), embedding(&[1.0, 1.0, 0.0, 0.0]))];
    let store = Embedded::create(&path, &spec("a", 4)).await.unwrap();
    store.upsert(all.to_vec()).await.unwrap();
    drop(store);
    let store = Embedded::open(&path, &spec("a", 4)).await.unwrap();
    assert_exact(&store.search(east(), 9).await.unwrap(), &east(), &all, 9);
    let refused = store.upsert(all.to_vec()).await.unwrap_err();
    assert!(matches!(refused, Error::ReadOnly { .. }), "{refused}");
}
