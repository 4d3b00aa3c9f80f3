//! The store over the Data API: what every store promises, and what this one
//! sends and keeps.

use std::path::Path;
use std::time::Duration;

use carlens::domain::{ImageId, Record, Service};
use carlens::store::astra::{self, Database, Reading};
use carlens::store::{Error, VectorStore as _};
use serde_json::{Value, json};

use super::scene::{COLLECTION, Scene, model, texts};
use crate::data_api_stub::{Fault, TOKEN};
use crate::store_contract::contract;
use crate::store_samples::{embedding, id, random_embedding, record, spec};

#[tokio::test]
async fn the_store_in_astra_keeps_the_contract() {
    let scene = Scene::new().await;
    contract(&scene.database().create(&model()).await.unwrap()).await;
}

#[tokio::test]
async fn the_contract_holds_for_the_image_folder_and_long_pages() {
    let scene = Scene { images: "/cars".into(), ..Scene::new().await };
    scene.stub.set_limits(|limits| limits.page = 50);
    contract(&scene.database().create(&model()).await.unwrap()).await;
}

#[tokio::test]
async fn the_contract_holds_for_a_data_api_of_ones_own() {
    let scene = Scene::new().await;
    scene.stub.set_limits(|limits| limits.old_codes = true);
    let own = scene.settings_with("Cassandra:Y2Fzc2FuZHJh:Y2Fzc2FuZHJh", Reading::default());
    contract(&Database::new(own).create(&model()).await.unwrap()).await;
    assert!(scene.stub.requests().iter().all(|request| request.path.starts_with("/v1/")));
}

#[tokio::test]
async fn every_request_is_one_that_the_data_api_understands() {
    let scene = Scene::new().await;
    let store = scene.database().create(&model()).await.unwrap();
    store.upsert(vec![record(id("a.jpg"), embedding(&[1.0; 4]))]).await.unwrap();
    store.search(embedding(&[1.0; 4]), 5).await.unwrap();
    for request in scene.stub.requests() {
        assert!(request.path.starts_with("/api/json/v1/default_keyspace"), "{request:?}");
        assert_eq!(request.token.as_deref(), Some(TOKEN));
        assert_eq!(request.content_type.as_deref(), Some("application/json"));
        assert!(request.user_agent.unwrap().starts_with("carlens/"));
    }
    let found = scene.stub.requests().into_iter().find(|r| r.body.pointer("/find/sort").is_some());
    let limit = found.unwrap().body.pointer("/find/options/limit").cloned();
    assert_eq!(limit, Some(json!(6)), "one more than asked, to tell equal ones apart");
}

#[tokio::test]
async fn a_collection_is_made_where_it_is_missing_and_never_changed() {
    let scene = Scene::new().await;
    let refused = scene.database().open(&model()).await.err().unwrap();
    assert!(matches!(refused, Error::NoCollection { .. }), "{refused}");
    assert_eq!(scene.database().spaces().await.unwrap(), []);
    assert_eq!(scene.stub.collections(), [""; 0]);
    scene.database().create(&model()).await.unwrap();
    scene.database().create(&model()).await.unwrap();
    let made = scene.commands().iter().filter(|command| *command == "createCollection").count();
    assert_eq!(made, 1);
}

#[tokio::test]
async fn a_collection_of_another_shape_is_refused_and_left_alone() {
    for (options, said) in [
        (json!({ "vector": { "dimension": 1536, "metric": "cosine" } }), "1536 components"),
        (json!({ "vector": { "dimension": 4, "metric": "euclidean" } }), "compared by euclidean"),
        (json!({}), "documents without vectors"),
    ] {
        let scene = Scene::new().await;
        scene.stub.create(COLLECTION, options);
        let database = scene.database();
        for refused in [database.open(&model()).await.err(), database.create(&model()).await.err()]
        {
            let refused = refused.unwrap();
            let Error::Database(astra::Error::OtherShape { .. }) = &refused else {
                panic!("{refused}")
            };
            assert!(refused.to_string().contains(said), "{refused}");
        }
        assert!(!scene.commands().contains(&"createCollection".into()));
        assert_eq!(scene.stub.documents(COLLECTION), [Value::Null; 0]);
    }
}

