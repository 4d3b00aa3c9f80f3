//! The kitty graphics protocol: mends what viuer prints, and the few commands
//! viuer does not know.
//!
//! viuer transmits and displays in one go, without an id, so that what it has
//! drawn can never be moved or deleted. Here the picture gets an id; where it
//! shows is said by a second command or by placeholder characters. And it
//! travels as a PNG.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, RgbaImage};
use ratatui::layout::{Rect, Size};

use super::Error;

/// The id of a picture in the terminal, 24 bits and never 0: it travels as the
/// colour of the placeholder characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageNumber(u32);

impl ImageNumber {
    /// The `n`th picture of this process. The process id keeps two programs in
    /// one window (two panes of tmux) apart, mostly.
    pub fn nth(n: u32) -> Self {
        Self(((std::process::id() & 0xfff) << 12 | (n & 0xfff)).max(1))
    }

    /// Red, green, blue.
    pub fn colour(self) -> [u8; 3] {
        let [_, red, green, blue] = self.0.to_be_bytes();
        [red, green, blue]
    }
}

/// Where a transmitted picture will show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Where [`place`] says.
    Cursor,
    /// On `U+10EEEE` characters in the picture's colour.
    Placeholders,
}

/// Most bytes of a payload between two escapes, as the protocol has it.
const CHUNK: usize = 4096;

/// The escape sequences that hand the picture to the terminal, which neither
/// answers nor moves the cursor, each on its own so that tmux can be told to
/// pass it through.
///
/// `printed` is what viuer printed for a picture on `cells`: four bytes per pixel, which take
/// seconds over a network and hold the screen up meanwhile. A PNG of the same
/// pixels is a third of that.
pub fn transmission(
    printed: &str,
    cells: Size,
    id: ImageNumber,
    anchor: Anchor,
) -> Result<Vec<String>, Error> {
    let payload = STANDARD.encode(png(pixels(printed)?)?);
    // Base64 is ASCII: every byte is a character.
    let chunks: Vec<&str> = (0..payload.len())
        .step_by(CHUNK)
        .map(|at| &payload[at..payload.len().min(at + CHUNK)])
        .collect();
    let last = chunks.len() - 1;
    let sequences = chunks.iter().enumerate().map(|(n, chunk)| {
        let keys = if n == 0 { first_keys(cells, id, anchor) } else { String::new() };
        format!("\x1b_G{keys}q=2,m={};{chunk}\x1b\\", u8::from(n < last))
    });
    Ok(sequences.collect())
}

/// The pixels that the graphics commands in `printed` carry.
fn pixels(printed: &str) -> Result<RgbaImage, Error> {
    let chunks: Option<Vec<(&str, &str)>> = printed
        .split("\x1b_G")
        .skip(1)
        .map(|command| command.split_once("\x1b\\")?.0.split_once(';'))
        .collect();
    let chunks = chunks.ok_or(Error::Unexpected)?;
    let (keys, _) = chunks.first().ok_or(Error::Unexpected)?;
    let payload: String = chunks.iter().map(|(_, payload)| *payload).collect();
    rgba(keys, &payload).ok_or(Error::Unexpected)
}

/// A payload of the format 32, which is RGBA.
fn rgba(keys: &str, payload: &str) -> Option<RgbaImage> {
    let value = |key| keys.split(',').find_map(|pair| pair.strip_prefix(key));
    value("f=").filter(|format| *format == "32")?;
    let (width, height) = (value("s=")?.parse().ok()?, value("v=")?.parse().ok()?);
    RgbaImage::from_raw(width, height, STANDARD.decode(payload).ok()?)
}

/// Quickly rather than small: photos gain little from more effort.
fn png(pixels: RgbaImage) -> Result<Vec<u8>, Error> {
    let opaque = pixels.pixels().all(|pixel| pixel.0[3] == u8::MAX);
    let image = DynamicImage::from(pixels);
    let image = if opaque { image.into_rgb8().into() } else { image };
    let mut bytes = Vec::new();
    let encoder =
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive);
    image.write_with_encoder(encoder).map_err(viuer::ViuError::from)?;
    Ok(bytes)
}

/// The size in cells is for whoever displays: with a cursor, that is
/// [`place`].
fn first_keys(cells: Size, id: ImageNumber, anchor: Anchor) -> String {
    let (Size { width, height }, id) = (cells, id.0);
    match anchor {
        Anchor::Cursor => format!("a=t,i={id},f=100,"),
        Anchor::Placeholders => format!("a=T,U=1,i={id},f=100,c={width},r={height},"),
    }
}

/// Shows a transmitted picture in `area` from the cursor on, which must be at
/// its first cell.
pub fn place(id: ImageNumber, area: Rect) -> String {
    let Rect { width, height, .. } = area;
    let place = place_number(area);
    format!("\x1b_Ga=p,i={},p={place},c={width},r={height},C=1,q=2\x1b\\", id.0)
}

