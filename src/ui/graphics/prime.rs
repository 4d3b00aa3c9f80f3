//! Answers viuer's questions about the terminal once, so that it never asks
//! the real one.
//!
//! viuer decides which protocols it may use at the first print, by writing
//! queries to standard output and reading standard input without a time limit.
//! Under a running event loop that hangs and eats keys. The decision is kept
//! for the life of the process, so it is made here, early, against a private
//! pseudo-terminal that holds the answers already: every protocol is there,
//! and the choice among them is ours, print by print.

use super::Protocol;

/// Which protocols viuer is ready to print without asking anybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Primed {
    kitty: bool,
    iterm: bool,
    sixel: bool,
}

impl Primed {
    /// Whether viuer prints `protocol` when told to; half-blocks it always
    /// does.
    pub fn can_print(self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::KittyPlaceholder | Protocol::Kitty => self.kitty,
            Protocol::Iterm => self.iterm,
            Protocol::Sixel => self.sixel,
            Protocol::Blocks => true,
        }
    }

    #[cfg(test)]
    pub fn all() -> Self {
        Self { kitty: true, iterm: true, sixel: true }
    }
}

/// Primes viuer. What cannot be primed (no pseudo-terminal to be had) is left
/// out of the answer and must not be asked of viuer later.
///
/// To be called while no other thread reads standard input or writes standard
/// output.
#[cfg(unix)]
pub fn prime() -> Primed {
    unix::prime().unwrap_or_default()
}

/// Nothing can be primed here; half-blocks need nothing.
#[cfg(not(unix))]
pub fn prime() -> Primed {
    Primed::default()
}

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io::{self, Write as _};

    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

    use super::Primed;
    use crate::ui::graphics::diversion::{Diversion, Stream};

    /// Kitty graphics: yes; through a shared file: no, as viuer would then
    /// read the terminal after every print.
    const KITTY_ANSWERS: &[u8] = b"\x1b_Gi=31;OK\x1b\\\x1b[?62;4c\x1b_Gi=31;EBADF\x1b\\";
    const SIXEL_ANSWER: &[u8] = b"\x1b[?62;4c";

    pub fn prime() -> io::Result<Primed> {
        let (mut answers, terminal) = private_terminal()?;
        let _input = Diversion::begin(Stream::Input, &terminal)?;
        let _output = Diversion::begin(Stream::Output, &terminal)?;
        answers.write_all(KITTY_ANSWERS)?;
        let kitty = viuer::get_kitty_support() == viuer::KittySupport::Remote;
        answers.write_all(SIXEL_ANSWER)?;
        let sixel = viuer::is_sixel_supported();
        Ok(Primed { kitty, sixel, iterm: prime_iterm() })
    }

    /// Both ends of a new pseudo-terminal in raw mode: ours and the program's.
    fn private_terminal() -> io::Result<(File, File)> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?;
        let theirs = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
        let mut modes = tcgetattr(&theirs)?;
        modes.make_raw();
        tcsetattr(&theirs, OptionalActions::Now, &modes)?;
        Ok((ours.into(), theirs.into()))
    }

    /// viuer knows `iTerm2`'s protocol by the environment alone.
    fn prime_iterm() -> bool {
        const VARIABLE: &str = "LC_TERMINAL";
        if !alone() {
            return viuer::is_iterm_supported();
        }
        let before = std::env::var_os(VARIABLE);
        set_environment(VARIABLE, Some("iTerm2".as_ref()));
        let iterm = viuer::is_iterm_supported();
        set_environment(VARIABLE, before.as_deref());
        iterm
    }

    /// Whether this is the only thread of the process, as far as can be told.
    fn alone() -> bool {
        std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
    }

    #[expect(unsafe_code, reason = "viuer can be told about iTerm2 in no other way")]
    fn set_environment(name: &str, value: Option<&std::ffi::OsStr>) {
        // SAFETY: the caller has seen that no other thread exists, so nobody
        // reads the environment meanwhile.
        unsafe {
            match value {
                Some(value) => std::env::set_var(name, value),
                None => std::env::remove_var(name),
            }
        }
    }
}
