//! From the offer of a better model to its use, without a restart.

use std::path::Path;
use std::time::Duration;

use carlens::backend::{
    Arithmetic, Backend, Collection, Event, ModelChoice, Priority, Request, RequestId, Settings,
    Status,
};
use carlens::hub::Hub;
use tokio::time::timeout;

use super::hub_stub::{HubStub, Revision};
use super::scene::{FILES, NAME};

/// A real checkpoint, small enough to be served.
fn checkpoint() -> Revision {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clip-tiny-quick-gelu");
    let files = FILES.map(|name| (name, std::fs::read(folder.join(name)).unwrap())).to_vec();
    Revision { repository: NAME, name: "main", commit: "c".repeat(40), files }
}

async fn next(backend: &mut Backend) -> Event {
    let event = timeout(Duration::from_mins(1), backend.next_event()).await;
    event.expect("an event in time").expect("a backend")
}

async fn status(backend: &mut Backend, id: u64) -> Status {
    backend.send(Request::Status { id: RequestId(id) }).await;
    match next(backend).await {
        Event::StatusReported(_, status) => status,
        event => panic!("{event:?}"),
    }
}

#[tokio::test]
async fn a_downloaded_model_is_used_at_once_and_not_offered_again() {
    let stub = HubStub::serve(vec![checkpoint()]).await;
    let folder = tempfile::tempdir().unwrap();
    let mut backend = Backend::spawn(Settings {
        model: ModelChoice::Auto,
        arithmetic: Arithmetic::default(),
        threads: None,
        priority: Priority::Usual,
        hub: Hub::new(&stub.endpoint(), folder.path().join("hub")).unwrap(),
        collection: Collection::Embedded(folder.path().join("cars.db")),
    });
    let before = status(&mut backend, 1).await;
    assert!(before.compact && before.offer.is_some());

    backend.send(Request::Pull { id: RequestId(2), preset: "clip-vit-b-32".into() }).await;
    let mut received = 0;
    loop {
        match next(&mut backend).await {
            Event::PullProgress(_, progress) => received = progress.received,
            Event::Pulled(..) => break,
            event => panic!("{event:?}"),
        }
    }
    assert!(received > 0);
    let after = status(&mut backend, 3).await;
    assert_eq!((after.model.name.as_str(), after.compact), ("clip-vit-b-32", false));
    assert!(after.offer.is_none());
    backend.shutdown().await;
}
