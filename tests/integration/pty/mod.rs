//! The screen and its pictures in a pseudo-terminal whose other end answers
//! like a terminal of one kind or another.
//!
//! What runs inside is this very test binary, told to run [`program`] alone.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the message")]

mod application;
mod fake_terminal;
mod program;

use std::time::Duration;

use base64::Engine as _;

use fake_terminal::{Answers, FakeTerminal};

/// The middle of the picture on the screen of [`program`], by row and column.
const MIDDLE: (u16, u16) = (12, 40);

fn red() -> vt100::Color {
    let [red, green, blue] = program::RED;
    vt100::Color::Rgb(red, green, blue)
}

fn middle(screen: &vt100::Screen) -> vt100::Color {
    screen.cell(MIDDLE.0, MIDDLE.1).map_or(vt100::Color::Default, vt100::Cell::bgcolor)
}

#[test]
fn without_graphics_the_picture_is_made_of_half_blocks() {
    let mut terminal = FakeTerminal::start(&Answers::PLAIN);
    terminal.wait_for_screen("a red cell", |screen| middle(screen) == red());
    terminal.wait_for_text("half-blocks, cell 8x16");
    terminal.quit();
}

#[test]
fn a_terminal_with_256_colours_gets_no_others() {
    let answers = Answers { truecolor: "", ..Answers::PLAIN };
    let mut terminal = FakeTerminal::start(&answers);
    // 9 is bright red in the palette nearest to the picture's.
    terminal.wait_for_screen("an indexed colour", |screen| {
        matches!(middle(screen), vt100::Color::Idx(_))
    });
    terminal.quit();
}

#[test]
fn a_sixel_terminal_gets_sixels_of_its_own_cells() {
    let mut terminal = FakeTerminal::start(&Answers { attributes: "62;4;22", ..Answers::PLAIN });
    // 40 x 20 cells of 8 x 16 px hold 320 x 320 px; the picture is square, and
    // viuer counts in 6 x 12.
    terminal.wait_for_output("a sixel picture", "\"1;1;312;312");
    terminal.wait_for_output("its end", "\x1b\\\x1b8");
    terminal.quit();
}

#[test]
fn an_old_kitty_deletes_a_picture_that_leaves_and_is_sent_it_again() {
    let mut terminal = FakeTerminal::start(&Answers { version: "kitty(0.26.5)", ..Answers::KITTY });
    terminal.wait_for_output("a placement", "\x1b_Ga=p,i=");
    terminal.press("?");
    terminal.wait_for_text("a popup");
    terminal.wait_for_output("the picture leaving", "\x1b_Ga=d,d=I,i=");
    terminal.press("?");
    terminal.wait_for_outputs("the picture's return", "\x1b_Ga=p,i=", 2);
    let output = terminal.quit();
    assert_eq!(output.matches("a=t,i=").count(), 2, "sent once for every time it shows");
    assert!(output.contains("q=2"));
    let at = |command| output.match_indices(command).map(|(at, _)| at).collect::<Vec<_>>();
    let (sent, placed, deleted) = (at("a=t,i="), at("\x1b_Ga=p,i="), at("\x1b_Ga=d,d=I,i="));
    let in_order = [sent[0], placed[0], deleted[0], sent[1], placed[1], *deleted.last().unwrap()];
    assert!(in_order.is_sorted(), "{in_order:?}");
    assert!(*deleted.last().unwrap() < output.rfind("\x1b[?1049l").expect("an end"));
}

#[test]
fn kitty_gets_the_pixels_of_the_picture() {
    let mut terminal = FakeTerminal::start(&Answers::KITTY);
    terminal.wait_for_screen("a placeholder", |screen| {
        screen
            .cell(MIDDLE.0, MIDDLE.1)
            .is_some_and(|cell| cell.contents().starts_with('\u{10eeee}'))
    });
    let output = terminal.quit();
    let start = output.find("\x1b_Ga=T,U=1,i=").expect("a transmission");
    let end = output.find("\u{10eeee}").expect("a placeholder");
    assert!(start < end, "kitty has the picture before the cells that show it");
    let first = &output[start..start + output[start..].find("\x1b\\").expect("an end")];
    let payload = first.split_once(';').expect("a payload").1;
    let png = base64::engine::general_purpose::STANDARD.decode(payload).expect("base64");
    let picture = image::load_from_memory(&png).expect("a picture").into_rgb8();
    assert_eq!(picture.get_pixel(0, 0).0, program::RED);
}

