//! Answers of a terminal by any bytes.

use crossterm::event::{Event, KeyCode, KeyModifiers};

use crate::ui::terminal::replies::Replies;
use crate::ui::terminal::typed::{LateAnswers, keys};

/// Terminals may answer with these bytes, in any pieces and at any time.
pub fn replies(bytes: &[u8]) {
    let replies = Replies::parse(bytes);
    assert!(is_within(&replies.typed, bytes), "something was typed that never came");
    assert!(!replies.typed.contains(&0x1b), "an escape was typed");
    assert!(!replies.has_sixel() || replies.attributes.is_some());
    let keys = keys(&replies.typed);
    assert_eq!(keys.len(), String::from_utf8_lossy(&replies.typed).chars().count());
    assert_the_end_stays(bytes);
    assert_keys_come_through(bytes);
}

/// Whether `part` is `whole` with some bytes left out.
fn is_within(part: &[u8], whole: &[u8]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|byte| whole.any(|other| other == byte))
}

/// The last answer, once it is there, is not taken back by what follows.
fn assert_the_end_stays(bytes: &[u8]) {
    let ended = |end: &usize| Replies::parse(&bytes[..*end]).attributes.is_some();
    let pieces: Vec<usize> = (0..=bytes.len()).step_by(1 + bytes.len() / 16).collect();
    assert!(pieces.iter().map(ended).is_sorted(), "the end of the answers was taken back");
}

/// The same bytes as late answers among the keys: after them, and as much as
/// the longest answer, keys are keys again.
fn assert_keys_come_through(bytes: &[u8]) {
    let mut late = LateAnswers::Awaited;
    let text = String::from_utf8_lossy(bytes);
    for (n, c) in text.chars().enumerate() {
        let code = if c == '\x1b' { KeyCode::Esc } else { KeyCode::Char(c) };
        let mut key = crossterm::event::KeyEvent::from(code);
        if n % 3 == 0 && c != '\x1b' {
            key.modifiers = KeyModifiers::ALT;
        }
        late.swallow(&Event::Key(key));
    }
    let enter = || Event::Key(KeyCode::Enter.into());
    assert!((0..=256).any(|_| !late.swallow(&enter())), "no key comes through any more");
    assert!(!late.swallow(&enter()), "a key is taken for an answer");
}
