//! Where `open_clip` keeps a tensor that transformers knows by another name.
//!
//! Source: `src/open_clip/transformer.py` and transformers'
//! `convert_open_clip_to_hf`-style conversions; the layouts differ in three
//! ways: names, query/key/value fused into one tensor, and projections stored
//! transposed.

/// A tensor as `open_clip` stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) name: String,
    /// Which third of a fused query/key/value tensor.
    pub(super) third: Option<usize>,
    pub(super) transposed: bool,
}

/// Whether these tensor names are `open_clip`'s; checkpoints with a separate
/// text module carry the prefix `text.`.
pub(super) fn text_prefix<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'static str> {
    names.find_map(|name| match name {
        "token_embedding.weight" => Some(""),
        "text.token_embedding.weight" => Some("text."),
        _ => None,
    })
}

/// Finds the tensor that transformers calls `name`.
pub(super) fn locate(name: &str, text_prefix: &str) -> Stored {
    if let Some(rest) = name.strip_prefix("vision_model.encoder.layers.") {
        return layer(rest, "visual.transformer.resblocks.");
    }
    if let Some(rest) = name.strip_prefix("text_model.encoder.layers.") {
        return layer(rest, &format!("{text_prefix}transformer.resblocks."));
    }
    let (stem, suffix) = name.rsplit_once('.').unwrap_or((name, ""));
    let plain = |name: String| Stored { name, third: None, transposed: false };
    let projection = |name: String| Stored { name, third: None, transposed: true };
    match stem {
        "text_projection" => projection(format!("{text_prefix}text_projection")),
        "visual_projection" => projection("visual.proj".into()),
        "text_model.embeddings.token_embedding" => {
            plain(format!("{text_prefix}token_embedding.weight"))
        }
        "text_model.embeddings.position_embedding" => {
            plain(format!("{text_prefix}positional_embedding"))
        }
        "text_model.final_layer_norm" => plain(format!("{text_prefix}ln_final.{suffix}")),
        "vision_model.embeddings.patch_embedding" => plain("visual.conv1.weight".into()),
        "vision_model.embeddings.position_embedding" => plain("visual.positional_embedding".into()),
        "vision_model.pre_layrnorm" => plain(format!("visual.ln_pre.{suffix}")),
        "vision_model.post_layernorm" => plain(format!("visual.ln_post.{suffix}")),
        _ => match name {
            "vision_model.embeddings.class_embedding" => plain("visual.class_embedding".into()),
            _ => plain(name.to_owned()),
        },
    }
}

/// `rest` is `N.self_attn.q_proj.weight` and the like.
fn layer(rest: &str, stack: &str) -> Stored {
    let (number, part) = rest.split_once('.').unwrap_or((rest, ""));
    let (module, suffix) = part.rsplit_once('.').unwrap_or((part, ""));
    let (name, third) = match module {
        "self_attn.q_proj" => (format!("attn.in_proj_{suffix}"), Some(0)),
        "self_attn.k_proj" => (format!("attn.in_proj_{suffix}"), Some(1)),
        "self_attn.v_proj" => (format!("attn.in_proj_{suffix}"), Some(2)),
        "self_attn.out_proj" => (format!("attn.out_proj.{suffix}"), None),
        "layer_norm1" => (format!("ln_1.{suffix}"), None),
        "layer_norm2" => (format!("ln_2.{suffix}"), None),
        "mlp.fc1" => (format!("mlp.c_fc.{suffix}"), None),
        "mlp.fc2" => (format!("mlp.c_proj.{suffix}"), None),
        other => (format!("{other}.{suffix}"), None),
    };
    Stored { name: format!("{stack}{number}.{name}"), third, transposed: false }
}
