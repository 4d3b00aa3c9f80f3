//! What a checkpoint says about its own architecture, in either dialect:
//! transformers' `config.json` or `open_clip_config.json`.
//!
//! Keys that a file leaves out have the values that its own library gives
//! them (transformers 5 `CLIPTextConfig` and `CLIPVisionConfig`; `open_clip`
//! 3 `CLIPTextCfg` and `CLIPVisionCfg`).

use serde::Deserialize;

use super::Error;
use super::activation::Activation;

/// Both towers and the length of their embeddings.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    pub(super) dimension: usize,
    pub(super) text: TextConfig,
    pub(super) vision: VisionConfig,
}

/// A stack of transformer layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TransformerConfig {
    pub(super) width: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) mlp_width: usize,
    pub(super) activation: Activation,
    pub(super) layer_norm_eps: f64,
}

/// The text tower.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TextConfig {
    pub(super) vocabulary: usize,
    pub(super) context_length: usize,
    pub(super) transformer: TransformerConfig,
}

/// The picture tower, of one of the kinds we can run.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum VisionConfig {
    Vit(VitConfig),
    EfficientNet(EfficientNetConfig),
}

impl VisionConfig {
    /// Side of the square input in pixels.
    pub(super) fn image_size(&self) -> usize {
        match self {
            Self::Vit(vit) => vit.image_size,
            Self::EfficientNet(net) => net.image_size,
        }
    }
}

/// A vision transformer over square patches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct VitConfig {
    pub(super) image_size: usize,
    pub(super) patch_size: usize,
    pub(super) transformer: TransformerConfig,
}

/// An EfficientNet-lite trunk whose stages are pooled to one grid and read by
/// a single learned query.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct EfficientNetConfig {
    pub(super) image_size: usize,
    /// Side of the last feature map.
    pub(super) grid: usize,
    /// Blocks whose output joins the features.
    pub(super) taps: Vec<usize>,
    /// Channels of all the taps and the input together.
    pub(super) feature_channels: usize,
    /// Stride of each block.
    pub(super) strides: Vec<usize>,
    pub(super) hidden_size: usize,
}

impl Config {
    /// Reads transformers' `config.json`.
    pub(super) fn from_transformers(json: &[u8]) -> Result<Self, Error> {
        let file: HuggingFace = parse(json, "config.json")?;
        let text = file.text_config;
        let dimension = file.projection_dim.unwrap_or(512);
        let config = Self {
            dimension,
            text: TextConfig {
                vocabulary: text.vocab_size.unwrap_or(49_408),
                context_length: text.max_position_embeddings.unwrap_or(77),
                transformer: text.layers.resolve([512, 12, 8, 2048])?,
            },
            vision: file.vision_config.resolve()?,
        };
        config.checked("config.json")
    }

    /// Reads `open_clip_config.json`.
    pub(super) fn from_open_clip(json: &[u8]) -> Result<Self, Error> {
        let file: OpenClip = parse(json, "open_clip_config.json")?;
        let model = file.model_cfg;
        let activation = if model.quick_gelu { Activation::QuickGelu } else { Activation::Gelu };
        let (text, vision) = (model.text_cfg, model.vision_cfg);
        let transformer = |width: usize, layers, heads, mlp_ratio: f64| TransformerConfig {
            width,
            layers,
            heads,
            mlp_width: scaled(width, mlp_ratio),
            activation,
            layer_norm_eps: 1e-5,
        };
        let config = Self {
            dimension: model.embed_dim,
            text: TextConfig {
                vocabulary: text.vocab_size,
                context_length: text.context_length,
                transformer: transformer(text.width, text.layers, text.heads, text.mlp_ratio),
            },
            vision: VisionConfig::Vit(VitConfig {
                image_size: vision.image_size,
                patch_size: vision.patch_size,
                transformer: transformer(
                    vision.width,
                    vision.layers,
                    vision.width / vision.head_width.max(1),
                    vision.mlp_ratio,
                ),
            }),
        };
        config.checked("open_clip_config.json")
    }

    /// Refuses numbers that no arithmetic could follow.
    fn checked(self, file: &str) -> Result<Self, Error> {
        let wrong = |reason: &str| Err(malformed(file, reason));
        let mut stacks = vec![self.text.transformer];
        match &self.vision {
            VisionConfig::Vit(vit) => {
                if vit.patch_size == 0 || vit.image_size % vit.patch_size != 0 {
                    return wrong("image_size is not a multiple of patch_size");
                }
                stacks.push(vit.transformer);
            }
            VisionConfig::EfficientNet(net) => {
                if net.grid == 0 || net.image_size != net.grid * 32 {
                    return wrong("image_size is not 32 times grid");
                }
                if net.taps.iter().any(|&tap| tap >= net.strides.len()) {
                    return wrong("taps name a block that strides does not have");
                }
                if net.strides.iter().any(|stride| ![1, 2].contains(stride)) {
                    return wrong("strides hold something else than 1 and 2");
                }
                // The stem halves it first.
                if net.strides.iter().filter(|&&stride| stride == 2).count() != 4 {
                    return wrong("strides do not lead to a map of the size of grid");
                }
            }
        }
        if stacks.iter().any(|s| s.heads == 0 || s.width == 0 || s.width % s.heads != 0) {
            return wrong("the hidden size is not a multiple of the number of attention heads");
        }
        if self.dimension == 0 || self.text.context_length < 2 || self.vision.image_size() == 0 {
            return wrong("a size is zero");
        }
        Ok(self)
    }
}

