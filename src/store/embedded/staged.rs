//! A file in the making beside the place it is for, which it gets whole or
//! not at all; and what lies at such a place is kept beside, never erased.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempPath;

use super::backup::is_same_file;
use super::claim::{self, Claim};
use super::connection::beside;
use super::schema;

/// The files that belong to a collection's file and are nothing without it.
pub(super) const ENDINGS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Gone when dropped, unless it was put into its place; if its process is
/// killed, with the next one for the same place.
pub(super) struct Staged {
    // Before the claim: what is dropped last stands for the other.
    file: TempPath,
    place: PathBuf,
    _claim: Claim,
}

impl Staged {
    /// An empty file beside `place`.
    pub(super) fn beside(place: &Path) -> io::Result<Self> {
        claim::clear(place);
        let claim = Claim::beside(place)?;
        // As any program makes its files, not for its owner alone.
        File::create_new(claim.name())?;
        let file = TempPath::try_from_path(claim.name())?;
        Ok(Self { file, place: place.to_owned(), _claim: claim })
    }

    pub(super) fn path(&self) -> &Path {
        &self.file
    }

    /// Opens it as a collection of today's format, without files beside it:
    /// until it is put into its place, nothing of it counts.
    pub(super) fn open(&self) -> rusqlite::Result<Connection> {
        let mut connection = Connection::open(&self.file)?;
        connection.pragma_update_and_check(None, "journal_mode", "memory", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        schema::migrate(&mut connection)?;
        Ok(connection)
    }

    /// Gives it its place, on the disk when this returns. What is there is
    /// replaced, or [`io::ErrorKind::AlreadyExists`].
    pub(super) fn put(self, replace: bool) -> io::Result<()> {
        File::options().write(true).open(&self.file)?.sync_all()?;
        let put = if replace {
            self.file.persist(&self.place)
        } else {
            self.file.persist_noclobber(&self.place)
        };
        put.map_err(|failed| failed.error)?;
        sync_folder(&self.place)
    }

    /// Gives it its place; what is there keeps another name, which is
    /// returned. At any moment there is the one or the other, so that nobody
    /// who is killed leaves a collection without its file.
    pub(super) fn supplant(self) -> io::Result<Option<PathBuf>> {
        let kept = keep(&self.place)?;
        // A log that was left would be taken for the new file's.
        for ending in ENDINGS {
            remove_if_there(&beside(&self.place, ending))?;
        }
        self.put(true)?;
        Ok(kept)
    }
}

/// Gives what is at `path`, with the files that belong to it, a second name
/// beside it; returns that, or `None` if there is nothing.
fn keep(path: &Path) -> io::Result<Option<PathBuf>> {
    let there: Vec<&str> =
        [""].into_iter().chain(ENDINGS).filter(|ending| is_there(&beside(path, ending))).collect();
    if there.is_empty() {
        return Ok(None);
    }
    let aside = name_aside(path);
    for ending in there {
        let (own, second) = (beside(path, ending), beside(&aside, ending));
        if !is_there(&second) {
            // Where a file has one name only, that is gone in between.
            fs::hard_link(&own, &second).or_else(|_| fs::rename(&own, &second))?;
        }
    }
    sync_folder(path)?;
    Ok(Some(aside))
}

/// `cars.db.damaged`, `cars.db.damaged-2`: one that is free, or that who was
/// killed in the middle of this has given to the same files.
fn name_aside(path: &Path) -> PathBuf {
    let numbered = (2..).map(|number| beside(path, &format!(".damaged-{number}")));
    let is_fit = |name: &PathBuf| {
        [""].iter().chain(&ENDINGS).all(|ending| {
            let (own, second) = (beside(path, ending), beside(name, ending));
            !is_there(&second) || is_same_file(&own, &second)
        })
    };
    let mut names = std::iter::once(beside(path, ".damaged")).chain(numbered);
    names.find(is_fit).expect("some number is free")
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

pub(super) fn folder_of(place: &Path) -> &Path {
    place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A name is on the disk once its folder is.
#[cfg(unix)]
fn sync_folder(place: &Path) -> io::Result<()> {
    File::open(folder_of(place))?.sync_all()
}

/// Elsewhere a folder cannot be opened.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_not_put_into_its_place_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("cars.db");
        drop(Staged::beside(&place).unwrap());
        assert!(names(folder.path()).is_empty());
        Staged::beside(&place).unwrap().put(false).unwrap();
        let refused = Staged::beside(&place).unwrap().put(false).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        Staged::beside(&place).unwrap().put(true).unwrap();
        assert_eq!(names(folder.path()), ["cars.db"]);
    }

    #[test]
    fn what_is_supplanted_keeps_its_log_and_takes_nobodys_name() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("cars.db");
        assert_eq!(Staged::beside(&place).unwrap().supplant().unwrap(), None);
        for aside in ["cars.db.damaged", "cars.db.damaged-2"] {
            fs::write(&place, "damaged").unwrap();
            fs::write(beside(&place, "-wal"), "log").unwrap();
            let kept = Staged::beside(&place).unwrap().supplant().unwrap().unwrap();
            assert_eq!(kept, folder.path().join(aside));
            assert_eq!(fs::read(&kept).unwrap(), b"damaged");
            assert_eq!(fs::read(beside(&kept, "-wal")).unwrap(), b"log");
            assert_eq!(fs::read(&place).unwrap(), b"");
        }
        let expected = [
            "cars.db",
            "cars.db.damaged",
            "cars.db.damaged-2",
            "cars.db.damaged-2-wal",
            "cars.db.damaged-wal",
        ];
        assert_eq!(names(folder.path()), expected);
    }

    #[test]
    fn who_is_killed_while_it_keeps_a_file_leaves_it_there_and_no_second_copy() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("cars.db");
        fs::write(&place, "damaged").unwrap();
        fs::write(beside(&place, "-wal"), "log").unwrap();
        let aside = keep(&place).unwrap().unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"damaged");
        assert_eq!(fs::read(beside(&place, "-wal")).unwrap(), b"log");
        let kept = Staged::beside(&place).unwrap().supplant().unwrap();
        assert_eq!(kept, Some(aside));
        assert_eq!(names(folder.path()), ["cars.db", "cars.db.damaged", "cars.db.damaged-wal"]);
    }
}
