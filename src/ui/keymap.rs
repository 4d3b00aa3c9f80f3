//! Which key means what. The only place that knows; the help is made of it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::InputRequest;

use super::message::Message;
use super::state::{Focus, State};

/// Keys and what they do, for the help.
pub(super) const HELP: [(&str, &str); 12] = [
    ("Enter", "search for what is typed"),
    ("↑ ↓, k j", "previous and next match"),
    ("g G", "first and last match"),
    ("Tab, Esc", "between query and matches"),
    ("/", "to the query"),
    ("m", "more pictures like this one"),
    ("F2", "download the better model"),
    ("Ctrl-X", "stop a download or a load"),
    ("Ctrl-U", "clear the query"),
    ("?, F1", "these keys"),
    ("Ctrl-Z", "to the shell; fg comes back"),
    ("q, Ctrl-C", "quit"),
];

/// What `key` asks for, if anything.
pub(super) fn message_for(key: KeyEvent, state: &State) -> Option<Message> {
    always(key).or_else(|| match state.focus {
        _ if state.help => Some(Message::ToggleHelp),
        Focus::Query => while_typing(key),
        Focus::Results => while_browsing(key),
    })
}

fn always(key: KeyEvent) -> Option<Message> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char('c' | 'q') if control => Message::Quit,
        KeyCode::Char('z') if control => Message::Suspend,
        KeyCode::Char('x') if control => Message::Stop,
        KeyCode::Char('n') if control => Message::Select(1),
        KeyCode::Char('p') if control => Message::Select(-1),
        KeyCode::F(1) => Message::ToggleHelp,
        KeyCode::F(2) => Message::Download,
        KeyCode::Up => Message::Select(-1),
        KeyCode::Down => Message::Select(1),
        KeyCode::PageUp => Message::Select(-10),
        KeyCode::PageDown => Message::Select(10),
        KeyCode::Esc => Message::Back,
        _ => return None,
    })
}

fn while_typing(key: KeyEvent) -> Option<Message> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    Some(match key.code {
        KeyCode::Enter => Message::Submit,
        KeyCode::Tab => Message::Focus(Focus::Results),
        code => Message::Edit(match code {
            KeyCode::Char('a') if control => InputRequest::GoToStart,
            KeyCode::Char('e') if control => InputRequest::GoToEnd,
            KeyCode::Char('b') if control => InputRequest::GoToPrevChar,
            KeyCode::Char('f') if control => InputRequest::GoToNextChar,
            KeyCode::Char('u') if control => InputRequest::DeleteLine,
            KeyCode::Char('k') if control => InputRequest::DeleteTillEnd,
            KeyCode::Char('w') if control => InputRequest::DeletePrevWord,
            KeyCode::Char('d') if control => InputRequest::DeleteNextChar,
            KeyCode::Char('h') if control => InputRequest::DeletePrevChar,
            KeyCode::Char('b') if alt => InputRequest::GoToPrevWord,
            KeyCode::Char('f') if alt => InputRequest::GoToNextWord,
            KeyCode::Char(c) if !control && !alt => InputRequest::InsertChar(c),
            KeyCode::Backspace if control || alt => InputRequest::DeletePrevWord,
            KeyCode::Backspace => InputRequest::DeletePrevChar,
            KeyCode::Delete => InputRequest::DeleteNextChar,
            KeyCode::Left if control => InputRequest::GoToPrevWord,
            KeyCode::Right if control => InputRequest::GoToNextWord,
            KeyCode::Left => InputRequest::GoToPrevChar,
            KeyCode::Right => InputRequest::GoToNextChar,
            KeyCode::Home => InputRequest::GoToStart,
            KeyCode::End => InputRequest::GoToEnd,
            _ => return None,
        }),
    })
}

fn while_browsing(key: KeyEvent) -> Option<Message> {
    Some(match key.code {
        KeyCode::Char('j') => Message::Select(1),
        KeyCode::Char('k') => Message::Select(-1),
        KeyCode::Char('g') | KeyCode::Home => Message::SelectFirst,
        KeyCode::Char('G') | KeyCode::End => Message::SelectLast,
        KeyCode::Char('/' | 'i') | KeyCode::Tab => Message::Focus(Focus::Query),
        KeyCode::Char('m') => Message::MoreLikeThis,
        KeyCode::Char('?') => Message::ToggleHelp,
        KeyCode::Char('q') => Message::Quit,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(code: KeyCode, state: &State) -> Option<Message> {
        message_for(KeyEvent::from(code), state)
    }

    #[test]
    fn letters_are_never_swallowed_while_typing() {
        let state = State::default();
        for c in (' '..='~').chain(['é', '赤']) {
            let message = pressed(KeyCode::Char(c), &state);
            assert!(
                matches!(message, Some(Message::Edit(InputRequest::InsertChar(typed))) if typed == c),
                "{c}: {message:?}"
            );
        }
    }

    #[test]
    fn letters_are_commands_while_browsing() {
        let state = State { focus: Focus::Results, ..State::default() };
        assert!(matches!(pressed(KeyCode::Char('j'), &state), Some(Message::Select(1))));
        assert!(matches!(pressed(KeyCode::Char('/'), &state), Some(Message::Focus(Focus::Query))));
        assert!(matches!(pressed(KeyCode::Char('q'), &state), Some(Message::Quit)));
        assert!(pressed(KeyCode::Char('z'), &state).is_none());
    }

    #[test]
    fn any_key_closes_the_help_and_control_c_always_quits() {
        let state = State { help: true, ..State::default() };
        assert!(matches!(pressed(KeyCode::Char('x'), &state), Some(Message::ToggleHelp)));
        let quit = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert!(matches!(message_for(quit, &state), Some(Message::Quit)));
    }
}
