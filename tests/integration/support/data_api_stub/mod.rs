//! A `DataStax` Data API server on loopback: it keeps keyspaces, collections
//! and documents in memory, answers the commands that carlens and the official
//! Python client send, writes down what it is asked, and misbehaves on demand.
//!
//! Where the real server leaves something open (the order of documents, how
//! many a page holds), the stub picks what is least convenient.

mod collection;
mod connection;
mod database;
mod document;
mod failure;
mod filter;
mod http;
mod projection;
mod reply;
mod search;
mod settings;
mod update;
mod vector;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use database::Database;

/// The token that the server takes.
pub const TOKEN: &str = "AstraCS:stub:0f1e2d3c-very-secret";

/// A valid token, but of another database.
pub const OTHER_TOKEN: &str = "AstraCS:stub:other-database";

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub token: Option<String>,
    pub user_agent: Option<String>,
    pub content_type: Option<String>,
    /// Empty if the body names none.
    pub command: String,
    /// Null if it is no JSON, or was not read.
    pub body: Value,
    /// Length of the body, as announced if it was not read.
    pub bytes: usize,
}

/// What the server allows, and how it answers when all is well.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Documents of a page.
    pub page: usize,
    pub documents_per_insert: usize,
    /// Bytes of a request's body.
    pub body: usize,
    /// Documents that one `deleteMany` deletes.
    pub deletes: usize,
    /// Values of an `$in` or `$nin`.
    pub in_values: usize,
    /// As far as `countDocuments` counts.
    pub count: usize,
    /// Documents that a vector search finds.
    pub vector_limit: usize,
    /// Collections of the database.
    pub collections: usize,
    /// Passes before each answer.
    pub delay: Duration,
    /// Whether errors are coded and shaped as by servers of 2024, which also
    /// ignore unknown fields.
    pub old_codes: bool,
    /// What `estimatedDocumentCount` says; 0 if not set, as of a fresh
    /// collection.
    pub estimated: Option<u64>,
    /// With more than so many requests in flight, they are refused.
    pub rate: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            page: 20,
            documents_per_insert: 100,
            body: 20 * 1024 * 1024,
            deletes: 20,
            in_values: 100,
            count: 1000,
            vector_limit: 1000,
            collections: 5,
            delay: Duration::ZERO,
            old_codes: false,
            estimated: None,
            rate: None,
        }
    }
}

/// What goes wrong with one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status with this body, as a gateway sends it.
    Status(u16, &'static str),
    /// This status with `Retry-After` seconds and no body.
    RetryAfter(u16, u64),
    /// The database is hibernated.
    Resuming,
    /// The database refuses by its rate limit, which is HTTP 200.
    RateLimited,
    /// HTTP 200 with this error.
    ErrorCode {
        code: &'static str,
        family: &'static str,
        scope: &'static str,
        message: &'static str,
    },
    /// HTTP 200 with the page of a proxy.
    Html,
    /// The command is executed; the connection ends in the middle of the
    /// answer.
    Truncated,
    /// The command is executed; the answer is whole for HTTP, but half of the
    /// JSON.
    HalfJson,
    /// The connection ends without anything done or answered.
    HangUpBefore,
    /// The command is executed; the connection ends without an answer.
    HangUpAfter,
    /// The connection is reset before the body is read.
    ResetMidRequest,
    /// The first half of the documents of an `insertMany` is stored; the
    /// connection ends without an answer. Other commands are executed whole.
    Half,
    /// An inserted document is refused, the others are not. It happens to the
    /// next request that inserts a document of this id.
    Refuse { id: String, code: &'static str },
    /// Nothing is ever done or answered.
    Hold,
    /// The answer comes in pieces over about so long.
    Slow(Duration),
    /// HTTP 401.
    Unauthenticated,
}

/// Serves until dropped.
pub struct DataApiStub {
    address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

/// What the connections share.
struct State {
    database: Mutex<Database>,
    limits: Mutex<Limits>,
    faults: Mutex<VecDeque<(String, Fault)>>,
    requests: Mutex<Vec<Request>>,
    traffic: Mutex<Traffic>,
}

/// How many requests are being answered.
#[derive(Default)]
struct Traffic {
    now: usize,
    most: usize,
}

impl DataApiStub {
    /// Serves a database that has the keyspace `default_keyspace`, which is
    /// empty.
    pub async fn serve() -> Self {
        Self::serve_on(0).await
    }

    /// Serves on this port.
    pub async fn serve_on(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let state = Arc::new(State {
            database: Mutex::new(Database::new()),
            limits: Mutex::default(),
            faults: Mutex::default(),
            requests: Mutex::default(),
            traffic: Mutex::default(),
        });
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, task }
    }

    /// Where it serves, without a path.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().clone()
    }

    /// Has [`requests`](Self::requests) start over.
    pub fn forget_requests(&self) {
        self.state.requests.lock().unwrap().clear();
    }

    /// Has `fault` happen to the next request of this command, or of any if it
    /// is `*`. Several queue up.
    pub fn fault(&self, command: &str, fault: Fault) {
        self.state.faults.lock().unwrap().push_back((command.to_owned(), fault));
    }

    /// How many faults have not happened yet.
    pub fn faults_left(&self) -> usize {
        self.state.faults.lock().unwrap().len()
    }

    /// From now on nothing goes wrong.
    pub fn mend(&self) {
        self.state.faults.lock().unwrap().clear();
    }

    /// Changes the limits from now on.
    pub fn set_limits(&self, change: impl FnOnce(&mut Limits)) {
        change(&mut self.state.limits.lock().unwrap());
    }

    /// The documents of a collection as they were stored, in the order in
    /// which they were; none if there is no such collection.
    pub fn documents(&self, collection: &str) -> Vec<Value> {
        self.state.database.lock().unwrap().documents(collection)
    }

    /// Stores a document in an existing collection, unchecked.
    pub fn put(&self, collection: &str, document: Value) {
        self.state.database.lock().unwrap().put(collection, document);
    }

    /// Creates a collection as somebody else made it, with options as of
    /// `createCollection`, whatever the limit.
    #[expect(clippy::needless_pass_by_value, reason = "it is written on the spot")]
    pub fn create(&self, name: &str, options: Value) {
        let limits = self.state.limits.lock().unwrap().clone();
        self.state.database.lock().unwrap().create(name, &options, &limits);
    }

    /// The names of the collections.
    pub fn collections(&self) -> Vec<String> {
        self.state.database.lock().unwrap().collections()
    }

    /// The most requests that were being answered at one time.
    pub fn most_in_flight(&self) -> usize {
        self.state.traffic.lock().unwrap().most
    }
}

impl Drop for DataApiStub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    // Ends the connections with this task.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let state = Arc::clone(&state);
        // A client may hang up at any point, which is no failure of the stub.
        connections.spawn(async move { connection::serve(stream, &state).await.ok() });
    }
}
