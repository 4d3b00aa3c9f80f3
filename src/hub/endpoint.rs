//! The server that is asked: huggingface.co or a mirror of it.

use reqwest::Url;

use super::Error;
use super::repository::{Commit, Repository};

/// The address of a hub.
#[derive(Clone, Debug)]
pub(super) struct Endpoint(Url);

impl Endpoint {
    pub(super) const DEFAULT: &str = "https://huggingface.co";

    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let url = Url::parse(text.trim().trim_end_matches('/')).map_err(|_| Error::Endpoint)?;
        let is_server = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
        let is_plain = url.query().is_none() && url.fragment().is_none();
        if is_server && is_plain { Ok(Self(url)) } else { Err(Error::Endpoint) }
    }

    /// The list of files of a revision, with sizes and hashes.
    pub(super) fn listing(&self, repository: &Repository) -> Url {
        let mut url = self.below(&["api", "models"]);
        self.extend(&mut url, repository.name().split('/'));
        // A `/` inside the revision is escaped, as it is one step of the path.
        self.extend(&mut url, ["revision", repository.revision()]);
        url.set_query(Some("blobs=true"));
        url
    }

    /// One file as of a commit.
    pub(super) fn file(&self, repository: &Repository, commit: &Commit, path: &str) -> Url {
        let mut url = self.0.clone();
        self.extend(&mut url, repository.name().split('/'));
        self.extend(&mut url, ["resolve", commit.as_str()]);
        self.extend(&mut url, path.split('/'));
        url
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }

    pub(super) fn is_origin_of(&self, url: &Url) -> bool {
        self.0.origin() == url.origin()
    }

    fn below(&self, steps: &[&str]) -> Url {
        let mut url = self.0.clone();
        self.extend(&mut url, steps.iter().copied());
        url
    }

    #[expect(
        clippy::unused_self,
        reason = "it is the endpoint's promise that makes the expect true"
    )]
    fn extend<'a>(&self, url: &mut Url, steps: impl IntoIterator<Item = &'a str>) {
        url.path_segments_mut().expect("http addresses have paths").pop_if_empty().extend(steps);
    }
}

/// A server as it may be shown: without user, path and query.
pub(super) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("the server");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_hub() {
        let endpoint = Endpoint::parse("https://mirror.example/hub/").unwrap();
        let repository = Repository::known("openai/clip").at("refs/pr/15");
        assert_eq!(
            endpoint.listing(&repository).as_str(),
            "https://mirror.example/hub/api/models/openai/clip/revision/refs%2Fpr%2F15?blobs=true"
        );
        let commit = Commit::parse(&"0a".repeat(20)).unwrap();
        assert_eq!(
            endpoint.file(&repository, &commit, "sub/config.json").as_str(),
            format!(
                "https://mirror.example/hub/openai/clip/resolve/{}/sub/config.json",
                commit.as_str()
            )
        );
    }

    #[test]
    fn what_is_not_a_server_is_refused() {
        for text in ["", "huggingface.co", "file:///etc", "https://", "https://a.example/?x=1"] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_is_shown_without_its_signature() {
        let url = Url::parse("https://user:pw@cdn.example:81/a?Signature=s").unwrap();
        assert_eq!(host_of(&url), "cdn.example:81");
    }
}
