//! How near embeddings in bf16 and in int8 are to those in f32, and whether they
//! find the same pictures in the same order.
//!
//! `cargo bench --bench accuracy [-- FOLDER]`, where FOLDER is a checkpoint;
//! without one, of random weights and CLIP ViT-B/32's shape. What random weights
//! show is what rounding does to sums of so many products, not what it does to a
//! trained model, which has components that are far larger than the others.
//! Therefore the words of the compact model follow, which is trained; its
//! picture tower is the same in every arithmetic, and its text tower is never
//! computed in int8.
//!
//! The collection is a few thousand cuttings from the demo pictures, to both
//! sides. Printed are the cosine of each embedding to that in f32, and for
//! searches, where query and collection are of one arithmetic unless said
//! otherwise: how many of the ten best in f32 are among the ten best (overlap at
//! 10), how often the best is the same, and Kendall's tau of the ten best in
//! f32, 1 for the same order and -1 for the opposite one.

#![expect(clippy::unwrap_used, reason = "a benchmark has nobody to report to")]
#![expect(clippy::print_stdout, reason = "that is what it is for")]
#![expect(clippy::cast_precision_loss, reason = "some thousands")]

use std::path::Path;

use carlens::clip::{Arithmetic, Checkpoint, Instructions, Precision};
use carlens::domain::Embedding;
use image::{RgbImage, imageops};

mod demo;
#[path = "../integration/support/random_checkpoint.rs"]
mod random_checkpoint;

use random_checkpoint::VIT_B_32;

/// What is compared, the exact one first.
const WAYS: [(&str, Precision); 3] =
    [("f32", Precision::F32), ("bf16", Precision::Bf16), ("int8", Precision::Int8)];

/// Cuttings of one size: in the corners and in the middle.
const PLACES: [[f64; 2]; 5] = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.5, 0.5]];

/// Parts of the picture's width and height.
const SIZES: [f64; 4] = [0.9, 0.75, 0.6, 0.45];

/// Pictures that are embedded at once.
const BATCH: usize = 32;

/// The best of a search.
const TOP: usize = 10;

/// The embeddings of everything in one arithmetic.
struct Embedded {
    pictures: Vec<Embedding>,
    texts: Vec<Embedding>,
}

fn main() {
    let folder = std::env::args().skip(1).find(|argument| Path::new(argument).is_dir());
    let home = tempfile::tempdir().unwrap();
    if let Some(folder) = folder {
        println!("the weights of {folder}");
        report(&Checkpoint::open("folder", Path::new(&folder)).unwrap());
    } else {
        println!("random weights, CLIP ViT-B/32's shape");
        VIT_B_32.write(home.path());
        report(&Checkpoint::open("random", home.path()).unwrap());
    }
    println!("the compact model, trained; its pictures are in f32 throughout");
    report(&Checkpoint::bundled().unwrap());
}

fn report(checkpoint: &Checkpoint) {
    let pictures = cuttings();
    let [exact, others @ ..] = WAYS.map(|(name, precision)| {
        let arithmetic = Arithmetic { precision, instructions: Instructions::Auto };
        let checkpoint = checkpoint.clone().computed(arithmetic);
        let is_int8 = checkpoint.spec() != checkpoint.clone().computed(F32).spec();
        let runs = precision != Precision::Int8 || is_int8;
        (name, runs.then(|| embed(&checkpoint, &pictures)))
    });
    let exact = exact.1.unwrap();
    println!("  {} pictures, {} texts", exact.pictures.len(), exact.texts.len());
    println!("  two pictures have a cosine of {}", spread(&exact.pictures));
    for (name, other) in others {
        let Some(other) = other else {
            println!("  {name}: never computed here");
            continue;
        };
        println!("  {name}");
        print_cosines("pictures", &other.pictures, &exact.pictures);
        print_cosines("texts", &other.texts, &exact.texts);
        let by = |embedded: &Embedded, is_picture: bool| {
            let Embedded { pictures, texts } = embedded;
            if is_picture { pictures.clone() } else { texts.clone() }
        };
        for (what, is_picture) in [("by picture", true), ("by words", false)] {
            let (theirs, ours) = (by(&exact, is_picture), by(&other, is_picture));
            let wanted = Ranking::all(&theirs, &exact.pictures, is_picture);
            let found = Ranking::all(&ours, &other.pictures, is_picture);
            print_agreement(what, &wanted, &found);
            if name == "bf16" {
                let found = Ranking::all(&ours, &exact.pictures, is_picture);
                print_agreement(&format!("{what}, collection in f32"), &wanted, &found);
            }
        }
    }
}

const F32: Arithmetic = Arithmetic { precision: Precision::F32, instructions: Instructions::Auto };

/// Of all demo pictures, as they are and the other way round.
fn cuttings() -> Vec<RgbImage> {
    let mut cuttings = Vec::new();
    for path in demo::pictures() {
        let picture = image::open(path).unwrap().into_rgb8();
        for size in SIZES {
            let [width, height] = [picture.width(), picture.height()].map(|x| part(x, size));
            for [x, y] in PLACES {
                let (x, y) = (part(picture.width() - width, x), part(picture.height() - height, y));
                let cutting = imageops::crop_imm(&picture, x, y, width, height).to_image();
                cuttings.push(imageops::flip_horizontal(&cutting));
                cuttings.push(cutting);
            }
        }
    }
    cuttings
}

