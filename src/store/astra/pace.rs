//! How many bulk requests are under way at a time: as many as the database
//! likes, found out by trying.
//!
//! One more after each round without a complaint, half of them after one, as
//! TCP does it (RFC 5681).

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The most at a time: beyond it, official clients gain nothing either.
pub(super) const MOST: usize = 8;

/// Lets so many through at a time.
pub(super) struct Pace {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    allowed: usize,
    in_flight: usize,
    /// Answers since the last change of `allowed`.
    answered: usize,
    /// Counts the complaints that were listened to: those about requests sent
    /// before the last one say nothing new.
    round: u64,
}

impl Pace {
    pub(super) fn new() -> Self {
        let state = State { allowed: MOST, in_flight: 0, answered: 0, round: 0 };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// Waits for the right to send one request.
    pub(super) async fn turn(&self) -> Turn<'_> {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            if let Some(turn) = self.try_turn() {
                return turn;
            }
            changed.await;
        }
    }

    fn try_turn(&self) -> Option<Turn<'_>> {
        let mut state = self.state();
        if state.in_flight >= state.allowed {
            return None;
        }
        state.in_flight += 1;
        Some(Turn { pace: self, round: state.round })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to have one request under way, until dropped.
pub(super) struct Turn<'a> {
    pace: &'a Pace,
    round: u64,
}

impl Turn<'_> {
    /// It was answered as it should be.
    pub(super) fn answered(&self) {
        let mut state = self.pace.state();
        state.answered += 1;
        if state.answered >= state.allowed && state.allowed < MOST {
            state.allowed += 1;
            state.answered = 0;
        }
    }

    /// It was one too many.
    pub(super) fn too_many(&self) {
        let mut state = self.pace.state();
        if state.round == self.round {
            state.allowed = (state.allowed / 2).max(1);
            state.answered = 0;
            state.round += 1;
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.pace.state().in_flight -= 1;
        self.pace.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(pace: &Pace) -> Vec<Turn<'_>> {
        std::iter::from_fn(|| pace.try_turn()).collect()
    }

    #[test]
    fn complaints_halve_the_pace_once_a_round() {
        let pace = Pace::new();
        let all = turns(&pace);
        assert_eq!(all.len(), MOST);
        all.iter().for_each(Turn::too_many);
        drop(all);
        let half = turns(&pace);
        assert_eq!(half.len(), MOST / 2);
        half[0].too_many();
        drop(half);
        for _ in 0..9 {
            pace.try_turn().unwrap().too_many();
        }
        assert_eq!(turns(&pace).len(), 1, "never none");
    }

    #[test]
    fn answers_bring_it_back_little_by_little() {
        let pace = Pace::new();
        turns(&pace)[0].too_many();
        assert_eq!(turns(&pace).len(), 4);
        for allowed in 4..MOST {
            turns(&pace).iter().for_each(Turn::answered);
            assert_eq!(turns(&pace).len(), allowed + 1);
        }
        turns(&pace).iter().for_each(Turn::answered);
        assert_eq!(turns(&pace).len(), MOST);
    }

    #[tokio::test]
    async fn who_waits_is_let_in_when_a_turn_ends() {
        let pace = Pace::new();
        let mut all = turns(&pace);
        let leaves = async {
            tokio::task::yield_now().await;
            all.pop();
        };
        let ((), _turn) = tokio::join!(leaves, pace.turn());
    }
}
