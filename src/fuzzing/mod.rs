//! What the fuzz targets in `tests/fuzz` call: one function per target, which
//! takes bytes that anybody may have made and panics where a promise about
//! them is broken.
//!
//! Compiled for fuzzing and for our own tests alone; these replay every seed.

#![allow(clippy::missing_panics_doc, reason = "a panic is what is looked for")]

mod checkpoint;
mod collection;
mod damage;
mod picture;
mod query;
mod replies;
#[cfg(test)]
mod seeds;

pub use self::checkpoint::checkpoint;
pub use self::collection::collection;
pub use self::damage::records;
pub use self::picture::picture;
pub use self::query::query;
pub use self::replies::replies;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Gives `target` each of its seeds.
    #[track_caller]
    fn replay(name: &str, target: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds").join(name);
        let seeds = fs::read_dir(folder).unwrap().map(|seed| fs::read(seed.unwrap().path()));
        assert!(seeds.inspect(|seed| target(seed.as_ref().unwrap())).count() > 3, "no seeds");
    }

    #[test]
    fn a_collection_of_any_bytes_is_an_answer_or_an_error() {
        replay("collection", collection);
    }

    #[test]
    fn a_collection_of_any_content_is_an_answer_or_an_error() {
        replay("records", records);
    }

    #[test]
    fn a_checkpoint_of_any_bytes_is_a_model_or_an_error() {
        replay("checkpoint", checkpoint);
    }

    #[test]
    fn a_picture_of_any_bytes_is_a_picture_or_an_error() {
        replay("picture", picture);
    }

    #[test]
    fn any_text_is_understood_and_any_path_is_found() {
        replay("query", query);
    }

    #[test]
    fn any_bytes_from_a_terminal_are_taken_apart() {
        replay("replies", replies);
    }
}
