//! What proves that a file is the one the hub means.

use std::io::{self, Read};

use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::domain::Hex;

/// The hash of a file's content. It is also the name of its blob in the
/// cache, as the hub sends it for an `ETag`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Checksum {
    /// SHA-256 of a large file.
    Sha256(String),
    /// Git's SHA-1 of a small one: over `blob LENGTH\0` and the content.
    GitBlob(String),
}

impl Checksum {
    /// Reads an `ETag` (`W/` and quotes are dropped) or a plain hash; `None`
    /// if it is neither of the two kinds.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let hash = text.trim().trim_start_matches("W/").trim_matches('"').to_ascii_lowercase();
        match hash.len() {
            _ if !hash.bytes().all(|b| b.is_ascii_hexdigit()) => None,
            64 => Some(Self::Sha256(hash)),
            40 => Some(Self::GitBlob(hash)),
            _ => None,
        }
    }

    /// The hash in hexadecimal digits.
    pub(super) fn as_str(&self) -> &str {
        let (Self::Sha256(hash) | Self::GitBlob(hash)) = self;
        hash
    }

    /// What people call it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "SHA-256",
            Self::GitBlob(_) => "Git hash",
        }
    }

    /// Whether `content`, of `size` bytes, is what this is the hash of.
    pub(super) fn matches(&self, content: &mut impl Read, size: u64) -> io::Result<bool> {
        let actual = match self {
            Self::Sha256(_) => digest(Sha256::new(), content)?,
            Self::GitBlob(_) => digest(Sha1::new_with_prefix(format!("blob {size}\0")), content)?,
        };
        Ok(actual == self.as_str())
    }
}

fn digest(mut hasher: impl Digest, content: &mut impl Read) -> io::Result<String> {
    let mut piece = vec![0; 1 << 20];
    loop {
        match content.read(&mut piece)? {
            0 => break,
            n => hasher.update(&piece[..n]),
        }
    }
    Ok(Hex(&hasher.finalize()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(hash: &str, content: &str) -> bool {
        let checksum = Checksum::parse(hash).unwrap();
        checksum.matches(&mut content.as_bytes(), content.len() as u64).unwrap()
    }

    #[test]
    fn the_content_is_told_from_any_other() {
        // `printf hello | git hash-object --stdin` and `sha256sum`.
        let git = "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0";
        let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        for hash in [git, sha256] {
            assert!(matches(hash, "hello"));
            assert!(!matches(hash, "hellp"));
        }
    }

    #[test]
    fn an_etag_is_read_without_its_dress() {
        let plain = "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0";
        for etag in [format!("\"{plain}\""), format!("W/\"{plain}\""), plain.to_uppercase()] {
            assert_eq!(Checksum::parse(&etag).unwrap().as_str(), plain);
        }
    }

    #[test]
    fn what_is_no_hash_is_not_taken_for_one() {
        for etag in ["", "\"\"", "\"5d41402abc4b2a76b9719d911017c592\"", &"../a".repeat(10)] {
            assert_eq!(Checksum::parse(etag), None, "{etag}");
        }
    }
}
