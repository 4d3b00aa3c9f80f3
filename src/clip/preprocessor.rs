//! A picture to the pixel values its tower was trained on: resize, centre
//! crop, scale, normalise, with the numbers of `preprocessor_config.json`.
//!
//! Resampling is Pillow's: the filter widens with the scale (antialiasing),
//! rows then columns, each pass rounded to 8 bits. `fast_image_resize` does
//! this when each pass is its own call; its Catmull-Rom is the cubic with a = -0.5 that Pillow calls
//! bicubic. Pillow 13 takes the columns first where that is much less work,
//! which only the squash of a tall picture is; earlier ones never do, nor do
//! we but for strips that would take much memory, and for the bilinear filter of such models no value changes by more
//! than 1. Only the part of the source that the crop keeps is resampled, at
//! the phase it has in the whole, so a panorama costs no more than a square.

use std::ops::Range;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, IntoImageView, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;
use serde::Deserialize;

use super::Error;
use super::config::{malformed, parse};

/// Pixels between the two passes: a strip of a few columns would take many
/// times the memory of the picture, and is squashed columns first.
const MOST_BETWEEN: u64 = 1 << 24;

/// What to do with a picture before its tower sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocessor {
    resize: Resize,
    filter: FilterType,
    /// Width and height.
    crop: Option<[u32; 2]>,
    rescale: f32,
    mean: [f32; 3],
    std: [f32; 3],
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Resize {
    /// The short side becomes this long, the other one keeps the proportion.
    ShortestEdge(u32),
    /// The whole picture is squashed to this width and height.
    Exact([u32; 2]),
}

/// `[3, height, width]`, channel by channel.
#[derive(Clone, Debug, PartialEq)]
pub struct PixelValues {
    pub(super) values: Vec<f32>,
    pub(super) width: usize,
    pub(super) height: usize,
}

impl PixelValues {
    /// The values, channel by channel, each row by row.
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        &self.values
    }
}

impl Preprocessor {
    /// Reads transformers' `preprocessor_config.json` (`CLIPImageProcessor`).
    ///
    /// # Errors
    /// If it is malformed or asks for something CLIP models do not use.
    pub fn from_transformers(json: &[u8]) -> Result<Self, Error> {
        const FILE: &str = "preprocessor_config.json";
        let file: HuggingFace = parse(json, FILE)?;
        if !(file.do_resize && file.do_rescale && file.do_normalize) {
            return Err(Error::Unsupported(format!("{FILE} without resize, rescale or normalise")));
        }
        let resize = file.size.resize().ok_or_else(|| malformed(FILE, "size has no meaning"))?;
        let crop = file.crop_size.filter(|_| file.do_center_crop);
        let crop = crop
            .map(|size| size.exact().ok_or_else(|| malformed(FILE, "crop_size has no meaning")));
        Self {
            resize,
            filter: filter(file.resample)?,
            crop: crop.transpose()?,
            rescale: file.rescale_factor,
            mean: file.image_mean,
            std: file.image_std,
        }
        .checked(FILE)
    }

    /// Reads the `preprocess_cfg` of `open_clip_config.json`. Keys left out
    /// have `open_clip`'s values: the short side to `image_size` by bicubic,
    /// centre crop, OpenAI's mean and standard deviation.
    ///
    /// # Errors
    /// If it is malformed or asks for something else.
    pub fn from_open_clip(json: &[u8], image_size: usize) -> Result<Self, Error> {
        const FILE: &str = "open_clip_config.json";
        let OpenClip { preprocess_cfg: file } = parse(json, FILE)?;
        let size =
            u32::try_from(image_size).map_err(|_| malformed(FILE, "image_size is too large"))?;
        let resize = match file.resize_mode.as_deref().unwrap_or("shortest") {
            "shortest" => Resize::ShortestEdge(size),
            "squash" => Resize::Exact([size, size]),
            other => return Err(Error::Unsupported(format!("resize_mode {other:?}"))),
        };
        let filter = match file.interpolation.as_deref().unwrap_or("bicubic") {
            "bicubic" => FilterType::CatmullRom,
            "bilinear" => FilterType::Bilinear,
            other => return Err(Error::Unsupported(format!("interpolation {other:?}"))),
        };
        Self {
            resize,
            filter,
            crop: Some([size, size]),
            rescale: 1.0 / 255.0,
            mean: file.mean.unwrap_or(OPENAI_MEAN),
            std: file.std.unwrap_or(OPENAI_STD),
        }
        .checked(FILE)
    }

