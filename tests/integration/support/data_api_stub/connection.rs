//! One connection to the stub: requests in, answers or mishaps out.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::database::{Refusal, Target};
use super::failure::Failure;
use super::http::{Answer, Head, Stream};
use super::reply::Reply;
use super::{Fault, Limits, OTHER_TOKEN, Request, State, TOKEN};

/// The user `cassandra` of a server that one runs oneself.
const CASSANDRA_TOKEN: &str = "Cassandra:Y2Fzc2FuZHJh:Y2Fzc2FuZHJh";

/// What a proxy says.
const PAGE: &str = "<!DOCTYPE html><html><body><h1>Sign in to the network</h1></body></html>";

/// Pieces of a slow answer.
const PIECES: u32 = 20;

/// Answers request by request until either side is done.
pub async fn serve(stream: TcpStream, state: &State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(head) = Head::read(&mut stream).await? {
        let limits = state.limits.lock().unwrap().clone();
        if state.take_reset(&head, &mut stream).await? {
            return stream.get_ref().set_zero_linger();
        }
        if head.length() > limits.body {
            state.note(&head, String::new(), Value::Null, head.length());
            return refuse_body(&mut stream).await;
        }
        let body = head.read_body(&mut stream).await?;
        if !state.answer(&head, &body, &limits, &mut stream).await? || head.ends_connection() {
            return stream.get_mut().shutdown().await;
        }
    }
    Ok(())
}

/// Refuses a body unread. It is thrown away for a moment, as the refusal is
/// lost if the connection is reset.
async fn refuse_body(stream: &mut Stream) -> io::Result<()> {
    Answer::empty(413).send(stream, true).await?;
    stream.get_mut().shutdown().await?;
    let mut nowhere = tokio::io::sink();
    let drained = tokio::io::copy_buf(stream, &mut nowhere);
    timeout(Duration::from_secs(2), drained).await.ok();
    Ok(())
}

impl State {
    /// Whether the connection is to go on.
    async fn answer(
        &self,
        head: &Head,
        body: &[u8],
        limits: &Limits,
        stream: &mut Stream,
    ) -> io::Result<bool> {
        let json = serde_json::from_slice::<Value>(body).unwrap_or_default();
        let command = command_of(&json).map(|(name, _)| name.to_owned()).unwrap_or_default();
        self.note(head, command.clone(), json.clone(), body.len());
        let in_flight = InFlight::enter(self);
        if limits.rate.is_some_and(|rate| in_flight.others_and_this > rate) {
            let answer = render(&Failure::rate_limited().into(), limits);
            answer.send(stream, head.ends_connection()).await?;
            return Ok(true);
        }
        let fault = self.next_fault(&command, &json);
        if let Some(Fault::Hold) = fault {
            std::future::pending::<()>().await;
        }
        sleep(limits.delay).await;
        let answer = match &fault {
            Some(Fault::HangUpBefore) => return Ok(false),
            Some(fault) => match instead(fault, limits) {
                Some(answer) => answer,
                None => self.execute(head, body, json, Some(fault), limits),
            },
            None => self.execute(head, body, json, None, limits),
        };
        let half = answer.body.len() / 2;
        match fault {
            Some(Fault::HangUpAfter | Fault::Half) => return Ok(false),
            Some(Fault::Truncated) => {
                let head = answer.head(false).into_bytes();
                stream.get_mut().write_all(&[&head[..], &answer.body[..half]].concat()).await?;
                return Ok(false);
            }
            Some(Fault::HalfJson) => {
                let body = answer.body[..half].to_vec();
                Answer { body, ..answer }.send(stream, head.ends_connection()).await?;
            }
            Some(Fault::Slow(time)) => send_slowly(&answer, stream, time).await?,
            _ => answer.send(stream, head.ends_connection()).await?,
        }
        Ok(true)
    }

