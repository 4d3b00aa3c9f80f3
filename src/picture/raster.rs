//! TIFF files to pixels.
//!
//! The `tiff` crate unpacks strips and tiles, and is told that every file is
//! grey, as it gives samples only of the colours that it knows. What they stand
//! for is then ours to say (`colour`), and so are fax codes (`fax`).

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use ::tiff::TiffError;
use ::tiff::decoder::{ChunkType, Decoder, DecodingResult, Limits};
use ::tiff::tags::{CompressionMethod as Packing, SampleFormat, Tag};
use image::metadata::Orientation;
use image::{
    DynamicImage, GrayAlphaImage, GrayImage, ImageDecoder, ImageFormat, RgbImage, RgbaImage,
};

use super::colour::{Colours, eight_bits, undone};
use super::error::one_line;
use super::fax::{self, Coding};
use super::tiff::PHOTOMETRIC;
use super::{Decoded, Error, MAX_FILE_BYTES, MAX_WORKING_BYTES, jpeg, reader, within_limits};

const T4_OPTIONS: u16 = 292;
const YCBCR_COEFFICIENTS: u16 = 529;

/// Zero is black.
const GREY: u8 = 1;

/// The picture of the first directory of a TIFF file, turned upright.
///
/// # Errors
/// If it is damaged, too large, or of a kind that is not decoded.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Error> {
    let label = Label::find(bytes)?;
    let relabelled = Relabelled { inner: Cursor::new(bytes), label, is_reversed: false };
    let mut file = Decoder::new(relabelled).map_err(failed)?;
    let layout = Layout::read(&mut file, label.photometric)?;
    let orientation = number(&mut file, Tag::Orientation)?;
    let orientation = orientation.and_then(|n| Orientation::from_exif(u8::try_from(n).ok()?));
    layout.check_limits()?;
    let mut limits = Limits::default();
    limits.decoding_buffer_size = usize::try_from(MAX_WORKING_BYTES).unwrap_or(usize::MAX);
    limits.intermediate_buffer_size = usize::try_from(MAX_FILE_BYTES).unwrap_or(usize::MAX);
    let mut file = file.with_limits(limits);
    // From here on only strips and tiles are read.
    file.inner().is_reversed = layout.is_reversed;
    let mut picture = Strips { bytes, file, layout }.picture()?;
    picture.apply_orientation(orientation.unwrap_or(Orientation::NoTransforms));
    Ok(Decoded::whole(picture))
}

/// Bytes of the picture once it is decoded, and of what is kept meanwhile.
pub(super) fn memory(bytes: &[u8]) -> Result<(u64, u64), Error> {
    let label = Label::find(bytes)?;
    let relabelled = Relabelled { inner: Cursor::new(bytes), label, is_reversed: false };
    let mut file = Decoder::new(relabelled).map_err(failed)?;
    let layout = Layout::read(&mut file, label.photometric)?;
    layout.check_limits()?;
    Ok((layout.decoded(), layout.unpacked()))
}

fn unsupported(reason: impl Into<String>) -> Error {
    Error::UnsupportedKind { format: "TIFF", reason: reason.into() }
}

fn failed(error: TiffError) -> Error {
    match error {
        TiffError::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            Error::ends_too_early()
        }
        TiffError::UnsupportedError(e) => unsupported(one_line(&e)),
        TiffError::LimitsExceeded | TiffError::IntSizeError => Error::TooMuchMemory,
        // The file is in memory: only its content can be wrong.
        TiffError::IoError(e) => Error::Damaged(one_line(&e)),
        other => Error::Damaged(one_line(&other)),
    }
}

/// Where a file says what its samples stand for.
#[derive(Clone, Copy, Debug)]
struct Label {
    at: u64,
    photometric: u32,
    /// What is read there instead.
    grey: [u8; 4],
    length: u64,
}

