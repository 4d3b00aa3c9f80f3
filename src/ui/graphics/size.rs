//! How large a picture is drawn: in cells, and in pixels sent.

use ratatui::layout::Size;

/// Enlarging further shows the pixels of a thumbnail, not more of the car.
const MOST_ENLARGED: f64 = 3.0;
/// viuer takes a character cell for this many pixels when it makes sixels,
/// whatever the terminal's font.
const SIXEL_CELL: CellSize = CellSize { width: 6, height: 12 };
/// xterm shows no sixel picture over 1000 pixels either way; viuer cuts its
/// width there, and this is the last whole multiple of its cell below.
const SIXEL_SIDE: u32 = 996;
/// About a byte per pixel leaves the encoder; tmux drops a sequence over 1 MB.
const SIXEL_PIXELS: u32 = 700_000;

/// A character cell in pixels, neither side zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellSize {
    /// From left to right.
    pub width: u16,
    /// From top to bottom.
    pub height: u16,
}

impl CellSize {
    /// What a terminal that does not tell is taken to have.
    pub const USUAL: Self = Self { width: 10, height: 20 };

    /// `None` unless both are positive.
    pub fn new(width: u16, height: u16) -> Option<Self> {
        (width > 0 && height > 0).then_some(Self { width, height })
    }

    fn pixels(self, cells: Size) -> (u32, u32) {
        (
            u32::from(cells.width) * u32::from(self.width),
            u32::from(cells.height) * u32::from(self.height),
        )
    }
}

/// Where a picture fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// The cells it covers.
    pub cells: Size,
    /// The pixels of those cells.
    pub pixels: (u32, u32),
}

/// The largest rectangle of whole cells within `area` that has the shape of a
/// picture of `image` pixels (neither side zero) to half a column. `None` if
/// `area` is empty.
pub fn fit(image: (u32, u32), area: Size, cell: CellSize) -> Option<Fit> {
    if area.width == 0 || area.height == 0 {
        return None;
    }
    let scale = scale(image, cell.pixels(area));
    // Rows first, as they are the coarser step; columns then follow the shape.
    let rows = whole(f64::from(image.1) * scale / f64::from(cell.height), area.height);
    let height = f64::from(rows) * f64::from(cell.height);
    let columns = nearest(height * aspect(image) / f64::from(cell.width), area.width);
    let cells = Size::new(columns, rows);
    Some(Fit { cells, pixels: cell.pixels(cells) })
}

/// A fit for sixels, whose size is counted in viuer's own cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SixelFit {
    /// The cells of the terminal it covers, in full or in part.
    pub cells: Size,
    /// The size to ask of viuer.
    pub viuer_cells: Size,
}

/// As [`fit`], for sixels: sized so that the pixels viuer makes stay within
/// `area`. `None` if not even one of its cells fits.
pub fn fit_sixel(image: (u32, u32), area: Size, cell: CellSize) -> Option<SixelFit> {
    let (width, height) = cell.pixels(area);
    let room =
        Size::new(viuer_cells(width, SIXEL_CELL.width), viuer_cells(height, SIXEL_CELL.height));
    let bounds = within(SIXEL_CELL.pixels(room), SIXEL_PIXELS);
    let room = Size::new(
        viuer_cells(bounds.0, SIXEL_CELL.width),
        viuer_cells(bounds.1, SIXEL_CELL.height),
    );
    let viuer_cells = fit(image, room, SIXEL_CELL)?.cells;
    let (width, height) = SIXEL_CELL.pixels(viuer_cells);
    let cells = Size::new(
        saturate(width.div_ceil(u32::from(cell.width))),
        saturate(height.div_ceil(u32::from(cell.height))),
    );
    Some(SixelFit { cells, viuer_cells })
}

/// `pixels`, shrunk in proportion to at most `most` of them.
pub fn within((width, height): (u32, u32), most: u32) -> (u32, u32) {
    let area = f64::from(width) * f64::from(height);
    let scale = (f64::from(most) / area).sqrt().min(1.0);
    (floor(f64::from(width) * scale).max(1), floor(f64::from(height) * scale).max(1))
}

fn viuer_cells(pixels: u32, cell: u16) -> u16 {
    saturate(pixels.min(SIXEL_SIDE) / u32::from(cell))
}

