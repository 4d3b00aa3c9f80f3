//! The directories of a TIFF file, as far as they tell a camera's raw file
//! from a picture, and which way up it is.

use image::metadata::Orientation;

/// Directories and entries beyond these are not looked at: no camera writes
/// as many, and a loop of directories has to end.
const MAX_DIRECTORIES: usize = 32;
const MAX_ENTRIES: usize = 512;

const NEW_SUBFILE_TYPE: u16 = 254;
pub(super) const PHOTOMETRIC: u16 = 262;
const MAKE: u16 = 271;
const ORIENTATION: u16 = 274;
const SUB_DIRECTORIES: u16 = 330;
const DNG_VERSION: u16 = 50706;

/// The mosaic of a sensor, and the same demosaiced but not developed.
const COLOUR_FILTER_ARRAY: u32 = 32803;
const LINEAR_RAW: u32 = 34892;

/// What is known of a file that is laid out like TIFF.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Outline {
    is_dng: bool,
    has_raw_data: bool,
    /// The first picture is a thumbnail of one in another directory.
    starts_with_a_thumbnail: bool,
    make: Vec<u8>,
    /// How the first picture has to be turned.
    pub(super) orientation: Option<Orientation>,
}

impl Outline {
    /// The name of the raw format, if it is one.
    pub(super) fn raw_format(&self) -> Option<&'static str> {
        if self.is_dng {
            return Some("DNG");
        }
        let of_camera = self.starts_with_a_thumbnail && !self.make.is_empty();
        (self.has_raw_data || of_camera).then(|| {
            let makes: [(&[u8], _); 5] = [
                (b"NIKON", "NEF"),
                (b"SONY", "ARW"),
                (b"PENTAX", "PEF"),
                (b"RICOH", "PEF"),
                (b"SAMSUNG", "SRW"),
            ];
            let make = self.make.to_ascii_uppercase();
            let known = makes.iter().find(|(start, _)| make.starts_with(start));
            known.map_or("camera RAW", |(_, format)| *format)
        })
    }
}

/// Reads the directories of `bytes`; `None` if they are not laid out like
/// TIFF. Olympus and Panasonic put other letters where TIFF has its 42.
pub(super) fn outline(bytes: &[u8]) -> Option<Outline> {
    let little = match bytes.get(..4)? {
        [b'I', b'I', b'*' | b'U', 0] | b"IIRO" | b"IIRS" => true,
        [b'M', b'M', 0, b'*'] | b"MMOR" => false,
        _ => return None,
    };
    let file = File { bytes, little };
    let mut outline = Outline::default();
    let mut ahead = vec![file.long(4)?];
    let mut seen = Vec::new();
    while let Some(at) = ahead.pop().filter(|_| seen.len() < MAX_DIRECTORIES) {
        if at == 0 || seen.contains(&at) {
            continue;
        }
        if let Some(next) = file.directory(at as usize, seen.is_empty(), &mut outline, &mut ahead) {
            ahead.push(next);
        }
        seen.push(at);
    }
    Some(outline)
}

struct File<'a> {
    bytes: &'a [u8],
    little: bool,
}

