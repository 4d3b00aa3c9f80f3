//! From one store to another and back, without the model.

use std::path::Path;

use carlens::backend::{Backend, Collection, Copied, CopyHow, Event, Request, RequestId};
use carlens::domain::Record;
use carlens::store::astra::Database;
use carlens::store::{Embedded, VectorStore};

use super::scene::{COLLECTION, Scene, texts};
use crate::backend::{self as pictures, TINY, failed, last, next};
use crate::data_api_stub::Fault;
use crate::store_samples::{id, random_embedding, record};

/// Components of the small checkpoint's embeddings.
const DIMENSION: usize = 16;

/// Two stores on one machine, and a backend that copies between them.
struct Desk {
    scene: Scene,
    machine: pictures::Scene,
    backend: Backend,
}

impl Desk {
    async fn new() -> Self {
        let (scene, machine) = (Scene::new().await, pictures::Scene::with(1));
        let file = Collection::Embedded(machine.cars().with_file_name("cars.db"));
        let backend = machine.backend_on(TINY, file);
        Self { scene, machine, backend }
    }

    fn file(&self, name: &str) -> Collection {
        Collection::Embedded(self.machine.cars().with_file_name(name))
    }

    fn database(&self) -> Collection {
        Collection::Astra(self.database_itself(), self.machine.cars().with_file_name("journal"))
    }

    fn database_itself(&self) -> Database {
        self.scene.database()
    }

    /// Stores `records` where the backend's model would have.
    async fn store(&mut self, to: &Collection, records: Vec<Record>) {
        let status = last(&mut self.backend, Request::Status { id: RequestId(1) }).await;
        let Event::StatusReported(_, status) = status else { panic!("{status:?}") };
        let (model, dimension) = (status.model, status.dimension);
        assert_eq!(dimension, DIMENSION);
        let spec = carlens::domain::CollectionSpec { model, dimension };
        to.create(&spec).await.unwrap().upsert(records).await.unwrap();
    }

    async fn copy(&mut self, from: Collection, to: Collection) -> Copied {
        self.copy_how(from, to, CopyHow::default()).await
    }

    async fn copy_how(&mut self, from: Collection, to: Collection, how: CopyHow) -> Copied {
        let id = RequestId(2);
        self.backend.send(Request::Copy { id, from, to, how }).await;
        loop {
            match next(&mut self.backend).await {
                Event::Copied(_, copied) => return copied,
                event if event.is_final() => panic!("{event:?}"),
                _ => {}
            }
        }
    }
}

fn records(count: u64) -> Vec<Record> {
    (0..count).map(|n| record(id(format!("{n:04}.jpg")), random_embedding(n, DIMENSION))).collect()
}

#[tokio::test]
async fn a_collection_is_copied_into_a_database_and_back() {
    let mut desk = Desk::new().await;
    let (file, back) = (desk.file("cars.db"), desk.file("back.db"));
    desk.store(&file, records(1500)).await;
    let copied = desk.copy(file.clone(), desk.database()).await;
    assert_eq!((copied.progress.copied, copied.progress.unchanged), (1500, 0));
    assert!(copied.verification.is_good(), "{:?}", copied.verification);
    assert_eq!((copied.verification.in_source, copied.verification.in_target), (1500, 1500));
    assert!(copied.verification.compared >= 30 && copied.verification.neighbours == 80);
    assert_eq!(texts(&desk.scene.stub).len(), 1500);
    let copied = desk.copy(desk.database(), back.clone()).await;
    assert_eq!(copied.progress.copied, 1500);
    assert!(copied.verification.is_good(), "{:?}", copied.verification);
    // Nothing is copied a second time, either way.
    for (from, to) in [(file, desk.database()), (desk.database(), back)] {
        let copied = desk.copy(from, to).await;
        assert_eq!((copied.progress.copied, copied.progress.unchanged), (0, 1500));
    }
}

