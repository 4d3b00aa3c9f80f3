//! How long a load takes and how much memory: of a folder in which nothing has
//! changed, of small pictures and of large ones.
//!
//! `cargo bench --bench load [-- FILES]`; 100,000 files in the unchanged
//! folder unless told. The peers: `find`, which does nothing but list the
//! folder and ask for every file's size and time, and the `image` crate, which
//! decodes the same pictures and makes them as small as the model takes them,
//! one after the other on one thread, but embeds and keeps nothing. Every run
//! is the command as it is typed, from its start to its end, in turn with the
//! peer, with the compact model and with random weights in the shape of CLIP
//! ViT-B/32; peak memory is what Linux says of the process.
//!
//! Of the run in the middle, each stage's part of the threads' time is printed,
//! and what it reaches alone on every core. As all stages share the cores, the
//! load can reach no more than they do one after the other, nor than the slowest
//! of them. Of small pictures, the speed beside a job that keeps every core busy
//! follows, as a part of that in turn without it; half would be fair.

#![expect(clippy::unwrap_used, reason = "a benchmark has nobody to report to")]
#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use image::imageops::FilterType;

mod command;
mod demo;
mod others;
#[path = "../integration/support/random_checkpoint.rs"]
mod random_checkpoint;
mod stages;
mod varied;

use carlens::clip::Checkpoint;
use random_checkpoint::VIT_B_32;
use serde_json::Value;
use stages::Alone;

const ROUNDS: usize = 7;
/// Small pictures, of 480 x 320 pixels each.
const SMALL: usize = 600;
/// Pictures of 12 megapixels.
const LARGE: usize = 40;
/// Edge of what the model takes.
const EDGE: u32 = 224;
/// The order in which a picture goes through them.
const STAGES: [&str; 5] = ["reading", "decoding", "resizing", "encoding", "storing"];

fn main() {
    let files = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let machine = tempfile::tempdir().unwrap();
    let demo = demo::pictures();

    let random = machine.path().join("random");
    fs::create_dir_all(&random).unwrap();
    VIT_B_32.write(&random);
    let models = [
        ("compact", Path::new("compact"), Checkpoint::bundled().unwrap()),
        ("ViT-B/32", &random, Checkpoint::open("random", &random).unwrap()),
    ];

    let small = machine.path().join("small");
    varied::write(&small, SMALL, None);
    let large = machine.path().join("large");
    varied::write(&large, LARGE, Some((4000, 3000)));
    for folder in [&small, &large] {
        let files: Vec<_> = fs::read_dir(folder).unwrap().collect();
        let size = pixels(&files[0].as_ref().unwrap().path());
        for (name, model, checkpoint) in &models {
            println!("{} JPEG files of {size}, {name}", files.len());
            embed(&machine.path().join("home"), folder, model, checkpoint);
        }
    }
    for (name, model, _) in &models {
        let left = beside_others(&machine.path().join("home"), &small, model);
        println!("{name} beside a job on every core: {left:.2} of the speed alone (goal: 0.5)");
    }

    println!("{files} files, none of which has changed");
    let folder = machine.path().join("unchanged");
    write_copies(&folder, &demo, files);
    refresh(&machine.path().join("home unchanged"), &folder);
}

/// Loads `folder` again and again, each time as if for the first time.
fn embed(home: &Path, folder: &Path, model: &Path, checkpoint: &Checkpoint) {
    let count = fs::read_dir(folder).unwrap().count();
    let (mut runs, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        runs.push(load(home, folder, model));
        fs::remove_dir_all(home).unwrap();
        let begun = Instant::now();
        decode_all(folder);
        peer.push(begun.elapsed());
    }
    let memory = runs.iter().map(|run| run.peak_kib).max().unwrap();
    runs.sort_by_key(|run| run.took);
    let (run, peer) = (&runs[ROUNDS / 2], median(peer));
    print("carlens", run.took, count, peer);
    print("image, decoding alone", peer, count, peer);
    println!("  peak memory {:>6} MiB", memory >> 10);
    print_stages(run, count, Alone::of(folder, checkpoint));
}

/// What is left of the speed of a load beside others.
fn beside_others(home: &Path, folder: &Path, model: &Path) -> f64 {
    others::speed_left(ROUNDS, || {
        let run = load(home, folder, model);
        fs::remove_dir_all(home).unwrap();
        1.0 / run.last["elapsed_seconds"].as_f64().unwrap()
    })
}

