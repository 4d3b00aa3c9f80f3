//! Which graphics protocol to speak. Pure: the table that says so, and no
//! questions to the terminal.

use std::fmt;

use super::Primed;

/// What the user asked for (`--graphics`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GraphicsChoice {
    /// The best protocol the terminal answers for.
    #[default]
    Auto,
    /// The kitty graphics protocol, even if the terminal does not claim it.
    Kitty,
    /// The `iTerm2` inline image protocol, even if the terminal does not claim
    /// it.
    Iterm,
    /// Sixels, even if the terminal does not claim them.
    Sixel,
    /// Coloured half-block characters; the terminal is asked nothing.
    Blocks,
    /// No pictures; the terminal is asked nothing.
    Off,
}

/// How pictures reach the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Kitty graphics anchored to text cells (kitty 0.28 or later, ghostty);
    /// the only one that keeps real pixels inside tmux.
    KittyPlaceholder,
    /// Kitty graphics placed at the cursor, floating over the text.
    Kitty,
    /// The inline images of `iTerm2`.
    Iterm,
    /// DEC sixels, at most 256 colours.
    Sixel,
    /// Two pixels to a character cell, in any terminal.
    Blocks,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KittyPlaceholder | Self::Kitty => "kitty",
            Self::Iterm => "iTerm2",
            Self::Sixel => "sixel",
            Self::Blocks => "half-blocks",
        })
    }
}

/// What is known about the terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "answers to independent questions")]
pub struct Capabilities {
    /// The name and version of the terminal that shows the pixels (its
    /// XTVERSION), empty if it keeps that to itself.
    pub version: String,
    /// The environment names a terminal with `iTerm2`'s protocol.
    pub iterm_environment: bool,
    /// It answered the kitty graphics query.
    pub kitty: bool,
    /// Its device attributes list sixels; inside tmux these are tmux's own.
    pub sixel: bool,
    /// tmux stands between the program and the terminal.
    pub tmux: bool,
}

/// The protocol to use, or `None` for no pictures at all. `primed` limits it
/// to what viuer is ready to print.
pub fn choose(choice: GraphicsChoice, terminal: &Capabilities, primed: Primed) -> Option<Protocol> {
    let protocol = match choice {
        GraphicsChoice::Auto => best(terminal),
        GraphicsChoice::Kitty if has_placeholders(terminal) || terminal.tmux => {
            Protocol::KittyPlaceholder
        }
        GraphicsChoice::Kitty => Protocol::Kitty,
        GraphicsChoice::Iterm => Protocol::Iterm,
        GraphicsChoice::Sixel => Protocol::Sixel,
        GraphicsChoice::Blocks => Protocol::Blocks,
        GraphicsChoice::Off => return None,
    };
    Some(if primed.can_print(protocol) { protocol } else { Protocol::Blocks })
}

fn best(terminal: &Capabilities) -> Protocol {
    let iterm = speaks_iterm(terminal);
    if terminal.kitty && has_placeholders(terminal) {
        Protocol::KittyPlaceholder
    } else if terminal.kitty && !terminal.tmux && !iterm {
        // Without placeholders tmux would show it in the wrong place.
        Protocol::Kitty
    } else if iterm && !terminal.tmux {
        Protocol::Iterm
    } else if terminal.sixel {
        Protocol::Sixel
    } else {
        Protocol::Blocks
    }
}

/// Asked by name: no query tells placeholders from plain kitty graphics, and
/// several terminals answer for the one without the other.
fn has_placeholders(terminal: &Capabilities) -> bool {
    terminal.version.starts_with("ghostty") || kitty_version(&terminal.version) >= Some((0, 28))
}

/// `kitty(0.41.1)` as (0, 41).
fn kitty_version(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.strip_prefix("kitty(")?.trim_end_matches(')').split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Terminals whose `iTerm2` protocol works better than the kitty protocol they
/// also answer for.
fn speaks_iterm(terminal: &Capabilities) -> bool {
    const NAMES: [&str; 4] = ["iTerm2", "WezTerm", "Konsole", "mintty"];
    if terminal.version.is_empty() {
        terminal.iterm_environment
    } else {
        NAMES.iter().any(|name| terminal.version.starts_with(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal(version: &str, flags: &str) -> Capabilities {
        Capabilities {
            version: version.to_owned(),
            iterm_environment: flags.contains("env"),
            kitty: flags.contains("kitty"),
            sixel: flags.contains("sixel"),
            tmux: flags.contains("tmux"),
        }
    }

    #[test]
    fn each_terminal_gets_its_best_protocol() {
        for (version, flags, expected) in [
            ("kitty(0.41.1)", "kitty", Protocol::KittyPlaceholder),
            ("kitty(1.0.0)", "kitty", Protocol::KittyPlaceholder),
            ("kitty(0.26.5)", "kitty", Protocol::Kitty),
            ("ghostty 1.1.2", "kitty", Protocol::KittyPlaceholder),
            ("WezTerm 20240203", "kitty sixel", Protocol::Iterm),
            ("iTerm2 3.5.0", "kitty sixel", Protocol::Iterm),
            ("Konsole 23.08.1", "kitty sixel", Protocol::Iterm),
            ("mintty 3.7.1", "sixel", Protocol::Iterm),
            ("", "env", Protocol::Iterm),
            ("foot(1.13.1)", "sixel", Protocol::Sixel),
            // A variable that crossed ssh loses against the terminal's name.
            ("XTerm(379)", "sixel env", Protocol::Sixel),
            ("XTerm(379)", "", Protocol::Blocks),
            ("", "", Protocol::Blocks),
            // Through tmux only placeholders keep their place; sixels are
            // tmux's own.
            ("kitty(0.41.1)", "kitty tmux", Protocol::KittyPlaceholder),
            ("kitty(0.26.5)", "kitty tmux", Protocol::Blocks),
            ("iTerm2 3.5.0", "kitty tmux", Protocol::Blocks),
            ("", "env tmux sixel", Protocol::Sixel),
        ] {
            assert_eq!(
                choose(GraphicsChoice::Auto, &terminal(version, flags), Primed::all()),
                Some(expected),
                "{version:?} {flags:?}"
            );
        }
    }

    #[test]
    fn a_choice_outranks_what_the_terminal_says() {
        let silent = terminal("", "");
        for (choice, expected) in [
            (GraphicsChoice::Kitty, Some(Protocol::Kitty)),
            (GraphicsChoice::Iterm, Some(Protocol::Iterm)),
            (GraphicsChoice::Sixel, Some(Protocol::Sixel)),
            (GraphicsChoice::Blocks, Some(Protocol::Blocks)),
            (GraphicsChoice::Off, None),
        ] {
            assert_eq!(choose(choice, &silent, Primed::all()), expected);
        }
        let tmux = terminal("", "tmux");
        assert_eq!(
            choose(GraphicsChoice::Kitty, &tmux, Primed::all()),
            Some(Protocol::KittyPlaceholder)
        );
    }

    #[test]
    fn what_viuer_cannot_print_becomes_half_blocks() {
        let kitty = terminal("kitty(0.41.1)", "kitty");
        assert_eq!(choose(GraphicsChoice::Auto, &kitty, Primed::default()), Some(Protocol::Blocks));
    }

    #[test]
    fn a_choice_is_written_in_lower_case() {
        #[derive(serde::Deserialize)]
        struct File {
            graphics: GraphicsChoice,
        }
        let file: File = toml::from_str("graphics = 'iterm'").unwrap();
        assert_eq!(file.graphics, GraphicsChoice::Iterm);
    }
}
