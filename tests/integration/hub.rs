//! Pulling a checkpoint, from a hub that does everything a network can do.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the message")]

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use carlens::hub::{Error, Hub, Patience, Preset, PullProgress, PullStep, Repository, Secret};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

#[path = "support/hub_stub.rs"]
mod hub_stub;

use hub_stub::{Fault, HubStub, Revision, SIGNATURE, Server, etag};

const NAME: &str = "openai/clip-vit-base-patch32";
const WEIGHTS: &str = "model.safetensors";
const FILES: [&str; 4] = ["config.json", "tokenizer.json", "preprocessor_config.json", WEIGHTS];

/// A checkpoint in name only: to the hub, content is content.
fn checkpoint(digit: char) -> Revision {
    let content = |name: &str, length: usize| {
        let seed = name.len() + digit as usize;
        (0..length).map(|i| (i * i / 7 + i + seed).to_le_bytes()[0]).collect::<Vec<u8>>()
    };
    let mut files = FILES.map(|name| (name, content(name, 700))).to_vec();
    files[3].1 = content(WEIGHTS, 3_000_000);
    files.push(("pytorch_model.bin", content("pickle", 20_000)));
    files.push(("README.md", content("readme", 50)));
    Revision { repository: NAME, name: "main", commit: digit.to_string().repeat(40), files }
}

fn content<'a>(revision: &'a Revision, name: &str) -> &'a [u8] {
    &revision.files.iter().find(|(file, _)| *file == name).unwrap().1
}

/// A hub that serves one checkpoint, and an empty cache.
struct Scene {
    stub: HubStub,
    cache: TempDir,
    revision: Revision,
    repository: Repository,
}

impl Scene {
    async fn new() -> Self {
        let revision = checkpoint('a');
        let stub = HubStub::serve(vec![revision.clone()]).await;
        let cache = tempfile::tempdir().unwrap();
        Self { stub, cache, revision, repository: Repository::parse(NAME).unwrap() }
    }

    fn hub(&self) -> Hub {
        let patience = Patience {
            pause: Duration::ZERO,
            lock: Duration::from_millis(1),
            attempts: 3,
            ..Patience::default()
        };
        Hub::new(&self.stub.endpoint(), self.cache.path()).unwrap().with_patience(patience)
    }

    /// A hub that takes the first failure for an answer.
    fn impatient_hub(&self) -> Hub {
        self.hub().with_patience(Patience { attempts: 1, ..Patience::default() })
    }

    async fn pull(&self) -> Result<PathBuf, Error> {
        self.pull_from(&self.hub()).await
    }

    async fn pull_from(&self, hub: &Hub) -> Result<PathBuf, Error> {
        hub.pull(&self.repository, |_| {}, &CancellationToken::new()).await
    }

    fn found(&self) -> Option<PathBuf> {
        self.hub().find(&self.repository)
    }

    fn folder(&self) -> PathBuf {
        self.cache.path().join("models--openai--clip-vit-base-patch32")
    }

    fn blob(&self, name: &str) -> PathBuf {
        self.folder().join("blobs").join(etag(content(&self.revision, name)))
    }

    fn incomplete(&self) -> PathBuf {
        self.blob(WEIGHTS).with_extension("incomplete")
    }

    fn weights(&self) -> &[u8] {
        content(&self.revision, WEIGHTS)
    }

    /// Leaves `content` behind as a pull that broke off would.
    fn leave_incomplete(&self, content: &[u8]) {
        fs::create_dir_all(self.folder().join("blobs")).unwrap();
        fs::write(self.incomplete(), content).unwrap();
    }

    fn assert_complete(&self, folder: &Path) {
        for name in FILES {
            assert!(
                fs::read(folder.join(name)).unwrap() == content(&self.revision, name),
                "{name}"
            );
        }
    }

    /// Nothing that anyone could take for a model.
    fn assert_nothing_found(&self) {
        assert_eq!(self.found(), None);
        assert!(!self.folder().join("refs").exists());
        assert!(!self.folder().join("snapshots").exists());
    }
}

