//! Tokenizer, preprocessor and towers against numbers of the original Python
//! implementation, made by `tests/fixtures/make_reference.py`.

use std::path::{Path, PathBuf};

use carlens::clip::Checkpoint;
use carlens::domain::Embedding;
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn floats(value: &Value) -> Vec<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "they were f32 before they were JSON")]
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

fn cosine(actual: &Embedding, reference: Vec<f32>) -> f32 {
    actual.similarity(&Embedding::normalize(reference).unwrap()).cosine()
}

fn open_rgb(path: &Path) -> image::RgbImage {
    image::open(path).unwrap().to_rgb8()
}

#[test]
fn the_compact_model_gives_the_embeddings_on_its_card() {
    let folder = root().join("models/compact");
    let reference: Value =
        serde_json::from_slice(&std::fs::read(folder.join("reference.json")).unwrap()).unwrap();
    let checkpoint = Checkpoint::bundled().unwrap();
    let (text, pictures) =
        (checkpoint.text_encoder().unwrap(), checkpoint.picture_encoder().unwrap());
    for case in reference["texts"].as_array().unwrap() {
        let sentence = case["text"].as_str().unwrap();
        let ids: Vec<u32> = serde_json::from_value(case["input_ids"].clone()).unwrap();
        assert_eq!(text.input_ids(sentence).unwrap(), ids, "{sentence}");
        let cosine = cosine(&text.embed(sentence).unwrap(), floats(&case["embedding"]));
        assert!(cosine >= 0.99999, "{sentence}: {cosine}");
    }
    for case in reference["images"].as_array().unwrap() {
        let file = case["file"].as_str().unwrap();
        let pixels = checkpoint.preprocessor().pixel_values(&open_rgb(&folder.join(file))).unwrap();
        let sum: f64 = pixels.as_slice().iter().map(|&x| f64::from(x)).sum();
        let expected = case["pixel_sum"].as_f64().unwrap();
        assert!((sum - expected).abs() < 2.0, "{file}: {sum} instead of {expected}");
        let embedding = pictures.embed(&[pixels]).unwrap().remove(0);
        let cosine = cosine(&embedding, floats(&case["embedding"]));
        assert!(cosine >= 0.99999, "{file}: {cosine}");
    }
}
