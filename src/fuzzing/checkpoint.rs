//! Checkpoints by any bytes.

use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage};
use serde_json::{Map, Value, json};

use crate::clip::Checkpoint;

/// The files that are looked for, and `tensors`: the header of a
/// `model.safetensors` without its length and offsets, or of `open_clip`'s.
const NAMES: [&str; 10] = [
    "config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "open_clip_config.json",
    "model.safetensors",
    "open_clip_model.safetensors",
    "0_CLIPModel/config.json",
    "tensors",
];

/// Larger models are opened, and no picture is embedded: that takes seconds,
/// as it should.
const MOST_PIXELS: u32 = 64;

/// Longer tensors are left to [`NAMES`]' whole files.
const MOST_BYTES: u64 = 1 << 20;

/// A folder of these files is used as a checkpoint. A line `--- NAME` begins
/// each file.
pub fn checkpoint(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in NAMES {
        let Some(content) = content(bytes, name) else { continue };
        let (name, content) = match name {
            "tensors" => ("model.safetensors", weights(content).unwrap_or_default()),
            name => (name, content.to_vec()),
        };
        let path = folder.path().join(name);
        path.parent().map_or(Ok(()), fs::create_dir_all).expect("a temporary folder");
        fs::write(path, content).expect("a temporary file");
    }
    let _ = embed(folder.path());
}

fn content<'a>(bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let heading = format!("--- {name}\n");
    let from = find(bytes, heading.as_bytes())? + heading.len();
    let rest = &bytes[from..];
    Some(find(rest, b"\n--- ").map_or(rest, |to| &rest[..to]))
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// A safetensors file with the tensors of this header, such as
/// `{"name": {"dtype": "F32", "shape": [2, 3]}}`, one behind the other.
fn weights(header: &[u8]) -> Option<Vec<u8>> {
    let mut header: Map<String, Value> = serde_json::from_slice(header).ok()?;
    let mut end = 0;
    for tensor in header.values_mut().filter_map(Value::as_object_mut) {
        let (Some(bits), Some(shape)) = (bits(tensor), tensor.get("shape")?.as_array()) else {
            continue;
        };
        let bits = shape.iter().filter_map(Value::as_u64).try_fold(bits, u64::checked_mul)?;
        let bytes = Some(bits.div_ceil(8)).filter(|bytes| *bytes <= MOST_BYTES)?;
        tensor.insert("data_offsets".into(), json!([end, end + bytes]));
        end += bytes;
    }
    let header = Value::from(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    // Small numbers in every type.
    let data = (0..end)
        .map(|at| b"\x00\x3c\x00\x3d\x00\xbc\x00\x3e"[usize::try_from(at % 8).unwrap_or(0)]);
    file.extend(data);
    Some(file)
}

fn bits(tensor: &Map<String, Value>) -> Option<u64> {
    let dtype = tensor.get("dtype")?.as_str()?;
    let digits = dtype.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.split('_').next()?.parse().ok()
}

fn embed(folder: &Path) -> Result<(), crate::clip::Error> {
    let checkpoint = Checkpoint::open("any", folder)?;
    let spec = checkpoint.spec();
    if let Ok(text) = checkpoint.text_encoder(&|_| {}) {
        for words in ["red", "a 2nd car's <|endoftext|> ü 車 \u{0}", &"low ".repeat(200)] {
            if let Ok(embedding) = text.embed(words) {
                assert_eq!(embedding.dimension(), spec.dimension);
            }
        }
    }
    let pictures = checkpoint.picture_encoder(&|_| {})?;
    let picture = RgbImage::from_pixel(9, 4, Rgb([250, 128, 1]));
    let values = checkpoint.preprocessor().pixel_values(&picture)?;
    if values.as_slice().len() <= 3 * MOST_PIXELS.pow(2) as usize {
        let embeddings = pictures.embed(&[values])?;
        assert!(embeddings.iter().all(|embedding| embedding.dimension() == spec.dimension));
    }
    Ok(())
}
