//! Files to pixels: kinds that the reference of `clip` leaves out, previews
//! within other files, files that end too early, and files made to harm.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use carlens::clip::Checkpoint;
use carlens::picture::{self, Decoded, Detail, Error};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, GenericImageView, RgbImage};

fn fixtures(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder)
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(fixtures("pictures").join(name)).unwrap()
}

fn decode(bytes: &[u8]) -> Decoded {
    try_to_decode(bytes).unwrap()
}

/// As the program does, with a process of its own for what needs one.
fn try_to_decode(bytes: &[u8]) -> Result<Decoded, Error> {
    picture::decode_apart(env!("CARGO_BIN_EXE_carlens").into());
    picture::decode(bytes, Detail::Full)
}

/// Every picture there is, by name.
fn all() -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = ["pictures", "decoded"]
        .into_iter()
        .flat_map(|folder| fs::read_dir(fixtures(folder)).unwrap())
        .map(|file| file.unwrap().path())
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect();
    all.sort();
    all
}

const RARER: [&str; 18] = [
    "progressive.jpg",
    "422.jpg",
    "444-restarts.jpg",
    "ycck.jpg",
    "lossy.webp",
    "420.avif",
    "422.avif",
    "444-limited.avif",
    "grey.avif",
    "alpha.avif",
    "10-bit.avif",
    "12-bit-bt2020.avif",
    "lossless.avif",
    "turned-5.avif",
    "turned-6.avif",
    "turned-7.avif",
    "tiles.avif",
    "tiles-alpha.avif",
];

/// Decodes the picture and what it has to look like, which lies beside it.
fn looks_like_its_reference(name: &str) {
    let read = |name: &str| fs::read(fixtures("decoded").join(name)).unwrap();
    let decoded =
        picture::decode(&read(name), Detail::Full).unwrap_or_else(|e| panic!("{name} {e}"));
    assert!(!decoded.salvaged, "{name}");
    let expected = decode(&read(&format!("{name}.png"))).picture.into_rgb8();
    let actual = picture::flatten(decoded.picture);
    assert_eq!(actual.dimensions(), expected.dimensions(), "{name}");
    let pairs = actual.as_raw().iter().zip(expected.as_raw());
    let differences: Vec<u32> = pairs.map(|(a, b)| u32::from(a.abs_diff(*b))).collect();
    let largest = differences.iter().max().unwrap();
    let sum: u32 = differences.iter().sum();
    let count = u32::try_from(differences.len()).unwrap();
    // libavif interpolates chroma from one tile to the next.
    let most = if name == "tiles.avif" { 20 } else { 10 };
    assert!(sum < count && *largest <= most, "{name}: sum {sum} of {count}, largest {largest}");
}

#[test]
fn rarer_kinds_are_decoded_as_pillow_decodes_them() {
    for name in RARER {
        looks_like_its_reference(name);
    }
}

#[test]
fn every_kind_of_tiff_that_is_decoded_looks_as_it_should() {
    let kinds = [
        "big",
        "cmyk",
        "fax-2",
        "fax-3",
        "fax-4",
        "fax-mixed",
        "fax-reversed",
        "float",
        "grey-4",
        "grey-alpha",
        "lab",
        "palette-1",
        "palette-4",
        "palette-8",
        "palette-turned",
        "planar-tiles",
        "webp",
        "ycbcr-jpeg",
    ];
    for kind in kinds {
        looks_like_its_reference(&format!("{kind}.tif"));
    }
}

#[test]
fn a_tiff_of_a_kind_that_is_not_decoded_says_so() {
    let shape = [(256, 4), (257, 4), (258, 8), (273, 8), (277, 1), (278, 4), (279, 9)];
    let kinds: [(&[(u16, u32)], &str); 5] = [
        (&[(259, 50_000), (262, 1)], "it is compressed with Zstandard"),
        (&[(259, 6), (262, 1)], "it is compressed with old-style JPEG"),
        (&[(259, 34_925), (262, 1)], "it is compressed with method 34925"),
        (&[(259, 1), (262, 4)], "its colours are of kind 4"),
        (&[(259, 1)], "it does not say what its colours are"),
    ];
    for (kind, reason) in kinds {
        let error = picture::decode(&tiff(&[&shape, kind].concat()), Detail::Full).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("is a TIFF picture of a kind that is not supported: {reason}")
        );
        assert_eq!(error.unsupported_format(), Some("TIFF"));
    }
}

