//! The terminal application.
//!
//! The only layer that knows ratatui, crossterm and viuer. [`terminal`] owns
//! the screen and stands on [`graphics`], which turns pictures into what the
//! terminal at hand can show.

pub mod graphics;
pub mod terminal;