impl Label {
    /// In the first directory; of `BigTIFF` too, whose numbers are longer.
    fn find(bytes: &[u8]) -> Result<Self, Error> {
        let little = bytes.starts_with(b"II");
        let big = bytes.get(2..4).is_some_and(|version| version.contains(&43));
        let number = |at: usize, length: usize| {
            let bytes = at.checked_add(length).and_then(|end| bytes.get(at..end));
            let bytes = bytes.ok_or_else(Error::ends_too_early)?.iter();
            let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
            Ok::<_, Error>(if little { bytes.rfold(0, add) } else { bytes.fold(0, add) })
        };
        let (offset, count, entry) = if big { (8, 8, 20) } else { (4, 2, 12) };
        let start = usize::try_from(number(offset, if big { 8 } else { 4 })?);
        let start = start.map_err(|_| Error::ends_too_early())?;
        for index in 0..number(start, count)?.min(u64::from(u16::MAX)) {
            let index = usize::try_from(index).expect("at most 65535");
            let at = start + count + index * entry;
            if number(at, 2)? != u64::from(PHOTOMETRIC) {
                continue;
            }
            let length = if number(at + 2, 2)? == 3 { 2 } else { 4 };
            let at = at + entry - if big { 8 } else { 4 };
            let mut grey = [0; 4];
            grey[if little { 0 } else { length - 1 }] = GREY;
            return Ok(Self {
                at: at as u64,
                photometric: u32::try_from(number(at, length)?).expect("at most four bytes"),
                grey,
                length: length as u64,
            });
        }
        Err(unsupported("it does not say what its colours are"))
    }
}

/// A file that says of itself that it is grey.
struct Relabelled<'a> {
    inner: Cursor<&'a [u8]>,
    label: Label,
    /// Whether the lowest bit of a byte stands for its first.
    is_reversed: bool,
}

impl Read for Relabelled<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let start = self.inner.position();
        let length = self.inner.read(buffer)?;
        let label = self.label.at..self.label.at + self.label.length;
        for (at, byte) in label.zip(self.label.grey) {
            let within = at.checked_sub(start).and_then(|at| usize::try_from(at).ok());
            if let Some(at) = within.filter(|at| *at < length) {
                buffer[at] = byte;
            }
        }
        if self.is_reversed {
            for byte in &mut buffer[..length] {
                *byte = byte.reverse_bits();
            }
        }
        Ok(length)
    }
}

impl Seek for Relabelled<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

type File<'a> = Decoder<Relabelled<'a>>;

fn number(file: &mut File, tag: Tag) -> Result<Option<u32>, Error> {
    file.find_tag_unsigned(tag).map_err(failed)
}

fn numbers<T: TryFrom<u64>>(file: &mut File, tag: Tag) -> Result<Vec<T>, Error> {
    Ok(file.find_tag_unsigned_vec(tag).map_err(failed)?.unwrap_or_default())
}

fn tag(number: u16) -> Tag {
    Tag::from_u16_exhaustive(number)
}

/// How a picture is kept in its file.
#[derive(Clone, Debug)]
struct Layout {
    width: u32,
    height: u32,
    /// Of a strip or tile.
    chunk: (u32, u32),
    offsets: Vec<u64>,
    lengths: Vec<u64>,
    bits: u32,
    /// Of a pixel.
    samples: usize,
    is_planar: bool,
    colours: Colours,
    /// Whether there is an alpha channel, and the colours are multiplied by it.
    alpha: Option<bool>,
    packing: Packing,
    /// If it is packed like a fax.
    coding: Option<Coding>,
    is_reversed: bool,
}

