//! The pictures below a folder: sorted, each once, junk left out.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::domain::FileProblem;
use crate::picture;

/// One thing met on the way.
enum Found {
    /// A picture, by its path relative to the folder.
    Picture(PathBuf),
    /// A folder or link that could not be followed, so that nothing is known
    /// of what is below it.
    Problem(FileProblem),
}

/// A link to a folder that a walk follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// Where it is, relative to the folder that is walked.
    pub(super) place: PathBuf,
    /// The folder it leads to, as the system names it.
    pub(super) target: PathBuf,
}

/// Walks what is at or below `start` in the canonical `folder`, in the order
/// of names; hidden files, unfinished ones and what operating systems leave
/// behind are passed over.
///
/// Symbolic links are followed where they lead to what is not met otherwise:
/// one to a file or folder that the walk meets by its own name is passed over,
/// and so is a second one to the same folder. That cuts every loop of them,
/// and any number of links to links costs no more than what they lead to.
fn walk(folder: &Path, start: &Path) -> impl Iterator<Item = Found> + use<> {
    let root = folder.to_owned();
    entries(folder, start).filter_map(move |entry| match entry {
        Ok(entry) => is_picture(&entry).then(|| Found::Picture(relative(entry.path(), &root))),
        Err(error) => problem(&error, &root).map(Found::Problem),
    })
}

/// All pictures that walks from each of `starts` find, and what was in the way,
/// as long as they are to `go_on`.
pub(super) fn list(
    folder: &Path,
    starts: &[PathBuf],
    go_on: impl Fn() -> bool,
) -> (Vec<PathBuf>, Vec<FileProblem>) {
    let (mut paths, mut problems) = (Vec::new(), Vec::new());
    for found in starts.iter().flat_map(|start| walk(folder, start)).take_while(|_| go_on()) {
        match found {
            Found::Picture(path) => paths.push(path),
            Found::Problem(problem) => problems.push(problem),
        }
    }
    (paths, problems)
}

/// The links to folders that a walk of all of the canonical `folder` follows.
pub(super) fn links(folder: &Path) -> impl Iterator<Item = Link> + use<> {
    let root = folder.to_owned();
    entries(folder, folder).filter_map(Result::ok).filter_map(move |entry| {
        let is_link = entry.path_is_symlink() && entry.file_type().is_dir();
        // One that is gone already leads nowhere.
        let target = entry.path().canonicalize().ok().filter(|_| is_link)?;
        Some(Link { place: relative(entry.path(), &root), target })
    })
}

/// All that a walk comes by.
fn entries(folder: &Path, start: &Path) -> impl Iterator<Item = walkdir::Result<DirEntry>> + use<> {
    let mut links = Links::on_the_way(folder, start);
    WalkDir::new(start)
        .follow_links(true)
        .min_depth(1)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(move |entry| !is_junk(entry.file_name()) && links.leads_on(entry))
}

/// The links met so far.
struct Links {
    root: PathBuf,
    /// What folders outside the root were entered by.
    followed: HashSet<PathBuf>,
}

impl Links {
    /// Those that lead to `start`.
    fn on_the_way(root: &Path, start: &Path) -> Self {
        let below = start.ancestors().take_while(|above| *above != root);
        let links = below.filter(|above| above.is_symlink());
        let followed = links.filter_map(|link| link.canonicalize().ok()).collect();
        Self { root: root.to_owned(), followed }
    }

    /// Whether `entry` is no link, or one to what is not met otherwise.
    fn leads_on(&mut self, entry: &DirEntry) -> bool {
        if !entry.path_is_symlink() {
            return true;
        }
        // What cannot be followed is told of when it is tried.
        let Ok(target) = entry.path().canonicalize() else { return true };
        if is_met(&self.root, &target) {
            return false;
        }
        let around = self.root.starts_with(&target);
        !entry.file_type().is_dir() || !around && self.followed.insert(target)
    }
}

