//! Points one of the standard streams somewhere else for a while.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::stdio;

/// A standard stream of the process.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// File descriptor 0.
    Input,
    /// File descriptor 1.
    Output,
    /// File descriptor 2.
    Error,
}

impl Stream {
    fn descriptor(self) -> BorrowedFd<'static> {
        match self {
            Self::Input => stdio::stdin(),
            Self::Output => stdio::stdout(),
            Self::Error => stdio::stderr(),
        }
    }

    /// Sends what Rust still buffers to where the stream has pointed so far.
    fn point_at(self, target: impl AsFd) -> io::Result<()> {
        match self {
            Self::Input => stdio::dup2_stdin(target)?,
            Self::Output => {
                io::stdout().flush()?;
                stdio::dup2_stdout(target)?;
            }
            Self::Error => stdio::dup2_stderr(target)?,
        }
        Ok(())
    }
}

/// While it lives, a standard stream points elsewhere.
#[derive(Debug)]
pub struct Diversion {
    stream: Stream,
    original: OwnedFd,
}

impl Diversion {
    /// Points `stream` at `target`.
    pub fn begin(stream: Stream, target: impl AsFd) -> io::Result<Self> {
        // Above 2, so that it can never stand in for a standard stream that
        // happens to be closed.
        let original = rustix::io::fcntl_dupfd_cloexec(stream.descriptor(), 3)?;
        stream.point_at(target)?;
        Ok(Self { stream, original })
    }
}

impl Drop for Diversion {
    fn drop(&mut self) {
        // There is nobody left to tell, and no other place to write to.
        let _ = self.stream.point_at(&self.original);
    }
}

/// A nameless file that vanishes with its last descriptor.
pub fn scratch_file() -> io::Result<File> {
    #[cfg(target_os = "linux")]
    if let Ok(file) = rustix::fs::memfd_create("carlens", rustix::fs::MemfdFlags::CLOEXEC) {
        return Ok(file.into());
    }
    tempfile::tempfile()
}