impl Layout {
    fn read(file: &mut File, photometric: u32) -> Result<Self, Error> {
        let (width, height) = file.dimensions().map_err(failed)?;
        let chunk = file.chunk_dimensions();
        let is_tiled = file.get_chunk_type() == ChunkType::Tile;
        let (offsets, lengths) = if is_tiled {
            (Tag::TileOffsets, Tag::TileByteCounts)
        } else {
            (Tag::StripOffsets, Tag::StripByteCounts)
        };
        let (offsets, lengths) = (numbers(file, offsets)?, numbers(file, lengths)?);
        let bits = numbers(file, Tag::BitsPerSample)?.first().copied().unwrap_or(1);
        if ![1, 2, 4, 8, 16, 32, 64].contains(&bits) {
            return Err(unsupported(format!("it has samples of {bits} bits")));
        }
        let format = numbers(file, Tag::SampleFormat)?.first().copied();
        match format.map(SampleFormat::from_u16_exhaustive) {
            None | Some(SampleFormat::Uint | SampleFormat::IEEEFP) => {}
            Some(SampleFormat::Int) if photometric == 8 => {}
            Some(_) => return Err(unsupported("its samples are signed or complex numbers")),
        }
        let samples =
            usize::from(numbers(file, Tag::SamplesPerPixel)?.first().copied().unwrap_or(1_u16));
        let is_planar = number(file, Tag::PlanarConfiguration)? == Some(2);
        let colours = colours(file, photometric, bits)?;
        let extra: Vec<u16> = numbers(file, Tag::ExtraSamples)?;
        let alpha = match (extra.first(), &colours) {
            (Some(1), _) => Some(true),
            (Some(2), _) | (None, Colours::Rgb) => Some(false),
            _ => None,
        };
        let alpha = alpha.filter(|_| samples > colours.samples());
        if samples < colours.samples() {
            return Err(Error::Damaged("it has too few samples for its colours".into()));
        }
        let packing = number(file, Tag::Compression)?.unwrap_or(1);
        let packing = Packing::from_u16_exhaustive(u16::try_from(packing).unwrap_or(0));
        check_packing(packing)?;
        let runs_mixed = number(file, tag(T4_OPTIONS))?.unwrap_or(0) & 1 == 1;
        let coding = match packing {
            Packing::Huffman => Some(Coding::Runs),
            Packing::Fax3 if runs_mixed => Some(Coding::MixedLines),
            Packing::Fax3 => Some(Coding::Lines),
            Packing::Fax4 => Some(Coding::Compared),
            _ => None,
        };
        if coding.is_some() && (bits, samples) != (1, 1) {
            return Err(Error::Damaged("it is packed like a fax and has more than black".into()));
        }
        if matches!(colours, Colours::YCbCr(_)) && (packing != Packing::ModernJPEG || is_planar) {
            let subsampling: Vec<u16> = numbers(file, Tag::ChromaSubsampling)?;
            if subsampling != [1, 1] {
                return Err(unsupported("its colours are YCbCr of fewer pixels, but not in JPEG"));
            }
        }
        let is_reversed = number(file, Tag::FillOrder)? == Some(2)
            && !matches!(packing, Packing::ModernJPEG | Packing::WebP);
        let chunk = if is_tiled { chunk } else { (width, chunk.1.min(height)) };
        Ok(Self {
            width,
            height,
            chunk,
            offsets,
            lengths,
            bits,
            samples,
            is_planar,
            colours,
            alpha,
            packing,
            coding,
            is_reversed,
        })
    }

    fn channels(&self) -> usize {
        self.colours.channels() + usize::from(self.alpha.is_some())
    }

    /// Bytes of the decoded picture.
    fn decoded(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height) * self.channels() as u64
    }

    /// Bytes of the samples of a strip or tile.
    fn unpacked(&self) -> u64 {
        let pixels = u64::from(self.chunk.0) * u64::from(self.chunk.1);
        pixels.saturating_mul(self.samples as u64 * u64::from(self.bits)).div_ceil(8)
    }

    fn check_limits(&self) -> Result<(), Error> {
        within_limits(self.width, self.height, self.decoded())?;
        // A picture that is smaller than a tile is kept in one nevertheless.
        within_limits(self.chunk.0, self.chunk.1, 0)?;
        if self.decoded() + self.unpacked() > MAX_WORKING_BYTES {
            return Err(Error::TooMuchMemory);
        }
        Ok(())
    }
}

/// What samples stand for by the number that says so.
fn colours(file: &mut File, photometric: u32, bits: u32) -> Result<Colours, Error> {
    let colours = match photometric {
        0 => Colours::Grey { inverted: true },
        1 => Colours::Grey { inverted: false },
        2 => Colours::Rgb,
        3 if bits <= 8 => Colours::Palette(palette(&numbers(file, Tag::ColorMap)?, bits)?),
        3 => return Err(unsupported(format!("its palette has numbers of {bits} bits"))),
        5 => Colours::Cmyk,
        6 => {
            let weights = file.find_tag(tag(YCBCR_COEFFICIENTS)).map_err(failed)?;
            let weights = weights.and_then(|weights| weights.into_f32_vec().ok());
            let weights = weights.and_then(|weights| <[f32; 3]>::try_from(weights).ok());
            Colours::YCbCr(weights.filter(|w| w[1] > 0.0).unwrap_or([0.299, 0.587, 0.114]))
        }
        8 => Colours::Lab { signed: true },
        9 => Colours::Lab { signed: false },
        other => return Err(unsupported(format!("its colours are of kind {other}"))),
    };
    let is_known = match colours {
        Colours::Grey { .. } | Colours::Palette(_) => true,
        Colours::Rgb | Colours::Cmyk => bits >= 8,
        Colours::YCbCr(_) => bits == 8,
        Colours::Lab { .. } => [8, 16].contains(&bits),
    };
    if !is_known {
        return Err(unsupported(format!("its colours have samples of {bits} bits")));
    }
    Ok(colours)
}

