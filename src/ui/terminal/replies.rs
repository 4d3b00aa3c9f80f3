//! Reads what a terminal answers. Pure: bytes in, facts out, however they were
//! cut in pieces and whatever was typed in between.

use crate::ui::graphics::CellSize;

/// What the answers so far tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replies {
    /// Name and version (XTVERSION).
    pub version: Option<String>,
    /// The size of a cell (`CSI 16 t`).
    pub cell: Option<CellSize>,
    /// It kept a 24-bit colour (DECRQSS of a colour just set).
    pub truecolor: bool,
    /// It understood a kitty graphics command.
    pub kitty: bool,
    /// The primary device attributes (DA1), the answer every terminal gives;
    /// asked for last, it ends the wait.
    pub attributes: Option<Vec<u16>>,
    /// What was typed in between.
    pub typed: Vec<u8>,
}

impl Replies {
    /// Everything in `bytes` that is an answer; an answer whose end has not
    /// arrived is skipped. The rest was typed; keys that send a sequence
    /// themselves, such as the arrows, are lost.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut replies = Self::default();
        let mut rest = bytes;
        while let Some(escape) = rest.iter().position(|&byte| byte == 0x1b) {
            replies.typed.extend_from_slice(&rest[..escape]);
            rest = &rest[escape + 1..];
            if let Some((sequence, after)) = split_sequence(rest) {
                replies.note(&sequence);
                rest = after;
            } else if matches!(rest, [b'[' | b'P' | b'_', ..]) {
                return replies;
            }
        }
        replies.typed.extend_from_slice(rest);
        replies
    }

    /// Whether the terminal lists sixels among its attributes.
    pub fn has_sixel(&self) -> bool {
        // The first number is the class of terminal; a VT340 has no 4 there.
        self.attributes.iter().flatten().skip(1).any(|&attribute| attribute == 4)
    }

    fn note(&mut self, sequence: &Sequence) {
        match sequence {
            Sequence::Control(body) => self.note_control(body),
            Sequence::Device(body) => self.note_device(body),
            Sequence::Application(body) => self.kitty |= body.ends_with(";OK"),
        }
    }

    fn note_control(&mut self, body: &str) {
        if let Some(numbers) = body.strip_prefix('?').and_then(|body| body.strip_suffix('c')) {
            self.attributes = Some(numbers.split(';').filter_map(|n| n.parse().ok()).collect());
        } else if let Some(numbers) = body.strip_prefix("6;").and_then(|b| b.strip_suffix('t')) {
            self.cell = numbers.split_once(';').and_then(|(height, width)| {
                CellSize::new(width.parse().ok()?, height.parse().ok()?)
            });
        }
    }

    fn note_device(&mut self, body: &str) {
        if let Some(version) = body.strip_prefix(">|") {
            self.version = Some(version.to_owned());
        } else if let Some(style) = body.strip_prefix("1$r") {
            // 48:2::1:2:3 or 48;2;1;2;3, depending on the terminal.
            let style = style.replace(';', ":");
            self.truecolor = style.contains("48:2:") && style.ends_with(":1:2:3m");
        }
    }
}

/// An answer without its brackets.
enum Sequence {
    /// CSI, with its final letter.
    Control(String),
    /// DCS.
    Device(String),
    /// APC.
    Application(String),
}

/// The sequence after an escape, and what follows it; `None` if it is none of
/// ours or its end is missing.
fn split_sequence(bytes: &[u8]) -> Option<(Sequence, &[u8])> {
    let (&kind, body) = bytes.split_first()?;
    let (length, end): (_, usize) = match kind {
        b'[' => (1 + body.iter().position(|byte| (0x40..=0x7e).contains(byte))?, 0),
        b'P' | b'_' => (body.windows(2).position(|pair| pair == b"\x1b\\")?, 2),
        _ => return None,
    };
    let text = String::from_utf8_lossy(&body[..length]).into_owned();
    let sequence = match kind {
        b'[' => Sequence::Control(text),
        b'P' => Sequence::Device(text),
        _ => Sequence::Application(text),
    };
    Some((sequence, &body[length + end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As xterm 379 answers, with kitty's word in between.
    const ANSWERS: &[u8] = b"\x1bP>|XTerm(379)\x1b\\\x1b[6;17;8t\x1bP1$r0;48:2::1:2:3m\x1b\\\
        \x1b_Gi=31;OK\x1b\\\x1b[?63;1;2;4;6;9;15;22c";

    fn expected() -> Replies {
        Replies {
            version: Some("XTerm(379)".to_owned()),
            cell: CellSize::new(8, 17),
            truecolor: true,
            kitty: true,
            attributes: Some(vec![63, 1, 2, 4, 6, 9, 15, 22]),
            typed: Vec::new(),
        }
    }

    #[test]
    fn every_answer_is_understood() {
        assert_eq!(Replies::parse(ANSWERS), expected());
        assert!(Replies::parse(ANSWERS).has_sixel());
    }

    #[test]
    fn what_is_typed_in_between_is_kept() {
        let mut bytes = b"red\x1b\x1b[A".to_vec();
        bytes.extend_from_slice(ANSWERS);
        bytes.extend_from_slice("é\r\x1b".as_bytes());
        let expected = Replies { typed: "redé\r".into(), ..expected() };
        assert_eq!(Replies::parse(&bytes), expected);
    }

    #[test]
    fn half_an_answer_was_not_typed() {
        assert_eq!(Replies::parse(b"a\x1bP>|XTe").typed, b"a");
    }

    #[test]
    fn the_end_is_seen_exactly_when_it_has_arrived() {
        for length in 0..ANSWERS.len() {
            assert_eq!(Replies::parse(&ANSWERS[..length]).attributes, None, "{length}");
        }
    }

    #[test]
    fn a_vt340_without_sixels_is_believed() {
        assert!(!Replies::parse(b"\x1b[?4;6c").has_sixel());
        assert!(!Replies::parse(b"\x1b[?62;14;44c").has_sixel());
        assert!(Replies::parse(b"\x1b[?62;4c").has_sixel());
    }

    #[test]
    fn a_terminal_without_pixels_has_no_cell_size() {
        assert_eq!(Replies::parse(b"\x1b[6;0;0t").cell, None);
        assert_eq!(Replies::parse(b"\x1b[6;17t").cell, None);
    }

    #[test]
    fn refusals_are_not_consent() {
        let replies = Replies::parse(
            b"\x1b_Gi=31;EINVAL:bad\x1b\\\x1bP0$r\x1b\\\x1bP1$r0;48:5:16m\x1b\\\x1b[?1;2c",
        );
        assert!(!replies.kitty && !replies.truecolor && !replies.has_sixel());
    }
}
