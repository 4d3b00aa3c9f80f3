//! Ends what SQLite is doing once nobody wants it any more.

use rusqlite::Connection;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::store::Error;

/// Interrupts a connection when its token is cancelled, until dropped.
pub(super) struct Stop<'a> {
    token: &'a CancellationToken,
    watching: JoinHandle<()>,
}

impl<'a> Stop<'a> {
    /// Watches over `connection`, from a thread of the runtime.
    pub(super) fn watch(connection: &Connection, token: &'a CancellationToken) -> Self {
        let (handle, cancelled) = (connection.get_interrupt_handle(), token.clone());
        let watching = tokio::spawn(async move {
            cancelled.cancelled().await;
            handle.interrupt();
        });
        Self { token, watching }
    }

    /// An error if it is to end: an interrupt between two statements is met
    /// by none of them.
    pub(super) fn go_on(&self) -> Result<(), Error> {
        if self.token.is_cancelled() { Err(Error::Stopped) } else { Ok(()) }
    }
}

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.watching.abort();
    }
}