impl File<'_> {
    fn short(&self, at: usize) -> Option<u16> {
        let bytes = self.bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    }

    fn long(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    /// Notes what the directory at `at` says and puts those below it on
    /// `ahead`; gives where the next one is.
    fn directory(
        &self,
        at: usize,
        is_first: bool,
        outline: &mut Outline,
        ahead: &mut Vec<u32>,
    ) -> Option<u32> {
        let entries = usize::from(self.short(at)?);
        for index in 0..entries.min(MAX_ENTRIES) {
            let entry = at + 2 + index * 12;
            let tag = self.short(entry)?;
            let count = self.long(entry + 4)? as usize;
            match tag {
                DNG_VERSION => outline.is_dng = true,
                PHOTOMETRIC => {
                    let value = self.number(entry)?;
                    outline.has_raw_data |= [COLOUR_FILTER_ARRAY, LINEAR_RAW].contains(&value);
                }
                NEW_SUBFILE_TYPE if is_first => {
                    outline.starts_with_a_thumbnail = self.number(entry)? & 1 == 1;
                }
                MAKE if is_first => {
                    let start = if count > 4 { self.long(entry + 8)? as usize } else { entry + 8 };
                    let make = self.bytes.get(start..).unwrap_or_default();
                    outline.make = make[..count.min(make.len()).min(64)].to_vec();
                }
                ORIENTATION if is_first => {
                    let value = u8::try_from(self.number(entry)?).ok();
                    outline.orientation = value.and_then(Orientation::from_exif);
                }
                SUB_DIRECTORIES if count == 1 => ahead.push(self.long(entry + 8)?),
                SUB_DIRECTORIES => {
                    let list = self.long(entry + 8)? as usize;
                    let each =
                        (0..count.min(MAX_DIRECTORIES)).map_while(|n| self.long(list + 4 * n));
                    ahead.extend(each);
                }
                _ => {}
            }
        }
        self.long(at + 2 + entries * 12)
    }

    /// The single number of an entry.
    fn number(&self, entry: usize) -> Option<u32> {
        let is_short = self.short(entry + 2)? == 3;
        if is_short { self.short(entry + 8).map(u32::from) } else { self.long(entry + 8) }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A little-endian TIFF of directories with entries of one number each,
    /// and what follows them.
    pub(in crate::picture) fn tiff(directories: &[&[(u16, u32)]]) -> Vec<u8> {
        let mut bytes = b"II*\0\x08\0\0\0".to_vec();
        for (index, entries) in directories.iter().enumerate() {
            bytes.extend(u16::try_from(entries.len()).unwrap().to_le_bytes());
            for (tag, value) in *entries {
                bytes.extend(tag.to_le_bytes());
                bytes.extend(b"\x04\0\x01\0\0\0");
                bytes.extend(value.to_le_bytes());
            }
            let is_last = index + 1 == directories.len();
            let next = if is_last { 0 } else { u32::try_from(bytes.len() + 4).unwrap() };
            bytes.extend(next.to_le_bytes());
        }
        bytes
    }

    const NIKON: (u16, u32) = (MAKE, u32::from_le_bytes(*b"NIK\0"));

    #[test]
    fn a_raw_file_is_told_from_a_picture_by_its_tags() {
        let name = |tiff: &[u8]| outline(tiff).unwrap().raw_format();
        assert_eq!(name(&tiff(&[&[NIKON, (PHOTOMETRIC, 2)]])), None);
        assert_eq!(name(&tiff(&[&[(PHOTOMETRIC, 2)], &[(NEW_SUBFILE_TYPE, 1)]])), None);
        assert_eq!(name(&tiff(&[&[(DNG_VERSION, 0x401)]])), Some("DNG"));
        let mosaic = [(PHOTOMETRIC, COLOUR_FILTER_ARRAY)];
        assert_eq!(name(&tiff(&[&[(PHOTOMETRIC, 2)], &mosaic])), Some("camera RAW"));
        assert_eq!(name(&tiff(&[&[(NEW_SUBFILE_TYPE, 1), NIKON]])), Some("camera RAW"));
        // The make is kept elsewhere if it is longer than four letters.
        let mut nef = tiff(&[&[(MAKE, 1000), (NEW_SUBFILE_TYPE, 1)]]);
        nef.resize(1000, 0);
        nef.extend(b"NIKON CORPORATION\0");
        nef[14] = 18;
        assert_eq!(name(&nef), Some("NEF"));
    }

    #[test]
    fn the_raw_data_is_found_in_a_directory_below() {
        let mut file = tiff(&[&[(SUB_DIRECTORIES, 26)], &[(PHOTOMETRIC, COLOUR_FILTER_ARRAY)]]);
        // No longer a chain: only the entry leads to the second one.
        file[22..26].fill(0);
        assert!(outline(&file).unwrap().has_raw_data);
    }

    #[test]
    fn a_loop_of_directories_ends() {
        let mut file = tiff(&[&[(ORIENTATION, 6)]]);
        let end = file.len() - 4;
        file[end..].copy_from_slice(&8_u32.to_le_bytes());
        assert_eq!(outline(&file).unwrap().orientation, Some(Orientation::Rotate90));
    }

    #[test]
    fn anything_else_and_any_part_of_one_is_survived() {
        let whole = tiff(&[&[(SUB_DIRECTORIES, 0xffff_fff0), (MAKE, 1)], &[(MAKE, 7)]]);
        for length in 0..whole.len() {
            let _ = outline(&whole[..length]);
        }
        assert_eq!(outline(b"RIFF....WEBP"), None);
    }
}
