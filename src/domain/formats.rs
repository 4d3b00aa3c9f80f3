//! How many files there are of each format, as a person wants to read it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Printable;

/// How many files there are of each format that is known by its name but
/// cannot be decoded. Shown as `3 HEIC, 1 CR2`, the most frequent first;
/// as JSON, an object with a number for each name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Formats(BTreeMap<String, usize>);

impl Formats {
    /// Counts a file, if its format is known.
    pub fn add(&mut self, format: Option<&str>) {
        if let Some(format) = format {
            *self.0.entry(format.to_owned()).or_default() += 1;
        }
    }

    /// Whether none was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> FromIterator<Option<&'a str>> for Formats {
    fn from_iter<I: IntoIterator<Item = Option<&'a str>>>(formats: I) -> Self {
        let mut counted = Self::default();
        formats.into_iter().for_each(|format| counted.add(format));
        counted
    }
}

impl fmt::Display for Formats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all: Vec<(&String, &usize)> = self.0.iter().collect();
        // Of equals the first by name, as the sort is stable.
        all.sort_by_key(|(_, count)| Reverse(**count));
        for (at, (format, count)) in all.into_iter().enumerate() {
            let separator = if at > 0 { ", " } else { "" };
            // The name may come from a file that another process wrote.
            write!(f, "{separator}{count} {}", Printable::new(format))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_format_is_named_first_and_what_has_none_is_left_out() {
        let formats = [Some("CR2"), Some("HEIC"), None, Some("AVIF"), Some("HEIC")];
        let formats: Formats = formats.into_iter().collect();
        assert_eq!(formats.to_string(), "2 HEIC, 1 AVIF, 1 CR2");
        assert!([None, None].into_iter().collect::<Formats>().is_empty());
    }

    #[test]
    fn a_name_that_was_read_from_a_file_moves_no_cursor() {
        let formats: Formats = [Some("\x1b[2J")].into_iter().collect();
        assert_eq!(formats.to_string(), "1 \\u{1b}[2J");
    }
}
