//! The way to the terminal while standard output is captured.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Writes to the terminal, a frame at a time: nothing leaves before a flush,
/// and nothing at all while the screen is not ours, so that the end of a frame
/// cut short by a panic never reaches the shell. Clones share the frame.
#[derive(Clone, Debug)]
pub struct Tty(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    device: Device,
    ours: AtomicBool,
    frame: Mutex<Vec<u8>>,
}

#[derive(Debug)]
enum Device {
    #[cfg_attr(not(unix), expect(dead_code, reason = "standard output stays where it is"))]
    File(File),
    #[cfg_attr(unix, expect(dead_code, reason = "standard output is captured"))]
    StandardOutput,
}

impl Tty {
    /// The terminal standard output is connected to now.
    pub(super) fn open() -> io::Result<Self> {
        #[cfg(unix)]
        let device = Device::File(
            rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3).map(File::from)?,
        );
        #[cfg(not(unix))]
        let device = Device::StandardOutput;
        let frame = Mutex::new(Vec::with_capacity(1 << 16));
        Ok(Self(Arc::new(Shared { device, ours: AtomicBool::new(true), frame })))
    }

    /// Says whether the screen is ours from now on.
    pub(super) fn set_ours(&self, ours: bool) {
        self.0.ours.store(ours, Ordering::Relaxed);
    }

    /// Writes past the frame and whatever state it is in.
    pub(super) fn write_now(&self, bytes: &[u8]) -> io::Result<()> {
        match &self.0.device {
            Device::File(file) => (&*file).write_all(bytes),
            Device::StandardOutput => {
                io::stdout().write_all(bytes)?;
                io::stdout().flush()
            }
        }
    }

    fn frame(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.frame.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Tty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.frame().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut frame = self.frame();
        let ours = self.0.ours.load(Ordering::Relaxed);
        let written = if ours { self.write_now(&frame) } else { Ok(()) };
        frame.clear();
        written
    }
}
