//! How a JPEG file is laid out: its frame, and whether and where it ends.
//!
//! Only markers are looked at, nothing is decoded. Within image data every
//! `FF` is followed by a zero or a restart marker, so that the end of a
//! picture is certain, whatever follows it: a video, other pictures, raw data.

use memchr::memchr;

/// What the frame header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) width: u16,
    pub(super) height: u16,
    /// Rows of pixels that are coded together: 8, 16 or more.
    pub(super) rows_together: u32,
    /// Bytes of coefficients that a decoder keeps for the whole picture,
    /// unless it goes row by row.
    pub(super) coefficients: u64,
    pub(super) components: u8,
    /// Grey, or YCbCr of which the colours have as many pixels as the brightness
    /// or half of them, so that all decoders agree on what it is.
    pub(super) is_plain: bool,
    /// Baseline, extended or progressive with Huffman codes and 8 bits; the
    /// others are raw data of cameras and curiosities.
    pub(super) usual: bool,
    pub(super) order: Order,
}

/// In which order the data come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Complete rows from top to bottom.
    Rows,
    /// One component after another.
    Components,
    /// Coarse first, then finer.
    Progressive,
}

impl Frame {
    pub(super) fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Bytes that a decoder needs besides the pixels.
    pub(super) fn kept(&self) -> u64 {
        if self.order == Order::Rows { 0 } else { self.coefficients }
    }
}

/// Where a file stops being a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// After the end marker, which ends at this offset.
    Whole(usize),
    /// The bytes ran out.
    Cut,
    /// Something is there that must not be.
    Broken,
}

/// A JPEG file from its first byte on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outline {
    pub(super) frame: Option<Frame>,
    pub(super) end: End,
    /// Bytes and segments that were looked at.
    pub(super) work: usize,
}

/// Whether `bytes` start like a JPEG file.
pub(super) fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xd8\xff")
}

/// Follows the markers of the JPEG file that `bytes` start with.
pub(super) fn outline(bytes: &[u8]) -> Outline {
    let mut walk = Walk { bytes, at: 2, frame: None, is_adobe_rgb: false, work: 0 };
    let end = loop {
        match walk.step() {
            Ok(Step::Scan) => walk.image_data(),
            Ok(Step::Other) => {}
            Err(end) => break end,
        }
    };
    Outline { frame: walk.frame, end, work: walk.work }
}

/// The frame before the first image data of the JPEG file that `bytes` start
/// with.
pub(super) fn first_frame(bytes: &[u8]) -> Option<Frame> {
    let mut walk = Walk { bytes, at: 2, frame: None, is_adobe_rgb: false, work: 0 };
    while let Step::Other = walk.step().ok()? {}
    walk.frame
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    frame: Option<Frame>,
    /// Whether Adobe's segment says that colours are not YCbCr.
    is_adobe_rgb: bool,
    work: usize,
}

/// What a segment was.
enum Step {
    /// The header of image data, which follow.
    Scan,
    Other,
}

impl<'a> Walk<'a> {
    /// Goes by one segment.
    fn step(&mut self) -> Result<Step, End> {
        self.work += 16;
        let marker = self.marker().ok_or(End::Cut)?;
        match marker {
            0xd9 => return Err(End::Whole(self.at)),
            0xc0..=0xcf | 0xda..=0xfe => {}
            _ => return Err(End::Broken),
        }
        let segment = self.segment().ok_or(End::Cut)?;
        match marker {
            0xda => {
                self.note_scan(segment);
                return Ok(Step::Scan);
            }
            0xc4 | 0xc8 | 0xcc => {}
            0xc0..=0xcf => {
                let frame = frame(marker, segment).ok_or(End::Broken)?;
                let is_only = self.frame.is_none();
                self.frame = Some(Frame { is_plain: frame.is_plain && is_only, ..frame });
            }
            0xee => self.is_adobe_rgb |= is_adobe_rgb(segment),
            _ => {}
        }
        Ok(Step::Other)
    }

