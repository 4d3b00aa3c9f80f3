//! What can go wrong between here and a collection behind the Data API, in
//! words for the person at the terminal.

use std::time::Duration;

use crate::domain::{ModelId, Place, Printable};
use crate::secret::Secret;

/// Why a database could not do what it was asked. None of them shows a token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No endpoint is set.
    #[error("the variable {variable} is not set")]
    NoEndpoint {
        /// Which variable would hold it.
        variable: String,
    },
    /// No token is set.
    #[error("the variable {variable} is not set")]
    NoToken {
        /// Which variable would hold it.
        variable: String,
    },
    /// A token that no request can carry.
    #[error("the token holds a character that no token has")]
    Token,
    /// The endpoint is no address.
    #[error("the endpoint makes no sense: {reason}")]
    Endpoint {
        /// Why.
        reason: String,
    },
    /// The token would travel in the clear.
    #[error("the endpoint at {host} is a plain http address: the token would travel in the clear")]
    PlainHttp {
        /// The host.
        host: String,
        /// Whether it is one of Astra's, which all do TLS.
        astra: bool,
    },
    /// A keyspace or collection that cannot be named so.
    #[error(
        "no {what} can be called {:?}: a name has 1 to 48 letters, digits and _",
        Secret::hide_tokens(&Printable::new(.name).to_string())
    )]
    Name {
        /// Keyspace or collection.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// No HTTP client can be made here.
    #[error("cannot prepare for TLS")]
    Client(#[source] reqwest::Error),
    /// No connection.
    #[error("cannot connect to {host}: {reason}")]
    Unreachable {
        /// The host.
        host: String,
        /// Why.
        reason: String,
    },
    /// Somebody else answers for the host.
    #[error("{host} cannot prove that it is {host}: {reason}")]
    Certificate {
        /// The host.
        host: String,
        /// Why.
        reason: String,
    },
    /// No answer in time.
    #[error("{host} did not answer within {} s", .waited.as_secs())]
    Timeout {
        /// The host.
        host: String,
        /// How long.
        waited: Duration,
    },
    /// The connection ended in the middle.
    #[error("the connection to {host} broke off: {reason}")]
    Interrupted {
        /// The host.
        host: String,
        /// Why.
        reason: String,
    },
    /// A status that tells of a failure, and nothing else of use.
    #[error("{host} answered with HTTP status {status}")]
    Status {
        /// The host.
        host: String,
        /// Which.
        status: u16,
    },
    /// Something else than a Data API answers.
    #[error("{host} answered with {found} instead of a Data API's JSON (HTTP status {status})")]
    NotDataApi {
        /// The host.
        host: String,
        /// What came.
        found: &'static str,
        /// With which status.
        status: u16,
    },
    /// There is no Data API at that address.
    #[error("there is no Data API below {url} (HTTP status {status})")]
    NoSuchPath {
        /// What was asked.
        url: String,
        /// With which status.
        status: u16,
    },
    /// The token is not one the database takes.
    #[error("{host} does not accept the token")]
    TokenRefused {
        /// The host.
        host: String,
    },
    /// The token may not do this.
    #[error("{host} accepts the token, but its role does not allow this: {reason}")]
    NotAllowed {
        /// The host.
        host: String,
        /// What it said.
        reason: String,
    },
    /// There is no such keyspace, or none that the token may see.
    #[error("{host} has no keyspace {keyspace} for this token")]
    NoKeyspace {
        /// The host.
        host: String,
        /// Which.
        keyspace: String,
    },
    /// The database does not wake up.
    #[error("the database at {host} was asleep and is still not back after {} min", .waited.as_secs() / 60)]
    Asleep {
        /// The host.
        host: String,
        /// How long.
        waited: Duration,
    },
    /// The database takes no more.
    #[error("{host} keeps refusing requests, as there are too many of them")]
    RateLimited {
        /// The host.
        host: String,
    },
    /// A request is larger than what the server, or a proxy before it, takes.
    #[error("{host} refuses a request of {bytes} bytes as too large")]
    TooLarge {
        /// The host.
        host: String,
        /// Its length.
        bytes: usize,
    },
    /// There is no such collection.
    #[error("there is no collection {place}")]
    NoCollection {
        /// Which.
        place: Place,
    },
    /// The collection holds other vectors than ours.
    #[error("the collection {place} holds {found}, where {needed} are needed")]
    OtherShape {
        /// Which.
        place: Place,
        /// What it holds.
        found: String,
        /// What the model makes.
        needed: String,
    },
    /// A table, or something from another world, has that name.
    #[error("{place} exists, but is not a collection of documents")]
    NotACollection {
        /// Which.
        place: Place,
    },
    /// The database has no room for another collection.
    #[error("the database at {host} has no room for another collection: {reason}")]
    Full {
        /// The host.
        host: String,
        /// What it said.
        reason: String,
    },
    /// Adding to pictures whose model is not recorded would mix two models.
    #[error(
        "the collection {place} does not say which model embedded its pictures, so adding some \
         embedded by {} could mix two",
        Printable::new(&model.name)
    )]
    UnknownOrigin {
        /// Which collection.
        place: Place,
        /// The model in use.
        model: ModelId,
    },
    /// A newer carlens has made the collection.
    #[error("the collection {place} was made by a newer carlens (format {format}): update carlens")]
    Newer {
        /// Which.
        place: Place,
        /// Its format.
        format: u32,
    },
    /// What was just made is not there.
    #[error("what was just stored in {place} cannot be read back")]
    Lost {
        /// Where.
        place: Place,
    },
    /// Anything else that the server refuses.
    #[error("{host} refuses: {message} ({code})")]
    Refused {
        /// The host.
        host: String,
        /// The Data API's code.
        code: String,
        /// What it said.
        message: String,
    },
}

