//! Sends commands to a Data API until each has an answer, or none is to be
//! hoped for.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode};
use tokio::time::Instant;

use super::Error;
use super::address::{Address, Scope};
use super::command::Command;
use super::pace::Pace;
use super::patience::{Attempts, Fault, Patience};
use super::reply::{CommandError, Meaning, Reply};
use crate::domain::Printable;
use crate::http;
use crate::secret::Secret;
use crate::store::wait::Waits;

/// No answer is longer: a page of documents has at most a few megabytes.
const LONGEST_ANSWER: usize = 64 << 20;

/// Talks to one database about one collection.
pub(super) struct Client {
    http: reqwest::Client,
    pub(super) address: Address,
    token: Secret,
    header: HeaderValue,
    patience: Patience,
    pace: Pace,
    waits: Arc<Waits>,
    /// Whether the database is being resumed.
    resuming: Mutex<Option<Resuming>>,
}

/// A database on its way back.
#[derive(Clone, Copy)]
struct Resuming {
    since: Instant,
    /// When it last said so.
    seen: Instant,
}

impl Resuming {
    /// Since when it has been waited for, unless that was given up some time
    /// ago: by now it is another sleep.
    fn since(self, now: Instant, patience: Patience) -> Option<Instant> {
        (now < self.seen + patience.resume_pause * 4).then_some(self.since)
    }
}

impl Client {
    pub(super) fn new(
        address: Address,
        token: Secret,
        patience: Patience,
        waits: Arc<Waits>,
    ) -> Result<Self, Error> {
        let mut header = HeaderValue::from_str(token.expose()).map_err(|_| Error::Token)?;
        header.set_sensitive(true);
        let http = http::client_for(&address.url(Scope::Keyspace), |builder| {
            // A token is not carried to wherever a redirect leads.
            builder.connect_timeout(patience.connect).redirect(Policy::none())
        });
        let http = http.map_err(Error::Client)?;
        let (pace, resuming) = (Pace::new(), Mutex::default());
        Ok(Self { http, address, token, header, patience, pace, waits, resuming })
    }

    /// Sends a command that somebody waits for.
    pub(super) async fn send(&self, command: &Command) -> Result<Reply, Error> {
        let body = body(command);
        let mut attempts = self.attempts();
        loop {
            match self.attempt(command, &body).await {
                Ok(reply) => return Ok(reply),
                Err(fault) => self.rest(&mut attempts, fault).await?,
            }
        }
    }

    /// Sends one of many commands, at the pace that the database allows.
    pub(super) async fn send_in_turn(&self, command: &Command) -> Result<Reply, Error> {
        let body = body(command);
        let mut attempts = self.attempts();
        loop {
            let fault = {
                let turn = self.pace.turn().await;
                match self.attempt(command, &body).await {
                    Ok(reply) if reply.is_rate_limited() => {
                        turn.too_many();
                        return Ok(reply);
                    }
                    Ok(reply) => {
                        turn.answered();
                        return Ok(reply);
                    }
                    Err(fault) => {
                        if matches!(fault, Fault::RateLimited { .. }) {
                            turn.too_many();
                        }
                        fault
                    }
                }
            };
            self.rest(&mut attempts, fault).await?;
        }
    }

