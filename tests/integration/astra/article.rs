//! Collections shared with the app of `DataStax`'s article, both ways.

use std::path::Path;

use carlens::domain::{Embedding, ImageId, Record};
use carlens::store::astra::{self, Database, Settings};
use carlens::store::{Error, VectorStore as _};
use serde_json::{Value, json};

use super::scene::{COLLECTION, Scene, model, texts};
use crate::store_samples::{embedding, random_embedding, record};

/// As the article's loader makes its collection.
fn made_by_the_article(scene: &Scene) {
    scene.stub.create(COLLECTION, json!({ "vector": { "dimension": 4, "metric": "cosine" } }));
}

/// What its loader stores, file after file: numbers, not of unit length.
fn loaded_by_the_article(scene: &Scene, names: &[&str]) {
    made_by_the_article(scene);
    for (n, name) in names.iter().enumerate() {
        let vector = raw(n);
        scene
            .stub
            .put(COLLECTION, json!({ "_id": n.to_string(), "text": name, "$vector": vector }));
    }
}

fn raw(n: usize) -> Vec<f32> {
    random_embedding(n as u64, 4).as_slice().iter().map(|x| x * 10.5).collect()
}

fn adopting(scene: &Scene) -> Database {
    Database::new(Settings { adopt: true, ..scene.settings() })
}

#[tokio::test]
async fn what_the_articles_loader_stored_is_searched_and_shown_from_the_image_folder() {
    let scene = Scene { images: "/cars".into(), ..Scene::new().await };
    loaded_by_the_article(&scene, &["101.jpg", "102.jpg", "103.jpg"]);
    let store = scene.database().open(&model()).await.unwrap();
    assert!(!store.is_of_known_origin());
    let hits = store.search(Embedding::normalize(raw(1)).unwrap(), 3).await.unwrap();
    assert_eq!(hits[0].id.location(), Path::new("/cars/102.jpg"));
    assert!((hits[0].similarity.cosine() - 1.0).abs() < 1e-5, "{hits:?}");
    let summary = scene.database().spaces().await.unwrap().remove(0);
    assert_eq!((summary.model, summary.pictures.pictures), (None, 3));
    let records = store.get(hits.iter().map(|hit| hit.id.clone()).collect()).await.unwrap();
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(|record| record.stamp.is_none()));
}

#[tokio::test]
async fn pictures_of_an_unknown_model_are_not_mixed_unless_the_user_knows() {
    let scene = Scene { images: "/cars".into(), ..Scene::new().await };
    loaded_by_the_article(&scene, &["101.jpg", "102.jpg"]);
    let refused = scene.database().create(&model()).await.err().unwrap();
    let Error::Database(error @ astra::Error::UnknownOrigin { .. }) = &refused else {
        panic!("{refused}")
    };
    assert!(error.advice().unwrap().contains("--adopt"));
    assert_eq!(scene.stub.documents(COLLECTION).len(), 2, "nothing was changed");

    // Its own ids are kept, so that nothing is there twice.
    let store = adopting(&scene).create(&model()).await.unwrap();
    let id = |name: &str| ImageId::new(Path::new("/cars"), Path::new(name));
    let again: Vec<Record> = ["102.jpg", "103.jpg"]
        .map(|name| record(id(name), embedding(&[0.0, 0.0, 1.0, 0.0])))
        .into();
    store.upsert(again).await.unwrap();
    assert_eq!(texts(&scene.stub), ["101.jpg", "102.jpg", "103.jpg"]);
    let replaced = scene.stub.documents(COLLECTION).into_iter().find(|d| d["text"] == "102.jpg");
    assert_eq!(replaced.unwrap()["_id"], "1");
    // From now on the collection says whose it is, also to a later load.
    let store = scene.database().create(&model()).await.unwrap();
    assert!(store.is_of_known_origin());
    let known = store.known(vec![id("102.jpg"), id("101.jpg")]).await.unwrap();
    assert_eq!(known.values().filter(|known| known.stamp.is_some()).count(), 1);
    assert_eq!(store.delete(vec![id("101.jpg")]).await.unwrap(), 1);
    assert_eq!(texts(&scene.stub), ["102.jpg", "103.jpg"]);
}

#[tokio::test]
async fn the_articles_query_finds_what_carlens_stored() {
    let scene = Scene { images: "/cars".into(), ..Scene::new().await };
    let store = scene.database().create(&model()).await.unwrap();
    let id = |name: &str| ImageId::new(Path::new("/cars"), Path::new(name));
    let records =
        (0..5).map(|n| record(id(&format!("{n}.jpg")), random_embedding(n, 4))).collect::<Vec<_>>();
    store.upsert(records).await.unwrap();
    // As its Python client of that time asks.
    let query = json!({ "find": {
        "filter": {}, "projection": { "text": true, "$vector": true },
        "options": { "limit": 1 }, "sort": { "$vector": raw(3) },
    } });
    let found = scene.ask(&query).await;
    assert_eq!(found["data"]["documents"][0]["text"], "3.jpg");
    let documents = scene.stub.documents(COLLECTION);
    let pictures = documents.iter().filter(|d| d.get("text").is_some());
    for document in pictures {
        assert!(document["$vector"]["$binary"].is_string(), "{document}");
    }
}

#[tokio::test]
async fn the_record_of_the_model_is_met_by_nobody_else() {
    let scene = Scene::new().await;
    scene.database().create(&model()).await.unwrap();
    let query = json!({ "find": {
        "filter": {}, "sort": { "$vector": [1, 0, 0, 0] }, "options": { "limit": 10 },
    } });
    assert_eq!(scene.ask(&query).await["data"]["documents"], json!([]));
    assert_eq!(scene.database().open(&model()).await.unwrap().count().await.unwrap().pictures, 0);
}

impl Scene {
    /// What another client is answered.
    async fn ask(&self, command: &Value) -> Value {
        let url = format!("{}/api/json/v1/default_keyspace/{COLLECTION}", self.stub.endpoint());
        let request = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let request = request.post(url).header("Token", crate::data_api_stub::TOKEN).json(command);
        request.send().await.unwrap().json().await.unwrap()
    }
}