#[tokio::test]
async fn a_pull_makes_the_layout_python_makes() {
    let scene = Scene::new().await;
    let folder = scene.pull().await.unwrap();
    let commit = &scene.revision.commit;
    assert_eq!(folder, scene.folder().join("snapshots").join(commit));
    scene.assert_complete(&folder);
    for name in FILES {
        let target = Path::new("../../blobs").join(etag(content(&scene.revision, name)));
        #[cfg(unix)]
        assert_eq!(fs::read_link(folder.join(name)).unwrap(), target);
        assert!(folder.join(target).is_file());
    }
    assert_eq!(fs::read_to_string(scene.folder().join("refs/main")).unwrap(), *commit);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), FILES.len(), "only what is needed");
    assert_eq!(fs::read_dir(scene.folder().join("blobs")).unwrap().count(), FILES.len());
    assert_eq!(scene.found(), Some(folder));
}

#[tokio::test]
async fn a_dropped_connection_is_taken_up_where_it_broke() {
    let scene = Scene::new().await;
    scene.stub.fault("GET model.safetensors", Fault::DropAfter(1_000_000));
    scene.stub.fault("GET model.safetensors", Fault::DropAfter(500_000));
    let folder = scene.pull().await.unwrap();
    scene.assert_complete(&folder);
    let ranges = [None, Some("bytes=1000000-".to_owned()), Some("bytes=1500000-".to_owned())];
    assert_eq!(scene.stub.ranges(), ranges);
}

#[tokio::test]
async fn a_later_pull_goes_on_where_an_earlier_one_gave_up() {
    let scene = Scene::new().await;
    scene.stub.fault("GET model.safetensors", Fault::DropAfter(1_000_000));
    let error = scene.pull_from(&scene.impatient_hub()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.hint().contains("goes on from where it stopped"));
    scene.assert_nothing_found();
    assert_eq!(fs::metadata(scene.incomplete()).unwrap().len(), 1_000_000);

    let mut last = None;
    let cancel = CancellationToken::new();
    let report = |progress| last = Some(progress);
    let folder = scene.hub().pull(&scene.repository, report, &cancel).await.unwrap();
    scene.assert_complete(&folder);
    assert_eq!(scene.stub.ranges(), [None, Some("bytes=1000000-".to_owned())]);
    let last = last.unwrap();
    let total = 3_000_000 + 3 * 700;
    assert_eq!((last.done, last.total, last.resumed), (total, total, 1_000_000 + 3 * 700));
    assert!(!scene.incomplete().exists());
}

#[tokio::test]
async fn progress_never_goes_back_and_ends_at_the_total() {
    let scene = Scene::new().await;
    scene.stub.fault("GET model.safetensors", Fault::DropAfter(1_000_000));
    let mut reports = Vec::<PullProgress>::new();
    let cancel = CancellationToken::new();
    scene.hub().pull(&scene.repository, |report| reports.push(report), &cancel).await.unwrap();
    assert!(reports.is_sorted_by_key(|report| report.done));
    let last = reports.last().unwrap();
    assert_eq!((last.done, last.resumed), (last.total, 0));
    let of_weights = |report: &&PullProgress| report.file == WEIGHTS;
    assert!(reports.iter().filter(of_weights).count() > 4, "in small steps");
}

#[tokio::test]
async fn a_lie_about_the_hash_leaves_nothing_behind() {
    let scene = Scene::new().await;
    let other = vec![0; scene.weights().len()];
    scene.stub.fault("GET model.safetensors", Fault::Instead(other));
    let error = scene.pull().await.unwrap_err();
    assert!(matches!(error, Error::Damaged { property: "SHA-256", .. }), "{error:?}");
    scene.assert_nothing_found();
    assert!(!scene.incomplete().exists());
    assert!(!scene.blob(WEIGHTS).exists());
    scene.assert_complete(&scene.pull().await.unwrap());
}

#[tokio::test]
async fn a_lie_about_a_small_file_is_noticed_too() {
    let scene = Scene::new().await;
    scene.stub.fault("GET config.json", Fault::Instead(vec![0; 700]));
    let error = scene.pull().await.unwrap_err();
    assert!(matches!(error, Error::Damaged { property: "Git hash", .. }), "{error:?}");
    scene.assert_nothing_found();
}

