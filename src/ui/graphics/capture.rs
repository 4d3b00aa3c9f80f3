//! Takes what viuer prints: file descriptor 1 is ours while a screen is up.
//!
//! As a gift, a stray `println!` or a chatty C library cannot tear the screen:
//! their output ends here too.

#[cfg(unix)]
pub use unix::Capture;

#[cfg(not(unix))]
pub use elsewhere::Capture;

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io::{self, Read as _, Seek as _, Write as _};
    use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
    use std::time::Duration;

    use image::DynamicImage;

    use crate::ui::graphics::Error;
    use crate::ui::graphics::diversion::{Diversion, Stream, scratch_file};

    /// Standard output, diverted into a file.
    #[derive(Debug)]
    pub struct Capture(Mutex<Option<Diverted>>);

    #[derive(Debug)]
    struct Diverted {
        // Dropped first: what is still buffered belongs into the file.
        _diversion: Diversion,
        file: File,
    }

    impl Capture {
        /// Diverts standard output until [`Capture::end`].
        pub fn begin() -> io::Result<Self> {
            let file = scratch_file()?;
            let diversion = Diversion::begin(Stream::Output, &file)?;
            Ok(Self(Mutex::new(Some(Diverted { _diversion: diversion, file }))))
        }

        /// What viuer prints for `image`. One print at a time.
        pub fn print(&self, image: &DynamicImage, config: &viuer::Config) -> Result<String, Error> {
            let mut diverted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let file = &mut diverted.as_mut().ok_or(Error::Ended)?.file;
            // Held throughout, so that no other thread prints in between.
            let mut stdout = io::stdout().lock();
            stdout.flush()?;
            file.set_len(0)?;
            file.rewind()?;
            viuer::print(image, config)?;
            stdout.flush()?;
            file.rewind()?;
            let mut printed = Vec::new();
            file.read_to_end(&mut printed)?;
            String::from_utf8(printed).map_err(|_| Error::Unexpected)
        }

        /// Gives standard output back. A print under way is waited for, but
        /// not for ever, as this may be called by the thread that prints.
        pub fn end(&self) {
            if let Some(mut diverted) = self.lock_within_a_second() {
                diverted.take();
            }
        }

        fn lock_within_a_second(&self) -> Option<MutexGuard<'_, Option<Diverted>>> {
            for _ in 0..100 {
                match self.0.try_lock() {
                    Ok(guard) => return Some(guard),
                    Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                    Err(TryLockError::WouldBlock) => {
                        std::thread::sleep(Duration::from_millis(10));
                    }
                }
            }
            None
        }
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use std::io;

    use image::DynamicImage;

    use crate::ui::graphics::Error;

    /// Never made: standard output cannot be diverted here, so there are no
    /// pictures.
    #[derive(Debug)]
    pub enum Capture {}

    impl Capture {
        /// Fails.
        pub fn begin() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// Never called.
        pub fn print(&self, _: &DynamicImage, _: &viuer::Config) -> Result<String, Error> {
            match *self {}
        }

        /// Never called.
        pub fn end(&self) {
            match *self {}
        }
    }
}
