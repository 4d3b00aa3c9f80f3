//! A picture as a document of a collection.
//!
//! ```text
//! { "_id": "5f0c…",                       who it is: folder and path, hashed
//!   "text": "red/car.jpg",                what the article's app shows
//!   "$vector": { "$binary": "…" },
//!   "carlens": { "folder": ".", "size": 1234, "modified": 17…, "hash": "9f…",
//!                "width": 640, "height": 480 } }
//! ```
//!
//! The folder is `.` for pictures below the image folder, which every machine
//! has in a place of its own, and absolute for others. A document without
//! `carlens` was stored by another program, such as the article's loader: its
//! `text` is the path below the image folder. Names that are not UTF-8 are
//! inexact in `text` and `folder`, and exact, in base64, in `path_bytes` and
//! `folder_bytes`.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::vector;
use crate::domain::{FileStamp, Hex, ImageId, PixelSize, Record};
use crate::store::Known;

/// How the image folder is called.
pub(super) const IMAGE_FOLDER: &str = ".";

/// Where the folder of a document is, for filters.
pub(super) const FOLDER: &str = "carlens.folder";

/// Everything but the vector.
pub(super) fn projection() -> Value {
    json!({ "text": true, "carlens": true })
}

/// The vector as well.
pub(super) fn whole() -> Value {
    json!({ "*": true })
}

/// Between pictures of this machine and documents.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The image folder of this machine.
    pub(super) images: Arc<Path>,
}

/// A document as it was found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) id: ImageId,
    /// The `_id`, whatever type it has.
    pub(super) key: Value,
    pub(super) stamp: Option<FileStamp>,
    pub(super) pixels: Option<PixelSize>,
    pub(super) vector: Option<Vec<f32>>,
    /// Astra's own: half of one plus the cosine.
    pub(super) similarity: Option<f64>,
    /// Whether it has another `_id` than we would give it, as another program
    /// stored it first.
    pub(super) foreign: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Details {
    folder: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    folder_bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
}

impl Names {
    /// The `_id` of a picture: the same on every machine that has the same
    /// image folder, and whatever else is in the collection.
    pub(super) fn key(&self, id: &ImageId) -> String {
        let (folder, path) = self.place(id);
        let mut hash = Sha256::new();
        hash.update(folder.as_encoded_bytes());
        hash.update([0]);
        hash.update(path.as_os_str().as_encoded_bytes());
        // Half of it is enough: no two of 10^15 pictures meet.
        Hex(&hash.finalize()[..16]).to_string()
    }

    /// What a folder of this machine is called in the collection.
    pub(super) fn folder<'a>(&self, folder: &'a Path) -> &'a OsStr {
        if *folder == *self.images { OsStr::new(IMAGE_FOLDER) } else { folder.as_os_str() }
    }

    /// Folder and path of a picture in a document: below the image folder
    /// always from there, whichever folder above or below it was loaded.
    fn place<'a>(&self, id: &'a ImageId) -> (&'a OsStr, Cow<'a, Path>) {
        match id.location().strip_prefix(&self.images) {
            Ok(path) => (OsStr::new(IMAGE_FOLDER), Cow::Owned(path.to_path_buf())),
            Err(_) => (id.folder().as_os_str(), Cow::Borrowed(id.path())),
        }
    }

    /// The folder of this machine that a document's is.
    pub(super) fn folder_here(&self, folder: PathBuf) -> Arc<Path> {
        // Others may have written anything there.
        if !folder.is_absolute() {
            return Arc::clone(&self.images);
        }
        folder.into()
    }

    /// The document of `record`, under the `_id` given.
    pub(super) fn document(&self, record: &Record, key: &Value) -> Value {
        let (folder, path) = self.place(&record.id);
        let path = path.as_os_str();
        let details = Details {
            folder: folder.to_string_lossy().into_owned(),
            folder_bytes: exact(folder),
            path_bytes: exact(path),
            size: record.stamp.map(|stamp| stamp.size),
            modified: record.stamp.map(|stamp| stamp.modified),
            hash: record.stamp.map(|stamp| STANDARD.encode(stamp.hash)),
            width: record.pixels.map(|pixels| pixels.width),
            height: record.pixels.map(|pixels| pixels.height),
        };
        json!({
            "_id": key,
            "text": path.to_string_lossy(),
            "$vector": vector::binary(record.embedding.as_slice()),
            "carlens": details,
        })
    }

    /// What a document is about, or `None` if it is about no picture.
    pub(super) fn found(&self, mut document: Value) -> Option<Found> {
        let key = document.get_mut("_id")?.take();
        let details = document.get_mut("carlens").map(Value::take);
        let details: Details = serde_json::from_value(details.unwrap_or(json!({}))).ok()?;
        let text = document.get("text").and_then(Value::as_str);
        let path = match bytes(details.path_bytes.as_deref()) {
            Some(path) => path,
            None => PathBuf::from(text?),
        };
        let folder =
            bytes(details.folder_bytes.as_deref()).unwrap_or_else(|| (&*details.folder).into());
        let id = ImageId::new(self.folder_here(folder), below(&path)?);
        Some(Found {
            foreign: key != self.key(&id),
            id,
            key,
            stamp: details.stamp(),
            pixels: details.pixels(),
            vector: document.get("$vector").and_then(vector::components),
            similarity: document.get("$similarity").and_then(Value::as_f64),
        })
    }
}

impl Found {
    pub(super) fn known(&self) -> Known {
        Known { stamp: self.stamp, hidden: false }
    }
}

impl Details {
    fn stamp(&self) -> Option<FileStamp> {
        let hash = STANDARD.decode(self.hash.as_deref()?).ok()?.try_into().ok()?;
        Some(FileStamp { size: self.size?, modified: self.modified?, hash })
    }