    /// Refuses sizes that cannot be, and crops beyond the resized picture.
    fn checked(self, file: &str) -> Result<Self, Error> {
        let [width, height] = self.crop.unwrap_or(match self.resize {
            Resize::ShortestEdge(side) => [side; 2],
            Resize::Exact(size) => size,
        });
        let (least_width, least_height) = match self.resize {
            Resize::ShortestEdge(side) => (side, side),
            Resize::Exact([width, height]) => (width, height),
        };
        let sane = 1..=4096;
        if !sane.contains(&width) || !sane.contains(&height) || !sane.contains(&least_width) {
            return Err(malformed(file, "a size is zero or beyond 4096 pixels"));
        }
        if width > least_width || height > least_height {
            return Err(Error::Unsupported(format!(
                "{file} crops more than the resized picture has"
            )));
        }
        if self.std.contains(&0.0) {
            return Err(malformed(file, "a standard deviation is zero"));
        }
        Ok(self)
    }

    /// Pixels that the shorter side of a picture is made to have, or the longer
    /// one if it is squashed: from many more, more or less the same comes.
    #[must_use]
    pub fn short_side(&self) -> u32 {
        match self.resize {
            Resize::ShortestEdge(side) => side,
            Resize::Exact([width, height]) => width.max(height),
        }
    }

    /// The side of the square that the tower sees, if it is one.
    pub(super) fn side(&self, picture: [u32; 2]) -> [u32; 2] {
        self.crop.unwrap_or_else(|| self.resized(picture))
    }

    /// Resized and cropped, still in 8 bits.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the picture has no pixels.
    pub fn crop(&self, picture: &RgbImage) -> Result<RgbImage, Error> {
        let from = [picture.width(), picture.height()];
        let no_pixels = || Error::Unsupported("a picture without pixels".into());
        if from.contains(&0) {
            return Err(no_pixels());
        }
        let [width, height] = self.side(from);
        if [width, height] == from && self.resized(from) == from {
            return Ok(picture.clone());
        }
        let [left, top, box_width, box_height] = self.source_box(from);
        let rows = needed(from[1], top, box_height, height);
        let columns = needed(from[0], left, box_width, width);
        let all = ImageRef::new(from[0], from[1], picture.as_raw(), PixelType::U8x3);
        let all = all.map_err(|_| no_pixels())?;
        // Two calls, as one would take the columns first: faster, but it clamps
        // the overshoot of the cubic at other places than Pillow does, up to 26
        // grey levels off along hard edges of enlarged pictures.
        let (wide, high) = (columns.end - columns.start, rows.end - rows.start);
        let target = if pixels(width, high) > MOST_BETWEEN && wide < high {
            let band = [f64::from(columns.start), top, f64::from(wide), box_height];
            let flattened = self.resample(&all, band, [wide, height])?;
            let band = [left - f64::from(columns.start), 0.0, box_width, f64::from(height)];
            self.resample(&flattened, band, [width, height])?
        } else {
            let band = [left, f64::from(rows.start), box_width, f64::from(high)];
            let narrowed = self.resample(&all, band, [width, high])?;
            let band = [0.0, top - f64::from(rows.start), f64::from(width), box_height];
            self.resample(&narrowed, band, [width, height])?
        };
        RgbImage::from_raw(width, height, target.into_vec()).ok_or_else(no_pixels)
    }

