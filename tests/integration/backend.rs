//! The backend's protocol, on a real collection and small real checkpoints.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use carlens::backend::{
    Arithmetic, Backend, Collection, Event, Failure, ModelChoice, Priority, Prune, Query, Request,
    RequestId, Settings,
};
use carlens::domain::{Count, PixelSize};
use carlens::hub::Hub;
use image::{Rgb, RgbImage};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::small_disk::SmallDisk;
use crate::web_stub::{Page, WebStub};

/// Turns a hang into a failure; no test waits this long when all is well.
const PATIENCE: Duration = Duration::from_mins(1);

/// A folder of pictures and a place for a collection.
pub struct Scene {
    folder: TempDir,
}

impl Scene {
    /// `pictures` of them, each of another colour.
    pub fn with(pictures: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("cars")).unwrap();
        for n in 0..pictures {
            let [low, high] = n.to_le_bytes();
            let colour = Rgb([low.wrapping_mul(37), 255 - low, low.wrapping_mul(91)]);
            let other = Rgb([low, low, low ^ high.wrapping_mul(85)]);
            let picture = RgbImage::from_fn(64, 48, |x, y| {
                if (x / 8 + y / 8) % 2 == u32::from(n % 2) { colour } else { other }
            });
            picture.save(folder.path().join(format!("cars/{n:03}.png"))).unwrap();
        }
        Self { folder }
    }

    pub fn cars(&self) -> PathBuf {
        self.folder.path().join("cars").canonicalize().unwrap()
    }

    pub fn collection(&self) -> PathBuf {
        self.folder.path().join("cars.db")
    }

    fn backend(&self, checkpoint: &str) -> Backend {
        self.backend_with(checkpoint, self.collection())
    }

    fn backend_with(&self, checkpoint: &str, collection: PathBuf) -> Backend {
        self.backend_on(checkpoint, Collection::Embedded(collection))
    }

    pub fn backend_on(&self, checkpoint: &str, collection: Collection) -> Backend {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        Backend::spawn(Settings {
            model: ModelChoice::Folder(fixtures.join(checkpoint)),
            arithmetic: Arithmetic::default(),
            threads: None,
            priority: Priority::Usual,
            hub: Hub::new("http://127.0.0.1:9", self.folder.path().join("hub")).unwrap(),
            collection,
        })
    }

    pub fn load(&self, id: u64) -> Request {
        Request::Load { id: RequestId(id), folder: self.cars(), hidden: 0 }
    }
}

pub const TINY: &str = "clip-tiny-quick-gelu";
pub const OTHER: &str = "clip-tiny-gelu";

pub fn search(id: u64, words: &str) -> Request {
    Request::Search { id: RequestId(id), query: Query::Text(words.into()), limit: 5, within: None }
}

pub async fn next(backend: &mut Backend) -> Event {
    timeout(PATIENCE, backend.next_event()).await.expect("an event in time").expect("a backend")
}

/// Sends `request` and returns all its events, the final one last.
pub async fn answer(backend: &mut Backend, request: Request) -> Vec<Event> {
    let id = request.id();
    backend.send(request).await;
    let mut events = Vec::new();
    while !events.last().is_some_and(Event::is_final) {
        let event = next(backend).await;
        assert_eq!(event.request(), id, "{event:?}");
        events.push(event);
    }
    events
}

pub async fn last(backend: &mut Backend, request: Request) -> Event {
    answer(backend, request).await.pop().unwrap()
}

#[track_caller]
pub fn failed(event: &Event) -> &Failure {
    let Event::Failed(_, failure) = event else { panic!("no failure: {event:?}") };
    failure
}

async fn pictures(backend: &mut Backend, id: u64) -> Vec<u64> {
    match last(backend, Request::Status { id: RequestId(id) }).await {
        Event::StatusReported(_, status) => {
            status.spaces.iter().map(|s| s.pictures.pictures).collect()
        }
        event => panic!("{event:?}"),
    }
}

