//! The folders of a collection, and which of them a picture belongs to.
//!
//! A picture belongs to the innermost folder that the collection knows. One
//! that is loaded becomes a folder of the collection unless it lies in one
//! that is and whose walk comes by it, so that a picture is stored once,
//! whichever of the folders above it are loaded, and in whatever order. What a
//! walk passes over, as hidden folders, is loaded for itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::walk::meets;
use crate::domain::ImageId;

/// The folders of a collection.
#[derive(Clone, Debug)]
pub(super) struct Roots {
    /// The innermost of those above a picture comes first.
    folders: Vec<Arc<Path>>,
    /// Whether the one that is loaded has become one of them.
    pub(super) has_new: bool,
}

impl Roots {
    /// Those `known` to the collection, and the one `loaded`, all absolute.
    pub(super) fn new(known: Vec<PathBuf>, loaded: &Path) -> Self {
        let has_new = !known.iter().any(|known| meets(known, loaded));
        let loaded = has_new.then(|| loaded.to_owned());
        let mut folders: Vec<Arc<Path>> = known.into_iter().chain(loaded).map(Arc::from).collect();
        folders.sort_by_key(|root| std::cmp::Reverse(root.components().count()));
        Self { folders, has_new }
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<PathBuf> {
        self.folders.iter().map(|root| root.to_path_buf()).collect()
    }

    /// What names the picture at the absolute `location`, which is at or below
    /// one of them.
    pub(super) fn id(&self, location: &Path) -> ImageId {
        let below = |root: &Arc<Path>| Some((Arc::clone(root), location.strip_prefix(root).ok()?));
        match self.folders.iter().find_map(below) {
            Some((root, path)) => ImageId::new(root, path),
            None => ImageId::new(Path::new("/"), location),
        }
    }
}

/// Those of `folders` that a link leads away from by now, as they were moved to
/// another disk and a link left in their place, or in that of a folder above:
/// each with the folder that it is.
pub(super) fn linked(folders: Vec<PathBuf>) -> Vec<(PathBuf, PathBuf)> {
    let real = |folder: PathBuf| {
        let real = folder.canonicalize().ok().filter(|real| *real != folder && real.is_dir())?;
        Some((folder, real))
    };
    folders.into_iter().filter_map(real).collect()
}

/// Those of `folders` that no load of another one comes by.
pub(super) fn outermost(folders: Vec<PathBuf>) -> Vec<PathBuf> {
    let all = folders.clone();
    let is_outermost =
        |folder: &PathBuf| !all.iter().any(|other| other != folder && meets(other, folder));
    folders.into_iter().filter(is_outermost).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_others_come_by_need_no_load_of_their_own() {
        let folders = ["/a", "/a/b", "/a/.b", "/a/.b/c", "/ab", "/c"].map(PathBuf::from);
        let expected = ["/a", "/a/.b", "/ab", "/c"].map(PathBuf::from);
        assert_eq!(outermost(folders.to_vec()), expected);
    }

    fn id(known: &[&str], loaded: &str, location: &str) -> (PathBuf, PathBuf) {
        let known = known.iter().map(PathBuf::from).collect();
        let id = Roots::new(known, Path::new(loaded)).id(Path::new(location));
        (id.folder().to_owned(), id.path().to_owned())
    }

    #[test]
    fn a_picture_has_one_name_in_whatever_order_folders_are_loaded() {
        let outer = ("/a".into(), "b/c.jpg".into());
        assert_eq!(id(&[], "/a", "/a/b/c.jpg"), outer);
        assert_eq!(id(&["/a"], "/a/b", "/a/b/c.jpg"), outer);
        let inner = ("/a/b".into(), "c.jpg".into());
        assert_eq!(id(&[], "/a/b", "/a/b/c.jpg"), inner);
        assert_eq!(id(&["/a/b"], "/a", "/a/b/c.jpg"), inner);
        assert_eq!(id(&["/a", "/a/b"], "/a", "/a/b/c.jpg"), inner);
        assert_eq!(id(&["/a/b"], "/a", "/a/bc.jpg"), ("/a".into(), "bc.jpg".into()));
        let passed_over = ("/a/.b".into(), "c.jpg".into());
        assert_eq!(id(&["/a"], "/a/.b", "/a/.b/c.jpg"), passed_over);
        assert_eq!(id(&["/a/.b"], "/a", "/a/.b/c.jpg"), passed_over);
        assert_eq!(id(&["/a", "/a/.b"], "/a/.b/c", "/a/.b/c/d.jpg").0, Path::new("/a/.b"));
    }
}
