//! The changes of one burst of events, put together.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind};

use crate::backend::walk::{self, Link};

/// With more changed folders than this, everything is looked at.
const MANY: usize = 1000;

/// What may have changed below a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::backend) enum Changed {
    /// Nobody knows what; also when the folder went or came back.
    Everything,
    /// These folders with all below them, relative to the watched one, which
    /// is the empty path itself. None is below another.
    Folders(BTreeSet<PathBuf>),
}

impl Changed {
    /// The folders to look at with all below them, of the watched `folder`.
    pub(in crate::backend) fn below(&self, folder: &Path) -> Vec<PathBuf> {
        match self {
            Self::Everything => vec![folder.to_owned()],
            Self::Folders(folders) => folders.iter().map(|below| folder.join(below)).collect(),
        }
    }
}

/// What is watched.
#[derive(Debug)]
pub(super) struct Below {
    /// As the system names it.
    pub(super) root: PathBuf,
    /// Its files change with every look at the folder, and are no pictures.
    pub(super) collection: PathBuf,
    /// The links to other folders, which are watched by their own names, once
    /// they are known.
    pub(super) links: OnceLock<Vec<Link>>,
}

impl Below {
    pub(super) fn links(&self) -> &[Link] {
        self.links.get().map(Vec::as_slice).unwrap_or_default()
    }

    /// Where `path` is in the watched folder: at several places if links lead
    /// there, or nowhere.
    fn places(&self, path: &Path) -> Vec<PathBuf> {
        let own = path.strip_prefix(&self.root).ok().map(Path::to_owned);
        let linked = self.links().iter().filter_map(|link| {
            let rest = path.strip_prefix(&link.target).ok()?;
            // Joined to nothing, a path ends with a slash.
            let at_target = rest.as_os_str().is_empty();
            Some(if at_target { link.place.clone() } else { link.place.join(rest) })
        });
        own.into_iter().chain(linked).collect()
    }

    /// Whether there may be other links now that something was made, renamed or
    /// removed at `path`.
    fn may_change_links(&self, path: &Path) -> bool {
        let is_file = |found: fs::Metadata| found.file_type().is_file();
        let was_link = |link: &Link| {
            self.root.join(&link.place).starts_with(path) || link.target.starts_with(path)
        };
        // A folder may have links in it.
        fs::symlink_metadata(path).is_ok_and(|found| !is_file(found))
            || self.links().iter().any(was_link)
    }

    fn is_of_collection(&self, path: &Path) -> bool {
        let names = self.collection.file_name().zip(path.file_name());
        path.parent() == self.collection.parent()
            && names.is_some_and(|(ours, name)| {
                name.as_encoded_bytes().starts_with(ours.as_encoded_bytes())
            })
    }
}

/// What a burst has brought so far.
#[derive(Debug, Default)]
pub(super) struct Burst {
    /// `None` as long as nothing has changed.
    pub(super) changed: Option<Changed>,
    /// Whether links to folders may have come, gone or changed.
    pub(super) links: bool,
    /// Whether something was not told, as that a folder was made, which is not
    /// watched then.
    pub(super) is_incomplete: bool,
    /// Why no more is told, if that is so.
    pub(super) ended: Option<notify::Error>,
}

impl Burst {
    /// Adds an event; says whether it was a change.
    pub(super) fn add(&mut self, event: notify::Result<notify::Event>, below: &Below) -> bool {
        let event = match event {
            Ok(event) if event.need_rescan() => {
                self.is_incomplete = true;
                return self.everything();
            }
            Ok(event) => event,
            Err(error) => {
                if matches!(error.kind, notify::ErrorKind::MaxFilesWatch) {
                    self.ended = Some(error);
                }
                return self.everything();
            }
        };
        if !is_change(event.kind) {
            return false;
        }
        let mut any = false;
        for path in event.paths.iter().filter(|path| !below.is_of_collection(path)) {
            let places = below.places(path);
            if places.is_empty() {
                return self.everything();
            }
            let mut matters = false;
            for place in places.iter().filter(|place| !walk::passes_over(place)) {
                matters = true;
                self.at(place, event.kind);
            }
            self.links |= matters && is_change_of_names(event.kind) && below.may_change_links(path);
            any |= matters;
        }
        any
    }

    /// Something has changed at this place in the watched folder.
    fn at(&mut self, place: &Path, kind: EventKind) {
        let is_new_folder = kind == EventKind::Create(CreateKind::Folder);
        let folder = if is_new_folder { Some(place) } else { place.parent() };
        match folder {
            Some(folder) => self.folder(folder),
            // The watched folder itself.
            None => {
                self.everything();
            }
        }
    }

    fn everything(&mut self) -> bool {
        self.changed = Some(Changed::Everything);
        true
    }

    fn folder(&mut self, folder: &Path) {
        let changed = self.changed.get_or_insert_with(|| Changed::Folders(BTreeSet::new()));
        let Changed::Folders(folders) = changed else { return };
        if folder.ancestors().any(|above| folders.contains(above)) {
            return;
        }
        folders.retain(|other| !other.starts_with(folder));
        folders.insert(folder.to_owned());
        if folders.len() > MANY {
            *changed = Changed::Everything;
        }
    }
}

/// Reading, as whoever watches does itself, is none.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

/// Whether something was made, renamed or removed.
fn is_change_of_names(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
    )
}

#[cfg(test)]
mod tests {
    use notify::Event;
    use notify::event::{Flag, RemoveKind, RenameMode};

