//! The first bytes of a matrix file: what it is, and of what.

use super::{Mark, padding, row_bytes};
use crate::domain::Fingerprint;
use crate::store::embedded::space::Space;

/// Bytes of the header.
pub(super) const SIZE: usize = 128;

const MAGIC: [u8; 8] = *b"clMatrix";
const FORMAT: u64 = 1;

/// What a matrix file says of itself. After the magic and the format, in the
/// order of the fields; zeros to the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Header {
    /// Components per embedding, without padding.
    pub(super) dimension: usize,
    /// How many embeddings there are.
    pub(super) rows: usize,
    /// The number of the last change in them.
    pub(super) seq: i64,
    /// Over all that follows the header, and the header without this sum.
    pub(super) checksum: u64,
    /// The model.
    pub(super) fingerprint: Fingerprint,
    /// The collection.
    pub(super) mark: Mark,
}

impl Header {
    pub(super) fn bytes(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..24].copy_from_slice(&(self.dimension as u64).to_le_bytes());
        bytes[24..32].copy_from_slice(&(self.rows as u64).to_le_bytes());
        bytes[32..40].copy_from_slice(&self.seq.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.checksum.to_le_bytes());
        bytes[48..80].copy_from_slice(&self.fingerprint.0);
        bytes[80..96].copy_from_slice(&self.mark);
        bytes
    }

    /// The header in `bytes`, or `None` if they are something else's.
    pub(super) fn parse(bytes: &[u8; SIZE]) -> Option<Self> {
        let (words, _) = bytes.as_chunks::<8>();
        let number = |at: usize| u64::from_le_bytes(words[at]);
        if words[0] != MAGIC || number(1) != FORMAT {
            return None;
        }
        Some(Self {
            dimension: usize::try_from(number(2)).ok()?,
            rows: usize::try_from(number(3)).ok()?,
            seq: i64::from_le_bytes(words[4]),
            checksum: number(5),
            fingerprint: Fingerprint(bytes[48..80].try_into().ok()?),
            mark: bytes[80..96].try_into().ok()?,
        })
    }

    /// The same, if it is of `space` and carries `mark`.
    pub(super) fn belonging_to(self, space: &Space, mark: Mark) -> Option<Self> {
        let belongs = self.mark == mark
            && self.fingerprint == space.fingerprint
            && self.dimension == space.dimension;
        belongs.then_some(self)
    }

    /// The bytes of the header as the checksum takes them.
    pub(super) fn unsummed(&self) -> [u8; SIZE] {
        Self { checksum: 0, ..*self }.bytes()
    }

    /// Bytes of all rows. Only for a header whose file has its length.
    pub(super) fn row_bytes(&self) -> usize {
        self.rows * row_bytes(self.dimension)
    }

    /// Bytes of the whole file, unless there cannot be so large a one.
    pub(super) fn file_bytes(&self) -> Option<usize> {
        let rows = self.rows.checked_mul(row_bytes(self.dimension))?;
        let ids = self.rows.checked_mul(size_of::<i64>())?;
        SIZE.checked_add(rows)?.checked_add(ids)?.checked_add(padding(ids))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_what_was_written() {
        let header = Header {
            dimension: 512,
            rows: 3,
            seq: -5,
            checksum: u64::MAX,
            fingerprint: Fingerprint([7; 32]),
            mark: [9; 16],
        };
        assert_eq!(Header::parse(&header.bytes()), Some(header));
        assert_eq!(Header::parse(&[0; SIZE]), None);
    }
}
