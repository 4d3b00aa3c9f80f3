//! Sends a question to the terminal and collects the answers, for so long and
//! no longer.

use std::io;
use std::time::Instant;

use super::Tty;
use super::replies::Replies;

/// Sends `question` and reads until the device attributes, which it must ask
/// for last, have arrived or `deadline` has passed.
///
/// The terminal is in raw mode and nobody else reads standard input.
#[cfg(unix)]
pub fn ask(tty: &mut Tty, question: &str, deadline: Instant) -> io::Result<Replies> {
    use std::io::Write as _;

    tty.write_all(question.as_bytes())?;
    tty.flush()?;
    let mut bytes = Vec::new();
    loop {
        let replies = Replies::parse(&bytes);
        if replies.attributes.is_some() || !unix::read_some(&mut bytes, deadline)? {
            return Ok(replies);
        }
    }
}

/// There is no reading with a time limit here, so nothing is asked.
#[cfg(not(unix))]
pub fn ask(_: &mut Tty, _: &str, _: Instant) -> io::Result<Replies> {
    Ok(Replies::default())
}

#[cfg(unix)]
mod unix {
    use std::io;
    use std::time::Instant;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    use rustix::stdio::stdin;

    /// Appends what arrives next to `bytes`; false if nothing does by
    /// `deadline`.
    pub fn read_some(bytes: &mut Vec<u8>, deadline: Instant) -> io::Result<bool> {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        let input = stdin();
        match poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&left)) {
            Ok(0) => return Ok(false),
            // A signal, say that the window was resized: try again.
            Err(Errno::INTR) => return Ok(true),
            result => result?,
        };
        let mut buffer = [0; 256];
        let length = rustix::io::read(input, &mut buffer)?;
        bytes.extend_from_slice(&buffer[..length]);
        Ok(length > 0)
    }
}