    /// `area` (left, top, width, height) of the source at another size.
    fn resample(
        &self,
        source: &impl IntoImageView,
        area: [f64; 4],
        size: [u32; 2],
    ) -> Result<Image<'static>, Error> {
        let mut target = Image::new(size[0], size[1], PixelType::U8x3);
        let [left, top, width, height] = area;
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(self.filter))
            .crop(left, top, width, height);
        Resizer::new()
            .resize(source, &mut target, &options)
            .map_err(|e| Error::Unsupported(format!("resampling this picture: {e}")))?;
        Ok(target)
    }

    /// The pixel values of a picture.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the picture has no pixels.
    pub fn pixel_values(&self, picture: &RgbImage) -> Result<PixelValues, Error> {
        let crop = self.crop(picture)?;
        let (width, height) = (crop.width() as usize, crop.height() as usize);
        let mut values = Vec::with_capacity(3 * width * height);
        for channel in 0..3 {
            let table = self.table(channel);
            values
                .extend(crop.as_raw()[channel..].iter().step_by(3).map(|&x| table[usize::from(x)]));
        }
        Ok(PixelValues { values, width, height })
    }

    /// Scaled and normalised value of each of the 256 levels.
    fn table(&self, channel: usize) -> [f32; 256] {
        std::array::from_fn(|level| {
            let level = u8::try_from(level).expect("256 levels");
            (f32::from(level) * self.rescale - self.mean[channel]) / self.std[channel]
        })
    }

    /// Size of the whole picture after resizing.
    fn resized(&self, [width, height]: [u32; 2]) -> [u32; 2] {
        match self.resize {
            Resize::Exact(size) => size,
            // Rounded down, as transformers' get_resize_output_image_size has it.
            Resize::ShortestEdge(side) if width <= height => [side, scaled(side, height, width)],
            Resize::ShortestEdge(side) => [scaled(side, width, height), side],
        }
    }

    /// Left, top, width and height of what the crop keeps, in source pixels.
    fn source_box(&self, from: [u32; 2]) -> [f64; 4] {
        let resized = self.resized(from);
        let crop = self.crop.unwrap_or(resized);
        let axis = |n: usize| {
            // Divided last, which alone rounds: what keeps the whole side is no
            // longer than that.
            let source = |part: u32| f64::from(part) * f64::from(from[n]) / f64::from(resized[n]);
            (source((resized[n] - crop[n]) / 2), source(crop[n]))
        };
        let ((left, width), (top, height)) = (axis(0), axis(1));
        [left, top, width, height]
    }
}

/// The source rows (or columns) of `all` that are read to make `target` ones of
/// the `length` ones from `start` on.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the picture")]
fn needed(all: u32, start: f64, length: f64, target: u32) -> Range<u32> {
    let scale = length / f64::from(target);
    // No filter here reaches further than 3 target pixels.
    let reach = 3.0 * scale.max(1.0) + 1.0;
    let last = (start + length + reach).ceil().min(f64::from(all));
    (start - reach).floor().max(0.0) as u32..last as u32
}

fn pixels(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height)
}

/// `side * long / short`, rounded down.
fn scaled(side: u32, long: u32, short: u32) -> u32 {
    let scaled = u64::from(side) * u64::from(long) / u64::from(short);
    u32::try_from(scaled).unwrap_or(u32::MAX)
}

/// Pillow's numbers for its filters.
fn filter(resample: u8) -> Result<FilterType, Error> {
    match resample {
        1 => Ok(FilterType::Lanczos3),
        2 => Ok(FilterType::Bilinear),
        3 => Ok(FilterType::CatmullRom),
        4 => Ok(FilterType::Box),
        5 => Ok(FilterType::Hamming),
        other => Err(Error::Unsupported(format!("resample filter {other}"))),
    }
}

const OPENAI_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const OPENAI_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// Keys left out have the values of transformers' `CLIPImageProcessor`.
#[derive(Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "the file's own keys")]
struct HuggingFace {
    do_resize: bool,
    size: Size,
    resample: u8,
    do_center_crop: bool,
    crop_size: Option<Size>,
    do_rescale: bool,
    rescale_factor: f32,
    do_normalize: bool,
    image_mean: [f32; 3],
    image_std: [f32; 3],
}

