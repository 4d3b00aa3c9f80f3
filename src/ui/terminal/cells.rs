//! How many pixels a character cell has, also after the font has changed.

use crossterm::terminal::{WindowSize, window_size};

use crate::ui::graphics::CellSize;

/// Where the size of a cell is known from.
#[derive(Clone, Copy, Debug)]
pub enum Cells {
    /// The pixels of the window by its columns and rows: follows the font.
    Window,
    /// The same, unless what the terminal said when it was asked still holds: a
    /// window may have some pixels more than its cells take.
    Following(CellSize),
    /// What the terminal said when it was asked.
    Told(CellSize),
}

impl Cells {
    /// Believes `told`, the terminal's own word, over the window's pixels,
    /// which some terminals make up.
    pub fn new(told: Option<CellSize>) -> Self {
        match (told, window_size().ok().and_then(|window| divided(&window))) {
            (Some(told), Some(window)) if agree(told, window) => Self::Following(told),
            (Some(told), _) => Self::Told(told),
            (None, Some(_)) => Self::Window,
            (None, None) => Self::Told(CellSize::USUAL),
        }
    }

    /// The size now.
    pub fn now(self) -> CellSize {
        match self {
            Self::Told(cell) => cell,
            Self::Window | Self::Following(_) => {
                window_size().map_or(CellSize::USUAL, |window| self.within(&window))
            }
        }
    }

    fn within(self, window: &WindowSize) -> CellSize {
        match self {
            Self::Told(cell) => cell,
            Self::Following(told) if holds(told, window) => told,
            Self::Following(_) | Self::Window => divided(window).unwrap_or(CellSize::USUAL),
        }
    }
}

fn divided(window: &WindowSize) -> Option<CellSize> {
    let width = window.width.checked_div(window.columns)?;
    CellSize::new(width, window.height.checked_div(window.rows)?)
}

/// The same but for a window whose pixels are no multiple of its cells.
fn agree(told: CellSize, window: CellSize) -> bool {
    told.width.abs_diff(window.width) <= 1 && told.height.abs_diff(window.height) <= 1
}

/// Whether so many cells fill the window, but for less than another one.
fn holds(told: CellSize, window: &WindowSize) -> bool {
    let fill = |cell: u16, cells: u16, pixels: u16| {
        let filled = u32::from(cell) * u32::from(cells);
        (filled..filled + u32::from(cell)).contains(&u32::from(pixels))
    };
    fill(told.width, window.columns, window.width) && fill(told.height, window.rows, window.height)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(told: (u16, u16), cells: (u16, u16), pixels: (u16, u16)) -> (u16, u16) {
        let told = CellSize::new(told.0, told.1).unwrap();
        let ((columns, rows), (width, height)) = (cells, pixels);
        let window = WindowSize { columns, rows, width, height };
        let cell = Cells::Following(told).within(&window);
        (cell.width, cell.height)
    }

    #[test]
    fn pixels_left_over_are_no_part_of_the_cells() {
        // Six pixels more than eight rows take would be nearly one each.
        assert_eq!(cell((8, 17), (37, 8), (300, 150)), (8, 17));
        assert_eq!(cell((8, 17), (110, 32), (880, 544)), (8, 17));
    }

    #[test]
    fn another_font_is_followed() {
        assert_eq!(cell((8, 17), (73, 21), (880, 544)), (12, 25));
        assert_eq!(cell((8, 17), (125, 34), (880, 544)), (7, 16));
    }
}
