//! Makes the seeds that are not written by hand:
//! `cargo test --lib fuzzing::seeds -- --ignored`.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use rusqlite::Connection;

use super::collection::{record, spec, wait_for};
use crate::store::{Embedded, VectorStore as _};

fn folder(target: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds").join(target);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Small pages keep the files small.
#[test]
#[ignore = "writes to the source tree"]
fn collections() {
    for (name, pictures, mode) in
        [("empty", 0, "DELETE"), ("few", 4, "DELETE"), ("shared", 4, "WAL"), ("many", 60, "DELETE")]
    {
        let path = folder("collection").join(name);
        let _ = fs::remove_file(&path);
        wait_for(async {
            let store = Embedded::create(&path, &spec()).await.unwrap();
            let records = (0..pictures).map(|n| record(n, spec().dimension)).collect();
            store.upsert(records).await.unwrap();
            store.delete(vec![record(1, 1).id]).await.unwrap();
        });
        let connection = Connection::open(&path).unwrap();
        let smaller = "PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM;";
        connection.execute_batch(smaller).unwrap();
        connection.execute_batch(&format!("PRAGMA journal_mode = {mode}")).unwrap();
    }
    let foreign = folder("collection").join("foreign");
    let _ = fs::remove_file(&foreign);
    let connection = Connection::open(foreign).unwrap();
    connection.execute_batch("PRAGMA page_size = 512; CREATE TABLE space (id)").unwrap();
}

#[test]
#[ignore = "writes to the source tree"]
fn pictures() {
    let shade = |x: u32, y: u32| u8::try_from((x * 40 + y * 25) % 256).unwrap();
    let picture =
        RgbaImage::from_fn(6, 5, |x, y| Rgba([shade(x, y), 200, shade(y, x), shade(x, 9)]));
    let picture = DynamicImage::from(picture);
    let formats = [
        (ImageFormat::Bmp, "bmp"),
        (ImageFormat::Gif, "gif"),
        (ImageFormat::Jpeg, "jpeg"),
        (ImageFormat::Png, "png"),
        (ImageFormat::Tiff, "tiff"),
        (ImageFormat::WebP, "webp"),
    ];
    let kinds = [
        ("rgba8", picture.clone()),
        ("rgb8", picture.to_rgb8().into()),
        ("grey8", picture.to_luma8().into()),
        ("rgb16", picture.to_rgb16().into()),
    ];
    for (format, extension) in formats {
        for (kind, picture) in &kinds {
            let mut file = Cursor::new(Vec::new());
            if picture.write_to(&mut file, format).is_ok() {
                let path = folder("picture").join(format!("{kind}.{extension}"));
                fs::write(path, file.into_inner()).unwrap();
            }
        }
    }
}
