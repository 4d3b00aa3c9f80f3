//! The built program: standard output, standard error, exit code.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::{self, JoinHandle};

use serde_json::Value;
use tempfile::TempDir;

/// A machine of its own: home, collection and hub cache in one folder.
pub struct Machine(TempDir);

impl Machine {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_carlens"));
        for (name, folder) in [
            ("HOME", "home"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_CACHE_HOME", "cache"),
        ] {
            command.env(name, self.0.path().join(folder));
        }
        // Whoever runs the tests may have a database of their own.
        for name in ["API_ENDPOINT", "APPLICATION_TOKEN", "KEYSPACE"] {
            command.env_remove(format!("ASTRA_DB_{name}"));
        }
        command.env("HF_HUB_OFFLINE", "1").env_remove("HF_HOME").env_remove("HF_HUB_CACHE");
        command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
        command
    }

    fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        Ran::of(self.command().args(args))
    }

    /// Everything that the program may write.
    pub fn home(&self) -> &Path {
        self.0.path()
    }

    /// A folder of pictures: the named demo pictures.
    pub fn pictures(&self, names: &[&str]) -> PathBuf {
        let folder = self.0.path().join("pictures");
        fs::create_dir_all(&folder).unwrap();
        for name in names {
            fs::copy(demo().join(name), folder.join(name)).unwrap();
        }
        folder.canonicalize().unwrap()
    }

    fn collection(&self, name: &str) -> PathBuf {
        let folder = self.0.path().join("data/carlens");
        fs::create_dir_all(&folder).unwrap();
        folder.join(name)
    }

    /// What the collection holds for the model in use.
    fn stored(&self) -> u64 {
        let status = self.run(["status", "--json"]).json();
        status["spaces"][0]["pictures"].as_u64().unwrap_or(0)
    }
}

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("static/images")
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A run that has ended.
pub struct Ran(Output);

impl Ran {
    pub fn of(command: &mut Command) -> Self {
        Self(command.output().unwrap())
    }

    pub fn out(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub fn err(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.0.stdout).unwrap()
    }

    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.0.status.code(), Some(code), "{}{}", self.out(), self.err());
        self
    }

    #[track_caller]
    pub fn complains(self, about: &str) -> Self {
        assert!(self.err().contains(about), "{:?} is not in: {}", about, self.err());
        self
    }
}

#[test]
fn load_then_search_by_words_and_by_picture() {
    let machine = Machine::new();
    let folder = machine.pictures(&["car-005.jpg", "car-009.jpg", "car-003.jpg"]);
    let loaded = machine.run([OsStr::new("load"), folder.as_os_str()]).ends(0);
    assert!(loaded.out().contains("3 embedded, 0 unchanged, 0 failed"), "{}", loaded.out());
    assert_eq!(loaded.out().lines().count(), 1);

    let best = |query| {
        let found = machine.run(["search", query]).ends(0).out();
        let (similarity, path) = found.lines().next().unwrap().split_once('\t').unwrap();
        (similarity.parse::<f32>().unwrap(), PathBuf::from(path))
    };
    let (similarity, path) = best("red convertible");
    assert_eq!(path, folder.join("car-005.jpg"));
    let (of_another_thing, _) = best("aeroplane");
    assert!(similarity > of_another_thing + 0.2, "{similarity}, {of_another_thing}");

    let answer =
        machine.run(["search", "--image", "static/images/car-009.jpg", "--json", "-n", "2"]);
    let answer = answer.ends(0).json();
    assert_eq!(answer["version"], 1);
    assert_eq!(answer["query"]["image"], "static/images/car-009.jpg");
    assert_eq!(answer["searched"], 3);
    assert_eq!(answer["hits"].as_array().unwrap().len(), 2);
    let best = &answer["hits"][0];
    assert_eq!((&best["rank"], &best["id"]), (&1.into(), &"car-009.jpg".into()));
    assert_eq!((&best["width"], &best["height"]), (&480.into(), &320.into()));
    assert!(best["similarity"].as_f64().unwrap() > 0.9999);
    assert_eq!(best["path"].as_str().unwrap(), folder.join("car-009.jpg").to_str().unwrap());
    assert_eq!(best["folder"].as_str().unwrap(), folder.to_str().unwrap());
}