#[tokio::test]
async fn a_collection_of_another_model_is_refused_before_anything_is_searched() {
    let scene = Scene::new().await;
    scene.database().create(&spec("first", 4)).await.unwrap();
    scene.stub.forget_requests();
    let database = scene.database();
    let second = spec("second", 4);
    for refused in [database.open(&second).await.err(), database.create(&second).await.err()] {
        let refused = refused.unwrap();
        let Error::OtherModel { held, .. } = &refused else { panic!("{refused}") };
        assert_eq!(held[..], [spec("first", 4).model]);
        assert!(refused.to_string().contains("another name"), "{refused}");
    }
    let sorted =
        |request: &crate::data_api_stub::Request| request.body.pointer("/find/sort").is_some();
    assert!(!scene.stub.requests().iter().any(sorted));
}

#[tokio::test]
async fn a_collection_made_by_a_newer_carlens_is_left_alone() {
    let scene = Scene::new().await;
    scene.stub.create(COLLECTION, json!({ "vector": { "dimension": 4, "metric": "cosine" } }));
    scene.stub.put(COLLECTION, json!({ "_id": "carlens", "carlens": { "format": 99 } }));
    let refused = scene.database().create(&model()).await.err().unwrap();
    assert!(
        matches!(refused, Error::Database(astra::Error::Newer { format: 99, .. })),
        "{refused}"
    );
}

#[tokio::test]
async fn many_pictures_go_in_batches_several_at_a_time() {
    let scene = Scene::new().await;
    scene.stub.set_limits(|limits| limits.delay = Duration::from_millis(5));
    let store = scene.database().create(&model()).await.unwrap();
    scene.stub.forget_requests();
    let records: Vec<Record> =
        (0..500).map(|n| record(id(format!("{n:03}.jpg")), random_embedding(n, 4))).collect();
    assert_eq!(store.upsert(records).await.unwrap(), []);
    let insertions: Vec<_> =
        scene.stub.requests().into_iter().filter(|r| r.command == "insertMany").collect();
    assert_eq!(insertions.len(), 10);
    assert!(insertions.iter().all(|request| {
        request.body["insertMany"]["documents"].as_array().is_some_and(|d| d.len() == 50)
    }));
    assert!((2..=8).contains(&scene.stub.most_in_flight()), "{}", scene.stub.most_in_flight());
    assert_eq!(texts(&scene.stub).len(), 500);
}

#[tokio::test]
async fn the_pace_is_found_that_the_database_allows() {
    let scene = Scene::new().await;
    scene.stub.set_limits(|limits| {
        limits.delay = Duration::from_millis(2);
        limits.rate = Some(3);
    });
    let store = scene.database().create(&model()).await.unwrap();
    let records: Vec<Record> =
        (0..2000).map(|n| record(id(format!("{n:04}.jpg")), random_embedding(n, 4))).collect();
    assert_eq!(store.upsert(records).await.unwrap(), []);
    assert_eq!(texts(&scene.stub).len(), 2000);
}

#[tokio::test]
async fn a_document_that_is_refused_is_named_and_the_others_are_stored() {
    let scene = Scene::new().await;
    let store = scene.database().create(&model()).await.unwrap();
    let records: Vec<Record> =
        (0..3).map(|n| record(id(format!("{n}.jpg")), random_embedding(n, 4))).collect();
    store.upsert(records[1..2].to_vec()).await.unwrap();
    let key = scene.stub.documents(COLLECTION).pop().unwrap()["_id"].as_str().unwrap().to_owned();
    store.delete(vec![id("1.jpg")]).await.unwrap();
    scene.stub.fault("insertMany", Fault::Refuse { id: key, code: "SHRED_DOC_LIMIT_VIOLATION" });
    let refused = store.upsert(records).await.unwrap();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].id, id("1.jpg"));
    assert!(refused[0].reason.contains("SHRED_DOC_LIMIT_VIOLATION"), "{}", refused[0].reason);
    assert_eq!(texts(&scene.stub), ["0.jpg", "2.jpg"]);
}