impl Default for HuggingFace {
    fn default() -> Self {
        Self {
            do_resize: true,
            size: Size::Side(224),
            resample: 3,
            do_center_crop: true,
            crop_size: Some(Size::Side(224)),
            do_rescale: true,
            rescale_factor: 1.0 / 255.0,
            do_normalize: true,
            image_mean: OPENAI_MEAN,
            image_std: OPENAI_STD,
        }
    }
}

/// Older files have a bare number where newer ones have names.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Size {
    Side(u32),
    ShortestEdge { shortest_edge: u32 },
    Exact { width: u32, height: u32 },
}

impl Size {
    /// As `size`: a bare number is the shortest edge.
    fn resize(self) -> Option<Resize> {
        match self {
            Self::Side(side) | Self::ShortestEdge { shortest_edge: side } => {
                (side > 0).then_some(Resize::ShortestEdge(side))
            }
            Self::Exact { width, height } => {
                (width > 0 && height > 0).then_some(Resize::Exact([width, height]))
            }
        }
    }

    /// As `crop_size`: a bare number is a square.
    fn exact(self) -> Option<[u32; 2]> {
        match self {
            Self::Side(side) => Some([side; 2]),
            Self::Exact { width, height } => Some([width, height]),
            Self::ShortestEdge { .. } => None,
        }
    }
}

#[derive(Deserialize)]
struct OpenClip {
    #[serde(default)]
    preprocess_cfg: OpenClipPreprocess,
}

#[derive(Default, Deserialize)]
struct OpenClipPreprocess {
    mean: Option<[f32; 3]>,
    std: Option<[f32; 3]>,
    interpolation: Option<String>,
    resize_mode: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squash(side: u32) -> Preprocessor {
        Preprocessor {
            resize: Resize::Exact([side; 2]),
            filter: FilterType::Bilinear,
            crop: None,
            rescale: 1.0 / 255.0,
            mean: OPENAI_MEAN,
            std: OPENAI_STD,
        }
    }

    /// Black at one end and white at the other.
    fn ramp(width: u32, height: u32) -> RgbImage {
        let last = u64::from(width.max(height)) - 1;
        RgbImage::from_fn(width, height, |x, y| {
            let level = u64::from(x.max(y)) * 255 / last;
            image::Rgb([u8::try_from(level).unwrap(); 3])
        })
    }

    #[test]
    fn a_picture_of_any_size_is_made_as_small() {
        let short_side = Preprocessor::from_open_clip(br#"{"preprocess_cfg": {}}"#, 224).unwrap();
        let models = [squash(224), squash(192), short_side];
        for model in models {
            for side in 1..=4096 {
                for from in [[side, side], [side, side + 7], [side + 7, side]] {
                    let [left, top, width, height] = model.source_box(from);
                    assert!(left >= 0.0 && left + width <= f64::from(from[0]), "{from:?}");
                    assert!(top >= 0.0 && top + height <= f64::from(from[1]), "{from:?}");
                }
            }
            let small = model.crop(&ramp(225, 900)).unwrap();
            assert_eq!([small.width(), small.height()], model.side([225, 900]));
        }
    }

    #[test]
    fn a_strip_is_squashed_like_any_picture() {
        let (tall, wide) = (ramp(3, 1 << 20), ramp(1 << 20, 3));
        let (tall, wide) = (squash(64).crop(&tall).unwrap(), squash(64).crop(&wide).unwrap());
        let shorter = squash(64).crop(&ramp(3, 1 << 12)).unwrap();
        for n in 0..64 {
            assert_eq!(tall.get_pixel(5, n), wide.get_pixel(n, 5));
            assert!(tall.get_pixel(5, n).0[0].abs_diff(shorter.get_pixel(5, n).0[0]) <= 1);
        }
        assert!(tall.get_pixel(5, 0).0[0] < 4 && tall.get_pixel(5, 63).0[0] > 251);
    }
}