/// 64 megapixels of 12 bits in three planes, with film grain.
#[test]
fn the_largest_avif_picture_fits_into_its_process() {
    let decoded = decode(&fs::read(fixtures("large.avif")).unwrap());
    assert_eq!(decoded.picture.dimensions(), (8192, 8192));
}

/// The part that came is pixel for pixel what the whole picture has there.
#[test]
fn a_file_that_ends_too_early_gives_the_part_that_came() {
    for name in ["photo.jpg", "grey.jpg", "alpha.png", "wide.png"] {
        let bytes = fixture(name);
        let whole = decode(&bytes).picture;
        let mut heights = Vec::new();
        for percent in (5..100).step_by(5) {
            match try_to_decode(&bytes[..bytes.len() * percent / 100]) {
                Ok(part) => {
                    assert!(part.salvaged, "{name}, {percent} %");
                    let (width, height) = part.picture.dimensions();
                    assert_eq!(width, whole.width());
                    assert!(height >= whole.height().div_ceil(3));
                    assert!(
                        part.picture == whole.crop_imm(0, 0, width, height),
                        "{name}, {percent} %"
                    );
                    heights.push(height);
                }
                Err(error) => {
                    assert_eq!(error.to_string(), "is damaged: it ends too early");
                    assert!(heights.is_empty(), "{name}: more came, less was left");
                }
            }
        }
        assert!(heights.is_sorted(), "{name}: {heights:?}");
        assert!(*heights.last().unwrap() >= whole.height() * 8 / 10, "{name}: {heights:?}");
    }
}

#[test]
fn a_file_whose_end_was_never_written_is_cut_as_well() {
    let bytes = fixture("photo.jpg");
    let kept = bytes.len() * 7 / 10;
    let part = decode(&bytes[..kept]).picture;
    let padded = [&bytes[..kept], &[0; 5000]].concat();
    assert!(decode(&padded).salvaged);
    assert!(decode(&padded).picture == part);
}

#[test]
fn a_progressive_file_that_ends_too_early_keeps_its_size() {
    let bytes = fs::read(fixtures("decoded/progressive.jpg")).unwrap();
    let whole = decode(&bytes).picture;
    let part = decode(&bytes[..bytes.len() - 100]);
    assert!(part.salvaged);
    assert_eq!(part.picture.dimensions(), whole.dimensions());
}

#[test]
fn a_whole_picture_with_a_grey_foot_stays_whole() {
    let picture = RgbImage::from_fn(64, 64, |x, y| {
        let level = u8::try_from(x * 3).unwrap();
        image::Rgb(if y < 20 { [level, 0, 90] } else { [128; 3] })
    });
    for format in [image::ImageFormat::Png, image::ImageFormat::Jpeg] {
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        let mut bytes = bytes.into_inner();
        // What may follow the end, as a video does in a motion photo.
        bytes.extend(b"\0\0\0\x18ftypmp42 \xff\xda \xff\xd8\xff\xe0 ");
        let decoded = decode(&bytes);
        assert!(!decoded.salvaged);
        assert_eq!(decoded.picture.dimensions(), (64, 64));
    }
}

/// A little-endian TIFF directory with one number each, at offset 8.
fn tiff(entries: &[(u16, u32)]) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.extend(u16::try_from(entries.len()).unwrap().to_le_bytes());
    for (tag, value) in entries {
        bytes.extend([&tag.to_le_bytes()[..], b"\x04\0\x01\0\0\0", &value.to_le_bytes()].concat());
    }
    bytes.extend([0; 4]);
    bytes
}

const DNG: (u16, u32) = (50706, 0x401);
const MOSAIC: (u16, u32) = (262, 32803);
const SHOWN_UPSIDE_DOWN: (u16, u32) = (274, 3);

