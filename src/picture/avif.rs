//! AVIF: the boxes are ours, the AV1 decoder is rav1d in Rerun's packaging.
//!
//! 8, 10 and 12 bits, monochrome, 4:2:0, 4:2:2 and 4:4:4, whole or in tiles,
//! become 8-bit RGB, or RGBA with an alpha item. Of an animation, the primary
//! item. Chroma is interpolated within each tile.
//!
//! The decoder may abort, and its memory is bounded by the pixels alone:
//! [`apart`](super::apart) is for that.

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage, RgbaImage};
use re_rav1d::dav1d::pixel::{MatrixCoefficients, YUVRange};
use re_rav1d::dav1d::{
    Decoder, Error as Av1Error, Picture, PixelLayout, PlanarImageComponent, Plane, Settings,
};

use super::colour::mixed;
use super::heif::{self, Coded, Mirror, Space};
use super::{Decoded, Error};

/// More pixels than this are not decoded, nor tiles that have more together.
///
/// 12 bits in three planes take 6 bytes a pixel and 6 more where film grain is
/// put on, and the decoder keeps 3 beside them: 15 of the 16 bytes that
/// [`MAX_WORKING_BYTES`](super::MAX_WORKING_BYTES) has for each. RGB comes when
/// all but 6 are free again, and RGBA when all are. What an odd stream needs
/// beyond that is too much memory.
const MAX_AVIF_PIXELS: u64 = 64 << 20;

/// Decodes an AVIF file and turns it upright as its properties say; EXIF
/// orientation does not count in this format.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Error> {
    let still = heif::still(bytes, MAX_AVIF_PIXELS)?;
    let mut picture: DynamicImage = colours(&still.colour, still.space)?.into();
    if let Some(alpha) = &still.alpha {
        picture = with_alpha(picture, alpha)?.into();
    }
    picture.apply_orientation(match still.quarter_turns {
        1 => Orientation::Rotate270,
        2 => Orientation::Rotate180,
        3 => Orientation::Rotate90,
        _ => Orientation::NoTransforms,
    });
    picture.apply_orientation(match still.mirror {
        Some(Mirror::TopAndBottom) => Orientation::FlipVertical,
        Some(Mirror::LeftAndRight) => Orientation::FlipHorizontal,
        None => Orientation::NoTransforms,
    });
    Ok(Decoded::whole(picture))
}

/// Width and height of the picture in an AVIF file, if it is one that is
/// decoded.
pub(super) fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    Some(heif::still(bytes, MAX_AVIF_PIXELS).ok()?.colour.size)
}

/// Red, green and blue of all tiles.
fn colours(coded: &Coded, space: Option<Space>) -> Result<RgbImage, Error> {
    let (width, height) = coded.size;
    let mut levels = Vec::new();
    for_each_tile(coded, |frame, left, top| {
        if levels.is_empty() {
            levels = zeros(3 * width as usize * height as usize)?;
        }
        let rows = levels.chunks_exact_mut(3 * width as usize).skip(top);
        let rgb = Rgb::new(frame, space);
        for (y, row) in rows.take(frame.height() as usize).enumerate() {
            rgb.write_row(y, &mut row[3 * left..]);
        }
        Ok(())
    })?;
    Ok(RgbImage::from_raw(width, height, levels).expect("three levels for each pixel"))
}

fn zeros(count: usize) -> Result<Vec<u8>, Error> {
    let mut zeros = Vec::new();
    zeros.try_reserve_exact(count).map_err(|_| Error::TooMuchMemory)?;
    zeros.resize(count, 0);
    Ok(zeros)
}

/// Puts the opacity of all tiles into `picture`, which is of the same size.
fn with_alpha(picture: DynamicImage, coded: &Coded) -> Result<RgbaImage, Error> {
    let mut picture = picture.into_rgba8();
    let width = 4 * coded.size.0 as usize;
    for_each_tile(coded, |frame, left, top| {
        let samples = Samples::new(frame, PlanarImageComponent::Y);
        let (clear, span) = range(frame, frame.color_range() == YUVRange::Full);
        let rows = picture.chunks_exact_mut(width).skip(top);
        for (y, row) in rows.take(frame.height() as usize).enumerate() {
            let pixels = row[4 * left..].chunks_exact_mut(4);
            for (pixel, value) in pixels.zip(samples.row(y)) {
                pixel[3] = byte((value - clear) / span);
            }
        }
        Ok(())
    })?;
    Ok(picture)
}