#[test]
fn a_second_load_embeds_only_what_has_changed() {
    let machine = Machine::new();
    let folder = machine.pictures(&["car-001.jpg", "car-002.jpg", "car-003.jpg"]);
    let load =
        || machine.run([OsStr::new("load"), folder.as_os_str(), OsStr::new("--json")]).json();
    let counts = |loaded: Value| {
        let loaded = &loaded["folders"][0];
        (loaded["embedded"].as_u64().unwrap(), loaded["unchanged"].as_u64().unwrap())
    };
    assert_eq!(counts(load()), (3, 0));
    assert_eq!(counts(load()), (0, 3));
    // Written again with the same content.
    let bytes = fs::read(folder.join("car-001.jpg")).unwrap();
    fs::write(folder.join("car-001.jpg"), bytes).unwrap();
    // Another content under an old name.
    fs::copy(demo().join("car-010.jpg"), folder.join("car-002.jpg")).unwrap();
    assert_eq!(counts(load()), (1, 2));
    assert_eq!(counts(load()), (0, 3));
    assert_eq!(machine.stored(), 3);
}

#[test]
fn bad_files_are_listed_and_the_good_ones_stored() {
    let machine = Machine::new();
    let folder = machine.pictures(&["car-001.jpg", "car-002.jpg"]);
    for n in 0..200 {
        fs::write(folder.join(format!("bad-{n}.jpg")), "not a picture").unwrap();
    }
    let photo = fs::read(fixture("pictures/photo.jpg")).unwrap();
    fs::write(folder.join("truncated.jpg"), &photo[..photo.len() / 4]).unwrap();
    fs::write(folder.join("empty.png"), "").unwrap();
    fs::write(folder.join("photo.jxl"), b"\0\0\0\x0cJXL \r\n\x87\n").unwrap();
    fs::write(folder.join("bomb.png"), png_header(60_000, 60_000)).unwrap();
    fs::write(folder.join("strip.png"), png_header(1, 170_000_000)).unwrap();
    fs::write(folder.join("notes.txt"), "no picture, and not named like one").unwrap();
    fs::write(folder.join(".hidden.jpg"), "hidden").unwrap();
    let loaded =
        machine.run([OsStr::new("load"), folder.as_os_str(), OsStr::new("--json")]).ends(2);
    let json = loaded.json();
    assert_eq!(json["folders"][0]["embedded"], 2);
    assert_eq!(json["folders"][0]["found"], 207);
    assert_eq!(json["folders"][0]["failed"].as_array().unwrap().len(), 205);
    loaded
        .complains("bad-199.jpg is not a picture")
        .complains("truncated.jpg is damaged: it ends too early")
        .complains("empty.png is empty")
        .complains("photo.jxl is in the JPEG XL format")
        .complains("bomb.png is too large (60000 x 60000 pixels)")
        .complains("strip.png is too large (1 x 170000000 pixels)");
    assert_eq!(machine.stored(), 2);
}

/// A folder of one picture and, of formats that are known but not decoded,
/// two HEIC files, one CR2 and one that is broken besides.
fn undecoded(machine: &Machine) -> PathBuf {
    let folder = machine.pictures(&["car-001.jpg"]);
    for name in ["IMG_1.HEIC", "IMG_2.HEIC"] {
        let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\x08mdat";
        fs::write(folder.join(name), [heic.as_slice(), name.as_bytes()].concat()).unwrap();
    }
    fs::write(folder.join("IMG_3.CR2"), b"II*\0\x10\0\0\0CR\x02\0\0\0\0\0").unwrap();
    fs::write(folder.join("bad.jpg"), "bad").unwrap();
    folder
}

