//! The terminal application: `message → update → view`, in that order only.
//!
//! The only layer that knows ratatui, crossterm and viuer. [`terminal`] owns
//! the screen and stands on [`graphics`], which turns pictures into what the
//! terminal at hand can show. `update` changes the state and says what must
//! be done; [`run`] does it. Nothing here waits for work.

pub mod graphics;
mod keymap;
mod message;
mod query;
mod state;
pub mod terminal;
mod update;
mod view;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossterm::event::Event as TerminalEvent;
use futures::{Stream, StreamExt};
use image::DynamicImage;
use ratatui::Frame;
use ratatui::layout::Size;
use tokio::sync::mpsc;

pub use message::{Effect, Message};
pub use state::State;

use crate::backend::{Backend, RequestId};
use graphics::{Encoder, Picture};
use terminal::Screen;

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

    /// What makes pictures of cells, if pictures are drawn at all.
    fn encoder(&self) -> Option<Encoder>;

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

    fn encoder(&self) -> Option<Encoder> {
        Screen::encoder(self)
    }

    fn suspend(&mut self) -> io::Result<()> {
        Screen::suspend(self)
    }
}

/// Where the application keeps a note that the download was offered.
#[derive(Clone, Debug)]
pub struct OfferNote(pub PathBuf);

impl OfferNote {
    /// Whether the note is there.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.0.exists()
    }

    /// An offer made twice is better than a program that does not start, so a
    /// note that cannot be written is only logged.
    fn write(&self) {
        let folder = self.0.parent().map_or(Ok(()), std::fs::create_dir_all);
        if let Err(error) = folder.and_then(|()| std::fs::write(&self.0, "")) {
            tracing::warn!(%error, "cannot note that the download was offered");
        }
    }
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
    note: &OfferNote,
) -> io::Result<()> {
    let (encoded, mut pictures) = mpsc::channel(8);
    let mut rim = Rim { canvas, backend, encoded, note };
    let mut listening = true;
    let mut effects = update::update(state, Message::Resized(rim.canvas.size()?));
    effects.extend(update::start(state));
    loop {
        for effect in effects {
            if rim.carry_out(effect, state).await? == Flow::Quit {
                return Ok(());
            }
        }
        rim.canvas.draw(|frame| view::view(state, frame))?;
        let message = tokio::select! {
            event = input.next(), if listening => if let Some(event) = event {
                message_of(&event?, state)
            } else {
                listening = false;
                None
            },
            event = rim.backend.next_event(), if listening || state.is_waiting() => {
                event.map(Message::Backend)
            }
            Some((id, picture)) = pictures.recv(), if listening || state.is_waiting() => {
                Some(Message::Encoded(id, picture))
            }
            else => return Ok(()),
        };
        effects = message.map_or_else(Vec::new, |message| update::update(state, message));
    }
}

fn message_of(event: &TerminalEvent, state: &State) -> Option<Message> {
    match event {
        TerminalEvent::Key(key) if !key.is_release() => keymap::message_for(*key, state),
        TerminalEvent::Paste(text) => Some(Message::Paste(text.clone())),
        TerminalEvent::Resize(width, height) => Some(Message::Resized(Size::new(*width, *height))),
        _ => None,
    }
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
    encoded: mpsc::Sender<(RequestId, Result<Picture, String>)>,
    note: &'a OfferNote,
}

impl<C: Canvas> Rim<'_, C> {
    async fn carry_out(&mut self, effect: Effect, state: &mut State) -> io::Result<Flow> {
        let mut next = Some(effect);
        while let Some(effect) = next.take() {
            match effect {
                Effect::Send(request) => self.backend.send(request).await,
                Effect::Understand(typed) => {
                    let home = std::env::home_dir();
                    let query = query::parse(&typed, Path::is_file, home.as_deref());
                    for effect in update::update(state, Message::Understood(query)) {
                        next = Some(effect);
                    }
                }
                Effect::Encode(id, picture, area) => self.encode(id, picture, area),
                Effect::RememberOffer => self.note.write(),
                Effect::LoadIfThere(folder) => {
                    next = if folder.is_dir() {
                        Some(update::load(state, folder))
                    } else {
                        update::skip_folder(state)
                    };
                }
                Effect::Suspend => {
                    self.canvas.suspend()?;
                    let size = self.canvas.size()?;
                    next = update::update(state, Message::Resized(size)).pop();
                }
                Effect::Quit => return Ok(Flow::Quit),
            }
        }
        Ok(Flow::Go)
    }

    /// On a blocking thread: sixels take a tenth of a second.
    fn encode(&self, id: RequestId, picture: Arc<DynamicImage>, area: Size) {
        let (encoder, encoded) = (self.canvas.encoder(), self.encoded.clone());
        tokio::task::spawn_blocking(move || {
            let picture = match encoder {
                Some(encoder) => encoder.encode(&picture, area).map_err(|e| e.to_string()),
                None => Err("pictures are switched off (--graphics)".into()),
            };
            // The application may have been left meanwhile.
            let _ = encoded.blocking_send((id, picture));
        });
    }
}
