//! What a repository holds, as the hub's API tells it.

use serde::Deserialize;

use super::checksum::Checksum;
use super::repository::{Commit, Repository};
use super::{Error, files};

/// The files of one commit.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) commit: Commit,
    siblings: Vec<Sibling>,
}

/// A file as the listing has it. Mirrors may leave size and hashes out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

/// A large file, kept outside of Git.
#[derive(Debug, Deserialize)]
struct Lfs {
    sha256: Option<String>,
    size: Option<u64>,
}

#[derive(Deserialize)]
struct Wire {
    sha: String,
    siblings: Vec<Sibling>,
}

impl Listing {
    /// Reads the body of an answer; `None` if it is not a listing.
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        let wire = serde_json::from_slice::<Wire>(json).ok()?;
        Some(Self { commit: Commit::parse(&wire.sha)?, siblings: wire.siblings })
    }

    /// The names in the repository of the files a checkpoint is loaded from.
    ///
    /// They are ours, looked up among those the server sent, so that no name
    /// from the network ever becomes a path.
    pub(super) fn checkpoint(&self, repository: &Repository) -> Result<Vec<String>, Error> {
        let there = |name: &str| self.sibling(&repository.path_of(name)).is_some();
        match files::choose(there) {
            Ok(names) => Ok(names.into_iter().map(|name| repository.path_of(name)).collect()),
            Err(missing) => Err(Error::Incomplete { repository: repository.to_string(), missing }),
        }
    }

    /// The size of a file, if the listing has it.
    pub(super) fn size(&self, path: &str) -> Option<u64> {
        let sibling = self.sibling(path)?;
        sibling.lfs.as_ref().and_then(|lfs| lfs.size).or(sibling.size)
    }

    /// The hash of a file, if the listing has it.
    pub(super) fn checksum(&self, path: &str) -> Option<Checksum> {
        let sibling = self.sibling(path)?;
        // Git's hash of a large file is that of a note about it, not of itself.
        let hash = match &sibling.lfs {
            Some(lfs) => lfs.sha256.as_deref(),
            None => sibling.blob_id.as_deref(),
        };
        Checksum::parse(hash?)
    }

    fn sibling(&self, path: &str) -> Option<&Sibling> {
        self.siblings.iter().find(|sibling| sibling.rfilename == path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA256: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    const SHA1: &str = "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0";

    fn listing(siblings: &serde_json::Value) -> Listing {
        let json = serde_json::json!({ "id": "a/b", "sha": SHA1, "siblings": siblings });
        Listing::parse(json.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_large_file_is_known_by_its_sha256() {
        let siblings = serde_json::json!([{
            "rfilename": "model.safetensors", "size": 9, "blobId": SHA1,
            "lfs": { "sha256": SHA256, "size": 9, "pointerSize": 134 },
        }]);
        let checksum = listing(&siblings).checksum("model.safetensors");
        assert_eq!(checksum, Checksum::parse(SHA256));
    }

    #[test]
    fn names_of_a_mirror_suffice() {
        let listing = listing(&serde_json::json!([{ "rfilename": "config.json" }]));
        assert_eq!((listing.size("config.json"), listing.checksum("config.json")), (None, None));
    }

    #[test]
    fn names_that_lead_elsewhere_are_not_taken() {
        let names = ["../config.json", "/tokenizer.json", "./model.safetensors", "x/config.json"];
        let siblings = names.map(|name| serde_json::json!({ "rfilename": name }));
        let repository = Repository::known("a/b");
        assert!(listing(&siblings.to_vec().into()).checkpoint(&repository).is_err());
    }

    #[test]
    fn what_is_not_a_listing_is_refused() {
        for json in ["", "<html>", "{}", r#"{"sha":"../../../etc","siblings":[]}"#] {
            assert!(Listing::parse(json.as_bytes()).is_none(), "{json}");
        }
    }
}
