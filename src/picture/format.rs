//! Which files are worth trying.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Extensions of pictures, those included that are only recognised, so that
/// the summary of a load can say that they were left out.
const EXTENSIONS: [&str; 15] = [
    "avif", "bmp", "dib", "gif", "heic", "heif", "jfif", "jpe", "jpeg", "jpg", "jxl", "png", "tif",
    "tiff", "webp",
];

/// Whether the name ends like a picture's.
#[must_use]
pub fn named_like_a_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// Whether the first bytes of a regular file are a picture's, whatever its
/// name.
#[must_use]
pub fn looks_like_a_picture(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(32).read_to_end(&mut start));
    read.is_ok()
        && (image::guess_format(&start).is_ok_and(|f| f.reading_enabled())
            || unsupported(&start).is_some())
}

/// The name of a picture format that is recognised but not decoded.
pub(super) fn unsupported(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\xff\x0a") || bytes.starts_with(b"\0\0\0\x0cJXL ") {
        return Some("JPEG XL");
    }
    match (bytes.get(4..8)?, bytes.get(8..12)?) {
        (b"ftyp", b"avif" | b"avis") => Some("AVIF"),
        (b"ftyp", b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"mif1" | b"msf1") => {
            Some("HEIC")
        }
        _ => None,
    }
}
