//! A picture ready to be drawn into cells.

use std::fmt::Write as _;
use std::num::NonZeroU16;
use std::sync::Arc;

use ratatui::buffer::{Buffer, Cell, CellDiffOption};
use ratatui::layout::{Rect, Size};
use ratatui::style::Color;
use ratatui::widgets::Widget;

use super::diacritics::diacritic;
use super::kitty::{self, Anchor, ImageNumber};
use super::placements::{KittyImage, Placement, Placements};
use super::{Error, blocks};

/// A picture encoded for one terminal and one size.
///
/// Render it in every frame that shows it; the terminal receives it once.
/// Dropped, or not rendered, it vanishes with the next frame. A picture that
/// something is drawn over is left out of the frame, unless it consists of
/// text cells; and so is one of sixels or inline images whose only place is on
/// the last row of the screen, as xterm would scroll.
#[derive(Debug)]
pub struct Picture {
    size: Size,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// Half-blocks: `size.height` rows of `size.width` cells.
    Cells(Vec<Vec<Cell>>),
    /// A sequence that draws from the cursor on and leaves it anywhere.
    Escape { sequence: String, placements: Arc<Placements> },
    /// Drawn by kitty.
    Kitty { image: Arc<KittyImage>, placements: Arc<Placements> },
}

impl Picture {
    /// A picture of half-blocks as viuer prints them, without a cursor
    /// position before. It needs no terminal: for tests of screens.
    ///
    /// # Errors
    ///
    /// If `printed` is anything else.
    pub fn from_half_blocks(printed: &str) -> Result<Self, Error> {
        let rows = blocks::parse(printed)?;
        let lengths = (rows.first().map_or(0, Vec::len), rows.len());
        let size = match (u16::try_from(lengths.0), u16::try_from(lengths.1)) {
            (Ok(width), Ok(height)) => Size::new(width, height),
            _ => return Err(Error::Unexpected),
        };
        Ok(Self { size, body: Body::Cells(rows) })
    }

    pub(super) fn from_escape(sequence: String, size: Size, placements: Arc<Placements>) -> Self {
        Self { size, body: Body::Escape { sequence, placements } }
    }

    pub(super) fn from_kitty(image: KittyImage, size: Size, placements: Arc<Placements>) -> Self {
        Self { size, body: Body::Kitty { image: Arc::new(image), placements } }
    }

    /// The cells it covers.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// The part of `area` it covers, or `None` if it does not fit, as after
    /// the window has shrunk.
    #[must_use]
    pub fn placed_in(&self, area: Rect) -> Option<Rect> {
        let Size { width, height } = self.size;
        (width <= area.width && height <= area.height).then(|| Rect {
            x: area.x + (area.width - width) / 2,
            y: area.y + (area.height - height) / 2,
            width,
            height,
        })
    }

    /// Where on a screen it may be drawn.
    fn allowed_on(&self, screen: Rect) -> Rect {
        match self.body {
            Body::Escape { .. } => Rect { height: screen.height.saturating_sub(1), ..screen },
            Body::Cells(_) | Body::Kitty { .. } => screen,
        }
    }
}

/// Draws the picture in the middle of the area, or nothing if it does not fit.
impl Widget for &Picture {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let allowed = area.intersection(self.allowed_on(buffer.area));
        let Some(area) = self.placed_in(allowed) else { return };
        match &self.body {
            Body::Cells(rows) => render_cells(rows, area, buffer),
            Body::Escape { sequence, placements } => {
                render_escape(sequence, area, buffer);
                placements.note(Placement { area, kitty: None });
            }
            Body::Kitty { image, placements } => {
                match image.anchor {
                    Anchor::Cursor => {
                        render_escape(&kitty::place(image.id, area), area, buffer);
                    }
                    Anchor::Placeholders => render_placeholders(image.id, area, buffer),
                }
                placements.note(Placement { area, kitty: Some(Arc::clone(image)) });
            }
        }
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        if let Body::Kitty { image, placements } = &self.body {
            placements.abandon(image.id);
        }
    }
}

fn render_cells(rows: &[Vec<Cell>], area: Rect, buffer: &mut Buffer) {
    for (row, cells) in area.rows().zip(rows) {
        for (at, cell) in row.positions().zip(cells) {
            buffer[at] = cell.clone();
        }
    }
}

/// The whole picture goes into the first cell, and the diff leaves the others
/// alone.
fn render_escape(sequence: &str, area: Rect, buffer: &mut Buffer) {
    for at in area.positions() {
        let cell = &mut buffer[at];
        cell.reset();
        cell.set_diff_option(CellDiffOption::Skip);
    }
    buffer[area.as_position()]
        .set_symbol(&payload(sequence, area))
        .set_diff_option(CellDiffOption::ForcedWidth(NonZeroU16::MIN));
}

