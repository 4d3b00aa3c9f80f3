//! What a store of another machine waits for, as it is shown live.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// A store waits before it asks again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What for.
    pub reason: WaitReason,
    /// Until it asks again; until it gives up, where it asks all the while.
    pub left: Duration,
}

/// Why a store waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// The database was asleep and is being woken.
    Resuming,
    /// The database takes no more requests for the moment.
    RateLimited,
    /// It failed in a way that may pass, such as this.
    Failed(String),
}

/// The waits of all requests under way, of which the longest is shown.
pub(super) struct Waits {
    under_way: Mutex<Vec<(u64, Wait)>>,
    shown: watch::Sender<Option<Wait>>,
}

/// How often a countdown is renewed.
const TICK: Duration = Duration::from_secs(1);

impl Waits {
    pub(super) fn new() -> Self {
        Self { under_way: Mutex::default(), shown: watch::Sender::new(None) }
    }

    pub(super) fn watch(&self) -> watch::Receiver<Option<Wait>> {
        self.shown.subscribe()
    }

    /// Waits for `pause`, showing how much is left until `until`.
    pub(super) async fn wait(&self, reason: WaitReason, pause: Duration, until: Instant) {
        let end = Instant::now() + pause;
        let shown = Shown::new(self, Wait { reason, left: left(until) });
        loop {
            let now = Instant::now();
            if now >= end {
                return;
            }
            sleep(TICK.min(end - now)).await;
            shown.renew(left(until));
        }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<(u64, Wait)>)) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut under_way);
        let longest = under_way.iter().map(|(_, wait)| wait).max_by_key(|wait| wait.left).cloned();
        self.shown.send_if_modified(|shown| {
            let changed = *shown != longest;
            *shown = longest;
            changed
        });
    }
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

/// One wait, shown until dropped: whoever waits may be cancelled at any time.
struct Shown<'a> {
    waits: &'a Waits,
    id: u64,
}

impl<'a> Shown<'a> {
    fn new(waits: &'a Waits, wait: Wait) -> Self {
        let mut id = 0;
        waits.change(|under_way| {
            id = under_way.iter().map(|(id, _)| id + 1).max().unwrap_or(0);
            under_way.push((id, wait));
        });
        Self { waits, id }
    }

    fn renew(&self, left: Duration) {
        self.waits.change(|under_way| {
            let own = under_way.iter_mut().find(|(id, _)| *id == self.id);
            if let Some((_, wait)) = own {
                wait.left = left;
            }
        });
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.waits.change(|under_way| under_way.retain(|(id, _)| *id != self.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(seconds: u64) -> Wait {
        Wait { reason: WaitReason::RateLimited, left: Duration::from_secs(seconds) }
    }

    #[test]
    fn the_longest_wait_is_shown_until_nobody_waits() {
        let waits = Waits::new();
        let shown = waits.watch();
        let short = Shown::new(&waits, wait(2));
        let long = Shown::new(&waits, wait(9));
        assert_eq!(*shown.borrow(), Some(wait(9)));
        long.renew(Duration::from_secs(1));
        assert_eq!(*shown.borrow(), Some(wait(2)));
        drop(short);
        assert_eq!(*shown.borrow(), Some(wait(1)));
        drop(long);
        assert_eq!(*shown.borrow(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_counts_down_and_ends() {
        let waits = Waits::new();
        let mut shown = waits.watch();
        let until = Instant::now() + Duration::from_mins(5);
        let waiting = waits.wait(WaitReason::Resuming, Duration::from_secs(3), until);
        let seen = async {
            let mut seen = Vec::new();
            while let Ok(()) = shown.changed().await {
                let now = shown.borrow_and_update().clone();
                seen.push(now.map(|wait| wait.left.as_secs()));
                if seen.last() == Some(&None) {
                    break;
                }
            }
            seen
        };
        let ((), seen) = tokio::join!(waiting, seen);
        assert_eq!(seen, [Some(300), Some(299), Some(298), None]);
    }
}
