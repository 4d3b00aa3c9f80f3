//! The pictures below a folder: sorted, each once, junk left out.

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
    /// A folder or link that could not be followed.
    Problem(FileProblem),
}

/// Walks `folder` in the order of names. Symbolic links are followed, a loop
/// of them is cut; hidden files and what operating systems leave
/// behind are passed over.
pub(super) fn walk(folder: &Path) -> impl Iterator<Item = Found> {
    let root = folder.to_owned();
    WalkDir::new(folder)
        .follow_links(true)
        .min_depth(1)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| !is_junk(entry.file_name()))
        .filter_map(move |entry| match entry {
            Ok(entry) => is_picture(&entry).then(|| Found::Picture(relative(entry.path(), &root))),
            Err(error) => problem(&error, &root).map(Found::Problem),
        })
}

/// By its name or else by its first bytes. Only regular files are opened.
fn is_picture(entry: &DirEntry) -> bool {
    let path = entry.path();
    !entry.file_type().is_dir()
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
    Some(FileProblem { path, reason })
}