#[tokio::test]
async fn a_load_then_searches_by_words_and_by_picture() {
    let scene = Scene::with(20);
    let mut backend = scene.backend(TINY);
    let Event::LoadFinished(_, done) = last(&mut backend, scene.load(1)).await else { panic!() };
    assert_eq!((done.found, done.embedded, done.unchanged, done.failed), (20, 20, 0, 0));

    let query = Query::Picture(scene.cars().join("007.png"));
    let request = Request::Search { id: RequestId(2), query, limit: 3, within: None };
    let Event::SearchFinished(_, answer) = last(&mut backend, request).await else { panic!() };
    assert_eq!((answer.hits.len(), answer.searched), (3, Count::exactly(20)));
    assert_eq!(answer.hits[0].id.path(), Path::new("007.png"));
    assert!(answer.hits[0].similarity.cosine() > 0.9999);

    let Event::SearchFinished(_, answer) = last(&mut backend, search(3, "red")).await else {
        panic!()
    };
    assert!(answer.hits.is_sorted_by(|a, b| a.similarity >= b.similarity));
    backend.shutdown().await;
}

#[tokio::test]
async fn pictures_that_are_gone_are_erased_on_request_if_they_are_few() {
    let scene = Scene::with(20);
    let mut backend = scene.backend(TINY);
    last(&mut backend, scene.load(1)).await;
    let remove = |numbers: std::ops::Range<usize>| {
        numbers.for_each(|n| fs::remove_file(scene.cars().join(format!("{n:03}.png"))).unwrap());
    };
    remove(0..4);
    let pruning = |id, prune| Request::Prune { id: RequestId(id), folder: scene.cars(), prune };
    let event = last(&mut backend, pruning(2, Prune::Few)).await;
    assert!(matches!(event, Event::Pruned(_, 4)), "{event:?}");
    assert_eq!(pictures(&mut backend, 3).await, [16]);
    remove(4..9);
    let event = last(&mut backend, pruning(4, Prune::Few)).await;
    assert!(failed(&event).to_string().contains("5 of 16 are gone"), "{event:?}");
    assert_eq!(pictures(&mut backend, 5).await, [16]);
    let count = Request::CountGone { id: RequestId(6), folder: scene.cars() };
    assert!(matches!(last(&mut backend, count).await, Event::GoneCounted(_, 5)));
    last(&mut backend, pruning(7, Prune::All)).await;
    assert_eq!(pictures(&mut backend, 8).await, [11]);
}

#[tokio::test]
async fn a_search_is_answered_during_a_load() {
    for by_picture in [false, true] {
        let scene = Scene::with(200);
        let mut backend = scene.backend(TINY);
        backend.send(scene.load(1)).await;
        while !matches!(next(&mut backend).await, Event::LoadProgress(_, at) if at.walked) {}
        let picture = scene.cars().join("007.png");
        let query = if by_picture { Query::Picture(picture) } else { Query::Text("red".into()) };
        let id = RequestId(2);
        backend.send(Request::Search { id, query, limit: 5, within: None }).await;
        let mut finals = Vec::new();
        while finals.len() < 2 {
            finals.extend(Some(next(&mut backend).await).filter(Event::is_final));
        }
        assert!(matches!(finals[0], Event::SearchFinished(RequestId(2), _)), "{finals:?}");
        assert!(matches!(finals[1], Event::LoadFinished(RequestId(1), _)), "{finals:?}");
    }
}

#[tokio::test]
async fn every_request_gets_exactly_one_final_event() {
    let scene = Scene::with(60);
    let mut backend = scene.backend(TINY);
    let missing = Request::Load { id: RequestId(3), folder: "no/such/folder".into(), hidden: 0 };
    let bounds = PixelSize { width: 8, height: 8 };
    let thumbnail =
        |id| Request::Thumbnail { id: RequestId(id), path: scene.cars().join("001.png"), bounds };
    let requests = [
        scene.load(1),
        search(2, "red"),
        missing,
        search(4, "blue"),
        thumbnail(5),
        scene.load(6),
        thumbnail(7),
        Request::Status { id: RequestId(8) },
        search(9, ""),
        Request::Cancel(RequestId(1)),
        Request::Cancel(RequestId(99)),
        Request::Models { id: RequestId(10) },
        Request::Pull { id: RequestId(11), preset: "nope".into() },
        search(12, "green"),
    ];
    for request in requests {
        backend.send(request).await;
    }
    let mut finals: HashMap<RequestId, Event> = HashMap::new();
    while finals.len() < 12 {
        let event = next(&mut backend).await;
        assert!(!finals.contains_key(&event.request()), "after its end: {event:?}");
        if event.is_final() {
            finals.insert(event.request(), event);
        }
    }
    assert!(matches!(finals[&RequestId(12)], Event::SearchFinished(..)));
    assert!(matches!(finals[&RequestId(7)], Event::ThumbnailReady(..)));
    assert!(matches!(finals[&RequestId(6)], Event::LoadFinished(..)));
    assert_eq!(failed(&finals[&RequestId(3)]).causes, ["there is no such folder"]);
    assert_eq!(pictures(&mut backend, 13).await, [60]);
}

