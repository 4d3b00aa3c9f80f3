//! What the environment tells of the terminal, read once.
//!
//! Hints only: the variables cross ssh and tmux, or are lost there, so what
//! the terminal answers counts for more.

use std::env;

/// The hints.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "hints of independent variables")]
pub struct Environment {
    /// Started from within tmux on this machine.
    pub tmux: bool,
    /// Within GNU screen, which passes nothing through.
    pub screen: bool,
    /// Logged in over ssh.
    pub remote: bool,
    /// The terminal shows any colour, not only 256.
    pub truecolor: bool,
    /// A terminal that draws inline images as `iTerm2` does.
    pub iterm: bool,
}

impl Environment {
    /// Reads the variables of the process.
    pub fn read() -> Self {
        Self::from_variables(|name| env::var(name).unwrap_or_default())
    }

    fn from_variables(value: impl Fn(&str) -> String) -> Self {
        let is_set = |name| !value(name).is_empty();
        let names = [value("TERM_PROGRAM"), value("LC_TERMINAL")];
        let iterm = ["iTerm", "WezTerm", "mintty"];
        Self {
            tmux: is_set("TMUX"),
            screen: !is_set("TMUX") && (is_set("STY") || value("TERM").starts_with("screen")),
            remote: is_set("SSH_CONNECTION") || is_set("SSH_TTY"),
            truecolor: matches!(value("COLORTERM").as_str(), "truecolor" | "24bit"),
            iterm: is_set("KONSOLE_VERSION")
                || names.iter().any(|name| iterm.iter().any(|known| name.contains(known))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::from_variables(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned()).unwrap_or_default()
        })
    }

    #[test]
    fn tmux_is_not_gnu_screen_even_if_it_says_so() {
        let tmux = environment(&[("TMUX", "/run/tmux,1,0"), ("TERM", "screen-256color")]);
        assert!(tmux.tmux && !tmux.screen);
        assert!(environment(&[("STY", "1.pts")]).screen);
    }

    #[test]
    fn the_known_terminals_are_known() {
        assert!(environment(&[("TERM_PROGRAM", "iTerm.app")]).iterm);
        assert!(environment(&[("LC_TERMINAL", "iTerm2")]).iterm);
        assert!(environment(&[("KONSOLE_VERSION", "230801")]).iterm);
        assert!(!environment(&[("TERM_PROGRAM", "Apple_Terminal")]).iterm);
    }
}