#[test]
fn a_raw_file_is_shown_by_its_largest_preview() {
    let (large, small) = (fixture("photo.jpg"), fixture("cmyk.jpg"));
    let expected = decode(&large).picture;
    let starts: [(&str, Vec<u8>); 6] = [
        ("DNG", tiff(&[DNG])),
        ("a mosaic", tiff(&[MOSAIC])),
        ("CR2", b"II*\0\x10\0\0\0CR\x02\0\0\0\0\0".to_vec()),
        ("RAF", b"FUJIFILMCCD-RAW 0201".to_vec()),
        ("CR3", b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom".to_vec()),
        ("HEIC", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec()),
    ];
    for (name, start) in starts {
        let raw = [0x5a; 700].as_slice();
        let file = [start.as_slice(), raw, &small, raw, &large, &large[..9000], raw].concat();
        let decoded = decode(&file);
        assert!(decoded.picture == expected && !decoded.salvaged, "{name}");
    }
}

#[test]
fn a_preview_is_turned_as_its_file_says_unless_it_says_so_itself() {
    let file = |preview: &str| [tiff(&[DNG, SHOWN_UPSIDE_DOWN]), fixture(preview)].concat();
    let plain = decode(&fixture("photo.jpg")).picture;
    assert!(decode(&file("photo.jpg")).picture == plain.rotate180());
    let turned = decode(&fixture("rotated.jpg")).picture;
    assert!(decode(&file("rotated.jpg")).picture == turned);
}

/// An AVIF file with other bytes in the `nth` property that says a size.
fn of_size(name: &str, nth: usize, width: u32, height: u32) -> Vec<u8> {
    let mut bytes = fs::read(fixtures("decoded").join(name)).unwrap();
    let mut sizes = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"ispe"));
    let size = sizes.nth(nth).unwrap() + 8;
    bytes[size..size + 8].copy_from_slice(&[width.to_be_bytes(), height.to_be_bytes()].concat());
    bytes
}

#[test]
fn an_avif_file_whose_size_is_not_what_it_says_is_not_decoded() {
    let cases = [
        ("420.avif", 0, 65_535, 65_535, "is too large (65535 x 65535 pixels)"),
        ("420.avif", 0, 0, 30, "is damaged: its boxes make no sense"),
        ("420.avif", 0, 41, 30, "is damaged: its AV1 data are of another size"),
        // The decoder's own limit.
        ("420.avif", 0, 4, 3, "is damaged: its AV1 data make no sense"),
        ("tiles.avif", 0, 191, 128, "is damaged: its boxes make no sense"),
        ("tiles.avif", 1, 65_535, 65_535, "is too large (196605 x 131070 pixels)"),
        ("tiles.avif", 1, 64, 63, "is damaged: its boxes make no sense"),
        ("tiles.avif", 1, 65, 64, "is damaged: its AV1 data are of another size"),
    ];
    for (name, nth, width, height, expected) in cases {
        let error = try_to_decode(&of_size(name, nth, width, height)).unwrap_err().to_string();
        assert_eq!(error, expected, "{name}");
    }
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|part| part == from).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

#[test]
fn an_avif_file_whose_alpha_is_of_another_size_is_not_decoded() {
    let bytes = fs::read(fixtures("decoded").join("tiles-alpha.avif")).unwrap();
    // The size of a tile, as the fourth property, instead of the whole's.
    let bytes = replaced(&bytes, b"\0\x04\x03\x01\x06\x07", b"\0\x04\x03\x04\x06\x07");
    let error = try_to_decode(&bytes).unwrap_err().to_string();
    assert_eq!(error, "is damaged: its alpha is of another size");
}

#[test]
fn an_avif_file_that_is_cut_ends_too_early() {
    for name in ["420.avif", "tiles-alpha.avif"] {
        let bytes = fs::read(fixtures("decoded").join(name)).unwrap();
        for length in (32..bytes.len()).step_by(50) {
            let error = try_to_decode(&bytes[..length]).unwrap_err().to_string();
            assert_eq!(error, "is damaged: it ends too early", "{name}, {length} bytes");
        }
    }
}

