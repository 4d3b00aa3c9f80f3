//! Loads by other processes into the same collection: told of in a small
//! journal beside the collection file, one per process, and watched there.
//!
//! A journal is locked while its process lives, so that one left behind by a
//! killed process is known as such, and removed by whoever meets it. Nothing
//! depends on journals: where they cannot be written or watched, loads are
//! merely not seen from elsewhere.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::Duration;

use notify::{EventKind, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

#[cfg(unix)]
use super::identity::Identity;
use super::message::{Ended, Event, LoadElsewhere, LoadProgress, Remark, RequestId};
use crate::domain::{FileProblem, Printable};
use crate::pace::Pace;

/// How many of the failed files are told.
const MOST_FAILED: usize = 20;

/// How often is looked whether the processes of loads are still there: nothing
/// tells when one is killed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often a lock that is held is tried, a millisecond apart: whoever looks
/// whether its process lives, or clears up after one, holds it for less, unless
/// a busy machine stops it right then.
const ATTEMPTS: u32 = 3_000;

/// Tells other processes of a load in this one. Removed when dropped.
pub(super) struct Journal {
    /// Locked as long as this process lives.
    lock: PathBuf,
    _locked: File,
    collection: PathBuf,
    told: LoadElsewhere,
    pace: Pace,
}

impl Journal {
    /// A journal beside `collection` of the load of `folder`.
    pub(super) fn begin(collection: &Path, folder: &Path) -> io::Result<Self> {
        let process = process::id();
        let lock = lock(collection, process);
        lock.parent().map_or(Ok(()), fs::create_dir_all)?;
        let file = claim_soon(&lock)?;
        // One killed before may have had the same number.
        remove_texts(&lock);
        // Clears up after others.
        loads(collection);
        let folder = Printable::new(folder).to_string();
        let told = LoadElsewhere { process, folder, ..LoadElsewhere::default() };
        let collection = collection.to_owned();
        Ok(Self { lock, _locked: file, collection, told, pace: Pace::default() })
    }

    /// Tells how far the load is.
    pub(super) fn tell(&mut self, progress: &LoadProgress) -> io::Result<()> {
        progress.add_to(&mut self.pace);
        self.told.current = progress.current.as_ref().map(|path| Printable::new(path).to_string());
        self.told.rate = self.pace.rate();
        self.told.left = progress.time_left(&self.pace);
        self.told.progress = progress.clone();
        replace(&text(&self.lock), &self.lock, &self.told)
    }

    /// Notes a failed file, to be told of with the progress.
    pub(super) fn failed(&mut self, problem: &FileProblem) {
        self.told.failed.push(problem.to_string());
        let too_many = self.told.failed.len().saturating_sub(MOST_FAILED);
        self.told.failed.drain(..too_many);
    }

    /// The last word, which stays until that of the next load.
    pub(super) fn end(mut self, ended: Ended) {
        self.told.ended = Some(ended);
        if let Err(error) = replace(&last_word(&self.collection), &self.lock, &self.told) {
            tracing::warn!(%error, "other processes do not see how this load ended");
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        remove(&self.lock);
    }
}

/// Tells other processes that this one loads whatever changes in some folders,
/// also while it has nothing to load. Gone when dropped.
pub(super) struct Vigil {
    lock: PathBuf,
    /// Locked as long as this process lives.
    _locked: File,
}

impl Vigil {
    /// A vigil of this process over folders of `collection`.
    pub(super) fn begin(collection: &Path) -> io::Result<Self> {
        let lock = vigil(collection, process::id());
        lock.parent().map_or(Ok(()), fs::create_dir_all)?;
        let file = claim_soon(&lock)?;
        Ok(Self { lock, _locked: file })
    }
}

impl Drop for Vigil {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.lock);
    }
}

/// Removes a journal whose lock the caller holds. The text first, as a lock
/// without a text says nothing.
fn remove(lock: &Path) {
    remove_texts(lock);
    let _ = fs::remove_file(lock);
}

fn remove_texts(lock: &Path) {
    let _ = fs::remove_file(unfinished(lock));
    let _ = fs::remove_file(text(lock));
}

/// Readers see what was there before or what is there now, and nothing between.
/// What is unfinished has the name of the process, which tells whether it still
/// works on it.
fn replace(place: &Path, lock: &Path, told: &LoadElsewhere) -> io::Result<()> {
    let unfinished = unfinished(lock);
    let written = fs::write(&unfinished, serde_json::to_vec(told)?)
        .and_then(|()| fs::rename(&unfinished, place));
    // A full disk lets the file begin and not end.
    written.inspect_err(|_| drop(fs::remove_file(&unfinished)))
}

