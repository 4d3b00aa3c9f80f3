//! The built program is killed while it backs up, restores and repairs: what
//! it leaves is the one thing or the other, and the next run ends well.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use carlens::domain::Record;
use carlens::store::VectorStore as _;
use carlens::store::embedded::{self, Embedded};
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::commands::{Machine, Ran};
use crate::store_samples::{Random, id, random_embedding, record, spec};

const DIMENSION: usize = 128;

/// Enough that every command is a while at work.
const PICTURES: u64 = 4000;

/// How often each command is killed at work.
const KILLS: u32 = 60;

/// A machine with a place for a collection.
struct Place {
    machine: Machine,
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { machine: Machine::new(), folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn collection(&self) -> PathBuf {
        self.path("cars.db")
    }

    /// Stores pictures of these numbers, some of them hidden.
    async fn store(&self, numbers: std::ops::Range<u64>) {
        let store = Embedded::create(&self.collection(), &spec("a", DIMENSION)).await.unwrap();
        let hidden = (numbers.start..numbers.start + 9).map(|i| id(i.to_string())).collect();
        let records: Vec<Record> =
            numbers.map(|i| record(id(i.to_string()), random_embedding(i, DIMENSION))).collect();
        store.upsert(records).await.unwrap();
        store.hide(hidden).await.unwrap();
    }

    async fn back_up(&self, name: &str) -> PathBuf {
        let (file, token) = (self.path(name), CancellationToken::new());
        embedded::backup(&self.collection(), &file, false, &token).await.unwrap();
        file
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.machine.command();
        command.args(["--collection", "cars", "--data-folder"]).arg(self.folder.path()).args(args);
        command
    }

    #[track_caller]
    fn run(&self, args: &[&str]) {
        Ran::of(&mut self.command(args)).ends(0);
    }

    fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Removes the collection, and whatever was made of it.
    fn clear(&self) {
        for name in self.names().into_iter().filter(|name| name.contains("cars.db")) {
            fs::remove_file(self.path(&name)).unwrap();
        }
    }

    fn names(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[track_caller]
    fn assert_tidy(&self) {
        let is_left = |name: &&String| has_ending(name, "tmp") || has_ending(name, "lock");
        assert_eq!(self.names().iter().find(is_left), None);
    }

    async fn assert_clean(&self) {
        let token = CancellationToken::new();
        let found = embedded::check(&self.collection(), &token, |_, _| {}).await.unwrap();
        assert!(found.is_clean(), "{found:?}");
    }
}

fn has_ending(name: &str, ending: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == ending)
}

/// Everything that a search may find of the collection at `path`, and what is
/// hidden, in one number.
fn content(path: &Path) -> [u8; 32] {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection
        .prepare(
            "SELECT folder.path, picture.path, hash, embedding.vector, hidden.vector
             FROM picture JOIN folder ON folder.id = picture.folder
             LEFT JOIN embedding ON embedding.picture = picture.id
             LEFT JOIN hidden ON hidden.picture = picture.id ORDER BY 1, 2",
        )
        .unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut sum = Sha256::new();
    while let Some(row) = rows.next().unwrap() {
        for column in 0..5 {
            let value = row.get_ref(column).unwrap().as_blob_or_null().unwrap();
            sum.update(value.map_or(u64::MAX, |bytes| bytes.len() as u64).to_le_bytes());
            sum.update(value.unwrap_or_default());
        }
    }
    sum.finalize().into()
}

/// Kills commands at any moment of their time.
struct Killer {
    random: Random,
    /// How long one takes that is left alone.
    whole: Duration,
    killed: u32,
    completed: u32,
}

impl Killer {
    /// Takes the time that `undisturbed` needs, so that most are hit at work
    /// on whatever machine; nothing else depends on it.
    fn measure(undisturbed: impl FnOnce()) -> Self {
        let began = Instant::now();
        undisturbed();
        Self { random: Random(11), whole: began.elapsed(), killed: 0, completed: 0 }
    }

    fn is_done(&self) -> bool {
        assert!(self.completed < 10 * KILLS, "only {} were at work", self.killed);
        self.killed == KILLS
    }

    /// No event is waited for: any moment is to be survived.
    fn strike(&mut self, mut child: Child) {
        let most = u64::try_from(self.whole.as_micros()).unwrap();
        thread::sleep(Duration::from_micros(self.random.below(most)));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            self.completed += 1;
        } else {
            child.kill().unwrap();
            child.wait().unwrap();
            self.killed += 1;
        }
    }
}