#[test]
fn files_of_formats_that_are_not_decoded_are_counted_by_format_in_every_summary() {
    let machine = Machine::new();
    let folder = undecoded(&machine);
    let loaded = machine.run([OsStr::new("load"), folder.as_os_str()]).ends(2);
    let summary = "1 embedded, 0 unchanged, 4 failed (2 HEIC, 1 CR2) in ";
    assert!(loaded.out().contains(summary), "{}", loaded.out());
    // Nor are they passed over in silence when they are not tried again.
    let again = machine.run([OsStr::new("load"), folder.as_os_str()]).ends(0);
    let summary = "0 embedded, 1 unchanged, 0 failed, 4 failed before (2 HEIC, 1 CR2) in ";
    assert!(again.out().contains(summary), "{}", again.out());
    again.complains("4 failed before (2 HEIC, 1 CR2), unchanged since");
    let status = machine.run(["status"]).ends(0).out();
    assert!(status.contains("failed      4 files (2 HEIC, 1 CR2)\n"), "{status}");
    let failed = machine.run(["status", "--failed"]).ends(0).complains("4 files (2 HEIC, 1 CR2)");
    assert_eq!(failed.out().lines().count(), 4, "{}", failed.out());
}

#[test]
fn programs_are_told_the_formats_that_are_not_decoded() {
    let machine = Machine::new();
    let folder = undecoded(&machine);
    let load = || {
        let args = ["load", "--json", "--progress", "json"].map(OsStr::new);
        let ran = machine.run(args.into_iter().chain([folder.as_os_str()]));
        let last = serde_json::from_str(ran.err().lines().last().unwrap()).unwrap();
        [ran.json()["folders"][0].take(), last]
    };
    let (some, none) = (serde_json::json!({ "HEIC": 2, "CR2": 1 }), serde_json::json!({}));
    for loaded in load() {
        assert_eq!(
            (&loaded["failed_by_format"], &loaded["failed_before_by_format"]),
            (&some, &none)
        );
    }
    for loaded in load() {
        assert_eq!(
            (&loaded["failed_by_format"], &loaded["failed_before_by_format"]),
            (&none, &some)
        );
    }
    let status = machine.run(["status", "--json"]).json();
    assert_eq!((&status["failed"], &status["failed_by_format"]), (&4.into(), &some));
    let failed = machine.run(["status", "--failed", "--json"]).json();
    assert_eq!(failed["failed_by_format"], some);
    let formats: Vec<_> =
        failed["failed"].as_array().unwrap().iter().map(|f| f["format"].as_str()).collect();
    assert_eq!(formats, [Some("HEIC"), Some("HEIC"), Some("CR2"), None]);
}

#[test]
fn programs_are_told_everything_in_json_lines() {
    let machine = Machine::new();
    let folder = machine.pictures(&["car-001.jpg", "car-002.jpg"]);
    fs::write(folder.join("bad.jpg"), "not a picture").unwrap();
    let load = |folder: &Path| {
        let args = ["load", "--progress", "json"].map(OsStr::new);
        let ran = machine.run(args.into_iter().chain([folder.as_os_str()]));
        let lines = ran.err();
        let events = lines.lines().map(|line| serde_json::from_str(line).expect(line));
        events.collect::<Vec<Value>>()
    };
    let events = load(&folder);
    assert!(events.iter().all(|event| event["version"] == 1), "{events:?}");
    let named = |name: &str| -> Vec<&Value> {
        events.iter().filter(|event| event["event"] == name).collect()
    };
    let place = folder.to_str().unwrap();
    assert_eq!(named("planned")[0]["folder"], place);
    assert_eq!(named("planned")[0]["model"]["name"], "compact");
    assert_eq!(named("failed").len(), 1);
    assert_eq!(named("failed")[0]["path"], "bad.jpg");
    assert_eq!(named("failed")[0]["reason"], "is not a picture");
    for progress in named("progress") {
        let fields = ["found", "walked", "embedded", "unchanged", "failed", "elapsed_seconds"];
        let others = ["folder", "rate", "seconds_left", "current", "paused"];
        for field in fields.into_iter().chain(others) {
            assert!(progress.get(field).is_some(), "{field} in {progress}");
        }
    }
    assert!(!named("progress").is_empty());
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["ended"]), (&"finished".into(), &"finished".into()));
    assert_eq!((&last["embedded"], &last["failed"]), (&2.into(), &1.into()));
    for stage in ["reading", "decoding", "resizing", "encoding", "storing"] {
        assert!(last["seconds_by_stage"][stage].as_f64().unwrap() > 0.0, "{stage} in {last}");
    }

    let events = load(Path::new("no/such/folder"));
    let [.., error, last] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&last["event"], &last["ended"]), (&"finished".into(), &"failed".into()));
    assert_eq!(error["event"], "error");
    assert!(error["text"].as_str().unwrap().contains("there is no such folder"));
}

