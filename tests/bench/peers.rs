//! carlens beside its peers from the Python Package Index, in turn.
//!
//! `tests/bench/peers [ROUNDS] [towers|loads|searches]` installs them and runs
//! this: `PyTorch` (as the article of `DataStax` uses it), onnxruntime and `OpenVINO`
//! over one checkpoint of CLIP ViT-B/32's shape with random weights, as speed does
//! not depend on them. Each is a process of its own (`peers.py`) that keeps still
//! until it is asked. In a round, each is timed once after the other; a round in
//! which other programs took more than a twentieth of the machine is taken again.
//! Printed are medians over the rounds, and the medians of what each round's ratio
//! was. Precisions that the processor does not multiply are left out, of `OpenVINO`
//! too, which would compute them in f32 likewise.

#![expect(clippy::unwrap_used, reason = "a benchmark has nobody to report to")]
#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use carlens::clip::{
    Arithmetic, Checkpoint, Instructions, PictureEncoder, PixelValues, Precision, TextEncoder,
};
use carlens::domain::Embedding;
use serde_json::map::Entry;
use serde_json::{Map, Value, json};

mod command;
mod demo;
#[path = "../integration/support/random_checkpoint.rs"]
mod random_checkpoint;
mod rounds;
mod varied;

use command::Run;
use random_checkpoint::VIT_B_32;
use rounds::{median, quiet_rounds, ratio};

/// Quiet rounds, unless told.
const ROUNDS: usize = 7;

/// How long each is timed in a round.
const WHILE: Duration = Duration::from_millis(200);

/// Pictures at a time.
const BATCHES: [usize; 3] = [1, 8, 32];

/// Five input ids, and as many as there may be.
const TEXTS: [&str; 2] = ["a red car", LONG];
const LONG: &str = "a red car by the sea, a red car by the sea, a red car by the sea, a red car by \
                    the sea, a red car by the sea, a red car by the sea";

/// How many tokens the tokenizer of `OpenAI`'s CLIP has.
const TOKENS: usize = 49_408;

/// Small pictures to load, and large ones.
const SMALL: usize = 100;
const LARGE: usize = 20;

/// What is compared with what in the end: ours, a peer, and how many times as
/// fast ours is to be with pictures and with a short text.
const GOALS: [(&str, &str, f64, f64); 6] = [
    ("carlens bf16", "openvino-bf16", 1.05, 1.3),
    ("carlens bf16", "pytorch", 2.3, 1.0),
    ("carlens f32", "pytorch", 1.05, 1.0),
    ("carlens f32", "openvino", 1.05, 1.0),
    ("carlens f32", "onnxruntime", 1.05, 1.0),
    ("carlens int8", "onnxruntime-int8", 1.0, 1.0),
];

const OURS: [(&str, Precision); 3] = [
    ("carlens f32", Precision::F32),
    ("carlens bf16", Precision::Bf16),
    ("carlens int8", Precision::Int8),
];

const PEERS: [&str; 5] =
    ["pytorch", "onnxruntime", "openvino", "openvino-bf16", "onnxruntime-int8"];

fn main() {
    let rounds = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(ROUNDS);
    // Only one of its three parts, if it is named.
    let is_asked = |part: &str| {
        let parts = ["towers", "loads", "searches"];
        let named = |argument: String| parts.contains(&argument.as_str());
        std::env::args().any(|argument| argument == part) || !std::env::args().any(named)
    };
    let Some(python) = python() else {
        println!("the peers are not installed: run tests/bench/peers");
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("vit-b-32");
    fs::create_dir(&folder).unwrap();
    let mut tokenizer = random_checkpoint::compact_tokenizer();
    grow(&mut tokenizer);
    name_special_tokens(&mut tokenizer);
    VIT_B_32.write_with(&tokenizer, &folder);
    let given = Given::write(&folder);
    let exported = Command::new(&python).arg(script()).arg("export").arg(&folder).output().unwrap();
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    if is_asked("towers") {
        towers(&python, &folder, &given, rounds);
    }
    if is_asked("loads") {
        loads(&python, &folder, home.path(), rounds);
    }
    if is_asked("searches") {
        searches(&python, &folder, home.path(), rounds);
    }
}

/// Where `tests/bench/peers` has installed them.
fn python() -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/bin/python");
    python.exists().then_some(python)
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/peers.py")
}

