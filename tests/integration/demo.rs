//! The demo pictures and the compact model, as a newcomer meets them.

use std::collections::BTreeSet;
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

/// The body types of the labels, as somebody would ask for them.
const BODIES: [(&str, &str); 9] = [
    ("sedan", "sedan"),
    ("station wagon", "wagon"),
    ("hatchback", "hatchback"),
    ("coupe", "coupe"),
    ("convertible", "convertible"),
    ("SUV", "SUV"),
    ("pickup truck", "pickup"),
    ("minivan", "minivan"),
    ("van", "van"),
];

fn says(labels: &Value, key: &str, wanted: &str) -> bool {
    labels[key].as_str().unwrap().split(' ').any(|word| word == wanted)
}

#[test]
fn words_find_the_demo_car_they_describe() {
    let checkpoint = Checkpoint::bundled().unwrap();
    let demo = demo(&checkpoint);
    let encoder = checkpoint.text_encoder(&|_| {}).unwrap();
    let best = |query: &str| {
        let query = encoder.embed(query).unwrap();
        demo.iter()
            .map(|(labels, embedding)| (query.similarity(embedding).cosine(), labels))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .unwrap()
    };
    for (query, colour, body) in [
        ("red convertible", "red", "convertible"),
        ("yellow taxi", "yellow", ""),
        ("green car", "green", ""),
        ("blue car", "blue", ""),
        ("orange sports car", "orange", "coupe"),
    ] {
        let (_, labels) = best(query);
        let is = |key: &str, wanted: &str| labels[key].as_str().unwrap().contains(wanted);
        assert!(is("colour", colour) && is("body", body), "{query}: {labels}");
    }

    let colours: BTreeSet<_> = demo
        .iter()
        .map(|(labels, _)| labels["colour"].as_str().unwrap())
        .filter(|colour| !colour.contains(' '))
        .collect();
    let mut wrong = Vec::new();
    let mut asked = 0;
    let mut least = f32::MAX;
    for colour in colours {
        for (words, body) in BODIES {
            let is = |labels: &Value| says(labels, "colour", colour) && says(labels, "body", body);
            if !demo.iter().any(|(labels, _)| is(labels)) {
                continue;
            }
            let query = format!("{colour} {words}");
            let (cosine, labels) = best(&query);
            asked += 1;
            least = least.min(cosine);
            if !is(labels) {
                wrong.push(format!("{query}: {} {}", labels["colour"], labels["body"]));
            }
        }
    }
    assert!(asked > 40, "{asked}");
    assert!(wrong.len() * 10 <= asked, "{} of {asked}: {wrong:#?}", wrong.len());

    for thing in ["dog", "aeroplane", "tree", "a slice of pizza", "quantum physics"] {
        let (cosine, labels) = best(thing);
        assert!(cosine < least - 0.1, "{thing}: {cosine} {labels}, a car: {least} at least");
    }
}
