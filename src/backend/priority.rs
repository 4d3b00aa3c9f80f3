//! Gives way to whoever waits for an answer: the screen, the shell.

/// Lets threads of the usual priority go before the calling one, and before
/// those it starts from now on.
///
/// By 5 on the scale of `nice`, a third of the usual share: beside other work
/// that keeps every core busy, a load goes on at a quarter of its speed rather
/// than a tenth. Where threads have no priority of their own (all but Linux),
/// does nothing.
pub(super) fn lower() {
    #[cfg(target_os = "linux")]
    // Not being allowed to is no reason not to work.
    let _ = rustix::process::nice(5);
}
