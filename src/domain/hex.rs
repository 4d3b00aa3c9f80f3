//! Bytes as people compare them.

use std::fmt;

/// Shows bytes as two digits each.
///
/// ```
/// assert_eq!(carlens::domain::Hex(&[0x0a, 0xff]).to_string(), "0aff");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
