//! The boxes of an AVIF file (ISO 23008-12 and 23000-22, AVIF 1.1), as far as a
//! still picture needs them: where its data lie, its tiles, its alpha, and how
//! it is to be turned.
//!
//! Of what is in the boxes, no more is kept than a picture needs, however often
//! a file says it.

use super::Error;

/// Items beyond this number are not looked at, nor properties. A picture of 64
/// megapixels in tiles of 512 x 512, with alpha, has five hundred.
const MAX_ITEMS: usize = 1024;

/// What a properties box says about items beyond this number is not looked at.
const MAX_ASSOCIATIONS: usize = 16 * MAX_ITEMS;

/// An item in more parts than this makes no sense.
const MAX_EXTENTS: u64 = 256;

const ALPHA: &[u8] = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0";

/// Kinds of AVIF that are not decoded, by name.
pub(super) const UNSUPPORTED: [&str; 2] = ["AVIF sequence", "AVIF overlay"];

/// A still picture, still coded.
#[derive(Debug)]
pub(super) struct Still<'a> {
    pub(super) colour: Coded<'a>,
    /// The opacity, of the same size.
    pub(super) alpha: Option<Coded<'a>>,
    /// Colour space, if it is said outside the AV1 data.
    pub(super) space: Option<Space>,
    /// Quarter turns against the clock, made before it is mirrored.
    pub(super) quarter_turns: u8,
    pub(super) mirror: Option<Mirror>,
}

/// A plane or three, whole or in tiles.
#[derive(Debug)]
pub(super) struct Coded<'a> {
    /// Width and height, neither of them zero.
    pub(super) size: (u32, u32),
    /// Width and height of each tile; what reaches beyond `size` is cut off.
    pub(super) tile_size: (u32, u32),
    /// How many tiles there are beside each other.
    pub(super) columns: u32,
    /// From left to right and from top to bottom: the AV1 data of a tile, in
    /// parts that follow one another.
    pub(super) tiles: Vec<Vec<&'a [u8]>>,
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
/// If the file ends before its picture does, if the boxes do not fit together,
/// if they say that it or its tiles have more than `max_pixels`, or if it is of
/// a kind in [`UNSUPPORTED`].
pub(super) fn still(bytes: &[u8], max_pixels: u64) -> Result<Still<'_>, Error> {
    let has = |wanted: &[u8]| boxes(bytes).any(|one| one.kind == wanted);
    let meta = match boxes(bytes).find(|one| one.kind == b"meta") {
        Some(one) if one.is_cut => return Err(Error::ends_too_early()),
        Some(one) => Meta::read(one.content).ok_or_else(nonsense)?,
        None if has(b"moov") => return Err(Error::Unsupported(UNSUPPORTED[0])),
        None => return Err(Error::ends_too_early()),
    };
    let colour = meta.coded(meta.primary, bytes, max_pixels)?;
    let alpha = match meta.alpha() {
        Some(item) if meta.size(item)? != colour.size => {
            return Err(Error::Damaged("its alpha is of another size".into()));
        }
        Some(item) => Some(meta.coded(item, bytes, max_pixels)?),
        None => None,
    };
    let mut still = Still { colour, alpha, space: None, quarter_turns: 0, mirror: None };
    for (kind, property) in meta.properties(meta.primary) {
        match (kind, property) {
            (b"irot", [angle, ..]) => still.quarter_turns = angle & 3,
            (b"imir", [axis, ..]) => {
                let is_sideways = axis & 1 == 1;
                still.mirror =
                    Some(if is_sideways { Mirror::LeftAndRight } else { Mirror::TopAndBottom });
            }
            _ => {}
        }
    }
    // A picture of tiles may leave it to them.
    let first = meta.tiles(meta.primary).next();
    still.space = meta.space(meta.primary).or_else(|| meta.space(first?));
    Ok(still)
}

