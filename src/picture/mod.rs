//! Pictures from files: read, decoded within limits, turned upright.
//!
//! The format is what the first bytes say, whatever the name says. Decoding
//! is the `image` crate's. Its JPEG decoder (zune-jpeg) rounds the inverse DCT
//! and the colour conversion otherwise than libjpeg-turbo, which Pillow uses:
//! 0.14 grey levels on average over photos, 4 at most.

mod error;
mod format;

use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageReader, Limits, Rgb, RgbImage};

pub use error::Error;
pub use format::{looks_like_a_picture, named_like_a_picture};

use crate::domain::PixelSize;

/// Grows whenever more can be decoded: a file that failed before is then tried
/// again.
pub const DECODERS: u32 = 1;

/// A file longer than this is not read: no camera writes one.
const MAX_FILE_BYTES: u64 = 512 << 20;

/// A picture that would take more memory than this is not decoded. 178
/// megapixels in 8-bit RGB.
const MAX_DECODED_BYTES: u64 = 512 << 20;

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

/// Decodes a picture and turns it upright by its EXIF orientation. Of an
/// animation, the first frame.
///
/// # Errors
/// If `bytes` are not a picture we can decode, or one that is too large. A
/// decoder that panics is an error as well.
pub fn decode(bytes: &[u8]) -> Result<DynamicImage, Error> {
    panic::catch_unwind(AssertUnwindSafe(|| decode_within_limits(bytes)))
        .unwrap_or_else(|_| Err(Error::Damaged("its decoder gave up".into())))
}

fn decode_within_limits(bytes: &[u8]) -> Result<DynamicImage, Error> {
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    if let Some(name) = format::unsupported(bytes) {
        return Err(Error::Unsupported(name));
    }
    if format::is_truncated_jpeg(bytes) {
        return Err(Error::Damaged("it ends too early".into()));
    }
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(Error::from_image)?;
    let (width, height) = decoder.dimensions();
    if decoder.total_bytes() > MAX_DECODED_BYTES {
        return Err(Error::TooLarge { width, height });
    }
    let orientation = decoder.orientation().map_err(Error::from_image)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(Error::from_image)?;
    picture.apply_orientation(orientation);
    Ok(picture)
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