    /// A database that is being resumed is so for all requests at once.
    pub(super) fn attempts(&self) -> Attempts<'_> {
        let resuming = *self.resuming();
        let since = resuming.and_then(|resuming| resuming.since(Instant::now(), self.patience));
        Attempts::new(self.patience, self.address.host(), since)
    }

    fn resuming(&self) -> MutexGuard<'_, Option<Resuming>> {
        self.resuming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits before the next attempt, if there is to be one.
    pub(super) async fn rest(
        &self,
        attempts: &mut Attempts<'_>,
        fault: Fault,
    ) -> Result<(), Error> {
        let seen = Instant::now();
        let pause = attempts.after(fault, seen, chance());
        // Whoever asks after a last try begins to wait anew.
        let since = attempts.resuming_since().filter(|_| pause.is_ok());
        *self.resuming() = since.map(|since| Resuming { since, seen });
        let pause = pause?;
        tracing::warn!(reason = ?pause.reason, pause = ?pause.length, "asking the database again");
        self.waits.wait(pause.reason, pause.length, pause.until).await;
        Ok(())
    }

    async fn attempt(&self, command: &Command, body: &[u8]) -> Result<Reply, Fault> {
        let Patience { answer, slow_answer, .. } = self.patience;
        let patience = if command.slow { slow_answer } else { answer };
        let request = self
            .http
            .post(self.address.url(command.scope))
            .timeout(patience)
            .header("Token", self.header.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_vec());
        let response = request.send().await.map_err(|e| self.transport_fault(&e, patience))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let answer = self.read(response, patience).await?;
        self.judge(status, &headers, &answer, body.len())
    }

    async fn read(&self, mut response: Response, patience: Duration) -> Result<Vec<u8>, Fault> {
        let (status, mut body) = (response.status().as_u16(), Vec::new());
        loop {
            let piece = response.chunk().await.map_err(|e| self.transport_fault(&e, patience))?;
            let Some(piece) = piece else { return Ok(body) };
            body.extend_from_slice(&piece);
            if body.len() > LONGEST_ANSWER {
                return Err(Fault::Final(self.not_data_api("an endless answer", status)));
            }
        }
    }

    /// Tells an answer from a failure. A status of 200 says nothing: only an
    /// answer without `errors` is a success, and one that accounts for every
    /// document is for the caller to read.
    fn judge(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        sent: usize,
    ) -> Result<Reply, Fault> {
        let after = retry_after(headers);
        if let Some(reply) = Reply::parse(body) {
            let accounted = reply.status.get("documentResponses").is_some();
            return match reply.errors.first() {
                Some(error) if !accounted => Err(self.fault(error, after)),
                _ if status.is_success() => {
                    *self.resuming() = None;
                    Ok(reply)
                }
                _ => Err(self.status_fault(status, after, sent)),
            };
        }
        if is_resuming(status, body) {
            return Err(Fault::Resuming);
        }
        if !status.is_success() {
            return Err(match found(headers, body) {
                // A proxy's, which knows nothing of the token.
                page @ WEB_PAGE if matches!(status.as_u16(), 401 | 403) => {
                    Fault::Final(self.not_data_api(page, status.as_u16()))
                }
                _ => self.status_fault(status, after, sent),
            });
        }
        let found = found(headers, body);
        let error = self.not_data_api(found, status.as_u16());
        Err(match found {
            BROKEN_JSON => Fault::Passing { error, after },
            _ => Fault::Final(error),
        })
    }

    /// What an error of the Data API means for the request as a whole.
    pub(super) fn fault(&self, error: &CommandError, after: Option<Duration>) -> Fault {
        let (host, place) = (self.address.host().to_owned(), self.address.place());
        let reason = self.without_token(&error.message());
        Fault::Final(match error.meaning() {
            Meaning::RateLimited => return Fault::RateLimited { after },
            Meaning::Passing => return Fault::Passing { error: self.refused(error), after },
            Meaning::TokenRefused => Error::TokenRefused { host },
            Meaning::NotAllowed => Error::NotAllowed { host, reason },
            Meaning::NoKeyspace => {
                Error::NoKeyspace { host, keyspace: self.address.keyspace().into() }
            }
            Meaning::NoCollection => Error::NoCollection { place },
            Meaning::NotACollection => Error::NotACollection { place },
            Meaning::Full => Error::Full { host, reason },
            Meaning::Exists
            | Meaning::VectorLength
            | Meaning::NoVectors
            | Meaning::OtherSettings
            | Meaning::Other => self.refused(error),
        })
    }

    pub(super) fn refused(&self, error: &CommandError) -> Error {
        let code = match self.without_token(&error.error_code) {
            code if code.is_empty() => "no code".into(),
            code => code,
        };
        let message = self.without_token(&error.message());
        Error::Refused { host: self.address.host().into(), code, message }
    }

    fn status_fault(&self, status: StatusCode, after: Option<Duration>, sent: usize) -> Fault {
        let host = self.address.host().to_owned();
        let number = status.as_u16();
        let error = Error::Status { host: host.clone(), status: number };
        match number {
            429 => Fault::RateLimited { after },
            408 | 500 | 502 | 503 | 504 => Fault::Passing { error, after },
            401 | 403 => Fault::Final(Error::TokenRefused { host }),
            413 => Fault::Final(Error::TooLarge { host, bytes: sent }),
            404 | 405 | 410 => Fault::Final(Error::NoSuchPath {
                url: self.address.url(Scope::Keyspace).into(),
                status: number,
            }),
            300..=399 => Fault::Final(self.not_data_api("a redirect", number)),
            _ => Fault::Final(error),
        }
    }

    /// What was sent may be stored or not.
    pub(super) fn unaccounted(&self) -> Error {
        self.not_data_api("an answer that does not account for every document", 200)
    }

    fn not_data_api(&self, found: &'static str, status: u16) -> Error {
        Error::NotDataApi { host: self.address.host().into(), found, status }
    }

    fn transport_fault(&self, error: &reqwest::Error, waited: Duration) -> Fault {
        let host = self.address.host().to_owned();
        let reason = self.without_token(&innermost(error));
        let error = if is_about_certificate(&reason) {
            return Fault::Final(Error::Certificate { host, reason });
        } else if error.is_connect() {
            Error::Unreachable { host, reason }
        } else if error.is_timeout() {
            Error::Timeout { host, waited }
        } else {
            Error::Interrupted { host, reason }
        };
        Fault::Passing { error, after: None }
    }

    /// Others' words, which might repeat what they were sent.
    fn without_token(&self, words: &str) -> String {
        Printable::new(&words.replace(self.token.expose(), "[hidden]")).to_string()
    }
}

