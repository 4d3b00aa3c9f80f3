//! The changes of one burst of events, put together.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind};

use crate::backend::walk;

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
}

impl Below {
    /// Where `path` is in the watched folder, which it may not be.
    fn place<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        path.strip_prefix(&self.root).ok()
    }

    fn matters(&self, path: &Path) -> bool {
        !self.is_of_collection(path) && !self.place(path).is_some_and(walk::passes_over)
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
    /// Why no more is told, if that is so.
    pub(super) ended: Option<notify::Error>,
}

impl Burst {
    /// Adds an event; says whether it was a change.
    pub(super) fn add(&mut self, event: notify::Result<notify::Event>, below: &Below) -> bool {
        let event = match event {
            Ok(event) if event.need_rescan() => return self.everything(),
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
        let is_new_folder = event.kind == EventKind::Create(CreateKind::Folder);
        let mut any = false;
        for path in event.paths.iter().filter(|path| below.matters(path)) {
            any = true;
            let folder = if is_new_folder { Some(path.as_path()) } else { path.parent() };
            match folder.and_then(|folder| below.place(folder)) {
                Some(folder) => self.folder(folder),
                // The watched folder itself.
                None => return self.everything(),
            }
        }
        any
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

/// Reading, as a load does itself, is none.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use notify::Event;
    use notify::event::{Flag, ModifyKind, RenameMode};

    use super::*;

    fn below() -> Below {
        Below { root: "/cars".into(), collection: "/cars/data/mine.db".into() }
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