    fn execute(
        &self,
        head: &Head,
        body: &[u8],
        mut json: Value,
        fault: Option<&Fault>,
        limits: &Limits,
    ) -> Answer {
        let Some(target) = target(&head.path) else { return Answer::empty(404) };
        if head.method != "POST" {
            return Answer::empty(405);
        }
        if let Err(failure) = admit(head, &target) {
            return render(&failure.into(), limits);
        }
        let refusal = match fault {
            Some(Fault::Refuse { id, code }) => Some(Refusal { id: id.clone(), code }),
            Some(Fault::Half) => {
                let documents = json.pointer_mut("/insertMany/documents");
                if let Some(documents) = documents.and_then(Value::as_array_mut) {
                    documents.truncate(documents.len() / 2);
                }
                None
            }
            _ => None,
        };
        let Some((command, arguments)) = command_of(&json) else {
            return render(&unreadable(body).into(), limits);
        };
        let mut database = self.database.lock().unwrap();
        let reply = database.execute(&target, command, arguments, limits, refusal.as_ref());
        render(&reply.unwrap_or_else(Reply::from), limits)
    }

    fn note(&self, head: &Head, command: String, body: Value, bytes: usize) {
        let header = |name| head.header(name).map(str::to_owned);
        self.requests.lock().unwrap().push(Request {
            path: head.path.clone(),
            token: header("token"),
            user_agent: header("user-agent"),
            content_type: header("content-type"),
            command,
            body,
            bytes,
        });
    }

    /// Whether the request of this head is to be reset. Its body has come at
    /// most in part.
    async fn take_reset(&self, head: &Head, stream: &mut Stream) -> io::Result<bool> {
        let is_reset = |fault: &Fault| matches!(fault, Fault::ResetMidRequest);
        if !self.faults.lock().unwrap().iter().any(|(_, fault)| is_reset(fault)) {
            return Ok(false);
        }
        let start = String::from_utf8_lossy(stream.fill_buf().await?).into_owned();
        let command = start.split('"').nth(1).unwrap_or_default();
        let mut faults = self.faults.lock().unwrap();
        let next = faults.iter().position(|(name, _)| concerns(name, command));
        let Some(next) = next.filter(|&next| is_reset(&faults[next].1)) else { return Ok(false) };
        faults.remove(next);
        self.note(head, command.to_owned(), Value::Null, head.length());
        Ok(true)
    }

    fn next_fault(&self, command: &str, body: &Value) -> Option<Fault> {
        let inserts = |id: &str| {
            let many = body["insertMany"]["documents"].as_array().into_iter().flatten();
            many.chain([&body["insertOne"]["document"]]).any(|document| document["_id"] == id)
        };
        let mut faults = self.faults.lock().unwrap();
        let next = faults.iter().position(|(name, fault)| {
            concerns(name, command)
                && match fault {
                    Fault::Refuse { id, .. } => inserts(id),
                    _ => true,
                }
        });
        faults.remove(next?).map(|(_, fault)| fault)
    }
}

/// A request that is being answered.
struct InFlight<'a> {
    state: &'a State,
    others_and_this: usize,
}

impl<'a> InFlight<'a> {
    fn enter(state: &'a State) -> Self {
        let mut traffic = state.traffic.lock().unwrap();
        traffic.now += 1;
        traffic.most = traffic.most.max(traffic.now);
        Self { state, others_and_this: traffic.now }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.state.traffic.lock().unwrap().now -= 1;
    }
}

/// Whether a fault for `name` happens to `command`.
fn concerns(name: &str, command: &str) -> bool {
    name == "*" || name == command
}

/// The only command of a body, and its arguments.
fn command_of(body: &Value) -> Option<(&str, &Value)> {
    let fields = body.as_object().filter(|fields| fields.len() == 1)?;
    fields.iter().next().map(|(name, arguments)| (name.as_str(), arguments))
}

