//! JPEG files at a quarter of their size, by `jpeg-decoder`.
//!
//! Of each block only the coarse coefficients are turned into pixels, which takes
//! half to four fifths of the time and a tenth of the memory of decoding it all.
//! Made as small as a model takes them, photos differ from those that were
//! decoded whole by 0.2 to 0.4 grey levels on average, and by 6 at most; the compact
//! model's embeddings of the two have a cosine of 0.99998 or more. A half
//! of the size would take as long as the whole; an eighth no less than a quarter,
//! as the time goes into the codes of the coefficients, and its pixels are half
//! a level too dark.
//!
//! Only for the files that cameras write; the rest is decoded whole.

use std::panic;

use image::{DynamicImage, GrayImage, RgbImage};
use jpeg_decoder::{Decoder, PixelFormat};

use super::MAX_WORKING_BYTES;
use super::jpeg::{Frame, Order};

const PART: u16 = 4;

/// A quarter has this many halves of the pixels of a side that are wanted: the
/// less there are, the more it shows that they were not all decoded.
const HALVES: u32 = 5;

/// A quarter of a picture that is large enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quarter {
    width: u16,
    height: u16,
    coefficients: u64,
    channels: u8,
}

impl Quarter {
    /// If the picture is of a usual kind, and a quarter of it has enough to be
    /// made smaller, to a shorter side of so many pixels. It is an exact part, so
    /// that no pixel stands for less than the others.
    pub(super) fn of(frame: &Frame, short_side: u32) -> Option<Self> {
        let is_usual = frame.usual && frame.is_plain && frame.order != Order::Components;
        let is_small = frame.coefficients <= MAX_WORKING_BYTES / 2;
        let is_enough = |side: u16| {
            let enough = short_side.saturating_mul(HALVES);
            side.is_multiple_of(PART) && u32::from(side / PART) * 2 >= enough
        };
        let suits = is_usual && is_small && is_enough(frame.width) && is_enough(frame.height);
        suits.then_some(Self {
            width: frame.width / PART,
            height: frame.height / PART,
            coefficients: frame.coefficients,
            channels: frame.components,
        })
    }

    /// Bytes of its pixels, of a copy of them, and of all coefficients, which wait
    /// for the threads that turn them into pixels.
    pub(super) fn bytes(&self) -> u64 {
        self.decoded() * 2 + self.coefficients
    }

    /// Bytes of its pixels.
    fn decoded(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height) * u64::from(self.channels)
    }

    /// Decodes the whole JPEG file in `bytes`; `None` if there is anything odd
    /// about it.
    pub(super) fn decode(&self, bytes: &[u8]) -> Option<DynamicImage> {
        panic::catch_unwind(|| self.decoded_by(bytes)).ok().flatten()
    }

    fn decoded_by(&self, bytes: &[u8]) -> Option<DynamicImage> {
        let (width, height) = (self.width.into(), self.height.into());
        let mut decoder = Decoder::new(bytes);
        decoder.set_max_decoding_buffer_size(usize::try_from(self.decoded()).ok()?);
        decoder.read_info().ok()?;
        let scaled = decoder.scale(self.width, self.height).ok()?;
        if scaled != (self.width, self.height) {
            return None;
        }
        let pixels = decoder.decode().ok()?;
        match decoder.info()?.pixel_format {
            PixelFormat::RGB24 => RgbImage::from_raw(width, height, pixels).map(Into::into),
            PixelFormat::L8 => GrayImage::from_raw(width, height, pixels).map(Into::into),
            PixelFormat::L16 | PixelFormat::CMYK32 => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use image::imageops::FilterType;

    use super::super::{Detail, decode, jpeg};
    use super::*;

    /// A photo, enlarged, as a JPEG file.
    fn photo(width: u32, height: u32) -> Vec<u8> {
        let small = image::open("static/images/car-001.jpg").unwrap();
        let large = small.resize_exact(width, height, FilterType::CatmullRom);
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, 90).encode_image(&large).unwrap();
        bytes
    }

    fn quarter(bytes: &[u8], short_side: u32) -> Option<Quarter> {
        Quarter::of(&jpeg::first_frame(bytes).unwrap(), short_side)
    }

    #[test]
    fn a_quarter_is_taken_where_it_is_enough_and_exact() {
        let bytes = photo(1600, 1200);
        assert!(quarter(&bytes, 120).is_some());
        assert!(quarter(&bytes, 121).is_none(), "too little is left");
        assert!(quarter(&photo(1601, 1200), 120).is_none(), "no exact part");
    }

    #[test]
    fn a_quarter_is_the_whole_made_smaller() {
        let bytes = photo(1600, 1200);
        let quarter = decode(&bytes, Detail::ForShortSide(120)).unwrap();
        let whole = decode(&bytes, Detail::Full).unwrap();
        assert_eq!((quarter.pixels.width, quarter.pixels.height), (1600, 1200));
        assert_eq!(quarter.pixels, whole.pixels);
        assert_eq!((quarter.picture.width(), quarter.picture.height()), (400, 300));
        let resize = |p: DynamicImage| p.resize_exact(160, 120, FilterType::CatmullRom).into_rgb8();
        let (one, other) = (resize(quarter.picture), resize(whole.picture));
        let apart = one.iter().zip(other.iter()).map(|(a, b)| u32::from(a.abs_diff(*b)));
        let (sum, most) = apart.fold((0, 0), |(sum, most), one| (sum + one, most.max(one)));
        let mean = f64::from(sum) / f64::from(160 * 120 * 3);
        assert!(mean < 0.5 && most <= 8, "{mean} on average, {most} at most");
    }

    #[test]
    fn what_is_odd_is_decoded_whole() {
        let mut bytes = photo(1600, 1200);
        // A code that there is not, in the middle of the data.
        let middle = bytes.len() / 2;
        bytes[middle..middle + 64].fill(0xfe);
        let decoded = decode(&bytes, Detail::ForShortSide(120)).map(|decoded| decoded.picture);
        let whole = decode(&bytes, Detail::Full).map(|decoded| decoded.picture);
        if quarter(&bytes, 120).unwrap().decode(&bytes).is_none() {
            assert_eq!(decoded.ok(), whole.ok());
        }
        let cut = &photo(1600, 1200)[..middle];
        let cut = decode(cut, Detail::ForShortSide(120)).unwrap();
        assert!(cut.salvaged && cut.pixels.width == 1600);
        assert_eq!(cut.picture.width(), 1600);
    }
}
