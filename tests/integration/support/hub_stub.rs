//! A Hugging Face hub on loopback: it lists and serves made-up repositories,
//! sends large files by way of a second server (the hub's storage), writes
//! down what it is asked, and misbehaves on demand.
//!
//! One request per connection. It knows as much of the API as carlens and
//! Python's `huggingface_hub` ask for.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// Content of at least this many bytes lies in the storage.
const LARGE: usize = 10_000;

/// Part of every address in the storage; it must never be shown.
pub const SIGNATURE: &str = "Signature=very-secret";

/// A revision of a repository.
#[derive(Clone)]
pub struct Revision {
    pub repository: &'static str,
    pub name: &'static str,
    pub commit: String,
    pub files: Vec<(&'static str, Vec<u8>)>,
}

/// What goes wrong with one answer.
#[derive(Clone)]
pub enum Fault {
    /// The connection ends after so many bytes of content.
    DropAfter(usize),
    /// Nothing more is sent after so many bytes, until [`HubStub::release`].
    HoldAfter(usize),
    /// Other content than announced, whatever range was asked for, without a
    /// length.
    Instead(Vec<u8>),
    /// Another page altogether, as before a login to a network.
    Portal(Vec<u8>),
    /// The whole file, whatever range was asked for.
    IgnoreRange,
    /// Just this status.
    Status(u16),
    /// A redirect to the same address, and from then on always.
    Circle,
    /// An answer without size and hash.
    Bare,
    /// A redirect to the same address, once, without naming the server.
    Moved,
    /// No answer at all.
    HangUp,
}

/// Which of the two servers was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    Hub,
    Storage,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub server: Server,
    pub method: String,
    pub path: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
}

pub struct HubStub {
    state: Arc<State>,
    tasks: [JoinHandle<()>; 2],
}

struct State {
    hub: SocketAddr,
    storage: SocketAddr,
    revisions: Mutex<Vec<Revision>>,
    faults: Mutex<HashMap<String, VecDeque<Fault>>>,
    requests: Mutex<Vec<Request>>,
    gate: Semaphore,
}

impl HubStub {
    pub async fn serve(revisions: Vec<Revision>) -> Self {
        let hub = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let storage = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = Arc::new(State {
            hub: hub.local_addr().unwrap(),
            storage: storage.local_addr().unwrap(),
            revisions: Mutex::new(revisions),
            faults: Mutex::default(),
            requests: Mutex::default(),
            gate: Semaphore::new(0),
        });
        let tasks = [(hub, Server::Hub), (storage, Server::Storage)]
            .map(|(listener, server)| tokio::spawn(accept(listener, server, Arc::clone(&state))));
        Self { state, tasks }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.state.hub)
    }

    /// Has `fault` happen to the next answer to `request`: `GET` or `HEAD`
    /// and the name of a file, or `GET listing`. Several queue up.
    pub fn fault(&self, request: &str, fault: Fault) {
        self.state.faults.lock().unwrap().entry(request.to_owned()).or_default().push_back(fault);
    }

    /// Lets an answer that is held go on.
    pub fn release(&self) {
        self.state.gate.add_permits(1);
    }

    /// Replaces what is served.
    pub fn publish(&self, revisions: Vec<Revision>) {
        *self.state.revisions.lock().unwrap() = revisions;
    }

    pub fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().clone()
    }

    pub fn forget_requests(&self) {
        self.state.requests.lock().unwrap().clear();
    }

    /// The `Range` headers of the requests for the content of large files.
    pub fn ranges(&self) -> Vec<Option<String>> {
        let of_storage = |request: &Request| request.server == Server::Storage;
        self.requests().into_iter().filter(of_storage).map(|request| request.range).collect()
    }
}

impl Drop for HubStub {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The name of the blob of `content` in the cache.
pub fn etag(content: &[u8]) -> String {
    if content.len() >= LARGE { sha256(content) } else { git_hash(content) }
}

async fn accept(listener: TcpListener, server: Server, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        // A client may hang up at any point, which is no failure of the stub.
        tokio::spawn(async move { answer(stream, server, &state).await.ok() });
    }
}

async fn answer(mut stream: TcpStream, server: Server, state: &State) -> io::Result<()> {
    let Some(request) = read_request(&mut stream, server).await? else { return Ok(()) };
    state.requests.lock().unwrap().push(request.clone());
    match server {
        Server::Hub => state.answer_as_hub(&mut stream, &request).await,
        Server::Storage => state.answer_as_storage(&mut stream, &request).await,
    }
}

