//! Stops the program, as Ctrl-Z does where a program lets it.

use std::io;

/// Stops the whole job, as the terminal would, and returns when it is
/// continued; at once if nobody could continue it (no shell with job control).
///
/// A signal this process sends itself may reach another thread, and this one
/// would run on for a moment. Sent by a child of the same job, it stops the
/// child too, and the child's end means that the job runs again.
#[cfg(unix)]
pub fn stop() -> io::Result<()> {
    use std::process::{Command, Stdio};

    let mut shell = Command::new("sh");
    shell.args(["-c", "kill -TSTP 0"]).stdin(Stdio::null()).stdout(Stdio::null());
    shell.stderr(Stdio::null()).status().map(drop)
}

/// There is no job control here.
#[cfg(not(unix))]
pub fn stop() -> io::Result<()> {
    Ok(())
}
