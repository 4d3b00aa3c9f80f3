//! The threads that decode and embed pictures: how many, and before whom they
//! step back.

use std::num::NonZero;

/// What the threads of a load take of a machine on which others work too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// As much as anybody else: beside a program that keeps every core busy, a
    /// load goes on at half of its speed. For one that somebody waits for.
    Usual,
    /// Less, so that the screen and a search go first, and so do other programs.
    /// By 5 on the scale of `nice`, a third of the usual share: beside a program
    /// that keeps every core busy, a quarter of the speed. Only Linux gives
    /// threads a priority of their own; elsewhere this is [`Priority::Usual`].
    Low,
}

impl Priority {
    /// Gives it to the calling thread, and to those it starts from now on.
    pub(super) fn take(self) {
        #[cfg(target_os = "linux")]
        if self == Self::Low {
            // Not being allowed to is no reason not to work.
            let _ = rustix::process::nice(5);
        }
    }
}

/// The threads of a load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workers {
    /// How many decode, and how many embed.
    pub(super) count: NonZero<usize>,
    pub(super) priority: Priority,
}
