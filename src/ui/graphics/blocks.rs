//! Reads the coloured half-blocks viuer prints into cells of ratatui's.
//!
//! As cells they need no capable terminal, survive tmux, popups and resizes
//! like any text, and show in snapshots.

use ratatui::buffer::Cell;
use ratatui::style::Color;

use super::Error;

/// The cells of each row, top to bottom; all rows are equally long. Cells
/// viuer stepped over (transparent pixels) are blank.
pub fn parse(printed: &str) -> Result<Vec<Vec<Cell>>, Error> {
    let rows: Vec<_> = printed.lines().map(parse_row).collect::<Result<_, _>>()?;
    let width = rows.first().map_or(0, Vec::len);
    let rectangular = width > 0 && rows.iter().all(|row| row.len() == width);
    if rectangular { Ok(rows) } else { Err(Error::Unexpected) }
}

fn parse_row(line: &str) -> Result<Vec<Cell>, Error> {
    let mut row = Vec::new();
    let mut pen = Cell::EMPTY;
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\x1b' => rest = obey(rest, &mut pen, &mut row)?,
            '\r' => {}
            glyph => row.push(pen.clone().set_char(glyph).clone()),
        }
    }
    Ok(row)
}

/// Carries out the control sequence after an escape; returns what follows it.
fn obey<'a>(text: &'a str, pen: &mut Cell, row: &mut Vec<Cell>) -> Result<&'a str, Error> {
    let body = text.strip_prefix('[').ok_or(Error::Unexpected)?;
    let end = body.find(|c: char| c.is_ascii_alphabetic()).ok_or(Error::Unexpected)?;
    let numbers: Vec<u8> = body[..end].split(';').map(|n| n.parse().unwrap_or(0)).collect();
    match (&body[end..=end], numbers.as_slice()) {
        ("m", [0]) => *pen = Cell::EMPTY,
        ("m", [38, colour @ ..]) => pen.fg = parse_colour(colour)?,
        ("m", [48, colour @ ..]) => pen.bg = parse_colour(colour)?,
        ("C", [steps]) => row.extend((0..*steps).map(|_| Cell::EMPTY)),
        _ => return Err(Error::Unexpected),
    }
    Ok(&body[end + 1..])
}

fn parse_colour(numbers: &[u8]) -> Result<Color, Error> {
    match *numbers {
        [2, red, green, blue] => Ok(Color::Rgb(red, green, blue)),
        [5, index] => Ok(Color::Indexed(index)),
        _ => Err(Error::Unexpected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As viuer 0.11 prints four pixels, two by two: red and green above blue
    /// and nothing, then one row of half-height.
    const PRINTED: &str = "\x1b[0m\x1b[38;2;0;0;255m\x1b[48;2;255;0;0m▄\x1b[0m\x1b[38;2;0;128;0m▀\
        \x1b[0m\r\n\x1b[0m\x1b[38;5;196m▀\x1b[1C\x1b[0m\n";

    #[test]
    fn colours_and_glyphs_become_cells() {
        let rows = parse(PRINTED).unwrap();
        let seen: Vec<Vec<_>> = rows
            .iter()
            .map(|row| row.iter().map(|cell| (cell.symbol(), cell.fg, cell.bg)).collect())
            .collect();
        let (red, blue) = (Color::Rgb(255, 0, 0), Color::Rgb(0, 0, 255));
        let green = Color::Rgb(0, 128, 0);
        assert_eq!(
            seen,
            [
                [("▄", blue, red), ("▀", green, Color::Reset)],
                [("▀", Color::Indexed(196), Color::Reset), (" ", Color::Reset, Color::Reset)],
            ]
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for printed in
            ["", "\n", "▄▄\n▄\n", "\x1b[38;2;1mx", "\x1b[2J", "\x1b_Ga=T;\x1b\\", "\x1b["]
        {
            assert!(matches!(parse(printed), Err(Error::Unexpected)), "{printed:?}");
        }
    }
}
