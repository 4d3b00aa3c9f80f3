//! How long a key takes to show, and the first frame, seen from the outer end
//! of a pseudo-terminal.
//!
//! `cargo bench --bench latency [-- KEYS]`; 300 keys of each kind unless told.
//! Keys are pressed at rest, during a load, which keeps every core busy, and
//! while as many other processes load as well. The peer
//! is `cat` on a raw terminal of its own, pressed in turn with carlens: what a
//! program that does nothing needs on this machine at that moment. The goals
//! are 16 ms for the slowest key in a hundred, a frame of a 60 Hz screen, and
//! 100 ms for the first frame.

#![expect(clippy::unwrap_used, reason = "a benchmark has nobody to report to")]
#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::fs;
use std::io::{Read as _, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

mod demo;
#[path = "../integration/store_samples.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod samples;

use samples::Random;

const ROWS: u16 = 40;
const COLUMNS: u16 = 120;
const STARTS: usize = 20;
/// Pictures to load: more than are embedded while the keys are pressed.
const PICTURES: usize = 30_000;
/// Turns a hang into a failure.
const PATIENCE: Duration = Duration::from_mins(1);

fn main() {
    let keys = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(300);
    let machine = tempfile::tempdir().unwrap();
    let few = pictures(&machine.path().join("few"), 60);
    let home = |name: &str| machine.path().join(name);
    let many = pictures(&machine.path().join("many"), PICTURES);

    let starts: Vec<Duration> =
        (0..STARTS).map(|_| first_frame(carlens(&home("starts"), &many))).collect();
    let peer: Vec<Duration> = (0..STARTS).map(|_| first_frame(echo())).collect();
    Times::of(starts).print("first frame", &Times::of(peer), "echo");

    let mut idle = Terminal::run(carlens(&home("idle"), &few));
    idle.wait_for("60 embedded");
    press_all(&mut idle, keys, "at rest");
    drop(idle);

    let mut loading = Terminal::run(carlens(&home("busy"), &many));
    loading.wait_for("/s");
    press_all(&mut loading, keys, "during a load");
    assert!(loading.shows("Load ▕"), "the load ended too early\n{}", loading.text());

    let cores = thread::available_parallelism().unwrap().get();
    let _others: Vec<Terminal> = (0..cores)
        .map(|n| Terminal::run(headless_load(&home(&format!("other {n}")), &many)))
        .collect();
    press_all(&mut loading, keys, &format!("during {} loads", cores + 1));
    assert!(loading.shows("Load ▕"), "the load ended too early\n{}", loading.text());
}

/// The application with a home of its own, which loads `images` at its start.
fn carlens(home: &Path, images: &Path) -> CommandBuilder {
    let mut command = at_home(home, images);
    command.args(["--graphics", "blocks"]);
    command
}

/// A load in another process.
fn headless_load(home: &Path, images: &Path) -> CommandBuilder {
    let mut command = at_home(home, images);
    command.arg("load");
    command
}

fn at_home(home: &Path, images: &Path) -> CommandBuilder {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_carlens"));
    command.env_clear();
    command.env("HOME", home);
    command.env("TERM", "xterm-256color");
    command.env("COLORTERM", "truecolor");
    command.env("CARLENS_IMAGES", images);
    command.env("HF_HUB_OFFLINE", "1");
    command.cwd(images);
    command
}

/// Writes back every key, and does nothing else.
fn cat() -> CommandBuilder {
    let mut command = CommandBuilder::new("sh");
    command.args(["-c", "stty raw -echo; printf ready; exec cat"]);
    command
}

/// Says a word and ends.
fn echo() -> CommandBuilder {
    let mut command = CommandBuilder::new("/bin/echo");
    command.arg("Search");
    command
}

/// The demo pictures, as often as it takes to have `count`, each with a number
/// after its end: what is a copy would not be embedded again.
fn pictures(folder: &Path, count: usize) -> std::path::PathBuf {
    let demo = demo::pictures().into_iter().map(|file| fs::read(file).unwrap()).collect::<Vec<_>>();
    fs::create_dir_all(folder).unwrap();
    for n in 0..count {
        let mut picture = demo[n % demo.len()].clone();
        picture.extend(n.to_be_bytes());
        fs::write(folder.join(format!("car {n:05}.jpg")), picture).unwrap();
    }
    folder.to_owned()
}

fn first_frame(command: CommandBuilder) -> Duration {
    let begun = Instant::now();
    Terminal::run(command).wait_for("Search") - begun
}

/// Types, then browses, and prints how long the keys took.
fn press_all(carlens: &mut Terminal, keys: usize, when: &str) {
    let mut cat = Terminal::run(cat());
    cat.wait_for("ready");
    // To the query, wherever the focus is, and empty it.
    carlens.press("/\x15");
    let (typed, peer) = type_letters(carlens, &mut cat, keys);
    typed.print(&format!("typing {when}"), &peer, "cat");
    carlens.press("\x15red car\r");
    carlens.wait_for("best of");
    let (browsed, peer) = browse(carlens, &mut cat, keys);
    browsed.print(&format!("browsing {when}"), &peer, "cat");
}

/// Words of twenty letters, with a pause now and then, after which what is
/// there is searched for.
fn type_letters(carlens: &mut Terminal, cat: &mut Terminal, keys: usize) -> (Times, Times) {
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    let (mut random, mut word) = (Random(7), String::new());
    for _ in 0..keys {
        if word.len() == 20 {
            word.clear();
            carlens.press("\x15");
        }
        let letter = char::from(b'a' + u8::try_from(random.below(26)).unwrap());
        word.push(letter);
        let pause = if random.below(10) == 0 { 400 } else { 30 + random.below(90) };
        thread::sleep(Duration::from_millis(pause));
        ours.push(carlens.time(&letter.to_string(), |screen| screen.contents().contains(&word)));
        peer.push(cat.echo(letter));
    }
    (Times::of(ours), Times::of(peer))
}

/// Down eight hits and up again, and so on.
fn browse(carlens: &mut Terminal, cat: &mut Terminal, keys: usize) -> (Times, Times) {
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    let mut random = Random(11);
    for n in 0..keys {
        thread::sleep(Duration::from_millis(60 + random.below(200)));
        carlens.catch_up();
        let before = selected(carlens.screen.screen());
        let key = if n % 16 < 8 { "j" } else { "k" };
        ours.push(carlens.time(key, |screen| selected(screen) != before));
        peer.push(cat.echo('j'));
    }
    (Times::of(ours), Times::of(peer))
}

/// The row of the selected hit.
fn selected(screen: &vt100::Screen) -> Option<usize> {
    screen.contents().lines().position(|line| line.contains('▶'))
}

/// A pseudo-terminal with a program in it.
struct Terminal {
    screen: vt100::Parser,
    /// What the program wrote, and when it arrived.
    output: Receiver<(Instant, Vec<u8>)>,
    keyboard: Box<dyn Write + Send>,
    program: Box<dyn Child + Send + Sync>,
    _master: Box<dyn MasterPty + Send>,
}

impl Terminal {
    fn run(command: CommandBuilder) -> Self {
        let size = PtySize { rows: ROWS, cols: COLUMNS, ..PtySize::default() };
        let pty = native_pty_system().openpty(size).unwrap();
        let program = pty.slave.spawn_command(command).unwrap();
        let mut reader = pty.master.try_clone_reader().unwrap();
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 1 << 14];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                let arrived = Instant::now();
                if sender.send((arrived, buffer[..length].to_vec())).is_err() {
                    return;
                }
            }
        });
        let screen = vt100::Parser::new(ROWS.try_into().unwrap(), COLUMNS.try_into().unwrap(), 0);
        let keyboard = pty.master.take_writer().unwrap();
        Self { screen, output, keyboard, program, _master: pty.master }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Takes in what has been written meanwhile.
    fn catch_up(&mut self) {
        while let Ok((_, bytes)) = self.output.try_recv() {
            self.screen.process(&bytes);
        }
    }

    /// From the key to the screen that is asked for.
    fn time(&mut self, key: &str, is_there: impl Fn(&vt100::Screen) -> bool) -> Duration {
        self.catch_up();
        let pressed = Instant::now();
        self.press(key);
        self.wait(is_there) - pressed
    }

    /// From the key to the same letter coming back.
    fn echo(&mut self, letter: char) -> Duration {
        let pressed = Instant::now();
        self.press(&letter.to_string());
        self.output.recv_timeout(PATIENCE).unwrap().0 - pressed
    }

    fn wait_for(&mut self, text: &str) -> Instant {
        self.wait(|screen| screen.contents().contains(text))
    }

    /// When the screen was as asked for.
    fn wait(&mut self, is_there: impl Fn(&vt100::Screen) -> bool) -> Instant {
        loop {
            let Ok((arrived, bytes)) = self.output.recv_timeout(PATIENCE) else {
                panic!("that never showed in\n{}", self.text());
            };
            self.screen.process(&bytes);
            if is_there(self.screen.screen()) {
                return arrived;
            }
        }
    }

    fn shows(&self, text: &str) -> bool {
        self.text().contains(text)
    }

    fn text(&self) -> String {
        self.screen.screen().contents()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// Shortest first.
struct Times(Vec<Duration>);

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    fn at(&self, percent: usize) -> f64 {
        self.0[(self.0.len() - 1) * percent / 100].as_secs_f64() * 1000.0
    }

    fn print(&self, what: &str, peer: &Self, name: &str) {
        print!("{what:<26}");
        for (name, percent) in [("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)] {
            print!("  {name} {:>6.2} ms", self.at(percent));
        }
        println!(
            "  {name}: p50 {:.2} ms, p99 {:.2} ms  {:.1} x its p99",
            peer.at(50),
            peer.at(99),
            self.at(99) / peer.at(99)
        );
    }
}