    /// The next marker; zero if there is none where one has to be.
    fn marker(&mut self) -> Option<u8> {
        if *self.bytes.get(self.at)? != 0xff {
            return Some(0);
        }
        // Any number of FF may precede the marker.
        let fill = self.bytes[self.at..].iter().take_while(|byte| **byte == 0xff).count();
        self.work += fill;
        let marker = *self.bytes.get(self.at + fill)?;
        self.at += fill + 1;
        Some(marker)
    }

    /// The content of the segment here.
    fn segment(&mut self) -> Option<&'a [u8]> {
        let length = self.bytes.get(self.at..self.at + 2)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
        let content = self.bytes.get(self.at + 2..self.at + length)?;
        self.at += length;
        Some(content)
    }

    /// A scan of fewer components than there are is one of several.
    fn note_scan(&mut self, header: &[u8]) {
        let Some(frame) = &mut self.frame else { return };
        frame.is_plain &= !self.is_adobe_rgb;
        if frame.order == Order::Rows && header.first().is_some_and(|n| *n < frame.components) {
            frame.order = Order::Components;
        }
    }

    /// Goes to the marker after the image data here, or to the end of it all.
    fn image_data(&mut self) {
        let start = self.at;
        loop {
            let Some(ahead) = memchr(0xff, &self.bytes[self.at..]) else {
                self.at = self.bytes.len();
                break;
            };
            self.at += ahead;
            match self.bytes.get(self.at + 1) {
                Some(0 | 0xd0..=0xd7) => self.at += 2,
                Some(0xff) => self.at += 1,
                Some(_) => break,
                None => self.at = self.bytes.len(),
            }
        }
        self.work += self.at - start;
    }
}

/// Reads a frame header; `None` if it makes no sense.
fn frame(marker: u8, segment: &[u8]) -> Option<Frame> {
    let [precision, h0, h1, w0, w1, count, components @ ..] = segment else { return None };
    let (height, width) = (u16::from_be_bytes([*h0, *h1]), u16::from_be_bytes([*w0, *w1]));
    let components = components.get(..usize::from(*count) * 3)?.chunks_exact(3);
    let is_plain = is_plain(components.clone());
    let sampling = components.map(|one| (u64::from(one[1] >> 4), u64::from(one[1] & 15)));
    let (across, down) = sampling.clone().fold((1, 1), |(a, d), (h, v)| (h.max(a), v.max(d)));
    let blocks = u64::from(width).div_ceil(8 * across) * u64::from(height).div_ceil(8 * down);
    let samples = blocks * 64 * sampling.map(|(h, v)| h * v).sum::<u64>();
    Some(Frame {
        width,
        height,
        rows_together: u32::try_from(8 * down).ok()?,
        coefficients: samples * 2,
        components: *count,
        is_plain,
        usual: matches!(marker, 0xc0..=0xc2) && *precision == 8 && width > 0 && height > 0,
        order: if marker == 0xc2 { Order::Progressive } else { Order::Rows },
    })
}

/// What the number, sampling and table of each component say about the kind.
fn is_plain<'a>(components: impl Iterator<Item = &'a [u8]>) -> bool {
    let components: Vec<[u8; 2]> = components.map(|one| [one[0], one[1]]).collect();
    match components[..] {
        [_] => true,
        [[first, brightness], [second, 0x11], [third, 0x11]] => {
            matches!([first, second, third], [1, 2, 3] | [0, 1, 2])
                && matches!(brightness, 0x11 | 0x21 | 0x22)
        }
        _ => false,
    }
}

