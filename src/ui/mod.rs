//! The terminal application: `message → update → view`, in that order only.
//!
//! The only layer that knows ratatui, crossterm and viuer. [`terminal`] owns
//! the screen and stands on [`graphics`], which turns pictures into what the
//! terminal at hand can show. `update` changes the state and says what must
//! be done; [`run`] does it. Nothing here waits for work.

mod action;
mod gallery;
pub mod graphics;
mod key;
mod keymap;
pub(crate) mod message;
mod notes;
pub(crate) mod query;
mod state;
pub mod terminal;
mod theme;
mod update;
mod view;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event as TerminalEvent, MouseButton, MouseEvent, MouseEventKind};
use futures::{Stream, StreamExt};
use image::DynamicImage;
use ratatui::Frame;
use ratatui::layout::{Position, Size};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

pub use keymap::{Error as KeymapError, Keymap};
pub use message::{Effect, Message};
pub use notes::Notes;
pub use state::{Preferences, State};
pub use theme::{Error as ThemeError, Theme};

use crate::backend::{Backend, Query, RequestId};
use graphics::Encoder;
use message::{Click, Intent, Typed};
use terminal::Screen;

/// How long typing must pause before the words are searched for: longer than
/// between two letters of a word, shorter than one waits.
const TYPING_PAUSE: Duration = Duration::from_millis(200);

/// What the application is drawn on: the terminal, or a test's own.
pub trait Canvas {
    /// Draws one frame.
    ///
    /// # Errors
    /// If the terminal cannot be written to.
    fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<()>;

    /// Its size in cells.
    ///
    /// # Errors
    /// If the terminal does not say.
    fn size(&mut self) -> io::Result<Size>;

    /// Pixels of a cell.
    fn cell(&self) -> (u16, u16);

    /// What makes pictures of cells, if pictures are drawn at all.
    fn encoder(&self) -> Option<Encoder>;

    /// Makes the next frame send everything again.
    ///
    /// # Errors
    /// If the terminal cannot be written to.
    fn repaint(&mut self) -> io::Result<()>;

    /// Whether another terminal may show the screen once it has the focus, so
    /// that everything has to be sent again.
    fn changes_hands(&self) -> bool;

    /// Takes the mouse, or gives it back to the terminal.
    ///
    /// # Errors
    /// If the terminal cannot be written to.
    fn take_mouse(&mut self, take: bool) -> io::Result<()>;

    /// Puts `text` on the clipboard of the terminal.
    ///
    /// # Errors
    /// If the terminal cannot be written to.
    fn copy(&mut self, text: &[u8]) -> io::Result<()>;

    /// Gives the terminal back to the shell until it brings us back.
    ///
    /// # Errors
    /// If the terminal cannot be given back or taken again.
    fn suspend(&mut self) -> io::Result<()>;
}

impl Canvas for Screen {
    fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        Screen::draw(self, view)
    }

    fn size(&mut self) -> io::Result<Size> {
        self.terminal().size()
    }

    fn cell(&self) -> (u16, u16) {
        Screen::cell(self)
    }

    fn encoder(&self) -> Option<Encoder> {
        Screen::encoder(self)
    }

    fn repaint(&mut self) -> io::Result<()> {
        Screen::repaint(self)
    }

    fn changes_hands(&self) -> bool {
        Screen::changes_hands(self)
    }

    fn take_mouse(&mut self, take: bool) -> io::Result<()> {
        Screen::take_mouse(self, take)
    }

    fn copy(&mut self, text: &[u8]) -> io::Result<()> {
        Screen::copy(self, text)
    }

    fn suspend(&mut self) -> io::Result<()> {
        Screen::suspend(self)
    }
}

/// Draws the first frame of an application that has only just begun.
pub fn draw_first(state: &mut State, frame: &mut Frame<'_>) {
    update::update(state, Message::Resized(frame.area().as_size(), (0, 0)));
    view::view(state, frame);
}

/// Shows `state` and lets keys and backend events change it, until the user
/// quits or, once `input` has ended, nothing is awaited any more.
///
/// # Errors
/// If the terminal cannot be drawn to.
pub async fn run(
    canvas: &mut impl Canvas,
    mut input: impl Stream<Item = io::Result<TerminalEvent>> + Unpin,
    backend: &mut Backend,
    state: &mut State,
    notes: &Notes,
) -> io::Result<()> {
    let (done, mut outcomes) = mpsc::channel(8);
    let mut rim = Rim { canvas, backend, done, awaited: 0, notes, pause: None };
    let mut listening = true;
    let (size, cell) = (rim.canvas.size()?, rim.canvas.cell());
    let mut effects = update::update(state, Message::Resized(size, cell));
    effects.extend(update::start(state));
    loop {
        for effect in effects {
            if rim.carry_out(effect).await? == Flow::Quit {
                return Ok(());
            }
        }
        rim.canvas.draw(|frame| view::view(state, frame))?;
        let waiting = listening || state.is_waiting() || rim.awaited > 0;
        let pause = rim.pause;
        let message = tokio::select! {
            // Keys first: they are what is felt.
            biased;
            event = input.next(), if listening => if let Some(event) = event {
                rim.message_of(event?)?
            } else {
                listening = false;
                None
            },
            Some(outcome) = outcomes.recv(), if waiting => {
                rim.awaited -= 1;
                Some(outcome)
            }
            event = rim.backend.next_event(), if waiting => event.map(Message::Backend),
            () = until(pause), if pause.is_some() => {
                rim.pause.take().map(|(_, edit)| Message::TypingPaused(edit))
            }
            else => return Ok(()),
        };
        effects = message.map_or_else(Vec::new, |message| update::update(state, message));
    }
}

