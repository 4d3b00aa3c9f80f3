//! Colours: the terminal's own sixteen, so that light and dark both work.
//! Nothing is told by colour alone.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};

/// How things look.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    /// The pane that keys go to.
    pub accent: Style,
    /// What matters less.
    pub faint: Style,
    /// What went wrong.
    pub error: Style,
    /// The selected match.
    pub selected: Style,
    /// A marked match.
    pub marked: Style,
    /// How far a match stands out, and how far a load is.
    pub bar: Style,
}

/// A colour nobody knows, or something that has none.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is called so.
    #[error("nothing is called `{0}`; there are: accent, error, marked, bar")]
    UnknownPart(String),
    /// No colour is called so.
    #[error("`{0}` is no colour; colours are written as in: cyan, lightred, 208, #ff8700, reset")]
    UnknownColour(String),
}

impl Default for Theme {
    fn default() -> Self {
        Self {
            accent: Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD),
            error: Style::new().fg(Color::Red),
            marked: Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD),
            bar: Style::new().fg(Color::Cyan),
            ..Self::colourless()
        }
    }
}

impl Theme {
    /// No colours at all, as `NO_COLOR` asks for. Pictures keep theirs.
    #[must_use]
    pub fn colourless() -> Self {
        Self {
            accent: Style::new().add_modifier(Modifier::BOLD),
            faint: Style::new().add_modifier(Modifier::DIM),
            error: Style::new().add_modifier(Modifier::BOLD),
            selected: Style::new().add_modifier(Modifier::REVERSED),
            marked: Style::new().add_modifier(Modifier::BOLD),
            bar: Style::new(),
        }
    }

    /// The default colours, where `settings` do not name others.
    ///
    /// # Errors
    /// If a part or a colour is unknown.
    pub fn new(settings: &BTreeMap<String, String>) -> Result<Self, Error> {
        let mut theme = Self::default();
        for (part, colour) in settings {
            let style = match part.as_str() {
                "accent" => &mut theme.accent,
                "error" => &mut theme.error,
                "marked" => &mut theme.marked,
                "bar" => &mut theme.bar,
                _ => return Err(Error::UnknownPart(part.clone())),
            };
            let colour: Result<Color, _> = colour.parse();
            style.fg = Some(colour.map_err(|_| Error::UnknownColour(settings[part].clone()))?);
        }
        Ok(theme)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_change_single_colours() {
        let settings = BTreeMap::from([("accent".to_owned(), "#ff8700".to_owned())]);
        let theme = Theme::new(&settings).unwrap();
        assert_eq!(theme.accent.fg, Some(Color::Rgb(255, 135, 0)));
        assert_eq!(theme.error.fg, Some(Color::Red));
    }

    #[test]
    fn a_colour_that_is_none_is_named() {
        for (part, colour, expected) in
            [("accent", "blurple", "blurple"), ("akzent", "red", "akzent")]
        {
            let settings = BTreeMap::from([(part.to_owned(), colour.to_owned())]);
            assert!(Theme::new(&settings).unwrap_err().to_string().contains(expected));
        }
    }
}