/// Decodes one tile after the other; `draw` is given each with its place, in
/// pixels from the left and from the top.
fn for_each_tile(
    coded: &Coded,
    mut draw: impl FnMut(&Picture, usize, usize) -> Result<(), Error>,
) -> Result<(), Error> {
    let (width, height) = (coded.tile_size.0 as usize, coded.tile_size.1 as usize);
    let columns = coded.columns as usize;
    for (index, parts) in coded.tiles.iter().enumerate() {
        let (left, top) = (index % columns * width, index / columns * height);
        // One may lie outside altogether.
        if left < coded.size.0 as usize && top < coded.size.1 as usize {
            draw(&frame(parts.concat(), coded.tile_size)?, left, top)?;
        }
    }
    Ok(())
}

/// The first frame of AV1 data, which has to be of this size.
fn frame(data: Vec<u8>, (width, height): (u32, u32)) -> Result<Picture, Error> {
    let error = |error| match error {
        Av1Error::Again => Error::ends_too_early(),
        Av1Error::NotEnoughMemory => Error::TooMuchMemory,
        _ => Error::Damaged("its AV1 data make no sense".into()),
    };
    if data.is_empty() {
        return Err(Error::ends_too_early());
    }
    // The boxes are fuzzed and the decoder is not: it loses 48 bytes with each
    // picture, which the leak detector takes all the time to look for.
    if cfg!(fuzzing) {
        return Err(Error::gave_up());
    }
    let mut settings = Settings::new();
    // On this thread: other pictures are decoded meanwhile.
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    // Of layers, the largest.
    settings.set_all_layers(false);
    settings.set_frame_size_limit(width.saturating_mul(height));
    let mut decoder = Decoder::with_settings(&settings).map_err(error)?;
    match decoder.send_data(data, None, None, None) {
        Ok(()) | Err(Av1Error::Again) => {}
        Err(other) => return Err(error(other)),
    }
    let frame = decoder.get_picture().map_err(error)?;
    if (frame.width(), frame.height()) != (width, height) {
        return Err(Error::Damaged("its AV1 data are of another size".into()));
    }
    Ok(frame)
}

/// The samples of one plane, brought to 0 to 255.
struct Samples {
    plane: Plane,
    stride: usize,
    /// Samples from left to right.
    width: usize,
    /// Samples from top to bottom.
    height: usize,
    bits: usize,
    /// Pixels from left to right.
    pixels: usize,
    /// Whether there is one sample for two pixels, across and down.
    halved: (bool, bool),
}

impl Samples {
    fn new(frame: &Picture, component: PlanarImageComponent) -> Self {
        let is_chroma = component != PlanarImageComponent::Y;
        let halved = match frame.pixel_layout() {
            PixelLayout::I420 if is_chroma => (true, true),
            PixelLayout::I422 if is_chroma => (true, false),
            _ => (false, false),
        };
        let size = |side: u32, halved: bool| (side as usize).div_ceil(if halved { 2 } else { 1 });
        Self {
            plane: frame.plane(component),
            stride: frame.stride(component) as usize,
            width: size(frame.width(), halved.0),
            height: size(frame.height(), halved.1),
            bits: frame.bit_depth(),
            pixels: frame.width() as usize,
            halved,
        }
    }

    /// A row of samples.
    fn samples(&self, row: usize) -> Vec<f32> {
        let bytes = &self.plane[row.min(self.height - 1) * self.stride..];
        if self.bits == 8 {
            return bytes[..self.width].iter().map(|sample| f32::from(*sample)).collect();
        }
        let step = step(self.bits);
        let sample = |pair: &[u8]| f32::from(u16::from_ne_bytes([pair[0], pair[1]])) * step;
        bytes[..2 * self.width].chunks_exact(2).map(sample).collect()
    }