#[test]
fn settings_that_are_wrong_are_told_in_json_too() {
    let wrong = Machine::new().run(["--progress", "json", "search", "-n", "0", "red"]).ends(2);
    let error: Value = serde_json::from_str(wrong.err().trim_end()).unwrap();
    assert_eq!(error["event"], "error");
}

/// A PNG that claims a size; nothing follows, since nothing may be decoded.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let chunk = |kind: &[u8], data: &[u8]| {
        let body = [kind, data].concat();
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        [length.as_slice(), &body, &crc32(&body).to_be_bytes()].concat()
    };
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let header = chunk(b"IHDR", &[size.as_slice(), &[8, 2, 0, 0, 0]].concat());
    [b"\x89PNG\r\n\x1a\n".as_slice(), &header, &chunk(b"IDAT", b"\x78\x9c"), &chunk(b"IEND", b"")]
        .concat()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[test]
fn every_kind_of_picture_is_embedded() {
    let machine = Machine::new();
    let folder = machine.0.path().join("kinds");
    fs::create_dir(&folder).unwrap();
    for file in fs::read_dir(fixture("pictures")).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    let loaded = machine.run([OsStr::new("load"), folder.as_os_str()]).ends(0);
    assert!(loaded.out().contains("15 embedded"), "{}", loaded.out());
}

#[test]
fn damaged_avif_files_are_listed_and_the_good_ones_stored() {
    let machine = Machine::new();
    let folder = machine.pictures(&["car-001.jpg"]);
    for name in ["420.avif", "alpha.avif", "tiles.avif"] {
        fs::copy(fixture("decoded").join(name), folder.join(name)).unwrap();
    }
    let tiles = fs::read(fixture("decoded/tiles.avif")).unwrap();
    fs::write(folder.join("cut.avif"), &tiles[..tiles.len() / 2]).unwrap();
    let mut other = tiles;
    let data = other.len() - 1500;
    other[data..].fill(0x5a);
    fs::write(folder.join("damaged.avif"), other).unwrap();
    let loaded = machine.run([OsStr::new("load"), folder.as_os_str()]).ends(2);
    assert!(loaded.out().contains("4 embedded"), "{}", loaded.out());
    loaded
        .complains("cut.avif is damaged: it ends too early")
        .complains("damaged.avif is damaged: its AV1 data make no sense");
    let query = folder.join("420.avif");
    let search = [OsStr::new("search"), OsStr::new("--image"), query.as_os_str()];
    machine.run(search).ends(0);
}

