//! How long to wait for a database, and how often to ask it again.
//!
//! Every command may be sent again: the ids of documents are ours, so that a
//! document which a lost answer was about is met again as a known one.

use std::time::Duration;

use tokio::time::Instant;

use super::Error;
use crate::store::wait::WaitReason;

/// The waits of a client.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until a connection stands.
    pub connect: Duration,
    /// Until a command is answered.
    pub answer: Duration,
    /// Until a command is answered that makes a collection.
    pub slow_answer: Duration,
    /// How many times in a row a request may fail.
    pub attempts: u32,
    /// How many times in a row it may be refused as one too many.
    pub limited: u32,
    /// Before the second attempt; twice as long before each further one, and
    /// at random up to a half shorter, so that not all come back at once.
    pub pause: Duration,
    /// The longest of these pauses, unless the server asks for another.
    pub longest_pause: Duration,
    /// Between two looks whether a database has been resumed; twice and then
    /// three times as long later on.
    pub resume_pause: Duration,
    /// Until a database that is being resumed is given up.
    pub resume: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            // As the official clients wait for it.
            slow_answer: Duration::from_mins(1),
            attempts: 5,
            limited: 12,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(8),
            resume_pause: Duration::from_secs(5),
            resume: Duration::from_mins(5),
        }
    }
}

/// The longest pause that a server may ask for.
const LONGEST_ASKED: Duration = Duration::from_mins(1);

/// Why an attempt has no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// The database sleeps and is being woken.
    Resuming,
    /// One request too many; the server may have said when to come back.
    RateLimited { after: Option<Duration> },
    /// It may be different next time.
    Passing { error: Error, after: Option<Duration> },
    /// It will be the same next time.
    Final(Error),
}

/// A pause before the next attempt.
#[derive(Debug)]
pub(super) struct Pause {
    pub(super) reason: WaitReason,
    pub(super) length: Duration,
    /// Until when there is hope, or else until the pause ends.
    pub(super) until: Instant,
}

/// The attempts of one request.
pub(super) struct Attempts<'a> {
    patience: Patience,
    host: &'a str,
    failed: u32,
    limited: u32,
    /// Since when the database is being resumed, and how often it was asked.
    resuming: Option<(Instant, u32)>,
}

impl<'a> Attempts<'a> {
    /// `resuming` says since when the database is known to be waking up.
    pub(super) fn new(patience: Patience, host: &'a str, resuming: Option<Instant>) -> Self {
        let resuming = resuming.map(|since| (since, 0));
        Self { patience, host, failed: 0, limited: 0, resuming }
    }

    pub(super) fn resuming_since(&self) -> Option<Instant> {
        self.resuming.map(|(since, _)| since)
    }

    /// The pause before the next attempt, or the error if there is no use in
    /// one. `chance` is from 0 to 1.
    pub(super) fn after(
        &mut self,
        fault: Fault,
        now: Instant,
        chance: f64,
    ) -> Result<Pause, Error> {
        match fault {
            Fault::Final(error) => Err(error),
            Fault::Resuming => self.wait_for_it(now),
            // While it wakes up, connections break off and gateways complain.
            Fault::Passing { .. } if self.resuming.is_some() => self.wait_for_it(now),
            Fault::RateLimited { after } => {
                self.limited += 1;
                if self.limited >= self.patience.limited {
                    return Err(Error::RateLimited { host: self.host.into() });
                }
                Ok(self.pause(WaitReason::RateLimited, self.limited, after, now, chance))
            }
            Fault::Passing { error, after } => {
                self.failed += 1;
                if self.failed >= error.attempts(self.patience.attempts) {
                    return Err(error);
                }
                let reason = WaitReason::Failed(error.to_string());
                Ok(self.pause(reason, self.failed, after, now, chance))
            }
        }
    }