#[test]
fn a_file_without_a_usable_preview_names_its_format() {
    let tiny = fixture("cmyk.jpg");
    let tiles = fs::read(fixtures("decoded").join("tiles.avif")).unwrap();
    let cases: [(&str, Vec<u8>); 6] = [
        ("DNG", [tiff(&[DNG]), tiny].concat()),
        ("CR2", b"II*\0\x10\0\0\0CR\x02\0".to_vec()),
        ("HEIC", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec()),
        ("JPEG XL", b"\xff\x0a ".to_vec()),
        ("AVIF sequence", b"\0\0\0\x10ftypavis\0\0\0\0\0\0\0\x08moov".to_vec()),
        ("AVIF overlay", replaced(&tiles, b"grid", b"iovl")),
    ];
    for (name, bytes) in cases {
        let error = try_to_decode(&bytes).unwrap_err();
        assert_eq!(error.unsupported_format(), Some(name));
        assert_eq!(error.to_string(), format!("is in the {name} format, which is not supported"));
    }
    assert_eq!(try_to_decode(b"text").unwrap_err().unsupported_format(), None);
}

#[test]
fn a_usual_tiff_of_a_camera_is_no_raw_file() {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = DynamicImage::from(RgbImage::from_pixel(200, 100, image::Rgb([9, 90, 200])));
    picture.write_to(&mut bytes, image::ImageFormat::Tiff).unwrap();
    let bytes = [bytes.into_inner(), fixture("photo.jpg")].concat();
    assert!(decode(&bytes).picture == picture);
}

