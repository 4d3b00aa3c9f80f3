//! Turns a decoded picture into a [`Picture`] for the terminal at hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use image::DynamicImage;
use ratatui::layout::Size;

use super::kitty::{self, Anchor, ImageNumber};
use super::placements::KittyImage;
use super::resample::resample;
use super::size::{Fit, fit, fit_sixel, within};
use super::{Capture, CellSize, Picture, Placements, Protocol, diacritics, tmux};

/// More pixels than this only make a large window slow; kitty and `iTerm2`
/// enlarge the picture to its cells themselves.
const PIXELS: u32 = 1_000_000;
/// The same over a network, where they take about 2 bytes each.
const PIXELS_REMOTE: u32 = 300_000;

/// Why a picture could not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no room for even a cell of it, or nothing to show.
    #[error("there is no room to draw the picture")]
    NoRoom,
    /// The screen has been left meanwhile.
    #[error("the screen has been left")]
    Ended,
    /// viuer printed something unknown to this program.
    #[error("viuer drew the picture in an unknown way")]
    Unexpected,
    /// viuer could not draw it.
    #[error("viuer could not draw the picture")]
    Viuer(#[from] viuer::ViuError),
    /// What it drew could not be read back.
    #[error("what viuer drew could not be read back")]
    Capture(#[from] std::io::Error),
}

/// What an encoder has to know of the terminal.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How pictures reach it.
    pub protocol: Protocol,
    /// Whether half-blocks may have any colour, or one of 256.
    pub truecolor: bool,
    /// Whether tmux is in between.
    pub tmux: bool,
    /// Whether a network is in between.
    pub remote: bool,
}

/// Encodes pictures for one screen. Clones share it; at most one picture is
/// encoded at a time.
#[derive(Clone, Debug)]
pub struct Encoder(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: Settings,
    capture: Arc<Capture>,
    placements: Arc<Placements>,
    /// Width and height of a cell, 16 bits each.
    cell: AtomicU32,
    encoded: AtomicU32,
}

impl Encoder {
    pub(in crate::ui) fn new(
        settings: Settings,
        cell: CellSize,
        capture: Arc<Capture>,
        placements: Arc<Placements>,
    ) -> Self {
        let encoded = AtomicU32::new(1);
        let cell = AtomicU32::new(pack(cell));
        Self(Arc::new(Shared { settings, capture, placements, cell, encoded }))
    }

