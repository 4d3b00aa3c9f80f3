//! Text from files or the network, made safe for a terminal.

use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::path::Path;

/// Shows text on one line with every control character escaped, so that a
/// file name can neither move the cursor nor forge a line. Bytes that are not
/// UTF-8 appear as `\xNN`.
///
/// ```
/// use carlens::domain::Printable;
/// assert_eq!(Printable::new("a\nb\u{1b}[31m").to_string(), "a\\nb\\u{1b}[31m");
/// assert_eq!(Printable::new("Škoda 123.jpg").to_string(), "Škoda 123.jpg");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(&'a OsStr);

impl<'a> Printable<'a> {
    /// Wraps a string or a path.
    pub fn new<T: AsRef<OsStr> + ?Sized>(text: &'a T) -> Self {
        Self(text.as_ref())
    }
}

impl<'a> From<&'a Path> for Printable<'a> {
    fn from(path: &'a Path) -> Self {
        Self(path.as_os_str())
    }
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.as_encoded_bytes().utf8_chunks() {
            for c in chunk.valid().chars() {
                if is_unsafe(c) { write!(f, "{}", c.escape_default())? } else { f.write_char(c)? }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

/// Control characters, and the invisible ones that reorder the text around
/// them (bidirectional overrides and isolates) or break a line.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