/// Sizes that would take gigabytes, in files of a few bytes.
#[test]
fn a_file_that_claims_a_huge_size_is_refused_before_it_takes_memory() {
    let jpeg = |kind: u8| {
        let frame =
            [0xff, kind, 0, 17, 8, 0xff, 0xff, 0xff, 0xff, 3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0];
        [b"\xff\xd8".as_slice(), &frame, b"\xff\xda\0\x0c\x03\x01\0\x02\0\x03\0\0\x3f\0 \xff\xd9"]
            .concat()
    };
    let gif = b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02\x02L\x01\0;".to_vec();
    let bmp = {
        let mut bmp = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
        bmp.extend(60_000_u32.to_le_bytes().repeat(2));
        bmp.extend(b"\x01\0\x18\0");
        bmp.extend([0; 40]);
        bmp
    };
    let shape = [(256, 60_000), (257, 60_000), (258, 8), (259, 1), (262, 1), (273, 8)];
    let grey = tiff(&[shape.as_slice(), &[(277, 1), (278, 60_000), (279, 9)]].concat());
    let mut palette =
        tiff(&[shape.as_slice(), &[(277, 1), (278, 60_000), (279, 9), (320, 200)]].concat());
    // Three times 256 levels of 16 bits.
    let at = palette.windows(4).position(|entry| entry == b"\x40\x01\x04\0").unwrap();
    palette[at + 2..at + 8].copy_from_slice(b"\x03\0\0\x03\0\0");
    let at = palette.windows(4).position(|entry| entry == b"\x06\x01\x04\0").unwrap();
    palette[at + 8] = 3;
    palette.resize(200 + 2 * 3 * 256, 7);
    // Lossless WebP of 16383 x 16383 pixels.
    let webp = b"RIFF\x1a\0\0\0WEBPVP8L\x0e\0\0\0\x2f\xfe\xbf\xff\x0f\0\0\0\0\0\0\0\0\0".to_vec();
    let raw = [tiff(&[DNG]), jpeg(0xc0)].concat();
    let started = Instant::now();
    for (name, bytes) in [
        ("baseline", jpeg(0xc0)),
        ("progressive", jpeg(0xc2)),
        ("GIF", gif),
        ("BMP", bmp),
        ("TIFF", grey),
        ("TIFF with a palette", palette),
        ("WebP", webp),
        ("a preview", raw),
    ] {
        let error = try_to_decode(&bytes).unwrap_err();
        let refused = matches!(
            error,
            Error::TooLarge { .. } | Error::TooMuchMemory | Error::Unsupported("DNG")
        );
        assert!(refused, "{name}: {error}");
    }
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_part_of_a_tiff_may_not_be_larger_than_its_place() {
    let huge = 16_000_u16.to_be_bytes();
    let frame = [0xff, 0xc0, 0, 11, 8, huge[0], huge[1], huge[0], huge[1], 1, 1, 0x11, 0];
    let jpeg = [b"\xff\xd8".as_slice(), &frame, b"\xff\xda\0\x08\x01\x01\0\0\x3f\0 \xff\xd9"];
    let jpeg = jpeg.concat();
    let length = u32::try_from(jpeg.len()).unwrap();
    let shape = [(256, 40), (257, 40), (258, 8), (259, 7), (262, 1), (277, 1), (278, 40)];
    let file = tiff(&[shape.as_slice(), &[(273, 200), (279, length)]].concat());
    let padding = vec![0; 200 - file.len()];
    let error = picture::decode(&[file, padding, jpeg].concat(), Detail::Full).unwrap_err();
    assert_eq!(error.to_string(), "is damaged: a part of it is larger than its place");
}

/// Numbers that are the same on every run: an xorshift generator.
fn numbers() -> impl Iterator<Item = usize> {
    std::iter::successors(Some(0x9e37_79b9_7f4a_7c15_u64), |state| {
        let state = state ^ (state << 13);
        let state = state ^ (state >> 7);
        Some(state ^ (state << 17))
    })
    .map(|number| usize::try_from(number >> 16).unwrap())
}

/// What a broken file says has to be a sentence, and has to be said soon.
fn survives(name: &str, bytes: &[u8]) {
    let started = Instant::now();
    let outcome = try_to_decode(bytes);
    assert!(started.elapsed() < Duration::from_secs(20), "{name} took too long");
    match outcome {
        Ok(decoded) => assert!(decoded.picture.width() > 0 && decoded.picture.height() > 0),
        Err(error) => {
            let text = error.to_string();
            assert!(!text.is_empty() && !text.contains(char::is_control), "{name}: {text:?}");
        }
    }
}

#[test]
fn files_cut_anywhere_are_survived() {
    for (name, bytes) in all() {
        for part in 0..24 {
            survives(&name, &bytes[..bytes.len() * part / 24]);
        }
        survives(&name, &bytes[..bytes.len() - 1]);
    }
}

#[test]
fn files_with_other_bytes_here_and_there_are_survived() {
    let mut numbers = numbers();
    let mut number = || numbers.next().unwrap();
    for (name, bytes) in all() {
        for round in 0..24 {
            let mut broken = bytes.clone();
            // Headers are where it hurts, so every other round aims there.
            let within = if round % 2 == 0 { broken.len() } else { broken.len().min(200) };
            for _ in 0..=round % 4 {
                broken[number() % within] = number().to_le_bytes()[0];
            }
            survives(&name, &broken);
        }
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_never_opened() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo.jpg");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    for path in [fifo.as_path(), folder.path(), "/dev/zero".as_ref()] {
        assert!(matches!(picture::read(path), Err(Error::NotAFile)), "{}", path.display());
    }
}

#[test]
fn a_model_sees_in_a_quarter_of_a_photo_what_it_sees_in_the_whole() {
    let checkpoint = Checkpoint::bundled().unwrap();
    let encoder = checkpoint.picture_encoder(&|_| {}).unwrap();
    let preprocessor = checkpoint.preprocessor();
    for name in ["car-001.jpg", "car-017.jpg", "car-042.jpg"] {
        let photo = image::open(fixtures("../../static/images").join(name)).unwrap();
        let large = photo.resize_exact(4000, 3000, FilterType::CatmullRom);
        let mut file = Vec::new();
        JpegEncoder::new_with_quality(&mut file, 90).encode_image(&large).unwrap();
        let details = [Detail::Full, Detail::ForShortSide(preprocessor.short_side())];
        let pictures = details.map(|detail| picture::decode(&file, detail).unwrap().picture);
        assert_eq!((pictures[0].width(), pictures[1].width()), (4000, 1000));
        let values = pictures.map(|all| preprocessor.pixel_values(&picture::flatten(all)).unwrap());
        let [whole, quarter] = encoder.embed(&values).unwrap().try_into().unwrap();
        let cosine = whole.similarity(&quarter).cosine();
        assert!(cosine > 0.9999, "{name}: {cosine}");
    }
}
