//! The built program as it looks after a collection: backs it up and restores
//! it, checks and repairs it, and follows a folder that was moved.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::commands::{Machine, Ran};

const CARS: [&str; 3] = ["car-005.jpg", "car-009.jpg", "car-003.jpg"];

fn run<S: AsRef<OsStr>>(machine: &Machine, args: impl IntoIterator<Item = S>) -> Ran {
    Ran::of(machine.command().args(args))
}

/// A machine with three pictures loaded, and their folder.
fn loaded() -> (Machine, PathBuf) {
    let machine = Machine::new();
    let folder = machine.pictures(&CARS);
    load(&machine, &folder);
    (machine, folder)
}

fn load(machine: &Machine, folder: &Path) -> Value {
    let args = [OsStr::new("load"), folder.as_os_str(), OsStr::new("--json")];
    run(machine, args).json()["folders"][0].take()
}

fn collection(machine: &Machine) -> PathBuf {
    machine.home().join("data/carlens/car_images.db")
}

fn best(machine: &Machine) -> PathBuf {
    let found = run(machine, ["search", "-n", "1", "red convertible"]).ends(0).out();
    PathBuf::from(found.trim_end().split_once('\t').unwrap().1)
}

#[track_caller]
fn moved(machine: &Machine, old: &Path, new: &Path) -> Ran {
    run(machine, [OsStr::new("move"), old.as_os_str(), new.as_os_str()])
}

#[test]
fn what_is_lost_after_a_backup_is_there_after_a_restore() {
    let (machine, folder) = loaded();
    let backup = machine.home().join("cars.backup");
    let backup = backup.to_str().unwrap();
    let made = run(&machine, ["backup", backup]).ends(0);
    assert!(made.out().starts_with(&format!("{backup}: 3 pictures, ")), "{}", made.out());
    run(&machine, ["backup", backup]).ends(2).complains("is there already");
    run(&machine, ["backup", "--force", backup]).ends(0);
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    run(&machine, ["load", "--prune=all"]);
    run(&machine, ["search", "red"]).ends(1);
    assert_eq!(run(&machine, ["restore", backup]).ends(0).out(), "3 pictures restored\n");
    assert_eq!(best(&machine), folder.join("car-005.jpg"));
    // With pictures in its place nobody can be asked here.
    run(&machine, ["restore", backup]).ends(2).complains("--force");
    run(&machine, ["restore", "--force", backup]).ends(0);
    run(&machine, ["restore", "--force", "README.md"])
        .ends(2)
        .complains("not a carlens collection");
    assert_eq!(best(&machine), folder.join("car-005.jpg"));
}

#[test]
fn a_folder_that_is_gone_as_a_whole_is_erased_where_it_is_named() {
    let (machine, folder) = loaded();
    fs::remove_dir_all(&folder).unwrap();
    let lost = [OsStr::new("load"), folder.as_os_str()];
    let with = |prune: &'static str| [&lost[..], &[OsStr::new(prune)]].concat();
    run(&machine, lost).ends(2).complains("there is no such folder").complains("--prune");
    run(&machine, ["load", "--prune=all"]).ends(2).complains("there is no such folder");
    run(&machine, with("--prune=few")).ends(2).complains("3 of 3 are gone");
    run(&machine, with("--prune")).ends(2).complains("nobody can be asked");
    run(&machine, ["search", "red"]).ends(0);
    let erased = run(&machine, with("--prune=all")).ends(0);
    assert!(erased.out().contains("3 removed"), "{}", erased.out());
    run(&machine, ["search", "red"]).ends(1);
    run(&machine, with("--prune=all")).ends(2).complains("there is no such folder");
}

#[test]
fn programs_are_told_of_a_backup_a_restore_and_a_move() {
    let (machine, folder) = loaded();
    let file = machine.home().join("cars.backup");
    let backup = file.to_str().unwrap();
    let made = run(&machine, ["backup", "--json", backup]).ends(0).json();
    let bytes = fs::metadata(&file).unwrap().len();
    let expected = json!({ "version": 1, "file": backup, "pictures": 3, "bytes": bytes });
    assert_eq!(made, expected);
    let restored = run(&machine, ["restore", "--json", "--force", backup]).ends(0).json();
    assert_eq!(restored, json!({ "version": 1, "pictures": 3, "kept": null }));
    let collection = collection(&machine);
    fs::write(&collection, "damaged".repeat(1000)).unwrap();
    let restored = run(&machine, ["restore", "--json", "--force", backup]).ends(0).json();
    let kept = collection.with_file_name("car_images.db.damaged");
    assert_eq!(restored, json!({ "version": 1, "pictures": 3, "kept": kept.to_str() }));
    let new = folder.with_file_name("disk");
    fs::rename(&folder, &new).unwrap();
    let args = ["move", "--json"].map(OsStr::new).into_iter();
    let moved = run(&machine, args.chain([folder.as_os_str(), new.as_os_str()])).ends(0).json();
    assert_eq!(moved, json!({ "version": 1, "moved": 3, "merged": 0, "left": 0 }));
    // What went wrong is no result.
    let refused = run(&machine, ["backup", "--json", backup]).ends(2);
    assert_eq!(refused.out(), "");
}