#[tokio::test]
async fn a_killed_restore_leaves_the_old_collection_or_the_restored_one() {
    let place = Place::new();
    place.store(0..PICTURES).await;
    let one = place.back_up("one").await;
    place.store(PICTURES / 2..PICTURES * 2).await;
    let other = place.back_up("other").await;
    let (mut old, mut new) = ((one, "one"), (other, "other"));
    let mut killer =
        Killer::measure(|| place.run(&["restore", "--force", new.0.to_str().unwrap()]));
    let mut restored = 0;
    while !killer.is_done() {
        std::mem::swap(&mut old, &mut new);
        killer.strike(place.start(&["restore", "--force", new.0.to_str().unwrap()]));
        place.assert_clean().await;
        let left = content(&place.collection());
        let (before, after) = (content(&old.0), content(&new.0));
        assert!(left == before || left == after, "neither {} nor {}", old.1, new.1);
        restored += u32::from(left == after);
        if left != after {
            place.run(&["restore", "--force", new.0.to_str().unwrap()]);
            assert_eq!(content(&place.collection()), after);
        }
    }
    assert!(restored < killer.killed + killer.completed, "some were too early");
    place.assert_tidy();
}

#[tokio::test]
async fn a_restore_killed_over_a_damaged_collection_leaves_that_or_the_backup() {
    let place = Place::new();
    place.store(0..PICTURES).await;
    let backup = place.back_up("backup").await;
    let expected = content(&backup);
    let damaged = damaged(&fs::read(&backup).unwrap());
    let restore = ["restore", "--force", backup.to_str().unwrap()];
    let begin = || {
        place.clear();
        fs::write(place.collection(), &damaged).unwrap();
    };
    begin();
    let mut killer = Killer::measure(|| place.run(&restore));
    while !killer.is_done() {
        begin();
        killer.strike(place.start(&restore));
        let left = fs::read(place.collection()).expect("it has its name at any moment");
        assert!(left == damaged || content(&place.collection()) == expected);
        place.run(&restore);
        place.assert_clean().await;
        assert_eq!(content(&place.collection()), expected);
        assert_eq!(fs::read(place.path("cars.db.damaged")).unwrap(), damaged);
        assert!(!place.path("cars.db.damaged-2").exists());
        place.assert_tidy();
    }
}

#[tokio::test]
async fn a_killed_repair_is_carried_out_by_the_next_one() {
    let place = Place::new();
    place.store(0..PICTURES).await;
    Connection::open(place.collection())
        .unwrap()
        .execute_batch(
            "PRAGMA foreign_keys = OFF; DELETE FROM picture WHERE id % 100 = 1;
             UPDATE embedding SET vector = zeroblob(length(vector)) WHERE picture % 100 = 2",
        )
        .unwrap();
    let backup = place.back_up("backup").await;
    let damaged = damaged(&fs::read(backup).unwrap());
    let repair = ["check", "--repair"];
    let begin = || {
        place.clear();
        fs::write(place.collection(), &damaged).unwrap();
    };
    begin();
    let mut killer = Killer::measure(|| place.run(&repair));
    let expected = content(&place.collection());
    while !killer.is_done() {
        begin();
        killer.strike(place.start(&repair));
        assert!(place.collection().exists(), "it has its name at any moment");
        place.run(&repair);
        place.assert_clean().await;
        assert_eq!(content(&place.collection()), expected);
        assert_eq!(fs::read(place.path("cars.db.damaged")).unwrap(), damaged);
        assert!(!place.path("cars.db.damaged-2").exists());
        let is_left = |name: &&String| has_ending(name, "tmp");
        assert_eq!(place.names().iter().find(is_left), None);
    }
}

/// The same file with pages that make no sense, past the first tables.
fn damaged(whole: &[u8]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for place in [3, 5, 7] {
        let page = bytes.len() / 8192 * place / 8;
        bytes[page * 8192..][..4096].fill(0xa5);
    }
    bytes
}

#[tokio::test]
async fn what_a_killed_backup_leaves_goes_with_the_next_to_the_same_file() {
    let place = Place::new();
    place.store(0..PICTURES).await;
    let backup = place.path("backup");
    let args = ["backup", "--force", backup.to_str().unwrap()];
    // A backup that goes on meanwhile, as another process holds it.
    let [lock, making] = [".backupAb12yZ.lock", ".backupAb12yZ.tmp"].map(|name| place.path(name));
    fs::write(&making, "in the making").unwrap();
    let lock = fs::File::create(&lock).unwrap();
    lock.lock().unwrap();
    let is_left = |name: &String| has_ending(name, "tmp") && !name.contains("Ab12yZ");
    loop {
        let mut child = place.start(&args);
        while child.try_wait().unwrap().is_none() && !place.names().iter().any(is_left) {
            thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // It may have been quicker.
        if place.names().iter().any(is_left) {
            break;
        }
    }
    place.run(&args);
    assert!(!place.names().iter().any(is_left), "{:?}", place.names());
    assert_eq!(content(&backup), content(&place.collection()));
    assert!(making.exists());
    drop(lock);
    place.run(&args);
    place.assert_tidy();
}