async fn until(pause: Option<(Instant, u64)>) {
    match pause {
        Some((at, _)) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn mouse(event: MouseEvent) -> Option<Message> {
    let click = match event.kind {
        MouseEventKind::Down(MouseButton::Left) => Click::Press,
        MouseEventKind::ScrollUp => Click::WheelUp,
        MouseEventKind::ScrollDown => Click::WheelDown,
        _ => return None,
    };
    Some(Message::Mouse(click, Position::new(event.column, event.row)))
}

#[derive(PartialEq, Eq)]
enum Flow {
    Go,
    Quit,
}

/// Everything that is done rather than thought.
struct Rim<'a, C> {
    canvas: &'a mut C,
    backend: &'a mut Backend,
    /// Where what was done on a thread is told.
    done: mpsc::Sender<Message>,
    /// How much is still to be told there.
    awaited: usize,
    notes: &'a Notes,
    /// When a pause in typing has lasted long enough, and since which edit.
    pause: Option<(Instant, u64)>,
}

impl<C: Canvas> Rim<'_, C> {
    fn message_of(&mut self, event: TerminalEvent) -> io::Result<Option<Message>> {
        Ok(match event {
            TerminalEvent::Key(key) if !key.is_release() => Some(Message::Key(key.into())),
            TerminalEvent::Paste(text) => Some(Message::Paste(text)),
            TerminalEvent::Mouse(event) => mouse(event),
            TerminalEvent::Resize(width, height) => {
                Some(Message::Resized(Size::new(width, height), self.canvas.cell()))
            }
            TerminalEvent::FocusGained if self.canvas.changes_hands() => {
                self.canvas.repaint()?;
                None
            }
            _ => None,
        })
    }

    async fn carry_out(&mut self, effect: Effect) -> io::Result<Flow> {
        match effect {
            Effect::Send(request) => self.backend.send(request).await,
            Effect::Understand(intent, typed) => {
                self.on_a_thread(move || Message::Understood(intent, understand(intent, &typed)));
            }
            Effect::AwaitPause(edit) => self.pause = Some((Instant::now() + TYPING_PAUSE, edit)),
            Effect::Encode(id, picture, area) => self.encode(id, picture, area),
            Effect::RememberOffer => self.notes.remember_offer(),
            Effect::RememberQuery(query) => self.notes.remember_query(&query),
            Effect::FindFolder(folder) => self.on_a_thread(move || {
                let found = folder.is_dir();
                Message::FolderFound(folder, found)
            }),
            Effect::Open(path) => self.on_a_thread(move || {
                let opened = open::that_detached(&path).map_err(|error| not_opened(&error));
                Message::Opened(path, opened)
            }),
            Effect::Copy(text) => self.canvas.copy(&text)?,
            Effect::TakeMouse(take) => self.canvas.take_mouse(take)?,
            Effect::Repaint => self.canvas.repaint()?,
            Effect::Suspend => {
                self.canvas.suspend()?;
                let (size, cell) = (self.canvas.size()?, self.canvas.cell());
                self.tell([Message::Resumed, Message::Resized(size, cell)]);
            }
            Effect::Quit => return Ok(Flow::Quit),
        }
        Ok(Flow::Go)
    }

    /// Files may lie on a disk at the other end of a network.
    fn on_a_thread(&mut self, work: impl FnOnce() -> Message + Send + 'static) {
        let done = self.done.clone();
        self.awaited += 1;
        spawn_blocking(move || {
            // The application may have been left meanwhile.
            let _ = done.blocking_send(work());
        });
    }

    fn tell(&mut self, messages: impl IntoIterator<Item = Message>) {
        for message in messages {
            self.on_a_thread(|| message);
        }
    }

    /// Sixels take a tenth of a second.
    fn encode(&mut self, id: RequestId, picture: Arc<DynamicImage>, area: Size) {
        let encoder = self.canvas.encoder();
        self.on_a_thread(move || {
            let picture = match encoder {
                Some(encoder) => encoder.encode(&picture, area).map_err(|e| e.to_string()),
                None => Err("pictures are switched off (--graphics)".into()),
            };
            Message::Encoded(id, picture)
        });
    }
}

/// What `typed` means. While it is still being typed, only what is there
/// already counts as a picture.
fn understand(intent: Intent, typed: &str) -> Option<Typed> {
    let home = std::env::home_dir();
    let typed = query::parse(typed, Path::is_file, Path::is_dir, home.as_deref())?;
    match (intent, &typed) {
        (Intent::Preview, Typed::Query(Query::Address(_))) => None,
        (Intent::Preview, Typed::Query(Query::Picture(path))) if !path.is_file() => None,
        _ => Some(typed),
    }
}

/// Why a viewer did not open a picture, without the words of the language.
fn not_opened(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "none is installed".into(),
        io::ErrorKind::Other => "it ended with an error".into(),
        _ => error.to_string(),
    }
}
