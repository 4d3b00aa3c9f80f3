//! How long to wait for a server, and how often to ask it again.

use std::time::Duration;

use super::Error;

/// The waits of a pull.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until a connection stands.
    pub connect: Duration,
    /// Without a single byte, before a connection counts as dead.
    pub silence: Duration,
    /// How many times in a row a request may fail.
    pub attempts: u32,
    /// Before the second attempt; twice as long before each further one.
    pub pause: Duration,
    /// Between two looks whether another program has finished the same file.
    pub lock: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            attempts: 5,
            pause: Duration::from_secs(1),
            lock: Duration::from_millis(250),
        }
    }
}

/// The failures in a row of one request.
pub(super) struct Attempts {
    patience: Patience,
    failed: u32,
}

impl Attempts {
    pub(super) fn new(patience: Patience) -> Self {
        Self { patience, failed: 0 }
    }

    /// Returns after a pause if it is worth asking again, else with `error`.
    pub(super) async fn failed(&mut self, error: Error) -> Result<(), Error> {
        self.failed += 1;
        if !error.is_passing() || self.failed >= self.patience.attempts {
            return Err(error);
        }
        tracing::warn!(%error, attempt = self.failed, "asking again");
        let longer = 2_u32.saturating_pow(self.failed - 1);
        tokio::time::sleep(self.patience.pause.saturating_mul(longer)).await;
        Ok(())
    }

    /// Forgets the failures if enough came since the last one. A long pull
    /// over a poor line goes on, and a server that doles out single bytes
    /// does not hold it for ever.
    pub(super) fn received(&mut self, bytes: u64) {
        const ENOUGH: u64 = 1 << 20;
        if bytes >= ENOUGH {
            self.failed = 0;
        }
    }
}
