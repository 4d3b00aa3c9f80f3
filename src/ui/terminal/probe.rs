//! Finds out what the terminal can do.
//!
//! Before any event reader exists, as the answers arrive on standard input
//! like keys do. Keys typed during the few milliseconds this takes are lost.

use std::io;
use std::time::{Duration, Instant};

use super::Tty;
use super::ask::ask;
use super::environment::Environment;
use super::passthrough::Passthrough;
use super::replies::Replies;
use crate::ui::graphics::{Capabilities, CellSize, wrap};

/// A terminal that has said nothing by then says nothing at all.
const LIMIT: Duration = Duration::from_secs(1);
/// For the second question at least this much is left; tmux without
/// pass-through stays silent on it.
const GRACE: Duration = Duration::from_millis(300);

/// Name, cell size, the fate of a 24-bit colour, device attributes. Goes to
/// whatever is next to us, be it tmux.
const NEAR: &str = "\x1b[>q\x1b[16t\x1b[48;2;1;2;3m\x1bP$qm\x1b\\\x1b[m\x1b[c";
/// The name again and a kitty graphics command, for whatever shows the pixels.
/// Sent as it is, tmux would take the command for a window title.
const FAR: [&str; 3] = ["\x1b[>q", "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\", "\x1b[c"];

/// What was found out.
#[derive(Debug, Default)]
pub struct Probe {
    /// For the choice of protocol.
    pub capabilities: Capabilities,
    /// The size of a cell, if the terminal tells.
    pub cell: Option<CellSize>,
    /// The terminal shows any colour.
    pub truecolor: bool,
    /// tmux's pass-through, within tmux.
    pub passthrough: Option<Passthrough>,
}

impl Probe {
    /// What is known without asking.
    pub fn unasked(environment: &Environment) -> Self {
        let capabilities = Capabilities {
            iterm_environment: environment.iterm,
            tmux: environment.tmux,
            ..Capabilities::default()
        };
        Self { capabilities, truecolor: environment.truecolor, ..Self::default() }
    }

    /// Asks the terminal, which is in raw mode. Takes a second at most if it
    /// never answers, and normally a few milliseconds.
    pub fn asked(environment: &Environment, tty: &mut Tty) -> io::Result<Self> {
        let mut probe = Self::unasked(environment);
        let deadline = Instant::now() + LIMIT;
        let near = ask(tty, NEAR, deadline)?;
        probe.note_near(&near);
        // Silent now, silent then; and GNU screen passes nothing through.
        if near.attributes.is_some() && !environment.screen {
            let far = probe.ask_far(environment, tty, deadline)?;
            probe.capabilities.kitty = far.kitty;
            probe.capabilities.version = far.version.unwrap_or_default();
        }
        Ok(probe)
    }

    fn note_near(&mut self, near: &Replies) {
        self.cell = near.cell;
        self.truecolor |= near.truecolor;
        self.capabilities.sixel = near.has_sixel();
        // Also a tmux on the near side of ssh, where $TMUX is not set.
        let name = near.version.as_deref().unwrap_or_default();
        self.capabilities.tmux |= name.starts_with("tmux ");
    }

    /// Asks the terminal that shows the pixels, through tmux if that is
    /// between.
    fn ask_far(
        &mut self,
        environment: &Environment,
        tty: &mut Tty,
        deadline: Instant,
    ) -> io::Result<Replies> {
        let soonest = Instant::now() + GRACE;
        if !self.capabilities.tmux {
            return ask(tty, &FAR.concat(), deadline.max(soonest));
        }
        let passthrough = Passthrough::allow(environment.tmux);
        self.passthrough = Some(passthrough);
        let certain = passthrough != Passthrough::Unknown;
        let until = if certain { deadline.max(soonest) } else { soonest };
        ask(tty, &FAR.map(wrap).concat(), until)
    }
}
