//! How many pixels a character cell has, also after the font has changed.

use crossterm::terminal::window_size;

use crate::ui::graphics::CellSize;

/// Where the size of a cell is known from.
#[derive(Clone, Copy, Debug)]
pub enum Cells {
    /// The pixels of the window by its columns and rows: follows the font.
    Window,
    /// What the terminal said when it was asked.
    Told(CellSize),
}

impl Cells {
    /// Believes `told`, the terminal's own word, over the window's pixels,
    /// which some terminals make up.
    pub fn new(told: Option<CellSize>) -> Self {
        match (told, window_cell()) {
            (Some(told), Some(window)) if agree(told, window) => Self::Window,
            (Some(told), _) => Self::Told(told),
            (None, Some(_)) => Self::Window,
            (None, None) => Self::Told(CellSize::USUAL),
        }
    }

    /// The size now.
    pub fn now(self) -> CellSize {
        match self {
            Self::Window => window_cell().unwrap_or(CellSize::USUAL),
            Self::Told(cell) => cell,
        }
    }
}

fn window_cell() -> Option<CellSize> {
    let window = window_size().ok()?;
    let width = window.width.checked_div(window.columns)?;
    CellSize::new(width, window.height.checked_div(window.rows)?)
}

/// The same but for a window whose pixels are no multiple of its cells.
fn agree(told: CellSize, window: CellSize) -> bool {
    told.width.abs_diff(window.width) <= 1 && told.height.abs_diff(window.height) <= 1
}
