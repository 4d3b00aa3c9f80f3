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
/// and Alt and a backslash.
#[derive(Clone, Copy, Debug)]
pub enum LateAnswers {
    /// All answers came in time: every key is one.
    None,
    /// Some may come.
    Awaited,
    /// One is coming; so much of it at most.
    Coming(u8),
}

/// Longer than any answer to our questions.
const LONGEST: u8 = 120;

impl LateAnswers {
    /// Whether `event` is part of an answer.
    pub fn swallow(&mut self, event: &Event) -> bool {
        let Event::Key(KeyEvent { code: KeyCode::Char(c), modifiers, .. }) = event else {
            return false;
        };
        let alt = modifiers.contains(KeyModifiers::ALT);
        *self = match *self {
            Self::Awaited if alt && matches!(c, 'P' | '_') => Self::Coming(LONGEST),
            Self::Coming(_) if alt && *c == '\\' => {
                *self = Self::Awaited;
                return true;
            }
            Self::Coming(left) => left.checked_sub(1).map_or(Self::None, Self::Coming),
            other => return matches!(other, Self::Coming(_)),
        };
        matches!(self, Self::Coming(_))
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
