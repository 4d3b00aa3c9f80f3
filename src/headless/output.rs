//! Where a command prints: results on standard output, everything else on
//! standard error, as bars, lines or JSON.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use serde_json::Value;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::bar::bar;
use super::painting::Painting;
use super::{Interrupts, json_lines};
use crate::backend::{Failure, Remark};
use crate::cli::ProgressChoice;
use crate::progress::Line;

/// How often a log gets a line.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// A screen or a program sees no more than this.
const SHOW_EVERY: Duration = Duration::from_millis(50);

/// The width of a terminal that does not tell.
const COLUMNS: usize = 80;

/// How standard error is written to.
#[derive(Clone, Copy, Debug)]
pub enum Style {
    /// Bars at the foot of a terminal, painted over.
    Bars {
        /// The width of the terminal as it is now.
        columns: fn() -> usize,
        /// Whether bars and failures have colours.
        coloured: bool,
    },
    /// A line every few seconds.
    Lines,
    /// One JSON object a line and nothing else, as README.md describes them.
    Json,
    /// No progress; complaints only.
    Silent,
}

impl Style {
    /// What was chosen; bars where standard error is a terminal that can move
    /// its cursor, if that is left open.
    #[must_use]
    pub fn of(choice: ProgressChoice) -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let bars = Self::Bars { columns, coloured: !is_set("NO_COLOR") };
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match choice {
            ProgressChoice::Auto if io::stderr().is_terminal() && !is_dumb => bars,
            ProgressChoice::Auto | ProgressChoice::Lines => Self::Lines,
            ProgressChoice::Bar => bars,
            ProgressChoice::Json => Self::Json,
            ProgressChoice::None => Self::Silent,
        }
    }
}

/// Of the terminal that standard error is.
#[cfg(unix)]
fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stderr());
    size.ok().map(|size| size.ws_col.into()).filter(|columns| *columns > 0).unwrap_or(COLUMNS)
}

#[cfg(not(unix))]
fn columns() -> usize {
    COLUMNS
}

/// Something under way, for people and for programs.
pub(super) trait Underway {
    fn line(&self) -> Line;
    fn object(&self) -> Value;
}

/// Standard error that may be gone or full: what nobody can be told ends nothing.
pub struct Unheeded<W>(pub W);

impl<W: Write> Write for Unheeded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        // See above.
        let _ = self.0.flush();
        Ok(())
    }
}

/// Where a command prints.
pub struct Output<'a> {
    /// Results.
    pub out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    style: Style,
    painting: Painting,
    shown: Instant,
}

impl<'a> Output<'a> {
    /// Results go to `out`, progress and complaints to `err`, in this `style`.
    pub fn new(out: &'a mut dyn Write, err: &'a mut dyn Write, style: Style) -> Self {
        // Long ago, but for a log, whose first line comes after a while.
        let now = Instant::now();
        let shown = match style {
            Style::Lines => now,
            _ => now.checked_sub(SHOW_EVERY).unwrap_or(now),
        };
        Self { out, err, style, painting: Painting::default(), shown }
    }

    /// Says what failed, why, and what to try.
    ///
    /// # Errors
    /// If standard error cannot be written to.
    pub fn complain(&mut self, failure: &Failure) -> io::Result<()> {
        self.error(&failure.to_string(), failure.hint.as_deref())
    }

    /// The same of `text` that says it already.
    ///
    /// # Errors
    /// If standard error cannot be written to.
    pub fn error(&mut self, text: &str, hint: Option<&str>) -> io::Result<()> {
        let object = json_lines::said("error", text, hint);
        self.say(&with_hint(&format!("error: {text}"), hint), &object)
    }

    pub(super) fn warn(&mut self, remark: &Remark) -> io::Result<()> {
        let (text, hint) = (&remark.text, Some(remark.hint.as_str()));
        let object = json_lines::said("warning", text, hint);
        self.say(&with_hint(&format!("warning: {text}"), hint), &object)
    }

    /// Something that is neither wrong nor a result.
    pub(super) fn note(&mut self, text: &str, hint: Option<&str>) -> io::Result<()> {
        self.say(&with_hint(text, hint), &json_lines::said("note", text, hint))
    }

    pub(super) fn hint(&mut self, hint: &str) -> io::Result<()> {
        self.say(&format!("hint: {hint}"), &json_lines::said("note", hint, None))
    }

    /// Says it in `words`, or to a program as an `object`; above the bars.
    pub(super) fn say(&mut self, words: &str, object: &Value) -> io::Result<()> {
        match self.style {
            Style::Json => writeln!(self.err, "{object}"),
            _ => self.painting.say(self.err, words),
        }
    }