#[test]
fn a_check_finds_what_a_repair_mends() {
    let (machine, folder) = loaded();
    let checked = run(&machine, ["check"]).ends(0);
    assert_eq!(checked.out(), "3 pictures, 0 hidden: nothing is wrong\n");
    let connection = Connection::open(collection(&machine)).unwrap();
    connection
        .execute_batch(
            "PRAGMA foreign_keys = OFF; DELETE FROM picture WHERE id = 1;
             UPDATE embedding SET vector = zeroblob(length(vector)) WHERE picture = 2",
        )
        .unwrap();
    drop(connection);
    let checked = run(&machine, ["check"]).ends(2).complains("carlens check --repair");
    for line in ["1 embedding without a picture", "1 picture with a broken embedding"] {
        assert!(checked.out().contains(line), "{}", checked.out());
    }
    let json = run(&machine, ["check", "--json"]).ends(2).json();
    assert_eq!((&json["clean"], &json["mended"]), (&false.into(), &Value::Null));
    let kinds: Vec<_> = json["faults"].as_array().unwrap().iter().map(|f| &f["fault"]).collect();
    assert_eq!(kinds, ["orphan", "vector"]);
    let mended = run(&machine, ["check", "--repair", "--json"]).ends(0).json();
    assert_eq!((&mended["clean"], &mended["mended"]["lost"]), (&true.into(), &1.into()));
    assert_eq!(mended["left"], Value::Array(Vec::new()));
    assert_eq!(load(&machine, &folder)["embedded"], 2);
    run(&machine, ["check"]).ends(0);
    assert_eq!(best(&machine), folder.join("car-005.jpg"));
}

#[test]
fn a_damaged_file_is_kept_and_what_can_be_read_of_it_saved() {
    let (machine, folder) = loaded();
    let path = collection(&machine);
    let connection = Connection::open(&path).unwrap();
    // The page where contents are looked up.
    let page: u32 = connection
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'picture_by_hash'", [], |row| {
            row.get(0)
        })
        .unwrap();
    connection.pragma_update(None, "journal_mode", "delete").unwrap();
    drop(connection);
    let mut bytes = fs::read(&path).unwrap();
    bytes[(page as usize - 1) * 8192..][..8192].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    run(&machine, ["check"]).ends(2).complains("carlens check --repair");
    let mended = run(&machine, ["check", "--repair"]).ends(0);
    assert!(mended.out().contains("3 pictures read out of the damaged file"), "{}", mended.out());
    let now = "3 pictures, 0 hidden: nothing is wrong any more\n";
    assert!(mended.out().ends_with(now), "{}", mended.out());
    let kept = path.with_file_name("car_images.db.damaged");
    assert!(mended.out().contains(kept.to_str().unwrap()), "{}", mended.out());
    assert_eq!(fs::read(kept).unwrap(), bytes);
    assert_eq!(load(&machine, &folder)["unchanged"], 3);
    assert_eq!(best(&machine), folder.join("car-005.jpg"));
}

#[test]
fn a_check_without_a_collection_says_so() {
    let machine = Machine::new();
    for arguments in [&["check"][..], &["check", "--repair"], &["backup", "cars.backup"]] {
        run(&machine, arguments).ends(2).complains("there is no collection");
    }
}

#[test]
fn a_folder_that_was_moved_is_followed_and_nothing_is_read_again() {
    let (machine, folder) = loaded();
    fs::write(folder.join("bad.jpg"), "bad").unwrap();
    load(&machine, &folder);
    let new = folder.with_file_name("disk");
    moved(&machine, &folder, &new).ends(2).complains("no such new folder");
    fs::create_dir(&new).unwrap();
    moved(&machine, &folder, &new).ends(2).complains("none of the 3 pictures");
    fs::remove_dir(&new).unwrap();
    fs::rename(&folder, &new).unwrap();
    assert_eq!(moved(&machine, &folder, &new).ends(0).out(), "3 pictures moved\n");
    assert_eq!(best(&machine), new.join("car-005.jpg"));
    let again = load(&machine, &new);
    let counts = ["unchanged", "embedded", "recognised", "hidden", "failed_before"];
    assert_eq!(counts.map(|count| again[count].as_u64().unwrap()), [3, 0, 0, 0, 1]);
    let status = run(&machine, ["status", "--json"]).json();
    assert_eq!(status["spaces"][0]["folders"].as_array().unwrap().len(), 1);
    let unknown = moved(&machine, &folder, &new).ends(2);
    unknown.complains("no pictures of the old folder").complains(new.to_str().unwrap());
    moved(&machine, &new, &new).ends(2).complains("lies in it");
    run(&machine, ["check"]).ends(0);
}

