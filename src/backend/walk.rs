//! The pictures below a folder: sorted, each once, junk left out.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::domain::FileProblem;
use crate::picture;

/// One thing met on the way.
pub(super) enum Found {
    /// A picture, by its path relative to the folder.
    Picture(PathBuf),
    /// A folder or link that could not be followed, so that nothing is known
    /// of what is below it.
    Problem(FileProblem),
}

/// Walks what is at or below `start` in the canonical `folder`, in the order
/// of names; hidden files, unfinished ones and what operating systems leave
/// behind are passed over.
///
/// Symbolic links are followed where they lead to what is not met otherwise:
/// one to a file or folder that the walk meets by its own name is passed over,
/// and so is a second one to the same folder. That cuts every loop of them,
/// and any number of links to links costs no more than what they lead to.
pub(super) fn walk(folder: &Path, start: &Path) -> impl Iterator<Item = Found> + use<> {
    let root = folder.to_owned();
    let mut links = Links { root: root.clone(), followed: HashSet::new() };
    WalkDir::new(start)
        .follow_links(true)
        .min_depth(1)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(move |entry| !is_junk(entry.file_name()) && links.leads_on(entry))
        .filter_map(move |entry| match entry {
            Ok(entry) => is_picture(&entry).then(|| Found::Picture(relative(entry.path(), &root))),
            Err(error) => problem(&error, &root).map(Found::Problem),
        })
}

/// The links met so far.
struct Links {
    root: PathBuf,
    /// What folders outside the root were entered by.
    followed: HashSet<PathBuf>,
}

impl Links {
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
