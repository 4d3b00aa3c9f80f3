//! Which model an embedding came from: embeddings of two models never mix.

use std::fmt;

use super::Hex;

/// SHA-256 over what decides a checkpoint's embeddings. Two checkpoints with
/// the same fingerprint give the same embeddings.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Reads what [`fmt::Display`] shows.
    #[must_use]
    pub fn parse(hex: &str) -> Option<Self> {
        let digits = hex.as_bytes().as_chunks::<2>();
        if digits.0.len() != 32 || !digits.1.is_empty() {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(digits.0) {
            let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
            *byte = u8::try_from(high? * 16 + low?).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// A model as a collection records it. Only the fingerprint decides whether
/// two are the same; the name is for people.
#[derive(Clone, Debug)]
pub struct ModelId {
    /// The preset or folder it was opened as.
    pub name: String,
    /// What its embeddings depend on.
    pub fingerprint: Fingerprint,
}

impl PartialEq for ModelId {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for ModelId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_is_shown() {
        let fingerprint = Fingerprint(std::array::from_fn(|n| u8::try_from(n * 8).unwrap()));
        assert_eq!(Fingerprint::parse(&fingerprint.to_string()), Some(fingerprint));
        for wrong in ["", "00", &"0g".repeat(32), &"00".repeat(33), &"0".repeat(63)] {
            assert_eq!(Fingerprint::parse(wrong), None, "{wrong}");
        }
    }
}