#[tokio::test]
async fn more_bytes_than_announced_are_not_kept() {
    let scene = Scene::new().await;
    let longer = [scene.weights(), b"more"].concat();
    scene.stub.fault("GET model.safetensors", Fault::Instead(longer));
    let error = scene.pull().await.unwrap_err();
    assert!(matches!(error, Error::Damaged { property: "size", .. }), "{error:?}");
    scene.assert_nothing_found();
    assert_eq!(fs::metadata(scene.incomplete()).unwrap().len(), 0);
}

#[tokio::test]
async fn fewer_bytes_than_announced_are_asked_for_again() {
    let scene = Scene::new().await;
    let shorter = scene.weights()[..7_000].to_vec();
    scene.stub.fault("GET model.safetensors", Fault::Instead(shorter));
    scene.assert_complete(&scene.pull().await.unwrap());
    assert_eq!(scene.stub.ranges(), [None, Some("bytes=7000-".to_owned())]);
}

#[tokio::test]
async fn a_server_without_ranges_starts_over() {
    let scene = Scene::new().await;
    scene.leave_incomplete(&scene.weights()[..400_000]);
    scene.stub.fault("GET model.safetensors", Fault::IgnoreRange);
    scene.assert_complete(&scene.pull().await.unwrap());
    assert_eq!(scene.stub.ranges(), [Some("bytes=400000-".to_owned())]);
}

#[tokio::test]
async fn a_range_that_does_not_exist_starts_over() {
    let scene = Scene::new().await;
    scene.leave_incomplete(&scene.weights()[..400_000]);
    scene.stub.fault("GET model.safetensors", Fault::Status(416));
    scene.assert_complete(&scene.pull().await.unwrap());
    assert_eq!(scene.stub.ranges(), [Some("bytes=400000-".to_owned()), None]);
}

#[tokio::test]
async fn a_part_that_is_whole_already_is_only_verified() {
    let scene = Scene::new().await;
    scene.leave_incomplete(scene.weights());
    scene.assert_complete(&scene.pull().await.unwrap());
    assert_eq!(scene.stub.ranges(), []);
}

#[tokio::test]
async fn a_part_that_is_too_long_is_thrown_away() {
    let scene = Scene::new().await;
    scene.leave_incomplete(&vec![7; 3_000_001]);
    scene.assert_complete(&scene.pull().await.unwrap());
    assert_eq!(scene.stub.ranges(), [None]);
}

#[tokio::test]
async fn a_second_pull_fetches_nothing() {
    let scene = Scene::new().await;
    let folder = scene.pull().await.unwrap();
    scene.stub.forget_requests();
    assert_eq!(scene.pull().await.unwrap(), folder);
    let fetched = scene.stub.requests().into_iter().filter(|request| request.method == "GET");
    let paths = fetched.map(|request| request.path).collect::<Vec<_>>();
    assert_eq!(paths, [format!("/api/models/{NAME}/revision/main?blobs=true")]);
}

#[tokio::test]
async fn a_second_pull_mends_what_has_been_damaged() {
    let scene = Scene::new().await;
    let folder = scene.pull().await.unwrap();
    let mut damaged = scene.weights().to_vec();
    damaged[1_234_567] ^= 1;
    fs::write(scene.blob(WEIGHTS), damaged).unwrap();
    scene.pull().await.unwrap();
    scene.assert_complete(&folder);
}

#[tokio::test]
async fn a_newer_commit_replaces_the_one_found() {
    let mut scene = Scene::new().await;
    let old = scene.pull().await.unwrap();
    let mut revision = scene.revision.clone();
    revision.commit = "b".repeat(40);
    revision.files[0].1.push(b'!');
    scene.stub.publish(vec![revision.clone()]);
    scene.stub.forget_requests();
    let new = scene.pull().await.unwrap();
    assert_eq!(scene.stub.ranges(), [], "the same weights are there");
    assert_eq!(scene.found(), Some(new.clone()));
    scene.assert_complete(&old);
    scene.revision = revision;
    scene.assert_complete(&new);
}

