//! Pictures from files: read, decoded within limits, turned upright.
//!
//! The format is what the first bytes say, whatever the name says. Decoding
//! is the `image` crate's, but for TIFF (`raster`) and for AVIF, which rav1d
//! decodes: its every entry is a C function, so that a panic in it aborts the
//! process, and what it keeps is not counted. It works in a process of its own, therefore, if there is a
//! program for that ([`decode_apart`]): `main` says that it is itself. Tests and
//! fuzz targets do without, and decode AVIF as they do the rest.
//!
//! `image`'s JPEG decoder (zune-jpeg) rounds the inverse DCT
//! and the colour conversion otherwise than libjpeg-turbo, which Pillow uses:
//! 0.14 grey levels on average over photos, 4 at most. Where less than a third of a
//! large picture is wanted, `jpeg-decoder` decodes a quarter of it ([`Detail`]).
//!
//! A JPEG or PNG file that ends too early gives the part that came. Of raw
//! files and HEIC, the largest JPEG preview within them is shown.
//!
//! One picture takes 2 GiB of memory at most: its file and a decoder's copy of
//! it, 512 MiB each, and 1 GiB of pixels and of what the decoder keeps until
//! they are complete. A usual photo takes less than a tenth of that. Of AVIF,
//! the file and up to 256 MiB of pixels are here, and 1 GiB is all that the
//! other process may have, its copy of the file included; without one, a file
//! made to harm may take more.

mod apart;
mod avif;
mod colour;
mod error;
mod fax;
mod format;
mod heif;
mod jpeg;
mod lenient;
mod memory;
mod preview;
mod quarter;
mod raster;
mod salvage;
mod tiff;

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgb, RgbImage};

pub use apart::{decode_apart, is_asked, serve, this_program};
pub use error::Error;
pub use format::{looks_like_a_picture, named_like_a_picture};

use crate::domain::PixelSize;
use format::Format;
use jpeg::{End, Frame, Order};
use lenient::Lenient;
use quarter::Quarter;

/// Grows whenever more can be decoded: a file that failed before is then tried
/// again.
pub const DECODERS: u32 = 2;

/// A file longer than this is not read: no camera writes one.
const MAX_FILE_BYTES: u64 = 512 << 20;

/// A picture that would take more memory than this is not decoded; fuzzing would
/// spend its time on filling it.
const MAX_DECODED_BYTES: u64 = if cfg!(fuzzing) { 4 << 20 } else { 512 << 20 };

/// Nor is one of more pixels, which are to become 8-bit RGB: 178 million.
const MAX_PIXELS: u64 = MAX_DECODED_BYTES / 3;

/// Nor one with a longer side: what a resampler keeps for every row or column
/// of a thin strip would be many times its pixels.
const MAX_SIDE: u32 = 1 << 20;

/// What a PNG decoder may take beside the pixels: a row, and what is packed and
/// of no use here, as a colour profile, which may be a thousand times its length
/// and is left out where it is too large.
const MAX_PNG_BYTES: u64 = 16 << 20;

/// Nor one whose decoder would keep more than this, its pixels included.
const MAX_WORKING_BYTES: u64 = 1 << 30;

/// A picture as it was decoded.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// Its pixels, upright.
    pub picture: DynamicImage,
    /// Whether its file ends too early and this is only the part that came.
    pub salvaged: bool,
    /// How large it is where it is not decoded at a quarter of its size.
    pub pixels: PixelSize,
}

impl Decoded {
    /// All of a picture, as it is.
    fn whole(picture: DynamicImage) -> Self {
        let pixels = pixel_size(&picture);
        Self { picture, salvaged: false, pixels }
    }
}

/// How large a picture has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// As it is.
    Full,
    /// Enough to be made smaller, to a shorter side of so many pixels: a large
    /// JPEG picture is decoded at a quarter of its size.
    ForShortSide(u32),
}