    /// How pictures reach the terminal.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.0.settings.protocol
    }

    /// `image` (upright) as large as its shape allows within `area` cells, but
    /// enlarged threefold at most. The result is for the size the terminal's
    /// cells have now: encode again after a resize.
    ///
    /// Blocks, up to half a second for sixels: call it from
    /// `tokio::task::spawn_blocking` or a thread.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`] if `area` or `image` is empty or too small,
    /// [`Error::Ended`] after the screen is gone; the others are viuer's.
    pub fn encode(&self, image: &DynamicImage, area: Size) -> Result<Picture, Error> {
        if image.width() == 0 || image.height() == 0 {
            return Err(Error::NoRoom);
        }
        match self.protocol() {
            Protocol::Blocks => self.encode_blocks(image, area),
            Protocol::Sixel => self.encode_sixel(image, area),
            Protocol::Iterm => self.encode_iterm(image, area),
            Protocol::Kitty => self.encode_kitty(image, area, Anchor::Cursor),
            Protocol::KittyPlaceholder => self.encode_kitty(image, area, Anchor::Placeholders),
        }
    }

    fn encode_blocks(&self, image: &DynamicImage, area: Size) -> Result<Picture, Error> {
        let Fit { cells, .. } = self.fit(image, area)?;
        let halves = (u32::from(cells.width), 2 * u32::from(cells.height));
        Picture::from_half_blocks(&self.print(&resample(image, halves), cells, |_| {})?)
    }

    fn encode_sixel(&self, image: &DynamicImage, area: Size) -> Result<Picture, Error> {
        let size = (image.width(), image.height());
        let fit = fit_sixel(size, area, self.cell()).ok_or(Error::NoRoom)?;
        let pixels = (6 * u32::from(fit.viuer_cells.width), 12 * u32::from(fit.viuer_cells.height));
        let image = resample(image, pixels);
        let sixel = self.print(&image, fit.viuer_cells, |config| config.use_sixel = true)?;
        Ok(self.escape(&sixel, fit.cells))
    }

    fn encode_iterm(&self, image: &DynamicImage, area: Size) -> Result<Picture, Error> {
        let fit = self.fit(image, area)?;
        let image = self.shrink(image, fit.pixels);
        let inline = self.print(&image, fit.cells, |config| config.use_iterm = true)?;
        // Or a picture that ends on the last row scrolls the screen.
        let inline = inline.replacen("inline=1;", "inline=1;doNotMoveCursor=1;", 1);
        Ok(self.escape(&inline, fit.cells))
    }

    fn encode_kitty(
        &self,
        image: &DynamicImage,
        area: Size,
        anchor: Anchor,
    ) -> Result<Picture, Error> {
        let numbered =
            Size::new(area.width.min(diacritics::COUNT), area.height.min(diacritics::COUNT));
        let fit = self.fit(image, if anchor == Anchor::Cursor { area } else { numbered })?;
        let image = self.shrink(image, fit.pixels);
        let printed = self.print(&image, fit.cells, |config| config.use_kitty = true)?;
        let id = ImageNumber::nth(self.0.encoded.fetch_add(1, Ordering::Relaxed));
        let sequences = kitty::transmission(&printed, fit.cells, id, anchor)?;
        let envelope = if self.0.settings.tmux { tmux::wrap } else { str::to_owned };
        let transmission = sequences.iter().map(|sequence| envelope(sequence)).collect();
        let image = KittyImage { id, anchor, transmission };
        Ok(Picture::from_kitty(image, fit.cells, Arc::clone(&self.0.placements)))
    }

    /// What viuer prints at the cursor; it prints half-blocks unless `permit`
    /// permits a protocol.
    fn print(
        &self,
        image: &DynamicImage,
        cells: Size,
        permit: impl FnOnce(&mut viuer::Config),
    ) -> Result<String, Error> {
        let mut config = viuer::Config {
            absolute_offset: false,
            width: Some(cells.width.into()),
            height: Some(cells.height.into()),
            truecolor: self.0.settings.truecolor,
            use_kitty: false,
            use_iterm: false,
            use_sixel: false,
            ..viuer::Config::default()
        };
        permit(&mut config);
        self.0.capture.print(image, &config)
    }

    /// A picture that is one sequence. viuer ends it with a line feed, which
    /// would scroll the screen.
    fn escape(&self, sequence: &str, cells: Size) -> Picture {
        let sequence = sequence.trim_end_matches(['\r', '\n']).to_owned();
        Picture::from_escape(sequence, cells, Arc::clone(&self.0.placements))
    }

    fn fit(&self, image: &DynamicImage, area: Size) -> Result<Fit, Error> {
        fit((image.width(), image.height()), area, self.cell()).ok_or(Error::NoRoom)
    }

    /// No more pixels than are shown, and no more than are bearable.
    fn shrink(&self, image: &DynamicImage, shown: (u32, u32)) -> DynamicImage {
        let most = if self.0.settings.remote { PIXELS_REMOTE } else { PIXELS };
        let shown = within(shown, most);
        let smaller = image.width() <= shown.0 && image.height() <= shown.1;
        resample(image, if smaller { (image.width(), image.height()) } else { shown })
    }

    fn cell(&self) -> CellSize {
        let packed = self.0.cell.load(Ordering::Relaxed);
        let [a, b, c, d] = packed.to_be_bytes();
        CellSize { width: u16::from_be_bytes([a, b]), height: u16::from_be_bytes([c, d]) }
    }

    /// The window's font has changed.
    pub(in crate::ui) fn set_cell(&self, cell: CellSize) {
        self.0.cell.store(pack(cell), Ordering::Relaxed);
    }
}

fn pack(cell: CellSize) -> u32 {
    u32::from(cell.width) << 16 | u32::from(cell.height)
}