fn part(of: u32, share: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1")]
    let part = (f64::from(of) * share) as u32;
    part
}

fn texts() -> Vec<String> {
    let colours = ["red", "blue", "white", "black", "silver", "green", "yellow", "orange"];
    let kinds = ["car", "van", "convertible", "pickup truck", "sports car", "estate"];
    let places = ["", " on a road", " in front of a house", " seen from behind"];
    let kinds = kinds.iter().flat_map(|kind| places.map(|place| format!("{kind}{place}")));
    let text = |kind: String| colours.map(|colour| format!("a photo of a {colour} {kind}"));
    kinds.flat_map(text).collect()
}

fn embed(checkpoint: &Checkpoint, pictures: &[RgbImage]) -> Embedded {
    let encoder = checkpoint.picture_encoder(&|_| {}).unwrap();
    let preprocessor = checkpoint.preprocessor();
    let together = |pictures: &[RgbImage]| {
        let values = |picture: &RgbImage| {
            let crop = preprocessor.crop(picture).unwrap();
            preprocessor.pixel_values(&crop).unwrap()
        };
        encoder.embed(&pictures.iter().map(values).collect::<Vec<_>>()).unwrap()
    };
    let pictures = pictures.chunks(BATCH).flat_map(together).collect();
    let encoder = checkpoint.text_encoder(&|_| {}).unwrap();
    let texts = texts().iter().map(|text| encoder.embed(text).unwrap()).collect();
    Embedded { pictures, texts }
}

/// The pictures that a search has found, the best first.
struct Ranking {
    /// Of every picture.
    scores: Vec<f32>,
    best: Vec<usize>,
}

impl Ranking {
    /// Of one search with each query; a picture does not find itself.
    fn all(queries: &[Embedding], pictures: &[Embedding], are_pictures: bool) -> Vec<Self> {
        let ranking = |(n, query): (usize, &Embedding)| {
            let scores: Vec<f32> =
                pictures.iter().map(|picture| query.similarity(picture).cosine()).collect();
            let others = (0..scores.len()).filter(|picture| !are_pictures || *picture != n);
            let mut best: Vec<usize> = others.collect();
            let by_score = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]);
            best.select_nth_unstable_by(TOP, by_score);
            best.truncate(TOP);
            best.sort_by(by_score);
            Self { scores, best }
        };
        queries.iter().enumerate().map(ranking).collect()
    }

    /// Of the ten best of `self`, in the scores of `other`.
    fn kendall(&self, other: &Self) -> f64 {
        let score = |n: usize| other.scores[self.best[n]];
        let pairs = (0..TOP).flat_map(|n| (n + 1..TOP).map(move |m| (n, m)));
        let signs = pairs.map(|(n, m)| match score(n).total_cmp(&score(m)) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.0,
            std::cmp::Ordering::Less => -1.0,
        });
        mean(&signs.collect::<Vec<f64>>())
    }
}

fn print_cosines(what: &str, ours: &[Embedding], exact: &[Embedding]) {
    let pairs = ours.iter().zip(exact);
    let cosines: Vec<f64> =
        pairs.map(|(one, other)| f64::from(one.similarity(other).cosine())).collect();
    let least = cosines.iter().copied().fold(1.0, f64::min);
    println!("    {what:<28} cosine to f32 >= {least:.6}, mean {:.6}", mean(&cosines));
}

fn print_agreement(what: &str, wanted: &[Ranking], found: &[Ranking]) {
    let of = |measure: &dyn Fn(&Ranking, &Ranking) -> f64| {
        let pairs = wanted.iter().zip(found);
        mean(&pairs.map(|(wanted, found)| measure(wanted, found)).collect::<Vec<_>>())
    };
    let overlap = of(&|wanted, found| {
        let common = wanted.best.iter().filter(|picture| found.best.contains(picture));
        common.count() as f64 / TOP as f64
    });
    let first = of(&|wanted, found| f64::from(u8::from(wanted.best[0] == found.best[0])));
    let tau = of(&Ranking::kendall);
    println!(
        "    {what:<28} overlap at {TOP} {overlap:.4}, same best {first:.4}, Kendall's tau {tau:.4}"
    );
}

/// The median, and where the middle half lies, over every hundredth pair.
fn spread(pictures: &[Embedding]) -> String {
    let pairs = (0..pictures.len()).flat_map(|n| (n + 1..pictures.len()).map(move |m| (n, m)));
    let cosine = |(n, m): (usize, usize)| pictures[n].similarity(&pictures[m]).cosine();
    let mut cosines: Vec<f32> = pairs.step_by(101).map(cosine).collect();
    cosines.sort_by(f32::total_cmp);
    let [low, median, high] = [25, 50, 75].map(|percent| cosines[cosines.len() * percent / 100]);
    format!("{median:.4} (half of them from {low:.4} to {high:.4})")
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