#[tokio::test]
async fn a_newer_search_supersedes_an_older_one() {
    let scene = Scene::with(1);
    let mut backend = scene.backend(TINY);
    for id in 1..=20 {
        backend.send(search(id, &"red car ".repeat(20))).await;
    }
    let mut finals = Vec::new();
    while finals.len() < 20 {
        finals.push(next(&mut backend).await);
    }
    let cancelled = finals.iter().filter(|event| matches!(event, Event::Cancelled(_))).count();
    assert!(cancelled > 0, "{finals:?}");
    let newest = finals.iter().find(|event| event.request() == RequestId(20));
    assert!(matches!(newest, Some(Event::SearchFinished(..))));
}

#[tokio::test]
async fn a_cancelled_load_keeps_whole_batches_and_the_next_one_does_the_rest() {
    let scene = Scene::with(200);
    let mut backend = scene.backend(TINY);
    backend.send(scene.load(1)).await;
    while !matches!(next(&mut backend).await, Event::LoadProgress(_, at) if at.walked) {}
    backend.send(Request::Cancel(RequestId(1))).await;
    let event = loop {
        let event = next(&mut backend).await;
        if event.is_final() {
            break event;
        }
    };
    assert!(matches!(event, Event::Cancelled(RequestId(1))), "{event:?}");
    let kept: u64 = pictures(&mut backend, 2).await.iter().sum();
    assert!(kept < 200, "{kept}");
    let Event::LoadFinished(_, done) = last(&mut backend, scene.load(3)).await else { panic!() };
    assert_eq!((done.unchanged as u64, done.embedded as u64), (kept, 200 - kept));
}

#[tokio::test]
async fn a_shutdown_during_a_load_puts_the_batch_in_hand_safe() {
    let scene = Scene::with(200);
    let mut backend = scene.backend(TINY);
    backend.send(scene.load(1)).await;
    while !matches!(next(&mut backend).await, Event::LoadProgress(_, at) if at.walked) {}
    timeout(PATIENCE, backend.shutdown()).await.expect("a shutdown in time");
    let mut backend = scene.backend(TINY);
    let Event::LoadFinished(_, done) = last(&mut backend, scene.load(1)).await else { panic!() };
    assert_eq!(done.done(), 200);
}

#[tokio::test]
async fn a_front_end_that_stops_listening_holds_up_no_shutdown() {
    let scene = Scene::with(10);
    let backend = scene.backend(TINY);
    for n in 0..200 {
        fs::write(scene.cars().join(format!("bad-{n}.png")), "bad").unwrap();
    }
    backend.send(scene.load(1)).await;
    timeout(PATIENCE, backend.shutdown()).await.expect("a shutdown in time");
}