pub(super) fn malformed(file: &str, reason: &str) -> Error {
    Error::Malformed { file: file.to_owned(), reason: reason.to_owned() }
}

pub(super) fn parse<'a, T: Deserialize<'a>>(json: &'a [u8], file: &str) -> Result<T, Error> {
    serde_json::from_slice(json).map_err(|e| malformed(file, &e.to_string()))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "layer widths are small; open_clip computes int(width * ratio) as well"
)]
fn scaled(width: usize, ratio: f64) -> usize {
    (width as f64 * ratio) as usize
}

#[derive(Deserialize)]
struct HuggingFace {
    projection_dim: Option<usize>,
    #[serde(default)]
    text_config: HuggingFaceText,
    #[serde(default)]
    vision_config: HuggingFaceVision,
}

#[derive(Default, Deserialize)]
struct HuggingFaceText {
    vocab_size: Option<usize>,
    max_position_embeddings: Option<usize>,
    #[serde(flatten)]
    layers: HuggingFaceLayers,
}

#[derive(Default, Deserialize)]
struct HuggingFaceVision {
    model_type: Option<String>,
    image_size: Option<usize>,
    patch_size: Option<usize>,
    #[serde(flatten)]
    layers: HuggingFaceLayers,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

#[derive(Default, Deserialize)]
struct HuggingFaceLayers {
    hidden_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    intermediate_size: Option<usize>,
    hidden_act: Option<String>,
    layer_norm_eps: Option<f64>,
}

impl HuggingFaceLayers {
    fn resolve(&self, defaults: [usize; 4]) -> Result<TransformerConfig, Error> {
        let [width, layers, heads, mlp_width] = defaults;
        Ok(TransformerConfig {
            width: self.hidden_size.unwrap_or(width),
            layers: self.num_hidden_layers.unwrap_or(layers),
            heads: self.num_attention_heads.unwrap_or(heads),
            mlp_width: self.intermediate_size.unwrap_or(mlp_width),
            activation: Activation::from_name(self.hidden_act.as_deref().unwrap_or("quick_gelu"))?,
            layer_norm_eps: self.layer_norm_eps.unwrap_or(1e-5),
        })
    }
}

impl HuggingFaceVision {
    fn resolve(self) -> Result<VisionConfig, Error> {
        match self.model_type.as_deref().unwrap_or("clip_vision_model") {
            "clip_vision_model" => Ok(VisionConfig::Vit(VitConfig {
                image_size: self.image_size.unwrap_or(224),
                patch_size: self.patch_size.unwrap_or(32),
                transformer: self.layers.resolve([768, 12, 12, 3072])?,
            })),
            "efficientnet_lite0_attention_pool" => self.efficientnet(),
            other => Err(Error::Unsupported(format!(
                "a picture tower of type \"{}\"",
                other.escape_debug()
            ))),
        }
    }

    fn efficientnet(self) -> Result<VisionConfig, Error> {
        if self.layers.hidden_act.as_deref() != Some("gelu") {
            return Err(Error::Unsupported("an EfficientNet head that is not gelu".into()));
        }
        let mut fields = self.rest;
        fields.insert("image_size".into(), self.image_size.into());
        fields.insert("hidden_size".into(), self.layers.hidden_size.into());
        serde_json::from_value(fields.into())
            .map(VisionConfig::EfficientNet)
            .map_err(|e| malformed("config.json", &format!("vision_config: {e}")))
    }
}

#[derive(Deserialize)]
struct OpenClip {
    model_cfg: OpenClipModel,
}

#[derive(Deserialize)]
struct OpenClipModel {
    embed_dim: usize,
    #[serde(default)]
    quick_gelu: bool,
    vision_cfg: OpenClipVision,
    text_cfg: OpenClipText,
}

/// A picture tower of `open_clip` that is not a plain vision transformer
/// (`timm_model_name`, a list of layers) fails to parse, which is right.
#[derive(Deserialize)]
#[serde(default)]
struct OpenClipVision {
    image_size: usize,
    layers: usize,
    width: usize,
    patch_size: usize,
    head_width: usize,
    mlp_ratio: f64,
}

impl Default for OpenClipVision {
    fn default() -> Self {
        Self {
            image_size: 224,
            layers: 12,
            width: 768,
            patch_size: 16,
            head_width: 64,
            mlp_ratio: 4.0,
        }
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct OpenClipText {
    context_length: usize,
    vocab_size: usize,
    width: usize,
    heads: usize,
    layers: usize,
    mlp_ratio: f64,
}

impl Default for OpenClipText {
    fn default() -> Self {
        Self {
            context_length: 77,
            vocab_size: 49_408,
            width: 512,
            heads: 8,
            layers: 12,
            mlp_ratio: 4.0,
        }
    }
}