/// The content of the regular file at `path`.
///
/// # Errors
/// If it is not a regular file (a FIFO would block for ever), is too long, or
/// cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let kind = fs::metadata(path)?;
    if !kind.is_file() {
        return Err(Error::NotAFile);
    }
    if kind.len() > MAX_FILE_BYTES {
        return Err(Error::FileTooLong { bytes: kind.len() });
    }
    let mut bytes = Vec::new();
    // Bounded again, as the file may grow while it is read.
    File::open(path)?.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// How many bytes [`decode`] takes for `bytes` beside them, and what makes the
/// picture RGB afterwards: more rather than less, within limits. Only headers
/// are read.
#[must_use]
pub fn memory(bytes: &[u8], detail: Detail) -> u64 {
    // A decoder that panics over a header will do so again.
    let pixels = panic::catch_unwind(|| memory::needed(bytes, detail)).unwrap_or_default();
    pixels.saturating_add(bytes.len() as u64)
}

/// Decodes a picture and turns it upright by its EXIF orientation. Of an
/// animation, the first frame; of a raw file or HEIC, the preview.
///
/// # Errors
/// If `bytes` are not a picture we can decode, or one that is too large, or if
/// less than a third of it is there. A decoder that panics is an error as
/// well, and so is one apart that aborts, cannot be started or does not end.
pub fn decode(bytes: &[u8], detail: Detail) -> Result<Decoded, Error> {
    panic::catch_unwind(AssertUnwindSafe(|| decode_within_limits(bytes, detail)))
        .unwrap_or_else(|_| Err(Error::gave_up()))
}

fn decode_within_limits(bytes: &[u8], detail: Detail) -> Result<Decoded, Error> {
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    match format::format(bytes).ok_or(Error::NotAPicture)? {
        Format::Decoded(ImageFormat::Jpeg) => decode_jpeg(bytes, Orientation::NoTransforms, detail),
        Format::Decoded(ImageFormat::Avif) => apart::decode(bytes),
        Format::Decoded(ImageFormat::Tiff) => raster::decode(bytes),
        Format::Decoded(format) => decode_as(bytes, format),
        Format::Previewed(name) => decode_preview(bytes, detail).ok_or(Error::Unsupported(name)),
        Format::Recognised(name) => Err(Error::Unsupported(name)),
    }
}

/// The largest preview that can be decoded.
fn decode_preview(bytes: &[u8], detail: Detail) -> Option<Decoded> {
    let turned = preview::orientation(bytes).unwrap_or(Orientation::NoTransforms);
    let decoded = |preview| decode_jpeg(preview, turned, detail).ok();
    preview::previews(bytes).into_iter().find_map(decoded)
}

/// Turned as it says itself, or else as `otherwise` says.
fn decode_jpeg(bytes: &[u8], otherwise: Orientation, detail: Detail) -> Result<Decoded, Error> {
    let outline = jpeg::outline(bytes);
    let order = outline.frame.map(|frame| frame.order);
    if let Some(frame) = outline.frame {
        let (width, height) = (u32::from(frame.width), u32::from(frame.height));
        within_limits(width, height, frame.pixels() * 3)?;
        if frame.kept() > MAX_WORKING_BYTES - frame.pixels() * 3 {
            return Err(Error::TooMuchMemory);
        }
    }
    let (bytes, is_cut) = match outline.end {
        End::Whole(length) => (&bytes[..length], false),
        End::Broken => (bytes, false),
        // A file system may have set aside more than was written.
        End::Cut => (without_zeros_at_the_end(bytes), true),
    };
    if is_cut && order == Some(Order::Components) {
        return Err(Error::ends_too_early());
    }
    let early = |error| if is_cut { Error::ends_too_early() } else { Error::from_image(error) };
    let mut decoder = reader(bytes, ImageFormat::Jpeg).into_decoder().map_err(early)?;
    // A damaged file may have a frame that the outline passes over.
    let (width, height) = decoder.dimensions();
    within_limits(width, height, decoder.total_bytes())?;
    let own = decoder.orientation().map_err(early)?;
    let turned = if own == Orientation::NoTransforms { otherwise } else { own };
    if let (End::Whole(_), Some(frame)) = (outline.end, outline.frame)
        && let Some(mut picture) = quarter(bytes, &frame, detail)
    {
        drop(decoder);
        picture.apply_orientation(turned);
        let is_on_side = (picture.width() > picture.height()) != (width > height);
        let (width, height) = if is_on_side { (height, width) } else { (width, height) };
        return Ok(Decoded { picture, salvaged: false, pixels: PixelSize { width, height } });
    }
    let mut picture = DynamicImage::from_decoder(decoder).map_err(early)?;
    if is_cut {
        // The last row of blocks may be half filled in, and the one above is
        // smoothed into it.
        let doubtful = match (order, outline.frame) {
            (Some(Order::Rows), Some(frame)) => frame.rows_together + 1,
            _ => 0,
        };
        picture = salvage::salvaged(&picture, doubtful).ok_or_else(Error::ends_too_early)?;
    }
    picture.apply_orientation(turned);
    Ok(Decoded { salvaged: is_cut, ..Decoded::whole(picture) })
}

