//! Everything that can go wrong, at every step of a load: afterwards each
//! picture is in the collection exactly once, with its own embedding.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use carlens::backend::{Backend, Collection, Event};
use carlens::domain::{CollectionSpec, FileStamp, ImageId, Record};
use carlens::store::astra::{self, Database, Patience, Settings};
use carlens::store::{Error, VectorStore};

use super::scene::{COLLECTION, Scene, model, patience};
use crate::backend::{self as pictures, TINY, last, next};
use crate::data_api_stub::Fault;

const PICTURES: usize = 500;

/// Pictures that are in the collection as of an older file.
const CHANGED: usize = 30;

/// What a load asks on its way, and when the fault happens.
const STEPS: [(&str, When); 10] = [
    ("findCollections", When::AtStart),
    ("createCollection", When::AtStart),
    ("findOne", When::AtStart),
    ("countDocuments", When::AtStart),
    ("insertOne", When::AtStart),
    ("updateOne", When::AtStart),
    ("find", When::AtStart),
    ("insertMany", When::AtStart),
    ("insertMany", When::Halfway),
    ("findOneAndReplace", When::OfChanged),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    AtStart,
    /// Once half of the pictures are stored.
    Halfway,
    /// Where some pictures are there already, as of older files.
    OfChanged,
}

