//! The invariants that `src/lib.rs` states, read off the source.

use std::fs;
use std::path::{Path, PathBuf};

/// All but what is compiled for tests and fuzzing alone.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let entries = entries.filter(|path| !path.ends_with("src/fuzzing"));
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// Files outside of `allowed` that name `word`.
fn offenders(word: &str, allowed: &[&str]) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let uses = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        code.into_iter().any(|line| line.contains(word))
    };
    let outside = |path: &PathBuf| !allowed.iter().any(|a| path.starts_with(root.join(a)));
    sources(&root).into_iter().filter(outside).filter(uses).collect()
}

#[test]
fn each_library_has_one_layer() {
    let none: [PathBuf; 0] = [];
    for word in ["candle_core::", "candle_nn::", "candle_transformers::", "tokenizers::"] {
        assert_eq!(offenders(word, &["clip"]), none, "{word}");
    }
    for word in ["ratatui::", "viuer::"] {
        assert_eq!(offenders(word, &["ui"]), none, "{word}");
    }
    assert_eq!(offenders("crossterm::", &["ui", "main.rs"]), none);
    assert_eq!(offenders("reqwest::", &["hub", "http.rs", "backend/web.rs", "store/astra"]), none);
    assert_eq!(offenders("rusqlite::", &["store"]), none);
}

#[test]
fn no_layer_looks_up_or_sideways() {
    let none: [PathBuf; 0] = [];
    assert_eq!(offenders("crate::clip", &["clip", "backend"]), none);
    assert_eq!(offenders("crate::hub", &["hub", "backend"]), none);
    assert_eq!(offenders("crate::headless", &["headless"]), none);
    assert_eq!(offenders("crate::ui", &["ui", "cli.rs", "config"]), none);
    assert_eq!(
        offenders(
            "crate::backend",
            &["backend", "ui", "headless", "cli.rs", "config", "progress.rs"]
        ),
        none
    );
    assert_eq!(offenders("crate::store::{", &["backend", "store"]), none);
    assert_eq!(offenders("store::astra", &["store", "config"]), none);
}

/// What these do and why it is sound is written where it is done.
#[test]
fn few_files_are_unsafe() {
    let few = [
        "clip/packed/avx512",
        "clip/weights.rs",
        "store/embedded/sidecar",
        "store/scan.rs",
        "ui/graphics/prime.rs",
    ];
    let none: [PathBuf; 0] = [];
    assert_eq!(offenders("unsafe_code", &few), none);
}