#[tokio::test]
async fn a_cancelled_pull_is_continued_by_the_next() {
    let scene = Scene::new().await;
    scene.stub.fault("GET model.safetensors", Fault::HoldAfter(100_000));
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let at_hold = move |report: PullProgress| {
        if report.done == 100_000 + 3 * 700 {
            stop.cancel();
        }
    };
    let error = scene.hub().pull(&scene.repository, at_hold, &cancel).await.unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error:?}");
    scene.assert_nothing_found();
    scene.assert_complete(&scene.pull().await.unwrap());
    assert_eq!(scene.stub.ranges(), [None, Some("bytes=100000-".to_owned())]);
}

#[tokio::test]
async fn a_pull_cancelled_before_it_starts_asks_nothing() {
    let scene = Scene::new().await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    let outcome = scene.hub().pull(&scene.repository, |_| {}, &cancel).await;
    assert!(matches!(outcome, Err(Error::Cancelled)));
    assert_eq!(scene.stub.requests().len(), 0);
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let scene = Scene::new().await;
    scene.stub.fault("GET model.safetensors", Fault::HoldAfter(100_000));
    let patience =
        Patience { silence: Duration::from_millis(50), attempts: 1, ..Patience::default() };
    let error = scene.pull_from(&scene.hub().with_patience(patience)).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(fs::metadata(scene.incomplete()).unwrap().len(), 100_000);
}

#[tokio::test]
async fn two_pulls_at_once_fetch_once() {
    let scene = Scene::new().await;
    scene.stub.fault("GET model.safetensors", Fault::HoldAfter(100_000));
    let hub = scene.hub();
    let (cancel, (held, mut is_held)) = (CancellationToken::new(), mpsc::unbounded_channel());
    let tell = |report: PullProgress| held.send(report.done > 100_000).unwrap();
    let first = hub.pull(&scene.repository, tell, &cancel);
    let second = async {
        while is_held.recv().await != Some(true) {}
        let release_when_waiting = |report: PullProgress| {
            if report.step == PullStep::Wait {
                scene.stub.release();
            }
        };
        hub.pull(&scene.repository, release_when_waiting, &cancel).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.unwrap(), second.unwrap());
    assert_eq!(scene.stub.ranges(), [None]);
}

#[tokio::test]
async fn an_overloaded_server_is_asked_again() {
    let scene = Scene::new().await;
    for request in ["GET listing", "HEAD config.json", "GET config.json", "GET model.safetensors"] {
        scene.stub.fault(request, Fault::Status(503));
        scene.stub.fault(request, Fault::Status(429));
    }
    scene.assert_complete(&scene.pull().await.unwrap());
}

#[tokio::test]
async fn a_broken_server_is_not_asked_for_ever() {
    let scene = Scene::new().await;
    for _ in 0..9 {
        scene.stub.fault("GET model.safetensors", Fault::Status(500));
    }
    let error = scene.pull().await.unwrap_err();
    assert!(matches!(error, Error::Status { status: 500, .. }), "{error:?}");
    assert_eq!(scene.stub.ranges().len(), 3);
    scene.assert_nothing_found();
}

#[tokio::test]
async fn nobody_at_the_address_is_an_error_with_a_way_out() {
    let scene = Scene::new().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let hub = Hub::new(&format!("http://127.0.0.1:{port}"), scene.cache.path()).unwrap();
    let hub =
        hub.with_patience(Patience { attempts: 2, pause: Duration::ZERO, ..Patience::default() });
    let error = scene.pull_from(&hub).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.hint().contains("HF_ENDPOINT"), "{}", error.hint());
}

#[tokio::test]
async fn an_unknown_repository_is_not_found() {
    let mut scene = Scene::new().await;
    scene.repository = Repository::parse("openai/klip").unwrap();
    let error = scene.pull().await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    assert!(error.to_string().contains("openai/klip"), "{error}");
}

#[tokio::test]
async fn a_listed_file_that_is_gone_is_not_found() {
    let scene = Scene::new().await;
    scene.stub.fault("HEAD tokenizer.json", Fault::Status(404));
    let error = scene.pull().await.unwrap_err();
    assert!(error.to_string().starts_with("could not fetch tokenizer.json of openai/"), "{error}");
    scene.assert_nothing_found();
}

#[tokio::test]
async fn a_file_that_vanishes_from_the_storage_leaves_no_half_model() {
    let scene = Scene::new().await;
    scene.stub.fault("GET model.safetensors", Fault::Status(404));
    let error = scene.pull().await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    scene.assert_nothing_found();
}

