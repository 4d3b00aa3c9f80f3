//! The whole application: started, searched, left.

use std::fs;
use std::num::NonZeroU16;
use std::path::Path;

use portable_pty::CommandBuilder;
use tempfile::TempDir;

use super::fake_terminal::{Answers, FakeTerminal};

/// The application on a machine of its own, with three demo pictures to load.
fn start(machine: &TempDir) -> FakeTerminal {
    start_in(machine, &Answers::PLAIN)
}

fn start_in(machine: &TempDir, terminal: &Answers) -> FakeTerminal {
    let pictures = machine.path().join("pictures");
    fs::create_dir(&pictures).unwrap();
    for name in ["car-003.jpg", "car-005.jpg", "car-009.jpg"] {
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("static/images").join(name);
        fs::copy(demo, pictures.join(name)).unwrap();
    }
    FakeTerminal::run(command(machine), terminal)
}

fn command(machine: &TempDir) -> CommandBuilder {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_carlens"));
    command.env_clear();
    command.env("TERM", "xterm-256color");
    command.env("HOME", machine.path());
    command.env("CARLENS_IMAGES", machine.path().join("pictures"));
    command.env("HF_HUB_OFFLINE", "1");
    command.cwd(machine.path());
    command
}

/// Waits until `name` is the selected hit.
fn wait_for_selected(terminal: &FakeTerminal, name: &str) {
    terminal.wait_for_screen(&format!("{name}, selected"), |screen| {
        screen.contents().lines().any(|line| line.contains('▶') && line.contains(name))
    });
}

/// Waits for a picture of half-blocks with more than a few cells of a colour.
fn wait_for_picture(terminal: &FakeTerminal, of: impl Fn(u8, u8, u8) -> bool) {
    terminal.wait_for_screen("a picture", |screen| {
        let (rows, columns) = screen.size();
        let (rows, columns) = (rows.get(), columns.get());
        let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let counts = |cell: &vt100::Cell| matches!(cell.bgcolor(), vt100::Color::Rgb(r, g, b) if of(r, g, b));
        cells.filter_map(|(row, column)| screen.cell(row, column)).filter(|cell| counts(cell)).count() > 5
    });
}

fn is_red(red: u8, green: u8, blue: u8) -> bool {
    red > 120 && green < 80 && blue < 80
}

const LARGE: (NonZeroU16, NonZeroU16) =
    (NonZeroU16::new(40).unwrap(), NonZeroU16::new(120).unwrap());
const SMALL: (NonZeroU16, NonZeroU16) =
    (NonZeroU16::new(16).unwrap(), NonZeroU16::new(60).unwrap());

#[test]
fn words_find_the_car_and_show_it() {
    let machine = tempfile::tempdir().unwrap();
    let mut terminal = start(&machine);
    terminal.wait_for_text("3 embedded, 0 unchanged, 0 failed");
    terminal.press("red convertible\r");
    terminal.wait_for_text("best of 3");
    wait_for_selected(&terminal, "car-005.jpg");
    wait_for_picture(&terminal, is_red);
    terminal.press("?");
    terminal.wait_for_text("pictures like this one");
    terminal.press("?");
    wait_for_picture(&terminal, is_red);
    terminal.quit();
    terminal.assert_restored();
}

#[test]
fn a_pasted_path_finds_its_picture_first() {
    let machine = tempfile::tempdir().unwrap();
    let mut terminal = start(&machine);
    terminal.wait_for_text("3 embedded, 0 unchanged, 0 failed");
    let picture = machine.path().join("pictures/car-005.jpg");
    // Quoted, as some terminals do with what is dropped on them.
    terminal.paste(&format!("'{}'", picture.display()));
    terminal.press("\r");
    wait_for_selected(&terminal, "car-005.jpg");
    terminal.wait_for_text("1.00");
    terminal.press("j");
    terminal.wait_for_screen("another, selected", |screen| {
        screen.contents().lines().any(|line| line.contains('▶') && !line.contains("car-005.jpg"))
    });
    terminal.quit();
    terminal.assert_restored();
}

#[test]
fn a_flood_of_keys_leaves_nobody_deaf() {
    let machine = tempfile::tempdir().unwrap();
    let mut terminal = start(&machine);
    terminal.wait_for_text("3 embedded, 0 unchanged, 0 failed");
    // More than the terminal's queue holds, and not in brackets.
    terminal.press(&"x".repeat(6000));
    terminal.press("\x15red convertible\r");
    wait_for_selected(&terminal, "car-005.jpg");
    terminal.quit();
    terminal.assert_restored();
}

#[test]
fn a_window_of_another_size_shows_the_same() {
    let machine = tempfile::tempdir().unwrap();
    let mut terminal = start(&machine);
    terminal.wait_for_text("3 embedded, 0 unchanged, 0 failed");
    terminal.press("red convertible\r");
    wait_for_selected(&terminal, "car-005.jpg");
    for (rows, columns) in [LARGE, SMALL, LARGE] {
        terminal.resize(rows, columns);
        terminal.wait_for_screen("the last line of the window", |screen| {
            let last = screen.contents_between(rows.get() - 1, 0, rows.get(), 0);
            last.contains("/ query")
        });
        wait_for_selected(&terminal, "car-005.jpg");
        wait_for_picture(&terminal, is_red);
    }
    terminal.quit();
    terminal.assert_restored();
}