/// First all of red, then of green, then of blue.
fn palette(map: &[u16], bits: u32) -> Result<Vec<[u8; 3]>, Error> {
    let length = 1_usize << bits;
    let damaged = || Error::Damaged("its palette is incomplete".into());
    let map = map.get(..3 * length).ok_or_else(damaged)?;
    // Some programs write 8 bits where there should be 16.
    let is_short = map.iter().all(|level| *level < 256);
    let level = |level: u16| if is_short { level } else { level >> 8 };
    let colour = |n: usize| [n, n + length, n + 2 * length].map(|n| level(map[n]).to_be_bytes()[1]);
    Ok((0..length).map(colour).collect())
}

fn check_packing(packing: Packing) -> Result<(), Error> {
    let name = match packing {
        Packing::None
        | Packing::Huffman
        | Packing::Fax3
        | Packing::Fax4
        | Packing::LZW
        | Packing::ModernJPEG
        | Packing::Deflate
        | Packing::OldDeflate
        | Packing::PackBits
        | Packing::WebP => return Ok(()),
        Packing::JPEG => "old-style JPEG".into(),
        Packing::ZSTD => "Zstandard".into(),
        other => format!("method {}", other.to_u16()),
    };
    Err(unsupported(format!("it is compressed with {name}")))
}

/// A picture to be put together.
struct Strips<'a> {
    bytes: &'a [u8],
    file: File<'a>,
    layout: Layout,
}

impl Strips<'_> {
    fn picture(mut self) -> Result<DynamicImage, Error> {
        let Layout { width, height, chunk, samples, is_planar, .. } = self.layout;
        let channels = self.layout.channels();
        let planes = if is_planar { samples } else { 1 };
        let across = width.div_ceil(chunk.0);
        let chunks = across * height.div_ceil(chunk.1);
        let length = usize::try_from(self.layout.decoded()).expect("within limits");
        let mut pixels = vec![0; length];
        let mut row = Vec::new();
        for index in 0..chunks {
            let (left, top) = (index % across * chunk.0, index / across * chunk.1);
            let wide = chunk.0.min(width - left) as usize;
            let high = chunk.1.min(height - top) as usize;
            let unpacked: Vec<DecodingResult> = (0..planes)
                .map(|plane| {
                    let plane = u32::try_from(plane).expect("a 16-bit number");
                    self.unpack(index + plane * chunks, high)
                })
                .collect::<Result<_, _>>()?;
            for y in 0..high {
                row.resize(wide * samples, 0);
                for (plane, unpacked) in unpacked.iter().enumerate() {
                    let to = row[plane..].iter_mut().step_by(planes);
                    self.layout.levels(unpacked, y, wide * samples / planes, to)?;
                }
                let start = ((top as usize + y) * width as usize + left as usize) * channels;
                let to = &mut pixels[start..start + wide * channels];
                for (from, to) in row.chunks_exact(samples).zip(to.chunks_exact_mut(channels)) {
                    self.layout.paint(from, to);
                }
            }
        }
        let whole = match channels {
            1 => GrayImage::from_raw(width, height, pixels).map(Into::into),
            2 => GrayAlphaImage::from_raw(width, height, pixels).map(Into::into),
            3 => RgbImage::from_raw(width, height, pixels).map(Into::into),
            _ => RgbaImage::from_raw(width, height, pixels).map(Into::into),
        };
        Ok(whole.expect("as many as its size says"))
    }

    /// The samples of a strip or tile of so many rows.
    fn unpack(&mut self, index: u32, rows: usize) -> Result<DecodingResult, Error> {
        self.check_inner(index)?;
        let Some(coding) = self.layout.coding else {
            return self.file.read_chunk(index).map_err(failed);
        };
        let data = self.packed(index).ok_or_else(Error::ends_too_early)?;
        let reversed: Vec<u8>;
        let data = if self.layout.is_reversed {
            reversed = data.iter().map(|byte| byte.reverse_bits()).collect();
            &reversed
        } else {
            data
        };
        let width = u16::try_from(self.layout.chunk.0);
        let width = width.map_err(|_| unsupported("it is packed like a fax, but wider"))?;
        let rows = u32::try_from(rows).expect("within limits");
        let unpacked = fax::rows(data, coding, width, rows);
        unpacked
            .map(DecodingResult::U8)
            .ok_or_else(|| Error::Damaged("its fax code is wrong".into()))
    }

    /// The bytes of a strip or tile.
    fn packed(&self, index: u32) -> Option<&[u8]> {
        let offset = usize::try_from(*self.layout.offsets.get(index as usize)?).ok()?;
        let length = usize::try_from(*self.layout.lengths.get(index as usize)?).ok()?;
        self.bytes.get(offset..offset.checked_add(length)?)
    }

    /// A picture within it may claim to be larger than the strip or tile that it
    /// is for, and would be decoded at that size.
    fn check_inner(&self, index: u32) -> Result<(), Error> {
        let (wide, high) = self.layout.chunk;
        let data = || self.packed(index).ok_or_else(Error::ends_too_early);
        let (pixels, kept) = match self.layout.packing {
            Packing::ModernJPEG => match jpeg::outline(data()?).frame {
                Some(frame) => (frame.pixels(), frame.kept()),
                None => return Err(Error::Damaged("a JPEG part of it has no size".into())),
            },
            Packing::WebP => {
                let decoder = reader(data()?, ImageFormat::WebP).into_decoder();
                let (width, height) = decoder.map_err(Error::from_image)?.dimensions();
                (u64::from(width) * u64::from(height), 0)
            }
            _ => return Ok(()),
        };
        // What encoders fill up is less than one block.
        if pixels > (u64::from(wide) + 64) * (u64::from(high) + 64) {
            return Err(Error::Damaged("a part of it is larger than its place".into()));
        }
        let all = self.layout.decoded() + self.layout.unpacked() + pixels * 4 + kept;
        if all > MAX_WORKING_BYTES { Err(Error::TooMuchMemory) } else { Ok(()) }
    }
}

