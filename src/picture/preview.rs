//! The JPEG previews within files of other formats: raw files of cameras and
//! HEIC. Cameras embed one for their own screen, often at full size.

use image::metadata::Orientation;
use memchr::memmem;

use super::jpeg::{self, End};
use super::tiff;

/// A preview whose longer side has fewer pixels shows too little.
const LEAST_SIDE: u16 = 160;

/// How many previews are tried, the largest first.
const TRIED: usize = 3;

/// How far into a file that is not laid out like TIFF its EXIF data begin.
const EXIF_WITHIN: usize = 1 << 20;

/// The complete JPEG pictures within `bytes`, the largest in pixels first.
pub(super) fn previews(bytes: &[u8]) -> Vec<&[u8]> {
    search(bytes).0
}

/// The work that is done for a file of this many bytes: a file made to be slow
/// is given up. No byte is looked at more than four times on average.
fn most_work(bytes: usize) -> usize {
    bytes.saturating_mul(4).saturating_add(4096)
}

/// The previews, and how many bytes were looked at for them. What lies within
/// a JPEG picture is its own thumbnail.
fn search(bytes: &[u8]) -> (Vec<&[u8]>, usize) {
    let mut work = 0;
    let mut found = Vec::new();
    let mut at = 0;
    let start = memmem::Finder::new(b"\xff\xd8\xff");
    while let Some(ahead) = bytes.get(at..).and_then(|rest| start.find(rest)) {
        at += ahead;
        let outline = jpeg::outline(&bytes[at..]);
        work += outline.work;
        if work > most_work(bytes.len()) {
            break;
        }
        let End::Whole(length) = outline.end else {
            at += 2;
            continue;
        };
        let shown = outline
            .frame
            .filter(|frame| frame.usual && frame.width.max(frame.height) >= LEAST_SIDE);
        found.extend(shown.map(|frame| (frame.pixels(), &bytes[at..at + length])));
        at += length;
    }
    // Of equals the first one, as the sort is stable.
    found.sort_by_key(|(pixels, _)| std::cmp::Reverse(*pixels));
    (found.into_iter().take(TRIED).map(|(_, preview)| preview).collect(), work)
}

/// How the file that holds the previews says that they have to be turned.
pub(super) fn orientation(bytes: &[u8]) -> Option<Orientation> {
    if let Some(outline) = tiff::outline(bytes) {
        return outline.orientation;
    }
    let head = &bytes[..bytes.len().min(EXIF_WITHIN)];
    // Canon's CR3 keeps its first directory in a box of this name.
    [b"CMT1".as_slice(), b"Exif\0\0"].iter().find_map(|name| {
        let at = memmem::find(head, name)? + name.len();
        tiff::outline(&head[at..])?.orientation
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A JPEG of this size as far as its markers go.
    fn jpeg(width: u16, kind: u8) -> Vec<u8> {
        let [high, low] = width.to_be_bytes();
        let frame = [0xff, kind, 0, 11, 8, 1, 0, high, low, 1, 1, 0x11, 0];
        [b"\xff\xd8".as_slice(), &frame, b"\xff\xda\0\x02 data \xff\xd9"].concat()
    }

    #[test]
    fn the_largest_complete_preview_comes_first() {
        let (small, large) = (jpeg(300, 0xc0), jpeg(600, 0xc2));
        let (tiny, raw) = (jpeg(100, 0xc0), jpeg(6000, 0xc3));
        // The height is 256, so that only the width can be too small.
        let cut = &jpeg(9000, 0xc0)[..20];
        let file = [b"raw".as_slice(), &small, &raw, &large, &tiny, b"\xff\xd8\xff", cut].concat();
        let found = previews(&file);
        assert_eq!(found[..2], [large.as_slice(), small.as_slice()]);
        assert_eq!(found.len(), 3, "one of 100 x 256 pixels is the smallest");
    }

    #[test]
    fn a_thumbnail_within_a_preview_is_no_preview() {
        let inner = jpeg(600, 0xc0);
        let length = u16::try_from(inner.len() + 2).unwrap().to_be_bytes();
        let header = [b"\xff\xd8\xff\xe1".as_slice(), &length, &inner].concat();
        let outer = [header.as_slice(), &jpeg(300, 0xc0)[2..]].concat();
        assert_eq!(previews(&outer), [outer.as_slice()]);
    }

    #[test]
    fn a_file_made_to_be_slow_is_given_up() {
        // Every start leads through one long header to the same image data.
        let starts = 10_000_u16;
        let header = |start: u16| {
            let [high, low] = (6 * (starts - start) - 4).to_be_bytes();
            [0xff, 0xd8, 0xff, 0xe0, high, low]
        };
        let mut file: Vec<u8> = (0..starts).flat_map(header).collect();
        file.extend(b"\xff\xda\0\x02");
        file.resize(file.len() + 200_000, 7);
        let (found, work) = search(&file);
        assert!(found.is_empty());
        let most = most_work(file.len());
        assert!(work > most, "{work} of {most}: nothing was given up");
        assert!(work <= most + file.len(), "{work} of {most}");
    }

    #[test]
    fn the_file_says_which_way_up_its_previews_are() {
        let exif = tiff::tests::tiff(&[&[(274, 8)]]);
        let turned = Some(Orientation::Rotate270);
        assert_eq!(orientation(&exif), turned);
        assert_eq!(orientation(&[b"....ftypcrx CMT1", exif.as_slice()].concat()), turned);
        assert_eq!(orientation(&[b"....ftypheic Exif\0\0", exif.as_slice()].concat()), turned);
        assert_eq!(orientation(b"FUJIFILMCCD-RAW "), None);
    }
}
