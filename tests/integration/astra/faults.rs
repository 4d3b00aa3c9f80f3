//! Everything that can go wrong, at every step of a load: afterwards each
//! picture is in the collection exactly once, with its own embedding.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use carlens::domain::{ImageId, Record};
use carlens::store::astra::{self, Database, Patience, Settings};
use carlens::store::{Error, Refused, VectorStore as _};

use super::scene::{COLLECTION, Scene, model, patience};
use crate::data_api_stub::Fault;
use crate::store_samples::{id, random_embedding, record};

const PICTURES: u64 = 500;

/// Pictures that are in the collection with an older embedding.
const CHANGED: u64 = 30;

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
    Halfway,
    OfChanged,
}

/// How a load has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// As if nothing had been.
    Mended,
    /// With an error that a person understands; the next load completes it.
    Named(&'static str),
}

fn faults() -> Vec<(&'static str, Fault, Expected)> {
    use Expected::{Mended, Named};
    let code =
        |code, family, message| Fault::ErrorCode { code, family, scope: "DATABASE", message };
    vec![
        ("asleep", Fault::Resuming, Mended),
        ("rate limit (200)", Fault::RateLimited, Mended),
        ("rate limit (429)", Fault::RetryAfter(429, 0), Mended),
        ("502 of a gateway", Fault::Status(502, "<html>Bad gateway</html>"), Mended),
        ("503, empty", Fault::Status(503, ""), Mended),
        ("write timeout", code("TIMEOUT_WRITING_DATA", "SERVER", "It took too long."), Mended),
        ("no answer", Fault::Hold, Mended),
        ("slow answer", Fault::Slow(Duration::from_millis(30)), Mended),
        ("hung up before", Fault::HangUpBefore, Mended),
        ("hung up after", Fault::HangUpAfter, Mended),
        ("reset", Fault::ResetMidRequest, Mended),
        ("hung up halfway", Fault::Half, Mended),
        ("truncated", Fault::Truncated, Mended),
        ("half of the JSON", Fault::HalfJson, Mended),
        ("a proxy's page", Fault::Html, Named("a web page instead")),
        ("bad token", Fault::Unauthenticated, Named("does not accept the token")),
        (
            "another's token",
            code("UNKNOWN_KEYSPACE", "REQUEST", "Unknown.").of_schema(),
            Named("no keyspace default_keyspace for this token"),
        ),
        (
            "index limit",
            code("TOO_MANY_INDEXES_FOR_COLLECTION", "REQUEST", "100 indexes are there."),
            Named("no room for another collection"),
        ),
    ]
}

impl Fault {
    /// The same, of the schema rather than of the database's state.
    fn of_schema(self) -> Self {
        match self {
            Self::ErrorCode { code, family, message, .. } => {
                Self::ErrorCode { code, family, scope: "SCHEMA", message }
            }
            fault => fault,
        }
    }
}

fn records() -> Vec<Record> {
    (0..PICTURES).map(|n| record(id(format!("{n:03}.jpg")), random_embedding(n, 4))).collect()
}

/// Loads what is missing or has changed, as the backend does.
async fn load(
    database: &Database,
    records: &[Record],
    halfway: impl FnOnce(),
) -> Result<Vec<Refused>, Error> {
    let store = database.create(&model()).await?;
    let ids: Vec<ImageId> = records.iter().map(|record| record.id.clone()).collect();
    let known = store.stamps(ids).await?;
    let is_missing = |record: &&Record| known.get(&record.id).copied() != record.stamp;
    let missing: Vec<Record> = records.iter().filter(is_missing).cloned().collect();
    let (first, second) = missing.split_at(missing.len() / 2);
    let mut refused = store.upsert(first.to_vec()).await?;
    halfway();
    refused.extend(store.upsert(second.to_vec()).await?);
    Ok(refused)
}

/// Each picture once, and as it was given.
async fn assert_complete(scene: &Scene, records: &[Record], cell: &str) {
    let documents = scene.stub.documents(COLLECTION);
    let mut times: HashMap<&str, u64> = HashMap::new();
    for text in documents.iter().filter_map(|document| document.get("text")?.as_str()) {
        *times.entry(text).or_default() += 1;
    }
    assert_eq!(times.len() as u64, PICTURES, "{cell}");
    assert!(times.values().all(|times| *times == 1), "{cell}: {times:?}");
    let store = scene.database().open(&model()).await.unwrap();
    let stored = store.get(records.iter().map(|r| r.id.clone()).collect()).await.unwrap();
    assert_eq!(stored.len(), records.len(), "{cell}");
    for (stored, given) in stored.iter().zip(records) {
        assert_eq!(stored.stamp, given.stamp, "{cell}");
        assert!(stored.embedding.similarity(&given.embedding).cosine() > 0.9999, "{cell}");
    }
}

/// One load with one fault; says how it ended.
async fn try_out(
    name: &'static str,
    fault: Fault,
    expected: Expected,
    step: (&str, When),
) -> &'static str {
    let (command, when) = step;
    let cell = format!("{name} at {command} {when:?}");
    let scene = Scene::new().await;
    let patience = Patience { answer: Duration::from_millis(250), ..patience() };
    let database = || Database::new(Settings { patience, ..scene.settings() });
    let records = records();
    if when == When::OfChanged {
        let older = |record: &Record| self::record(record.id.clone(), random_embedding(9999, 4));
        let older: Vec<Record> =
            records.iter().take(usize::try_from(CHANGED).unwrap()).map(older).collect();
        load(&scene.database(), &older, || {}).await.unwrap();
    }
    if when != When::Halfway {
        scene.stub.fault(command, fault.clone());
    }
    let halfway = || {
        if when == When::Halfway {
            scene.stub.fault(command, fault.clone());
        }
    };
    let ended = load(&database(), &records, halfway).await;
    assert_eq!(scene.stub.faults_left(), 0, "{cell}: the load never came there");
    let how = match (expected, ended) {
        (Expected::Mended, Ok(refused)) => {
            assert_eq!(refused, [], "{cell}");
            "mended"
        }
        (Expected::Named(words), Err(error)) => {
            assert!(error.to_string().contains(words), "{cell}: {error}");
            let Error::Database(error) = error else { panic!("{cell}: {error}") };
            assert!(error.advice().is_some_and(|advice| !advice.is_empty()), "{cell}");
            load(&database(), &records, || {}).await.unwrap();
            "named"
        }
        (expected, ended) => panic!("{cell}: {expected:?}, but {ended:?}"),
    };
    assert_complete(&scene, &records, &cell).await;
    how
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_each_picture_is_stored_exactly_once() {
    let mut table = format!("{:>18}", "");
    for (command, when) in STEPS {
        write!(table, " {:>17}", if when == When::Halfway { "… halfway" } else { command })
            .unwrap();
    }
    for (name, fault, expected) in faults() {
        write!(table, "\n{name:>18}").unwrap();
        let row = STEPS.map(|step| tokio::spawn(try_out(name, fault.clone(), expected, step)));
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
