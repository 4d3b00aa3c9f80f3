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

/// Whether a JPEG file stops before its end marker. The decoder would fill the
/// rest with grey and call it a picture.
///
/// Within image data every `FF` is followed by a zero or a restart marker, so
/// the last start-of-scan marker is the picture's own, and an end marker
/// before it belongs to a thumbnail in the header.
pub(super) fn is_truncated_jpeg(bytes: &[u8]) -> bool {
    let last = |marker: [u8; 2]| bytes.windows(2).rposition(|pair| pair == marker);
    bytes.starts_with(b"\xff\xd8\xff") && last([0xff, 0xd9]) <= last([0xff, 0xda])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jpeg_that_ends_in_its_scan_is_truncated() {
        let thumbnail = b"\xff\xd8\xff\xe1 thumbnail \xff\xda data \xff\xd9".as_slice();
        let whole = [thumbnail, b"\xff\xda data \xff\xd9"].concat();
        assert!(!is_truncated_jpeg(&whole));
        assert!(!is_truncated_jpeg(&[&whole, b" trailing".as_slice()].concat()));
        assert!(is_truncated_jpeg(&whole[..whole.len() - 2]));
        assert!(is_truncated_jpeg(&whole[..thumbnail.len() + 4]));
        assert!(!is_truncated_jpeg(b"\x89PNG"));
    }
}
