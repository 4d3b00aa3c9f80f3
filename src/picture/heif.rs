//! The boxes of an AVIF file (ISO 23008-12), as far as a still picture needs
//! them: where its data lie, its alpha, and how it is to be turned.

use super::Error;

/// Properties and items beyond this number are not looked at.
const MAX_ITEMS: usize = 256;

const ALPHA: &[u8] = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0";

/// A still picture, still coded.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Still {
    /// The AV1 data of the colours.
    pub(super) colour: Vec<u8>,
    /// The AV1 data of the opacity.
    pub(super) alpha: Option<Vec<u8>>,
    /// Colour space, if it is said outside the AV1 data.
    pub(super) space: Option<Space>,
    /// Quarter turns against the clock, made before it is mirrored.
    pub(super) quarter_turns: u8,
    pub(super) mirror: Option<Mirror>,
}

/// Which parts change places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mirror {
    TopAndBottom,
    LeftAndRight,
}

/// How luma and chroma become red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Space {
    /// A number of H.273.
    pub(super) matrix: u16,
    pub(super) full_range: bool,
}

/// Finds the picture of a file.
///
/// # Errors
/// If the boxes do not fit together, if they say that it has more than
/// `max_pixels`, or if it is put together from tiles.
pub(super) fn still(bytes: &[u8], max_pixels: u64) -> Result<Still, Error> {
    let damaged = || Error::Damaged("its boxes make no sense".into());
    let meta = Meta::read(bytes).ok_or_else(damaged)?;
    if meta.kind(meta.primary) != Some(*b"av01") {
        return Err(Error::Unsupported("tiled AVIF"));
    }
    if let Some((width, height)) = meta.size(meta.primary)
        && u64::from(width) * u64::from(height) > max_pixels
    {
        return Err(Error::TooLarge { width, height });
    }
    let mut still = Still {
        colour: meta.data(meta.primary, bytes).ok_or_else(Error::ends_too_early)?,
        alpha: meta.alpha().and_then(|item| meta.data(item, bytes)),
        ..Still::default()
    };
    for (kind, property) in meta.properties(meta.primary) {
        match (kind, property) {
            (b"irot", [angle, ..]) => still.quarter_turns = angle & 3,
            (b"imir", [axis, ..]) => {
                let is_sideways = axis & 1 == 1;
                still.mirror =
                    Some(if is_sideways { Mirror::LeftAndRight } else { Mirror::TopAndBottom });
            }
            (b"colr", [b'n', b'c', b'l', b'x', _, _, _, _, high, low, range, ..]) => {
                let matrix = u16::from_be_bytes([*high, *low]);
                still.space = Some(Space { matrix, full_range: range >> 7 == 1 });
            }
            _ => {}
        }
    }
    Ok(still)
}

/// The `meta` box.
#[derive(Default)]
struct Meta<'a> {
    primary: u32,
    /// Item and type.
    kinds: Vec<(u32, [u8; 4])>,
    places: Vec<Place>,
    properties: Vec<(&'a [u8], &'a [u8])>,
    /// Item and index of a property, from one.
    associations: Vec<(u32, usize)>,
    /// From an auxiliary item to that which it goes with.
    auxiliary: Vec<(u32, u32)>,
    /// Data within the box.
    inside: &'a [u8],
}

/// Where an item lies.
struct Place {
    item: u32,
    is_inside: bool,
    /// Offset and length; a length of zero reaches to the end.
    extents: Vec<(u64, u64)>,
}

