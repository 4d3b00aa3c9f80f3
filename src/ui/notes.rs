//! What the application remembers between two runs: the queries, and that the
//! download was offered. Small files in the state folder; a note that cannot
//! be read or written is logged, and never in anybody's way.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use super::update::MOST_HISTORY;

/// The state folder.
#[derive(Clone, Debug)]
pub struct Notes(PathBuf);

impl Notes {
    /// Notes in `folder`, which is made with the first of them.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Whether the download was offered before.
    #[must_use]
    pub fn was_offered(&self) -> bool {
        self.offered().exists()
    }

    /// Earlier queries, oldest first, each once.
    #[must_use]
    pub fn history(&self) -> Vec<String> {
        let lines = match fs::read(self.queries()) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                tracing::warn!(%error, "cannot read earlier queries");
                return Vec::new();
            }
        };
        let mut newest_first: Vec<String> = Vec::new();
        for line in lines.lines().rev().filter(|line| !line.trim().is_empty()) {
            if newest_first.len() < MOST_HISTORY && !newest_first.iter().any(|q| q == line) {
                newest_first.push(line.to_owned());
            }
        }
        newest_first.reverse();
        // Grown by what was said again and again.
        if lines.lines().count() > 2 * MOST_HISTORY {
            let kept = newest_first.join("\n") + "\n";
            log(fs::write(self.queries(), kept), "cannot tidy up earlier queries");
        }
        newest_first
    }

    pub(super) fn remember_offer(&self) {
        let written = fs::create_dir_all(&self.0).and_then(|()| fs::write(self.offered(), ""));
        log(written, "cannot note that the download was offered");
    }

    pub(super) fn remember_query(&self, query: &str) {
        // One write, as another terminal may append as well.
        let line = format!("{}\n", query.replace(char::is_control, " "));
        let append = || {
            fs::create_dir_all(&self.0)?;
            let mut file = OpenOptions::new().create(true).append(true).open(self.queries())?;
            file.write_all(line.as_bytes())
        };
        log(append(), "cannot note the query");
    }

    fn offered(&self) -> PathBuf {
        self.0.join("download-offered")
    }

    fn queries(&self) -> PathBuf {
        self.0.join("history")
    }
}

fn log(done: io::Result<()>, what: &str) {
    if let Err(error) = done {
        tracing::warn!(%error, "{what}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_there_again_each_once_and_the_latest_last() {
        let home = tempfile::tempdir().unwrap();
        let notes = Notes::new(home.path().join("state/carlens"));
        assert_eq!(notes.history(), [""; 0]);
        for query in ["red", "white van", "red", "two\nlines"] {
            notes.remember_query(query);
        }
        assert_eq!(notes.history(), ["white van", "red", "two lines"]);
    }

    #[test]
    fn a_history_that_was_grown_for_years_is_cut() {
        let home = tempfile::tempdir().unwrap();
        let notes = Notes::new(home.path().to_owned());
        let lines: Vec<String> = (0..5000).map(|n| format!("query {n}")).collect();
        fs::write(home.path().join("history"), lines.join("\n")).unwrap();
        assert_eq!(notes.history().len(), MOST_HISTORY);
        assert_eq!(notes.history().last().unwrap(), "query 4999");
        let kept = fs::read_to_string(home.path().join("history")).unwrap();
        assert_eq!(kept.lines().count(), MOST_HISTORY);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_nobodys_trouble() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        let notes = Notes::new(file.join("state"));
        notes.remember_query("red");
        notes.remember_offer();
        assert!(!notes.was_offered());
    }
}
