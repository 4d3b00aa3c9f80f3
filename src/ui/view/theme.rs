//! Colours and borders: the terminal's own sixteen, so that light and dark
//! both work, and never colour alone.

use ratatui::style::{Color, Modifier, Style};
use ratatui::widgets::{Block, BorderType};

/// A pane with a border; the one that keys go to stands out.
pub(super) fn block(title: impl Into<String>, focused: bool) -> Block<'static> {
    let title: String = title.into();
    let block = Block::bordered().border_type(BorderType::Rounded);
    let block = if title.is_empty() { block } else { block.title(format!(" {title} ")) };
    if focused {
        block.border_style(accent()).title_style(accent())
    } else {
        block.border_style(faint())
    }
}

pub(super) fn accent() -> Style {
    Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD)
}

pub(super) fn faint() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

pub(super) fn error() -> Style {
    Style::new().fg(Color::Red)
}

pub(super) fn selected() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}