#[tokio::test]
async fn requests_that_are_too_large_are_halved() {
    let scene = Scene::new().await;
    let store = scene.database().create(&model()).await.unwrap();
    scene.stub.set_limits(|limits| limits.body = 3000);
    let records: Vec<Record> =
        (0..50).map(|n| record(id(format!("{n}.jpg")), random_embedding(n, 4))).collect();
    assert_eq!(store.upsert(records).await.unwrap(), []);
    assert_eq!(texts(&scene.stub).len(), 50);
    let requests = scene.stub.requests();
    assert!(requests.iter().any(|request| request.bytes > 3000), "it was too large");
    let long = record(id("x".repeat(5000)), embedding(&[1.0; 4]));
    let refused = store.upsert(vec![long.clone()]).await.unwrap();
    assert_eq!(refused[0].id, long.id);
    assert!(refused[0].reason.contains("too large"), "{}", refused[0].reason);
}

#[tokio::test]
async fn more_than_a_thousand_are_estimated_not_counted() {
    let scene = Scene::new().await;
    let store = scene.database().create(&model()).await.unwrap();
    let records: Vec<Record> =
        (0..1100).map(|n| record(id(format!("{n}.jpg")), random_embedding(n, 4))).collect();
    store.upsert(records).await.unwrap();
    let counted = store.count().await.unwrap();
    assert_eq!(counted.to_string(), "over 999");
    scene.stub.set_limits(|limits| limits.estimated = Some(1090));
    assert_eq!(store.count().await.unwrap().to_string(), "about 1090");
    let summary = scene.database().spaces().await.unwrap().remove(0);
    assert_eq!((summary.model, summary.pictures.pictures), (Some(model().model), 1090));
}

#[tokio::test]
async fn how_far_a_hit_stands_out_is_estimated_by_a_sample() {
    let scene = Scene::new().await;
    let store = scene.database().create(&model()).await.unwrap();
    let all: Vec<Record> =
        (0..900).map(|n| record(id(format!("{n}.jpg")), random_embedding(n, 4))).collect();
    store.upsert(all.clone()).await.unwrap();
    let query = random_embedding(7, 4);
    let hit = store.search(query.clone(), 1).await.unwrap().remove(0);
    let cosines: Vec<f32> = all.iter().map(|r| r.embedding.similarity(&query).cosine()).collect();
    #[expect(clippy::cast_precision_loss, reason = "few")]
    let count = cosines.len() as f32;
    let mean = cosines.iter().sum::<f32>() / count;
    let deviation = (cosines.iter().map(|c| (c - mean).powi(2)).sum::<f32>() / count).sqrt();
    let standing = (hit.similarity.cosine() - mean) / deviation;
    assert!((hit.standing.unwrap() - standing).abs() < 0.4, "{hit:?} is {standing}");
    scene.stub.forget_requests();
    store.search(query, 1).await.unwrap();
    assert_eq!(scene.commands(), ["find"], "the sample is taken once");
}

#[tokio::test]
async fn a_folder_is_searched_by_the_database_where_it_can() {
    let scene = Scene::new().await;
    let store = scene.database().create(&model()).await.unwrap();
    let in_folder = |folder: &str, n: u64| {
        let id = ImageId::new(Path::new(folder), Path::new(&format!("{n:04}.jpg")).to_path_buf());
        record(id, random_embedding(n, 4))
    };
    // So many that the one of the other folder is not among the nearest.
    let query = embedding(&[1.0, 0.0, 0.0, 0.0]);
    let near = record(ImageId::new(Path::new("/near"), Path::new("a.jpg")), query.clone());
    let far = embedding(&[-1.0, 0.0, 0.0, 0.0]);
    let far = record(ImageId::new(Path::new("/far"), Path::new("b.jpg")), far);
    let mut records: Vec<Record> = (0..1100).map(|n| in_folder("/near", n)).collect();
    records.extend([near, far.clone()]);
    store.upsert(records).await.unwrap();
    scene.stub.forget_requests();
    let hits = store.search_within(query.clone(), 3, Some(Path::new("/far"))).await.unwrap();
    assert_eq!(hits.iter().map(|hit| &hit.id).collect::<Vec<_>>(), [&far.id]);
    let filters: Vec<Value> = scene
        .stub
        .requests()
        .into_iter()
        .filter(|request| request.body.pointer("/find/sort").is_some())
        .map(|request| request.body["find"]["filter"].clone())
        .collect();
    assert_eq!(filters, [json!({ "carlens.folder": "/far" })]);
    // A folder below the one that was loaded is found here.
    let below = ImageId::new(Path::new("/near"), Path::new("x/deep.jpg"));
    let opposite = embedding(&[-1.0, 0.0, 0.0, 0.1]);
    store.upsert(vec![record(below.clone(), opposite)]).await.unwrap();
    let hits = store.search_within(query, 3, Some(Path::new("/near/x"))).await.unwrap();
    assert_eq!(hits.iter().map(|hit| &hit.id).collect::<Vec<_>>(), [&below]);
    assert!(hits[0].similarity.cosine() < -0.99, "{hits:?}");
}

