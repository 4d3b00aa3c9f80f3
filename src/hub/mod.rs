//! Full-size checkpoints from the Hugging Face hub, kept where every program
//! on the machine finds them.
//!
//! What is fetched goes into the hub's own cache layout, so that a model
//! Python has downloaded is found here and the other way round. The `hf-hub`
//! crate is not used: it brings the whole Xet stack along and cannot continue
//! a broken transfer in the shared layout. The transfer here is four requests
//! of plain HTTP: the list of files, a `HEAD` for size and hash of each, and a
//! `GET` with a `Range` for whatever is not here yet.
//!
//! What lies in a fetched folder is none of this layer's business; `clip`
//! reads it.

mod checksum;
mod client;
mod endpoint;
mod environment;
mod error;
mod files;
mod layout;
mod listing;
mod partial;
mod patience;
mod preset;
mod progress;
mod pull;
mod repository;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use self::endpoint::Endpoint;
use self::environment::{Environment, Token};
use self::layout::Layout;
use self::pull::Pull;
use crate::domain::Printable;

pub use self::error::Error;
pub use self::patience::Patience;
pub use self::preset::Preset;
pub use self::progress::{PullProgress, PullStep};
pub use self::repository::Repository;
pub use crate::secret::Secret;

/// A hub and the cache of what came from it.
#[derive(Clone, Debug)]
pub struct Hub {
    endpoint: Endpoint,
    cache: PathBuf,
    token: Option<Secret>,
    offline: bool,
    patience: Patience,
}

impl Hub {
    /// The hub the environment names, by the variables of Python's
    /// `huggingface_hub` and with their precedence: `HF_ENDPOINT`;
    /// `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `HF_HOME`, `XDG_CACHE_HOME`;
    /// `HF_TOKEN`, `HF_TOKEN_PATH`; `HF_HUB_OFFLINE`.
    ///
    /// `lookup` is [`std::env::var_os`], or a stand-in for it. Besides, only
    /// the token's file is read. The network is not touched.
    ///
    /// # Errors
    /// If there is no place for a cache, or `HF_ENDPOINT` is not an address.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let environment = Environment::read(lookup)?;
        let endpoint = environment.endpoint.as_deref().unwrap_or(Endpoint::DEFAULT);
        let token = match environment.token {
            Token::None => None,
            Token::Given(token) => Some(token),
            Token::File(path) => token_in(&path),
        };
        let hub = Self::new(endpoint, environment.cache)?;
        Ok(Self { token, offline: environment.offline, ..hub })
    }

    /// The hub at `endpoint` with its cache in `cache`, without a token.
    ///
    /// # Errors
    /// If `endpoint` is not an http or https address.
    pub fn new(endpoint: &str, cache: impl Into<PathBuf>) -> Result<Self, Error> {
        Ok(Self {
            endpoint: Endpoint::parse(endpoint)?,
            cache: cache.into(),
            token: None,
            offline: false,
            patience: Patience::default(),
        })
    }

    /// Shows `token` to the hub, and to no other server it redirects to.
    #[must_use]
    pub fn with_token(self, token: Secret) -> Self {
        Self { token: Some(token), ..self }
    }

    /// Waits as `patience` says.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// The folder models are kept in, which need not exist.
    #[must_use]
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Whether the environment forbids the network.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// The folder of a checkpoint of `repository` that is on this machine with
    /// every file needed to load it, whichever program fetched it. The commit
    /// its revision stands for comes first, then the newest other one.
    #[must_use]
    pub fn find(&self, repository: &Repository) -> Option<PathBuf> {
        Layout::new(&self.cache, repository).find()
    }

    /// Like [`Hub::find`], in any of the places `preset` may come from.
    #[must_use]
    pub fn find_preset(&self, preset: &Preset) -> Option<PathBuf> {
        preset.sources().find_map(|source| self.find(source))
    }

    /// Brings the newest commit of `repository` to this machine and returns
    /// the folder of its checkpoint.
    ///
    /// What is here already is verified and not fetched again. A connection
    /// that breaks is taken up where it broke, now or by a later pull. However
    /// a pull ends, the checkpoint is either complete or not to be found.
    /// Dropping the future is as good as cancelling it. Offline, what
    /// [`Hub::find`] knows is returned.
    ///
    /// # Errors
    /// See [`Error`], whose [`Error::hint`] says what to try.
    pub async fn pull(
        &self,
        repository: &Repository,
        progress: impl FnMut(PullProgress) + Send,
        cancel: &CancellationToken,
    ) -> Result<PathBuf, Error> {
        if self.offline {
            return self.find(repository).ok_or_else(|| Error::Offline(repository.to_string()));
        }
        let pull = Pull::new(self, repository)?;
        cancel.run_until_cancelled(pull.run(progress)).await.unwrap_or(Err(Error::Cancelled))
    }

    /// Like [`Hub::pull`], from the first place of `preset` that has it.
    ///
    /// # Errors
    /// As [`Hub::pull`]; if no place has it, what the first one said.
    pub async fn pull_preset(
        &self,
        preset: &Preset,
        mut progress: impl FnMut(PullProgress) + Send,
        cancel: &CancellationToken,
    ) -> Result<PathBuf, Error> {
        if let Some(folder) = self.find_preset(preset).filter(|_| self.offline) {
            return Ok(folder);
        }
        let mut outcome = self.pull(&preset.repository, &mut progress, cancel).await;
        for source in preset.alternatives {
            if !outcome.as_ref().is_err_and(Error::is_absence) {
                break;
            }
            let next = self.pull(source, &mut progress, cancel).await;
            outcome = if next.as_ref().is_err_and(Error::is_absence) { outcome } else { next };
        }
        outcome
    }
}

/// A token file that cannot be read must not keep anyone from public models.
fn token_in(path: &Path) -> Option<Secret> {
    match std::fs::read_to_string(path) {
        Ok(text) => Secret::new(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(path = %Printable::from(path), %error, "going on without the token");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_can_be_spawned() {
        fn is_send<T: Send>(_: T) {}
        let hub = Hub::new("https://huggingface.co", "cache").unwrap();
        let cancel = CancellationToken::new();
        is_send(hub.pull_preset(&Preset::all()[0], |_| {}, &cancel));
    }
}
