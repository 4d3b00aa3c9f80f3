//! Tokenizer, preprocessor and towers against numbers of the original Python
//! implementation, which `tests/fixtures/make_reference.py` made.
//!
//! `CARLENS_REFERENCE=DIR cargo test full_size -- --ignored` does the same
//! with the full-size checkpoints that `make_reference.py --full DIR` writes.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use carlens::clip::{Arithmetic, Checkpoint, Error, Instructions, Precision, Tower};
use carlens::domain::Embedding;
use carlens::picture;
use image::RgbImage;
use safetensors::SafeTensors;
use serde_json::Value;

/// The least cosine that counts as the same direction in f32.
const SAME: f32 = 0.99999;

/// The same in bf16.
const ALIKE: f32 = 0.9999;

/// The same in int8; 0.9995 is the least that was seen.
const QUANTIZED: f32 = 0.999;

/// A folder of reference numbers.
struct Reference {
    folder: PathBuf,
    json: Value,
    tensors: Vec<u8>,
}

impl Reference {
    fn open(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        let json = std::fs::read(folder.join("reference.json")).unwrap();
        let tensors = std::fs::read(folder.join("reference.safetensors")).unwrap();
        Self { json: serde_json::from_slice(&json).unwrap(), tensors, folder }
    }

    fn committed() -> Self {
        Self::open(root().join("tests/fixtures"))
    }

    fn strings(&self, key: &str) -> Vec<String> {
        serde_json::from_value(self.json[key].clone()).unwrap()
    }

    fn input_ids(&self, checkpoint: &str) -> Vec<Vec<u32>> {
        serde_json::from_value(self.json["checkpoints"][checkpoint]["input_ids"].clone()).unwrap()
    }