/// Wipes the cells, draws the picture and puts the cursor where ratatui
/// believes it to be after a cell: one to the right.
fn payload(sequence: &str, area: Rect) -> String {
    let (column, row) = (area.x + 1, area.y + 1);
    let mut payload = String::with_capacity(sequence.len() + 20 * usize::from(area.height));
    payload.push_str("\x1b7\x1b[m");
    for line in row..row + area.height {
        // Writing to a String cannot fail.
        let _ = write!(payload, "\x1b[{line};{column}H\x1b[{}X", area.width);
    }
    let _ = write!(payload, "\x1b[{row};{column}H{sequence}\x1b8\x1b[{row};{}H", column + 1);
    payload
}

/// Every cell says which row and column of the picture it shows, so that any
/// part of it can be painted over and again.
fn render_placeholders(id: ImageNumber, area: Rect, buffer: &mut Buffer) {
    let [red, green, blue] = id.colour();
    for at in area.positions() {
        let marks = [diacritic(at.y - area.y), diacritic(at.x - area.x)];
        let symbol: String =
            std::iter::once('\u{10eeee}').chain(marks.into_iter().flatten()).collect();
        let cell = &mut buffer[at];
        cell.reset();
        cell.set_symbol(&symbol)
            .set_fg(Color::Rgb(red, green, blue))
            .set_diff_option(CellDiffOption::ForcedWidth(NonZeroU16::MIN));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR: &str = "\x1b[0m\x1b[38;2;1;1;1m▄▄\x1b[0m\r\n\x1b[0m\x1b[38;2;1;1;1m▄▄\x1b[0m\n";

    fn sixel() -> Picture {
        Picture::from_escape("<sixel>".to_owned(), Size::new(3, 2), Arc::default())
    }

    #[test]
    fn half_blocks_are_drawn_in_the_middle() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 6, 4));
        Picture::from_half_blocks(FOUR).unwrap().render(buffer.area, &mut buffer);
        let text: Vec<String> =
            (0..4).map(|y| (0..6).map(|x| buffer[(x, y)].symbol().to_owned()).collect()).collect();
        assert_eq!(text, ["      ", "  ▄▄  ", "  ▄▄  ", "      "]);
    }

    #[test]
    fn a_picture_too_large_for_its_area_is_not_drawn() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 2, 2));
        sixel().render(buffer.area, &mut buffer);
        assert_eq!(buffer, Buffer::empty(buffer.area));
    }

    #[test]
    fn an_area_beyond_the_screen_is_cut_to_it() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 3, 2));
        sixel().render(Rect::new(1, 1, 60, 60), &mut buffer);
        assert_eq!(buffer, Buffer::empty(buffer.area));
    }

    #[test]
    fn a_sixel_wipes_its_cells_and_leaves_the_cursor_beside_its_first() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 9, 6));
        sixel().render(Rect::new(2, 1, 3, 2), &mut buffer);
        assert_eq!(
            buffer[(2, 1)].symbol(),
            "\x1b7\x1b[m\x1b[2;3H\x1b[3X\x1b[3;3H\x1b[3X\x1b[2;3H<sixel>\x1b8\x1b[2;4H"
        );
        assert_eq!(buffer[(4, 2)].diff_option, CellDiffOption::Skip);
    }

    #[test]
    fn a_sixel_stays_off_the_last_row() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 3, 3));
        sixel().render(Rect::new(0, 1, 3, 2), &mut buffer);
        assert_eq!(buffer, Buffer::empty(buffer.area));
        sixel().render(buffer.area, &mut buffer);
        assert_eq!(buffer[(0, 2)].diff_option, CellDiffOption::None);
        assert_eq!(buffer[(0, 1)].diff_option, CellDiffOption::Skip);
    }

    #[test]
    fn an_unchanged_picture_is_not_sent_again() {
        let area = Rect::new(0, 0, 9, 6);
        let (mut before, mut after) = (Buffer::empty(area), Buffer::empty(area));
        let picture = sixel();
        picture.render(area, &mut before);
        assert_eq!(Buffer::empty(area).diff(&before).len(), 1);
        picture.render(area, &mut after);
        assert!(before.diff(&after).is_empty());
        // Gone, all its cells are painted over.
        assert_eq!(after.diff(&Buffer::empty(area)).len(), 6);
    }

    #[test]
    fn each_placeholder_names_picture_row_and_column() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 2, 2));
        render_placeholders(ImageNumber::nth(3), buffer.area, &mut buffer);
        let [red, green, blue] = ImageNumber::nth(3).colour();
        assert_eq!(buffer[(1, 0)].symbol(), "\u{10eeee}\u{305}\u{30d}");
        assert_eq!(buffer[(0, 1)].symbol(), "\u{10eeee}\u{30d}\u{305}");
        assert_eq!(buffer[(1, 1)].fg, Color::Rgb(red, green, blue));
    }
}
