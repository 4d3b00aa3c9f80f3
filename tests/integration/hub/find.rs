//! Checkpoints in caches made by others.

use std::fs;
use std::path::PathBuf;

use carlens::hub::{Hub, Repository};
use tempfile::TempDir;

use super::scene::{FILES, NAME, WEIGHTS};

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
