//! The outer end of a pseudo-terminal: a screen, and answers to what a program
//! asks.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::program;

const ROWS: NonZeroU16 = NonZeroU16::new(24).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(62).unwrap();
const LONGEST_QUESTION: usize = 32;
/// Turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes this test binary run [`program`] and nothing else.
const ARGUMENTS: &[&str] = &["pty::program::run", "--exact", "--ignored", "--nocapture"];

/// What a terminal says of itself; nothing where empty.
#[derive(Clone)]
pub struct Answers {
    pub version: &'static str,
    pub attributes: &'static str,
    pub cell: &'static str,
    pub truecolor: &'static str,
    pub kitty: &'static str,
    /// Between the escape and the rest of each answer.
    pub pause: Option<Duration>,
}

impl Answers {
    pub const NONE: Self =
        Self { version: "", attributes: "", cell: "", truecolor: "", kitty: "", pause: None };
    /// Any colour, but no graphics.
    pub const PLAIN: Self = Self {
        version: "fake 1.0",
        attributes: "62;22",
        cell: "\x1b[6;16;8t",
        truecolor: "\x1bP1$r0;48:2::1:2:3m\x1b\\",
        ..Self::NONE
    };
    pub const KITTY: Self =
        Self { version: "kitty(0.41.1)", kitty: "\x1b_Gi=31;OK\x1b\\", ..Self::PLAIN };

    /// Questions and their answers.
    fn table(&self) -> Vec<(&'static str, String)> {
        let filled =
            |text: &str, answer: String| if text.is_empty() { String::new() } else { answer };
        vec![
            ("\x1b[>q", filled(self.version, format!("\x1bP>|{}\x1b\\", self.version))),
            ("\x1b[c", filled(self.attributes, format!("\x1b[?{}c", self.attributes))),
            ("\x1b[16t", self.cell.to_owned()),
            ("\x1bP$qm\x1b\\", self.truecolor.to_owned()),
            (",a=q,t=d,f=24;AAAA\x1b\\", self.kitty.to_owned()),
        ]
    }
}

/// What has come out of the program.
struct Seen {
    screen: vt100::Parser,
    output: Vec<u8>,
    closed: bool,
}

type Shared = Arc<(Mutex<Seen>, Condvar)>;

pub struct FakeTerminal {
    seen: Shared,
    keyboard: Arc<Mutex<Box<dyn Write + Send>>>,
    program: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
}

impl FakeTerminal {
    /// Starts [`program`] in a terminal that gives `answers`.
    pub fn start(answers: &Answers) -> Self {
        Self::run(command(ARGUMENTS), answers)
    }

