//! The demo pictures and the compact model, as a newcomer meets them.

use std::path::PathBuf;

use carlens::clip::Checkpoint;
use carlens::domain::Embedding;
use carlens::picture;
use serde_json::Value;

/// Every demo picture with its labels and its embedding.
fn demo(checkpoint: &Checkpoint) -> Vec<(Value, Embedding)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("static");
    let labels = std::fs::read(folder.join("labels.json")).unwrap();
    let labels: serde_json::Map<String, Value> = serde_json::from_slice(&labels).unwrap();
    let encoder = checkpoint.picture_encoder(&|_| {}).unwrap();
    let embed = |name: &str| {
        let bytes = picture::read(&folder.join("images").join(name)).unwrap();
        let flat =
            picture::flatten(picture::decode(&bytes, picture::Detail::Full).unwrap().picture);
        let pixels = checkpoint.preprocessor().pixel_values(&flat).unwrap();
        encoder.embed(&[pixels]).unwrap().remove(0)
    };
    labels.into_iter().map(|(name, labels)| (labels, embed(&name))).collect()
}

#[test]
fn words_find_the_demo_car_they_describe() {
    let checkpoint = Checkpoint::bundled().unwrap();
    let demo = demo(&checkpoint);
    let encoder = checkpoint.text_encoder(&|_| {}).unwrap();
    for (query, colour, body) in [
        ("red convertible", "red", "convertible"),
        ("yellow taxi", "yellow", ""),
        ("green car", "green", ""),
        ("blue car", "blue", ""),
        ("orange sports car", "orange", "coupe"),
    ] {
        let query_embedding = encoder.embed(query).unwrap();
        let similarity = |embedding: &Embedding| query_embedding.similarity(embedding).cosine();
        let best = demo.iter().max_by(|a, b| similarity(&a.1).total_cmp(&similarity(&b.1)));
        let labels = &best.unwrap().0;
        let is = |key: &str, wanted: &str| labels[key].as_str().unwrap().contains(wanted);
        assert!(is("colour", colour) && is("body", body), "{query}: {labels}");
    }
}