    fn wait_for_it(&mut self, now: Instant) -> Result<Pause, Error> {
        let (since, asked) = self.resuming.unwrap_or((now, 0));
        self.resuming = Some((since, asked + 1));
        let until = since + self.patience.resume;
        if now >= until {
            return Err(Error::Asleep { host: self.host.into(), waited: self.patience.resume });
        }
        let length = self.patience.resume_pause * (asked + 1).min(3);
        Ok(Pause { reason: WaitReason::Resuming, length: length.min(until - now), until })
    }

    fn pause(
        &self,
        reason: WaitReason,
        attempt: u32,
        asked: Option<Duration>,
        now: Instant,
        chance: f64,
    ) -> Pause {
        let doubled = self.patience.pause.saturating_mul(2_u32.saturating_pow(attempt - 1));
        let ours = doubled.min(self.patience.longest_pause).mul_f64(1.0 - chance / 2.0);
        let length = asked.map_or(ours, |asked| asked.min(LONGEST_ASKED).max(ours));
        Pause { reason, length, until: now + length }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts() -> Attempts<'static> {
        Attempts::new(Patience::default(), "db.example", None)
    }

    fn broken() -> Fault {
        let error = Error::Interrupted { host: "db.example".into(), reason: "reset".into() };
        Fault::Passing { error, after: None }
    }

    fn lengths(pauses: impl Iterator<Item = Result<Pause, Error>>) -> Vec<u128> {
        pauses.map_while(Result::ok).map(|pause| pause.length.as_millis()).collect()
    }

    #[test]
    fn pauses_double_up_to_a_limit_and_come_to_an_end() {
        let now = Instant::now();
        let mut failing = attempts();
        let pauses = (0..9).map(|_| failing.after(broken(), now, 0.0));
        assert_eq!(lengths(pauses), [500, 1000, 2000, 4000]);
        let mut limited = attempts();
        let fault = || Fault::RateLimited { after: None };
        let pauses = (0..20).map(|_| limited.after(fault(), now, 0.0));
        assert_eq!(lengths(pauses)[..6], [500, 1000, 2000, 4000, 8000, 8000]);
        let pause = attempts().after(fault(), now, 1.0).unwrap();
        assert_eq!(pause.length, Duration::from_millis(250));
    }

    #[test]
    fn a_server_that_says_when_is_asked_then() {
        let fault = |seconds| Fault::RateLimited { after: Some(Duration::from_secs(seconds)) };
        let pause = |seconds| attempts().after(fault(seconds), Instant::now(), 0.0).unwrap().length;
        assert_eq!(pause(7), Duration::from_secs(7));
        assert_eq!(pause(100_000), LONGEST_ASKED);
    }

    #[test]
    fn a_database_that_wakes_up_is_waited_for_whatever_it_answers_meanwhile() {
        let began = Instant::now();
        let mut attempts = attempts();
        let mut now = began;
        let first = attempts.after(Fault::Resuming, now, 0.0).unwrap();
        assert_eq!(first.until, began + Duration::from_mins(5));
        let mut pauses = vec![first.length.as_secs()];
        let end = loop {
            now += Duration::from_secs(*pauses.last().unwrap());
            match attempts.after(broken(), now, 0.0) {
                Ok(pause) => pauses.push(pause.length.as_secs()),
                Err(end) => break end,
            }
        };
        assert_eq!(pauses[..4], [5, 10, 15, 15]);
        assert_eq!(now, began + Duration::from_mins(5));
        assert!(matches!(end, Error::Asleep { .. }), "{end}");
    }

    #[test]
    fn a_second_request_does_not_begin_to_wait_anew() {
        let now = Instant::now();
        let since = now.checked_sub(Duration::from_mins(4)).unwrap();
        let mut second = Attempts::new(Patience::default(), "db.example", Some(since));
        let pause = second.after(Fault::Resuming, now, 0.0).unwrap();
        assert_eq!(pause.until, now + Duration::from_mins(1));
    }

    #[test]
    fn what_is_final_is_final() {
        let fault = Fault::Final(Error::TokenRefused { host: "db.example".into() });
        assert!(attempts().after(fault, Instant::now(), 0.0).is_err());
    }
}
