//! Which files make a checkpoint.
//!
//! Two customs are known: that of Python's transformers and that of
//! `OpenCLIP`. Pickled weights (`.bin`) are never taken, as reading them means
//! running them.

/// What a checkpoint needs, and the sets of files that serve for it, the
/// preferred one first.
struct Part {
    noun: &'static str,
    alternatives: &'static [&'static [&'static str]],
}

/// Holds both the configuration of an `OpenCLIP` model and its preprocessing.
pub(super) const OPEN_CLIP: &str = "open_clip_config.json";

/// The part that may turn out to be missing once the files are here.
pub(super) const PREPROCESSING: &str = "preprocessing (preprocessor_config.json)";

const PARTS: [Part; 4] = [
    Part { noun: "configuration (config.json)", alternatives: &[&["config.json"], &[OPEN_CLIP]] },
    Part {
        noun: "tokenizer (tokenizer.json)",
        alternatives: &[&["tokenizer.json"], &["vocab.json", "merges.txt"]],
    },
    Part { noun: PREPROCESSING, alternatives: &[&["preprocessor_config.json"], &[OPEN_CLIP]] },
    // Last, as it is the one that takes long: what else may be wrong shows first.
    Part {
        noun: "weights in safetensors format (model.safetensors)",
        alternatives: &[&["model.safetensors"], &["open_clip_model.safetensors"]],
    },
];

/// The files to load a checkpoint from, given which ones there are, or the
/// part that is missing.
pub(super) fn choose(there: impl Fn(&str) -> bool) -> Result<Vec<&'static str>, &'static str> {
    let mut files = Vec::new();
    for part in &PARTS {
        let all_there = |set: &&&[&str]| set.iter().all(|name| there(name));
        let set = part.alternatives.iter().find(all_there).ok_or(part.noun)?;
        files.extend(set.iter().filter(|name| !files.contains(*name)).collect::<Vec<_>>());
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(there: &[&str]) -> Result<Vec<&'static str>, &'static str> {
        choose(|name| there.contains(&name))
    }

    #[test]
    fn the_files_of_transformers_are_preferred_and_nothing_else_is_taken() {
        let there = [
            "README.md",
            "pytorch_model.bin",
            "open_clip_config.json",
            "model.safetensors",
            "config.json",
            "vocab.json",
            "merges.txt",
            "tokenizer.json",
            "preprocessor_config.json",
        ];
        let wanted =
            ["config.json", "tokenizer.json", "preprocessor_config.json", "model.safetensors"];
        assert_eq!(chosen(&there), Ok(wanted.to_vec()));
    }

    #[test]
    fn the_files_of_open_clip_serve_each_taken_once() {
        let there =
            ["open_clip_config.json", "open_clip_model.safetensors", "vocab.json", "merges.txt"];
        let wanted =
            ["open_clip_config.json", "vocab.json", "merges.txt", "open_clip_model.safetensors"];
        assert_eq!(chosen(&there), Ok(wanted.to_vec()));
    }

    #[test]
    fn pickled_weights_do_not_serve() {
        let there =
            ["config.json", "tokenizer.json", "preprocessor_config.json", "pytorch_model.bin"];
        assert!(chosen(&there).unwrap_err().contains("safetensors"));
    }

    #[test]
    fn half_a_tokenizer_is_none() {
        let there = ["config.json", "vocab.json", "preprocessor_config.json", "model.safetensors"];
        assert!(chosen(&there).unwrap_err().contains("tokenizer"));
    }
}