/// Ends the process that decodes a picture for this one, as soon as it is at it.
#[cfg(target_os = "linux")]
fn kill_decoder_of(load: &mut std::process::Child) {
    let parent = load.id().to_string();
    let is_at_it = |process: &Path| {
        let status = fs::read_to_string(process.join("status")).unwrap_or_default();
        let field = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name))?;
            value.split_whitespace().next()
        };
        // Pixels take much more than the program.
        let kibibytes = field("RssAnon:").and_then(|kibibytes| kibibytes.parse().ok());
        field("PPid:") == Some(parent.as_str()) && kibibytes > Some(50_000)
    };
    let decoder = loop {
        let mut processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        match processes.find(|process| is_at_it(process)) {
            Some(found) => break found,
            None => std::thread::sleep(std::time::Duration::from_millis(1)),
        }
        assert!(load.try_wait().unwrap().is_none(), "it has decoded everything itself");
    };
    let id = decoder.file_name().unwrap().to_str().unwrap().parse().unwrap();
    let id = rustix::process::Pid::from_raw(id).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_decoder_that_dies_takes_nobody_along() {
    let machine = Machine::new();
    let folder = machine.pictures(&["car-001.jpg", "car-002.jpg"]);
    // One colour, but so many pixels that decoding it takes a while.
    fs::copy(fixture("large.avif"), folder.join("car-001b.avif")).unwrap();
    let mut load = machine.command();
    load.args([OsStr::new("load"), folder.as_os_str()]);
    let mut load = load.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    kill_decoder_of(&mut load);
    let loaded = Ran(load.wait_with_output().unwrap()).ends(2);
    assert!(loaded.out().contains("2 embedded"), "{}", loaded.out());
    loaded.complains("car-001b.avif cannot be decoded now: its decoder was ended");
    // Nothing is wrong with the picture.
    let again = machine.run([OsStr::new("load"), folder.as_os_str()]).ends(0);
    assert!(again.out().contains("1 embedded"), "{}", again.out());
}

#[cfg(unix)]
#[test]
fn a_load_goes_on_when_nobody_reads_its_complaints() {
    let machine = Machine::new();
    let folder = machine.pictures(&["car-001.jpg", "car-002.jpg", "car-003.jpg"]);
    for n in 0..9 {
        fs::write(folder.join(format!("a{n}.jpg")), "no picture").unwrap();
    }
    let mut load = machine.command();
    load.args([OsStr::new("load"), folder.as_os_str(), OsStr::new("--progress=json")]);
    let mut load = load.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(load.stderr.take());
    let loaded = Ran(load.wait_with_output().unwrap()).ends(2);
    assert!(loaded.out().contains("3 embedded, 0 unchanged, 9 failed"), "{}", loaded.out());
}

#[cfg(unix)]
#[test]
fn hostile_names_and_files_harm_nobody() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    let machine = Machine::new();
    let folder = machine.pictures(&[]);
    let names: [&[u8]; 2] = [b"new\nline\x1b[31m.jpg", b"inv\xffalid.jpg"];
    for name in names {
        fs::copy(demo().join("car-001.jpg"), folder.join(OsStr::from_bytes(name))).unwrap();
    }
    fs::create_dir(folder.join("sub")).unwrap();
    symlink("..", folder.join("sub/loop")).unwrap();
    symlink("nothing", folder.join("dangling")).unwrap();
    let made = Command::new("mkfifo").arg(folder.join("fifo.jpg")).status().unwrap();
    assert!(made.success());
    let loaded = machine.run([OsStr::new("load"), folder.as_os_str()]).ends(2);
    loaded.complains("fifo.jpg is not a regular file");

    let shown = machine.run(["search", "car"]).ends(0).out();
    assert!(shown.contains("new\\nline\\u{1b}[31m.jpg"), "{shown:?}");
    assert!(shown.contains("inv\\xffalid.jpg"), "{shown:?}");
    let exact = machine.run(["search", "-0", "car"]).ends(0).0.stdout;
    let exact: Vec<&[u8]> = exact.split(|byte| *byte == 0).collect();
    for name in names {
        let path = folder.join(OsStr::from_bytes(name));
        assert!(exact.contains(&path.as_os_str().as_bytes()), "{}", path.display());
    }
    let json = machine.run(["search", "--json", "car"]).ends(0).json();
    let inexact =
        json["hits"].as_array().unwrap().iter().filter(|hit| hit["id_base64"].is_string());
    assert_eq!(inexact.count(), 1);
}

#[test]
fn what_cannot_be_loaded_is_said_and_named() {
    let machine = Machine::new();
    machine
        .run(["load", "no/such/folder"])
        .ends(2)
        .complains("no/such/folder: there is no such folder");
    machine.run(["load", "README.md"]).ends(2).complains("it is not a folder");
    let empty = machine.pictures(&[]);
    machine
        .run([OsStr::new("load"), empty.as_os_str()])
        .ends(1)
        .complains("there are no pictures in");
}