    /// Starts a shell with job control, and [`program`] from it.
    pub fn start_from_shell(answers: &Answers) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut shell = command(&["-i"]);
        shell.get_argv_mut()[0] = "sh".into();
        let terminal = Self::run(shell, answers);
        terminal.press(&format!("'{}' {}\r", program.display(), ARGUMENTS.join(" ")));
        terminal
    }

    /// Starts any program.
    pub fn run(command: CommandBuilder, answers: &Answers) -> Self {
        let size = PtySize { rows: ROWS.get(), cols: COLUMNS.get(), ..PtySize::default() };
        let pty = native_pty_system().openpty(size).unwrap();
        let program = pty.slave.spawn_command(command).unwrap();
        let seen = Seen {
            screen: vt100::Parser::new(ROWS, COLUMNS, 0),
            output: Vec::new(),
            closed: false,
        };
        let seen = Arc::new((Mutex::new(seen), Condvar::new()));
        let keyboard = Arc::new(Mutex::new(pty.master.take_writer().unwrap()));
        let reader = pty.master.try_clone_reader().unwrap();
        let (shared, answer_to) = (Arc::clone(&seen), Arc::clone(&keyboard));
        let answers = answers.clone();
        thread::spawn(move || follow(reader, &shared, &answers, &answer_to));
        Self { seen, keyboard, program, master: pty.master }
    }

    pub fn press(&self, keys: &str) {
        self.keyboard.lock().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// As a terminal pastes: in brackets, so that nothing of it is a key.
    pub fn paste(&self, text: &str) {
        self.press(&format!("\x1b[200~{text}\x1b[201~"));
    }

    /// Gives the window another size, which the program is told.
    pub fn resize(&self, rows: NonZeroU16, columns: NonZeroU16) {
        let size = PtySize { rows: rows.get(), cols: columns.get(), ..PtySize::default() };
        self.seen.0.lock().unwrap().screen.screen_mut().set_size(rows, columns);
        self.master.resize(size).unwrap();
    }

    pub fn wait_for_screen(&self, what: &str, is_there: impl Fn(&vt100::Screen) -> bool) {
        self.wait(what, |seen| is_there(seen.screen.screen()));
    }

    pub fn wait_for_text(&self, text: &str) {
        self.wait_for_screen(text, |screen| screen.contents().contains(text));
    }

    pub fn wait_for_output(&self, what: &str, bytes: &str) {
        self.wait_for_outputs(what, bytes, 1);
    }

    pub fn wait_for_outputs(&self, what: &str, bytes: &str, times: usize) {
        self.wait(what, |seen| text(&seen.output).matches(bytes).count() >= times);
    }

    pub fn screen_text(&self) -> String {
        self.seen.0.lock().unwrap().screen.screen().contents()
    }

    pub fn output(&self) -> String {
        text(&self.seen.0.lock().unwrap().output)
    }

    /// Sends the program a signal that would end it, as `kill` does.
    pub fn ask_to_end(&self, signal: &str) {
        let program = self.program.process_id().unwrap();
        let asked = Command::new("kill").args(["-s", signal, &program.to_string()]).status();
        let asked = asked.unwrap();
        assert!(asked.success());
    }

    /// Ends the program by its key, and returns all it ever wrote.
    pub fn quit(&mut self) -> String {
        self.press("q");
        assert!(self.wait_for_exit(), "{}", self.screen_text());
        self.output()
    }

    /// Whether it succeeded.
    pub fn wait_for_exit(&mut self) -> bool {
        self.wait("the end", |seen| seen.closed);
        self.program.wait().unwrap().success()
    }

    pub fn assert_restored(&self) {
        let seen = self.seen.0.lock().unwrap();
        let screen = seen.screen.screen();
        assert!(!screen.alternate_screen(), "the alternate screen is left");
        assert!(!screen.hide_cursor(), "the cursor shows");
        assert!(!screen.bracketed_paste(), "pastes come plain");
    }

    fn wait(&self, what: &str, is_there: impl Fn(&Seen) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let (seen, changed) = &*self.seen;
        let mut seen = seen.lock().unwrap();
        while !is_there(&seen) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !seen.closed && !left.is_zero(),
                "no sign of {what} in\n{}",
                seen.screen.screen().contents()
            );
            seen = changed.wait_timeout(seen, left).unwrap().0;
        }
    }
}

impl Drop for FakeTerminal {
    fn drop(&mut self) {
        // A test that failed leaves it running.
        let _ = self.program.kill();
    }
}

/// This test binary in an environment that gives nothing away.
fn command(arguments: &[&str]) -> CommandBuilder {
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    command.args(arguments);
    command.env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("TERM", "xterm-256color");
    command.env(program::VARIABLE, "1");
    command
}

/// Shows what the program writes and answers what it asks, until it ends.
fn follow(
    mut reader: Box<dyn Read + Send>,
    shared: &Shared,
    answers: &Answers,
    keyboard: &Mutex<Box<dyn Write + Send>>,
) {
    let table = answers.table();
    let mut unanswered = Vec::new();
    let mut buffer = [0; 1 << 12];
    while let Ok(length @ 1..) = reader.read(&mut buffer) {
        let bytes = &buffer[..length];
        unanswered.extend_from_slice(bytes);
        while let Some(answer) = next_answer(&table, &mut unanswered) {
            type_answer(keyboard, answer.as_bytes(), answers.pause);
        }
        // Of what is no question, only the beginning of one is still wanted.
        unanswered.drain(..unanswered.len().saturating_sub(LONGEST_QUESTION));
        let mut seen = shared.0.lock().unwrap();
        seen.screen.process(bytes);
        seen.output.extend_from_slice(bytes);
        shared.1.notify_all();
    }
    shared.0.lock().unwrap().closed = true;
    shared.1.notify_all();
}

/// The answer to the first question in `bytes`, which are dropped up to its
/// end.
fn next_answer(table: &[(&'static str, String)], bytes: &mut Vec<u8>) -> Option<String> {
    let asked = table.iter().filter_map(|(question, answer)| {
        let at = bytes.windows(question.len()).position(|part| part == question.as_bytes())?;
        Some((at + question.len(), answer))
    });
    let (end, answer) = asked.min_by_key(|(end, _)| *end)?;
    bytes.drain(..end);
    Some(answer.clone())
}

fn type_answer(keyboard: &Mutex<Box<dyn Write + Send>>, answer: &[u8], pause: Option<Duration>) {
    let mut keyboard = keyboard.lock().unwrap();
    let Some((escape, rest)) = answer.split_at_checked(1) else { return };
    keyboard.write_all(escape).unwrap();
    if let Some(pause) = pause {
        keyboard.flush().unwrap();
        // The delay of a network is what is being tested.
        thread::sleep(pause);
    }
    keyboard.write_all(rest).unwrap();
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