/// Locks `lock`, which is made if it is not there, and is in its place as long
/// as it is held. `None` if another one holds it.
fn claim(lock: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(lock)?;
    match file.try_lock() {
        Ok(()) => Ok(is_still_at(&file, lock)?.then_some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn claim_soon(lock: &Path) -> io::Result<File> {
    for _ in 1..ATTEMPTS {
        if let Some(file) = claim(lock)? {
            return Ok(file);
        }
        thread::sleep(Duration::from_millis(1));
    }
    claim(lock)?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
}

/// False if the file was removed between opening and locking it: the lock of a
/// file without a name says nothing to others.
#[cfg(unix)]
fn is_still_at(file: &File, place: &Path) -> io::Result<bool> {
    let (held, there) = (file.metadata()?, fs::metadata(place));
    Ok(there.is_ok_and(|there| Identity::of(&there) == Identity::of(&held)))
}

#[cfg(not(unix))]
fn is_still_at(_: &File, place: &Path) -> io::Result<bool> {
    place.try_exists()
}

/// The lock file of a process' journal.
fn lock(collection: &Path, process: u32) -> PathBuf {
    let mut name = prefix(collection);
    name.push(process.to_string());
    collection.with_file_name(name)
}

/// The lock file of a process' vigil.
fn vigil(collection: &Path, process: u32) -> PathBuf {
    let mut name = vigils(collection);
    name.push(process.to_string());
    collection.with_file_name(name)
}

/// What the journal with this lock file says.
fn text(lock: &Path) -> PathBuf {
    lock.with_added_extension("json")
}

/// What it is going to say.
fn unfinished(lock: &Path) -> PathBuf {
    lock.with_added_extension("json.new")
}

/// How the last load ended that could tell.
fn last_word(collection: &Path) -> PathBuf {
    let mut name = prefix(collection);
    name.push("last.json");
    collection.with_file_name(name)
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

/// What other processes do about a collection.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    loads: Vec<LoadElsewhere>,
    is_watched: bool,
}

impl Seen {
    fn look(collection: &Path) -> Self {
        Self { loads: loads(collection), is_watched: is_watched(collection) }
    }
}

/// Reports the loads of other processes into `collection` whenever they
/// change, and whether others will follow. Ends when nobody hears the reports any
/// more, or if folders cannot be watched here.
pub(super) async fn follow(
    collection: &Path,
    id: RequestId,
    events: &mpsc::Sender<Event>,
) -> notify::Result<()> {
    let folder = collection.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let (changed, mut changes) = mpsc::channel(1);
    let ours = [prefix(collection), vigils(collection)];
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let of_journal = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().as_encoded_bytes();
            ours.iter().any(|ours| name.starts_with(ours.as_encoded_bytes()))
        };
        // Whoever looks opens and closes the locks himself.
        let is_change = |kind: EventKind| !matches!(kind, EventKind::Access(_));
        if event.is_ok_and(|event| is_change(event.kind) && event.paths.iter().any(of_journal)) {
            // One that waits already stands for this one too.
            let _ = changed.try_send(());
        }
    })?;
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    let mut before: Option<Seen> = None;
    loop {
        let place = collection.to_owned();
        // A panic in there would be a bug, and no reason to stop watching.
        let now = spawn_blocking(move || Seen::look(&place)).await.unwrap_or_default();
        if before.as_ref() != Some(&now) {
            let before = before.unwrap_or_default();
            for ended in ended(collection, &before.loads, &now.loads) {
                if events.send(Event::LoadEndedElsewhere(id, ended.into())).await.is_err() {
                    return Ok(());
                }
            }
            let watched = Event::WatchedElsewhere(id, now.is_watched);
            if now.is_watched != before.is_watched && events.send(watched).await.is_err() {
                return Ok(());
            }
            if events.send(Event::LoadsElsewhere(id, now.loads.clone())).await.is_err() {
                return Ok(());
            }
        }
        // An error means that it is time to look.
        let change = if now == Seen::default() {
            Ok(changes.recv().await)
        } else {
            timeout(LOOK_EVERY, changes.recv()).await
        };
        if matches!(change, Ok(None)) {
            return Ok(());
        }
        before = Some(now);
    }
}

/// Those of `before` that are not among `now`, as they ended.
fn ended<'a>(
    collection: &Path,
    before: &'a [LoadElsewhere],
    now: &[LoadElsewhere],
) -> impl Iterator<Item = LoadElsewhere> + use<'a> {
    let last = read(&last_word(collection));
    let running: Vec<u32> = now.iter().map(|load| load.process).collect();
    let gone = before.iter().filter(move |load| !running.contains(&load.process));
    gone.map(move |load| {
        let told = last.as_ref().filter(|last| last.process == load.process);
        told.unwrap_or(load).clone()
    })
}

