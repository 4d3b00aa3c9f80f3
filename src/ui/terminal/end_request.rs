//! A request from outside to end: `kill`, or a terminal that has gone.

use std::io;

/// Watches for SIGTERM, SIGHUP, SIGINT and SIGQUIT, which would otherwise end
/// the program with the terminal still taken over. From the keyboard none of
/// them comes, as Ctrl-C and Ctrl-\\ are keys like others here.
///
/// Made before the screen is entered, it also notices what arrives while the
/// terminal is still being asked what it is.
#[derive(Debug)]
pub struct EndRequest {
    #[cfg(unix)]
    arrived: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl EndRequest {
    /// Begins to watch. From now on these signals do nothing else.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    #[cfg(unix)]
    pub fn watch() -> io::Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

        let arrived = std::sync::Arc::default();
        for signal in [SIGTERM, SIGHUP, SIGINT, SIGQUIT] {
            signal_hook::flag::register(signal, std::sync::Arc::clone(&arrived))?;
        }
        Ok(Self { arrived })
    }

    /// Returns once the program has been asked to end, be it before this call.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    #[cfg(unix)]
    pub async fn arrived(&self) -> io::Result<()> {
        use std::sync::atomic::Ordering;

        use tokio::signal::unix::{SignalKind, signal};

        // The streams first: what the flag misses is then theirs.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut quit = signal(SignalKind::quit())?;
        if !self.arrived.load(Ordering::SeqCst) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
                _ = interrupt.recv() => {}
                _ = quit.recv() => {}
            }
        }
        Ok(())
    }

    /// There are no such signals here.
    #[cfg(not(unix))]
    pub fn watch() -> io::Result<Self> {
        Ok(Self {})
    }

    /// There are no such signals here: this never returns.
    #[cfg(not(unix))]
    pub async fn arrived(&self) -> io::Result<()> {
        std::future::pending().await
    }
}