#[tokio::test]
async fn a_gated_repository_asks_for_a_token() {
    let scene = Scene::new().await;
    scene.stub.fault("HEAD config.json", Fault::Status(401));
    let error = scene.pull().await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 401, with_token: false, .. }), "{error:?}");
    assert!(error.hint().contains("HF_TOKEN"));
}

#[tokio::test]
async fn a_refused_token_is_never_shown() {
    let scene = Scene::new().await;
    scene.stub.fault("GET listing", Fault::Status(403));
    let hub = scene.hub().with_token(Secret::new("hf_do_not_show").unwrap());
    let error = scene.pull_from(&hub).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 403, with_token: true, .. }), "{error:?}");
    let said = format!("{error} {error:?} {} {hub:?}", error.hint());
    assert!(!said.contains("hf_do_not_show"), "{said}");
}

#[tokio::test]
async fn the_token_goes_to_the_hub_and_nowhere_else() {
    let scene = Scene::new().await;
    let hub = scene.hub().with_token(Secret::new("hf_token").unwrap());
    scene.pull_from(&hub).await.unwrap();
    let requests = scene.stub.requests();
    assert!(requests.iter().any(|request| request.server == Server::Storage));
    for request in requests {
        let expected = (request.server == Server::Hub).then_some("Bearer hf_token");
        assert_eq!(request.authorization.as_deref(), expected, "{request:?}");
    }
}

#[tokio::test]
async fn the_signature_of_a_redirect_is_never_shown() {
    for fault in [Fault::Status(403), Fault::DropAfter(5), Fault::Circle] {
        let scene = Scene::new().await;
        scene.stub.fault("GET model.safetensors", fault);
        let error = scene.pull_from(&scene.impatient_hub()).await.unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(!said.contains(SIGNATURE), "{said}");
    }
}

#[tokio::test]
async fn redirects_without_end_are_not_followed_without_end() {
    let scene = Scene::new().await;
    scene.stub.fault("GET model.safetensors", Fault::Circle);
    let error = scene.pull().await.unwrap_err();
    assert!(matches!(error, Error::Redirects(_)), "{error:?}");
    assert!(scene.stub.ranges().len() <= 11);
    scene.assert_nothing_found();
}

#[tokio::test]
async fn a_mirror_that_omits_the_hubs_headers_serves_by_its_listing() {
    let scene = Scene::new().await;
    scene.stub.fault("HEAD model.safetensors", Fault::Bare);
    scene.assert_complete(&scene.pull().await.unwrap());
}

#[tokio::test]
async fn what_cannot_be_verified_is_not_fetched() {
    let scene = Scene::new().await;
    scene.stub.fault("GET listing", Fault::Bare);
    scene.stub.fault("HEAD model.safetensors", Fault::Bare);
    let error = scene.pull().await.unwrap_err();
    assert!(matches!(error, Error::Answer { .. }), "{error:?}");
    assert_eq!(scene.stub.ranges(), []);
}

#[tokio::test]
async fn a_repository_without_safetensors_says_so() {
    let scene = Scene::new().await;
    let mut pickled = scene.revision.clone();
    pickled.files.retain(|(name, _)| *name != WEIGHTS);
    scene.stub.publish(vec![pickled]);
    let error = scene.pull().await.unwrap_err();
    assert!(error.to_string().contains("weights in safetensors format"), "{error}");
}

#[tokio::test]
async fn a_preset_comes_from_the_first_place_that_has_it() {
    let scene = Scene::new().await;
    let mut pickled = scene.revision.clone();
    pickled.files.retain(|(name, _)| *name != WEIGHTS);
    let mut converted = checkpoint('c');
    converted.name = "refs/pr/15";
    scene.stub.publish(vec![pickled, converted.clone()]);
    let preset = Preset::named("clip-vit-b-32").unwrap();
    let cancel = CancellationToken::new();
    let folder = scene.hub().pull_preset(preset, |_| {}, &cancel).await.unwrap();
    assert_eq!(folder, scene.folder().join("snapshots").join("c".repeat(40)));
    // Python puts it there too.
    let reference = fs::read_to_string(scene.folder().join("refs/refs/pr/15")).unwrap();
    assert_eq!(reference, converted.commit);
    assert_eq!(scene.hub().find_preset(preset), Some(folder));
}

