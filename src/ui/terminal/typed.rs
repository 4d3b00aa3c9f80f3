//! Keys around the questions to the terminal: those pressed while it was
//! asked, and answers that come so late that they look like keys.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

/// The keys behind what was typed, as a terminal sends them in raw mode.
pub fn keys(typed: &[u8]) -> Vec<KeyEvent> {
    String::from_utf8_lossy(typed).chars().map(key).collect()
}

fn key(c: char) -> KeyEvent {
    let code = match c {
        '\r' | '\n' => KeyCode::Enter,
        '\t' => KeyCode::Tab,
        '\x7f' => KeyCode::Backspace,
        '\0'..' ' => {
            let letter = char::from(u8::try_from(c).unwrap_or_default() | 0x60);
            return KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
        }
        c => KeyCode::Char(c),
    };
    code.into()
}

/// Takes late answers out of the keys.
///
/// The reader of events knows some answers and drops them. Those it does not
/// know reach it as Alt and the letter that begins them, the text one by one,
/// and Alt and a backslash. Where an answer arrives in pieces, Escape comes as
/// a key of its own, and then what it begins.
#[derive(Clone, Copy, Debug)]
pub enum LateAnswers {
    /// All answers came in time, or none is to be expected any more: every key
    /// is one.
    None,
    /// Some may come.
    Awaited,
    /// Escape was pressed, or begins one.
    Escaped,
    /// One is coming, up to a backslash after Escape; so much of it at most.
    Text(u8),
    /// The same, after Escape.
    TextEscaped(u8),
    /// One is coming, up to a letter; so much of it at most.
    Parameters(u8),
}

/// Longer than any answer to our questions.
const LONGEST: u8 = 120;

impl LateAnswers {
    /// Whether `event` is part of an answer.
    pub fn swallow(&mut self, event: &Event) -> bool {
        let Event::Key(KeyEvent { code, modifiers, .. }) = event else { return false };
        let escaped = modifiers.contains(KeyModifiers::ALT)
            || matches!(self, Self::Escaped | Self::TextEscaped(_));
        let before = *self;
        *self = match (before, code) {
            (Self::None, _) => Self::None,
            (Self::Awaited, KeyCode::Esc) => Self::Escaped,
            (Self::Awaited | Self::Escaped, KeyCode::Char(c)) if escaped => match c {
                'P' | '_' | ']' => Self::Text(LONGEST),
                '[' => Self::Parameters(LONGEST),
                _ => Self::Awaited,
            },
            (Self::Awaited | Self::Escaped, _) => Self::Awaited,
            (Self::Text(_) | Self::TextEscaped(_), KeyCode::Char('\\')) if escaped => Self::Awaited,
            (Self::Text(left) | Self::TextEscaped(left), code) => match left.checked_sub(1) {
                Some(left) if *code == KeyCode::Esc => Self::TextEscaped(left),
                Some(left) => Self::Text(left),
                None => Self::None,
            },
            (Self::Parameters(_), KeyCode::Char(c)) if c.is_ascii_alphabetic() => Self::Awaited,
            (Self::Parameters(left), _) => left.checked_sub(1).map_or(Self::None, Self::Parameters),
        };
        let within =
            |state| matches!(state, Self::Text(_) | Self::TextEscaped(_) | Self::Parameters(_));
        // Escape itself is passed on: it may be the key.
        within(*self) || within(before) && !matches!(*self, Self::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(answers: &mut LateAnswers, keys: &str) -> String {
        let mut alt = false;
        let mut passed = String::new();
        for c in keys.chars() {
            if c == '\x1b' {
                alt = true;
                continue;
            }
            let modifiers = if alt { KeyModifiers::ALT } else { KeyModifiers::NONE };
            alt = false;
            let event = Event::Key(KeyEvent::new(KeyCode::Char(c), modifiers));
            if !answers.swallow(&event) {
                passed.push(c);
            }
        }
        passed
    }

    #[test]
    fn what_was_typed_early_are_keys() {
        let keys = keys("r\x15é\r\x7f".as_bytes());
        let expected = [
            KeyCode::Char('r').into(),
            KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL),
            KeyCode::Char('é').into(),
            KeyCode::Enter.into(),
            KeyCode::Backspace.into(),
        ];
        assert_eq!(keys, expected);
    }

    #[test]
    fn late_answers_are_not_typed() {
        let answers = "re\x1bP>|XTerm(379)\x1b\\d\x1b_Gi=31;OK\x1b\\!";
        assert_eq!(passed(&mut LateAnswers::Awaited, answers), "red!");
    }

    /// As they reach us when they arrive byte by byte.
    fn passed_in_pieces(answers: &mut LateAnswers, bytes: &str) -> String {
        let key = |c| match c {
            '\x1b' => KeyCode::Esc,
            c => KeyCode::Char(c),
        };
        let is_passed = |c: &char| !answers.swallow(&Event::Key(key(*c).into()));
        bytes.chars().filter(is_passed).filter(|c| *c != '\x1b').collect()
    }

    #[test]
    fn late_answers_in_pieces_are_not_typed() {
        let answers = "re\x1bP>|XTerm(379)\x1b\\\x1b[6;18;9t\x1b[?62;4;22cd\x1b_Gi=31;OK\x1b\\!";
        assert_eq!(passed_in_pieces(&mut LateAnswers::Awaited, answers), "red!");
    }

    #[test]
    fn escape_is_a_key_wherever_no_answer_follows() {
        let mut answers = LateAnswers::Awaited;
        let escape = Event::Key(KeyCode::Esc.into());
        assert!(!answers.swallow(&escape));
        assert_eq!(passed(&mut answers, "red"), "red");
        assert!(!answers.swallow(&escape));
        assert!(!answers.swallow(&Event::Key(KeyCode::Enter.into())));
        assert_eq!(passed(&mut answers, "[P_"), "[P_");
    }

    #[test]
    fn where_nothing_is_late_nothing_is_taken() {
        assert_eq!(passed(&mut LateAnswers::None, "\x1bPa"), "Pa");
    }

    #[test]
    fn an_answer_without_an_end_does_not_take_keys_for_ever() {
        let typed = format!("\x1bP{}b", "a".repeat(200));
        assert!(passed(&mut LateAnswers::Awaited, &typed).ends_with('b'));
    }
}