async fn read_request(stream: &mut TcpStream, server: Server) -> io::Result<Option<Request>> {
    let mut lines = BufReader::new(stream).lines();
    let Some(first) = lines.next_line().await? else { return Ok(None) };
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut request = Request { server, method, path, range: None, authorization: None };
    while let Some(line) = lines.next_line().await?.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = Some(value.to_owned()),
            "authorization" => request.authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    Ok(Some(request))
}

impl State {
    async fn answer_as_hub(&self, stream: &mut TcpStream, request: &Request) -> io::Result<()> {
        let path = request.path.split('?').next().unwrap_or_default().replace("%2F", "/");
        if let Some(rest) = path.strip_prefix("/api/models/") {
            return self.answer_api(stream, request, rest).await;
        }
        let Some((revision, name)) = self.resolve(&path) else {
            return status(stream, 404, &[]).await;
        };
        let Some(content) = content_of(&revision, &name) else {
            return status(stream, 404, &[("x-error-code", "EntryNotFound".into())]).await;
        };
        let large = content.len() >= LARGE;
        // What happens to the content of a large file happens in the storage.
        let key = format!("{} {name}", request.method);
        let fault = if large && request.method == "GET" { None } else { self.next_fault(&key) };
        let commit = ("x-repo-commit", revision.commit.clone());
        match fault {
            Some(Fault::Status(code)) => status(stream, code, &[]).await,
            Some(Fault::Bare) => status(stream, 302, &[("location", self.place(&name))]).await,
            Some(Fault::Moved) => status(stream, 307, &[("location", request.path.clone())]).await,
            _ if large => {
                let hash = ("x-linked-etag", format!("\"{}\"", etag(&content)));
                let size = ("x-linked-size", content.len().to_string());
                status(stream, 302, &[commit, hash, size, ("location", self.place(&name))]).await
            }
            fault => {
                let hash = ("etag", format!("\"{}\"", etag(&content)));
                self.send(stream, request, content, &[commit, hash], fault).await
            }
        }
    }

    async fn answer_as_storage(&self, stream: &mut TcpStream, request: &Request) -> io::Result<()> {
        let path = request.path.split('?').next().unwrap_or_default();
        let name = path.trim_start_matches('/');
        let revisions = self.revisions.lock().unwrap().clone();
        let Some(content) = revisions.iter().find_map(|revision| content_of(revision, name)) else {
            return status(stream, 404, &[]).await;
        };
        match self.next_fault(&format!("{} {name}", request.method)) {
            Some(Fault::Status(code)) => status(stream, code, &[]).await,
            Some(Fault::HangUp) => stream.shutdown().await,
            Some(Fault::Circle) => {
                let key = format!("{} {name}", request.method);
                self.faults.lock().unwrap().entry(key).or_default().push_back(Fault::Circle);
                status(stream, 302, &[("location", self.place(name))]).await
            }
            fault => self.send(stream, request, content, &[], fault).await,
        }
    }

    fn place(&self, name: &str) -> String {
        format!("http://{}/{name}?{SIGNATURE}", self.storage)
    }

    async fn answer_api(
        &self,
        stream: &mut TcpStream,
        request: &Request,
        rest: &str,
    ) -> io::Result<()> {
        let fault = self.next_fault("GET listing");
        if let Some(Fault::Status(code)) = fault {
            return status(stream, code, &[]).await;
        }
        let revisions = self.revisions.lock().unwrap().clone();
        let found = revisions.iter().find_map(|revision| {
            let rest = rest.strip_prefix(revision.repository)?;
            if rest.is_empty() && revision.name == "main" {
                return Some(listing(revision, true));
            }
            let (kind, name) = rest.strip_prefix('/')?.split_once('/')?;
            let is_it = name == revision.name || name == revision.commit;
            match kind {
                _ if !is_it => None,
                "tree" => Some(tree(revision)),
                _ => Some(listing(revision, !matches!(fault, Some(Fault::Bare)))),
            }
        });
        let Some(found) = found else {
            return status(stream, 404, &[("x-error-code", "RepoNotFound".into())]).await;
        };
        let body = found.to_string().into_bytes();
        let json = ("content-type", "application/json".to_owned());
        self.send(stream, request, body, &[json], None).await
    }

