//! Finds out what the terminal can do.
//!
//! Before any event reader exists, as the answers arrive on standard input
//! like keys do. What is typed meanwhile is kept.

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

/// Name, cell size, device attributes. Goes to whatever is next to us, be it
/// tmux.
const NEAR: &str = "\x1b[>q\x1b[16t\x1b[c";
/// The name again and a kitty graphics command, for whatever shows the pixels.
/// Sent as it is, tmux would take the command for a window title.
const FAR: [&str; 3] = ["\x1b[>q", "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\", "\x1b[c"];
/// Sets a 24-bit colour and asks what has become of it. tmux would take the
/// question for a sixel picture.
const COLOUR: &str = "\x1b[48;2;1;2;3m\x1bP$qm\x1b\\\x1b[m";

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
    /// What was typed while it was asked.
    pub typed: Vec<u8>,
    /// It did not answer to the end; it may yet.
    pub late: bool,
}

impl Probe {
    /// What is known without asking.
    pub fn unasked(environment: &Environment) -> Self {
        let capabilities = Capabilities {
            iterm_environment: environment.iterm,
            tmux: environment.tmux,
            ..Capabilities::default()
        };
        let truecolor = environment.truecolor || environment.tmux;
        Self { capabilities, truecolor, ..Self::default() }
    }

    /// Asks the terminal, which is in raw mode. Takes a second at most if it
    /// never answers, and normally a few milliseconds.
    pub fn asked(environment: &Environment, tty: &mut Tty) -> io::Result<Self> {
        let mut probe = Self::unasked(environment);
        let deadline = Instant::now() + LIMIT;
        let near = ask(tty, NEAR, deadline)?;
        probe.note_near(&near);
        probe.typed.clone_from(&near.typed);
        probe.late = near.attributes.is_none();
        // Silent now, silent then; and GNU screen passes nothing through.
        if near.attributes.is_some() && !environment.screen {
            let far = probe.ask_far(environment, tty, deadline)?;
            probe.note_far(far);
        }
        Ok(probe)
    }

    fn note_near(&mut self, near: &Replies) {
        self.cell = near.cell;
        self.capabilities.sixel = near.has_sixel();
        // Also a tmux on the near side of ssh, where $TMUX is not set.
        let name = near.version.as_deref().unwrap_or_default();
        self.capabilities.tmux |= name.starts_with("tmux ");
        // tmux itself turns colours into those its terminal has.
        self.truecolor |= self.capabilities.tmux;
    }

    fn note_far(&mut self, far: Replies) {
        self.typed.extend_from_slice(&far.typed);
        self.late |= far.attributes.is_none();
        self.truecolor |= far.truecolor;
        self.capabilities.kitty = far.kitty;
        self.capabilities.version = far.version.unwrap_or_default();
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
            let question = COLOUR.to_owned() + &FAR.concat();
            return ask(tty, &question, deadline.max(soonest));
        }
        let passthrough = Passthrough::allow(environment.tmux);
        // A tmux that passes nothing through is silent, and not worth the wait.
        let patient = passthrough != Passthrough::Unknown;
        let until = if patient { deadline.max(soonest) } else { soonest };
        self.passthrough = Some(passthrough);
        ask(tty, &FAR.map(wrap).concat(), until)
    }
}
