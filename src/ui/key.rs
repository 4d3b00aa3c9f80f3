//! A key as it is written in settings and shown in the help: `ctrl-x`, `G`,
//! `pagedown`.

use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// One key with what is held down beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    code: KeyCode,
    modifiers: KeyModifiers,
}

/// A key nobody has.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is no key; keys are written as in: q, G, ctrl-x, alt-f, enter, esc, tab, space, up, \
     pagedown, f1"
)]
pub struct UnknownKey(String);

/// Names of the keys that are no characters.
const NAMED: [(&str, KeyCode); 16] = [
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("backtab", KeyCode::BackTab),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("insert", KeyCode::Insert),
    ("space", KeyCode::Char(' ')),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pageup", KeyCode::PageUp),
    ("pagedown", KeyCode::PageDown),
];

impl UnknownKey {
    pub(super) fn named(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Key {
    /// The character the key types, if it is pressed to type one.
    pub(super) fn typed(self) -> Option<char> {
        match self.code {
            KeyCode::Char(c) if self.modifiers.is_empty() => Some(c),
            _ => None,
        }
    }
}

/// Terminals differ in whether they report Shift beside what it makes.
impl From<KeyEvent> for Key {
    fn from(event: KeyEvent) -> Self {
        let shown = KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT;
        let mut modifiers = event.modifiers & shown;
        if matches!(event.code, KeyCode::Char(_) | KeyCode::BackTab) {
            modifiers -= KeyModifiers::SHIFT;
        }
        Self { code: event.code, modifiers }
    }
}

impl FromStr for Key {
    type Err = UnknownKey;

    fn from_str(text: &str) -> Result<Self, UnknownKey> {
        let mut rest = text;
        let mut modifiers = KeyModifiers::NONE;
        let held = [
            ("ctrl-", KeyModifiers::CONTROL),
            ("alt-", KeyModifiers::ALT),
            ("shift-", KeyModifiers::SHIFT),
        ];
        while let Some((prefix, modifier)) = held.iter().find(|(prefix, _)| {
            // What is left after it must still be a key: `ctrl-` alone is none.
            rest.len() > prefix.len() && rest[..].to_ascii_lowercase().starts_with(prefix)
        }) {
            rest = &rest[prefix.len()..];
            modifiers |= *modifier;
        }
        let code = code(rest).ok_or_else(|| UnknownKey::named(text))?;
        Ok(KeyEvent::new(code, modifiers).into())
    }
}

fn code(name: &str) -> Option<KeyCode> {
    let mut chars = name.chars();
    if let (Some(c), None) = (chars.next(), chars.next()) {
        return (!c.is_control()).then_some(KeyCode::Char(c));
    }
    let name = name.to_ascii_lowercase();
    let number = name.strip_prefix('f').and_then(|n| n.parse().ok());
    let function = number.filter(|n| (1..=24).contains(n)).map(KeyCode::F);
    function.or_else(|| NAMED.iter().find(|(known, _)| *known == name).map(|(_, code)| *code))
}

/// As people write it: `Ctrl-X`, `PageDown`, `↑`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (modifier, prefix) in [
            (KeyModifiers::CONTROL, "Ctrl-"),
            (KeyModifiers::ALT, "Alt-"),
            (KeyModifiers::SHIFT, "Shift-"),
        ] {
            if self.modifiers.contains(modifier) {
                f.write_str(prefix)?;
            }
        }
        match self.code {
            KeyCode::Up => f.write_str("↑"),
            KeyCode::Down => f.write_str("↓"),
            KeyCode::Left => f.write_str("←"),
            KeyCode::Right => f.write_str("→"),
            KeyCode::Char(' ') => f.write_str("Space"),
            KeyCode::Char(c) if self.modifiers.contains(KeyModifiers::CONTROL) => {
                write!(f, "{}", c.to_ascii_uppercase())
            }
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::F(n) => write!(f, "F{n}"),
            KeyCode::BackTab => f.write_str("Shift-Tab"),
            KeyCode::PageUp => f.write_str("PgUp"),
            KeyCode::PageDown => f.write_str("PgDn"),
            code => write!(f, "{code:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(code: KeyCode, modifiers: KeyModifiers) -> Key {
        KeyEvent::new(code, modifiers).into()
    }

    #[test]
    fn a_key_is_what_the_terminal_reports_for_it() {
        let none = KeyModifiers::NONE;
        for (text, key) in [
            ("q", pressed(KeyCode::Char('q'), none)),
            ("G", pressed(KeyCode::Char('G'), KeyModifiers::SHIFT)),
            ("G", pressed(KeyCode::Char('G'), none)),
            ("ü", pressed(KeyCode::Char('ü'), none)),
            ("-", pressed(KeyCode::Char('-'), none)),
            ("ctrl--", pressed(KeyCode::Char('-'), KeyModifiers::CONTROL)),
            ("Ctrl-X", pressed(KeyCode::Char('X'), KeyModifiers::CONTROL)),
            ("ctrl-x", pressed(KeyCode::Char('x'), KeyModifiers::CONTROL)),
            ("f", pressed(KeyCode::Char('f'), none)),
            ("F12", pressed(KeyCode::F(12), none)),
            ("PageDown", pressed(KeyCode::PageDown, none)),
            ("backtab", pressed(KeyCode::BackTab, KeyModifiers::SHIFT)),
            ("alt-enter", pressed(KeyCode::Enter, KeyModifiers::ALT)),
        ] {
            assert_eq!(text.parse::<Key>().unwrap(), key, "{text}");
        }
        for text in ["", "ctrl-", "f0", "f25", "return", "\u{1b}"] {
            assert!(text.parse::<Key>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_key_is_shown_as_people_write_it() {
        for (text, shown) in [
            ("ctrl-x", "Ctrl-X"),
            ("space", "Space"),
            ("pagedown", "PgDn"),
            ("up", "↑"),
            ("g", "g"),
        ] {
            assert_eq!(text.parse::<Key>().unwrap().to_string(), shown);
        }
    }
}