#[tokio::test]
async fn a_preset_that_is_nowhere_says_what_its_own_repository_lacks() {
    let scene = Scene::new().await;
    let mut pickled = scene.revision.clone();
    pickled.files.retain(|(name, _)| *name != WEIGHTS);
    scene.stub.publish(vec![pickled]);
    let preset = Preset::named("clip-vit-b-32").unwrap();
    let cancel = CancellationToken::new();
    let error = scene.hub().pull_preset(preset, |_| {}, &cancel).await.unwrap_err();
    assert!(matches!(error, Error::Incomplete { .. }), "{error:?}");
}

#[tokio::test]
async fn a_checkpoint_in_a_folder_of_its_repository_is_pulled_and_found() {
    let scene = Scene::new().await;
    let mut revision = checkpoint('d');
    revision.repository = "sentence-transformers/clip-ViT-B-32";
    revision.files = vec![
        ("modules.json", b"[]".to_vec()),
        ("0_CLIPModel/config.json", b"config".to_vec()),
        ("0_CLIPModel/preprocessor_config.json", b"preprocessor".to_vec()),
        ("0_CLIPModel/vocab.json", b"vocabulary".to_vec()),
        ("0_CLIPModel/merges.txt", b"merges".to_vec()),
        ("0_CLIPModel/model.safetensors", vec![3; 20_000]),
    ];
    scene.stub.publish(vec![revision]);
    let preset = Preset::named("clip-vit-b-32").unwrap();
    let cancel = CancellationToken::new();
    let folder = scene.hub().pull_preset(preset, |_| {}, &cancel).await.unwrap();
    assert!(folder.ends_with("0_CLIPModel"));
    assert_eq!(fs::read(folder.join("merges.txt")).unwrap(), b"merges");
    #[cfg(unix)]
    assert!(fs::read_link(folder.join("merges.txt")).unwrap().starts_with("../../../blobs"));
    assert_eq!(scene.hub().find_preset(preset), Some(folder));
}

#[tokio::test]
async fn offline_nothing_is_asked() {
    let scene = Scene::new().await;
    let lookup = |name: &str| match name {
        "HF_HUB_OFFLINE" => Some(OsString::from("1")),
        "HF_ENDPOINT" => Some(scene.stub.endpoint().into()),
        "HF_HUB_CACHE" => Some(scene.cache.path().into()),
        _ => None,
    };
    let hub = Hub::from_environment(lookup).unwrap();
    let error = scene.pull_from(&hub).await.unwrap_err();
    assert!(error.to_string().contains("HF_HUB_OFFLINE"), "{error}");
    assert_eq!(scene.stub.requests().len(), 0);
    let folder = scene.pull().await.unwrap();
    assert_eq!(scene.pull_from(&hub).await.unwrap(), folder, "what is here is as good");
}

#[test]
fn the_token_file_is_read_from_the_home_of_the_hub() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("token"), "hf_from_file\n").unwrap();
    let hub =
        Hub::from_environment(|name| (name == "HF_HOME").then(|| home.path().into())).unwrap();
    assert_eq!(hub.cache(), home.path().join("hub"));
    assert!(format!("{hub:?}").contains("Some([hidden])"));
}

mod find {
    //! In caches made by others, by hand.

    use super::*;

    struct Cache(TempDir);

    impl Cache {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn folder(&self) -> PathBuf {
            self.0.path().join("models--openai--clip-vit-base-patch32")
        }

        fn snapshot(&self, digit: &str, files: &[&str]) -> PathBuf {
            let snapshot = self.folder().join("snapshots").join(digit.repeat(40));
            fs::create_dir_all(&snapshot).unwrap();
            for name in files {
                fs::write(snapshot.join(name), "{}").unwrap();
            }
            snapshot
        }

        fn refer(&self, text: &str) {
            fs::create_dir_all(self.folder().join("refs")).unwrap();
            fs::write(self.folder().join("refs/main"), text).unwrap();
        }