/// How a load has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// As if nothing had been.
    Mended,
    /// With an error that a person understands; the next load completes it.
    Named(&'static str),
    /// The same, except that storing goes on: the batch is halved, and one
    /// picture alone is listed as failed.
    NamedButStored(&'static str),
}

fn faults() -> Vec<(&'static str, Fault, Expected)> {
    use Expected::{Mended, Named, NamedButStored};
    let code = |code, family, scope| Fault::ErrorCode { code, family, scope, message: "It is so." };
    vec![
        ("asleep", Fault::Resuming, Mended),
        ("rate limit (200)", Fault::RateLimited, Mended),
        ("rate limit (429)", Fault::RetryAfter(429, 0), Mended),
        ("502 of a gateway", Fault::Status(502, "<html>Bad gateway</html>"), Mended),
        ("503, empty", Fault::Status(503, ""), Mended),
        ("write timeout", code("TIMEOUT_WRITING_DATA", "SERVER", "DATABASE"), Mended),
        ("no answer", Fault::Hold, Mended),
        ("slow answer", Fault::Slow(Duration::from_millis(30)), Mended),
        ("hung up before", Fault::HangUpBefore, Mended),
        ("hung up after", Fault::HangUpAfter, Mended),
        ("reset", Fault::ResetMidRequest, Mended),
        ("hung up halfway", Fault::Half, Mended),
        ("truncated", Fault::Truncated, Mended),
        ("half of the JSON", Fault::HalfJson, Mended),
        ("a proxy's page", Fault::Html, Named("a web page instead")),
        ("wrong endpoint", Fault::Status(404, ""), Named("no Data API below")),
        ("bad token", Fault::Unauthenticated, Named("does not accept the token")),
        (
            "another's token",
            code("UNKNOWN_KEYSPACE", "REQUEST", "SCHEMA"),
            Named("no keyspace default_keyspace for this token"),
        ),
        (
            "index limit",
            code("TOO_MANY_INDEXES_FOR_COLLECTION", "REQUEST", "DATABASE"),
            Named("no room for another collection"),
        ),
        ("too large", Fault::Status(413, ""), NamedButStored("as too large")),
    ]
}

/// Pictures, and what a load without any fault makes of them.
struct Original {
    machine: pictures::Scene,
    spec: CollectionSpec,
    records: Vec<Record>,
}

impl Original {
    async fn new() -> Self {
        let machine = pictures::Scene::with(u16::try_from(PICTURES).unwrap());
        let file = Collection::Embedded(machine.cars().with_file_name("original.db"));
        let mut backend = machine.backend_on(TINY, file.clone());
        let Event::LoadFinished(_, done) = last(&mut backend, machine.load(1)).await else {
            panic!()
        };
        assert_eq!(done.embedded, PICTURES);
        let spaces = file.spaces().await.unwrap();
        let model = spaces[0].model.clone().unwrap();
        let spec = CollectionSpec { model, dimension: spaces[0].dimension };
        let store = file.open(&spec).await.unwrap();
        let ids =
            (0..PICTURES).map(|n| ImageId::new(machine.cars(), format!("{n:03}.png").as_ref()));
        let records = store.get(ids.collect()).await.unwrap();
        assert_eq!(records.len(), PICTURES);
        Self { machine, spec, records }
    }

    /// Some of the pictures, as if of older files.
    fn older(&self) -> Vec<Record> {
        let other = self.records.last().unwrap().embedding.clone();
        let older = |record: &Record| {
            let stamp = FileStamp { size: 1, modified: 1, hash: [1; 32] };
            Record { stamp: Some(stamp), embedding: other.clone(), ..record.clone() }
        };
        self.records.iter().take(CHANGED).map(older).collect()
    }

    /// Each picture once, as it should be.
    async fn assert_complete(&self, scene: &Scene, cell: &str) {
        let documents = scene.stub.documents(COLLECTION);
        let mut times: HashMap<&str, u64> = HashMap::new();
        for text in documents.iter().filter_map(|document| document.get("text")?.as_str()) {
            *times.entry(text).or_default() += 1;
        }
        assert_eq!(times.len(), PICTURES, "{cell}");
        assert!(times.values().all(|times| *times == 1), "{cell}: {times:?}");
        let store = scene.database().open(&self.spec).await.unwrap();
        let stored = store.get(self.records.iter().map(|r| r.id.clone()).collect()).await.unwrap();
        assert_eq!(stored.len(), PICTURES, "{cell}");
        for (stored, original) in stored.iter().zip(&self.records) {
            assert_eq!((&stored.id, stored.stamp), (&original.id, original.stamp), "{cell}");
            let cosine = stored.embedding.similarity(&original.embedding).cosine();
            assert!(cosine > 0.9999, "{cell}: {:?} {cosine}", stored.id);
        }
    }
}

/// How one load ended.
struct Ended {
    event: Event,
    problems: usize,
}

/// Loads the pictures; once half of them are stored, does what is to be done
/// `halfway`.
async fn load(original: &Original, mut backend: Backend, halfway: impl FnOnce()) -> Ended {
    backend.send(original.machine.load(1)).await;
    let (mut halfway, mut problems) = (Some(halfway), 0);
    let event = loop {
        match next(&mut backend).await {
            Event::LoadProgress(_, at) if at.embedded >= PICTURES / 2 => {
                if let Some(halfway) = halfway.take() {
                    halfway();
                }
            }
            Event::PictureFailed(..) => problems += 1,
            event if event.is_final() => break event,
            _ => {}
        }
    };
    backend.shutdown().await;
    Ended { event, problems }
}

/// One load with one fault; says how it ended.
async fn try_out(
    original: Arc<Original>,
    (name, fault, expected): (&'static str, Fault, Expected),
    (command, when): (&'static str, When),
) -> &'static str {
    let cell = format!("{name} at {command} {when:?}");
    let scene = Scene { images: original.machine.cars(), ..Scene::new().await };
    let backend = || {
        // Enough for an answer on a busy machine.
        let wait = Duration::from_secs(2);
        let patience = Patience { answer: wait, slow_answer: wait, ..patience() };
        let database = Database::new(Settings { patience, ..scene.settings() });
        let journal = scene.images.with_file_name("journal");
        original.machine.backend_on(TINY, Collection::Astra(database, journal))
    };
    if when == When::OfChanged {
        let store = scene.database().create(&original.spec).await.unwrap();
        store.upsert(original.older()).await.unwrap();
    }
    if when == When::Halfway {
        // So that there is another half.
        scene.stub.set_limits(|limits| limits.delay = Duration::from_millis(20));
    } else {
        scene.stub.fault(command, fault.clone());
    }
    let halfway = || {
        if when == When::Halfway {
            scene.stub.fault(command, fault.clone());
            scene.stub.set_limits(|limits| limits.delay = Duration::ZERO);
        }
    };
    let Ended { event, problems } = load(&original, backend(), halfway).await;
    assert_eq!(scene.stub.faults_left(), 0, "{cell}: the load never came there");
    let how = match (expected, event) {
        (Expected::Mended, Event::LoadFinished(_, done)) => {
            assert_eq!((done.embedded, problems), (PICTURES, 0), "{cell}");
            "mended"
        }
        (Expected::NamedButStored(_), Event::LoadFinished(_, done)) => {
            assert!(command == "insertMany" || command == "findOneAndReplace", "{cell}");
            assert_eq!((done.embedded + problems, done.failed), (PICTURES, problems), "{cell}");
            load(&original, backend(), || {}).await;
            if problems == 0 { "halved" } else { "listed" }
        }
        (Expected::Named(said) | Expected::NamedButStored(said), Event::Failed(_, failure)) => {
            assert!(failure.to_string().contains(said), "{cell}: {failure}");
            assert!(failure.hint.is_some_and(|hint| !hint.is_empty()), "{cell}");
            let again = load(&original, backend(), || {}).await;
            assert!(matches!(again.event, Event::LoadFinished(..)), "{cell}: {:?}", again.event);
            "named"
        }
        (expected, event) => panic!("{cell}: {expected:?}, but {event:?}"),
    };
    original.assert_complete(&scene, &cell).await;
    how
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_each_picture_is_stored_exactly_once() {
    let original = Arc::new(Original::new().await);
    let mut table = format!("{:>18}", "");
    for (command, when) in STEPS {
        let halfway = when == When::Halfway;
        write!(table, " {:>17}", if halfway { "… halfway" } else { command }).unwrap();
    }
    for fault in faults() {
        write!(table, "\n{:>18}", fault.0).unwrap();
        let cell = |step| tokio::spawn(try_out(Arc::clone(&original), fault.clone(), step));
        let row = STEPS.map(cell);
        for cell in row {
            write!(table, " {:>17}", cell.await.unwrap()).unwrap();
        }
    }
    #[expect(clippy::print_stdout, reason = "shown with --nocapture")]
    {
        println!("{table}");
    }
}

#[tokio::test]
async fn what_does_not_pass_is_given_up_after_a_while() {
    let scene = Scene::new().await;
    let brief = Patience { resume: Duration::from_millis(40), ..patience() };
    for (fault, said) in [
        (Fault::HangUpBefore, "broke off"),
        (Fault::Status(502, "<html>"), "HTTP status 502"),
        (Fault::HalfJson, "broken JSON"),
        (Fault::RateLimited, "too many of them"),
        (Fault::Resuming, "was asleep"),
    ] {
        for _ in 0..20 {
            scene.stub.fault("findCollections", fault.clone());
        }
        let database = Database::new(Settings { patience: brief, ..scene.settings() });
        let error = database.open(&model()).await.err().unwrap();
        assert!(error.to_string().contains(said), "{error}");
        scene.stub.mend();
    }
}

#[tokio::test]
async fn a_host_that_is_not_there_is_said_soon() {
    let scene = Scene::new().await;
    let settings = scene.settings();
    drop(scene);
    let error = Database::new(settings).open(&model()).await.err().unwrap();
    let Error::Database(error @ astra::Error::Unreachable { .. }) = &error else {
        panic!("{error}")
    };
    assert!(error.advice().unwrap().contains("endpoint"), "{error}");
}