fn nonsense() -> Error {
    Error::Damaged("its boxes make no sense".into())
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
    /// Type, item, and the item it refers to.
    references: Vec<([u8; 4], u32, u32)>,
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

/// How tiles are put together.
struct Grid {
    columns: u32,
    rows: u32,
    /// Width and height of the whole.
    size: (u32, u32),
}

impl Grid {
    /// The content of a `grid` item.
    fn read(content: &[u8]) -> Option<Self> {
        let mut fields = Fields(content);
        let wide = fields.number(2)? & 1 == 1;
        let rows = u32::try_from(fields.number(1)?).ok()? + 1;
        let columns = u32::try_from(fields.number(1)?).ok()? + 1;
        Some(Self { columns, rows, size: (fields.either(wide)?, fields.either(wide)?) })
    }

    /// Width and height of all tiles together, each of them this large.
    fn laid_out(&self, tile: (u32, u32)) -> (u64, u64) {
        let side = |count: u32, side: u32| u64::from(count) * u64::from(side);
        (side(self.columns, tile.0), side(self.rows, tile.1))
    }
}

impl<'a> Meta<'a> {
    fn read(content: &'a [u8]) -> Option<Self> {
        let mut meta = Self::default();
        for IsoBox { kind, content, .. } in boxes(content.get(4..)?) {
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
        let room = MAX_ITEMS - self.kinds.len();
        for entry in boxes(fields.0).take(room) {
            let mut fields = Fields(entry.content);
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
        let room = MAX_ITEMS - self.places.len();
        for _ in 0..(fields.either(version > 1)? as usize).min(room) {
            let item = fields.either(version > 1)?;
            let method = if version > 0 { fields.number(2)? & 15 } else { 0 };
            fields.take(2)?;
            let base = fields.number(base)?;
            let mut extents = Vec::new();
            let count = fields.number(2)?;
            if count > MAX_EXTENTS {
                return None;
            }
            for _ in 0..count {
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
        for IsoBox { kind, content, .. } in boxes(content) {
            if kind == b"ipco" {
                let room = MAX_ITEMS - self.properties.len();
                let properties = boxes(content).map(|one| (one.kind, one.content));
                self.properties.extend(properties.take(room));
            }
            if kind == b"ipma" {
                let mut fields = Fields(content);
                let wide_index = content.get(3)? & 1 == 1;
                let wide_item = fields.version()? > 0;
                for _ in 0..fields.number(4)? {
                    let item = fields.either(wide_item)?;
                    for _ in 0..fields.number(1)? {
                        let index = fields.number(if wide_index { 2 } else { 1 })?;
                        let index = index & if wide_index { 0x7fff } else { 0x7f };
                        if self.associations.len() == MAX_ASSOCIATIONS {
                            return Some(());
                        }
                        self.associations.push((item, usize::try_from(index).ok()?));
                    }
                }
            }
        }
        Some(())
    }

    fn read_references(&mut self, mut fields: Fields<'a>) -> Option<()> {
        let wide = fields.version()? > 0;
        for IsoBox { kind, content, .. } in boxes(fields.0) {
            let mut fields = Fields(content);
            let from = fields.either(wide)?;
            for _ in 0..fields.number(2)? {
                if self.references.len() == MAX_ASSOCIATIONS {
                    return Some(());
                }
                self.references.push((kind.try_into().ok()?, from, fields.either(wide)?));
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

    /// Width and height as the `ispe` property says, which every item has.
    fn size(&self, item: u32) -> Result<(u32, u32), Error> {
        let size = || {
            let (_, content) = self.properties(item).find(|(kind, _)| *kind == b"ispe")?;
            let mut fields = Fields(content.get(4..)?);
            Some((fields.either(true)?, fields.either(true)?))
        };
        size().filter(|(width, height)| *width > 0 && *height > 0).ok_or_else(nonsense)
    }

    fn space(&self, item: u32) -> Option<Space> {
        self.properties(item).find_map(|property| match property {
            (b"colr", [b'n', b'c', b'l', b'x', _, _, _, _, high, low, range, ..]) => {
                let matrix = u16::from_be_bytes([*high, *low]);
                Some(Space { matrix, full_range: range >> 7 == 1 })
            }
            _ => None,
        })
    }

    /// The item that holds the opacity of the primary one.
    fn alpha(&self) -> Option<u32> {
        let is_alpha = |item: u32| {
            let mut properties = self.properties(item);
            properties.any(|(kind, content)| kind == b"auxC" && content.get(4..) == Some(ALPHA))
        };
        let goes_with_primary = |(kind, from, to): &([u8; 4], u32, u32)| {
            (kind == b"auxl" && *to == self.primary).then_some(*from)
        };
        self.references.iter().filter_map(goes_with_primary).find(|item| is_alpha(*item))
    }

    /// The items that this one is put together from.
    fn tiles(&self, item: u32) -> impl Iterator<Item = u32> {
        let of_item = move |(kind, from, to): &([u8; 4], u32, u32)| {
            (kind == b"dimg" && *from == item).then_some(*to)
        };
        self.references.iter().filter_map(of_item)
    }

    /// An item of AV1 data or of tiles.
    fn coded(&self, item: u32, bytes: &'a [u8], max_pixels: u64) -> Result<Coded<'a>, Error> {
        let within_limits = |width: u64, height: u64| match width.checked_mul(height) {
            Some(pixels) if pixels <= max_pixels => Ok(()),
            _ => {
                let side = |side| u32::try_from(side).unwrap_or(u32::MAX);
                Err(Error::TooLarge { width: side(width), height: side(height) })
            }
        };
        match self.kind(item).as_ref() {
            Some(b"av01") => {
                let size = self.size(item)?;
                within_limits(size.0.into(), size.1.into())?;
                let tiles = vec![self.data(item, bytes)?];
                Ok(Coded { size, tile_size: size, columns: 1, tiles })
            }
            Some(b"grid") => {
                let grid = Grid::read(&self.data(item, bytes)?.concat()).ok_or_else(nonsense)?;
                let (size, columns) = (grid.size, grid.columns);
                let tiles: Vec<u32> = self.tiles(item).collect();
                let tile_size = self.size(*tiles.first().ok_or_else(nonsense)?)?;
                let is_tile = |tile: &u32| {
                    self.kind(*tile) == Some(*b"av01")
                        && self.size(*tile).is_ok_and(|size| size == tile_size)
                };
                let (width, height) = grid.laid_out(tile_size);
                if self.size(item)? != size
                    || width < u64::from(size.0)
                    || height < u64::from(size.1)
                    || tiles.len() as u64 != u64::from(columns) * u64::from(grid.rows)
                    || !tiles.iter().all(is_tile)
                {
                    return Err(nonsense());
                }
                within_limits(width, height)?;
                let tiles = tiles.iter().map(|tile| self.data(*tile, bytes));
                Ok(Coded { size, tile_size, columns, tiles: tiles.collect::<Result<_, _>>()? })
            }
            Some(b"iovl") => Err(Error::Unsupported(UNSUPPORTED[1])),
            _ => Err(nonsense()),
        }
    }

    /// The content of an item in its parts, together no longer than the file.
    fn data(&self, item: u32, bytes: &'a [u8]) -> Result<Vec<&'a [u8]>, Error> {
        let place = self.places.iter().find(|place| place.item == item).ok_or_else(nonsense)?;
        let from = if place.is_inside { self.inside } else { bytes };
        let part = |(offset, length): &(u64, u64)| {
            let rest = from.get(usize::try_from(*offset).ok()?..)?;
            match usize::try_from(*length).ok()? {
                0 => Some(rest),
                length => rest.get(..length),
            }
        };
        let parts: Option<Vec<_>> = place.extents.iter().map(part).collect();
        let parts = parts.ok_or_else(Error::ends_too_early)?;
        // They may overlap, so that a short file could ask for much.
        if parts.iter().map(|part| part.len() as u64).sum::<u64>() > bytes.len() as u64 {
            return Err(nonsense());
        }
        Ok(parts)
    }
}

/// A box of ISO 14496-12.
#[derive(Clone, Copy)]
struct IsoBox<'a> {
    /// Four letters.
    kind: &'a [u8],
    content: &'a [u8],
    /// Whether it is longer than what is there of it.
    is_cut: bool,
}

/// The boxes of `bytes` one after another; a last one that is cut short comes as
/// far as it goes.
fn boxes(bytes: &[u8]) -> impl Iterator<Item = IsoBox<'_>> {
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
        Some(IsoBox { kind, content, is_cut: length > end })
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
