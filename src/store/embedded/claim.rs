//! A name beside a place for a file in the making, as long as its process
//! lives: what one that was killed has left there is found by it and removed.
//!
//! A locked file stands for the name. The file in the making itself is not
//! locked: where locks are mandatory, or those of processes and of open files
//! are the same, that would be in SQLite's way.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::connection::beside;
use super::staged::{ENDINGS, folder_of};

/// The ending of a lock.
const LOCK: &str = ".lock";

/// The ending of a file in the making, in the place of that of its lock.
const MAKING: &str = ".tmp";

/// How many random characters are between the place's name and the ending.
const RANDOM: usize = 6;

/// Another process may take a lock that was just made for one that was left.
const ATTEMPTS: usize = 16;

/// A name that is nobody else's until dropped.
pub(super) struct Claim(NamedTempFile);

impl Claim {
    /// A new one beside `place`.
    pub(super) fn beside(place: &Path) -> io::Result<Self> {
        let name = prefix(place)?;
        for _ in 0..ATTEMPTS {
            let mut builder = Builder::new();
            builder.prefix(&name).suffix(LOCK).rand_bytes(RANDOM);
            let lock = builder.tempfile_in(folder_of(place))?;
            match lock.as_file().try_lock() {
                Err(TryLockError::WouldBlock) => {}
                Ok(()) if !lock.path().exists() => {}
                Ok(()) => return Ok(Self(lock)),
                Err(TryLockError::Error(error)) => {
                    tracing::warn!(%error, "what is left if this is killed stays");
                    return Ok(Self(lock));
                }
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    /// What is claimed.
    pub(super) fn name(&self) -> PathBuf {
        making(self.0.path())
    }
}

/// Removes what processes that were killed have left beside `place`. Best
/// effort: it is in nobody's way.
pub(super) fn clear(place: &Path) {
    let Ok(prefix) = prefix(place) else { return };
    let entries = fs::read_dir(folder_of(place)).into_iter().flatten();
    let locks = entries.filter_map(Result::ok).filter(|entry| is_lock(&entry.file_name(), &prefix));
    for lock in locks.map(|entry| entry.path()) {
        // A lock that is held, or that cannot be told to be free, is left.
        let Ok(file) = File::open(&lock) else { continue };
        if file.try_lock().is_err() {
            continue;
        }
        let left = making(&lock);
        for ending in [""].iter().chain(&ENDINGS) {
            let _ = fs::remove_file(beside(&left, ending));
        }
        // Last, as without it nobody would know of the rest.
        let _ = fs::remove_file(&lock);
    }
}

/// The file in the making that `lock` stands for.
fn making(lock: &Path) -> PathBuf {
    lock.with_extension(&MAKING[1..])
}

/// `.cars.backup`
fn prefix(place: &Path) -> io::Result<OsString> {
    let mut prefix = OsString::from(".");
    prefix.push(place.file_name().ok_or(io::ErrorKind::InvalidFilename)?);
    Ok(prefix)
}

/// Whether it is called as a claim is that begins like this.
fn is_lock(name: &OsStr, prefix: &OsStr) -> bool {
    let rest = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
    let random = rest.and_then(|rest| rest.strip_suffix(LOCK.as_bytes()));
    random.is_some_and(|random| {
        random.len() == RANDOM && random.iter().all(u8::is_ascii_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<OsString> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    /// As a killed process leaves it.
    fn left(folder: &Path, name: &str) {
        for ending in [LOCK, MAKING, ".tmp-journal"] {
            fs::write(folder.join(format!("{name}{ending}")), "left").unwrap();
        }
    }

    #[test]
    fn what_the_dead_left_goes_and_what_the_living_hold_stays() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("cars.backup");
        let living = Claim::beside(&place).unwrap();
        fs::write(living.name(), "in the making").unwrap();
        let held = names(folder.path());
        left(folder.path(), ".cars.backupAb12yZ");
        left(folder.path(), ".cars.backup8765_3");
        let others = [
            ".cars.backup.backupAb12yZ.lock",
            ".cars.backup8765_3.lock",
            ".cars.backup8765_3.tmp",
            ".cars.backup8765_3.tmp-journal",
            "cars.backupAb12yZ.lock",
        ];
        for other in others {
            fs::write(folder.path().join(other), "another's").unwrap();
        }
        clear(&place);
        let mut expected: Vec<OsString> =
            others.map(OsString::from).into_iter().chain(held).collect();
        expected.sort();
        assert_eq!(names(folder.path()), expected);
        drop(living);
        assert_eq!(names(folder.path()).len(), others.len() + 1, "the file is its maker's");
    }

    #[test]
    fn a_claim_is_as_its_place_is_called_and_gone_with_its_process() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("cars");
        let claim = Claim::beside(&place).unwrap();
        let name = claim.name().file_name().unwrap().to_owned();
        assert!(name.as_encoded_bytes().starts_with(b".cars"), "{name:?}");
        assert!(is_lock(claim.0.path().file_name().unwrap(), OsStr::new(".cars")));
        drop(claim);
        assert!(names(folder.path()).is_empty());
    }
}
