//! The towers in every arithmetic against candle's own, over checkpoints of
//! random weights whose layers can be packed for the processor.
//!
//! On a processor without the instructions of an arithmetic, the next one
//! takes its place, and then these tests hold that against candle.

use carlens::clip::{
    Arithmetic, Checkpoint, Instructions, PictureEncoder, PixelValues, Precision, TextEncoder,
};
use carlens::domain::Embedding;

use crate::random_checkpoint::{self, CONTEXT, Shape};

const CANDLE: Arithmetic = way(Precision::F32, Instructions::Plain);
const F32: [Arithmetic; 2] =
    [way(Precision::F32, Instructions::Avx2), way(Precision::F32, Instructions::Auto)];
const BF16: Arithmetic = way(Precision::Bf16, Instructions::Auto);
const INT8: Arithmetic = way(Precision::Int8, Instructions::Auto);

/// The most by which a component may differ in f32.
const ROUNDING: f32 = 2e-6;

/// The least cosine in bf16.
const ALIKE: f32 = 0.9999;

/// The least cosine in int8; 0.9996 is the least that was seen.
const QUANTIZED: f32 = 0.999;

const fn way(precision: Precision, instructions: Instructions) -> Arithmetic {
    Arithmetic { precision, instructions }
}

/// A row and a patch that are whole panels, and a head that is alone.
const PLAIN: Shape = Shape {
    image_size: 64,
    patch_size: 32,
    vision: [128, 3, 512],
    text: [64, 3, 256],
    projection: 64,
    activation: "quick_gelu",
};

/// Patches that end within a panel.
const ODD: Shape = Shape {
    image_size: 42,
    patch_size: 14,
    vision: [128, 2, 192],
    text: [128, 2, 320],
    activation: "gelu",
    ..PLAIN
};

/// Patches that begin and end within a panel, more of them than a panel has
/// columns, three heads, and a last layer that is the first.
const MANY: Shape = Shape {
    image_size: 70,
    patch_size: 7,
    vision: [192, 1, 64],
    text: [192, 1, 64],
    projection: 100,
    activation: "gelu",
};

const SHAPES: [Shape; 4] =
    [PLAIN, ODD, Shape { image_size: 28, activation: "quick_gelu", ..ODD }, MANY];

/// A checkpoint of random weights in a folder of its own.
struct Random {
    shape: Shape,
    folder: tempfile::TempDir,
}

impl Random {
    fn of(shape: Shape) -> Self {
        let folder = tempfile::tempdir().unwrap();
        shape.write(folder.path());
        Self { shape, folder }
    }

    fn open(&self, arithmetic: Arithmetic) -> Checkpoint {
        Checkpoint::open("random", self.folder.path()).unwrap().computed(arithmetic)
    }

    fn pictures(&self, arithmetic: Arithmetic) -> PictureEncoder {
        self.open(arithmetic).picture_encoder(&|_| {}).unwrap()
    }

    fn texts(&self, arithmetic: Arithmetic) -> TextEncoder {
        self.open(arithmetic).text_encoder(&|_| {}).unwrap()
    }

    fn pixel_values(&self, count: u32) -> Vec<PixelValues> {
        let checkpoint = self.open(CANDLE);
        let side = u32::try_from(self.shape.image_size).unwrap();
        let picture = |seed| random_checkpoint::picture(seed, side);
        (1..=count)
            .map(|seed| checkpoint.preprocessor().pixel_values(&picture(seed)).unwrap())
            .collect()
    }
}

/// Texts of 3, 4, ... input ids, around every block that a kernel has, up to as
/// many as there can be.
fn sentences(encoder: &TextEncoder) -> Vec<String> {
    let lengths = [3, 4, 5, 6, 7, 8, 12, 13, 16, 17, 48, 49, 63, 64, 65, CONTEXT];
    let words = ["a", "red", "car", "by", "the", "sea"].iter().cycle();
    let sentence = |length| {
        let words: Vec<&str> = words.clone().take(length - 2).copied().collect();
        let sentence = words.join(" ");
        assert_eq!(encoder.input_ids(&sentence).unwrap().len(), length);
        sentence
    };
    lengths.map(sentence).to_vec()
}

/// The largest difference between two components.
fn difference(ours: &Embedding, theirs: &Embedding) -> f32 {
    let components = ours.as_slice().iter().zip(theirs.as_slice());
    components.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn check(arithmetic: Arithmetic, ours: &Embedding, theirs: &Embedding, what: &str) {
    let (cosine, apart) = (ours.similarity(theirs).cosine(), difference(ours, theirs));
    let fits = match arithmetic.precision {
        Precision::F32 => apart <= ROUNDING,
        Precision::Auto | Precision::Bf16 => cosine >= ALIKE,
        Precision::Int8 => cosine >= QUANTIZED,
    };
    assert!(fits, "{what}, {arithmetic:?}: cosine {cosine}, apart by {apart}");
}

/// Embedded by the same encoder.
fn check_rounding(arithmetic: Arithmetic, ours: &[Embedding], theirs: &[Embedding]) {
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        let apart = difference(ours, theirs);
        assert!(apart <= ROUNDING, "{arithmetic:?}: {apart}");
    }
}

