//! Pictures inside a pane of the terminal, drawn by viuer.
//!
//! viuer prints: it asks the terminal what it can do, writes to standard
//! output where the cursor is, and never clears. Inside a ratatui screen none
//! of that may happen, so viuer serves as the *encoder*. Its questions are
//! answered once by `prime`, its output is taken from file descriptor 1 by
//! `capture`, mended by `kitty` and `blocks`, and put into ratatui's cells by
//! [`Picture`], so that ratatui's own diff decides when it is sent and when it
//! is painted over. `placements` remembers what the terminal holds.
//!
//! Which protocol is used is decided in `protocol` from what
//! [`terminal`](super::terminal) found out; nothing here talks to the terminal.

mod blocks;
mod capture;
mod diacritics;
#[cfg(unix)]
mod diversion;
mod encoder;
mod kitty;
mod picture;
mod placements;
mod prime;
mod protocol;
mod resample;
mod size;
mod tmux;

pub use encoder::{Encoder, Error};
pub use picture::Picture;
pub use protocol::{GraphicsChoice, Protocol};

pub(super) use capture::Capture;
#[cfg(unix)]
pub(super) use diversion::{Diversion, Stream, scratch_file};
pub(super) use encoder::Settings;
pub(super) use placements::Placements;
pub(super) use prime::{Primed, prime};
pub(super) use protocol::{Capabilities, choose};
pub(super) use size::CellSize;
pub(super) use tmux::wrap;
