//! tmux's `allow-passthrough`, off by default since tmux 3.3.

use std::process::{Command, Stdio};

/// Whether sequences reach the terminal outside tmux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passthrough {
    /// They do: the user, or a tmux before 3.3, lets them.
    Allowed,
    /// They do until [`Passthrough::restore`].
    AllowedByUs,
    /// Nobody can tell: that tmux is on another machine.
    Unknown,
}

impl Passthrough {
    /// Allows it for this pane, if this is a pane of a tmux on this machine.
    pub fn allow(local: bool) -> Self {
        if !local {
            return Self::Unknown;
        }
        match tmux(&["show-options", "-Apv", "allow-passthrough"]).as_deref() {
            Some("off") => match tmux(&["set-option", "-p", "allow-passthrough", "on"]) {
                Some(_) => Self::AllowedByUs,
                None => Self::Unknown,
            },
            _ => Self::Allowed,
        }
    }

    /// Leaves the pane as it was found.
    pub fn restore(self) {
        if self == Self::AllowedByUs {
            // The option stays on for this one pane if this fails.
            let _ = tmux(&["set-option", "-pu", "allow-passthrough"]);
        }
    }
}

/// What tmux prints for a command, or `None` if it fails.
fn tmux(arguments: &[&str]) -> Option<String> {
    let output =
        Command::new("tmux").args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = output.ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
