//! The folders of a collection, and which of them a picture belongs to.
//!
//! A picture belongs to the innermost folder that the collection knows. One
//! that is loaded becomes a folder of the collection unless it lies in one
//! that is, so that a picture is stored once, whichever of the folders above
//! it are loaded, and in whatever order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::ImageId;

/// The folders of a collection.
#[derive(Clone, Debug)]
pub(super) struct Roots(Vec<Arc<Path>>);

impl Roots {
    /// Those `known` to the collection, and the one `loaded`, all absolute.
    pub(super) fn new(known: Vec<PathBuf>, loaded: &Path) -> Self {
        let is_below = known.iter().any(|known| loaded.starts_with(known));
        let loaded = (!is_below).then(|| loaded.to_owned());
        let mut roots: Vec<Arc<Path>> = known.into_iter().chain(loaded).map(Arc::from).collect();
        // The innermost of those above a picture comes first.
        roots.sort_by_key(|root| std::cmp::Reverse(root.components().count()));
        Self(roots)
    }

    /// What names the picture at the absolute `location`, which is at or below
    /// one of them.
    pub(super) fn id(&self, location: &Path) -> ImageId {
        let below = |root: &Arc<Path>| Some((Arc::clone(root), location.strip_prefix(root).ok()?));
        match self.0.iter().find_map(below) {
            Some((root, path)) => ImageId::new(root, path),
            None => ImageId::new(Path::new("/"), location),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