/// A quarter of the picture, if that is enough and there is nothing odd about it.
fn quarter(bytes: &[u8], frame: &Frame, detail: Detail) -> Option<DynamicImage> {
    let Detail::ForShortSide(side) = detail else { return None };
    Quarter::of(frame, side)?.decode(bytes)
}

fn without_zeros_at_the_end(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)]
}

fn decode_as(bytes: &[u8], format: ImageFormat) -> Result<Decoded, Error> {
    let mut decoder = reader(bytes, format).into_decoder().map_err(Error::from_image)?;
    let (width, height) = decoder.dimensions();
    within_limits(width, height, decoder.total_bytes())?;
    let orientation = decoder.orientation().map_err(Error::from_image)?;
    let ended_early = Cell::new(false);
    let mut picture = if is_png_of_rows(bytes) {
        let lenient = Lenient { inner: decoder, ended_early: &ended_early };
        DynamicImage::from_decoder(lenient).map_err(Error::from_image)?
    } else {
        DynamicImage::from_decoder(decoder).map_err(Error::from_image)?
    };
    let salvaged = ended_early.get();
    if salvaged {
        picture = salvage::salvaged(&picture, 0).ok_or_else(Error::ends_too_early)?;
    }
    picture.apply_orientation(orientation);
    Ok(Decoded { salvaged, ..Decoded::whole(picture) })
}

fn within_limits(width: u32, height: u32, bytes: u64) -> Result<(), Error> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS || width.max(height) > MAX_SIDE || bytes > MAX_DECODED_BYTES {
        return Err(Error::TooLarge { width, height });
    }
    Ok(())
}

/// Reads `bytes` as `format`, within limits.
fn reader(bytes: &[u8], format: ImageFormat) -> ImageReader<Cursor<&[u8]>> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::no_limits();
    let most = if format == ImageFormat::Png { MAX_PNG_BYTES } else { MAX_DECODED_BYTES };
    limits.max_alloc = Some(most);
    reader.limits(limits);
    reader
}

/// Whether this is a PNG file whose rows come from top to bottom; its header
/// says at this place that they are not interlaced.
fn is_png_of_rows(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG") && bytes.get(28) == Some(&0)
}

/// As a model sees it: 8-bit RGB, transparent parts on white.
#[must_use]
pub fn flatten(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let picture = picture.into_rgba8();
    let mut flat = RgbImage::new(picture.width(), picture.height());
    for (to, from) in flat.pixels_mut().zip(picture.pixels()) {
        let [red, green, blue, alpha] = from.0;
        *to = Rgb([red, green, blue].map(|level| over_white(level, alpha)));
    }
    flat
}

/// `level` at opacity `alpha` on white, rounded to nearest.
fn over_white(level: u8, alpha: u8) -> u8 {
    let (level, alpha) = (u32::from(level), u32::from(alpha));
    let mixed = (level * alpha + 255 * (255 - alpha) + 127) / 255;
    u8::try_from(mixed).expect("a weighted mean of two levels")
}

/// Width and height of a decoded picture.
#[must_use]
pub fn pixel_size(picture: &DynamicImage) -> PixelSize {
    PixelSize { width: picture.width(), height: picture.height() }
}
