//! Names on the hub: a repository, one of its revisions, a commit.

use std::borrow::Cow;
use std::fmt;

use super::Error;

/// Where a checkpoint lies on the hub: a repository, a branch or pull request
/// of it, and the folder inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    name: Cow<'static, str>,
    revision: &'static str,
    folder: &'static str,
}

impl Repository {
    /// The main branch of `name`, which is `organisation/repository` or, for a
    /// few old ones, a lone repository.
    ///
    /// # Errors
    /// If no repository can have that name; nothing that passes can lead out
    /// of the cache folder or into another address.
    pub fn parse(name: &str) -> Result<Self, Error> {
        let parts = name.split('/').collect::<Vec<_>>();
        if parts.len() > 2 || !parts.into_iter().all(is_name) {
            return Err(Error::Repository(name.to_owned()));
        }
        Ok(Self { name: Cow::Owned(name.to_owned()), revision: "main", folder: "" })
    }

    pub(super) const fn known(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), revision: "main", folder: "" }
    }

    pub(super) const fn at(mut self, revision: &'static str) -> Self {
        self.revision = revision;
        self
    }

    pub(super) const fn below(mut self, folder: &'static str) -> Self {
        self.folder = folder;
        self
    }

    /// `organisation/repository`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The branch (`main`) or pull request (`refs/pr/15`).
    #[must_use]
    pub fn revision(&self) -> &str {
        self.revision
    }

    /// The folder of the checkpoint inside the repository, empty at its top.
    #[must_use]
    pub fn folder(&self) -> &str {
        self.folder
    }

    /// The name inside the repository of a file of the checkpoint.
    pub(super) fn path_of(&self, file: &str) -> String {
        if self.folder.is_empty() { file.to_owned() } else { format!("{}/{file}", self.folder) }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The hub's own rule; `--` is what separates the parts in the cache.
fn is_name(part: &str) -> bool {
    let edge = |c: char| c == '.' || c == '-';
    (1..=96).contains(&part.len())
        && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        && !part.starts_with(edge)
        && !part.ends_with(edge)
        && !part.contains("--")
        && !part.contains("..")
}

/// The hash of a commit: 40 hexadecimal digits, so that it is safe as the
/// name of a folder whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Commit(String);

impl Commit {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        (text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit()))
            .then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_the_hub_allows_them_are_taken() {
        for name in ["openai/clip-vit-base-patch32", "gpt2", "a_b/C.d-1"] {
            assert_eq!(Repository::parse(name).unwrap().name(), name);
        }
    }

    #[test]
    fn a_name_that_could_lead_elsewhere_is_refused() {
        for name in
            ["", "/", "a/", "../b", "a/..", "a/b/c", "a--b/c", "a/b?c", "a/b%2f", "a\\b", "é"]
        {
            assert!(Repository::parse(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_commit_is_forty_digits() {
        assert!(Commit::parse(&format!("{}\n", "0a".repeat(20))).is_some());
        assert!(Commit::parse(&format!("../{}", "a".repeat(37))).is_none());
        assert!(Commit::parse("main").is_none());
    }
}