#[test]
fn what_cannot_be_searched_is_said_and_named() {
    let machine = Machine::new();
    machine.run(["search", "red"]).ends(1).complains("the collection is empty");
    machine.run(["search", " "]).ends(2).complains("no words in it");
    machine.run(["search", "--image", "none.jpg"]).ends(2).complains("none.jpg cannot be read");
    machine.run(["search", "--image", "README.md"]).ends(2).complains("README.md is not a picture");
    machine.run(["search", "--image", "static"]).ends(2).complains("static is not a regular file");
    machine.run(["search"]).ends(2).complains("--image");
    machine.run(["search", "-n", "0", "red"]).ends(2).complains("limit");
    machine.run(["--model", "nope", "search", "red"]).ends(2).complains("clip-vit-b-32-256");
    machine
        .run(["--model", "clip-vit-b-32", "search", "red"])
        .ends(2)
        .complains("carlens model pull");
    machine.run(["--collection", "../up", "search", "red"]).ends(2).complains("letters, digits");
}

#[test]
fn a_query_of_a_hundred_thousand_characters_is_answered() {
    let machine = Machine::new();
    let folder = machine.pictures(&["car-001.jpg"]);
    machine.run([OsStr::new("load"), folder.as_os_str()]).ends(0);
    machine.run(["search", &"red ".repeat(25_000)]).ends(0);
    machine.run(["search", &"赤".repeat(30_000)]).ends(0);
}

#[test]
fn a_file_that_is_no_collection_is_refused_and_left_alone() {
    let machine = Machine::new();
    let path = machine.collection("car_images.db");
    fs::write(&path, "my shopping list").unwrap();
    machine.run(["search", "red"]).ends(2).complains("is not a carlens collection");
    machine.run(["load", "static/images"]).ends(2).complains("is not a carlens collection");
    assert_eq!(fs::read_to_string(&path).unwrap(), "my shopping list");
}

#[test]
fn a_collection_of_a_newer_version_is_refused() {
    let machine = Machine::new();
    let folder = machine.pictures(&["car-001.jpg"]);
    machine.run([OsStr::new("load"), folder.as_os_str()]).ends(0);
    let connection = rusqlite::Connection::open(machine.collection("car_images.db")).unwrap();
    connection.pragma_update(None, "user_version", 999).unwrap();
    drop(connection);
    machine.run(["search", "red"]).ends(2).complains("update carlens");
}

#[test]
fn models_never_mix_and_have_spaces_side_by_side() {
    let machine = Machine::new();
    let folder = machine.pictures(&["car-001.jpg", "car-002.jpg"]);
    let other = fixture("clip-tiny-gelu");
    let other = [OsStr::new("--model"), other.as_os_str()];
    machine.run([OsStr::new("load"), folder.as_os_str()]).ends(0);
    let before = machine.run(["search", "red"]).ends(0).out();
    let refused = machine.run(other.iter().copied().chain(["search", "red"].map(OsStr::new)));
    refused.ends(2).complains("holds nothing embedded by").complains("compact");
    let loaded = machine.run(other.iter().copied().chain([OsStr::new("load"), folder.as_os_str()]));
    loaded.ends(0).complains("2 pictures embedded by compact, which stay as they are");
    machine.run(other.iter().copied().chain(["search", "red"].map(OsStr::new))).ends(0);
    assert_eq!(machine.run(["search", "red"]).ends(0).out(), before);
    let status = machine.run(["status", "--json"]).ends(0).json();
    assert_eq!(status["spaces"].as_array().unwrap().len(), 2);
}

