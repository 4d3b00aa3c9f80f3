//! The backend's protocol with a collection in a database.

use std::path::{Path, PathBuf};
use std::time::Duration;

use carlens::backend::{Backend, Collection, Event, Query, Request, RequestId, WaitReason};
use carlens::store::astra::{Database, Patience, Settings};
use serde_json::json;

use super::scene::{COLLECTION, Scene, patience, texts};
use crate::backend::{self as pictures, OTHER, TINY, answer, failed, last, next, search};
use crate::data_api_stub::Fault;

/// A database, and a machine with pictures.
struct Shared {
    scene: Scene,
    machine: pictures::Scene,
}

impl Shared {
    async fn with(number: u16) -> Self {
        let machine = pictures::Scene::with(number);
        let scene = Scene { images: machine.cars(), ..Scene::new().await };
        Self { scene, machine }
    }

    fn backend(&self, checkpoint: &str, patience: Patience) -> Backend {
        let database = Database::new(Settings { patience, ..self.scene.settings() });
        self.machine.backend_on(checkpoint, Collection::Astra(database, self.journal()))
    }

    fn journal(&self) -> PathBuf {
        self.machine.cars().with_file_name("astra-journal")
    }
}

fn like(id: u64, picture: &Path) -> Request {
    let query = Query::Picture(picture.to_owned());
    Request::Search { id: RequestId(id), query, limit: 3, within: None }
}

#[tokio::test]
async fn a_folder_is_loaded_searched_and_loaded_again_at_no_cost() {
    let shared = Shared::with(30).await;
    let mut backend = shared.backend(TINY, patience());
    let Event::LoadFinished(_, done) = last(&mut backend, shared.machine.load(1)).await else {
        panic!()
    };
    assert_eq!((done.found, done.embedded, done.unchanged, done.failed), (30, 30, 0, 0));
    assert_eq!(texts(&shared.scene.stub).len(), 30);
    let seventh = shared.machine.cars().join("007.png");
    let Event::SearchFinished(_, found) = last(&mut backend, like(2, &seventh)).await else {
        panic!()
    };
    assert_eq!((found.hits.len(), found.searched.pictures), (3, 30));
    assert_eq!(found.hits[0].id.location(), seventh);
    assert!(found.hits[0].similarity.cosine() > 0.9999 && found.hits[0].pixels.is_some());
    backend.shutdown().await;

    let mut backend = shared.backend(TINY, patience());
    shared.scene.stub.forget_requests();
    let Event::LoadFinished(_, done) = last(&mut backend, shared.machine.load(1)).await else {
        panic!()
    };
    assert_eq!((done.embedded, done.unchanged), (0, 30));
    assert!(!shared.scene.commands().contains(&"insertMany".into()));
    let status = last(&mut backend, Request::Status { id: RequestId(2) }).await;
    let Event::StatusReported(_, status) = status else { panic!("{status:?}") };
    assert_eq!(status.folders_or("/other".into()), [shared.machine.cars()]);
    assert_eq!(status.space().unwrap().pictures.pictures, 30);
}

#[tokio::test]
async fn a_model_that_is_not_recorded_is_remarked_before_the_answer() {
    let shared = Shared::with(3).await;
    let mut backend = shared.backend(TINY, patience());
    last(&mut backend, shared.machine.load(1)).await;
    let stored = shared.scene.stub.documents(COLLECTION);
    backend.shutdown().await;
    // The same pictures as the article's loader would have stored them.
    let shared =
        Shared { scene: Scene { images: shared.machine.cars(), ..Scene::new().await }, ..shared };
    let vector = &stored.iter().find(|d| d.get("$vector").is_some()).unwrap()["$vector"];
    let bytes = vector["$binary"].as_str().unwrap().len() / 4 * 3 / 4;
    let options = json!({ "vector": { "dimension": bytes, "metric": "cosine" } });
    shared.scene.stub.create(COLLECTION, options);
    for (n, document) in stored.iter().filter(|d| d.get("text").is_some()).enumerate() {
        let document = json!({ "_id": n.to_string(), "text": document["text"], "$vector": document["$vector"] });
        shared.scene.stub.put(COLLECTION, document);
    }
    let mut backend = shared.backend(TINY, patience());
    let events = answer(&mut backend, search(1, "red")).await;
    let [Event::Remarked(_, remark), Event::SearchFinished(_, found)] = &events[..] else {
        panic!("{events:?}")
    };
    assert!(remark.text.contains("does not say which model"), "{remark:?}");
    assert_eq!(found.hits.len(), 3);
    assert!(found.hits.iter().all(|hit| hit.id.location().is_file()));
    let event = last(&mut backend, shared.machine.load(2)).await;
    assert!(failed(&event).hint.as_ref().unwrap().contains("--adopt"), "{event:?}");
}