#[tokio::test]
async fn a_copy_goes_on_where_it_stopped() {
    let mut desk = Desk::new().await;
    let file = desk.file("cars.db");
    desk.store(&file, records(900)).await;
    desk.scene.stub.fault("insertMany", Fault::HangUpAfter);
    desk.scene.stub.fault("insertMany", Fault::Half);
    desk.scene.stub.fault("find", Fault::Resuming);
    let copied = desk.copy(file.clone(), desk.database()).await;
    assert_eq!((copied.progress.copied, copied.progress.failed), (900, 0));
    // One is lost on the other side, and one is of an older file there.
    let store = desk.database_itself();
    let spec = {
        let status = last(&mut desk.backend, Request::Status { id: RequestId(3) }).await;
        let Event::StatusReported(_, status) = status else { panic!("{status:?}") };
        carlens::domain::CollectionSpec { model: status.model, dimension: status.dimension }
    };
    let store = store.create(&spec).await.unwrap();
    store.delete(vec![id("0007.jpg")]).await.unwrap();
    let older = record(id("0008.jpg"), random_embedding(9999, DIMENSION));
    store.upsert(vec![older]).await.unwrap();
    let copied = desk.copy(file, desk.database()).await;
    assert_eq!((copied.progress.copied, copied.progress.unchanged), (2, 898));
    assert!(copied.verification.is_good(), "{:?}", copied.verification);
}

#[tokio::test]
async fn what_did_not_arrive_is_found_out() {
    let mut desk = Desk::new().await;
    let file = desk.file("cars.db");
    desk.store(&file, records(20)).await;
    let status = last(&mut desk.backend, Request::Status { id: RequestId(3) }).await;
    let Event::StatusReported(_, status) = status else { panic!("{status:?}") };
    let spec = carlens::domain::CollectionSpec { model: status.model, dimension: status.dimension };
    let Collection::Embedded(path) = &file else { panic!() };
    let source = Embedded::open(path, &spec).await.unwrap();
    // The same stamp, and another picture's embedding.
    let known = source.known(vec![id("0003.jpg")]).await.unwrap();
    let wrong = Record {
        stamp: known[&id("0003.jpg")].stamp,
        ..record(id("0003.jpg"), random_embedding(77, DIMENSION))
    };
    desk.database_itself().create(&spec).await.unwrap().upsert(vec![wrong]).await.unwrap();
    let copied = desk.copy(file.clone(), desk.database()).await;
    assert_eq!(copied.progress.copied, 19);
    assert_eq!(copied.verification.alike, copied.verification.compared - 1);
    assert!(!copied.verification.is_good());
    let overwrite = CopyHow { overwrite: true, ..CopyHow::default() };
    let copied = desk.copy_how(file, desk.database(), overwrite).await;
    assert_eq!(copied.progress.copied, 20);
    assert!(copied.verification.is_good(), "{:?}", copied.verification);
}

#[tokio::test]
async fn what_the_articles_loader_stored_is_copied_as_it_is() {
    let mut desk = Desk::new().await;
    let options = serde_json::json!({ "vector": { "dimension": DIMENSION, "metric": "cosine" } });
    desk.scene.stub.create(COLLECTION, options);
    for n in 0..30_u64 {
        let vector: Vec<f32> =
            random_embedding(n, DIMENSION).as_slice().iter().map(|x| x * 9.0).collect();
        let document = serde_json::json!({ "_id": n.to_string(), "text": format!("{n}.jpg"), "$vector": vector });
        desk.scene.stub.put(COLLECTION, document);
    }
    let file = desk.file("article.db");
    // Whose they are is not for carlens to guess.
    let (from, to, how) = (desk.database(), file.clone(), CopyHow::default());
    let event = last(&mut desk.backend, Request::Copy { id: RequestId(1), from, to, how }).await;
    assert!(failed(&event).to_string().contains("does not say which model"), "{event:?}");
    let adopt = CopyHow { adopt: true, ..CopyHow::default() };
    let copied = desk.copy_how(desk.database(), file.clone(), adopt).await;
    assert_eq!((copied.progress.copied, copied.failed.len()), (30, 0));
    assert!(copied.verification.is_good(), "{:?}", copied.verification);
    let copied = desk.copy_how(desk.database(), file, adopt).await;
    assert_eq!((copied.progress.copied, copied.progress.unchanged), (0, 30));
}

#[tokio::test]
async fn a_collection_is_not_copied_onto_itself() {
    let mut desk = Desk::new().await;
    let (from, to) = (desk.file("cars.db"), desk.file("cars.db"));
    let event = last(
        &mut desk.backend,
        Request::Copy { id: RequestId(1), from, to, how: CopyHow::default() },
    )
    .await;
    assert!(failed(&event).to_string().contains("the same collection"), "{event:?}");
    let nothing = desk.file("nothing.db");
    let to = desk.database();
    let event = last(
        &mut desk.backend,
        Request::Copy { id: RequestId(2), from: nothing, to, how: CopyHow::default() },
    );
    assert!(failed(&event.await).to_string().contains("there is no collection"));
    assert!(!Path::new(&desk.machine.cars().with_file_name("nothing.db")).exists());
}
