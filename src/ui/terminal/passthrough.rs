//! tmux's `allow-passthrough`, off by default since tmux 3.3.

use std::process::{Command, Stdio};

/// Whether, and since when, sequences reach the terminal outside tmux.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passthrough {
    /// They do: tmux is older than the option, or it is `all` already.
    Allowed,
    /// They do since we set the option to `set`; the pane's own value was
    /// `before`, empty for none.
    Set { set: &'static str, before: String },
    /// Nobody can tell: that tmux is on another machine.
    Unknown,
}

impl Passthrough {
    /// Allows it for this pane, if this is a pane of a tmux on this machine.
    ///
    /// `all` where there is one: with `on`, tmux drops what arrives while it
    /// has a pane to redraw.
    pub fn allow(local: bool) -> Self {
        if !local {
            return Self::Unknown;
        }
        let before = tmux(&["show-options", "-pv", "allow-passthrough"]);
        let effective = tmux(&["show-options", "-Apv", "allow-passthrough"]);
        let (Some(before), Some(effective)) = (before, effective) else { return Self::Allowed };
        if effective == "all" {
            return Self::Allowed;
        }
        let set = ["all", "on"]
            .into_iter()
            .find(|value| tmux(&["set-option", "-p", "allow-passthrough", value]).is_some());
        set.map_or(Self::Unknown, |set| Self::Set { set, before })
    }

    /// Whether what is sent at once after a change of screens may get lost.
    pub fn drops_while_redrawing(&self) -> bool {
        !matches!(self, Self::Allowed | Self::Set { set: "all", .. })
    }

    /// Leaves the pane as it was found.
    pub fn restore(&self) {
        // The option stays as it is for this one pane if this fails.
        let _ = match self {
            Self::Set { before, .. } if before.is_empty() => {
                tmux(&["set-option", "-pu", "allow-passthrough"])
            }
            Self::Set { before, .. } => tmux(&["set-option", "-p", "allow-passthrough", before]),
            Self::Allowed | Self::Unknown => None,
        };
    }
}

/// What tmux prints for a command, or `None` if it fails.
fn tmux(arguments: &[&str]) -> Option<String> {
    let output =
        Command::new("tmux").args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = output.ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