fn target(path: &str) -> Option<Target<'_>> {
    let path = path.split('?').next().unwrap_or_default();
    let path = path.strip_prefix("/api/json").unwrap_or(path).strip_prefix("/v1")?;
    let mut names = path.split('/');
    match (names.next()?, names.next(), names.next(), names.next()) {
        ("", None, ..) => Some(Target::Database),
        ("", Some(keyspace), None, _) if !keyspace.is_empty() => Some(Target::Keyspace(keyspace)),
        ("", Some(keyspace), Some(collection), None)
            if !keyspace.is_empty() && !collection.is_empty() =>
        {
            Some(Target::Collection(keyspace, collection))
        }
        _ => None,
    }
}

/// Checks who asks, and in what form.
fn admit(head: &Head, target: &Target) -> Result<(), Failure> {
    let kind = head.header("content-type").unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        let message = format!(
            "Request sent with unsupported 'Content-Type' header: '{kind}', only \
             'application/json' is supported.\n\nResend with supported 'Content-Type' header."
        );
        let failure = Failure::request("", "UNSUPPORTED_CONTENT_TYPE", message);
        return Err(failure.with_status(415));
    }
    match (head.header("token"), target) {
        (None | Some(""), _) => Err(Failure::missing_token()),
        (Some(TOKEN | CASSANDRA_TOKEN), _) => Ok(()),
        // The other database has no such keyspace.
        (Some(OTHER_TOKEN), Target::Keyspace(keyspace) | Target::Collection(keyspace, _)) => {
            Err(Failure::unknown_keyspace(keyspace))
        }
        _ => Err(Failure::unauthenticated()),
    }
}

/// What is wrong with a body that has no command.
fn unreadable(body: &[u8]) -> Failure {
    if let Err(error) = serde_json::from_slice::<Value>(body) {
        let message =
            format!("Request not valid JSON, problem: {error}.\n\nResend request as valid JSON.");
        return Failure::request("", "REQUEST_NOT_JSON", message);
    }
    let message = "Request is valid JSON but has a structural mismatch: one command is \
                   expected.\n\nResend request with valid structure.";
    Failure::request("", "REQUEST_STRUCTURE_MISMATCH", message)
}

fn render(reply: &Reply, limits: &Limits) -> Answer {
    Answer::json(reply.http_status(), &reply.to_json(limits.old_codes).to_string())
}

/// What is answered instead of executing anything.
fn instead(fault: &Fault, limits: &Limits) -> Option<Answer> {
    match fault {
        Fault::Status(status, "") => Some(Answer::empty(*status)),
        Fault::Status(status, body) if body.starts_with('{') => Some(Answer::json(*status, body)),
        Fault::Status(status, body) => Some(Answer::html(*status, body)),
        Fault::RetryAfter(status, seconds) => {
            let headers = vec![("retry-after", seconds.to_string())];
            Some(Answer { headers, ..Answer::empty(*status) })
        }
        Fault::Resuming => {
            let message = "Resuming your database, please try again shortly.";
            Some(Answer::json(503, &json!({ "message": message }).to_string()))
        }
        Fault::RateLimited => Some(render(&Failure::rate_limited().into(), limits)),
        Fault::ErrorCode { code, family, scope, message } => {
            Some(render(&Failure::new(family, scope, code, *message).into(), limits))
        }
        Fault::Html => Some(Answer::html(200, PAGE)),
        Fault::Unauthenticated => Some(render(&Failure::unauthenticated().into(), limits)),
        _ => None,
    }
}

async fn send_slowly(answer: &Answer, stream: &mut Stream, time: Duration) -> io::Result<()> {
    let stream = stream.get_mut();
    stream.write_all(answer.head(false).as_bytes()).await?;
    let pieces = usize::try_from(PIECES).unwrap_or(1);
    for piece in answer.body.chunks(answer.body.len().div_ceil(pieces).max(1)) {
        stream.write_all(piece).await?;
        stream.flush().await?;
        sleep(time / PIECES).await;
    }
    Ok(())
}
