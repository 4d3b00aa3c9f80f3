//! Progress on standard error: one line written over on a terminal, a line
//! every few seconds in a log.

use std::io::{self, Write};
use std::time::{Duration, Instant};

/// How often a log gets a line.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// The line under way.
pub(super) struct ProgressLine {
    live: bool,
    shown: bool,
    logged: Instant,
}

impl ProgressLine {
    pub(super) fn new(live: bool) -> Self {
        Self { live, shown: false, logged: Instant::now() }
    }

    /// Shows `line` if it is time to.
    pub(super) fn show(&mut self, err: &mut dyn Write, line: &str) -> io::Result<()> {
        if self.live {
            self.shown = true;
            write!(err, "\r\x1b[2K{line}")?;
            return err.flush();
        }
        if self.logged.elapsed() < LOG_EVERY {
            return Ok(());
        }
        self.logged = Instant::now();
        writeln!(err, "{line}")
    }

    /// Makes room for another line.
    pub(super) fn clear(&mut self, err: &mut dyn Write) -> io::Result<()> {
        if std::mem::take(&mut self.shown) { write!(err, "\r\x1b[2K") } else { Ok(()) }
    }
}
