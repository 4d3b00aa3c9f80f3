//! One checkpoint on a hub, and a cache to pull it to.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use carlens::hub::{Error, Hub, Patience, Repository};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::hub_stub::{HubStub, Revision, etag};

pub const NAME: &str = "openai/clip-vit-base-patch32";
pub const WEIGHTS: &str = "model.safetensors";
pub const FILES: [&str; 4] = ["config.json", "tokenizer.json", "preprocessor_config.json", WEIGHTS];

/// A checkpoint in name only: to the hub, content is content.
pub fn checkpoint(digit: char) -> Revision {
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

pub fn content<'a>(revision: &'a Revision, name: &str) -> &'a [u8] {
    &revision.files.iter().find(|(file, _)| *file == name).unwrap().1
}

/// A hub that serves one checkpoint, and an empty cache.
pub struct Scene {
    pub stub: HubStub,
    pub cache: TempDir,
    pub revision: Revision,
    pub repository: Repository,
}

impl Scene {
    pub async fn new() -> Self {
        let revision = checkpoint('a');
        let stub = HubStub::serve(vec![revision.clone()]).await;
        let cache = tempfile::tempdir().unwrap();
        Self { stub, cache, revision, repository: Repository::parse(NAME).unwrap() }
    }

    pub fn hub(&self) -> Hub {
        let patience = Patience {
            pause: Duration::ZERO,
            lock: Duration::from_millis(1),
            attempts: 3,
            ..Patience::default()
        };
        Hub::new(&self.stub.endpoint(), self.cache.path()).unwrap().with_patience(patience)
    }

    /// A hub that takes the first failure for an answer.
    pub fn impatient_hub(&self) -> Hub {
        self.hub().with_patience(Patience { attempts: 1, ..Patience::default() })
    }

    pub async fn pull(&self) -> Result<PathBuf, Error> {
        self.pull_from(&self.hub()).await
    }

    pub async fn pull_from(&self, hub: &Hub) -> Result<PathBuf, Error> {
        hub.pull(&self.repository, |_| {}, &CancellationToken::new()).await
    }

    pub fn found(&self) -> Option<PathBuf> {
        self.hub().find(&self.repository)
    }

    pub fn folder(&self) -> PathBuf {
        self.cache.path().join("models--openai--clip-vit-base-patch32")
    }

    pub fn blob(&self, name: &str) -> PathBuf {
        self.folder().join("blobs").join(etag(content(&self.revision, name)))
    }

    pub fn incomplete(&self) -> PathBuf {
        self.blob(WEIGHTS).with_extension("incomplete")
    }

    pub fn weights(&self) -> &[u8] {
        content(&self.revision, WEIGHTS)
    }

    /// Leaves `content` behind as a pull that broke off would.
    pub fn leave_incomplete(&self, content: &[u8]) {
        fs::create_dir_all(self.folder().join("blobs")).unwrap();
        fs::write(self.incomplete(), content).unwrap();
    }

    pub fn assert_complete(&self, folder: &Path) {
        for name in FILES {
            assert!(
                fs::read(folder.join(name)).unwrap() == content(&self.revision, name),
                "{name}"
            );
        }
    }

    /// Nothing that anyone could take for a model.
    pub fn assert_nothing_found(&self) {
        assert_eq!(self.found(), None);
        assert!(!self.folder().join("refs").exists());
        assert!(!self.folder().join("snapshots").exists());
    }
}