#[tokio::test]
async fn a_collection_of_another_model_is_refused_and_left_as_it_is() {
    let scene = Scene::with(9);
    let mut first = scene.backend(TINY);
    answer(&mut first, scene.load(1)).await;
    let Event::SearchFinished(_, before) = last(&mut first, search(2, "red")).await else {
        panic!()
    };

    let mut second = scene.backend(OTHER);
    let refused = last(&mut second, search(1, "red")).await;
    let cause = failed(&refused).causes.join(" ");
    assert!(cause.contains(TINY) && cause.contains(OTHER), "{cause}");
    let events = answer(&mut second, scene.load(2)).await;
    let Event::LoadPlanned(_, plan) = &events[0] else { panic!("{events:?}") };
    assert!(plan.new_space && plan.other_models.len() == 1);
    assert_eq!(pictures(&mut second, 3).await, [9, 9]);

    let Event::SearchFinished(_, after) = last(&mut first, search(3, "red")).await else {
        panic!()
    };
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_broken_checkpoint_is_a_failure_with_a_hint_for_every_request() {
    let scene = Scene::with(1);
    let mut backend = scene.backend("pictures");
    for request in [Request::Status { id: RequestId(1) }, scene.load(2), search(3, "red")] {
        let event = last(&mut backend, request).await;
        let failure = failed(&event);
        assert!(failure.causes[0].contains("config.json") && failure.hint.is_some(), "{failure:?}");
    }
}

#[tokio::test]
async fn a_bad_file_is_an_entry_and_the_numbers_add_up() {
    let scene = Scene::with(3);
    fs::write(scene.cars().join("bad.jpg"), "bad").unwrap();
    fs::write(scene.cars().join("empty.jpg"), "").unwrap();
    let mut backend = scene.backend(TINY);
    let events = answer(&mut backend, scene.load(1)).await;
    let problems = events.iter().filter(|event| matches!(event, Event::PictureFailed(..))).count();
    let Some(Event::LoadFinished(_, done)) = events.last() else { panic!("{events:?}") };
    assert_eq!((problems, done.failed, done.embedded, done.found), (2, 2, 3, 5));
}

#[tokio::test]
async fn a_large_photo_is_found_by_itself_and_keeps_its_size() {
    let scene = Scene::with(20);
    let photo = image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/static/images/car-001.jpg"));
    let large = photo.unwrap().resize_exact(1600, 1200, image::imageops::FilterType::Triangle);
    let path = scene.cars().join("large.jpg");
    large.save(&path).unwrap();
    let mut backend = scene.backend(TINY);
    answer(&mut backend, scene.load(1)).await;
    let query = Query::Picture(path.clone());
    let request = Request::Search { id: RequestId(2), query, limit: 1, within: None };
    let event = last(&mut backend, request).await;
    let Event::SearchFinished(_, found) = event else { panic!("{event:?}") };
    assert_eq!(found.hits[0].id.location(), path);
    // The collection keeps embeddings in f16.
    assert!(found.hits[0].similarity.cosine() > 0.9999, "{:?}", found.hits);
    assert_eq!(found.hits[0].pixels, Some(PixelSize { width: 1600, height: 1200 }));
}

#[tokio::test]
async fn a_load_rests_until_it_is_told_to_go_on() {
    let scene = Scene::with(200);
    let mut backend = scene.backend(TINY);
    let pause = |paused| Request::Pause { load: RequestId(1), paused };
    backend.send(scene.load(1)).await;
    backend.send(pause(true)).await;
    let resting = loop {
        match next(&mut backend).await {
            Event::LoadProgress(_, progress) if progress.paused => break progress,
            event => assert!(!event.is_final(), "{event:?}"),
        }
    };
    // Only what was stored before is there, and it can be searched.
    let searched = last(&mut backend, search(2, "red")).await;
    if resting.embedded > 0 {
        let Event::SearchFinished(_, answer) = searched else { panic!("{searched:?}") };
        assert_eq!(answer.searched, Count::exactly(resting.embedded as u64));
    }
    backend.send(pause(false)).await;
    let done = loop {
        let event = next(&mut backend).await;
        if event.is_final() {
            break event;
        }
    };
    let Event::LoadFinished(_, done) = done else { panic!("{done:?}") };
    assert_eq!((done.embedded, done.paused), (200, false));
}

#[tokio::test]
async fn a_resting_load_can_be_given_up() {
    let scene = Scene::with(200);
    let mut backend = scene.backend(TINY);
    backend.send(scene.load(1)).await;
    backend.send(Request::Pause { load: RequestId(1), paused: true }).await;
    while !matches!(next(&mut backend).await, Event::LoadProgress(_, at) if at.paused) {}
    backend.send(Request::Cancel(RequestId(1))).await;
    let mut event = next(&mut backend).await;
    while !event.is_final() {
        event = next(&mut backend).await;
    }
    assert!(matches!(event, Event::Cancelled(RequestId(1))), "{event:?}");
}

#[tokio::test]
async fn pictures_are_exported_and_a_missing_one_is_an_entry() {
    let scene = Scene::with(3);
    let mut backend = scene.backend(TINY);
    let folder = scene.folder.path().join("best");
    let pictures = ["000.png", "002.png", "gone.png"].map(|name| scene.cars().join(name));
    let request =
        Request::Export { id: RequestId(1), pictures: pictures.into(), folder: folder.clone() };
    let event = last(&mut backend, request).await;
    let Event::Exported(_, exported) = event else { panic!("{event:?}") };
    assert_eq!((exported.copied, exported.failed.len()), (2, 1));
    let copy = fs::read(folder.join("002.png")).unwrap();
    assert_eq!(copy, fs::read(scene.cars().join("002.png")).unwrap());
}

#[tokio::test]
async fn a_load_that_finds_nothing_leaves_no_space() {
    let scene = Scene::with(0);
    let mut backend = scene.backend(TINY);
    answer(&mut backend, scene.load(1)).await;
    assert!(pictures(&mut backend, 2).await.is_empty());
}

/// The answer to a search for pictures like the one at an address that is
/// served like this.
async fn search_for_address(scene: &Scene, page: Page) -> Vec<Event> {
    let server = WebStub::serving(page).await;
    let query = Query::of_picture(server.address("car.png?key=secret").into());
    let request = Request::Search { id: RequestId(1), query, limit: 3, within: None };
    answer(&mut scene.backend(TINY), request).await
}

#[tokio::test]
async fn a_picture_at_an_address_is_shown_and_searched_for() {
    let scene = Scene::with(9);
    answer(&mut scene.backend(TINY), scene.load(1)).await;
    let body = fs::read(scene.cars().join("004.png")).unwrap();
    // Some servers call everything by this kind; the content tells.
    let kind = "application/octet-stream";
    let events = search_for_address(&scene, Page { status: "200 OK", kind, body }).await;
    let [Event::QueryPicture(_, shown), Event::SearchFinished(_, answer)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(shown.pixels, PixelSize { width: 64, height: 48 });
    assert_eq!(answer.hits[0].id.path(), Path::new("004.png"));
}

#[tokio::test]
async fn an_address_without_a_picture_says_what_is_there() {
    let scene = Scene::with(0);
    let page = |status, kind, body: &[u8]| Page { status, kind, body: body.to_vec() };
    let too_large = vec![0; (50 << 20) + 1];
    for (page, reason) in [
        (page("200 OK", "text/html; charset=utf-8", b"<html>"), "a web page"),
        (page("404 Not Found", "text/html", b"<html>"), "404"),
        (page("200 OK", "image/jpeg", b"no picture"), "not a picture"),
        (page("200 OK", "image/jpeg", &too_large), "more than 50 MB"),
    ] {
        let events = search_for_address(&scene, page).await;
        let failure = failed(events.last().unwrap());
        assert!(failure.causes.join(" ").contains(reason), "{failure:?}");
        assert!(!format!("{failure:?}").contains("secret"), "{failure:?}");
    }
}

#[tokio::test]
async fn a_load_counts_only_what_a_full_disk_has_taken() {
    let scene = Scene::with(200);
    let folder = scene.folder.path().join("disk");
    let Some(disk) = SmallDisk::mount(&folder, "2m") else { return };
    let collection = disk.path().join("cars.db");
    let mut backend = scene.backend_with(TINY, collection);
    let few = scene.folder.path().join("few");
    fs::create_dir(&few).unwrap();
    fs::copy(scene.cars().join("000.png"), few.join("000.png")).unwrap();
    answer(&mut backend, Request::Load { id: RequestId(1), folder: few, hidden: 0 }).await;
    disk.fill(96 << 10);
    let events = answer(&mut backend, scene.load(2)).await;
    let failure = failed(events.last().unwrap());
    assert!(failure.causes.join(" ").contains("full"), "{failure:?}");
    let counted = events.iter().filter_map(|event| match event {
        Event::LoadProgress(_, at) => Some((at.embedded + at.recognised) as u64),
        _ => None,
    });
    let stored: u64 = pictures(&mut backend, 3).await.iter().sum();
    assert_eq!(counted.max(), Some(stored - 1));
}