/// On a processor that has no such products there is nothing to tell apart.
#[test]
#[cfg(target_arch = "x86_64")]
fn what_was_loaded_in_int8_is_searched_in_int8_alone() {
    if !std::arch::is_x86_feature_detected!("avx512vnni") {
        return;
    }
    let machine = Machine::new();
    let folder = machine.pictures(&["car-001.jpg", "car-002.jpg"]);
    let model = fixture("clip-tiny-heads-of-64");
    let run = |precision: &str, command: &[&OsStr]| {
        let flags = ["--precision", precision, "--model"].map(OsStr::new);
        machine.run(flags.iter().copied().chain([model.as_os_str()]).chain(command.iter().copied()))
    };
    let load = [OsStr::new("load"), folder.as_os_str()];
    let search = ["search", "red"].map(OsStr::new);
    run("int8", &load).ends(0);
    let found = run("int8", &search).ends(0).out();
    let refused = run("auto", &search).ends(2).complains("holds nothing embedded by");
    refused.complains("clip-tiny-heads-of-64 in int8 (");
    let loaded = run("bf16", &load).ends(0);
    loaded.complains("clip-tiny-heads-of-64 in int8, which stay as they are");
    run("f32", &search).ends(0);
    assert_eq!(run("int8", &search).ends(0).out(), found);
    let status = run("int8", &["status"].map(OsStr::new)).ends(0).out();
    assert!(status.contains("clip-tiny-heads-of-64 in int8"), "{status}");
}

