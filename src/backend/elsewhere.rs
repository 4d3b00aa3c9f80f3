//! Loads by other processes into the same collection: told of in a small
//! journal beside the collection file, one per process, and watched there.
//!
//! A journal is locked while its process lives, so that one left behind by a
//! killed process is known as such. Nothing depends on journals: where they
//! cannot be written or watched, loads are merely not seen from elsewhere.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::process;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::message::{Event, LoadElsewhere, LoadProgress, Remark, RequestId};
use crate::domain::Printable;

/// Tells other processes of a load in this one. Removed when dropped.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    folder: String,
}

impl Journal {
    /// A journal beside `collection` of the load of `folder`.
    pub(super) fn begin(collection: &Path, folder: &Path) -> io::Result<Self> {
        let mut name = prefix(collection);
        name.push(process::id().to_string());
        let path = collection.with_file_name(name);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        let file = OpenOptions::new().create(true).write(true).truncate(true).open(&path)?;
        file.try_lock()?;
        Ok(Self { path, file, folder: Printable::new(folder).to_string() })
    }

    /// Tells how far the load is.
    pub(super) fn tell(&mut self, progress: &LoadProgress) -> io::Result<()> {
        let load = LoadElsewhere {
            process: process::id(),
            folder: self.folder.clone(),
            progress: progress.clone(),
        };
        let text = serde_json::to_vec(&load)?;
        self.file.rewind()?;
        self.file.write_all(&text)?;
        self.file.set_len(text.len() as u64)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // One left behind is known as such by its missing lock.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whose load into `collection` another one has to wait for.
pub(super) fn waiting_for(collection: &Path) -> Remark {
    let whose = match &loads(collection)[..] {
        [] => "another process changes the collection".into(),
        [load, ..] => format!("process {} loads {} into the collection", load.process, load.folder),
    };
    Remark {
        text: format!("{whose}; waiting for its end"),
        hint: "Ctrl-C gives up; `carlens status` says what is there already".into(),
    }
}

/// Reports the loads of other processes into `collection` whenever they
/// change. Ends when nobody hears the reports any more, or if folders cannot
/// be watched here.
pub(super) async fn follow(
    collection: &Path,
    id: RequestId,
    events: &mpsc::Sender<Event>,
) -> notify::Result<()> {
    let folder = collection.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let (changed, mut changes) = mpsc::channel(1);
    let ours = prefix(collection);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let of_journal = |path: &PathBuf| {
            path.file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(ours.as_encoded_bytes()))
        };
        if event.is_ok_and(|event| is_change(event.kind) && event.paths.iter().any(of_journal)) {
            // One that waits already stands for this one too.
            let _ = changed.try_send(());
        }
    })?;
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    let mut before = Vec::new();
    loop {
        let collection = collection.to_owned();
        // A panic in there would be a bug, and no reason to stop watching.
        let now = spawn_blocking(move || loads(&collection)).await.unwrap_or_default();
        let report = Event::LoadsElsewhere(id, now.clone());
        if now != before && events.send(report).await.is_err() || changes.recv().await.is_none() {
            return Ok(());
        }
        before = now;
    }
}

/// Reading a journal, as this does itself, is none.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

/// The loads of other processes, by process. A journal whose process is gone
/// is removed.
fn loads(collection: &Path) -> Vec<LoadElsewhere> {
    let prefix = prefix(collection);
    let folder = collection.parent().unwrap_or(Path::new("."));
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut loads: Vec<LoadElsewhere> = entries
        .filter_map(Result::ok)
        .filter(|e| e.file_name().as_encoded_bytes().starts_with(prefix.as_encoded_bytes()))
        .filter_map(|entry| load(&entry.path()))
        .filter(|load| load.process != process::id())
        .collect();
    loads.sort_by_key(|load| load.process);
    loads
}

/// A journal that is being written just now is no JSON; the next change tells.
fn load(path: &Path) -> Option<LoadElsewhere> {
    let file = File::open(path).ok()?;
    let load: LoadElsewhere = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    if file.try_lock_shared().is_ok() {
        // Its process is gone. If it cannot be removed, it is still ignored.
        let _ = fs::remove_file(path);
        return None;
    }
    Some(LoadElsewhere { folder: Printable::new(&load.folder).to_string(), ..load })
}

/// How the names of `collection`'s journals begin.
fn prefix(collection: &Path) -> OsString {
    let mut name = collection.file_name().unwrap_or_default().to_owned();
    name.push(".load-");
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(embedded: usize) -> LoadProgress {
        LoadProgress { found: 9, embedded, ..LoadProgress::default() }
    }

    /// As another process would have left or be holding it.
    fn journal_of(process: u32, collection: &Path) -> File {
        let load = LoadElsewhere { process, folder: "/cars".into(), progress: progress(3) };
        let mut name = prefix(collection);
        name.push(process.to_string());
        let path = collection.with_file_name(name);
        let file = File::create(&path).unwrap();
        fs::write(&path, serde_json::to_vec(&load).unwrap()).unwrap();
        file
    }

    #[test]
    fn a_load_is_seen_as_long_as_its_process_lives() {
        let home = tempfile::tempdir().unwrap();
        let collection = home.path().join("cars.db");
        let file = journal_of(1, &collection);
        file.lock().unwrap();
        assert_eq!(loads(&collection).len(), 1);
        assert_eq!(loads(&collection)[0].progress, progress(3));
        drop(file);
        assert_eq!(loads(&collection), []);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn our_own_load_is_not_elsewhere_and_leaves_nothing_behind() {
        let home = tempfile::tempdir().unwrap();
        let collection = home.path().join("cars.db");
        let mut journal = Journal::begin(&collection, Path::new("/cars")).unwrap();
        journal.tell(&progress(8)).unwrap();
        journal.tell(&progress(1)).unwrap();
        let told: LoadElsewhere =
            serde_json::from_slice(&fs::read(&journal.path).unwrap()).unwrap();
        assert_eq!(told.progress, progress(1));
        assert_eq!(loads(&collection), []);
        drop(journal);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn changes_are_reported_as_they_happen() {
        let home = tempfile::tempdir().unwrap();
        let collection = home.path().join("cars.db");
        let (events, mut reports) = mpsc::channel(8);
        let followed = collection.clone();
        tokio::spawn(async move { follow(&followed, RequestId(7), &events).await });
        // Written again and again, as nothing tells when the watching begins.
        let file = loop {
            let file = journal_of(1, &collection);
            file.lock().unwrap();
            if let Ok(report) = reports.try_recv() {
                assert!(
                    matches!(&report, Event::LoadsElsewhere(RequestId(7), loads) if loads.len() == 1)
                );
                break file;
            }
            drop(file);
            tokio::task::yield_now().await;
        };
        drop(file);
        let gone =
            |report: &Event| matches!(report, Event::LoadsElsewhere(_, loads) if loads.is_empty());
        while !gone(&reports.recv().await.unwrap()) {}
    }
}