#[test]
fn pictures_are_embedded_as_by_candle_in_every_arithmetic() {
    for shape in SHAPES {
        let checkpoint = Random::of(shape);
        let pictures = checkpoint.pixel_values(8);
        let theirs = checkpoint.pictures(CANDLE).embed(&pictures).unwrap();
        for arithmetic in F32.into_iter().chain([BF16, INT8]) {
            let encoder = checkpoint.pictures(arithmetic);
            for count in [1, 3, 8] {
                let ours = encoder.embed(&pictures[..count]).unwrap();
                assert_eq!(ours.len(), count);
                for (n, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
                    check(arithmetic, ours, theirs, &format!("{shape:?}, {n} of {count}"));
                }
            }
        }
    }
}

#[test]
fn texts_are_embedded_as_by_candle_in_every_arithmetic() {
    for shape in [PLAIN, ODD, MANY] {
        let checkpoint = Random::of(shape);
        let candle = checkpoint.texts(CANDLE);
        let sentences = sentences(&candle);
        let theirs: Vec<_> = sentences.iter().map(|text| candle.embed(text).unwrap()).collect();
        for arithmetic in F32.into_iter().chain([BF16, INT8]) {
            let encoder = checkpoint.texts(arithmetic);
            for (text, theirs) in sentences.iter().zip(&theirs) {
                let what = format!("{shape:?}, {text:?}");
                check(arithmetic, &encoder.embed(text).unwrap(), theirs, &what);
            }
        }
    }
}

/// Nothing here would fail if candle computed it all.
#[test]
#[cfg(target_arch = "x86_64")]
fn what_the_processor_has_is_used() {
    use std::arch::is_x86_feature_detected;

    let checkpoint = Random::of(PLAIN);
    let picture = checkpoint.pixel_values(1);
    let both = |arithmetic| {
        let texts = checkpoint.texts(arithmetic);
        let picture = checkpoint.pictures(arithmetic).embed(&picture).unwrap();
        [picture[0].clone(), texts.embed("a red car by the sea").unwrap()]
    };
    let apart = |one, other| {
        let [picture, text] = both(one);
        let others = both(other);
        difference(&picture, &others[0]).min(difference(&text, &others[1]))
    };
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // The last bits tell two orders of the same sum apart.
        assert!(apart(F32[0], CANDLE) > 0.0);
    }
    if is_x86_feature_detected!("avx512bf16") {
        assert!(apart(BF16, F32[1]) > 10.0 * ROUNDING);
        let auto = Arithmetic::default();
        assert!(apart(auto, BF16) <= 0.0);
    }
    if is_x86_feature_detected!("avx512vnni") {
        assert!(apart(INT8, BF16) > 10.0 * ROUNDING);
    } else {
        assert!(apart(INT8, BF16) <= 0.0);
    }
}

fn has_int8() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512vnni");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

#[test]
fn in_int8_a_checkpoint_is_another_model_and_in_all_else_the_same() {
    let checkpoint = Random::of(PLAIN);
    let model = |arithmetic| checkpoint.open(arithmetic).spec().model;
    let exact = model(CANDLE);
    assert_eq!(exact.name, "random");
    for arithmetic in F32.into_iter().chain([BF16, Arithmetic::default()]) {
        assert_eq!(model(arithmetic), exact, "{arithmetic:?}");
    }
    // What is asked for is not what is computed.
    for instructions in [Instructions::Avx2, Instructions::Plain] {
        assert_eq!(model(way(Precision::Int8, instructions)), exact, "{instructions:?}");
    }
    let quantized = model(INT8);
    if has_int8() {
        assert_ne!(quantized, exact);
        assert_eq!(quantized.name, "random in int8");
        assert_eq!(model(INT8), quantized);
        let other = Random::of(ODD).open(INT8).spec().model;
        assert_ne!(other, quantized);
    } else {
        assert_eq!(quantized, exact);
    }
}

#[test]
fn a_checkpoint_of_which_one_tower_cannot_be_packed_is_not_computed_in_int8() {
    for shape in [Shape { text: [64, 2, 100], ..PLAIN }, Shape { vision: [128, 2, 100], ..PLAIN }] {
        let checkpoint = Random::of(shape);
        assert_eq!(checkpoint.open(INT8).spec(), checkpoint.open(BF16).spec(), "{shape:?}");
        let picture = checkpoint.pixel_values(1);
        let [ours, theirs] = [INT8, BF16].map(|arithmetic| {
            let texts = checkpoint.texts(arithmetic);
            let picture = checkpoint.pictures(arithmetic).embed(&picture).unwrap();
            [picture[0].clone(), texts.embed("a red car by the sea").unwrap()]
        });
        assert_eq!(ours, theirs, "{shape:?}");
    }
    let compact = Checkpoint::bundled().unwrap();
    assert_eq!(compact.clone().computed(INT8).spec(), compact.spec());
}

/// As many as go through the layers together and more, on fewer threads than
/// pictures and on more.
#[test]
fn many_pictures_are_embedded_as_one_after_the_other() {
    for shape in [PLAIN, MANY] {
        let checkpoint = Random::of(shape);
        let pictures = checkpoint.pixel_values(9);
        for arithmetic in [F32[0], F32[1], BF16, INT8] {
            let encoder = checkpoint.pictures(arithmetic);
            let alone = |picture| encoder.embed(std::slice::from_ref(picture)).unwrap();
            let alone: Vec<_> = pictures.iter().flat_map(alone).collect();
            check_rounding(arithmetic, &encoder.embed(&pictures).unwrap(), &alone);
            for threads in [1, 2, 3, 16] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                for count in [1, 2, 8, 9] {
                    let ours = pool.install(|| encoder.embed(&pictures[..count]).unwrap());
                    check_rounding(arithmetic, &ours, &alone[..count]);
                }
            }
        }
    }
}