    use super::*;

    fn below() -> Below {
        let link = |place: &str, target: &str| Link { place: place.into(), target: target.into() };
        let links = vec![link("a/lk", "/out"), link("lk", "/out/deep"), link("b", "/cars/.old")];
        Below { root: "/cars".into(), collection: "/cars/data/mine.db".into(), links: links.into() }
    }

    fn after(events: impl IntoIterator<Item = Event>) -> Option<Changed> {
        let mut burst = Burst::default();
        for event in events {
            burst.add(Ok(event), &below());
        }
        burst.changed
    }

    #[expect(clippy::unnecessary_wraps, reason = "as a burst has it")]
    fn folders(paths: &[&str]) -> Option<Changed> {
        Some(Changed::Folders(paths.iter().map(PathBuf::from).collect()))
    }

    fn event(kind: EventKind, paths: &[&str]) -> Event {
        paths.iter().fold(Event::new(kind), |event, path| event.add_path(path.into()))
    }

    const WRITTEN: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    const RENAMED: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::Both));

    #[test]
    fn a_rename_changes_the_folders_it_left_and_entered() {
        let renamed = event(RENAMED, &["/cars/a/x.jpg", "/cars/b/x.jpg"]);
        assert_eq!(after([renamed]), folders(&["a", "b"]));
    }

    #[test]
    fn unfinished_files_are_no_change_before_they_get_their_name() {
        for name in [".x.jpg", "x.jpg~", "x.TMP", "x.part", "x.crdownload", "x.swp"] {
            let path = format!("/cars/a/{name}");
            assert_eq!(after([event(WRITTEN, &[&path])]), None, "{name}");
            let renamed = event(RENAMED, &[&path, "/cars/a/x.jpg"]);
            assert_eq!(after([renamed]), folders(&["a"]), "{name}");
        }
    }

    #[test]
    fn nothing_that_a_load_passes_over_or_writes_itself_is_a_change() {
        for path in ["/cars/.git/a/x.jpg", "/cars/@eaDir/x.jpg", "/cars/data/mine.db-wal"] {
            assert_eq!(after([event(WRITTEN, &[path])]), None, "{path}");
        }
        assert_eq!(after([event(WRITTEN, &["/cars/data/mine.jpg"])]), folders(&["data"]));
    }

    #[test]
    fn reading_is_no_change() {
        for access in [AccessKind::Read, AccessKind::Open(AccessMode::Any)] {
            assert_eq!(after([event(EventKind::Access(access), &["/cars/x.jpg"])]), None);
        }
        assert_eq!(after([event(WRITTEN, &["/cars/x.jpg"])]), folders(&[""]));
    }

    #[test]
    fn a_folder_stands_for_all_below_it() {
        let new = event(EventKind::Create(CreateKind::Folder), &["/cars/a/b"]);
        assert_eq!(after([new.clone()]), folders(&["a/b"]));
        let above = event(WRITTEN, &["/cars/a/x.jpg"]);
        assert_eq!(after([new.clone(), above.clone()]), folders(&["a"]));
        assert_eq!(after([above, new]), folders(&["a"]));
    }

    #[test]
    fn what_changes_behind_a_link_changes_where_the_link_is() {
        assert_eq!(after([event(WRITTEN, &["/out/x.jpg"])]), folders(&["a/lk"]));
        let both = folders(&["a/lk/deep", "lk"]);
        assert_eq!(after([event(WRITTEN, &["/out/deep/x.jpg"])]), both);
        assert_eq!(after([event(WRITTEN, &["/out/.git/x.jpg"])]), None);
        // Hidden, and yet what a link leads to.
        assert_eq!(after([event(WRITTEN, &["/cars/.old/x.jpg"])]), folders(&["b"]));
        let new = event(EventKind::Create(CreateKind::Folder), &["/out/new"]);
        assert_eq!(after([new]), folders(&["a/lk/new"]));
    }

    #[test]
    fn links_may_be_others_when_one_goes_with_its_folder_or_loses_its_target() {
        let links_after = |path: &str| {
            let mut burst = Burst::default();
            let removed = event(EventKind::Remove(RemoveKind::Any), &[path]);
            assert!(burst.add(Ok(removed), &below()));
            burst.links
        };
        for path in ["/cars/a/lk", "/cars/a", "/out", "/out/deep"] {
            assert!(links_after(path), "{path}");
        }
        for path in ["/cars/a/lk.jpg", "/cars/a/x.jpg", "/out/x.jpg"] {
            assert!(!links_after(path), "{path}");
        }
    }

    #[test]
    fn lost_events_and_very_many_folders_change_everything() {
        let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert_eq!(after([lost]), Some(Changed::Everything));
        let many = |count| (0..count).map(|n| event(WRITTEN, &[&format!("/cars/{n}/x.jpg")]));
        assert!(matches!(after(many(MANY)), Some(Changed::Folders(all)) if all.len() == MANY));
        assert_eq!(after(many(MANY + 1)), Some(Changed::Everything));
    }

    #[test]
    fn the_end_of_watches_changes_everything_and_ends_the_watching() {
        let mut burst = Burst::default();
        let error = notify::Error::new(notify::ErrorKind::MaxFilesWatch);
        assert!(burst.add(Err(error), &below()));
        assert_eq!(burst.changed, Some(Changed::Everything));
        assert!(burst.ended.is_some());
    }
}