fn is_adobe_rgb(segment: &[u8]) -> bool {
    segment.starts_with(b"Adobe") && segment.get(11) != Some(&1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: &[u8] = b"\xff\xc2\0\x11\x08\0\x10\0\x20\x03\x01\x22\0\x02\x11\x01\x03\x11\x01";

    fn jpeg() -> Vec<u8> {
        let thumbnail = b"\xff\xd8\xff\xe1\0\x0c\xff\xd8\xff\xda..\xff\xd9..";
        let scan = b"\xff\xda\0\x02 a \xff\0\xff\xd0 b";
        let between = b"\xff\xc4\0\x03.";
        [thumbnail, FRAME, scan, between, scan, b"\xff\xff\xd9"].concat()
    }

    #[test]
    fn a_whole_jpeg_ends_at_its_end_marker_whatever_follows() {
        let jpeg = jpeg();
        assert_eq!(outline(&jpeg).end, End::Whole(jpeg.len()));
        let video = b"\0\0\0\x18ftypmp42 \xff\xda \xff\xd8\xff";
        assert_eq!(outline(&[&jpeg, &video[..]].concat()).end, End::Whole(jpeg.len()));
    }

    #[test]
    fn a_jpeg_is_cut_wherever_it_stops_before_its_end_marker() {
        let jpeg = jpeg();
        for length in 3..jpeg.len() {
            assert_eq!(outline(&jpeg[..length]).end, End::Cut, "{length} bytes");
        }
    }

    #[test]
    fn the_frame_is_read() {
        let frame = outline(&jpeg()).frame.unwrap();
        assert_eq!((frame.width, frame.height, frame.rows_together), (32, 16, 16));
        // Two units of four blocks and one each, two bytes a coefficient.
        assert_eq!(frame.kept(), 2 * (4 + 1 + 1) * 64 * 2);
        assert!(frame.usual && frame.is_plain);
        assert_eq!(first_frame(&jpeg()), Some(frame));
        assert_eq!(frame.order, Order::Progressive);
    }

    #[test]
    fn a_scan_of_one_component_is_one_of_several() {
        let baseline = |scan: &[u8]| {
            let mut jpeg = [b"\xff\xd8", FRAME, b"\xff\xda\0\x03", scan, b"\xff\xd9"].concat();
            jpeg[3] = 0xc0;
            outline(&jpeg).frame.unwrap()
        };
        assert_eq!(baseline(b"\x03").order, Order::Rows);
        assert_eq!(baseline(b"\x03").kept(), 0);
        assert_eq!(baseline(b"\x01").order, Order::Components);
    }

    #[test]
    fn only_grey_and_ycbcr_of_usual_sampling_are_plain() {
        let is_plain = |components: &[[u8; 2]], adobe: &[u8]| {
            let count = u8::try_from(components.len()).unwrap();
            let frame = [
                &[0xff, 0xc0, 0, 8 + 3 * count, 8, 0, 8, 0, 8, count],
                &components
                    .iter()
                    .flat_map(|[name, sampling]| [*name, *sampling, 0])
                    .collect::<Vec<u8>>()[..],
            ]
            .concat();
            let adobe = if adobe.is_empty() {
                vec![]
            } else {
                [b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0".as_slice(), adobe].concat()
            };
            let scan = [0xff, 0xda, 0, 3, count];
            let jpeg = [b"\xff\xd8".as_slice(), &adobe, &frame, &scan].concat();
            first_frame(&jpeg).unwrap().is_plain
        };
        let ycbcr = [[1, 0x22], [2, 0x11], [3, 0x11]];
        assert!(is_plain(&ycbcr, b"") && is_plain(&ycbcr, b"\x01"));
        assert!(!is_plain(&ycbcr, b"\0"), "RGB");
        assert!(is_plain(&[[1, 0x22]], b""));
        assert!(!is_plain(&[[b'R', 0x11], [b'G', 0x11], [b'B', 0x11]], b""));
        assert!(!is_plain(&[[1, 0x41], [2, 0x11], [3, 0x11]], b""));
        assert!(!is_plain(&[[1, 0x11], [2, 0x11], [3, 0x11], [4, 0x11]], b"\x02"), "CMYK");
    }

    #[test]
    fn a_second_start_within_image_data_is_broken() {
        let broken = b"\xff\xd8\xff\xda\0\x02 data \xff\xd8\xff\xd9";
        assert_eq!(outline(broken).end, End::Broken);
    }
}