#[test]
fn without_a_terminal_the_commands_are_named() {
    let ran = Machine::new().run::<&str>([]).ends(2).complains("carlens search");
    assert_eq!(ran.out(), "");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let machine = Machine::new();
    let folder = machine.pictures(&["car-001.jpg"]);
    machine.run([OsStr::new("load"), folder.as_os_str()]).ends(0);
    let mut child =
        machine.command().args(["search", "red"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn models_are_listed_and_located() {
    let machine = Machine::new();
    let list = machine.run(["model", "list", "--json"]).ends(0).json();
    let names: Vec<&str> =
        list["models"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["compact", "clip-vit-b-32", "clip-vit-b-32-256"]);
    assert_eq!(list["models"][0]["in_use"], true);
    machine.run(["model", "path"]).ends(1).complains("part of the program");
    machine.run(["model", "path", "clip-vit-b-32"]).ends(1).complains("not on this machine");
    machine.run(["model", "path", "nope"]).ends(2).complains("carlens model list");
    machine.run(["model", "pull", "nope"]).ends(2).complains("there is no such model");
    machine.run(["model", "pull", "clip-vit-b-32"]).ends(2).complains("HF_HUB_OFFLINE");
}

/// A load that says when it has embedded something, as each picture that
/// fails is a line on standard error in between; and the lines after that.
fn half_done(machine: &Machine, load: &[&str]) -> (Child, PathBuf, JoinHandle<Vec<String>>) {
    let names: Vec<String> = (1..=60).map(|n| format!("car-{n:03}.jpg")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let folder = machine.pictures(&names);
    fs::write(folder.join("car-040-bad.jpg"), "bad").unwrap();
    let mut child = machine
        .command()
        .args(load)
        .arg(&folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.by_ref().map(Result::unwrap).find(|line| line.contains("is not a picture"));
    assert!(line.is_some(), "the load never came to the bad picture");
    // Drained, so that the program never waits for us.
    let rest = thread::spawn(move || lines.map(Result::unwrap).collect());
    (child, folder, rest)
}

#[cfg(unix)]
fn interrupt(child: &Child) {
    let told = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(told.success());
}

#[cfg(unix)]
#[test]
fn an_interrupted_load_keeps_what_is_stored() {
    let machine = Machine::new();
    let (mut child, folder, _) = half_done(&machine, &["load"]);
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let stored = machine.stored();
    assert!((8..60).contains(&stored), "{stored}");
    fs::remove_file(folder.join("car-040-bad.jpg")).unwrap();
    let rest = machine.run([OsStr::new("load"), folder.as_os_str(), OsStr::new("--json")]).ends(0);
    assert_eq!(rest.json()["folders"][0]["unchanged"], stored);
    assert_eq!(machine.stored(), 60);
}

#[cfg(unix)]
#[test]
fn who_interrupts_a_change_of_a_watched_folder_is_told_what_is_stored() {
    let machine = Machine::new();
    let (child, folder, rest) = half_done(&machine, &["load", "--watch"]);
    interrupt(&child);
    let ran = Ran(child.wait_with_output().unwrap()).ends(130);
    let said = rest.join().unwrap();
    let stopping = "warning: stopping once what is on its way is stored";
    assert!(said.iter().any(|line| line == stopping), "{said:?}");
    let (name, stored) = (folder.display(), machine.stored());
    let summary = format!("{name}: stopped: {stored} embedded, 0 unchanged, 1 failed in ");
    assert!(ran.out().starts_with(&summary), "{} in place of {summary}", ran.out());
    assert_eq!(ran.out().lines().count(), 1);
}

#[cfg(unix)]
#[test]
fn programs_are_told_of_a_change_of_a_watched_folder_that_is_interrupted() {
    let machine = Machine::new();
    let args = ["load", "--watch", "--json", "--progress", "json"];
    let (child, _, rest) = half_done(&machine, &args);
    interrupt(&child);
    let loaded = Ran(child.wait_with_output().unwrap()).ends(130).json();
    assert_eq!(loaded["folders"][0]["finished"], false);
    assert_eq!(loaded["folders"][0]["embedded"], machine.stored());
    let last: Value = serde_json::from_str(rest.join().unwrap().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["ended"]), (&"finished".into(), &"stopped".into()));
}

#[cfg(unix)]
#[test]
fn who_interrupts_a_watch_that_has_nothing_to_do_is_told_nothing() {
    let machine = Machine::new();
    let folder = machine.pictures(&["car-001.jpg"]);
    let mut watch = machine.command();
    watch.args(["load", "--watch"]).arg(&folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = watch.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut summary = String::new();
    out.read_line(&mut summary).unwrap();
    assert!(summary.contains("1 embedded"), "{summary}");
    interrupt(&child);
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    let ran = Ran(child.wait_with_output().unwrap()).ends(130);
    assert_eq!((rest.as_str(), ran.err().as_str()), ("", ""));
}

#[cfg(unix)]
#[test]
fn who_follows_sees_what_a_watch_loads_until_that_ends() {
    let machine = Machine::new();
    let folder = machine.pictures(&["car-001.jpg"]);
    let mut watch = machine.command();
    watch.args(["load", "--watch"]).arg(&folder).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut watch = watch.spawn().unwrap();
    let mut loaded = BufReader::new(watch.stdout.take().unwrap()).lines();
    assert!(loaded.next().unwrap().unwrap().contains("1 embedded"));
    let mut follow = machine.command();
    follow.args(["status", "--follow"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut follow = follow.spawn().unwrap();
    let mut said = BufReader::new(follow.stderr.take().unwrap()).lines();
    let waits = said.next().unwrap().unwrap();
    assert!(waits.contains("another process waits for changes"), "{waits}");
    fs::copy(folder.join("car-001.jpg"), folder.join("twin.jpg")).unwrap();
    let mut seen = BufReader::new(follow.stdout.take().unwrap()).lines();
    let ended = seen.next().unwrap().unwrap();
    assert!(ended.contains("finished: 0 embedded"), "{ended}");
    interrupt(&watch);
    assert_eq!(watch.wait().unwrap().code(), Some(130));
    assert_eq!(follow.wait().unwrap().code(), Some(0));
}

#[test]
fn a_killed_load_loses_at_most_the_batches_in_hand() {
    let machine = Machine::new();
    let (mut child, folder, _) = half_done(&machine, &["load"]);
    child.kill().unwrap();
    child.wait().unwrap();
    let stored = machine.stored();
    // Those that were read before are stored, but for three batches: one that is
    // filled, one that is embedded and one that is on its way.
    assert!((1..60).contains(&stored) && stored.is_multiple_of(8), "{stored}");
    machine.run(["search", "red"]).ends(0);
    fs::remove_file(folder.join("car-040-bad.jpg")).unwrap();
    machine.run([OsStr::new("load"), folder.as_os_str()]).ends(0);
    assert_eq!(machine.stored(), 60);
}
