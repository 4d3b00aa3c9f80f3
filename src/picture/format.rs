//! Which files are worth trying, and what they are by their content.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use image::ImageFormat;

use super::{jpeg, tiff};

/// Extensions of pictures, those included that are only recognised, so that
/// the summary of a load can say that they were left out.
const EXTENSIONS: [&str; 37] = [
    "3fr", "arw", "avif", "bmp", "cr2", "cr3", "dib", "dng", "erf", "gif", "heic", "heif", "hif",
    "iiq", "jfif", "jpe", "jpeg", "jpg", "jxl", "kdc", "mpo", "mrw", "nef", "nrw", "orf", "pef",
    "png", "raf", "raw", "rw2", "rwl", "sr2", "srw", "tif", "tiff", "webp", "x3f",
];

/// How a file is turned into pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// By the decoder of this format.
    Decoded(ImageFormat),
    /// By a JPEG preview within it; its own name.
    Previewed(&'static str),
    /// Not at all; its name.
    Recognised(&'static str),
}

/// Whether the name ends like a picture's.
#[must_use]
pub fn named_like_a_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// Whether the first bytes of a regular file are a picture's, whatever its
/// name.
///
/// # Errors
/// If they cannot be read just now.
pub fn looks_like_a_picture(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(32).read_to_end(&mut start)?;
    Ok(format(&start).is_some())
}

/// What the content says, of which the first 32 bytes are enough, but for
/// raw files that begin like TIFF; `None` if it is no picture.
pub(super) fn format(bytes: &[u8]) -> Option<Format> {
    use Format::{Decoded, Previewed, Recognised};
    if jpeg::is_jpeg(bytes) {
        return Some(Decoded(ImageFormat::Jpeg));
    }
    if let Some(raw) = raw_file(bytes) {
        return Some(Previewed(raw));
    }
    if bytes.starts_with(b"\xff\x0a") || bytes.starts_with(b"\0\0\0\x0cJXL ") {
        return Some(Recognised("JPEG XL"));
    }
    let recognised: [(&[u8], _); 6] = [
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
        (b"8BPS\0", "PSD"),
        (b"qoif", "QOI"),
        (b"DDS ", "DDS"),
        (b"\x76\x2f\x31\x01", "OpenEXR"),
    ];
    if let Some((_, name)) = recognised.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Some(Recognised(name));
    }
    if let (Some(b"ftyp"), Some(brand)) = (bytes.get(4..8), bytes.get(8..12)) {
        return match brand {
            b"avif" | b"avis" => Some(Decoded(ImageFormat::Avif)),
            // The general brands may stand before AVIF's own.
            b"mif1" | b"msf1" | b"miaf" if is_named_avif(bytes) => Some(Decoded(ImageFormat::Avif)),
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1"
            | b"miaf" => Some(Previewed("HEIC")),
            b"crx " => Some(Previewed("CR3")),
            _ => None,
        };
    }
    // BigTIFF, with longer numbers.
    if bytes.starts_with(b"II+\0\x08\0\0\0") || bytes.starts_with(b"MM\0+\0\x08\0\0") {
        return Some(Decoded(ImageFormat::Tiff));
    }
    let format = image::guess_format(bytes).ok()?;
    format.reading_enabled().then_some(Decoded(format))
}

/// Whether the `ftyp` box names AVIF among the compatible brands.
fn is_named_avif(bytes: &[u8]) -> bool {
    let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    let brands = bytes.get(16..length.min(bytes.len()).min(256)).unwrap_or_default();
    brands.chunks_exact(4).any(|one| one == b"avif")
}

/// The name of a camera's raw format.
fn raw_file(bytes: &[u8]) -> Option<&'static str> {
    let starts: [(&[u8], _); 8] = [
        (b"FUJIFILMCCD-RAW", "RAF"),
        (b"IIRO", "ORF"),
        (b"IIRS", "ORF"),
        (b"MMOR", "ORF"),
        (b"IIU\0", "RW2"),
        (b"II\x1a\0\0\0HEAPCCDR", "CRW"),
        (b"\0MRM", "MRW"),
        (b"FOVb", "X3F"),
    ];
    if let Some((_, name)) = starts.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Some(name);
    }
    let is_tiff = bytes.starts_with(b"II*\0") || bytes.starts_with(b"MM\0*");
    match bytes.get(8..10) {
        _ if !is_tiff => None,
        Some(b"CR") => Some("CR2"),
        _ => tiff::outline(bytes)?.raw_format(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_tells_the_format() {
        use Format::{Decoded, Previewed, Recognised};
        let cases: [(&[u8], _); 17] = [
            (b"\xff\xd8\xff\xe0", Some(Decoded(ImageFormat::Jpeg))),
            (b"\x89PNG\r\n\x1a\n", Some(Decoded(ImageFormat::Png))),
            (b"II*\0\x08\0\0\0", Some(Decoded(ImageFormat::Tiff))),
            (b"II+\0\x08\0\0\0", Some(Decoded(ImageFormat::Tiff))),
            (b"II*\0\x10\0\0\0CR\x02\0", Some(Previewed("CR2"))),
            (b"\0\0\0\x18ftypcrx \0\0\0\x01", Some(Previewed("CR3"))),
            (b"FUJIFILMCCD-RAW 0201", Some(Previewed("RAF"))),
            (b"IIRO\x08\0\0\0", Some(Previewed("ORF"))),
            (b"IIU\0\x18\0\0\0", Some(Previewed("RW2"))),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Some(Previewed("HEIC"))),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", Some(Decoded(ImageFormat::Avif))),
            (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", Some(Decoded(ImageFormat::Avif))),
            (b"\0\0\0\x0cJXL \r\n\x87\n", Some(Recognised("JPEG XL"))),
            (b"\0\0\0\x0cjP  \r\n\x87\n", Some(Recognised("JPEG 2000"))),
            (b"8BPS\0\x01", Some(Recognised("PSD"))),
            (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", None),
            (b"no picture", None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(format(bytes), expected, "{}", bytes.escape_ascii());
            for length in 0..bytes.len() {
                let _ = format(&bytes[..length]);
            }
        }
    }

    #[test]
    fn the_extensions_are_sorted_and_each_there_once() {
        assert!(EXTENSIONS.is_sorted_by(|a, b| a < b));
        assert!(named_like_a_picture(Path::new("DSC_0001.NEF")));
        assert!(!named_like_a_picture(Path::new("clip.mp4")));
    }
}
