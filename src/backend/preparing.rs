//! From a file's bytes to what the model takes: the same way for pictures that
//! are loaded and for those that are searched for, so that one finds itself.

use image::DynamicImage;

use super::stages::{Stage, Stopwatches};
use crate::clip::{PixelValues, Preprocessor};
use crate::domain::PixelSize;
use crate::picture::{self, Detail, Error};

/// As much of a picture as the model sees.
pub(super) fn detail(preprocessor: &Preprocessor) -> Detail {
    Detail::ForShortSide(preprocessor.short_side())
}

/// The size of the picture in `bytes`, and what the model takes of it.
///
/// # Errors
/// If it cannot be decoded.
pub(super) fn prepare(
    bytes: &[u8],
    preprocessor: &Preprocessor,
    watches: &Stopwatches,
) -> Result<(PixelSize, PixelValues), Error> {
    let decode = || picture::decode(bytes, detail(preprocessor));
    let decoded = watches.time_work(Stage::Decoding, decode)?;
    let values = watches.time_work(Stage::Resizing, || values(decoded.picture, preprocessor))?;
    Ok((decoded.pixels, values))
}

/// What the model takes of a picture that was decoded with this [`detail`].
///
/// # Errors
/// If the picture has no pixels.
pub(super) fn values(
    picture: DynamicImage,
    preprocessor: &Preprocessor,
) -> Result<PixelValues, Error> {
    let values = preprocessor.pixel_values(&picture::flatten(picture));
    values.map_err(|e| Error::Damaged(e.to_string()))
}
