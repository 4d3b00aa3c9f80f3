//! Stops the program, as Ctrl-Z does where a program lets it.

use std::io;

/// Stops the whole job, as the terminal would, and returns when it is
/// continued; at once if nobody could continue it (no shell with job control).
#[cfg(unix)]
pub fn stop() -> io::Result<()> {
    use rustix::process::{Signal, kill_current_process_group};

    Ok(kill_current_process_group(Signal::TSTP)?)
}

/// There is no job control here.
#[cfg(not(unix))]
pub fn stop() -> io::Result<()> {
    Ok(())
}