#[tokio::test]
async fn another_model_is_refused_before_anything_is_embedded() {
    let shared = Shared::with(3).await;
    let mut backend = shared.backend(TINY, patience());
    last(&mut backend, shared.machine.load(1)).await;
    backend.shutdown().await;
    let mut backend = shared.backend(OTHER, patience());
    for request in [search(1, "red"), shared.machine.load(2)] {
        let event = last(&mut backend, request).await;
        let said = failed(&event).to_string();
        // Two small checkpoints may differ in the length of embeddings as well.
        assert!(said.contains("holds"), "{said}");
    }
}

#[tokio::test]
async fn a_database_that_wakes_up_is_waited_for_with_a_countdown() {
    let shared = Shared::with(2).await;
    let slow = Patience { resume_pause: Duration::from_millis(20), ..patience() };
    let mut backend = shared.backend(TINY, slow);
    for _ in 0..3 {
        shared.scene.stub.fault("*", Fault::Resuming);
    }
    let events = answer(&mut backend, shared.machine.load(1)).await;
    let waits: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Waiting(_, wait) => Some(wait.as_ref()),
            _ => None,
        })
        .collect();
    let first = waits[0].expect("a wait");
    assert_eq!(first.reason, WaitReason::Resuming);
    assert!(first.left > Duration::from_secs(9) && first.left <= Duration::from_secs(10));
    assert!(waits.last().unwrap().is_none(), "it is said that the wait is over");
    assert!(matches!(events.last(), Some(Event::LoadFinished(_, done)) if done.embedded == 2));
}

#[tokio::test]
async fn waiting_for_a_database_can_be_given_up() {
    for (command, request) in [("findCollections", 1), ("find", 2), ("insertMany", 3)] {
        let shared = Shared::with(20).await;
        let slow = Patience {
            resume_pause: Duration::from_mins(1),
            resume: Duration::from_mins(5),
            ..patience()
        };
        let mut backend = shared.backend(TINY, slow);
        shared.scene.stub.fault(command, Fault::Resuming);
        backend.send(shared.machine.load(request)).await;
        while !matches!(next(&mut backend).await, Event::Waiting(_, Some(_))) {}
        backend.send(Request::Cancel(RequestId(request))).await;
        let last = loop {
            let event = next(&mut backend).await;
            if event.is_final() {
                break event;
            }
        };
        assert!(matches!(last, Event::Cancelled(_)), "{command}: {last:?}");
        backend.shutdown().await;
    }
}

#[tokio::test]
async fn a_picture_that_the_database_refuses_is_listed_and_the_load_goes_on() {
    let shared = Shared::with(20).await;
    let mut backend = shared.backend(TINY, patience());
    last(&mut backend, shared.machine.load(1)).await;
    backend.shutdown().await;
    let refused =
        shared.scene.stub.documents(COLLECTION).into_iter().find(|d| d["text"] == "011.png");
    let key = refused.unwrap()["_id"].as_str().unwrap().to_owned();
    let again =
        Shared { scene: Scene { images: shared.machine.cars(), ..Scene::new().await }, ..shared };
    again.scene.stub.fault("insertMany", Fault::Refuse { id: key, code: "SHRED_BAD_FIELD_NAME" });
    let mut backend = again.backend(TINY, patience());
    let events = answer(&mut backend, again.machine.load(1)).await;
    let Some(Event::LoadFinished(_, done)) = events.last() else { panic!("{events:?}") };
    assert_eq!((done.embedded, done.failed), (19, 1));
    let problem = events.iter().find_map(|event| match event {
        Event::PictureFailed(_, problem) => Some(problem),
        _ => None,
    });
    let problem = problem.unwrap();
    assert_eq!(problem.path, Path::new("011.png"));
    assert!(problem.reason.contains("SHRED_BAD_FIELD_NAME"), "{problem:?}");
}

#[tokio::test]
async fn a_load_that_breaks_off_goes_on_where_it_stopped() {
    let shared = Shared::with(200).await;
    shared.scene.stub.set_limits(|limits| limits.delay = Duration::from_millis(60));
    let mut backend = shared.backend(TINY, patience());
    // Once it has begun, the line is dead for good.
    backend.send(shared.machine.load(1)).await;
    while !matches!(next(&mut backend).await, Event::LoadProgress(_, at) if at.embedded > 0) {}
    for _ in 0..200 {
        shared.scene.stub.fault("insertMany", Fault::HangUpAfter);
    }
    let ended = loop {
        let event = next(&mut backend).await;
        if event.is_final() {
            break event;
        }
    };
    let failure = failed(&ended);
    assert!(failure.to_string().contains("broke off"), "{failure}");
    assert!(failure.hint.as_ref().unwrap().contains("where it stopped"), "{failure:?}");
    backend.shutdown().await;
    shared.scene.stub.set_limits(|limits| limits.delay = Duration::ZERO);
    shared.scene.stub.mend();
    let mut backend = shared.backend(TINY, patience());
    let Event::LoadFinished(_, done) = last(&mut backend, shared.machine.load(3)).await else {
        panic!()
    };
    assert_eq!((done.embedded + done.unchanged, done.failed), (200, 0));
    let texts = texts(&shared.scene.stub);
    assert_eq!(texts.len(), 200);
    assert!(texts.is_sorted_by(|a, b| a < b), "each once");
}
