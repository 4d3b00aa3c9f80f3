//! The screen a UI draws on.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{Event, EventStream, KeyEvent};
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate, size};
use crossterm::{execute, queue};
use futures::{Stream, StreamExt as _, stream};
use ratatui::backend::{Backend as _, CrosstermBackend};
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal};

use super::Tty;
use super::cells::Cells;
use super::environment::Environment;
use super::input;
use super::passthrough::Passthrough;
use super::probe::Probe;
use super::session::Session;
use super::stop::stop;
use super::typed::{self, LateAnswers};
use crate::ui::graphics::{
    Encoder, GraphicsChoice, Primed, Protocol, Settings, choose, prime, wrap,
};

/// An answer that has not come by then is not coming any more.
const LATEST_ANSWER: Duration = Duration::from_secs(10);

/// Why there is no screen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Standard input or output is a pipe or a file.
    #[error("standard input and output must both be a terminal")]
    NotATerminal,
    /// The terminal refused.
    #[error("the terminal could not be set up")]
    Setup(#[from] io::Error),
}

/// The terminal, taken over: raw mode, alternate screen, bracketed paste, and
/// standard output and error out of the way.
///
/// Everything is given back when it is dropped, and by a panic of the thread
/// that entered it, before the panic is reported. A panic of another thread
/// leaves the screen alone; its message, like all else written to standard
/// error, is printed once the screen is gone. Signals are up to the owner:
/// on an [`EndRequest`](super::EndRequest), leave the event loop and drop the
/// screen.
///
/// While it lives, nothing written to [`io::stdout`] arrives. What is to reach
/// the terminal goes through [`Screen::draw`] or the backend of
/// [`Screen::terminal`].
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Tty>>,
    session: Arc<Session>,
    encoder: Option<Encoder>,
    cells: Cells,
    size: (u16, u16),
    typed: Vec<KeyEvent>,
    late: LateAnswers,
}

