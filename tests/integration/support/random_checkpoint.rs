//! A CLIP checkpoint of random weights, of any shape.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// The shape of a checkpoint with two vision and text transformers.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub image_size: usize,
    pub patch_size: usize,
    /// Width, layers and width of the MLP.
    pub vision: [usize; 3],
    /// The same.
    pub text: [usize; 3],
    pub projection: usize,
    pub activation: &'static str,
}

/// Widths, layers and MLP widths as OpenAI's.
#[allow(dead_code, reason = "what benchmarks are about")]
pub const VIT_B_32: Shape = Shape {
    image_size: 224,
    patch_size: 32,
    vision: [768, 12, 3072],
    text: [512, 12, 2048],
    projection: 512,
    activation: "quick_gelu",
};

/// Components of a head, as in every released CLIP.
const HEAD: usize = 64;

/// Input ids of a text at most, as in every released CLIP.
pub const CONTEXT: usize = 77;

/// The compact model's tokenizer.
pub fn compact_tokenizer() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/compact/tokenizer.json");
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

impl Shape {
    /// Writes the checkpoint, with the compact model's tokenizer.
    #[allow(dead_code, reason = "the benchmark of the peers has another tokenizer")]
    pub fn write(self, folder: &Path) {
        self.write_with(&compact_tokenizer(), folder);
    }

    /// Writes it with a tokenizer whose last two tokens open and end a text.
    pub fn write_with(self, tokenizer: &Value, folder: &Path) {
        fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
        let special = tokenizer["added_tokens"].as_array().unwrap();
        let last = special.iter().filter_map(|token| token["id"].as_u64()).max().unwrap();
        let vocabulary = last + 1;
        let config = json!({
            "model_type": "clip",
            "projection_dim": self.projection,
            "text_config": {
                "vocab_size": vocabulary, "max_position_embeddings": CONTEXT,
                "bos_token_id": vocabulary - 2, "eos_token_id": vocabulary - 1,
                "hidden_size": self.text[0], "num_hidden_layers": self.text[1],
                "num_attention_heads": self.text[0] / HEAD, "intermediate_size": self.text[2],
                "hidden_act": self.activation,
            },
            "vision_config": {
                "image_size": self.image_size, "patch_size": self.patch_size,
                "hidden_size": self.vision[0], "num_hidden_layers": self.vision[1],
                "num_attention_heads": self.vision[0] / HEAD, "intermediate_size": self.vision[2],
                "hidden_act": self.activation,
            },
        });
        fs::write(folder.join("config.json"), config.to_string()).unwrap();
        let size = self.image_size;
        let preprocessor = json!({
            "size": {"shortest_edge": size}, "crop_size": {"height": size, "width": size},
            "do_resize": true, "do_center_crop": true, "do_normalize": true, "resample": 3,
            "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28],
        });
        fs::write(folder.join("preprocessor_config.json"), preprocessor.to_string()).unwrap();
        self.write_weights(folder, usize::try_from(vocabulary).unwrap());
    }

    fn write_weights(self, folder: &Path, vocabulary: usize) {
        let mut tensors = Tensors::default();
        let [width, layers, mlp] = self.vision;
        let patches = (self.image_size / self.patch_size).pow(2);
        let embeddings = "vision_model.embeddings";
        let kernel = [width, 3, self.patch_size, self.patch_size];
        tensors.matrix(&format!("{embeddings}.patch_embedding.weight"), &kernel);
        tensors.matrix(&format!("{embeddings}.class_embedding"), &[width]);
        tensors.matrix(&format!("{embeddings}.position_embedding.weight"), &[patches + 1, width]);
        tensors.norm("vision_model.pre_layrnorm", width);
        tensors.layers("vision_model", width, layers, mlp);
        tensors.norm("vision_model.post_layernorm", width);
        tensors.matrix("visual_projection.weight", &[self.projection, width]);
        let [width, layers, mlp] = self.text;
        let embeddings = "text_model.embeddings";
        tensors.matrix(&format!("{embeddings}.token_embedding.weight"), &[vocabulary, width]);
        tensors.matrix(&format!("{embeddings}.position_embedding.weight"), &[CONTEXT, width]);
        tensors.layers("text_model", width, layers, mlp);
        tensors.norm("text_model.final_layer_norm", width);
        tensors.matrix("text_projection.weight", &[self.projection, width]);
        let views = tensors.values.iter().map(|(name, (shape, bytes))| {
            let dtype = safetensors::Dtype::F32;
            (name, safetensors::tensor::TensorView::new(dtype, shape.clone(), bytes).unwrap())
        });
        let file = folder.join("model.safetensors");
        safetensors::serialize_to_file(views, None, &file).unwrap();
    }
}

#[derive(Default)]
struct Tensors {
    values: HashMap<String, (Vec<usize>, Vec<u8>)>,
    state: u64,
}

impl Tensors {
    fn layers(&mut self, tower: &str, width: usize, layers: usize, mlp: usize) {
        for layer in (0..layers).map(|n| format!("{tower}.encoder.layers.{n}")) {
            self.norm(&format!("{layer}.layer_norm1"), width);
            for part in ["q", "k", "v", "out"] {
                self.linear(&format!("{layer}.self_attn.{part}_proj"), width, width);
            }
            self.norm(&format!("{layer}.layer_norm2"), width);
            self.linear(&format!("{layer}.mlp.fc1"), width, mlp);
            self.linear(&format!("{layer}.mlp.fc2"), mlp, width);
        }
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize) {
        self.matrix(&format!("{name}.weight"), &[outputs, inputs]);
        self.matrix(&format!("{name}.bias"), &[outputs]);
    }

    /// Such that sums of products are of the size of their factors.
    fn matrix(&mut self, name: &str, shape: &[usize]) {
        let inputs: usize = shape[1..].iter().product();
        #[expect(clippy::cast_precision_loss, reason = "a layer's width")]
        let scale = (3.0 / inputs as f32).sqrt().min(0.3);
        self.tensor(name, shape, |random| random * scale);
    }

    fn norm(&mut self, name: &str, width: usize) {
        self.tensor(&format!("{name}.weight"), &[width], |random| 1.0 + random / 4.0);
        self.tensor(&format!("{name}.bias"), &[width], |random| random / 4.0);
    }

    /// Of numbers from -1 to 1.
    fn tensor(&mut self, name: &str, shape: &[usize], value: impl Fn(f32) -> f32) {
        let state = &mut self.state;
        let values =
            (0..shape.iter().product()).flat_map(|_: usize| value(next(state)).to_le_bytes());
        let bytes = values.collect();
        self.values.insert(name.to_owned(), (shape.to_vec(), bytes));
    }
}

/// From -1 to 1, by splitmix64.
fn next(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    #[expect(clippy::cast_precision_loss, reason = "24 bits are exact")]
    let value = ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32;
    value - 1.0
}

/// A square picture of noise.
#[allow(dead_code, reason = "one benchmark has others")]
pub fn picture(seed: u32, side: u32) -> image::RgbImage {
    let mut state = u64::from(seed) << 32;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 255")]
    let level = |random: f32| ((random + 1.0) * 127.5) as u8;
    let levels = (0..side * side * 3).map(|_| level(next(&mut state))).collect();
    image::RgbImage::from_raw(side, side, levels).unwrap()
}