impl Layout {
    /// The samples of row `y` in 8 bits; in a palette, as they are.
    fn levels<'a>(
        &self,
        unpacked: &DecodingResult,
        y: usize,
        count: usize,
        to: impl Iterator<Item = &'a mut u8>,
    ) -> Result<(), Error> {
        fn put<'a, T: Copy>(
            from: &[T],
            (y, count): (usize, usize),
            to: impl Iterator<Item = &'a mut u8>,
            level: impl Fn(T) -> u8,
        ) -> Result<(), Error> {
            let row = from.get(y * count..(y + 1) * count).ok_or_else(Error::ends_too_early)?;
            to.zip(row).for_each(|(to, from)| *to = level(*from));
            Ok(())
        }
        let is_lab = matches!(self.colours, Colours::Lab { .. });
        let at = (y, count);
        match unpacked {
            DecodingResult::U8(from) if self.bits == 8 => put(from, at, to, |level| level),
            DecodingResult::U8(from) => {
                let bits = self.bits as usize;
                let stride = (count * bits).div_ceil(8);
                let row = from.get(y * stride..(y + 1) * stride);
                let row = row.ok_or_else(Error::ends_too_early)?;
                let most = 0xff_u8 >> (8 - bits);
                let factor =
                    if matches!(self.colours, Colours::Palette(_)) { 1 } else { 255 / most };
                for (index, to) in to.take(count).enumerate() {
                    let bit = index * bits;
                    *to = (row[bit / 8] >> (8 - bits - bit % 8) & most) * factor;
                }
                Ok(())
            }
            DecodingResult::I8(from) => put(from, at, to, i8::cast_unsigned),
            DecodingResult::U16(from) if is_lab => put(from, at, to, |n| n.to_be_bytes()[0]),
            DecodingResult::I16(from) => put(from, at, to, |n| n.to_be_bytes()[0]),
            DecodingResult::U16(from) => {
                put(from, at, to, |n| ((u32::from(n) + 128) / 257).to_le_bytes()[0])
            }
            DecodingResult::U32(from) => put(from, at, to, |n| n.to_be_bytes()[0]),
            DecodingResult::U64(from) => put(from, at, to, |n| n.to_be_bytes()[0]),
            DecodingResult::F16(from) => put(from, at, to, |n| eight_bits(n.to_f32())),
            DecodingResult::F32(from) => put(from, at, to, eight_bits),
            #[expect(clippy::cast_possible_truncation, reason = "of 8 bits in the end")]
            DecodingResult::F64(from) => put(from, at, to, |n| eight_bits(n as f32)),
            _ => Err(unsupported("its samples are signed numbers")),
        }
    }

    /// The pixel of these samples.
    fn paint(&self, from: &[u8], to: &mut [u8]) {
        let (colour, alpha) = to.split_at_mut(self.colours.channels());
        self.colours.paint(from, colour);
        let (Some(is_multiplied), [alpha]) = (self.alpha, alpha) else { return };
        *alpha = from[self.colours.samples()];
        if is_multiplied {
            for level in colour {
                *level = undone(*level, *alpha);
            }
        }
    }
}