        fn find(&self) -> Option<PathBuf> {
            let hub = Hub::new("https://huggingface.co", self.0.path()).unwrap();
            hub.find(&Repository::parse(NAME).unwrap())
        }
    }

    #[test]
    fn the_commit_of_the_reference_comes_first() {
        let cache = Cache::new();
        let [_, b, _] = ["a", "b", "c"].map(|digit| cache.snapshot(digit, &FILES));
        cache.refer(&"b".repeat(40));
        assert_eq!(cache.find(), Some(b));
    }

    #[test]
    fn a_snapshot_without_a_reference_serves() {
        let cache = Cache::new();
        let snapshot = cache.snapshot("a", &FILES);
        assert_eq!(cache.find(), Some(snapshot));
    }

    #[test]
    fn an_incomplete_snapshot_is_passed_over() {
        let cache = Cache::new();
        let whole = cache.snapshot("a", &FILES);
        cache.snapshot("b", &FILES[..3]);
        cache.refer(&"b".repeat(40));
        assert_eq!(cache.find(), Some(whole));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_blob_that_is_gone_is_no_file() {
        let cache = Cache::new();
        let snapshot = cache.snapshot("a", &FILES[..3]);
        std::os::unix::fs::symlink("../../blobs/gone", snapshot.join(WEIGHTS)).unwrap();
        assert_eq!(cache.find(), None);
    }

    #[test]
    fn a_reference_that_leads_elsewhere_is_not_followed() {
        let cache = Cache::new();
        cache.refer("../../elsewhere");
        let elsewhere = cache.folder().join("snapshots/../../elsewhere");
        fs::create_dir_all(cache.folder().join("snapshots")).unwrap();
        fs::create_dir_all(&elsewhere).unwrap();
        for name in FILES {
            fs::write(elsewhere.join(name), "{}").unwrap();
        }
        assert_eq!(cache.find(), None);
    }

    #[test]
    fn an_open_clip_configuration_serves_if_it_tells_of_preprocessing() {
        let cache = Cache::new();
        let files = ["open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json"];
        let snapshot = cache.snapshot("a", &files);
        assert_eq!(cache.find(), None);
        fs::write(snapshot.join(files[0]), r#"{"model_cfg":{},"preprocess_cfg":{}}"#).unwrap();
        assert_eq!(cache.find(), Some(snapshot));
    }

    #[test]
    fn pickled_weights_alone_are_no_checkpoint() {
        let cache = Cache::new();
        cache.snapshot("a", &["config.json", "tokenizer.json", "preprocessor_config.json"]);
        cache.snapshot("a", &["pytorch_model.bin"]);
        assert_eq!(cache.find(), None);
    }

    #[test]
    fn no_cache_at_all_holds_nothing() {
        assert_eq!(Cache::new().find(), None);
    }
}

/// With a disk of a megabyte, which only root may mount.
#[cfg(target_os = "linux")]
mod full_disk {
    use std::process::Command;

    use super::*;

    struct SmallDisk(PathBuf);

    impl SmallDisk {
        fn mount(folder: &Path, size: &str) -> Option<Self> {
            fs::create_dir_all(folder).unwrap();
            let mut mount = Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder);
            let mounted = mount.output().is_ok_and(|output| output.status.success());
            mounted.then(|| Self(folder.to_owned()))
        }
    }

    impl Drop for SmallDisk {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg(&self.0).status();
        }
    }

    #[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
    fn skip() {
        eprintln!("skipped: mounting a small disk takes root");
    }