/// Adds merges to a tokenizer until it has as many tokens as `OpenAI`'s: a program
/// that starts has to read them all.
fn grow(tokenizer: &mut Value) {
    let model = &mut tokenizer["model"];
    let mut vocabulary: Map<String, Value> = model["vocab"].as_object().cloned().unwrap();
    let mut merges: Vec<Value> = model["merges"].as_array().cloned().unwrap();
    let words: Vec<String> = vocabulary.keys().cloned().collect();
    let pairs = words.iter().flat_map(|first| words.iter().map(move |second| (first, second)));
    for (first, second) in pairs {
        if vocabulary.len() == TOKENS - 2 {
            break;
        }
        let next = vocabulary.len();
        if let Entry::Vacant(place) = vocabulary.entry(format!("{first}{second}")) {
            place.insert(next.into());
            merges.push(json!([first, second]));
        }
    }
    let special = (vocabulary.len()..TOKENS).map(Value::from);
    model["vocab"] = vocabulary.into();
    model["merges"] = merges.into();
    for (token, id) in tokenizer["added_tokens"].as_array_mut().unwrap().iter_mut().zip(special) {
        token["id"] = id;
    }
}

/// Puts the special tokens of a tokenizer wherever transformers looks for them.
fn name_special_tokens(tokenizer: &mut Value) {
    for token in tokenizer["added_tokens"].as_array().cloned().unwrap() {
        let name = token["content"].as_str().unwrap();
        tokenizer["model"]["vocab"][name] = token["id"].clone();
        tokenizer["post_processor"]["special_tokens"][name]["ids"] = json!([token["id"]]);
    }
}

fn way(precision: Precision) -> Arithmetic {
    Arithmetic { precision, instructions: Instructions::Auto }
}

/// What all embed.
struct Given {
    pictures: Vec<PixelValues>,
    /// The input ids of each text.
    ids: [Vec<u32>; TEXTS.len()],
}

impl Given {
    fn write(folder: &Path) -> Self {
        let checkpoint = Checkpoint::open("random", folder).unwrap();
        let picture = |seed| random_checkpoint::picture(seed, 224);
        let values = |seed| checkpoint.preprocessor().pixel_values(&picture(seed)).unwrap();
        let pictures: Vec<PixelValues> = (0..32).map(values).collect();
        let bytes = pictures.iter().flat_map(PixelValues::as_slice).flat_map(|x| x.to_le_bytes());
        fs::write(folder.join("pixels.f32"), bytes.collect::<Vec<u8>>()).unwrap();
        let encoder = checkpoint.text_encoder(&|_| {}).unwrap();
        let ids = TEXTS.map(|text| encoder.input_ids(text).unwrap());
        fs::write(folder.join("ids.json"), serde_json::to_vec(&ids).unwrap()).unwrap();
        Self { pictures, ids }
    }
}

/// One thing to embed.
#[derive(Clone, Copy)]
enum Task {
    /// So many pictures at a time.
    Pictures(usize),
    /// The text of this number.
    Text(usize),
}

impl Task {
    fn order(self) -> String {
        match self {
            Self::Pictures(count) => format!("picture {count}"),
            Self::Text(number) => format!("text {number}"),
        }
    }

    fn count(self) -> usize {
        if let Self::Pictures(count) = self { count } else { 1 }
    }
}

/// carlens or a peer.
trait Engine {
    /// Seconds of the best run within [`WHILE`].
    fn time(&mut self, task: Task) -> f64;

    fn embed(&mut self, task: Task) -> Vec<Embedding>;
}

struct Ours<'a> {
    given: &'a Given,
    pictures: PictureEncoder,
    texts: TextEncoder,
}

