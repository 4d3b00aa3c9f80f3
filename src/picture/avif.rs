//! AVIF: the boxes are ours, the AV1 decoder is rav1d in Rerun's packaging.
//!
//! 8, 10 and 12 bits, monochrome, 4:2:0, 4:2:2 and 4:4:4 become 8-bit RGB, or
//! RGBA with an alpha item. Pictures put together from tiles are not decoded.

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage, RgbaImage};
use re_rav1d::dav1d::pixel::{MatrixCoefficients, YUVRange};
use re_rav1d::dav1d::{Decoder, Picture, PixelLayout, PlanarImageComponent, Plane, Settings};

use super::heif::{self, Mirror, Space};
use super::{Decoded, Error};

/// More pixels than this are not decoded: ten bits in three planes, RGBA and
/// what the decoder keeps have to fit.
const MAX_PIXELS: u32 = 64 << 20;

/// Decodes an AVIF file and turns it upright as its properties say; EXIF
/// orientation does not count in this format.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Error> {
    let still = heif::still(bytes, u64::from(MAX_PIXELS))?;
    let colour = frame(still.colour)?;
    let mut picture: DynamicImage = to_rgb(&colour, still.space).into();
    drop(colour);
    if let Some(alpha) = still.alpha {
        picture = with_alpha(picture, &frame(alpha)?)?.into();
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
    Ok(Decoded { picture, salvaged: false })
}

/// The first frame of AV1 data.
fn frame(data: Vec<u8>) -> Result<Picture, Error> {
    let damaged = |error| Error::Damaged(format!("its AV1 data: {error}"));
    if data.is_empty() {
        return Err(Error::ends_too_early());
    }
    let mut settings = Settings::new();
    // On this thread: other pictures are decoded meanwhile.
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_frame_size_limit(MAX_PIXELS);
    let mut decoder = Decoder::with_settings(&settings).map_err(damaged)?;
    match decoder.send_data(data, None, None, None) {
        Err(error) if !error.is_again() => return Err(damaged(error)),
        _ => {}
    }
    let frame = decoder
        .get_picture()
        .map_err(|error| if error.is_again() { Error::ends_too_early() } else { damaged(error) })?;
    if frame.width() == 0 || frame.height() == 0 {
        return Err(Error::Damaged("its size makes no sense".into()));
    }
    Ok(frame)
}

/// The samples of one plane, brought to 0 to 255.
struct Samples {
    plane: Plane,
    stride: usize,
    width: usize,
    height: usize,
    bits: usize,
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
            halved,
        }
    }

    fn sample(&self, x: usize, y: usize) -> f32 {
        let (x, y) = (x.min(self.width - 1), y.min(self.height - 1));
        let row = y * self.stride;
        if self.bits == 8 {
            return f32::from(self.plane[row + x]);
        }
        let at = row + 2 * x;
        let value = u16::from_ne_bytes([self.plane[at], self.plane[at + 1]]);
        f32::from(value) / f32::from(1_u16 << (self.bits - 8))
    }

    /// The value at a pixel, between samples by distance.
    fn at(&self, x: usize, y: usize) -> f32 {
        let (left, right, across) = neighbours(x, self.halved.0);
        let (above, below, down) = neighbours(y, self.halved.1);
        let row = |y| match across {
            0.0 => self.sample(left, y),
            _ => self.sample(left, y) * (1.0 - across) + self.sample(right, y) * across,
        };
        if down == 0.0 { row(above) } else { row(above) * (1.0 - down) + row(below) * down }
    }
}

/// The two samples around a pixel, and how much the second one counts. A
/// sample for two pixels lies between them.
fn neighbours(pixel: usize, halved: bool) -> (usize, usize, f32) {
    let near = pixel / 2;
    match (halved, pixel % 2) {
        (false, _) => (pixel, pixel, 0.0),
        (true, 0) => (near, near.saturating_sub(1), 0.25),
        (true, _) => (near, near + 1, 0.25),
    }
}

fn to_rgb(frame: &Picture, space: Option<Space>) -> RgbImage {
    let space = space.unwrap_or_else(|| Space {
        matrix: match frame.matrix_coefficients() {
            MatrixCoefficients::Identity => 0,
            MatrixCoefficients::BT709 => 1,
            MatrixCoefficients::BT2020NonConstantLuminance => 9,
            _ => 6,
        },
        full_range: frame.color_range() == YUVRange::Full,
    });
    let luma = Samples::new(frame, PlanarImageComponent::Y);
    let chroma = (frame.pixel_layout() != PixelLayout::I400).then(|| {
        let plane = |component| Samples::new(frame, component);
        (plane(PlanarImageComponent::U), plane(PlanarImageComponent::V))
    });
    let (black, span) = range(frame, space.full_range);
    let chroma_span = if space.full_range { span } else { 224.0 };
    RgbImage::from_fn(frame.width(), frame.height(), |x, y| {
        let (x, y) = (x as usize, y as usize);
        let level = (luma.at(x, y) - black) / span;
        let levels = match &chroma {
            None => [level; 3],
            Some((blue, red)) if space.matrix == 0 => {
                let level_of = |plane: &Samples| (plane.at(x, y) - black) / span;
                [level_of(red), level, level_of(blue)]
            }
            Some((blue, red)) => {
                let of = |plane: &Samples| (plane.at(x, y) - 128.0) / chroma_span;
                mixed(level, of(blue), of(red), space.matrix)
            }
        };
        image::Rgb(levels.map(byte))
    })
}

/// The level of black, and how far above it white is.
fn range(frame: &Picture, is_full: bool) -> (f32, f32) {
    // The highest level of ten bits is 255.75 on a scale of eight.
    let step = f32::from(1_u16 << (frame.bit_depth() - 8)).recip();
    if is_full { (0.0, 256.0 - step) } else { (16.0, 219.0) }
}

/// Red, green and blue of luma (0 to 1) and chroma (-0.5 to 0.5).
fn mixed(luma: f32, blue: f32, red: f32, matrix: u16) -> [f32; 3] {
    let (of_red, of_blue) = match matrix {
        1 => (0.2126, 0.0722),
        9 | 10 => (0.2627, 0.0593),
        _ => (0.299, 0.114),
    };
    let red = luma + 2.0 * (1.0 - of_red) * red;
    let blue = luma + 2.0 * (1.0 - of_blue) * blue;
    [red, (luma - of_red * red - of_blue * blue) / (1.0 - of_red - of_blue), blue]
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped")]
fn byte(level: f32) -> u8 {
    level.mul_add(255.0, 0.5).clamp(0.0, 255.0) as u8
}

fn with_alpha(picture: DynamicImage, alpha: &Picture) -> Result<RgbaImage, Error> {
    let mut picture = picture.into_rgba8();
    if picture.dimensions() != (alpha.width(), alpha.height()) {
        return Err(Error::Damaged("its alpha is of another size".into()));
    }
    let samples = Samples::new(alpha, PlanarImageComponent::Y);
    let (clear, span) = range(alpha, alpha.color_range() == YUVRange::Full);
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let value = samples.sample(x as usize, y as usize);
        pixel.0[3] = byte((value - clear) / span);
    }
    Ok(picture)
}
