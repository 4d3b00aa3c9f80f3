//! The demo pictures, which the benchmarks make theirs from.

use std::fs;
use std::path::{Path, PathBuf};

/// By name.
pub fn pictures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("static/images");
    let mut pictures: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jpg"))
        .collect();
    pictures.sort();
    pictures
}