impl<'a> Ours<'a> {
    fn open(folder: &Path, given: &'a Given, precision: Precision) -> Self {
        let checkpoint = Checkpoint::open("random", folder).unwrap().computed(way(precision));
        Self {
            given,
            pictures: checkpoint.picture_encoder(&|_| {}).unwrap(),
            texts: checkpoint.text_encoder(&|_| {}).unwrap(),
        }
    }
}

impl Engine for Ours<'_> {
    fn time(&mut self, task: Task) -> f64 {
        let (began, mut best) = (Instant::now(), Duration::MAX);
        while began.elapsed() < WHILE {
            let began = Instant::now();
            self.embed(task);
            best = best.min(began.elapsed());
        }
        best.as_secs_f64()
    }

    fn embed(&mut self, task: Task) -> Vec<Embedding> {
        match task {
            Task::Pictures(count) => self.pictures.embed(&self.given.pictures[..count]).unwrap(),
            Task::Text(number) => vec![self.texts.embed_ids(&self.given.ids[number]).unwrap()],
        }
    }
}

/// A peer's process.
struct Peer {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    fn start(python: &Path, name: &str, folder: &Path) -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from).to_string();
        let mut process = Command::new(python)
            .arg(script())
            .args([name.as_ref(), folder.as_os_str(), threads.as_ref()])
            .env("OMP_NUM_THREADS", &threads)
            .env("HF_HUB_OFFLINE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let orders = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let mut peer = Self { process, orders, answers };
        assert_eq!(peer.answer(), "ready", "{name} does not start");
        peer
    }

    fn ask(&mut self, order: &str) -> Value {
        writeln!(self.orders, "{order}").unwrap();
        self.answer()
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).expect("the peer has ended")
    }

    /// The most memory that it had at once, in MiB.
    fn peak(&self) -> u64 {
        command::peak_kib(self.process.id()) >> 10
    }
}

impl Engine for Peer {
    fn time(&mut self, task: Task) -> f64 {
        self.ask(&format!("time {}", task.order())).as_f64().unwrap()
    }

