//! The program inside the pseudo-terminal: a list, a picture, a popup.

use std::env;
use std::io::{self, Write as _};
use std::time::Instant;

use carlens::ui::graphics::{GraphicsChoice, Picture};
use carlens::ui::terminal::Screen;
use clap::ValueEnum as _;
use crossterm::event::{Event, KeyCode, read};
use image::{DynamicImage, Rgb, RgbImage};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Stylize as _;
use ratatui::widgets::{Block, Clear, List, ListState, Paragraph};

/// Names what [`run`] is to be called for; unset, it does nothing.
pub const VARIABLE: &str = "CARLENS_TEST_PROGRAM";
/// The protocol, as in `--graphics`.
const GRAPHICS: &str = "CARLENS_TEST_GRAPHICS";
/// Pictures to show, separated by colons; unset, a red one.
const PICTURES: &str = "CARLENS_TEST_PICTURES";
/// The colour of the picture.
pub const RED: [u8; 3] = [218, 40, 50];

#[test]
#[ignore = "run by the other tests, inside a pseudo-terminal"]
fn run() {
    if env::var_os(VARIABLE).is_none() {
        return;
    }
    let started = Instant::now();
    let choice = env::var(GRAPHICS).unwrap_or_else(|_| "auto".to_owned());
    let choice = GraphicsChoice::from_str(&choice, true).unwrap();
    let screen = Screen::enter(choice, |_| {}).unwrap();
    let note = format!("entered after {} ms", started.elapsed().as_millis());
    Program { screen, files: files(), selected: 0, popup: false, note, shown: None }.run();
}

fn files() -> Vec<String> {
    let files = env::var(PICTURES).unwrap_or_else(|_| "red".to_owned());
    files.split(':').map(str::to_owned).collect()
}

fn open(file: &str) -> DynamicImage {
    if file == "red" {
        return RgbImage::from_pixel(400, 400, Rgb(RED)).into();
    }
    image::open(file).unwrap()
}

struct Program {
    screen: Screen,
    files: Vec<String>,
    selected: usize,
    popup: bool,
    note: String,
    shown: Option<(usize, Rect, Picture)>,
}

impl Program {
    fn run(mut self) {
        loop {
            self.draw();
            let Event::Key(key) = read().unwrap() else { continue };
            match key.code {
                KeyCode::Char('q') => return,
                KeyCode::Char('j') => self.selected = (self.selected + 1) % self.files.len(),
                KeyCode::Char('?') => self.popup = !self.popup,
                KeyCode::Char('r') => self.screen.repaint().unwrap(),
                KeyCode::Char('z') => self.screen.suspend().unwrap(),
                KeyCode::Char('p') => panic!("the UI panicked"),
                KeyCode::Char('w') => self.lose_worker(),
                KeyCode::Char('e') => write_past_the_screen(),
                _ => {}
            }
        }
    }

    fn lose_worker(&mut self) {
        std::thread::spawn(|| panic!("the worker panicked")).join().unwrap_err();
        "the worker is gone".clone_into(&mut self.note);
    }

    fn draw(&mut self) {
        let size = self.screen.terminal().size().unwrap();
        let area = panes(Rect::new(0, 0, size.width, size.height)).1;
        let wanted = (self.selected, area);
        if self.shown.as_ref().is_none_or(|(n, area, _)| (*n, *area) != wanted) {
            let image = open(&self.files[self.selected]);
            let encoded = self.screen.encoder().map(|encoder| encoder.encode(&image, area.into()));
            self.shown = encoded.and_then(Result::ok).map(|p| (self.selected, area, p));
        }
        let status = format!("{} | {}", self.screen.description(), self.note);
        let Self { screen, files, selected, popup, shown, .. } = self;
        screen
            .draw(|frame| {
                draw_list(frame, files, *selected);
                if let Some((_, area, picture)) = shown {
                    frame.render_widget(&*picture, *area);
                }
                let last = panes(frame.area()).2;
                frame.render_widget(Paragraph::new(status).reversed(), last);
                if *popup {
                    draw_popup(frame);
                }
            })
            .unwrap();
    }
}

/// The list, the picture, the status line.
fn panes(area: Rect) -> (Rect, Rect, Rect) {
    let [middle, status] =
        Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(area);
    let [list, picture] =
        Layout::horizontal([Constraint::Length(20), Constraint::Min(0)]).areas(middle);
    (list, Block::bordered().inner(picture), status)
}

fn draw_list(frame: &mut Frame<'_>, files: &[String], selected: usize) {
    let names = files.iter().map(|file| file.rsplit('/').next().unwrap_or_default());
    let list = List::new(names).block(Block::bordered().title("hits")).highlight_symbol("> ");
    let (area, picture, _) = panes(frame.area());
    let mut state = ListState::default().with_selected(Some(selected));
    frame.render_stateful_widget(list, area, &mut state);
    let border = picture.outer(ratatui::layout::Margin::new(1, 1));
    frame.render_widget(Block::bordered().title("picture"), border);
}

fn draw_popup(frame: &mut Frame<'_>) {
    let area = frame.area().centered(Constraint::Length(24), Constraint::Length(5));
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new("a popup").block(Block::bordered()), area);
}

fn write_past_the_screen() {
    io::stdout().write_all(b"a word for standard output\n").unwrap();
    io::stderr().write_all(b"a word for standard error\r\n").unwrap();
}
