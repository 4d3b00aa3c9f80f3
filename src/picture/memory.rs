//! How much memory a picture takes until it is RGB, by what its header says.

use image::{ImageDecoder, ImageFormat};

use super::format::{self, Format};
use super::quarter::Quarter;
use super::{Detail, MAX_PNG_BYTES, avif, jpeg, preview, raster, reader, within_limits};

/// Bytes of the pixels of the picture in `bytes`, of what its decoder keeps and
/// of a second copy of the pixels, which turning or flattening it takes; zero if
/// it will not be decoded.
pub(super) fn needed(bytes: &[u8], detail: Detail) -> u64 {
    let size = match format::format(bytes) {
        Some(Format::Decoded(ImageFormat::Jpeg)) => of_jpeg(bytes, detail),
        Some(Format::Decoded(ImageFormat::Tiff)) => of_tiff(bytes),
        Some(Format::Decoded(ImageFormat::Avif)) => of_avif(bytes),
        Some(Format::Decoded(format)) => of_any(bytes, format),
        Some(Format::Previewed(_)) => {
            let size = |preview| of_jpeg(preview, detail);
            preview::previews(bytes).into_iter().filter_map(size).max_by_key(Size::bytes)
        }
        Some(Format::Recognised(_)) | None => None,
    };
    size.as_ref().map_or(0, Size::bytes)
}

/// What one picture takes.
struct Size {
    width: u32,
    height: u32,
    /// Bytes of its pixels as they are decoded.
    decoded: u64,
    /// Bytes that are kept until then.
    kept: u64,
}

impl Size {
    /// Zero where it is beyond what is decoded.
    fn bytes(&self) -> u64 {
        if within_limits(self.width, self.height, self.decoded).is_err() {
            return 0;
        }
        let rgb = 3 * u64::from(self.width) * u64::from(self.height);
        self.decoded + self.decoded.max(rgb) + self.kept
    }
}

/// A quarter that turns out to be odd is decoded whole after all.
fn of_jpeg(bytes: &[u8], detail: Detail) -> Option<Size> {
    let Some(frame) = jpeg::first_frame(bytes) else {
        return of_any(bytes, ImageFormat::Jpeg);
    };
    let (width, height) = (frame.width.into(), frame.height.into());
    let quarter = match detail {
        Detail::ForShortSide(side) => Quarter::of(&frame, side),
        Detail::Full => None,
    };
    let kept = quarter.map_or(0, |quarter| quarter.bytes().saturating_sub(frame.pixels() * 6));
    Some(Size { width, height, decoded: frame.pixels() * 3, kept: frame.kept().max(kept) })
}

fn of_tiff(bytes: &[u8]) -> Option<Size> {
    let (decoded, kept) = raster::memory(bytes).ok()?;
    // Its sides have been found to be within limits.
    Some(Size { width: 0, height: 0, decoded, kept: 3 * decoded + kept })
}

fn of_avif(bytes: &[u8]) -> Option<Size> {
    let (width, height) = avif::size(bytes)?;
    let pixels = u64::from(width) * u64::from(height);
    // In this process, or in another one.
    Some(Size { width, height, decoded: pixels * 4, kept: pixels * 15 })
}

fn of_any(bytes: &[u8], format: ImageFormat) -> Option<Size> {
    let decoder = reader(bytes, format).into_decoder().ok()?;
    let (width, height) = decoder.dimensions();
    let decoded = decoder.total_bytes();
    // Such as the frame that an animation's first is drawn on.
    let kept = if format == ImageFormat::Png { MAX_PNG_BYTES } else { decoded };
    Some(Size { width, height, decoded, kept })
}

#[cfg(test)]
mod tests {
    use image::ImageEncoder as _;
    use image::codecs::png::PngEncoder;

    use super::*;

    /// A small picture with a profile of so many zeros.
    fn png(profile: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = PngEncoder::new(&mut bytes);
        encoder.set_icc_profile(vec![0; profile]).unwrap();
        encoder.write_image(&[200; 64 * 64 * 3], 64, 64, image::ExtendedColorType::Rgb8).unwrap();
        bytes
    }

    #[test]
    fn a_colour_profile_takes_no_more_memory_than_is_counted() {
        for (profile, is_kept) in [(3000, true), (64 << 20, false)] {
            let bytes = png(profile);
            let mut decoder = reader(&bytes, ImageFormat::Png).into_decoder().unwrap();
            assert_eq!(decoder.icc_profile().unwrap().is_some(), is_kept, "of {profile} bytes");
            assert!(needed(&bytes, Detail::Full) >= MAX_PNG_BYTES);
            let decoded = crate::picture::decode(&bytes, Detail::Full).unwrap();
            assert_eq!(decoded.picture.into_rgb8().into_raw(), [200; 64 * 64 * 3]);
        }
    }
}