    /// The revision and the file that `/REPOSITORY/resolve/REVISION/FILE` is.
    fn resolve(&self, path: &str) -> Option<(Revision, String)> {
        self.revisions.lock().unwrap().iter().find_map(|revision| {
            let rest = path.strip_prefix('/')?.strip_prefix(revision.repository)?;
            let rest = rest.strip_prefix("/resolve/")?;
            let names = [revision.name, &revision.commit];
            let file = names.iter().find_map(|name| rest.strip_prefix(name)?.strip_prefix('/'))?;
            Some((revision.clone(), file.to_owned()))
        })
    }

    fn next_fault(&self, key: &str) -> Option<Fault> {
        self.faults.lock().unwrap().get_mut(key)?.pop_front()
    }

    async fn send(
        &self,
        stream: &mut TcpStream,
        request: &Request,
        content: Vec<u8>,
        headers: &[(&str, String)],
        fault: Option<Fault>,
    ) -> io::Result<()> {
        let whole = content.len();
        let start = match &fault {
            Some(Fault::IgnoreRange | Fault::Instead(_) | Fault::Portal(_)) => None,
            _ => request.range.as_ref().map(|range| first_byte(range)),
        };
        let content = match &fault {
            Some(Fault::Instead(other) | Fault::Portal(other)) => other,
            _ => &content,
        };
        let body = &content[start.unwrap_or_default()..];
        let mut headers = headers.to_vec();
        if !matches!(fault, Some(Fault::Instead(_))) {
            headers.push(("content-length", body.len().to_string()));
        }
        if let Some(start) = start {
            headers.push(("content-range", format!("bytes {start}-{}/{whole}", whole - 1)));
        }
        stream
            .write_all(head(if start.is_some() { 206 } else { 200 }, &headers).as_bytes())
            .await?;
        if request.method == "HEAD" {
            return stream.shutdown().await;
        }
        self.send_body(stream, body, fault.as_ref()).await
    }

    async fn send_body(
        &self,
        stream: &mut TcpStream,
        body: &[u8],
        fault: Option<&Fault>,
    ) -> io::Result<()> {
        match fault {
            Some(&Fault::DropAfter(bytes)) => stream.write_all(&body[..bytes]).await?,
            Some(&Fault::HoldAfter(bytes)) => {
                stream.write_all(&body[..bytes]).await?;
                stream.flush().await?;
                self.gate.acquire().await.map_err(io::Error::other)?.forget();
                stream.write_all(&body[bytes..]).await?;
            }
            _ => stream.write_all(body).await?,
        }
        stream.shutdown().await
    }
}

async fn status(stream: &mut TcpStream, code: u16, headers: &[(&str, String)]) -> io::Result<()> {
    let mut headers = headers.to_vec();
    headers.push(("content-length", "0".to_owned()));
    stream.write_all(head(code, &headers).as_bytes()).await?;
    stream.shutdown().await
}

fn head(code: u16, headers: &[(&str, String)]) -> String {
    let mut head = format!("HTTP/1.1 {code} -\r\nconnection: close\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    head + "\r\n"
}

fn first_byte(range: &str) -> usize {
    range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap()
}

fn content_of(revision: &Revision, name: &str) -> Option<Vec<u8>> {
    revision.files.iter().find(|(file, _)| *file == name).map(|(_, content)| content.clone())
}

fn listing(revision: &Revision, with_hashes: bool) -> Value {
    let sibling = |(name, content): &(&str, Vec<u8>)| match with_hashes {
        false => json!({ "rfilename": name }),
        true if content.len() < LARGE => json!({
            "rfilename": name, "size": content.len(), "blobId": git_hash(content),
        }),
        true => json!({
            "rfilename": name, "size": content.len(), "blobId": git_hash(b"a note"),
            "lfs": { "sha256": sha256(content), "size": content.len(), "pointerSize": 134 },
        }),
    };
    let siblings = revision.files.iter().map(sibling).collect::<Vec<_>>();
    json!({ "id": revision.repository, "sha": revision.commit, "siblings": siblings })
}

/// Only Python asks for this.
fn tree(revision: &Revision) -> Value {
    let entry = |(name, content): &(&str, Vec<u8>)| {
        let mut entry = json!({
            "type": "file", "path": name, "size": content.len(), "oid": git_hash(content),
        });
        if content.len() >= LARGE {
            entry["lfs"] =
                json!({ "oid": sha256(content), "size": content.len(), "pointerSize": 134 });
        }
        entry
    };
    revision.files.iter().map(entry).collect()
}

fn sha256(content: &[u8]) -> String {
    hexadecimal(&Sha256::digest(content))
}

fn git_hash(content: &[u8]) -> String {
    let header = format!("blob {}\0", content.len());
    hexadecimal(&Sha1::new().chain_update(header).chain_update(content).finalize())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