/// The parts of a load, and what they could reach.
fn print_stages(run: &Run, count: usize, alone: Alone) {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let count = count as f64;
    let seconds = |stage: &str| run.last["seconds_by_stage"][stage].as_f64().unwrap();
    let all: f64 = STAGES.iter().map(|stage| seconds(stage)).sum();
    let mut slowest = ("", f64::INFINITY);
    for stage in STAGES {
        let reaches = match stage {
            "decoding" => alone.decoding,
            "resizing" => alone.resizing,
            "encoding" => alone.encoding,
            // One thread, as it was.
            other => count / seconds(other),
        };
        if reaches < slowest.1 {
            slowest = (stage, reaches);
        }
        println!(
            "  {stage:<26} {:>8.3} s {reaches:>10.1} files/s alone {:>4.0} % of the threads' time",
            seconds(stage),
            seconds(stage) / all * 100.0,
        );
    }
    let reached = count / run.last["elapsed_seconds"].as_f64().unwrap();
    println!(
        "  the load reaches {reached:.1} files/s: {:.0} % of {} alone, {:.0} % of all on every core",
        reached / slowest.1 * 100.0,
        slowest.0,
        reached / alone.together() * 100.0,
    );
}

/// Loads `folder` once, and then looks at it again and again.
fn refresh(home: &Path, folder: &Path) {
    let count = fs::read_dir(folder).unwrap().count();
    let model = Path::new("compact");
    let first = load(home, folder, model);
    print("first load, mostly copies", first.took, count, first.took);
    let (mut ours, mut peer, mut memory) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let run = load(home, folder, model);
        ours.push(run.took);
        memory = memory.max(run.peak_kib);
        peer.push(find(folder));
    }
    let (ours, peer) = (median(ours), median(peer));
    print("carlens", ours, count, peer);
    print("find", peer, count, peer);
    println!("  peak memory {:>6} MiB", memory >> 10);
}

struct Run {
    took: Duration,
    peak_kib: u64,
    /// The last that was said of it.
    last: Value,
}

/// One `carlens load`, which must end well.
fn load(home: &Path, folder: &Path, model: &Path) -> Run {
    fs::create_dir_all(home).unwrap();
    let told = home.join("told");
    let arguments = ["load", "--progress", "json", "--model"].map(OsStr::new).into_iter();
    let arguments = arguments.chain([model, folder].map(Path::as_os_str));
    let command::Run { took, peak_kib } =
        command::run(home, arguments, fs::File::create(&told).unwrap());
    let told = fs::read_to_string(told).unwrap();
    let mut events = told.lines().rev().map(|line| serde_json::from_str(line).unwrap());
    let last = events.find(|event: &Value| event["event"] == "finished").unwrap();
    Run { took, peak_kib, last }
}

fn find(folder: &Path) -> Duration {
    let begun = Instant::now();
    let status = Command::new("find")
        .arg(folder)
        .args(["-type", "f", "-printf", "%s %T@ %p\n"])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    begun.elapsed()
}

fn decode_all(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let picture = image::open(entry.unwrap().path()).unwrap();
        let small = picture.resize_to_fill(EDGE, EDGE, FilterType::CatmullRom);
        assert_eq!(small.width(), EDGE);
    }
}

fn pixels(path: &Path) -> String {
    let (width, height) = image::image_dimensions(path).unwrap();
    format!("{width} x {height} pixels")
}

/// Thumbnails of the demo pictures, as often as it takes to have `count`.
fn write_copies(folder: &Path, demo: &[PathBuf], count: usize) {
    fs::create_dir_all(folder).unwrap();
    let thumbnails: Vec<PathBuf> = demo
        .iter()
        .enumerate()
        .map(|(n, path)| {
            let thumbnail = folder.join(format!("car {n:06}.jpg"));
            varied::write_jpeg(&thumbnail, &image::open(path).unwrap().thumbnail(96, 96));
            thumbnail
        })
        .collect();
    for n in demo.len()..count {
        fs::copy(&thumbnails[n % demo.len()], folder.join(format!("car {n:06}.jpg"))).unwrap();
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn print(name: &str, took: Duration, count: usize, peer: Duration) {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 files")]
    let rate = count as f64 / took.as_secs_f64();
    println!(
        "  {name:<26} {:>8.3} s {rate:>10.1} files/s {:>7.2} x the peer's time",
        took.as_secs_f64(),
        took.as_secs_f64() / peer.as_secs_f64(),
    );
}