    fn embed(&mut self, task: Task) -> Vec<Embedding> {
        let answer = self.ask(&format!("embed {}", task.order()));
        let raw: Vec<Vec<f32>> = serde_json::from_value(answer).unwrap();
        raw.into_iter().map(|raw| Embedding::normalize(raw).unwrap()).collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends by itself otherwise.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn towers(python: &Path, folder: &Path, given: &Given, rounds: usize) {
    let is_here = |precision| way(precision).here() == precision;
    let ours = OURS.into_iter().filter(|(_, precision)| is_here(*precision));
    let ours = ours.map(|(name, precision)| {
        (name, Box::new(Ours::open(folder, given, precision)) as Box<dyn Engine + '_>)
    });
    let peers =
        PEERS.into_iter().filter(|name| *name != "openvino-bf16" || is_here(Precision::Bf16));
    let peers = peers
        .map(|name| (name, Box::new(Peer::start(python, name, folder)) as Box<dyn Engine + '_>));
    let (names, mut engines): (Vec<_>, Vec<_>) = ours.chain(peers).unzip();
    let at = |name: &str| names.iter().position(|one| *one == name);
    let tasks = BATCHES.map(Task::Pictures).into_iter().chain([0, 1].map(Task::Text));
    for task in tasks {
        match task {
            Task::Pictures(count) => println!("picture tower, {count} at a time"),
            Task::Text(number) => println!("text tower, {} input ids", given.ids[number].len()),
        }
        let exact = engines[at("pytorch").unwrap()].embed(task);
        let times =
            quiet_rounds(rounds, || engines.iter_mut().map(|engine| engine.time(task)).collect());
        for ((name, engine), times) in names.iter().zip(&mut engines).zip(&times) {
            let embeddings = engine.embed(task);
            let cosines = embeddings.iter().zip(&exact).map(|(a, b)| a.similarity(b).cosine());
            let least = cosines.fold(1.0, f32::min);
            print(name, median(times), task.count());
            println!("  cosine to PyTorch >= {least:.6}");
        }
        for (ours, peer, pictures, text) in GOALS {
            let (Some(ours_at), Some(peer_at)) = (at(ours), at(peer)) else { continue };
            let goal = match task {
                Task::Pictures(_) => Some(pictures),
                Task::Text(0) => Some(text),
                Task::Text(_) => None,
            };
            print_ratio(ours, peer, ratio(&times[peer_at], &times[ours_at]), goal);
        }
    }
}

/// `carlens load` as it is typed, from its start to its end, beside the
/// article's loop, which is timed from the first picture on.
fn loads(python: &Path, folder: &Path, home: &Path, rounds: usize) {
    let mut article = Peer::start(python, "article", folder);
    for (name, count, size, goal) in
        [("small", SMALL, None, 3.5), ("12-megapixel", LARGE, Some((4000, 3000)), 2.0)]
    {
        println!("{count} {name} JPEGs to a collection");
        let pictures = home.join(name);
        varied::write(&pictures, count, size);
        let order = format!("load {}", pictures.display());
        let mut memory = 0;
        let times = quiet_rounds(rounds, || {
            let of_load = home.join("home");
            let run = carlens(&of_load, folder, "load", pictures.to_str().unwrap());
            memory = memory.max(run.peak_kib >> 10);
            fs::remove_dir_all(of_load).unwrap();
            vec![run.took.as_secs_f64(), article.ask(&order).as_f64().unwrap()]
        });
        print("carlens", median(&times[0]), count);
        println!("  peak memory {memory} MiB");
        print("article", median(&times[1]), count);
        println!("  peak memory {} MiB", article.peak());
        print_ratio("carlens", "article", ratio(&times[1], &times[0]), Some(goal));
    }
}

/// From the start of the process to the printed result.
fn searches(python: &Path, folder: &Path, home: &Path, rounds: usize) {
    let pictures = home.join("to search");
    varied::write(&pictures, SMALL, None);
    let models = [("ViT-B/32", folder.to_str().unwrap()), ("compact", "compact")];
    let homes = models.map(|(name, _)| home.join(format!("home of {name}").replace('/', " ")));
    for ((_, model), home) in models.iter().zip(&homes) {
        carlens(home, Path::new(model), "load", pictures.to_str().unwrap());
    }
    println!("search \"red tesla\", from the start of the process to its end");
    let times = quiet_rounds(rounds, || {
        let ours = models.iter().zip(&homes).map(|((_, model), home)| {
            carlens(home, Path::new(model), "search", "red tesla").took.as_secs_f64()
        });
        let mut times: Vec<f64> = ours.collect();
        let began = Instant::now();
        let mut article = Peer::start(python, "article", folder);
        article.ask("search red tesla");
        times.push(began.elapsed().as_secs_f64());
        times
    });
    for (name, times) in ["carlens ViT-B/32", "carlens compact", "article"].iter().zip(&times) {
        print(name, median(times), 1);
        println!();
    }
}

/// Runs a command of carlens, which must end well.
fn carlens(home: &Path, model: &Path, command: &str, argument: &str) -> Run {
    let settings = [command, "--progress", "none", "--store", "embedded", "--model"];
    let arguments = settings.map(OsStr::new).into_iter();
    let arguments = arguments.chain([model.as_os_str(), argument.as_ref()]);
    command::run(home, arguments, Stdio::null())
}

fn print(name: &str, seconds: f64, count: usize) {
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let rate = count as f64 / seconds;
    print!("  {name:<18} {:>9.2} ms {rate:>8.1} a second", seconds * 1e3);
}

fn print_ratio(ours: &str, peer: &str, ratio: f64, goal: Option<f64>) {
    let goal = goal.map_or(String::new(), |goal| format!(" (goal: {goal})"));
    println!("  {ours} is {ratio:.2} times as fast as {peer}{goal}");
}
