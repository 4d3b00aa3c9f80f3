//! tmux's pass-through: a sequence for the terminal outside.

/// Wraps `sequence` so that tmux hands it to the terminal it runs in, where
/// the user's `allow-passthrough` lets it.
pub fn wrap(sequence: &str) -> String {
    format!("\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_escape_inside_is_doubled() {
        assert_eq!(wrap("\x1b_Ga=q\x1b\\"), "\x1bPtmux;\x1b\x1b_Ga=q\x1b\x1b\\\x1b\\");
    }
}