/// The loads of other processes, by process. A journal whose process is gone
/// is removed.
fn loads(collection: &Path) -> Vec<LoadElsewhere> {
    let processes = others(collection, &prefix(collection)).into_iter();
    processes.filter_map(|process| load(&lock(collection, process))).collect()
}

/// Whether another process loads whatever changes.
fn is_watched(collection: &Path) -> bool {
    let mut processes = others(collection, &vigils(collection)).into_iter();
    processes.any(|process| is_held(&vigil(collection, process)))
}

/// Other processes that have files beside `collection` whose names begin like
/// this: a lock may be gone, and what it was of be left.
fn others(collection: &Path, prefix: &OsStr) -> BTreeSet<u32> {
    let folder = collection.parent().unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let processes = entries.filter_map(|entry| process_of(&entry.file_name(), prefix));
    processes.filter(|process| *process != process::id()).collect()
}

/// Whose journal a file is part of, by its name.
fn process_of(name: &OsStr, prefix: &OsStr) -> Option<u32> {
    let name = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes())?;
    let name = str::from_utf8(name).ok()?;
    let (process, part) = name.split_once('.').unwrap_or((name, ""));
    let is_digits = process.bytes().all(|byte| byte.is_ascii_digit());
    (is_digits && matches!(part, "" | "json" | "json.new")).then(|| process.parse().ok())?
}

/// The load whose journal has this lock file, if its process lives. A process
/// that has its lock and has written nothing yet is none that is gone.
fn load(lock: &Path) -> Option<LoadElsewhere> {
    is_held(lock).then(|| read(&text(lock)))?
}

/// Whether the process lives that has locked this; what is left of one that is
/// gone is removed.
fn is_held(lock: &Path) -> bool {
    match claim(lock) {
        Ok(Some(_held)) => {
            remove(lock);
            false
        }
        Ok(None) => true,
        // In a folder that may only be read.
        Err(_) => File::open(lock).is_ok_and(|file| file.try_lock_shared().is_err()),
    }
}

fn read(place: &Path) -> Option<LoadElsewhere> {
    let load: LoadElsewhere = serde_json::from_slice(&fs::read(place).ok()?).ok()?;
    let printable = |text: &String| Printable::new(text).to_string();
    Some(LoadElsewhere {
        folder: printable(&load.folder),
        current: load.current.as_ref().map(printable),
        failed: load.failed.iter().map(printable).collect(),
        ..load
    })
}

/// How the names of `collection`'s journals begin.
fn prefix(collection: &Path) -> OsString {
    named(collection, ".load-")
}

/// How the names of its vigils begin.
fn vigils(collection: &Path) -> OsString {
    named(collection, ".watch-")
}

