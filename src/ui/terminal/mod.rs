//! The terminal: asks what it is, takes its screen over and gives it back.
//!
//! [`Screen`] is the whole of it for others. `probe` asks, `replies` reads the
//! answers, `session` is everything that must be undone, also by a panic, and
//! [`Tty`] is the only way to the terminal while standard output is captured.

mod ask;
mod cells;
mod end_request;
mod environment;
mod errors;
mod input;
mod passthrough;
mod probe;
pub(crate) mod replies;
mod screen;
mod session;
mod stop;
mod tty;
pub(crate) mod typed;

pub use end_request::EndRequest;
pub use screen::{Error, Screen};
pub use tty::Tty;
