//! From a file's bytes to what the model takes: the same way for pictures that
//! are loaded and for those that are searched for, so that one finds itself.

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
    let decoded = watches.time(Stage::Decoding, decode)?;
    let resize = || preprocessor.pixel_values(&picture::flatten(decoded.picture));
    let values = watches.time(Stage::Resizing, resize);
    Ok((decoded.pixels, values.map_err(|e| Error::Damaged(e.to_string()))?))
}
