//! Pictures to load that are all different, made of the demo pictures.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use image::DynamicImage;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;

use crate::demo;

/// Writes `count` demo pictures with noise, no two of them the same, of `size`
/// if one is given.
pub fn write(folder: &Path, count: usize, size: Option<(u32, u32)>) {
    fs::create_dir_all(folder).unwrap();
    let demo = demo::pictures();
    let mut state = 5;
    for n in 0..count {
        let mut picture = image::open(&demo[n % demo.len()]).unwrap();
        if let Some((width, height)) = size {
            picture = picture.resize_to_fill(width, height, FilterType::Triangle);
        }
        let mut picture = picture.into_rgb8();
        for level in picture.iter_mut() {
            *level = level.saturating_add(noise(&mut state));
        }
        write_jpeg(&folder.join(format!("car {n:05}.jpg")), &picture.into());
    }
}

/// Of the quality that cameras write.
pub fn write_jpeg(path: &Path, picture: &DynamicImage) {
    let file = BufWriter::new(File::create(path).unwrap());
    JpegEncoder::new_with_quality(file, 90).encode_image(picture).unwrap();
}

/// From 0 to 7, by a linear congruential generator.
fn noise(state: &mut u64) -> u8 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    state.to_be_bytes()[0] >> 5
}
