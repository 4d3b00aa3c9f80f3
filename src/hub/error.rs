//! Everything that can go wrong with the hub, said to a person.

use std::io;
use std::path::{Path, PathBuf};

use crate::domain::Printable;

/// Why a model could not be fetched. [`Error::hint`] says what to try.
///
/// No message holds the token or the query of an address, as that of a
/// redirect carries a signature.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a variable nor a home folder says where models are kept.
    #[error("there is no place for models: none of HF_HUB_CACHE, HF_HOME and HOME is set")]
    NoCacheFolder,
    /// `HF_ENDPOINT` is not an http or https address.
    #[error("HF_ENDPOINT is not the address of a server")]
    Endpoint,
    /// A name no repository can have.
    #[error("{} is not the name of a repository", Printable::new(.0))]
    Repository(String),
    /// The token cannot be put into a request.
    #[error("the Hugging Face token has characters no token has")]
    Token,
    /// The HTTP client cannot start.
    #[error("the connection to the hub could not be prepared")]
    Client(#[source] reqwest::Error),
    /// The network is forbidden, and the model is not here.
    #[error("{0} is not on this machine, and HF_HUB_OFFLINE forbids fetching it")]
    Offline(String),
    /// A repository, revision or file that is not there.
    #[error("could not fetch {what}: {host} does not have it (404)")]
    NotFound {
        /// What was asked for.
        what: String,
        /// Who was asked.
        host: String,
    },
    /// 401 or 403: gated, private, or misspelt.
    #[error("could not fetch {what}: {host} refuses it ({status})")]
    Refused {
        /// What was asked for.
        what: String,
        /// Who was asked.
        host: String,
        /// 401 or 403.
        status: u16,
        /// Whether a token was sent along.
        with_token: bool,
    },
    /// The repository does not hold a checkpoint that can be loaded.
    #[error("{repository} has no {missing}")]
    Incomplete {
        /// The repository.
        repository: String,
        /// The part it lacks.
        missing: &'static str,
    },
    /// The server could not be reached or fell silent, several times over.
    #[error("could not fetch {what}: the connection failed")]
    Unreachable {
        /// What was asked for.
        what: String,
        /// What the connection says.
        #[source]
        source: reqwest::Error,
    },
    /// The server ended too early, several times over.
    #[error("could not fetch {what}: the server sent only {received} of {size} bytes")]
    CutShort {
        /// What was asked for.
        what: String,
        /// How much is here.
        received: u64,
        /// How much there should be.
        size: u64,
    },
    /// Any other HTTP status.
    #[error("could not fetch {what}: {host} answered with status {status}")]
    Status {
        /// What was asked for.
        what: String,
        /// Who answered.
        host: String,
        /// The status.
        status: u16,
    },
    /// A circle of redirects, or an overlong chain.
    #[error("could not fetch {0}: the server redirects without end")]
    Redirects(String),
    /// An answer that makes no sense.
    #[error("could not fetch {what}: {why}")]
    Answer {
        /// What was asked for.
        what: String,
        /// What is wrong with the answer.
        why: &'static str,
    },
    /// The content is not what the hub said it would be; it has been deleted.
    #[error("{what} arrived damaged and was deleted: its {property} is not what the hub announced")]
    Damaged {
        /// Which file.
        what: String,
        /// `size`, `SHA-256` or `Git hash`.
        property: &'static str,
    },
    /// The disk is full, or would be.
    #[error(
        "there is not enough room in {}{}",
        Printable::from(folder.as_path()),
        shortage(*.needed, *.free)
    )]
    NoSpace {
        /// Where the model was to go.
        folder: PathBuf,
        /// How many bytes are still to come, where that is known.
        needed: Option<u64>,
        /// How many are free, where that is known.
        free: Option<u64>,
    },
    /// The cache folder cannot be read or written.
    #[error("could not {doing} {}", Printable::from(path.as_path()))]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The person changed their mind.
    #[error("the pull was cancelled")]
    Cancelled,
}

const AGAIN: &str = "run `carlens model pull` again: it goes on from where it stopped";
const ELSEWHERE: &str = "set HF_ENDPOINT to a mirror, or copy the model's folder from another machine and set `model = \"/path/to/it\"`";

impl Error {
    /// What a person can try, as a sentence without its full stop.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NoCacheFolder => "set HF_HOME to a folder with 1 GB of room".to_owned(),
            Self::Endpoint => "give it as https://host, or unset it for huggingface.co".to_owned(),
            Self::Repository(_) => "it looks like organisation/repository".to_owned(),
            Self::Token => "check HF_TOKEN, or log in again with `hf auth login`".to_owned(),
            Self::Client(_) => {
                "see that the system's certificates are installed (ca-certificates)".to_owned()
            }
            Self::Offline(_) => {
                "unset HF_HUB_OFFLINE, or copy the model's folder from another machine and set `model = \"/path/to/it\"`"
                    .to_owned()
            }
            Self::NotFound { .. } | Self::Incomplete { .. } => format!("check the name; or {ELSEWHERE}"),
            Self::Refused { with_token: false, .. } => {
                "check the name; if the repository is private or gated, accept its terms on its page and set HF_TOKEN"
                    .to_owned()
            }
            Self::Refused { with_token: true, .. } => {
                "see on its page whether your account may read it, and whether the token is still valid"
                    .to_owned()
            }
            Self::Unreachable { .. } | Self::CutShort { .. } | Self::Status { .. } => {
                format!("{AGAIN}; or {ELSEWHERE}")
            }
            Self::Redirects(_) | Self::Answer { .. } => {
                format!("check HF_ENDPOINT and the proxy; or {ELSEWHERE}")
            }
            Self::Damaged { .. } => {
                format!("run `carlens model pull` again to fetch it anew; or {ELSEWHERE}")
            }
            Self::NoSpace { .. } => {
                format!("make room, or set HF_HOME to a folder on another disk; then {AGAIN}")
            }
            Self::Disk { .. } => "check the folder's rights, or set HF_HOME to another".to_owned(),
            Self::Cancelled => AGAIN.to_owned(),
        }
    }

    /// Whether the same request may well succeed a little later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::CutShort { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..),
            _ => false,
        }
    }

    /// Whether the server has nothing at the offset asked for.
    pub(super) fn is_wrong_range(&self) -> bool {
        matches!(self, Self::Status { status: 416, .. })
    }

    /// Whether another source of the same model may still have it.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::Incomplete { .. })
    }

    /// What `request` failed with, without its address.
    pub(super) fn from_request(what: &str, error: reqwest::Error) -> Self {
        let what = what.to_owned();
        if error.is_redirect() {
            Self::Redirects(what)
        } else {
            Self::Unreachable { what, source: error.without_url() }
        }
    }

    /// A failure of the file system; a full disk is told from the rest.
    pub(super) fn from_disk(doing: &'static str, path: &Path, source: io::Error) -> Self {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        let path = path.to_owned();
        if matches!(source.kind(), StorageFull | QuotaExceeded) {
            Self::NoSpace { folder: path, needed: None, free: None }
        } else {
            Self::Disk { doing, path, source }
        }
    }
}

fn shortage(needed: Option<u64>, free: Option<u64>) -> String {
    const MEGABYTE: u64 = 1_000_000;
    match (needed, free) {
        (Some(needed), Some(free)) => {
            format!(
                ": {} MB are needed, {} MB are free",
                needed.div_ceil(MEGABYTE),
                free / MEGABYTE
            )
        }
        _ => String::new(),
    }
}
