//! How long a load takes and how much memory: of a folder in which nothing has
//! changed, of small pictures and of large ones.
//!
//! `cargo bench --bench load [-- FILES]`; 100,000 files in the unchanged
//! folder unless told. The peers: `find`, which does nothing but list the
//! folder and ask for every file's size and time, and the `image` crate, which
//! decodes the same pictures and makes them as small as the model takes them,
//! one after the other on one thread, but embeds and keeps nothing. Every run
//! is the command as it is typed, with the compact model, from its start to its
//! end, in turn with the peer; peak memory is what Linux says of the process.

#![expect(clippy::unwrap_used, reason = "a benchmark has nobody to report to")]
#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, RgbImage};

mod demo;
#[path = "../integration/store_samples.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod samples;

use samples::Random;

const ROUNDS: usize = 7;
/// Small pictures, about 500 x 375 pixels each.
const SMALL: usize = 600;
/// Pictures of 12 megapixels.
const LARGE: usize = 40;
/// Edge of what the model takes.
const EDGE: u32 = 224;
/// How often a process is asked for its peak memory, which only ever grows.
const TICK: Duration = Duration::from_millis(5);

fn main() {
    let files = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let machine = tempfile::tempdir().unwrap();
    let demo = demo::pictures();

    println!("{SMALL} JPEG files of {}", pixels(&demo[0]));
    let folder = machine.path().join("small");
    write_varied(&folder, &demo, SMALL, None);
    embed(&machine.path().join("home small"), &folder);

    println!("{LARGE} JPEG files of 4000 x 3000 pixels");
    let folder = machine.path().join("large");
    write_varied(&folder, &demo, LARGE, Some((4000, 3000)));
    embed(&machine.path().join("home large"), &folder);

    println!("{files} files, none of which has changed");
    let folder = machine.path().join("unchanged");
    write_copies(&folder, &demo, files);
    refresh(&machine.path().join("home unchanged"), &folder);
}

/// Loads `folder` again and again, each time as if for the first time.
fn embed(home: &Path, folder: &Path) {
    let count = fs::read_dir(folder).unwrap().count();
    let (mut ours, mut peer, mut memory) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let run = load(home, folder);
        ours.push(run.took);
        memory = memory.max(run.peak_kib);
        fs::remove_dir_all(home).unwrap();
        let begun = Instant::now();
        decode_all(folder);
        peer.push(begun.elapsed());
    }
    let (ours, peer) = (median(ours), median(peer));
    print("carlens", ours, count, peer);
    print("image, decoding alone", peer, count, peer);
    println!("  peak memory {:>6} MiB", memory >> 10);
}

/// Loads `folder` once, and then looks at it again and again.
fn refresh(home: &Path, folder: &Path) {
    let count = fs::read_dir(folder).unwrap().count();
    let first = load(home, folder);
    print("first load, mostly copies", first.took, count, first.took);
    let (mut ours, mut peer, mut memory) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let run = load(home, folder);
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
}

/// One `carlens load`, which must end well.
fn load(home: &Path, folder: &Path) -> Run {
    fs::create_dir_all(home).unwrap();
    let begun = Instant::now();
    let mut carlens = Command::new(env!("CARGO_BIN_EXE_carlens"))
        .env_clear()
        .env("HOME", home)
        .env("HF_HUB_OFFLINE", "1")
        .current_dir(home)
        .args(["load", "--progress", "none"])
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut peak_kib = 0;
    loop {
        peak_kib = peak_kib.max(peak(&carlens).unwrap_or(0));
        if let Some(status) = carlens.try_wait().unwrap() {
            assert!(status.success(), "the load failed: {status}");
            return Run { took: begun.elapsed(), peak_kib };
        }
        thread::sleep(TICK);
    }
}

/// The most memory that the process had at once, in KiB.
fn peak(carlens: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", carlens.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
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

/// Demo pictures with noise, no two of them the same, of `size` if one is given.
fn write_varied(folder: &Path, demo: &[PathBuf], count: usize, size: Option<(u32, u32)>) {
    fs::create_dir_all(folder).unwrap();
    let mut random = Random(5);
    for n in 0..count {
        let mut picture = image::open(&demo[n % demo.len()]).unwrap();
        if let Some((width, height)) = size {
            picture = picture.resize_to_fill(width, height, FilterType::Triangle);
        }
        let mut picture = picture.into_rgb8();
        add_noise(&mut picture, &mut random);
        write_jpeg(&folder.join(format!("car {n:05}.jpg")), &picture.into());
    }
}

fn add_noise(picture: &mut RgbImage, random: &mut Random) {
    for level in picture.iter_mut() {
        *level = level.saturating_add(u8::try_from(random.below(8)).unwrap());
    }
}

fn write_jpeg(path: &Path, picture: &DynamicImage) {
    let file = std::io::BufWriter::new(fs::File::create(path).unwrap());
    JpegEncoder::new_with_quality(file, 90).encode_image(picture).unwrap();
}

/// Thumbnails of the demo pictures, as often as it takes to have `count`.
fn write_copies(folder: &Path, demo: &[PathBuf], count: usize) {
    fs::create_dir_all(folder).unwrap();
    let thumbnails: Vec<PathBuf> = demo
        .iter()
        .enumerate()
        .map(|(n, path)| {
            let thumbnail = folder.join(format!("car {n:06}.jpg"));
            write_jpeg(&thumbnail, &image::open(path).unwrap().thumbnail(96, 96));
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
