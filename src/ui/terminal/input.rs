//! Where keys are read from: the terminal, through an opening of our own.

/// Puts a fresh opening of the terminal, which never blocks, in the place of
/// standard input.
///
/// The reader of events waits until there is something to read and then reads
/// until there is nothing left, which blocks in the middle of a sequence that
/// arrives in pieces. To have it not block, the opening must be ours alone:
/// the shell's, which standard output shares, would lose output. Where the
/// terminal cannot be opened, everything stays as it is.
#[cfg(unix)]
pub fn reopen() {
    use rustix::fs::{Mode, OFlags, open};

    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    if let Ok(terminal) = open("/dev/tty", flags, Mode::empty()) {
        // It is as good as it was where this fails.
        let _ = rustix::stdio::dup2_stdin(&terminal);
    }
}

/// Consoles have no such thing.
#[cfg(not(unix))]
pub fn reopen() {}