impl Error {
    /// What to try.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        Some(match self {
            Self::NoEndpoint { variable } => format!(
                "set {variable} to the endpoint on the database's page of Astra's portal, in the \
                 environment or in a .env file, or use `--store embedded`"
            ),
            Self::NoToken { variable } => format!(
                "set {variable} to a token of the database (AstraCS:…, made in Astra's portal), in \
                 the environment or in a .env file, or use `--store embedded`"
            ),
            Self::Token | Self::TokenRefused { .. } => {
                "make a new token for this database in Astra's portal, and copy it whole, from \
                 AstraCS: on; for a self-hosted Data API it is \
                 Cassandra:base64(user):base64(password)"
                    .into()
            }
            Self::Endpoint { .. } | Self::NoSuchPath { .. } => {
                "copy the endpoint from the database's page of Astra's portal \
                 (https://DATABASE-REGION.apps.astra.datastax.com); for a self-hosted Data API \
                 give its host and port"
                    .into()
            }
            Self::PlainHttp { astra: true, .. } => "write https instead of http".into(),
            Self::PlainHttp { astra: false, .. } => {
                "write https, or set `plain_http = true` under [astra] if the network between is \
                 trusted"
                    .into()
            }
            Self::Name { .. } => "choose another name".into(),
            Self::Client(_) | Self::Newer { .. } | Self::Refused { .. } => return None,
            Self::Lost { .. } => "try again in a minute".into(),
            Self::Unreachable { .. } => {
                "check the endpoint, the network and HTTPS_PROXY; a database that has slept for \
                 long may have to be resumed in Astra's portal"
                    .into()
            }
            Self::Certificate { .. } => {
                "a proxy may be reading along; its certificate has to be one that this system \
                 trusts. Carlens does not go on without"
                    .into()
            }
            Self::Status { status: 400..=499, .. } => {
                "check the endpoint, and the proxy in between if there is one (HTTPS_PROXY)".into()
            }
            Self::Timeout { .. }
            | Self::Interrupted { .. }
            | Self::Status { .. }
            | Self::RateLimited { .. } => {
                "try again later; what is stored stays stored, and a load goes on where it stopped"
                    .into()
            }
            Self::NotDataApi { .. } => {
                "a proxy or a login page of the network may be in between, or the endpoint is \
                 that of something else"
                    .into()
            }
            Self::NotAllowed { .. } => {
                "make a token with a role that may read and write this database".into()
            }
            Self::NoKeyspace { .. } => {
                "check the name of the keyspace (ASTRA_DB_KEYSPACE, or `keyspace` under [astra]), \
                 and that the token belongs to this database: one of another database is \
                 answered the same"
                    .into()
            }
            Self::Asleep { .. } => {
                "resume it in Astra's portal, or try again in some minutes".into()
            }
            Self::TooLarge { .. } => "a proxy in between may allow too little".into(),
            Self::NoCollection { .. } => {
                "load a folder of pictures first, with `carlens load DIR`".into()
            }
            Self::OtherShape { .. } | Self::NotACollection { .. } => {
                "choose another collection with --collection, or the model that this one was made \
                 with; it was left as it is"
                    .into()
            }
            Self::Full { .. } => {
                "delete a collection that is no longer needed in Astra's portal, or use one that \
                 exists, with --collection"
                    .into()
            }
            Self::UnknownOrigin { .. } => {
                "if you know that this model made them (the DataStax article's loader uses \
                 clip-vit-b-32), say so with `carlens load --adopt`; else choose another \
                 collection with --collection"
                    .into()
            }
        })
    }

    /// How many times a request may fail so before that is the answer.
    pub(super) fn attempts(&self, most: u32) -> u32 {
        match self {
            // Whoever mistyped the endpoint should not have to wait for long.
            Self::Unreachable { .. } | Self::Timeout { .. } => most.min(3),
            _ => most,
        }
    }
}