#[test]
fn answers_in_pieces_are_understood() {
    let answers = Answers { pause: Some(Duration::from_millis(50)), ..Answers::KITTY };
    let mut terminal = FakeTerminal::start(&answers);
    terminal.wait_for_text("kitty, cell 8x16");
    terminal.quit();
}

#[test]
fn tmux_sees_no_question_it_would_misread() {
    let mut terminal = FakeTerminal::start(&Answers { version: "tmux 3.5a", ..Answers::PLAIN });
    terminal.wait_for_text("half-blocks via tmux, cell 8x16");
    let output = terminal.quit();
    assert!(output.contains("\x1bPtmux;\x1b\x1b_Gi=31,"));
    // Unwrapped, the one would become a window title and the other a picture.
    assert!(!output.contains("AAAA\x1b\\"));
    assert!(!output.contains("\x1bP$q"));
}

#[test]
fn a_terminal_that_never_answers_costs_a_second() {
    let mut terminal = FakeTerminal::start(&Answers::NONE);
    terminal.wait_for_text("entered after");
    terminal.wait_for_screen("some colour", |screen| middle(screen) != vt100::Color::Default);
    let text = terminal.screen_text();
    let after = text.split("entered after ").nth(1).and_then(|rest| rest.split(' ').next());
    let milliseconds: u64 = after.expect("a time").parse().expect("a number");
    assert!((1000..2000).contains(&milliseconds), "{milliseconds} ms");
    terminal.quit();
}

#[test]
fn the_terminal_is_given_back() {
    let mut terminal = FakeTerminal::start(&Answers::PLAIN);
    terminal.wait_for_text("entered after");
    terminal.press("e");
    terminal.quit();
    terminal.assert_restored();
    let text = terminal.screen_text();
    assert!(text.contains("a word for standard error"), "{text}");
    assert!(!text.contains("a word for standard output"), "{text}");
}

#[test]
fn a_panic_gives_the_terminal_back_and_is_readable() {
    let mut terminal = FakeTerminal::start(&Answers::KITTY);
    terminal.wait_for_output("a picture", "\u{10eeee}");
    terminal.press("p");
    assert!(!terminal.wait_for_exit());
    terminal.assert_restored();
    assert!(terminal.screen_text().contains("the UI panicked"), "{}", terminal.screen_text());
    assert!(terminal.output().contains("\x1b_Ga=d,d=I,i="));
}

#[test]
fn a_panic_of_another_thread_leaves_the_screen_alone() {
    let mut terminal = FakeTerminal::start(&Answers::PLAIN);
    terminal.wait_for_screen("a red cell", |screen| middle(screen) == red());
    terminal.press("w");
    terminal.wait_for_text("the worker is gone");
    assert!(!terminal.screen_text().contains("the worker panicked"));
    terminal.quit();
    assert!(terminal.screen_text().contains("the worker panicked"));
}

#[test]
fn a_suspended_screen_comes_back_with_its_picture() {
    let mut terminal = FakeTerminal::start(&Answers::KITTY);
    terminal.wait_for_output("a picture", "\x1b_Ga=T,U=1,i=");
    // The program is alone in its session, so that nobody could continue it
    // and the system does not stop it.
    terminal.press("z");
    terminal.wait_for_output("the screen being left", "\x1b[?1049l");
    terminal.wait_for_outputs("the screen's return", "\x1b[?1049h", 2);
    terminal.wait_for_outputs("the picture's return", "\x1b_Ga=T,U=1,i=", 2);
    terminal.quit();
    terminal.assert_restored();
}

#[test]
fn a_job_stops_and_continues_as_often_as_asked() {
    let mut terminal = FakeTerminal::start_from_shell(&Answers::PLAIN);
    for times in 1..=2 {
        terminal.wait_for_screen("a red cell", |screen| middle(screen) == red());
        terminal.press("z");
        terminal.wait_for_outputs("the shell", "Stopped", times);
        terminal.assert_restored();
        terminal.press("fg\r");
    }
    terminal.wait_for_screen("a red cell", |screen| middle(screen) == red());
    terminal.press("q");
    terminal.wait_for_text("1 passed");
    terminal.press("exit\r");
    terminal.wait_for_exit();
}