/// Takes a picture off `area`; it stays transmitted, and shows where else it
/// was placed.
pub fn remove(id: ImageNumber, area: Rect) -> String {
    format!("\x1b_Ga=d,d=i,i={},p={},q=2\x1b\\", id.0, place_number(area))
}

/// The number of a placement, never 0: a picture shows once in a cell.
fn place_number(area: Rect) -> u32 {
    (u32::from(area.y) << 16 | u32::from(area.x)) + 1
}

/// Takes a picture off the screen, wherever it shows, and out of the
/// terminal's memory. kitty forgets **every** picture without a placement at
/// this occasion (0.26, seen; its `filter_refs` does not ask which).
pub fn delete(id: ImageNumber) -> String {
    format!("\x1b_Ga=d,d=I,i={},q=2\x1b\\", id.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ImageNumber = ImageNumber(0x12_3456);
    const CELLS: Size = Size::new(5, 6);

    /// As viuer 0.11 prints it.
    fn printed(picture: &RgbaImage) -> String {
        let payload = STANDARD.encode(picture.as_raw());
        let chunks: Vec<&str> =
            payload.as_bytes().chunks(CHUNK).map(|c| str::from_utf8(c).unwrap()).collect();
        let (width, height) = picture.dimensions();
        let first = format!("\x1b_Gf=32,a=T,t=d,s={width},v={height},c=5,r=6,m=1;");
        first + &chunks.join("\x1b\\\x1b_Gm=1;") + "\x1b\\\n"
    }

    /// A picture that no compression makes small.
    fn noise(alpha: u8) -> RgbaImage {
        let grain = |x: u32, y: u32, n: u32| {
            (x * 7919 + y * 104_729 + n * 31).wrapping_mul(2_654_435_761).to_be_bytes()[0]
        };
        RgbaImage::from_fn(60, 50, |x, y| {
            image::Rgba([grain(x, y, 0), grain(x, y, 1), grain(x, y, 2), alpha])
        })
    }

    /// The picture that `sequences` hand over.
    fn received(sequences: &[String]) -> DynamicImage {
        let payload: String = sequences
            .iter()
            .map(|sequence| sequence.strip_suffix("\x1b\\").unwrap().split_once(';').unwrap().1)
            .collect();
        image::load_from_memory(&STANDARD.decode(payload).unwrap()).unwrap()
    }

    #[test]
    fn the_terminal_receives_the_pixels_viuer_printed() {
        for alpha in [0, 255] {
            let picture = noise(alpha);
            let sequences = transmission(&printed(&picture), CELLS, ID, Anchor::Cursor).unwrap();
            assert!(sequences.len() > 1);
            assert!(sequences.iter().all(|sequence| sequence.len() < CHUNK + 100));
            assert_eq!(received(&sequences).into_rgba8(), picture);
        }
    }

    #[test]
    fn a_transmission_names_the_picture_and_wants_no_answer() {
        let sequences = transmission(&printed(&noise(255)), CELLS, ID, Anchor::Cursor).unwrap();
        assert!(sequences[0].starts_with("\x1b_Ga=t,i=1193046,f=100,q=2,m=1;"));
        let (last, others) = sequences[1..].split_last().unwrap();
        assert!(others.iter().all(|sequence| sequence.starts_with("\x1b_Gq=2,m=1;")));
        assert!(last.starts_with("\x1b_Gq=2,m=0;"));
    }

    #[test]
    fn placeholders_need_the_size_in_cells() {
        let pixel = RgbaImage::new(1, 1);
        let sequences = transmission(&printed(&pixel), CELLS, ID, Anchor::Placeholders).unwrap();
        assert!(sequences[0].starts_with("\x1b_Ga=T,U=1,i=1193046,f=100,c=5,r=6,q=2,m=0;"));
        assert_eq!(sequences.len(), 1);
    }

    #[test]
    fn anything_but_pixels_is_refused() {
        let printed = [
            "",
            "▄▄▄",
            "\x1b_Gf=32;AAAA",
            "\x1b_Gf=32\x1b\\",
            "\x1b_Gf=32,s=1,v=2;AAAA\x1b\\",
            "\x1b_Gf=24,s=1,v=1;AAAA\x1b\\",
            "\x1b_Gf=32,s=1,v=1;!\x1b\\",
        ];
        for printed in printed {
            let refused = transmission(printed, CELLS, ID, Anchor::Cursor);
            assert!(matches!(refused, Err(Error::Unexpected)), "{printed:?}");
        }
    }

    #[test]
    fn an_id_travels_as_a_colour_and_is_never_zero() {
        assert_eq!(ID.colour(), [0x12, 0x34, 0x56]);
        assert_ne!(ImageNumber::nth(0).0, 0);
        assert_eq!(ImageNumber::nth(u32::MAX).0 >> 24, 0);
        assert_ne!(ImageNumber::nth(1), ImageNumber::nth(2));
    }
}
