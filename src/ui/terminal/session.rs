//! Everything a screen changes about the terminal and the process, and how it
//! is undone: at the end, by Ctrl-Z, or from the panic hook.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, panic, thread};

use crossterm::cursor::{Hide, Show};
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste,
    EnableFocusChange,
};
use crossterm::queue;
use crossterm::style::ResetColor;
use crossterm::terminal::{
    Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};

use super::Tty;
use super::errors::Errors;
use super::passthrough::Passthrough;
use crate::ui::graphics::{Capture, CellSize, Encoder, Placements, Settings};

/// Shared by the screen and the panic hook; ends when dropped.
#[derive(Debug)]
pub struct Session {
    /// The way to the terminal.
    pub tty: Tty,
    /// The pictures to delete.
    pub placements: Arc<Placements>,
    /// Standard output, to be given back.
    capture: Option<Arc<Capture>>,
    /// Standard error, to be given back.
    errors: Mutex<Option<Errors>>,
    /// tmux's option, to be set back.
    pub passthrough: Option<Passthrough>,
    over: AtomicBool,
}

impl Session {
    /// Takes the screen over.
    pub fn begin(tty: Tty) -> io::Result<Self> {
        let session = Self {
            tty,
            placements: Arc::default(),
            capture: None,
            errors: Mutex::default(),
            passthrough: None,
            over: AtomicBool::new(false),
        };
        session.enter()?;
        Ok(session)
    }

    /// Takes standard output and error out of the way, and remembers what was
    /// learnt of tmux.
    pub fn divert(&mut self, tmux: bool, passthrough: Option<Passthrough>) -> io::Result<()> {
        self.passthrough = passthrough;
        self.placements = Arc::new(Placements::new(tmux));
        // Without it there are no pictures, and that is all.
        self.capture = Capture::begin().ok().map(Arc::new);
        self.errors = Mutex::new(Errors::hold()?);
        Ok(())
    }

    /// An encoder on the diverted output, if there is one.
    pub fn encoder(&self, settings: Settings, cell: CellSize) -> Option<Encoder> {
        let capture = Arc::clone(self.capture.as_ref()?);
        Some(Encoder::new(settings, cell, capture, Arc::clone(&self.placements)))
    }

    /// Raw mode and the alternate screen.
    pub fn enter(&self) -> io::Result<()> {
        enable_raw_mode()?;
        let mut bytes = Vec::new();
        queue!(
            bytes,
            EnterAlternateScreen,
            EnableBracketedPaste,
            EnableFocusChange,
            Hide,
            Clear(ClearType::All)
        )?;
        self.tty.set_ours(true);
        self.tty.write_now(&bytes)
    }

    /// Undoes [`Session::enter`] and all that may have been enabled since. As
    /// much as can be: there is no second try.
    pub fn leave(&self) {
        self.tty.set_ours(false);
        let _ = self.tty.write_now(&farewell(&self.placements.clear()));
        let _ = disable_raw_mode();
    }

    /// Gives everything back; a second time, does nothing.
    pub fn end(&self) {
        if self.over.swap(true, Ordering::Relaxed) {
            return;
        }
        self.leave();
        if let Some(capture) = &self.capture {
            capture.end();
        }
        if let Some(passthrough) = &self.passthrough {
            passthrough.restore();
        }
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner).take();
        // If even this cannot be written, there is nowhere left to say so.
        let _ = errors.map(Errors::release);
    }

    /// Ends the session before a panic of this thread is reported. Panics of
    /// other threads leave the screen alone; their message waits in
    /// [`Errors`].
    pub fn end_on_panic(self: &Arc<Self>) {
        let session = Arc::clone(self);
        let ours = thread::current().id();
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if thread::current().id() == ours {
                session.end();
            }
            report(panic);
        }));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end();
    }
}

/// What restores the screen, with the `parting` words that delete pictures.
fn farewell(parting: &str) -> Vec<u8> {
    // A frame may have been cut short within a sequence; this ends it.
    let mut bytes = b"\x1b\\".to_vec();
    // Writing to a vector cannot fail.
    let _ = queue!(bytes, EndSynchronizedUpdate);
    bytes.extend_from_slice(parting.as_bytes());
    let _ = queue!(
        bytes,
        DisableMouseCapture,
        DisableFocusChange,
        DisableBracketedPaste,
        ResetColor,
        // First, as tmux would keep parts of it, and a terminal without an
        // alternate screen all.
        Clear(ClearType::All),
        LeaveAlternateScreen,
        Show
    );
    bytes
}