#[tokio::test]
async fn an_answer_that_accounts_for_less_than_was_sent_is_no_success() {
    let scene = Scene::new().await;
    let store = scene.database().create(&model()).await.unwrap();
    let empty = Fault::Status(200, "{\"status\":{}}");
    scene.stub.fault("insertMany", empty);
    let refused = store.upsert(vec![record(id("a.jpg"), embedding(&[1.0; 4]))]).await.unwrap_err();
    assert!(refused.to_string().contains("does not account"), "{refused}");
}

#[tokio::test]
async fn two_first_loads_at_once_agree() {
    for _ in 0..20 {
        let scene = Scene::new().await;
        let load = |n: u64| {
            let database = scene.database();
            async move {
                let store = database.create(&model()).await?;
                store.upsert(vec![record(id(n.to_string()), random_embedding(n, 4))]).await
            }
        };
        let (one, other) = tokio::join!(load(1), load(2));
        one.unwrap();
        other.unwrap();
        assert_eq!(texts(&scene.stub), ["1", "2"]);
    }
}

#[tokio::test]
async fn a_shared_collection_shows_the_pictures_of_each_machine() {
    let alice = tempfile::tempdir().unwrap();
    let bob = tempfile::tempdir().unwrap();
    std::fs::write(bob.path().join("red.jpg"), "a picture").unwrap();
    let mut scene = Scene { images: alice.path().into(), ..Scene::new().await };
    let folder = alice.path().canonicalize().unwrap();
    let picture = |folder: &Path| {
        record(ImageId::new(folder, Path::new("red.jpg")), embedding(&[1.0, 0.0, 0.0, 0.0]))
    };
    let store = scene.database().create(&model()).await.unwrap();
    store.upsert(vec![picture(&folder)]).await.unwrap();
    scene.images = bob.path().into();
    let here = bob.path().canonicalize().unwrap();
    let store = scene.database().create(&model()).await.unwrap();
    let hits = store.search(embedding(&[1.0, 0.0, 0.0, 0.0]), 5).await.unwrap();
    assert_eq!(hits[0].id.location(), here.join("red.jpg"));
    // The same picture, so nothing is stored a second time.
    store.upsert(vec![picture(&here)]).await.unwrap();
    assert_eq!(texts(&scene.stub), ["red.jpg"]);
    // A folder of Alice's alone may be the image folder here.
    let elsewhere = Path::new("/alice/only");
    store.upsert(vec![picture(elsewhere)]).await.unwrap();
    let hits = store.search(embedding(&[1.0, 0.0, 0.0, 0.0]), 5).await.unwrap();
    assert!(hits.iter().all(|hit| hit.id.location() == here.join("red.jpg")), "{hits:?}");
    let folders = scene.database().spaces().await.unwrap().remove(0).folders;
    let told: Vec<_> = folders.iter().map(|folder| (&*folder.path, folder.here)).collect();
    assert_eq!(told, [(&*here, true), (elsewhere, false)]);
}

#[tokio::test]
async fn a_token_shows_nowhere() {
    let scene = Scene::new().await;
    let secret = "0f1e2d3c-very-secret";
    let settings = scene.settings();
    let mut shown = vec![format!("{settings:?} {}", settings.address.place())];
    scene.stub.fault("*", Fault::Unauthenticated);
    let refused = scene.database().open(&model()).await.err().unwrap();
    shown.push(format!("{refused} {refused:?}"));
    let wrong = scene.settings_with(
        "AstraCS:0f1e2d3c-very-secret",
        Reading { service: Some(Service::Astra), plain_http: false },
    );
    let refused = Database::new(wrong).open(&model()).await.err().unwrap();
    shown.push(format!("{refused} {refused:?}"));
    let shown = shown.concat();
    assert!(!shown.contains(secret), "{shown}");
    assert!(shown.contains("does not accept the token"), "{shown}");
}