    /// The values at a row of pixels, between samples by distance.
    fn row(&self, y: usize) -> Vec<f32> {
        let mut row = self.samples(y);
        if self.halved.1 {
            let (near, far) = neighbours(y);
            row = self.samples(near);
            for (near, far) in row.iter_mut().zip(self.samples(far)) {
                *near = between(*near, far);
            }
        }
        if !self.halved.0 {
            return row;
        }
        let last = self.width - 1;
        let value = |x| {
            let (near, far) = neighbours(x);
            between(row[near.min(last)], row[far.min(last)])
        };
        (0..self.pixels).map(value).collect()
    }
}

/// What one level of so many bits is on a scale of eight.
fn step(bits: usize) -> f32 {
    f32::from(1_u16 << (bits - 8)).recip()
}

/// The two samples around a pixel where there is one for two pixels, which lies
/// between them; the nearer one first.
fn neighbours(pixel: usize) -> (usize, usize) {
    let near = pixel / 2;
    (near, if pixel.is_multiple_of(2) { near.saturating_sub(1) } else { near + 1 })
}

/// The value at a quarter of the way.
fn between(near: f32, far: f32) -> f32 {
    near * 0.75 + far * 0.25
}

/// Red, green and blue of one frame.
struct Rgb {
    luma: Samples,
    chroma: Option<(Samples, Samples)>,
    matrix: u16,
    /// The level of black, and how far above it white is.
    range: (f32, f32),
    /// How far the highest chroma is above the lowest.
    chroma_span: f32,
}

impl Rgb {
    fn new(frame: &Picture, space: Option<Space>) -> Self {
        let space = space.unwrap_or_else(|| Space {
            matrix: match frame.matrix_coefficients() {
                MatrixCoefficients::Identity => 0,
                MatrixCoefficients::BT709 => 1,
                MatrixCoefficients::BT2020NonConstantLuminance => 9,
                _ => 6,
            },
            full_range: frame.color_range() == YUVRange::Full,
        });
        let plane = |component| Samples::new(frame, component);
        let (black, span) = range(frame, space.full_range);
        Self {
            luma: plane(PlanarImageComponent::Y),
            chroma: (frame.pixel_layout() != PixelLayout::I400)
                .then(|| (plane(PlanarImageComponent::U), plane(PlanarImageComponent::V))),
            matrix: space.matrix,
            range: (black, span),
            chroma_span: if space.full_range { span } else { 224.0 },
        }
    }

    /// Writes a row of pixels, as many as there is room for.
    fn write_row(&self, y: usize, row: &mut [u8]) {
        let pixels = row.chunks_exact_mut(3);
        let (black, span) = self.range;
        let level = |value: f32| (value - black) / span;
        let luma = self.luma.row(y);
        let Some((blue, red)) = &self.chroma else {
            return pixels.zip(luma).for_each(|(pixel, luma)| pixel.fill(byte(level(luma))));
        };
        let chroma = blue.row(y).into_iter().zip(red.row(y));
        for ((pixel, luma), (blue, red)) in pixels.zip(luma).zip(chroma) {
            let levels = if self.matrix == 0 {
                [level(red), level(luma), level(blue)]
            } else {
                let of = |value: f32| (value - 128.0) / self.chroma_span;
                mixed(level(luma), [of(blue), of(red)], weights(self.matrix))
            };
            pixel.copy_from_slice(&levels.map(byte));
        }
    }
}

/// The level of black, and how far above it white is.
fn range(frame: &Picture, is_full: bool) -> (f32, f32) {
    // The highest level of ten bits is 255.75 on a scale of eight.
    if is_full { (0.0, 256.0 - step(frame.bit_depth())) } else { (16.0, 219.0) }
}

/// Those of red, green and blue in luma, by a number of H.273.
fn weights(matrix: u16) -> [f32; 3] {
    let (red, blue) = match matrix {
        1 => (0.2126, 0.0722),
        9 | 10 => (0.2627, 0.0593),
        _ => (0.299, 0.114),
    };
    [red, 1.0 - red - blue, blue]
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped")]
fn byte(level: f32) -> u8 {
    level.mul_add(255.0, 0.5).clamp(0.0, 255.0) as u8
}
