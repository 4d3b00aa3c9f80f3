//! Makes a picture ready for the encoder: small enough, and without alpha.

use image::imageops::FilterType;
use image::{DynamicImage, Rgb, RgbImage};

/// `image` in exactly `size` pixels (neither zero), over white.
pub fn resample(image: &DynamicImage, size: (u32, u32)) -> DynamicImage {
    let (width, height) = size;
    if (image.width(), image.height()) == size {
        return over_white(image);
    }
    // A box filter takes most of a photo's size away in one cheap pass; the
    // good filter then sees a small picture.
    let small = if image.width() > 3 * width && image.height() > 3 * height {
        image.thumbnail_exact(2 * width, 2 * height).resize_exact(
            width,
            height,
            FilterType::CatmullRom,
        )
    } else {
        image.resize_exact(width, height, FilterType::CatmullRom)
    };
    over_white(&small)
}

/// Eight bits of red, green and blue. White, as the model sees transparent
/// pictures over white too.
fn over_white(image: &DynamicImage) -> DynamicImage {
    if !image.color().has_alpha() {
        return image.to_rgb8().into();
    }
    let rgba = image.to_rgba8();
    let mut rgb = RgbImage::new(rgba.width(), rgba.height());
    for (flat, pixel) in rgb.pixels_mut().zip(rgba.pixels()) {
        let [red, green, blue, alpha] = pixel.0;
        *flat = Rgb([red, green, blue].map(|colour| blend(colour, alpha)));
    }
    rgb.into()
}

fn blend(colour: u8, alpha: u8) -> u8 {
    let (colour, alpha) = (u16::from(colour), u16::from(alpha));
    let blended = (colour * alpha + 255 * (255 - alpha) + 127) / 255;
    u8::try_from(blended).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use image::{Rgba, RgbaImage};

    use super::*;

    #[test]
    fn transparency_shows_white() {
        let clear = RgbaImage::from_pixel(4, 4, Rgba([200, 0, 0, 0]));
        let half = RgbaImage::from_pixel(4, 4, Rgba([255, 0, 0, 128]));
        assert_eq!(resample(&clear.into(), (4, 4)).to_rgb8()[(1, 1)], Rgb([255, 255, 255]));
        assert_eq!(resample(&half.into(), (2, 2)).to_rgb8()[(1, 1)], Rgb([255, 127, 127]));
    }

    #[test]
    fn a_photo_shrinks_to_the_size_asked() {
        let photo = RgbImage::from_pixel(900, 600, Rgb([10, 20, 30]));
        let small = resample(&photo.into(), (60, 40));
        assert_eq!((small.width(), small.height()), (60, 40));
        assert_eq!(small.to_rgb8()[(30, 20)], Rgb([10, 20, 30]));
    }
}