impl<'a> Meta<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (_, content) = boxes(bytes).find(|(kind, _)| kind == b"meta")?;
        let mut meta = Self::default();
        for (kind, content) in boxes(content.get(4..)?) {
            let mut fields = Fields(content);
            match kind {
                b"pitm" => {
                    let wide = fields.version()? > 0;
                    meta.primary = fields.either(wide)?;
                }
                b"iinf" => meta.read_kinds(fields)?,
                b"iloc" => meta.read_places(fields)?,
                b"iprp" => meta.read_properties(content)?,
                b"iref" => meta.read_references(fields)?,
                b"idat" => meta.inside = content,
                _ => {}
            }
        }
        Some(meta)
    }

    fn read_kinds(&mut self, mut fields: Fields<'a>) -> Option<()> {
        let wide = fields.version()? > 0;
        fields.either(wide)?;
        for (_, entry) in boxes(fields.0).take(MAX_ITEMS) {
            let mut fields = Fields(entry);
            let version = fields.version()?;
            if version >= 2 {
                let item = fields.either(version > 2)?;
                fields.take(2)?;
                self.kinds.push((item, fields.take(4)?.try_into().ok()?));
            }
        }
        Some(())
    }

    fn read_places(&mut self, mut fields: Fields<'a>) -> Option<()> {
        let version = fields.version()?;
        let sizes = fields.take(2)?;
        let (offset, length) = (sizes[0] >> 4, sizes[0] & 15);
        let (base, index) = (sizes[1] >> 4, if version > 0 { sizes[1] & 15 } else { 0 });
        for _ in 0..(fields.either(version > 1)? as usize).min(MAX_ITEMS) {
            let item = fields.either(version > 1)?;
            let method = if version > 0 { fields.number(2)? & 15 } else { 0 };
            fields.take(2)?;
            let base = fields.number(base)?;
            let mut extents = Vec::new();
            for _ in 0..fields.number(2)? {
                fields.number(index)?;
                extents.push((base.checked_add(fields.number(offset)?)?, fields.number(length)?));
            }
            if method < 2 {
                self.places.push(Place { item, is_inside: method == 1, extents });
            }
        }
        Some(())
    }

    fn read_properties(&mut self, content: &'a [u8]) -> Option<()> {
        for (kind, content) in boxes(content) {
            if kind == b"ipco" {
                self.properties.extend(boxes(content).take(MAX_ITEMS));
            }
            if kind == b"ipma" {
                let mut fields = Fields(content);
                let wide_index = content.get(3)? & 1 == 1;
                let wide_item = fields.version()? > 0;
                for _ in 0..fields.number(4)?.min(MAX_ITEMS as u64) {
                    let item = fields.either(wide_item)?;
                    for _ in 0..fields.number(1)? {
                        let index = fields.number(if wide_index { 2 } else { 1 })?;
                        let index = index & if wide_index { 0x7fff } else { 0x7f };
                        self.associations.push((item, usize::try_from(index).ok()?));
                    }
                }
            }
        }
        Some(())
    }

    fn read_references(&mut self, mut fields: Fields<'a>) -> Option<()> {
        let wide = fields.version()? > 0;
        for (_, content) in boxes(fields.0).take(MAX_ITEMS).filter(|(kind, _)| kind == b"auxl") {
            let mut fields = Fields(content);
            let from = fields.either(wide)?;
            for _ in 0..fields.number(2)? {
                self.auxiliary.push((from, fields.either(wide)?));
            }
        }
        Some(())
    }

    fn kind(&self, item: u32) -> Option<[u8; 4]> {
        self.kinds.iter().find(|(of, _)| *of == item).map(|(_, kind)| *kind)
    }

    fn properties(&self, item: u32) -> impl Iterator<Item = (&'a [u8; 4], &'a [u8])> {
        let of_item = self.associations.iter().filter(move |(of, _)| *of == item);
        of_item
            .filter_map(|(_, index)| self.properties.get(index.checked_sub(1)?))
            .filter_map(|(kind, content)| Some(((*kind).try_into().ok()?, *content)))
    }

    /// Width and height, as the boxes say.
    fn size(&self, item: u32) -> Option<(u32, u32)> {
        let (_, content) = self.properties(item).find(|(kind, _)| *kind == b"ispe")?;
        let mut fields = Fields(content.get(4..)?);
        Some((fields.either(true)?, fields.either(true)?))
    }

    /// The item that holds the opacity of the primary one.
    fn alpha(&self) -> Option<u32> {
        let is_alpha = |item: u32| {
            let mut properties = self.properties(item);
            properties.any(|(kind, content)| kind == b"auxC" && content.get(4..) == Some(ALPHA))
        };
        let with_primary = self.auxiliary.iter().filter(|(_, to)| *to == self.primary);
        with_primary.map(|(from, _)| *from).find(|item| is_alpha(*item))
    }

    /// The content of an item; `None` if it is not all there.
    fn data(&self, item: u32, bytes: &[u8]) -> Option<Vec<u8>> {
        let place = self.places.iter().find(|place| place.item == item)?;
        let from = if place.is_inside { self.inside } else { bytes };
        let mut data = Vec::new();
        for (offset, length) in &place.extents {
            let rest = from.get(usize::try_from(*offset).ok()?..)?;
            let length = if *length == 0 { rest.len() } else { usize::try_from(*length).ok()? };
            // Extents may overlap, so that a short file could ask for more.
            if data.len() + length > bytes.len() {
                return None;
            }
            data.extend_from_slice(rest.get(..length)?);
        }
        Some(data)
    }
}

/// The boxes of `bytes` one after another, each with its type; a last one that
/// is cut short comes as far as it goes.
fn boxes(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let mut fields = Fields(rest);
        let (short, kind) = (fields.number(4)?, fields.take(4)?);
        let length = match short {
            0 => rest.len(),
            1 => usize::try_from(fields.number(8)?).ok()?,
            length => usize::try_from(length).ok()?,
        };
        let header = rest.len() - fields.0.len();
        let end = length.min(rest.len());
        let content = rest.get(header..end)?;
        rest = &rest[end..];
        Some((kind, content))
    })
}

/// Numbers, most significant byte first, one after another.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, bytes: u8) -> Option<u64> {
        if bytes > 8 {
            return None;
        }
        let taken = self.take(usize::from(bytes))?;
        Some(taken.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A number of four bytes if it is `wide`, else of two.
    fn either(&mut self, wide: bool) -> Option<u32> {
        u32::try_from(self.number(if wide { 4 } else { 2 })?).ok()
    }

    /// The version of a box, whose flags are passed over.
    fn version(&mut self) -> Option<u8> {
        self.take(4).map(|head| head[0])
    }
}