fn body(command: &Command) -> Vec<u8> {
    command.body.to_string().into_bytes()
}

/// As Astra tells of a database that slept for want of use.
fn is_resuming(status: StatusCode, body: &[u8]) -> bool {
    let message = || serde_json::from_slice::<serde_json::Value>(body).ok();
    status == StatusCode::SERVICE_UNAVAILABLE
        && message()
            .and_then(|body| body.get("message")?.as_str().map(|m| m.starts_with("Resuming")))
            .unwrap_or(false)
}

const BROKEN_JSON: &str = "broken JSON";
const WEB_PAGE: &str = "a web page";

/// What it is, if it is no answer of a Data API.
fn found(headers: &HeaderMap, body: &[u8]) -> &'static str {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let start = body.trim_ascii_start();
    if kind.contains("html") || start.starts_with(b"<") {
        WEB_PAGE
    } else if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok() {
        "other JSON"
    } else if start.starts_with(b"{") || start.is_empty() {
        BROKEN_JSON
    } else {
        "something else"
    }
}

/// In seconds; as a date it is not used by what answers for a Data API.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// rustls says so in words only.
fn is_about_certificate(reason: &str) -> bool {
    reason.contains("certificate")
}

/// The cause that says most: the other layers only add where it happened.
fn innermost(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |e| e.source());
    causes.last().map_or_else(|| "the connection failed".into(), ToString::to_string)
}