    /// Asks for a yes.
    pub(super) async fn ask(&mut self, question: &str) -> io::Result<Answer> {
        let is_read = !matches!(self.style, Style::Json) && io::stderr().is_terminal();
        if !(is_read && io::stdin().is_terminal()) {
            return Ok(Answer::Nobody);
        }
        // Before the question: one that comes as soon as it stands there counts.
        let mut interrupts = Interrupts::watch();
        self.clear()?;
        write!(self.err, "{question} [y/N] ")?;
        self.err.flush()?;
        // Whoever does not answer is left standing there by an interrupt.
        let answer = spawn_blocking(|| io::stdin().lines().next().transpose());
        tokio::select! {
            answer = answer => {
                let answer = answer.map_err(io::Error::other)??.unwrap_or_default();
                let is_yes = matches!(answer.trim(), "y" | "Y" | "yes");
                Ok(if is_yes { Answer::Yes } else { Answer::No })
            }
            () = interrupts.next() => {
                writeln!(self.err)?;
                Ok(Answer::Interrupted)
            }
        }
    }

    /// What only programs are told.
    pub(super) fn tell_programs(&mut self, object: &Value) -> io::Result<()> {
        match self.style {
            Style::Json => writeln!(self.err, "{object}"),
            _ => Ok(()),
        }
    }

    /// Shows how far it is, whatever has been shown before.
    pub(super) fn show_at_once(&mut self, underway: &dyn Underway) -> io::Result<()> {
        let now = Instant::now();
        self.shown = now.checked_sub(LOG_EVERY).unwrap_or(now);
        self.show(underway)
    }

    /// Shows how far it is, if it is time to.
    pub(super) fn show(&mut self, underway: &dyn Underway) -> io::Result<()> {
        let every = if matches!(self.style, Style::Lines) { LOG_EVERY } else { SHOW_EVERY };
        if self.shown.elapsed() < every {
            return Ok(());
        }
        self.shown = Instant::now();
        match self.style {
            Style::Bars { columns, coloured } => {
                // In the last column a terminal may wrap.
                let line = bar(&underway.line(), columns().saturating_sub(1), coloured);
                self.painting.paint(self.err, vec![line])
            }
            Style::Lines => writeln!(self.err, "{}", underway.line()),
            Style::Json => writeln!(self.err, "{}", underway.object()),
            Style::Silent => Ok(()),
        }
    }

    /// Takes the bars away, for what is said without them.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.painting.clear(self.err)
    }
}

/// What was said to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No,
    /// The program is to end.
    Interrupted,
    /// Nobody can be asked.
    Nobody,
}

fn with_hint(text: &str, hint: Option<&str>) -> String {
    hint.map_or_else(|| text.to_owned(), |hint| format!("{text}\nhint: {hint}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Counting(usize);

    impl Underway for Counting {
        fn line(&self) -> Line {
            Line {
                ratio: Some(0.5),
                counts: format!("{} of 9", self.0),
                failed: Some("1 failed".into()),
                ..Line::default()
            }
        }

        fn object(&self) -> Value {
            json!({ "event": "progress", "at": self.0 })
        }
    }

    /// What standard error gets of half a minute's work with one complaint.
    async fn written(style: Style) -> String {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = Output::new(&mut out, &mut err, style);
        for n in 0..30 {
            output.show(&Counting(n)).unwrap();
            output.show(&Counting(n)).unwrap();
            if n == 12 {
                output.error("it broke", Some("mend it")).unwrap();
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        output.clear().unwrap();
        assert!(out.is_empty());
        String::from_utf8(err).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_gets_a_plain_line_every_few_seconds() {
        let expected = "5 of 9, 1 failed\n10 of 9, 1 failed\nerror: it broke\nhint: mend it\n\
                        15 of 9, 1 failed\n20 of 9, 1 failed\n25 of 9, 1 failed\n";
        assert_eq!(written(Style::Lines).await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_gets_objects_and_nothing_else() {
        let written = written(Style::Json).await;
        let parsed: Vec<Value> =
            written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(parsed.len(), 31, "one of every moment, however often it is shown");
        assert_eq!(parsed[13]["event"], "error");
        assert_eq!(parsed[13]["hint"], "mend it");
    }

    #[tokio::test(start_paused = true)]
    async fn colours_are_used_only_where_they_are_wanted() {
        let style = |coloured| Style::Bars { columns: || 60, coloured };
        assert!(written(style(true)).await.contains("\x1b[31m1 failed\x1b[0m"));
        assert!(!written(style(false)).await.contains("m1 failed"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_wants_no_progress_hears_of_failures() {
        assert_eq!(written(Style::Silent).await, "error: it broke\nhint: mend it\n");
    }
}