    fn pixels(&self) -> Option<PixelSize> {
        Some(PixelSize { width: self.width?, height: self.height? })
    }
}

/// A path that leads nowhere but below its folder: what others have written
/// must not point at any file of this machine.
fn below(path: &Path) -> Option<PathBuf> {
    let kept: PathBuf =
        path.components().filter(|step| matches!(step, Component::Normal(_))).collect();
    (kept.components().count() > 0).then_some(kept)
}

/// In base64, where UTF-8 cannot say it.
fn exact(name: &OsStr) -> Option<String> {
    name.to_str().is_none().then(|| STANDARD.encode(name.as_encoded_bytes()))
}

#[cfg(unix)]
fn bytes(encoded: Option<&str>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    Some(std::ffi::OsString::from_vec(STANDARD.decode(encoded?).ok()?).into())
}

/// Elsewhere not every sequence of bytes is a path.
#[cfg(not(unix))]
fn bytes(encoded: Option<&str>) -> Option<PathBuf> {
    String::from_utf8(STANDARD.decode(encoded?).ok()?).ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Embedding;

    fn names() -> Names {
        Names { images: Path::new("/alice/cars").into() }
    }

    fn record(folder: &Path, path: &Path) -> Record {
        Record {
            id: ImageId::new(folder, path),
            embedding: Embedding::normalize(vec![3.0, 4.0]).unwrap(),
            stamp: Some(FileStamp { size: u64::MAX, modified: -5, hash: [9; 32] }),
            pixels: Some(PixelSize { width: 640, height: 480 }),
        }
    }

    fn stored(names: &Names, record: &Record) -> Value {
        names.document(record, &json!(names.key(&record.id)))
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        for folder in ["/alice/cars", "/elsewhere", "/alice"] {
            let record = record(Path::new(folder), Path::new("a/ü b.jpg"));
            let document = stored(&names(), &record);
            assert_eq!(document["text"], "a/ü b.jpg");
            // As it is once it has travelled.
            let document: Value = serde_json::from_str(&document.to_string()).unwrap();
            let found = names().found(document).unwrap();
            assert_eq!(
                (&found.id, found.stamp, found.pixels),
                (&record.id, record.stamp, record.pixels)
            );
            assert_eq!(found.vector.unwrap(), record.embedding.as_slice());
            assert!(!found.foreign);
        }
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_text_are_exact_as_well() {
        use std::os::unix::ffi::OsStrExt as _;
        let [folder, path] = [&b"/f\xf0lder"[..], b"\xff\xfe\n.jpg"].map(OsStr::from_bytes);
        let record = record(Path::new(folder), Path::new(path));
        let found = names().found(stored(&names(), &record)).unwrap();
        assert_eq!(found.id, record.id);
    }

    #[test]
    fn a_picture_below_the_image_folder_is_one_however_it_was_loaded() {
        let folders = [
            ("/alice/cars", "red/a.jpg"),
            ("/alice/cars/red", "a.jpg"),
            ("/alice", "cars/red/a.jpg"),
        ];
        let ids = folders.map(|(folder, path)| ImageId::new(Path::new(folder), Path::new(path)));
        let [key, others @ ..] = ids.clone().map(|id| names().key(&id));
        assert!(others.iter().all(|other| *other == key));
        for id in ids {
            let document = stored(&names(), &record(id.folder(), id.path()));
            assert_eq!(
                (&document["text"], &document["carlens"]["folder"]),
                (&json!("red/a.jpg"), &json!("."))
            );
            let found = names().found(document).unwrap();
            assert!(!found.foreign && found.id.location() == id.location());
        }
    }

    #[test]
    fn the_image_folder_is_the_same_on_every_machine() {
        let alice = record(Path::new("/alice/cars"), Path::new("red.jpg"));
        let bob = Names { images: Path::new("/home/bob/pictures").into() };
        let document = stored(&names(), &alice);
        let found = bob.found(document.clone()).unwrap();
        assert_eq!(found.id.location(), Path::new("/home/bob/pictures/red.jpg"));
        assert_eq!(document["_id"], bob.key(&found.id));
        // Another folder is another place.
        let other = record(Path::new("/other"), Path::new("red.jpg"));
        assert_ne!(names().key(&other.id), names().key(&alice.id));
        assert_eq!(bob.found(stored(&names(), &other)).unwrap().id, other.id);
    }

    #[test]
    fn a_document_of_the_articles_loader_is_a_picture_of_the_image_folder() {
        let document = json!({ "_id": "0", "text": "101.jpg", "$vector": [0.25, -1.5] });
        let found = names().found(document).unwrap();
        assert_eq!(found.id.location(), Path::new("/alice/cars/101.jpg"));
        assert_eq!((found.key, found.stamp, found.pixels), (json!("0"), None, None));
        assert_eq!(found.vector.unwrap(), [0.25, -1.5]);
        assert!(found.foreign);
    }

    #[test]
    fn a_document_points_at_no_file_outside_its_folder() {
        for (text, path) in [
            ("/etc/passwd", "etc/passwd"),
            ("../../a.jpg", "a.jpg"),
            ("./x/../../b.jpg", "x/b.jpg"),
        ] {
            let found = names().found(json!({ "_id": "0", "text": text })).unwrap();
            assert_eq!(found.id.location(), Path::new("/alice/cars").join(path));
        }
        for no_picture in [
            json!({ "_id": "0" }),
            json!({ "_id": "0", "text": 5 }),
            json!({ "_id": "0", "text": ".." }),
            json!({ "_id": "0", "text": "a.jpg", "carlens": 5 }),
            json!({ "text": "a.jpg" }),
        ] {
            assert_eq!(names().found(no_picture.clone()), None, "{no_picture}");
        }
    }
}
