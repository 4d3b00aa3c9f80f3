//! How long a tower of CLIP ViT-B/32's shape takes, in f32, in bf16 and in
//! int8, beside candle, and those of the compact model.
//!
//! `cargo bench --bench encode [-- compact | ViT-B/32]`. The weights of the one
//! are random, as speed does not depend on them. The peer, candle, runs in turn
//! with ours on the same threads, one picture on each; printed is the median of
//! the rounds, what it makes a second, and how much of the peer's time it takes.
//! With eight pictures follow what is left of the speed while another job keeps
//! every core busy, of which half would be fair, and how late another program's
//! thread wakes up meanwhile that sleeps for a millisecond. Ways to compute that
//! the processor has not, or the tower, are left out.

#![expect(clippy::unwrap_used, reason = "a benchmark has nobody to report to")]
#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use carlens::clip::{
    Arithmetic, Checkpoint, Instructions, PictureEncoder, PixelValues, Precision, TextEncoder,
};
use carlens::domain::Embedding;

mod others;
#[path = "../integration/support/random_checkpoint.rs"]
mod random_checkpoint;

use random_checkpoint::VIT_B_32;

const ROUNDS: usize = 7;

/// What is compared, the peer first.
const WAYS: [(&str, Arithmetic); 5] = [
    ("candle", way(Precision::F32, Instructions::Plain)),
    ("f32, AVX2", way(Precision::F32, Instructions::Avx2)),
    ("f32", way(Precision::F32, Instructions::Auto)),
    ("bf16", way(Precision::Bf16, Instructions::Auto)),
    ("int8", way(Precision::Int8, Instructions::Auto)),
];

const fn way(precision: Precision, instructions: Instructions) -> Arithmetic {
    Arithmetic { precision, instructions }
}

fn main() {
    let home = tempfile::tempdir().unwrap();
    VIT_B_32.write(home.path());
    let random = || Checkpoint::open("random", home.path()).unwrap();
    let bundled = || Checkpoint::bundled().unwrap();
    let models: [(&str, &dyn Fn() -> Checkpoint); 2] =
        [("ViT-B/32", &random), ("compact", &bundled)];
    let only: Vec<String> = std::env::args().collect();
    let is_asked = |name: &&str| only.iter().any(|argument| argument == name);
    let all = !models.iter().any(|(name, _)| is_asked(name));
    let here: Vec<_> = WAYS.into_iter().filter(|(_, way)| way.here() == way.precision).collect();
    for (name, open) in models.iter().filter(|(name, _)| all || is_asked(name)) {
        println!("{name}");
        // Pictures of the compact model are in f32 throughout.
        let is_exact = |(_, way): &&(_, Arithmetic)| way.precision == Precision::F32;
        let exact = here.iter().filter(is_exact).copied().collect::<Vec<_>>();
        pictures(open, if *name == "compact" { &exact } else { &here });
        texts(open, &here);
    }
}

fn pictures(open: &dyn Fn() -> Checkpoint, ways: &[(&str, Arithmetic)]) {
    let encoder = |way| open().computed(way).picture_encoder(&|_| {}).unwrap();
    let encoders: Vec<_> = ways.iter().map(|(_, way)| encoder(*way)).collect();
    let checkpoint = open();
    let preprocessor = checkpoint.preprocessor();
    let pixel_values =
        |seed| preprocessor.pixel_values(&random_checkpoint::picture(seed, 224)).unwrap();
    for count in [1, 8, 32] {
        let batch: Vec<PixelValues> = (0..count).map(pixel_values).collect();
        let batch = &batch;
        let run = |encoder| move || PictureEncoder::embed(encoder, batch).unwrap();
        let runs: Vec<_> = encoders.iter().map(run).collect();
        println!("picture tower, {count} at a time");
        compare(count, ways, &runs);
        if count == 8 {
            println!("beside a job on every core, 8 at a time");
            for ((name, _), run) in ways.iter().zip(&runs) {
                println!("  {name:<10} {:.2} of the speed alone", left_beside_others(run));
            }
            println!("a sleeper beside it, 8 at a time");
            for ((name, _), run) in ways.iter().zip(&runs) {
                let [median, last] = lateness(run).map(|late| late.as_secs_f64() * 1e3);
                println!("  {name:<10} wakes {median:.2} ms late, once in a hundred {last:.2} ms");
            }
        }
    }
}

/// What is left of the speed beside others.
fn left_beside_others(run: &impl Fn() -> Vec<Embedding>) -> f64 {
    const WHILE: Duration = Duration::from_secs(1);
    others::speed_left(ROUNDS, || {
        let began = Instant::now();
        let mut runs = 0.0;
        while began.elapsed() < WHILE {
            run();
            runs += 1.0;
        }
        runs / began.elapsed().as_secs_f64()
    })
}

/// The median and the 99th percentile of how late it wakes.
fn lateness(run: &impl Fn() -> Vec<Embedding>) -> [Duration; 2] {
    const NAP: Duration = Duration::from_millis(1);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            let mut late = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let began = Instant::now();
                thread::sleep(NAP);
                late.push(began.elapsed().saturating_sub(NAP));
            }
            late.sort();
            [50, 99].map(|percent| late[late.len() * percent / 100])
        });
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(2) {
            run();
        }
        is_over.store(true, Ordering::Relaxed);
        sleeper.join().unwrap()
    })
}

fn texts(open: &dyn Fn() -> Checkpoint, ways: &[(&str, Arithmetic)]) {
    let encoder = |way| open().computed(way).text_encoder(&|_| {}).unwrap();
    let encoders: Vec<_> = ways.iter().map(|(_, way)| encoder(*way)).collect();
    for text in ["a red car", &"a red car by the sea ".repeat(12)] {
        let ids = encoders[0].input_ids(text).unwrap();
        let run = |encoder| move || vec![TextEncoder::embed(encoder, text).unwrap()];
        let runs: Vec<_> = encoders.iter().map(run).collect();
        println!("text tower, {} input ids", ids.len());
        compare(1, ways, &runs);
    }
}

fn compare(count: u32, ways: &[(&str, Arithmetic)], runs: &[impl Fn() -> Vec<Embedding>]) {
    let exact = runs[0]();
    let mut times = vec![Vec::new(); runs.len()];
    for _ in 0..ROUNDS {
        for (run, times) in runs.iter().zip(&mut times) {
            times.push(time(run));
        }
    }
    let medians: Vec<Duration> = times.into_iter().map(median).collect();
    for (((name, _), median), run) in ways.iter().zip(&medians).zip(runs) {
        let cosines =
            run().into_iter().zip(&exact).map(|(one, other)| one.similarity(other).cosine());
        let least = cosines.fold(1.0, f32::min);
        println!(
            "  {name:<10} {:>8.2} ms  {:>7.1} a second  {:>5.2} x  cosine to candle >= {least:.6}",
            median.as_secs_f64() * 1e3,
            f64::from(count) / median.as_secs_f64(),
            median.as_secs_f64() / medians[0].as_secs_f64(),
        );
    }
}

/// The best of a few, so that whatever else the machine does counts less.
fn time(run: &impl Fn() -> Vec<Embedding>) -> Duration {
    let began = Instant::now();
    let mut best = Duration::MAX;
    while began.elapsed() < Duration::from_millis(200) {
        let began = Instant::now();
        run();
        best = best.min(began.elapsed());
    }
    best
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
