//! A text that must not be seen: it reaches one request header and no log.

use std::fmt;

/// An access token. Neither `Debug` nor anything else shows it, so a struct
/// that holds one may derive `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The token in `text` without line breaks and spaces around it, or `None`
    /// if nothing remains.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let token = text.replace(['\r', '\n'], "");
        Some(token.trim()).filter(|token| !token.is_empty()).map(|token| Self(token.to_owned()))
    }

    /// `text` without anything in it that looks like a token of a database.
    #[must_use]
    pub fn hide_tokens(text: &str) -> String {
        let is_of_token = |c: char| c.is_ascii_alphanumeric() || "-_:.+/=".contains(c);
        ["AstraCS:", "Cassandra:"].iter().fold(text.to_owned(), |text, start| {
            let mut parts = text.split(start);
            let before = parts.next().unwrap_or_default().to_owned();
            parts.fold(before, |hidden, part| {
                format!("{hidden}{start}[hidden]{}", part.trim_start_matches(is_of_token))
            })
        })
    }

    /// The token itself, for the header of a request.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

/// From now on this process leaves no image of its memory behind when it
/// crashes, and lets no debugger of the same user in. A system that knows no
/// such thing is as it was.
pub fn keep_out_of_core_dumps() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};

        // It fails only where the system is not Linux.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_hides_itself() {
        let secret = Secret::new(" hf_abc\n").unwrap();
        assert_eq!(format!("{secret:?}"), "[hidden]");
        assert_eq!(secret.expose(), "hf_abc");
    }

    #[test]
    fn tokens_are_hidden_in_any_text() {
        let text = "\"AstraCS:a-b:0f1\", and AstraCS:c";
        assert_eq!(Secret::hide_tokens(text), "\"AstraCS:[hidden]\", and AstraCS:[hidden]");
        assert_eq!(Secret::hide_tokens("nothing here"), "nothing here");
    }

    #[test]
    fn nothing_is_no_secret() {
        assert_eq!(Secret::new(" \r\n"), None);
    }
}
