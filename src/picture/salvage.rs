//! What is left of a picture whose file ends too early.

use image::DynamicImage;

/// A part that is lower than this part of the whole is not worth showing.
const LEAST: u32 = 3;

/// `picture` without what its decoder filled in for the rows that never came,
/// and without `doubtful` rows above those, which may be half filled in;
/// `None` if too little is left.
///
/// The filler is of one colour. A foot of the picture's own that is of one
/// colour goes with it: nobody can tell, and nothing is lost.
pub(super) fn salvaged(picture: &DynamicImage, doubtful: u32) -> Option<DynamicImage> {
    let (width, height) = (picture.width(), picture.height());
    let came = height - rows_of_one_colour(picture);
    let left = if came == height && doubtful == 0 { height } else { came.saturating_sub(doubtful) };
    (left > 0 && left >= height.div_ceil(LEAST)).then(|| picture.crop_imm(0, 0, width, left))
}

/// How many rows at the foot are of the very colour of the last pixel.
fn rows_of_one_colour(picture: &DynamicImage) -> u32 {
    let bytes = picture.as_bytes();
    let pixel = usize::from(picture.color().bytes_per_pixel());
    let row = pixel * picture.width() as usize;
    let Some(last) = bytes.len().checked_sub(pixel).map(|start| &bytes[start..]) else { return 0 };
    let is_filler = |row: &&[u8]| row.chunks_exact(pixel).all(|pixel| pixel == last);
    let rows = bytes.rchunks_exact(row).take_while(is_filler).count();
    u32::try_from(rows).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    /// Rows of a pattern above rows of grey.
    fn picture(pattern: u32, filler: u32) -> DynamicImage {
        let draw = |x: u32, y: u32| {
            let level = u8::try_from((x * 7 + y * 13) % 100).unwrap();
            Rgb(if y < pattern { [level; 3] } else { [128; 3] })
        };
        RgbImage::from_fn(5, pattern + filler, draw).into()
    }

    #[test]
    fn filler_and_doubtful_rows_are_cut_off() {
        let left = salvaged(&picture(60, 40), 8).unwrap();
        assert_eq!((left.width(), left.height()), (5, 52));
        assert_eq!(left, picture(60, 40).crop_imm(0, 0, 5, 52));
        assert_eq!(salvaged(&picture(100, 0), 8).unwrap().height(), 92);
        assert_eq!(salvaged(&picture(100, 0), 0).unwrap().height(), 100);
    }

    #[test]
    fn less_than_a_third_is_nothing() {
        assert!(salvaged(&picture(34, 66), 0).is_some());
        assert!(salvaged(&picture(33, 67), 0).is_none());
        assert!(salvaged(&picture(0, 9), 0).is_none());
    }
}