fn scale(image: (u32, u32), bounds: (u32, u32)) -> f64 {
    let width = f64::from(bounds.0) / f64::from(image.0);
    let height = f64::from(bounds.1) / f64::from(image.1);
    width.min(height).min(MOST_ENLARGED)
}

fn aspect((width, height): (u32, u32)) -> f64 {
    f64::from(width) / f64::from(height)
}

/// The whole cells in `cells`, a twentieth short being whole enough.
fn whole(cells: f64, most: u16) -> u16 {
    saturate(floor(cells + 0.05)).clamp(1, most)
}

fn nearest(cells: f64, most: u16) -> u16 {
    saturate(floor(cells + 0.5)).clamp(1, most)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes are positive, and the cast saturates"
)]
fn floor(x: f64) -> u32 {
    x as u32
}

fn saturate(x: u32) -> u16 {
    u16::try_from(x).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: CellSize = CellSize { width: 8, height: 17 };

    fn cells(image: (u32, u32), area: (u16, u16)) -> Option<(u16, u16)> {
        fit(image, area.into(), CELL).map(|fit| (fit.cells.width, fit.cells.height))
    }

    #[test]
    fn a_wide_picture_fills_the_width() {
        // 480 x 160 px in cells: 9 rows are 153 px, 459 px wide: 57 columns.
        assert_eq!(cells((3000, 1000), (60, 30)), Some((57, 9)));
    }

    #[test]
    fn a_tall_picture_fills_the_height() {
        assert_eq!(cells((1000, 2000), (60, 10)), Some((11, 10)));
    }

    #[test]
    fn a_picture_of_the_areas_shape_fills_it() {
        assert_eq!(cells((960, 1020), (60, 30)), Some((60, 30)));
    }

    #[test]
    fn a_thumbnail_grows_threefold_at_most() {
        assert_eq!(cells((80, 51), (200, 100)), Some((30, 9)));
    }

    #[test]
    fn a_picture_is_never_less_than_a_cell_nor_more_than_the_area() {
        assert_eq!(cells((1, 1), (40, 10)), Some((2, 1)));
        assert_eq!(cells((60_000, 1), (40, 10)), Some((40, 1)));
        assert_eq!(cells((1, 60_000), (40, 10)), Some((1, 10)));
        assert_eq!(cells((1, 60_000), (1, 1)), Some((1, 1)));
    }

    #[test]
    fn nothing_fits_nowhere() {
        assert_eq!(cells((10, 10), (0, 10)), None);
        assert_eq!(fit_sixel((10, 10), Size::new(10, 0), CELL), None);
        // One cell of 8x17 holds no row of 20 columns, but one of viuer's.
        let one = fit_sixel((10, 10), Size::new(1, 1), CELL).map(|fit| fit.viuer_cells);
        assert_eq!(one, Some(Size::new(1, 1)));
    }

    #[test]
    fn sixels_are_asked_for_in_viuers_own_cells() {
        // 60 x 13 cells of 8 x 17 are 480 x 221 px: 18 bands of 12 px fit, and
        // for a picture twice as wide as high 72 of 6 px.
        let fit = fit_sixel((2000, 1000), Size::new(60, 13), CELL);
        let expected = SixelFit { cells: Size::new(54, 13), viuer_cells: Size::new(72, 18) };
        assert_eq!(fit, Some(expected));
    }

    #[test]
    fn sixels_keep_within_the_area_and_the_limits() {
        for area in [(1, 1), (10, 3), (60, 13), (200, 60), (400, 200)] {
            for image in [(1, 1), (4000, 3000), (3000, 4000), (9000, 100)] {
                for cell in [(8, 17), (6, 12), (20, 40)] {
                    let cell = CellSize::new(cell.0, cell.1).unwrap();
                    let fit = fit_sixel(image, area.into(), cell).unwrap();
                    assert!(fit.cells.width <= area.0 && fit.cells.height <= area.1);
                    let (width, height) = SIXEL_CELL.pixels(fit.viuer_cells);
                    assert!(width <= 996 && height <= 996 && width * height <= 700_000);
                }
            }
        }
    }

    #[test]
    fn shrinking_to_a_budget_keeps_the_shape() {
        assert_eq!(within((4000, 1000), 1_000_000), (2000, 500));
        assert_eq!(within((400, 100), 1_000_000), (400, 100));
    }
}
