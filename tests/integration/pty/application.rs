//! The whole application: started, searched, left.

use std::fs;
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
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_carlens"));
    command.env_clear();
    command.env("TERM", "xterm-256color");
    command.env("HOME", machine.path());
    command.env("CARLENS_IMAGES", &pictures);
    command.env("HF_HUB_OFFLINE", "1");
    command.cwd(machine.path());
    FakeTerminal::run(command, terminal)
}

#[test]
fn words_find_the_car_and_show_it() {
    let machine = tempfile::tempdir().unwrap();
    let mut terminal = start(&machine);
    terminal.wait_for_text("3 embedded, 0 unchanged, 0 failed");
    terminal.press("red convertible\r");
    terminal.wait_for_text("best of 3");
    terminal.wait_for_screen("the best hit, selected", |screen| {
        screen.contents().lines().any(|line| line.contains('▶') && line.contains("car-005.jpg"))
    });
    terminal.wait_for_screen("a picture", |screen| {
        let (rows, columns) = screen.size();
        let (rows, columns) = (rows.get(), columns.get());
        let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let red = |cell: &vt100::Cell| {
            matches!(cell.bgcolor(), vt100::Color::Rgb(r, g, b) if r > 120 && g < 80 && b < 80)
        };
        cells.filter_map(|(row, column)| screen.cell(row, column)).filter(|cell| red(cell)).count() > 5
    });
    terminal.press("?");
    terminal.wait_for_text("pictures like this one");
    terminal.press("?");
    terminal.quit();
    terminal.assert_restored();
}

#[test]
fn a_request_to_end_gives_the_terminal_back() {
    let machine = tempfile::tempdir().unwrap();
    let mut terminal = start(&machine);
    terminal.wait_for_text("3 embedded, 0 unchanged, 0 failed");
    terminal.ask_to_end();
    assert!(terminal.wait_for_exit());
    terminal.assert_restored();
}

#[test]
fn a_request_to_end_is_heard_while_the_terminal_is_asked() {
    let machine = tempfile::tempdir().unwrap();
    // Without answers there is a second between the question and the rest.
    let mut terminal = start_in(&machine, &Answers::NONE);
    terminal.wait_for_output("a question", "\x1b[c");
    terminal.ask_to_end();
    assert!(terminal.wait_for_exit());
    terminal.assert_restored();
}