/// From 0 to 1, at random: by it, those who were refused together do not come
/// back together.
#[expect(clippy::cast_precision_loss, reason = "any number will do")]
fn chance() -> f64 {
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::astra::address::Reading;

    const TOKEN: &str = "AstraCS:abc:0f1e2d";

    fn made(address: Address, token: &str) -> Result<Client, Error> {
        let (token, waits) = (Secret::new(token).unwrap(), Arc::new(Waits::new()));
        Client::new(address, token, Patience::default(), waits)
    }

    fn client() -> Client {
        let address = Address::new("http://127.0.0.1:9", "k", "c", Reading::default()).unwrap();
        made(address, TOKEN).unwrap()
    }

    fn judged(status: u16, kind: &'static str, body: &str) -> Result<Reply, Fault> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
        let status = StatusCode::from_u16(status).unwrap();
        client().judge(status, &headers, body.as_bytes(), 9)
    }

    /// The message of a failure for good.
    #[track_caller]
    fn failed(status: u16, kind: &'static str, body: &str) -> String {
        match judged(status, kind, body) {
            Err(Fault::Final(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    const JSON: &str = "application/json";

    #[test]
    fn only_an_answer_without_errors_is_one() {
        assert!(judged(200, JSON, r#"{"status":{"ok":1}}"#).is_ok());
        let error = r#"{"errors":[{"errorCode":"COMMAND_UNKNOWN","message":"No such command"}]}"#;
        let said = failed(200, JSON, error);
        assert!(said.contains("No such command (COMMAND_UNKNOWN)"), "{said}");
        let partial = r#"{"status":{"documentResponses":[]},"errors":[{"message":"m"}]}"#;
        assert!(judged(200, JSON, partial).is_ok());
    }

    #[test]
    fn each_failure_is_told_from_the_others() {
        let errors =
            |code: &str| format!(r#"{{"errors":[{{"errorCode":"{code}","message":"m"}}]}}"#);
        for (status, kind, body, expected) in [
            (401, JSON, errors("UNAUTHENTICATED_REQUEST"), "does not accept the token"),
            (401, JSON, errors("MISSING_AUTHENTICATION_TOKEN"), "does not accept the token"),
            (401, JSON, errors("UNAUTHORIZED_ACCESS"), "its role does not allow this"),
            (403, "", String::new(), "does not accept the token"),
            (403, "text/html", "<html>".into(), "a web page instead"),
            (200, JSON, errors("UNKNOWN_KEYSPACE"), "no keyspace k for this token"),
            (200, JSON, errors("COLLECTION_NOT_EXIST"), "there is no collection c"),
            (200, JSON, errors("TOO_MANY_COLLECTIONS"), "no room for another collection"),
            (404, "", String::new(), "no Data API below http://127.0.0.1:9/v1/k"),
            (413, "", String::new(), "too large"),
            (200, "text/html", "<html>hello".into(), "a web page instead"),
            (302, "", String::new(), "a redirect instead"),
            (200, JSON, r#"{"hello":"world"}"#.into(), "other JSON instead"),
            (400, "", String::new(), "HTTP status 400"),
        ] {
            let said = failed(status, kind, &body);
            assert!(said.contains(expected), "{status} {body}: {said}");
        }
    }

    #[test]
    fn what_may_pass_is_asked_again() {
        let resuming = r#"{"message":"Resuming your database, please try again shortly."}"#;
        assert!(matches!(judged(503, JSON, resuming), Err(Fault::Resuming)));
        assert!(matches!(judged(429, "", ""), Err(Fault::RateLimited { after: None })));
        for (status, kind, body) in [
            (503, "text/html", "<html>"),
            (502, "", ""),
            (500, JSON, r#"{"errors":[{"family":"SERVER","message":"m"}]}"#),
            (200, JSON, r#"{"data":{"documents":[{"_id":"#),
            (200, JSON, ""),
        ] {
            let judged = judged(status, kind, body);
            assert!(matches!(judged, Err(Fault::Passing { .. })), "{status} {body}: {judged:?}");
        }
    }

    #[test]
    fn a_token_is_in_no_message() {
        let echo = format!(
            r#"{{"errors":[{{"errorCode":"X{TOKEN}","message":"not {TOKEN}\u001b[1m!"}}]}}"#
        );
        let said = failed(200, JSON, &echo);
        assert!(said.contains("not [hidden]\\u{1b}[1m! (X[hidden])"), "{said}");
    }

    #[test]
    fn what_was_given_up_long_ago_is_waited_for_anew() {
        let since = Instant::now();
        let seen = since + Duration::from_mins(4);
        let resuming = Resuming { since, seen };
        let at = |seconds| seen + Duration::from_secs(seconds);
        assert_eq!(resuming.since(at(15), Patience::default()), Some(since));
        assert_eq!(resuming.since(at(60), Patience::default()), None);
    }

    #[test]
    fn a_token_that_is_none_is_refused() {
        let address = Address::new("http://127.0.0.1:9", "k", "c", Reading::default()).unwrap();
        let refused = made(address, "AstraCS:\u{7f}").err();
        assert!(matches!(refused, Some(Error::Token)), "{refused:?}");
    }
}