#[test]
fn a_terminal_that_answers_nothing_shows_the_car_too() {
    let machine = tempfile::tempdir().unwrap();
    let mut terminal = start_in(&machine, &Answers::NONE);
    // Typed before the terminal has been given up.
    terminal.wait_for_output("a question", "\x1b[c");
    terminal.press("red convertible\r");
    wait_for_selected(&terminal, "car-005.jpg");
    terminal.wait_for_screen("a picture", |screen| screen.contents().contains('▄'));
    terminal.quit();
    terminal.assert_restored();
}

#[test]
fn a_load_of_another_process_is_seen() {
    let machine = tempfile::tempdir().unwrap();
    let mut terminal = start(&machine);
    terminal.wait_for_text("3 embedded, 0 unchanged, 0 failed");
    let slow = machine.path().join("slow");
    fs::create_dir(&slow).unwrap();
    for n in 0..120 {
        let demo = machine.path().join("pictures/car-005.jpg");
        fs::copy(demo, slow.join(format!("car {n}.jpg"))).unwrap();
    }
    let mut load = command(&machine);
    load.arg("load");
    load.arg(&slow);
    let mut other = FakeTerminal::run(load, &Answers::PLAIN);
    terminal.wait_for_text("Load elsewhere");
    assert!(other.wait_for_exit());
    terminal.wait_for_screen("its end", |screen| !screen.contents().contains("Load elsewhere"));
    terminal.press("red convertible\r");
    terminal.wait_for_text("best of 123");
    terminal.quit();
    terminal.assert_restored();
}

#[test]
fn whoever_is_asked_may_interrupt_instead() {
    let machine = tempfile::tempdir().unwrap();
    start(&machine).wait_for_text("3 embedded");
    fs::remove_file(machine.path().join("pictures/car-005.jpg")).unwrap();
    let mut load = command(&machine);
    load.args(["load", "pictures", "--prune"]);
    for end in ["INT", "TERM", ""] {
        let mut terminal = FakeTerminal::run(load.clone(), &Answers::PLAIN);
        terminal.wait_for_text("erase 1 picture");
        match end {
            "" => terminal.press("\x03"),
            signal => terminal.ask_to_end(signal),
        }
        assert!(!terminal.wait_for_exit());
        assert!(!terminal.screen_text().contains("removed"), "{}", terminal.screen_text());
    }
    let mut terminal = FakeTerminal::run(load, &Answers::PLAIN);
    terminal.wait_for_text("erase 1 picture");
    terminal.press("y\r");
    terminal.wait_for_text("1 removed");
    terminal.wait_for_exit();
}

#[test]
fn a_load_without_the_application_shows_a_bar_that_nothing_tears() {
    let machine = tempfile::tempdir().unwrap();
    let folder = machine.path().join("cars");
    fs::create_dir(&folder).unwrap();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("static/images/car-005.jpg");
    let demo = fs::read(demo).unwrap();
    for n in 0..160_u8 {
        let name = format!("a car with a name that is far too long for it {n:03}.jpg");
        // What follows the picture makes each of them another file.
        fs::write(folder.join(name), [demo.as_slice(), &[n]].concat()).unwrap();
    }
    fs::write(folder.join("a car 000 bad.jpg"), "bad").unwrap();
    let mut load = command(&machine);
    load.arg("load");
    load.arg("cars");
    let mut terminal = FakeTerminal::run(load, &Answers::PLAIN);
    terminal.wait_for_screen("a complaint above one whole bar", |screen| {
        let text = screen.contents();
        let lines: Vec<&str> = text.lines().collect();
        let complaints = lines.iter().filter(|line| line.contains("is not a picture")).count();
        complaints == 1
            && lines.iter().filter(|line| line.contains("of 161 pictures")).count() == 1
            && lines.last().is_some_and(|last| last.contains('▕') && last.contains("1 failed"))
    });
    let (rows, columns) = LARGE;
    terminal.resize(rows, columns);
    terminal.wait_for_screen("a name beside a longer bar", |screen| {
        screen.contents().lines().last().is_some_and(|last| last.contains("far too long"))
    });
    assert!(!terminal.wait_for_exit(), "one picture failed");
    let text = terminal.screen_text();
    assert!(text.contains("160 embedded, 0 unchanged, 1 failed"), "{text}");
    assert!(!text.contains("of 161 pictures"), "{text}");
}

#[test]
fn a_request_to_end_gives_the_terminal_back() {
    let machine = tempfile::tempdir().unwrap();
    let mut terminal = start(&machine);
    terminal.wait_for_text("3 embedded, 0 unchanged, 0 failed");
    terminal.ask_to_end("TERM");
    assert!(!terminal.wait_for_exit(), "as after Ctrl-C in a command");
    terminal.assert_restored();
    terminal.wait_for_text("carlens was asked to end");
}

#[test]
fn every_signal_that_would_end_it_gives_the_terminal_back() {
    for signal in ["HUP", "INT", "QUIT"] {
        let machine = tempfile::tempdir().unwrap();
        let mut terminal = start(&machine);
        terminal.wait_for_text("3 embedded, 0 unchanged, 0 failed");
        terminal.ask_to_end(signal);
        assert!(!terminal.wait_for_exit());
        terminal.assert_restored();
    }
}

#[test]
fn a_request_to_end_is_heard_while_the_terminal_is_asked() {
    let machine = tempfile::tempdir().unwrap();
    // Without answers there is a second between the question and the rest.
    let mut terminal = start_in(&machine, &Answers::NONE);
    terminal.wait_for_output("a question", "\x1b[c");
    terminal.ask_to_end("TERM");
    assert!(!terminal.wait_for_exit());
    terminal.assert_restored();
}
