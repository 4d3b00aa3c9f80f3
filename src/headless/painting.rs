//! Lines at the foot of what a terminal shows, painted over again and again.
//!
//! The cursor waits where they begin. A terminal that gets another size wraps
//! lines anew and takes the cursor along, so that everything from it on is
//! still ours, and what is said in between goes above.

use std::fmt::Write as _;
use std::io::{self, Write};

/// What is painted just now.
#[derive(Debug, Default)]
pub(super) struct Painting {
    lines: Vec<String>,
}

impl Painting {
    /// Shows `lines`, each narrower than the terminal, in place of what was
    /// there.
    pub(super) fn paint(&mut self, err: &mut dyn Write, lines: Vec<String>) -> io::Result<()> {
        self.lines = lines;
        // In one piece, so that it does not flicker.
        write_all(err, &self.painted())
    }

    /// Takes everything away.
    pub(super) fn clear(&mut self, err: &mut dyn Write) -> io::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        self.lines.clear();
        write_all(err, "\x1b[J")
    }

    /// Says `text` for good, above what is painted.
    pub(super) fn say(&self, err: &mut dyn Write, text: &str) -> io::Result<()> {
        if self.lines.is_empty() {
            return writeln!(err, "{text}");
        }
        write_all(err, &format!("\x1b[J{text}\n{}", self.painted()))
    }

    fn painted(&self) -> String {
        let Some((last, above)) = self.lines.split_last() else { return "\x1b[J".into() };
        let mut text: String = above.iter().flat_map(|line| [line.as_str(), "\x1b[K\n"]).collect();
        text.extend([last, "\x1b[J\r"]);
        if !above.is_empty() {
            // A string takes whatever is written.
            let _ = write!(text, "\x1b[{}A", above.len());
        }
        text
    }
}

fn write_all(err: &mut dyn Write, text: &str) -> io::Result<()> {
    err.write_all(text.as_bytes())?;
    err.flush()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;

    /// A terminal of so many columns that has been shown all of it.
    struct Terminal(vt100::Parser);

    impl Terminal {
        fn new(rows: u16, columns: u16) -> Self {
            let [rows, columns] = [rows, columns].map(|n| NonZeroU16::new(n).unwrap());
            Self(vt100::Parser::new(rows, columns, 0))
        }

        fn shows(&self) -> Vec<String> {
            self.0.screen().contents().lines().map(|line| line.trim_end().to_owned()).collect()
        }
    }

    impl Write for Terminal {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // As a terminal's driver does.
            let text = String::from_utf8_lossy(bytes).replace('\n', "\r\n");
            self.0.process(text.as_bytes());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_said_stands_above_and_stays() {
        let (mut terminal, mut painting) = (Terminal::new(6, 20), Painting::default());
        painting.paint(&mut terminal, lines(&["a long line, one", "two"])).unwrap();
        painting.say(&mut terminal, "a complaint").unwrap();
        assert_eq!(terminal.shows(), ["a complaint", "a long line, one", "two"]);
        painting.paint(&mut terminal, lines(&["1", "2"])).unwrap();
        painting.say(&mut terminal, "another").unwrap();
        assert_eq!(terminal.shows(), ["a complaint", "another", "1", "2"]);
        painting.paint(&mut terminal, lines(&["3"])).unwrap();
        assert_eq!(terminal.shows(), ["a complaint", "another", "3"]);
        painting.clear(&mut terminal).unwrap();
        painting.say(&mut terminal, "the end").unwrap();
        assert_eq!(terminal.shows(), ["a complaint", "another", "the end"]);
    }

    #[test]
    fn a_screen_that_is_full_scrolls_and_nothing_is_torn() {
        let (mut terminal, mut painting) = (Terminal::new(4, 20), Painting::default());
        for n in 0..9 {
            painting.paint(&mut terminal, lines(&["one", "two"])).unwrap();
            painting.say(&mut terminal, &format!("complaint {n}")).unwrap();
        }
        assert_eq!(terminal.shows(), ["complaint 7", "complaint 8", "one", "two"]);
    }

    #[test]
    fn a_complaint_of_several_rows_is_kept_whole() {
        let (mut terminal, mut painting) = (Terminal::new(6, 8), Painting::default());
        painting.paint(&mut terminal, lines(&["one"])).unwrap();
        painting.say(&mut terminal, "a long complaint").unwrap();
        painting.paint(&mut terminal, lines(&["two"])).unwrap();
        assert_eq!(terminal.shows(), ["a long complaint", "two"], "one line, wrapped");
    }
}