    fn bytes(&self, name: &str) -> (Vec<usize>, Vec<u8>) {
        let tensors = SafeTensors::deserialize(&self.tensors).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        (tensor.shape().to_vec(), tensor.data().to_vec())
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let float = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap());
        self.bytes(name).1.chunks_exact(4).map(float).collect()
    }

    /// The rows of a matrix, as embeddings.
    fn embeddings(&self, name: &str) -> Vec<Embedding> {
        let columns = self.bytes(name).0[1];
        let values = self.floats(name);
        values
            .chunks_exact(columns)
            .map(|row| Embedding::normalize(row.to_vec()).unwrap())
            .collect()
    }

    fn picture(&self, name: &str) -> RgbImage {
        let (shape, bytes) = self.bytes(name);
        let size = |n: usize| u32::try_from(shape[n]).unwrap();
        RgbImage::from_raw(size(1), size(0), bytes).unwrap()
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn fixture(name: &str) -> PathBuf {
    root().join("tests/fixtures").join(name)
}

fn open_picture(path: &Path) -> RgbImage {
    let bytes = picture::read(path).unwrap();
    picture::flatten(picture::decode(&bytes, picture::Detail::Full).unwrap().picture)
}

/// Mean and largest difference in grey levels.
fn difference(actual: &RgbImage, reference: &RgbImage) -> (f64, u8) {
    assert_eq!(actual.dimensions(), reference.dimensions());
    let differences =
        || actual.as_raw().iter().zip(reference.as_raw()).map(|(a, b)| a.abs_diff(*b));
    let sum: f64 = differences().map(f64::from).sum();
    #[expect(clippy::cast_precision_loss, reason = "a picture has few enough values")]
    (sum / actual.as_raw().len() as f64, differences().max().unwrap_or(0))
}

fn check_text(reference: &Reference, numbers: &str, checkpoint: &Checkpoint, least: f32) {
    let encoder = checkpoint.text_encoder(&|_| {}).unwrap();
    let expected = reference.embeddings(&format!("{numbers}.text"));
    let ids = reference.input_ids(numbers);
    for ((sentence, ids), expected) in reference.strings("sentences").iter().zip(ids).zip(expected)
    {
        assert_eq!(encoder.input_ids(sentence).unwrap(), ids, "{sentence:?}");
        let cosine = encoder.embed(sentence).unwrap().similarity(&expected).cosine();
        assert!(cosine >= least, "{sentence:?}: {cosine}");
    }
}

/// The towers, from the very pixels the original was given.
fn check_tower(reference: &Reference, numbers: &str, checkpoint: &Checkpoint, least: f32) {
    let encoder = checkpoint.picture_encoder(&|_| {}).unwrap();
    let pictures = reference.strings("pictures");
    let pixels: Vec<_> = pictures
        .iter()
        .map(|name| reference.picture(&format!("{numbers}.rgb.{name}")))
        .map(|crop| checkpoint.preprocessor().pixel_values(&crop).unwrap())
        .collect();
    let largest = pixels[0]
        .as_slice()
        .iter()
        .zip(reference.floats(&format!("{numbers}.pixel_values")))
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(largest < 1e-5, "pixel values differ by {largest}");
    let expected = reference.embeddings(&format!("{numbers}.image"));
    let actual = encoder.embed(&pixels).unwrap();
    for ((name, actual), expected) in pictures.iter().zip(&actual).zip(&expected) {
        let cosine = actual.similarity(expected).cosine();
        assert!(cosine >= least, "{name}: {cosine}");
    }
}

/// From the files: decoding, orientation, transparency, resampling, crop.
fn check_preprocessor(reference: &Reference, numbers: &str, checkpoint: &Checkpoint) {
    for name in reference.strings("pictures") {
        let crop = checkpoint.preprocessor().crop(&open_picture(&fixture("pictures").join(&name)));
        let expected = reference.picture(&format!("{numbers}.rgb.{name}"));
        let (mean, largest) = difference(&crop.unwrap(), &expected);
        assert!(mean <= 0.3 && largest <= 5, "{name}: mean {mean}, largest {largest}");
    }
}

/// A bar that ends before or after its end is no bar.
fn check_progress(checkpoint: &Checkpoint) {
    for tower in [Tower::Text, Tower::Picture] {
        let heard = RefCell::new(Vec::new());
        let hear = |progress| heard.borrow_mut().push(progress);
        match tower {
            Tower::Text => drop(checkpoint.text_encoder(&hear).unwrap()),
            Tower::Picture => drop(checkpoint.picture_encoder(&hear).unwrap()),
        }
        let heard = heard.into_inner();
        assert!(heard.len() > 10 && heard.iter().all(|progress| progress.tower == tower));
        assert!(heard.is_sorted_by_key(|progress| progress.read));
        let last = heard.last().unwrap();
        assert_eq!(last.read, last.total);
    }
}

fn check(reference: &Reference, numbers: &str, checkpoint: &Checkpoint) {
    for (precision, instructions, least) in [
        (Precision::F32, Instructions::Plain, SAME),
        (Precision::F32, Instructions::Avx2, SAME),
        (Precision::F32, Instructions::Auto, SAME),
        (Precision::Bf16, Instructions::Auto, ALIKE),
        (Precision::Int8, Instructions::Auto, QUANTIZED),
    ] {
        let checkpoint = checkpoint.clone().computed(Arithmetic { precision, instructions });
        check_text(reference, numbers, &checkpoint, least);
        check_tower(reference, numbers, &checkpoint, least);
    }
    check_preprocessor(reference, numbers, checkpoint);
    check_progress(checkpoint);
}

#[test]
fn a_quick_gelu_checkpoint_equals_the_original() {
    let checkpoint = Checkpoint::open("tiny", &fixture("clip-tiny-quick-gelu")).unwrap();
    check(&Reference::committed(), "clip-tiny-quick-gelu", &checkpoint);
}

#[test]
fn a_gelu_checkpoint_equals_the_original() {
    let checkpoint = Checkpoint::open("tiny", &fixture("clip-tiny-gelu")).unwrap();
    check(&Reference::committed(), "clip-tiny-gelu", &checkpoint);
}

/// The one whose layers are packed for the processor: heads of 64 components.
#[test]
fn a_checkpoint_of_the_usual_heads_equals_the_original() {
    let checkpoint = Checkpoint::open("tiny", &fixture("clip-tiny-heads-of-64")).unwrap();
    check(&Reference::committed(), "clip-tiny-heads-of-64", &checkpoint);
}

#[test]
fn an_open_clip_checkpoint_equals_the_original() {
    let checkpoint = Checkpoint::open("tiny", &fixture("clip-tiny-gelu-open-clip")).unwrap();
    check(&Reference::committed(), "clip-tiny-gelu", &checkpoint);
}

#[test]
fn a_sentence_transformers_checkpoint_equals_the_original() {
    let checkpoint = Checkpoint::open("tiny", &fixture("clip-tiny-sentence-transformers")).unwrap();
    check(&Reference::committed(), "clip-tiny-quick-gelu", &checkpoint);
}

#[test]
fn the_compact_model_equals_the_original() {
    check(&Reference::committed(), "compact", &Checkpoint::bundled().unwrap());
}

#[test]
#[ignore = "needs full-size checkpoints, see the top of this file"]
fn full_size_checkpoints_equal_the_original() {
    let reference = Reference::open(std::env::var_os("CARLENS_REFERENCE").expect("a folder"));
    for name in ["vit-b-32", "vit-b-32-256"] {
        check(&reference, name, &Checkpoint::open(name, &reference.folder.join(name)).unwrap());
    }
}

#[test]
fn every_kind_of_picture_is_decoded_like_the_original() {
    let reference = Reference::committed();
    for name in reference.strings("decoded") {
        let decoded = open_picture(&fixture("pictures").join(&name));
        let (mean, largest) = difference(&decoded, &reference.picture(&format!("decoded.{name}")));
        assert!(mean <= 0.7 && largest <= 8, "{name}: mean {mean}, largest {largest}");
    }
}

/// candle-transformers' own CLIP is right for `QuickGELU` and full-length
/// texts, and nobody here wrote it.
#[test]
fn our_towers_equal_those_of_candle_transformers() {
    use candle_core::{DType, Device, Tensor};
    use candle_nn::VarBuilder;
    use candle_transformers::models::clip::{ClipConfig, ClipModel, text_model, vision_model};

    let folder = fixture("clip-tiny-quick-gelu");
    let json: Value =
        serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    let size =
        |section: &str, key: &str| usize::try_from(json[section][key].as_u64().unwrap()).unwrap();
    let projection_dim = usize::try_from(json["projection_dim"].as_u64().unwrap()).unwrap();
    let text_config = text_model::ClipTextConfig {
        vocab_size: size("text_config", "vocab_size"),
        embed_dim: size("text_config", "hidden_size"),
        intermediate_size: size("text_config", "intermediate_size"),
        max_position_embeddings: size("text_config", "max_position_embeddings"),
        pad_with: None,
        num_hidden_layers: size("text_config", "num_hidden_layers"),
        num_attention_heads: size("text_config", "num_attention_heads"),
        projection_dim,
        activation: text_model::Activation::QuickGelu,
    };
    let vision_config = vision_model::ClipVisionConfig {
        embed_dim: size("vision_config", "hidden_size"),
        activation: text_model::Activation::QuickGelu,
        intermediate_size: size("vision_config", "intermediate_size"),
        num_hidden_layers: size("vision_config", "num_hidden_layers"),
        num_attention_heads: size("vision_config", "num_attention_heads"),
        projection_dim,
        num_channels: 3,
        image_size: 224,
        patch_size: 32,
    };
    let config =
        ClipConfig { text_config, vision_config, logit_scale_init_value: 2.6592, image_size: 224 };
    let weights = std::fs::read(folder.join("model.safetensors")).unwrap();
    let weights = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu).unwrap();
    let theirs = ClipModel::new(weights, &config).unwrap();
    let checkpoint = Checkpoint::open("tiny", &folder).unwrap();
    let same = |ours: &Embedding, theirs: Tensor| {
        let theirs =
            Embedding::normalize(theirs.flatten_all().unwrap().to_vec1().unwrap()).unwrap();
        let cosine = ours.similarity(&theirs).cosine();
        assert!(cosine >= SAME, "{cosine}");
    };

    let encoder = checkpoint.text_encoder(&|_| {}).unwrap();
    let ids = encoder.input_ids("a red convertible").unwrap();
    let input = Tensor::new(ids.as_slice(), &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    same(&encoder.embed("a red convertible").unwrap(), theirs.get_text_features(&input).unwrap());

    let pixels =
        checkpoint.preprocessor().pixel_values(&open_picture(&fixture("pictures/photo.jpg")));
    let pixels = pixels.unwrap();
    let input = Tensor::from_slice(pixels.as_slice(), (1, 3, 224, 224), &Device::Cpu).unwrap();
    let ours = checkpoint.picture_encoder(&|_| {}).unwrap().embed(&[pixels]).unwrap();
    same(&ours[0], theirs.get_image_features(&input).unwrap());
}

#[test]
fn a_query_without_words_is_refused() {
    let encoder = Checkpoint::bundled().unwrap().text_encoder(&|_| {}).unwrap();
    for text in ["", " ", "\n\t "] {
        assert!(matches!(encoder.embed(text), Err(Error::EmptyText)), "{text:?}");
    }
}

#[test]
fn input_ids_that_no_text_has_are_refused() {
    let encoder = Checkpoint::bundled().unwrap().text_encoder(&|_| {}).unwrap();
    assert!(matches!(encoder.embed_ids(&[]), Err(Error::EmptyText)));
    let too_many: Vec<u32> = (0..33).collect();
    assert!(encoder.embed_ids(&too_many).is_err());
    assert!(encoder.embed_ids(&[4096]).is_err());
    let ids = encoder.input_ids("a red convertible").unwrap();
    let [by_ids, by_text] = [encoder.embed_ids(&ids), encoder.embed("a red convertible")];
    assert_eq!(by_ids.unwrap(), by_text.unwrap());
}

#[test]
fn a_very_long_query_keeps_its_beginning_and_the_end_token() {
    let encoder = Checkpoint::bundled().unwrap().text_encoder(&|_| {}).unwrap();
    let long = "red ".repeat(25_000);
    let ids = encoder.input_ids(&long).unwrap();
    assert_eq!(ids.len(), 32);
    assert_eq!(ids.last(), encoder.input_ids("red").unwrap().last());
    encoder.embed(&long).unwrap();
}

/// A copy of a checkpoint, to be broken.
fn copy_of(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(fixture(name)).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    folder
}

/// The message a broken checkpoint gives, when opened or when its towers are
/// built.
fn complaint(folder: &Path) -> String {
    let opened = Checkpoint::open("broken", folder).and_then(|checkpoint| {
        checkpoint.text_encoder(&|_| {})?;
        checkpoint.picture_encoder(&|_| {}).map(|_| ())
    });
    opened.unwrap_err().to_string()
}

#[test]
fn a_missing_file_is_named() {
    for file in ["config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json"] {
        let folder = copy_of("clip-tiny-gelu");
        std::fs::remove_file(folder.path().join(file)).unwrap();
        let complaint = complaint(folder.path());
        assert!(complaint.contains(file), "{complaint}");
    }
    let complaint = complaint(Path::new("no/such/folder"));
    assert!(complaint.contains("no/such/folder"), "{complaint}");
}

#[test]
fn truncated_weights_are_refused() {
    for keep in [0, 4, 100, 20_000, 200_000] {
        let folder = copy_of("clip-tiny-gelu");
        let path = folder.path().join("model.safetensors");
        let weights = std::fs::read(&path).unwrap();
        std::fs::write(&path, &weights[..keep]).unwrap();
        let complaint = complaint(folder.path());
        assert!(complaint.contains("model.safetensors"), "{keep}: {complaint}");
    }
}

#[test]
fn a_tensor_of_another_shape_is_named() {
    let folder = copy_of("clip-tiny-gelu");
    let path = folder.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["projection_dim"] = 17.into();
    config["text_config"]["projection_dim"] = 17.into();
    std::fs::write(&path, config.to_string()).unwrap();
    let complaint = complaint(folder.path());
    assert!(complaint.contains("text_projection") && complaint.contains("17"), "{complaint}");
}

#[test]
fn a_missing_tensor_is_named() {
    let folder = copy_of("clip-tiny-gelu");
    let path = folder.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["text_config"]["num_hidden_layers"] = 3.into();
    std::fs::write(&path, config.to_string()).unwrap();
    let complaint = complaint(folder.path());
    assert!(complaint.contains("text_model.encoder.layers.2"), "{complaint}");
}

#[test]
fn another_activation_or_tower_is_refused_by_name() {
    for (section, key, value) in
        [("text_config", "hidden_act", "relu"), ("vision_config", "model_type", "resnet")]
    {
        let folder = copy_of("clip-tiny-gelu");
        let path = folder.path().join("config.json");
        let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        config[section][key] = value.into();
        std::fs::write(&path, config.to_string()).unwrap();
        let complaint = complaint(folder.path());
        assert!(complaint.contains(value), "{complaint}");
    }
}

#[test]
fn a_fingerprint_follows_every_file_and_nothing_else() {
    let fingerprint =
        |folder: &Path| Checkpoint::open("x", folder).unwrap().spec().model.fingerprint;
    let original = copy_of("clip-tiny-gelu");
    assert_eq!(fingerprint(original.path()), fingerprint(copy_of("clip-tiny-gelu").path()));
    for file in ["config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json"] {
        let changed = copy_of("clip-tiny-gelu");
        let path = changed.path().join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        if file == "model.safetensors" {
            // The middle of the data, where no header is.
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        } else {
            bytes.push(b'\n');
        }
        std::fs::write(&path, bytes).unwrap();
        assert_ne!(fingerprint(original.path()), fingerprint(changed.path()), "{file}");
    }
}
