//! The folders of the hub's cache, which all programs on a machine share.
//!
//! ```text
//! CACHE/models--ORG--NAME/blobs/HASH                      the content of a file, once
//! CACHE/models--ORG--NAME/blobs/HASH.incomplete           as much of it as has arrived
//! CACHE/models--ORG--NAME/snapshots/COMMIT/config.json    -> ../../blobs/HASH
//! CACHE/models--ORG--NAME/refs/main                       COMMIT
//! CACHE/.locks/models--ORG--NAME/HASH.lock                held by whoever writes the blob
//! ```
//!
//! No network here; the blobs are written by [`super::partial`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::checksum::Checksum;
use super::files::{self, OPEN_CLIP, PREPROCESSING};
use super::repository::{Commit, Repository};

/// A file of a snapshot: its name in the repository, and its blob.
pub(super) type Entry<'a> = (&'a str, &'a Checksum);

/// The part of the cache that belongs to one repository.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    repository: Repository,
    folder: PathBuf,
    locks: PathBuf,
}

impl Layout {
    pub(super) fn new(cache: &Path, repository: &Repository) -> Self {
        let name = format!("models--{}", repository.name().replace('/', "--"));
        let locks = cache.join(".locks").join(&name);
        Self { repository: repository.clone(), folder: cache.join(name), locks }
    }

    /// The folder of the newest complete checkpoint: the one the revision
    /// stands for, or else any other that is there.
    pub(super) fn find(&self) -> Option<PathBuf> {
        let commit =
            fs::read_to_string(self.reference()).ok().and_then(|text| Commit::parse(&text));
        let referenced = commit.map(|commit| self.snapshot(&commit));
        referenced
            .into_iter()
            .chain(self.snapshots())
            .map(|snapshot| snapshot.join(self.repository.folder()))
            .find(|folder| missing(folder).is_none())
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.folder.join("blobs")
    }

    pub(super) fn blob(&self, checksum: &Checksum) -> PathBuf {
        self.blobs().join(checksum.as_str())
    }

    pub(super) fn incomplete(&self, checksum: &Checksum) -> PathBuf {
        self.blobs().join(format!("{}.incomplete", checksum.as_str()))
    }

    pub(super) fn lock(&self, checksum: &Checksum) -> PathBuf {
        self.locks.join(format!("{}.lock", checksum.as_str()))
    }

    /// Makes the folders a pull writes to.
    pub(super) fn create(&self) -> io::Result<()> {
        fs::create_dir_all(self.blobs())?;
        fs::create_dir_all(&self.locks)
    }

    /// Gives the blobs their names below `snapshots/COMMIT`, and returns the
    /// checkpoint's folder there.
    pub(super) fn link(&self, commit: &Commit, entries: &[Entry]) -> io::Result<PathBuf> {
        let snapshot = self.snapshot(commit);
        for (path, checksum) in entries {
            point(
                &snapshot.join(path),
                &self.blob(checksum),
                &upwards(path).join(checksum.as_str()),
            )?;
        }
        Ok(snapshot.join(self.repository.folder()))
    }

    /// Records that the revision now stands for `commit`.
    pub(super) fn refer(&self, commit: &Commit) -> io::Result<()> {
        let reference = self.reference();
        if fs::read_to_string(&reference).is_ok_and(|text| text == commit.as_str()) {
            return Ok(());
        }
        let folder = reference.parent().expect("it lies below refs");
        fs::create_dir_all(folder)?;
        // Beside it and renamed, so that no reader sees half a hash.
        let file = tempfile::NamedTempFile::new_in(folder)?;
        fs::write(file.path(), commit.as_str())?;
        readable_by_all(file.path())?;
        file.persist(&reference)?;
        Ok(())
    }

    fn snapshot(&self, commit: &Commit) -> PathBuf {
        self.folder.join("snapshots").join(commit.as_str())
    }

    fn reference(&self) -> PathBuf {
        self.folder.join("refs").join(self.repository.revision())
    }

    /// All snapshots, the newest first.
    fn snapshots(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.join("snapshots")).into_iter().flatten().flatten();
        let age = |path: &Path| path.metadata().and_then(|metadata| metadata.modified());
        let mut snapshots = entries
            .map(|entry| entry.path())
            .map(|path| (age(&path).unwrap_or(SystemTime::UNIX_EPOCH), path))
            .collect::<Vec<_>>();
        snapshots.sort();
        snapshots.into_iter().rev().map(|(_, path)| path).collect()
    }
}

/// The part that `folder` lacks to be a checkpoint. A link whose blob is gone
/// counts as absent.
pub(super) fn missing(folder: &Path) -> Option<&'static str> {
    match files::choose(|name| folder.join(name).is_file()) {
        Err(missing) => Some(missing),
        // Older files of OpenCLIP describe the model alone.
        Ok(_) if folder.join("preprocessor_config.json").is_file() => None,
        Ok(_) if describes_preprocessing(&folder.join(OPEN_CLIP)) => None,
        Ok(_) => Some(PREPROCESSING),
    }
}

fn describes_preprocessing(path: &Path) -> bool {
    let json = fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok());
    json.is_some_and(|json: serde_json::Value| json.get("preprocess_cfg").is_some())
}

/// From the folder of `path` inside a snapshot to the blobs.
fn upwards(path: &str) -> PathBuf {
    let mut way = PathBuf::from("../..");
    for _ in path.matches('/') {
        way.push("..");
    }
    way.join("blobs")
}

/// Makes `name` stand for `blob`, replacing what is there in one step.
fn point(name: &Path, blob: &Path, relative: &Path) -> io::Result<()> {
    if fs::read_link(name).is_ok_and(|target| target == relative) {
        return Ok(());
    }
    let folder = name.parent().expect("it lies in a snapshot");
    fs::create_dir_all(folder)?;
    let beside = tempfile::Builder::new().make_in(folder, |path| stand_in(path, blob, relative))?;
    beside.into_temp_path().persist(name)?;
    Ok(())
}

/// A relative symlink as Python makes it, so that the cache can be moved;
/// where the system has none, a second name for the blob, and at last a copy.
fn stand_in(path: &Path, blob: &Path, relative: &Path) -> io::Result<()> {
    symlink(relative, path)
        .or_else(|_| fs::hard_link(blob, path))
        .or_else(|_| fs::copy(blob, path).map(drop))
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

/// A temporary file is its owner's alone, but the cache may be shared.
#[cfg(unix)]
fn readable_by_all(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable_by_all(_: &Path) -> io::Result<()> {
    Ok(())
}
