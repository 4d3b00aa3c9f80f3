//! Keeps what is written to standard error until the screen is gone.
//!
//! A C library's warning, or the message of a panic in a task, would tear the
//! screen; lost it must not be either.

#[cfg(unix)]
pub use unix::Errors;

#[cfg(not(unix))]
pub use elsewhere::Errors;

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io::{self, IsTerminal as _, Read as _, Seek as _, SeekFrom, Write as _};

    use crate::ui::graphics::{Diversion, Stream, scratch_file};

    /// More than a screenful of it helps nobody.
    const SHOWN: u64 = 16 * 1024;

    /// Standard error, diverted into a file.
    #[derive(Debug)]
    pub struct Errors {
        diversion: Diversion,
        file: File,
    }

    impl Errors {
        /// Diverts standard error, unless it goes somewhere else than the
        /// terminal already.
        pub fn hold() -> io::Result<Option<Self>> {
            if !io::stderr().is_terminal() {
                return Ok(None);
            }
            let file = scratch_file()?;
            let diversion = Diversion::begin(Stream::Error, &file)?;
            Ok(Some(Self { diversion, file }))
        }

        /// Gives standard error back and prints the end of what it was told.
        pub fn release(self) -> io::Result<()> {
            let Self { diversion, mut file } = self;
            drop(diversion);
            let length = file.seek(SeekFrom::End(0))?;
            file.seek(SeekFrom::Start(length.saturating_sub(SHOWN)))?;
            let mut told = Vec::new();
            file.read_to_end(&mut told)?;
            io::stderr().write_all(&told)
        }
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use std::io;

    /// Never made: standard error stays where it is.
    #[derive(Debug)]
    pub enum Errors {}

    impl Errors {
        /// Diverts nothing.
        pub fn hold() -> io::Result<Option<Self>> {
            Ok(None)
        }

        /// Never called.
        pub fn release(self) -> io::Result<()> {
            match self {}
        }
    }
}