/// Whether a walk from `root` meets `target` by its own name.
fn is_met(root: &Path, target: &Path) -> bool {
    target.strip_prefix(root).is_ok_and(|path| !path.iter().any(is_junk))
}

/// By its name or else by its first bytes. Only regular files are opened.
fn is_picture(entry: &DirEntry) -> bool {
    let path = entry.path();
    !entry.file_type().is_dir()
        && !is_unfinished(entry.file_name())
        && (picture::named_like_a_picture(path)
            || entry.file_type().is_file() && picture::looks_like_a_picture(path))
}

fn is_junk(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let junk: [&[u8]; 6] = [
        b"Thumbs.db",
        b"desktop.ini",
        b"$RECYCLE.BIN",
        b"System Volume Information",
        b"@eaDir",
        b"lost+found",
    ];
    name.starts_with(b".") || junk.iter().any(|junk| junk.eq_ignore_ascii_case(name))
}

/// Whether an editor or a browser names so what it has not finished.
fn is_unfinished(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes().to_ascii_lowercase();
    let endings: [&[u8]; 5] = [b"~", b".tmp", b".part", b".crdownload", b".swp"];
    endings.iter().any(|ending| name.ends_with(ending))
}

/// Whether a walk passes over what is at this place in its folder, whatever it
/// is.
pub(super) fn passes_over(path: &Path) -> bool {
    path.iter().any(is_junk) || path.file_name().is_some_and(is_unfinished)
}

fn relative(path: &Path, root: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_owned()
}

/// What was in the way, if it may have cost a picture. A link back to where
/// the walk already is costs none, nor does a dangling one with another name.
fn problem(error: &walkdir::Error, root: &Path) -> Option<FileProblem> {
    let path = relative(error.path().unwrap_or(root), root);
    let reason = match error.io_error() {
        None => return None,
        Some(e) if e.kind() == io::ErrorKind::NotFound => {
            picture::named_like_a_picture(&path).then(|| "is a link to nothing".to_owned())?
        }
        Some(e) => format!("cannot be opened: {e}"),
    };
    Some(FileProblem::new(path, reason))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn pictures(folder: &Path, start: &str) -> Vec<PathBuf> {
        let start = if start.is_empty() { folder.to_owned() } else { folder.join(start) };
        let picture = |found| match found {
            Found::Picture(path) => Some(path),
            Found::Problem(_) => None,
        };
        walk(folder, &start).filter_map(picture).collect()
    }

    /// A folder with a link to one outside, in which a link leads back up, and
    /// with links to what is met anyway.
    fn linked(home: &Path) -> PathBuf {
        let (cars, out) = (home.join("cars"), home.join("out"));
        fs::create_dir_all(cars.join("here")).unwrap();
        fs::create_dir_all(out.join("deep")).unwrap();
        fs::write(out.join("x.jpg"), "x").unwrap();
        fs::write(out.join("deep/y.jpg"), "y").unwrap();
        symlink("../out", cars.join("away")).unwrap();
        symlink("../out", cars.join("twin")).unwrap();
        symlink("here", cars.join("again")).unwrap();
        symlink("..", cars.join("up")).unwrap();
        symlink("../../out", out.join("deep/back")).unwrap();
        cars.canonicalize().unwrap()
    }

    #[test]
    fn a_walk_that_starts_behind_a_link_does_not_follow_it_once_more() {
        let home = tempfile::tempdir().unwrap();
        let cars = linked(home.path());
        let all = ["away/deep/y.jpg", "away/x.jpg"].map(PathBuf::from);
        assert_eq!(pictures(&cars, ""), all);
        assert_eq!(pictures(&cars, "away"), all);
        assert_eq!(pictures(&cars, "away/deep"), all[..1]);
    }

    #[test]
    fn the_links_that_a_walk_follows_are_known() {
        let home = tempfile::tempdir().unwrap();
        let cars = linked(home.path());
        let link = Link { place: "away".into(), target: cars.with_file_name("out") };
        assert_eq!(links(&cars).collect::<Vec<_>>(), [link]);
    }
}
