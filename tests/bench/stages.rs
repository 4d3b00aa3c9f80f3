//! What each stage of a load could reach if it were alone, by carlens's own
//! functions on every core.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use carlens::clip::{Checkpoint, PixelValues, Preprocessor};
use carlens::picture::{self, Detail};
use image::RgbImage;

/// Pictures that are decoded, resized and encoded alone.
const PICTURES: usize = 64;
/// As a load has them.
const BATCH: usize = 8;
/// The best of so many counts.
const ROUNDS: usize = 3;

/// Pictures a second.
#[derive(Clone, Copy, Debug)]
pub struct Alone {
    pub decoding: f64,
    pub resizing: f64,
    pub encoding: f64,
}

impl Alone {
    /// Of the pictures in `folder`, for the model in `checkpoint`.
    pub fn of(folder: &Path, checkpoint: &Checkpoint) -> Self {
        let preprocessor = checkpoint.preprocessor();
        let files: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().take(PICTURES).map(|file| file.unwrap().path()).collect();
        let files: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        let decode = |file: &Vec<u8>| decoded(file, preprocessor);
        let pictures: Vec<RgbImage> = files.iter().map(decode).collect();
        let resize = |picture: &RgbImage| preprocessor.pixel_values(picture).unwrap();
        let values: Vec<PixelValues> = pictures.iter().map(resize).collect();
        let encoder = checkpoint.picture_encoder(&|_| {}).unwrap();
        let encode = || {
            for batch in values.chunks(BATCH) {
                encoder.embed(batch).unwrap();
            }
        };
        Self {
            decoding: rate(files.len(), || on_every_core(&files, decode)),
            resizing: rate(pictures.len(), || on_every_core(&pictures, resize)),
            encoding: rate(values.len(), encode),
        }
    }

    /// What every core reaches that does all of it.
    pub fn together(self) -> f64 {
        let Self { decoding, resizing, encoding } = self;
        1.0 / (1.0 / decoding + 1.0 / resizing + 1.0 / encoding)
    }
}

fn decoded(file: &[u8], preprocessor: &Preprocessor) -> RgbImage {
    let detail = Detail::ForShortSide(preprocessor.short_side());
    picture::flatten(picture::decode(file, detail).unwrap().picture)
}

fn on_every_core<T: Sync, U>(all: &[T], work: impl Fn(&T) -> U + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..cores() {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    std::hint::black_box(work(one));
                }
            });
        }
    });
}

pub fn cores() -> usize {
    thread::available_parallelism().unwrap().get()
}

fn rate(count: usize, work: impl Fn()) -> f64 {
    let time = || {
        let began = Instant::now();
        work();
        began.elapsed()
    };
    let best: Duration = (0..ROUNDS).map(|_| time()).min().unwrap();
    #[expect(clippy::cast_precision_loss, reason = "a few pictures")]
    let count = count as f64;
    count / best.as_secs_f64()
}