#[test]
fn pictures_of_every_model_move_and_hidden_ones_come_back() {
    let machine = Machine::new();
    let names: Vec<String> = (1..=6).map(|n| format!("car-{n:03}.jpg")).collect();
    let folder = machine.pictures(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let other = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clip-tiny-gelu");
    let other = [OsStr::new("--model"), other.as_os_str(), OsStr::new("load"), folder.as_os_str()];
    run(&machine, other).ends(0);
    load(&machine, &folder);
    let away = folder.with_file_name("away.jpg");
    fs::rename(folder.join("car-003.jpg"), &away).unwrap();
    assert_eq!(load(&machine, &folder)["hidden"], 1);
    let new = folder.with_file_name("disk");
    fs::rename(&folder, &new).unwrap();
    fs::rename(away, new.join("car-003.jpg")).unwrap();
    assert_eq!(moved(&machine, &folder, &new).ends(0).out(), "12 pictures moved\n");
    assert_eq!(load(&machine, &new)["returned"], 1);
    let checked = run(&machine, ["check", "--json"]).ends(0).json();
    assert_eq!((&checked["pictures"], &checked["missing"]), (&12.into(), &0.into()));
}

#[test]
fn a_folder_that_is_moved_onto_another_one_is_merged_with_it() {
    let (machine, folder) = loaded();
    let new = folder.with_file_name("disk");
    fs::create_dir(&new).unwrap();
    fs::copy(folder.join("car-003.jpg"), new.join("car-003.jpg")).unwrap();
    load(&machine, &new);
    for name in CARS {
        fs::rename(folder.join(name), new.join(name)).unwrap();
    }
    let merged = moved(&machine, &folder, &new).ends(0);
    assert_eq!(merged.out(), "2 pictures moved, 1 there already\n");
    assert_eq!(load(&machine, &new)["unchanged"], 3);
    assert_eq!(run(&machine, ["check", "--json"]).ends(0).json()["pictures"], 3);
    assert_eq!(run(&machine, ["search", "car"]).ends(0).out().lines().count(), 3);
}

#[test]
fn folders_above_and_below_those_that_were_loaded_are_followed() {
    let machine = Machine::new();
    let pictures = machine.pictures(&["car-005.jpg"]);
    let (inner, outer) = (pictures.join("a/inner"), pictures.join("a"));
    fs::create_dir_all(&inner).unwrap();
    for folder in [&inner, &outer] {
        fs::copy(pictures.join("car-005.jpg"), folder.join("car.jpg")).unwrap();
        load(&machine, folder);
    }
    // Both folders, by the one above.
    let disk = pictures.with_file_name("disk");
    fs::rename(&pictures, &disk).unwrap();
    assert_eq!(moved(&machine, &pictures, &disk).ends(0).out(), "2 pictures moved\n");
    assert_eq!(load(&machine, &disk.join("a"))["unchanged"], 2);
    // A part of one, that stays in it, and then leaves it.
    fs::rename(disk.join("a/inner"), disk.join("a/other")).unwrap();
    moved(&machine, &disk.join("a/inner"), &disk.join("a/other")).ends(0);
    assert_eq!(load(&machine, &disk.join("a"))["unchanged"], 2);
    fs::rename(disk.join("a/other"), disk.join("b")).unwrap();
    moved(&machine, &disk.join("a/other"), &disk.join("b")).ends(0);
    assert_eq!(load(&machine, &disk.join("a"))["unchanged"], 1);
    assert_eq!(load(&machine, &disk.join("b"))["unchanged"], 1);
    // Up into the folder above it.
    fs::rename(disk.join("b/car.jpg"), disk.join("a/second.jpg")).unwrap();
    fs::rename(disk.join("a"), disk.join("b/c")).unwrap();
    moved(&machine, &disk.join("a"), &disk.join("b/c")).ends(0);
    let last = load(&machine, &disk.join("b"));
    assert_eq!((&last["unchanged"], &last["recognised"]), (&1.into(), &1.into()));
    run(&machine, ["check"]).ends(0);
}