    #[tokio::test]
    async fn a_disk_that_is_too_small_is_noticed_before_the_first_byte() {
        let scene = Scene::new().await;
        let Some(disk) = SmallDisk::mount(&scene.folder(), "1m") else { return skip() };
        let error = scene.pull().await.unwrap_err();
        assert!(
            matches!(error, Error::NoSpace { needed: Some(_), free: Some(_), .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("4 MB are needed, 1 MB are free"), "{error}");
        assert_eq!(scene.stub.ranges(), []);
        scene.assert_nothing_found();
        drop(disk);
    }

    #[tokio::test]
    async fn a_disk_that_fills_up_meanwhile_keeps_what_can_be_continued() {
        let scene = Scene::new().await;
        let Some(disk) = SmallDisk::mount(&scene.folder(), "5m") else { return skip() };
        scene.stub.fault("GET model.safetensors", Fault::HoldAfter(1_000_000));
        let ballast = disk.0.join("ballast");
        let fill_at_hold = |report: PullProgress| {
            if report.done == 1_000_000 + 3 * 700 {
                // Fails for want of room, having taken what there was.
                fs::write(&ballast, vec![0; 5 << 20]).unwrap_err();
                scene.stub.release();
            }
        };
        let cancel = CancellationToken::new();
        let error = scene.hub().pull(&scene.repository, fill_at_hold, &cancel).await.unwrap_err();
        assert!(matches!(error, Error::NoSpace { .. }), "{error:?}");
        scene.assert_nothing_found();

        fs::remove_file(&ballast).unwrap();
        scene.assert_complete(&scene.pull().await.unwrap());
        assert!(scene.stub.ranges()[1].is_some(), "it went on");
        drop(disk);
    }
}

/// What Python's own library does with our cache, and we with its.
mod python {
    use tokio::process::Command;

    use super::*;

    /// Runs `script` with `snapshot_download` imported; returns its output.
    async fn python(scene: &Scene, script: &str) -> String {
        let python = std::env::var("CARLENS_PYTHON").expect("CARLENS_PYTHON names a python3");
        let script = format!(
            "from huggingface_hub import hf_hub_download, snapshot_download\nprint({script})"
        );
        let mut command = Command::new(python);
        command.args(["-c", &script]).env("HF_HUB_CACHE", scene.cache.path());
        command.env("HF_ENDPOINT", scene.stub.endpoint()).env_remove("HF_HUB_OFFLINE");
        let output = command.output().await.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[tokio::test]
    #[ignore = "needs Python's huggingface_hub: CARLENS_PYTHON=/path/to/python3"]
    async fn python_finds_what_carlens_pulled() {
        let scene = Scene::new().await;
        let folder = scene.pull().await.unwrap();
        scene.stub.forget_requests();
        let script = format!("snapshot_download('{NAME}', local_files_only=True)");
        assert_eq!(Path::new(&python(&scene, &script).await), folder);
        let script = format!("hf_hub_download('{NAME}', '{WEIGHTS}', local_files_only=True)");
        assert_eq!(Path::new(&python(&scene, &script).await), folder.join(WEIGHTS));
        let of_ours =
            scene.stub.requests().into_iter().filter(|request| request.path.contains(NAME));
        assert_eq!(of_ours.count(), 0);
    }

    #[tokio::test]
    #[ignore = "needs Python's huggingface_hub: CARLENS_PYTHON=/path/to/python3"]
    async fn carlens_finds_what_python_pulled() {
        let scene = Scene::new().await;
        let script = format!("snapshot_download('{NAME}')");
        let folder = PathBuf::from(python(&scene, &script).await);
        scene.assert_complete(&folder);
        assert_eq!(scene.found(), Some(folder.clone()));
        scene.stub.forget_requests();
        assert_eq!(scene.pull().await.unwrap(), folder);
        assert_eq!(scene.stub.ranges(), []);
    }

    #[tokio::test]
    #[ignore = "needs Python's huggingface_hub: CARLENS_PYTHON=/path/to/python3"]
    async fn both_make_the_same_tree() {
        let (ours, theirs) = (Scene::new().await, Scene::new().await);
        ours.pull().await.unwrap();
        let wanted = FILES.map(|name| format!("'{name}'")).join(",");
        python(&theirs, &format!("snapshot_download('{NAME}', allow_patterns=[{wanted}])")).await;
        assert_eq!(tree(&ours.folder()), tree(&theirs.folder()));
    }

    /// Every file below blobs, snapshots and refs, and what it points to.
    fn tree(folder: &Path) -> Vec<(PathBuf, Option<PathBuf>)> {
        let walk = ["blobs", "snapshots", "refs"]
            .into_iter()
            .flat_map(|part| walkdir::WalkDir::new(folder.join(part)).sort_by_file_name())
            .map(|entry| entry.unwrap().into_path());
        let relative = |path: &Path| path.strip_prefix(folder).unwrap().to_owned();
        walk.map(|path| (relative(&path), fs::read_link(&path).ok())).collect()
    }
}
