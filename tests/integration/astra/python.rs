//! `DataStax`'s own Python client beside ours: against the server that stands
//! in for the real one, which keeps that honest, and on the same collections.

use std::path::Path;
use std::process::Stdio;

use carlens::domain::{Embedding, ImageId, Record};
use carlens::store::VectorStore as _;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::scene::{COLLECTION, Scene, model};
use crate::data_api_stub::TOKEN;
use crate::store_samples::{random_embedding, record};

/// Runs `fixtures/data_api/story.py` with `input`; returns what it writes.
async fn python(scene: &Scene, arguments: &[&str], binary: bool, input: &str) -> String {
    let python = std::env::var("CARLENS_PYTHON").expect("CARLENS_PYTHON names a python3");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data_api/story.py");
    let mut command = Command::new(python);
    command.arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.env("ASTRA_DB_API_ENDPOINT", scene.stub.endpoint());
    command.env("ASTRA_DB_APPLICATION_TOKEN", TOKEN);
    command.env("BINARY", if binary { "1" } else { "0" });
    let mut running = command.stderr(Stdio::piped()).spawn().unwrap();
    running.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = running.wait_with_output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
#[ignore = "needs Python's astrapy 2.3.2: CARLENS_PYTHON=/path/to/python3"]
async fn the_official_client_works_with_the_server_of_these_tests() {
    for binary in [true, false] {
        let told = python(&Scene::new().await, &["story"], binary, "").await;
        assert!(told.contains("ends well"), "{told}");
    }
}

#[tokio::test]
#[ignore = "needs Python's astrapy 2.3.2: CARLENS_PYTHON=/path/to/python3"]
async fn the_official_client_reads_what_carlens_wrote() {
    let scene = Scene { images: "/cars".into(), ..Scene::new().await };
    let store = scene.database().create(&model()).await.unwrap();
    let record = |n| {
        record(
            ImageId::new(Path::new("/cars"), Path::new(&format!("{n}.jpg"))),
            random_embedding(n, 4),
        )
    };
    let records: Vec<Record> = (0..130).map(record).collect();
    store.upsert(records.clone()).await.unwrap();
    let query = random_embedding(500, 4);
    let asked = json!({ "vector": query.as_slice(), "limit": 10 }).to_string();
    let theirs = lines(&python(&scene, &["read", COLLECTION], true, &asked).await);
    let ours = store.search(query, 10).await.unwrap();
    assert_eq!(theirs.len(), 10);
    for (theirs, ours) in theirs.iter().zip(ours) {
        assert_eq!(theirs["text"].as_str(), ours.id.path().to_str());
        let cosine = theirs["similarity"].as_f64().unwrap() * 2.0 - 1.0;
        assert!((cosine - f64::from(ours.similarity.cosine())).abs() < 1e-5, "{theirs}");
    }
    let documents = lines(&python(&scene, &["dump", COLLECTION], true, "").await);
    let vector = |document: &Value| -> Option<Embedding> {
        let components = document.get("$vector")?.as_array()?.iter().map(Value::as_f64);
        #[expect(clippy::cast_possible_truncation, reason = "as it was stored")]
        Embedding::normalize(components.map(|x| x.unwrap_or(f64::NAN) as f32).collect())
    };
    for record in records {
        let text = record.id.path().to_str();
        let theirs = documents.iter().find(|document| document["text"].as_str() == text).unwrap();
        let cosine = vector(theirs).unwrap().similarity(&record.embedding).cosine();
        assert!(cosine > 0.999_999, "{theirs}");
    }
}

#[tokio::test]
#[ignore = "needs Python's astrapy 2.3.2: CARLENS_PYTHON=/path/to/python3"]
async fn carlens_reads_what_the_official_client_wrote() {
    for binary in [true, false] {
        let scene = Scene { images: "/cars".into(), ..Scene::new().await };
        let written: Vec<String> = (0..60_u64)
            .map(|n| {
                let vector: Vec<f32> =
                    random_embedding(n, 4).as_slice().iter().map(|x| x * 7.0).collect();
                let document =
                    json!({ "_id": n.to_string(), "text": format!("{n}.jpg"), "$vector": vector });
                document.to_string()
            })
            .collect();
        python(&scene, &["write", COLLECTION, "4"], binary, &written.join("\n")).await;
        let store = scene.database().open(&model()).await.unwrap();
        assert!(!store.is_of_known_origin());
        assert_eq!(store.count().await.unwrap().pictures, 60);
        for n in [0, 7, 59] {
            let hits = store.search(random_embedding(n, 4), 1).await.unwrap();
            assert_eq!(hits[0].id.location(), Path::new(&format!("/cars/{n}.jpg")));
            assert!(hits[0].similarity.cosine() > 0.99999, "{hits:?}");
        }
    }
}