impl Screen {
    /// Takes the terminal over, draws a `first` frame on it, and finds out how
    /// it shows pictures, which takes some milliseconds, or a second if it
    /// never answers.
    ///
    /// To be called on the thread that will draw, before any other thread and
    /// any reader of standard input exist.
    ///
    /// # Errors
    ///
    /// [`Error::NotATerminal`], or what the terminal refused; it is then as it
    /// was before.
    pub fn enter(
        choice: GraphicsChoice,
        first: impl FnOnce(&mut Frame<'_>),
    ) -> Result<Self, Error> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(Error::NotATerminal);
        }
        // NO_COLOR is for themes; crossterm's idea of it breaks the colours
        // pictures are made of, and reversed text too.
        crossterm::style::force_color_output(true);
        let environment = Environment::read();
        input::reopen();
        let primed = if must_ask(choice) { prime() } else { Primed::default() };
        let mut tty = Tty::open()?;
        let mut session = Session::begin(tty.clone())?;
        let mut terminal = blank(tty.clone())?;
        terminal.draw(first)?;
        let probe = if must_ask(choice) {
            Probe::asked(&environment, &mut tty)?
        } else {
            Probe::unasked(&environment)
        };
        session.divert(probe.capabilities.tmux, probe.passthrough)?;
        let cells = Cells::new(probe.cell);
        let settings = choose(choice, &probe.capabilities, primed).map(|protocol| Settings {
            protocol,
            truecolor: probe.truecolor,
            tmux: probe.capabilities.tmux,
            remote: environment.remote,
        });
        let encoder = settings.and_then(|settings| session.encoder(settings, cells.now()));
        let session = Arc::new(session);
        session.end_on_panic();
        let late = if probe.late { LateAnswers::Awaited } else { LateAnswers::None };
        let typed = typed::keys(&probe.typed);
        let mut screen = Self { terminal, session, encoder, cells, size: size()?, typed, late };
        if must_ask(choice) {
            // Some terminals print the questions they do not understand.
            screen.repaint()?;
        }
        Ok(screen)
    }

    /// What happens from now on; first, the keys that were pressed while the
    /// terminal was asked. A reader of its own would steal from this one.
    pub fn events(&mut self) -> impl Stream<Item = io::Result<Event>> + Unpin + use<> {
        let (mut late, hope_until) = (self.late, Instant::now() + LATEST_ANSWER);
        let typed = std::mem::take(&mut self.typed).into_iter().map(|key| Ok(Event::Key(key)));
        let coming = EventStream::new().filter(move |event| {
            if Instant::now() > hope_until {
                late = LateAnswers::None;
            }
            let answer = event.as_ref().is_ok_and(|event| late.swallow(event));
            futures::future::ready(!answer)
        });
        stream::iter(typed).chain(coming)
    }

    /// Pixels of a cell, across and down; what is encoded from now on is for
    /// these.
    #[must_use]
    pub fn cell(&self) -> (u16, u16) {
        let cell = self.cells.now();
        if let Some(encoder) = &self.encoder {
            encoder.set_cell(cell);
        }
        (cell.width, cell.height)
    }

    /// Whether the terminal may lose what it shows, or another one show it
    /// instead, without a word: tmux can be attached elsewhere, and `iTerm2`
    /// forgets pictures in tabs it does not show.
    #[must_use]
    pub fn changes_hands(&self) -> bool {
        let protocol = self.encoder.as_ref().map(Encoder::protocol);
        self.session.passthrough.is_some() || protocol == Some(Protocol::Iterm)
    }

    /// Reports clicks and the wheel, or leaves the mouse to the terminal. Not
    /// its movements, which over a network would come in crowds.
    ///
    /// # Errors
    ///
    /// If the terminal is gone.
    pub fn take_mouse(&mut self, take: bool) -> io::Result<()> {
        let sequence = if take { "\x1b[?1000h\x1b[?1006h" } else { "\x1b[?1006l\x1b[?1000l" };
        self.session.tty.write_now(sequence.as_bytes())
    }

    /// Puts `text` on the clipboard of whoever sits in front of the terminal,
    /// by OSC 52: also over ssh and through tmux, where they allow it.
    ///
    /// # Errors
    ///
    /// If the terminal is gone.
    pub fn copy(&mut self, text: &[u8]) -> io::Result<()> {
        let mut sequence = String::new();
        let copy = CopyToClipboard::to_clipboard_from(text);
        // Writing to a String cannot fail.
        let _ = crossterm::Command::write_ansi(&copy, &mut sequence);
        if self.session.passthrough.is_some() {
            // tmux keeps the plain one to itself, unless told otherwise.
            sequence += &wrap(&sequence);
        }
        self.session.tty.write_now(sequence.as_bytes())
    }

    /// Encodes pictures for this screen; `None` if it shows none.
    #[must_use]
    pub fn encoder(&self) -> Option<Encoder> {
        self.encoder.clone()
    }

    /// How pictures are shown, for people: `kitty via tmux, cell 8x17`.
    #[must_use]
    pub fn description(&self) -> String {
        let Some(encoder) = &self.encoder else { return "off".to_owned() };
        let (protocol, cell) = (encoder.protocol(), self.cells.now());
        let way = if self.session.passthrough.is_some() { " via tmux" } else { "" };
        let hint = match (protocol, &self.session.passthrough) {
            (Protocol::Blocks, Some(Passthrough::Unknown)) => {
                " (tmux's option allow-passthrough may show more)"
            }
            _ => "",
        };
        format!("{protocol}{way}, cell {}x{}{hint}", cell.width, cell.height)
    }

    /// Draws a frame, which reaches the terminal in one piece: cells that
    /// changed, and the end of pictures no longer rendered. New pictures go
    /// ahead of it, as nothing shows them yet, and kitty 0.26 now and then
    /// loses a command out of so large an update.
    ///
    /// # Errors
    ///
    /// If the terminal is gone.
    pub fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.notice_resize()?;
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        let (session, mut tty) = (&self.session, self.session.tty.clone());
        let mut removals = String::new();
        self.terminal.try_draw(|frame| {
            view(frame);
            let settled = session.placements.settle(frame.buffer_mut());
            removals = settled.removals;
            if settled.transmissions.is_empty() {
                return Ok(());
            }
            queue!(tty, EndSynchronizedUpdate)?;
            tty.write_all(settled.transmissions.as_bytes())?;
            queue!(tty, BeginSynchronizedUpdate)
        })?;
        let backend = self.terminal.backend_mut();
        backend.write_all(removals.as_bytes())?;
        execute!(backend, EndSynchronizedUpdate)
    }

    /// ratatui's terminal. [`Terminal::draw`] knows nothing of pictures, and
    /// [`Terminal::clear`] asks where the cursor is, which a reader of events
    /// never lets it know: use [`Screen::draw`] and [`Screen::repaint`].
    pub fn terminal(&mut self) -> &mut Terminal<CrosstermBackend<Tty>> {
        &mut self.terminal
    }

    /// Makes the next frame send everything again, for a terminal that may
    /// have lost it: another one attached to tmux, say.
    ///
    /// # Errors
    ///
    /// If the terminal is gone.
    pub fn repaint(&mut self) -> io::Result<()> {
        self.session.placements.forget();
        let (width, height) = self.size;
        self.terminal.resize(Rect::new(0, 0, width, height))
    }

    /// Gives the terminal back, stops the program as Ctrl-Z does, and takes
    /// the terminal again when it is continued. The next frame shows all.
    ///
    /// # Errors
    ///
    /// If the terminal is gone.
    pub fn suspend(&mut self) -> io::Result<()> {
        self.session.leave();
        stop()?;
        self.session.enter()?;
        if self.session.passthrough.as_ref().is_some_and(Passthrough::drops_while_redrawing) {
            // Long enough for tmux to redraw the pane, and there is nothing
            // to wait for.
            thread::sleep(Duration::from_millis(100));
        }
        self.repaint()
    }

    /// A resized terminal is cleared before the next frame, and kitty then
    /// drops the pictures on it.
    fn notice_resize(&mut self) -> io::Result<()> {
        let now = size()?;
        if now != self.size {
            self.size = now;
            self.session.placements.forget();
        }
        if let Some(encoder) = &self.encoder {
            encoder.set_cell(self.cells.now());
        }
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Not left to the session, as the panic hook keeps that alive.
        self.session.end();
    }
}

/// ratatui's terminal on a screen it knows to be blank.
fn blank(tty: Tty) -> io::Result<Terminal<CrosstermBackend<Tty>>> {
    let mut backend = CrosstermBackend::new(tty);
    backend.clear()?;
    Terminal::new(backend)
}

/// Whether the answer depends on the terminal.
fn must_ask(choice: GraphicsChoice) -> bool {
    !matches!(choice, GraphicsChoice::Blocks | GraphicsChoice::Off)
}