fn named(collection: &Path, what: &str) -> OsString {
    let mut name = collection.file_name().unwrap_or_default().to_owned();
    name.push(what);
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
        let (folder, progress) = ("/cars".into(), progress(3));
        let load = LoadElsewhere { process, folder, progress, ..LoadElsewhere::default() };
        let lock = lock(collection, process);
        let file = File::create(&lock).unwrap();
        file.lock().unwrap();
        replace(&text(&lock), &lock, &load).unwrap();
        file
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Of processes that were killed at every moment there is, beside one that
    /// has only its lock so far, and the last word.
    fn leftovers(home: &Path) -> File {
        for name in ["95", "96", "96.json", "97.json.new", "98", "98.json.new", "99.json"] {
            fs::write(home.join(format!("cars.db.load-{name}")), "").unwrap();
        }
        for name in ["1.json.new", "last.json"] {
            fs::write(home.join(format!("cars.db.load-{name}")), "").unwrap();
        }
        let living = File::create(home.join("cars.db.load-1")).unwrap();
        living.lock().unwrap();
        living
    }

    const KEPT: [&str; 3] = ["cars.db.load-1", "cars.db.load-1.json.new", "cars.db.load-last.json"];

    #[test]
    fn whoever_looks_for_loads_clears_up_after_processes_that_are_gone() {
        let home = tempfile::tempdir().unwrap();
        let _living = leftovers(home.path());
        assert_eq!(loads(&home.path().join("cars.db")), []);
        assert_eq!(names(home.path()), KEPT);
    }

    #[test]
    fn whoever_begins_a_load_clears_up_after_processes_that_are_gone() {
        let home = tempfile::tempdir().unwrap();
        let _living = leftovers(home.path());
        let collection = home.path().join("cars.db");
        // One that had our number.
        let ours = lock(&collection, process::id());
        for place in [&ours, &text(&ours), &unfinished(&ours)] {
            fs::write(place, "").unwrap();
        }
        let journal = Journal::begin(&collection, Path::new("/cars")).unwrap();
        assert!(ours.exists() && !text(&ours).exists() && !unfinished(&ours).exists());
        drop(journal);
        assert_eq!(names(home.path()), KEPT);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_full_disk_keeps_from_being_written_leaves_nothing_behind() {
        let home = tempfile::tempdir().unwrap();
        let collection = home.path().join("cars.db");
        let mut journal = Journal::begin(&collection, Path::new("/cars")).unwrap();
        std::os::unix::fs::symlink("/dev/full", unfinished(&journal.lock)).unwrap();
        let error = journal.tell(&progress(1)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(fs::symlink_metadata(unfinished(&journal.lock)).is_err());
        std::os::unix::fs::symlink("/dev/full", unfinished(&journal.lock)).unwrap();
        journal.end(Ended::Failed);
        assert_eq!(names(home.path()), Vec::<String>::new());
    }

    #[test]
    fn a_lock_stays_in_its_place_however_many_clear_up() {
        let home = tempfile::tempdir().unwrap();
        let lock = lock(&home.path().join("cars.db"), 1);
        thread::scope(|scope| {
            let living = scope.spawn(|| {
                for _ in 0..300 {
                    let held = claim_soon(&lock).unwrap();
                    assert!(is_still_at(&held, &lock).unwrap());
                    thread::yield_now();
                    assert!(is_still_at(&held, &lock).unwrap());
                }
            });
            while !living.is_finished() {
                load(&lock);
            }
        });
    }

    #[test]
    fn a_load_is_seen_as_long_as_its_process_lives() {
        let home = tempfile::tempdir().unwrap();
        let collection = home.path().join("cars.db");
        let file = journal_of(1, &collection);
        assert_eq!(loads(&collection).len(), 1);
        assert_eq!(loads(&collection)[0].progress, progress(3));
        drop(file);
        assert_eq!(loads(&collection), []);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_vigil_is_seen_as_long_as_its_process_lives() {
        let home = tempfile::tempdir().unwrap();
        let collection = home.path().join("cars.db");
        let _ours = Vigil::begin(&collection).unwrap();
        assert!(!is_watched(&collection));
        let other = File::create(vigil(&collection, 1)).unwrap();
        other.lock().unwrap();
        assert!(is_watched(&collection));
        assert_eq!(loads(&collection), []);
        drop(other);
        assert!(!is_watched(&collection));
        assert!(!vigil(&collection, 1).exists());
    }

    #[test]
    fn our_own_load_is_not_elsewhere_and_leaves_nothing_behind() {
        let home = tempfile::tempdir().unwrap();
        let collection = home.path().join("cars.db");
        let mut journal = Journal::begin(&collection, Path::new("/cars")).unwrap();
        journal.tell(&progress(8)).unwrap();
        journal.tell(&progress(1)).unwrap();
        let told = read(&text(&journal.lock)).unwrap();
        assert_eq!(told.progress, progress(1));
        assert_eq!(loads(&collection), []);
        drop(journal);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_last_word_of_a_load_stays() {
        let home = tempfile::tempdir().unwrap();
        let collection = home.path().join("cars.db");
        let mut journal = Journal::begin(&collection, Path::new("/cars")).unwrap();
        for n in 0..=MOST_FAILED {
            let path = format!("{n}.jpg").into();
            journal.failed(&FileProblem::new(path, "is broken".into()));
        }
        journal.tell(&progress(8)).unwrap();
        journal.end(Ended::Finished);
        let before = LoadElsewhere { process: process::id(), ..LoadElsewhere::default() };
        let killed = LoadElsewhere { process: 0, ..LoadElsewhere::default() };
        let ended: Vec<_> = ended(&collection, &[before, killed.clone()], &[]).collect();
        assert_eq!(ended[0].ended, Some(Ended::Finished));
        assert_eq!(ended[0].progress, progress(8));
        assert_eq!(ended[0].failed.len(), MOST_FAILED);
        assert_eq!(ended[0].failed[0], "1.jpg is broken");
        assert_eq!(ended[1], killed, "without a word");
    }

    #[tokio::test(start_paused = true)]
    async fn a_load_is_reported_and_its_end_even_if_its_process_is_killed() {
        let home = tempfile::tempdir().unwrap();
        let collection = home.path().join("cars.db");
        let (events, mut reports) = mpsc::channel(8);
        let file = journal_of(1, &collection);
        let followed = collection.clone();
        tokio::spawn(async move { follow(&followed, RequestId(7), &events).await });
        let first = reports.recv().await.unwrap();
        assert!(matches!(&first, Event::LoadsElsewhere(RequestId(7), loads) if loads.len() == 1));
        // As the system does with a process: nothing is written.
        drop(file);
        let ended = reports.recv().await.unwrap();
        assert!(matches!(&ended, Event::LoadEndedElsewhere(_, load) if load.ended.is_none()));
        let none = reports.recv().await.unwrap();
        assert!(matches!(&none, Event::LoadsElsewhere(_, loads) if loads.is_empty()));
    }
}
