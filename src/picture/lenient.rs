//! A decoder that keeps what it has decoded when its file ends too early.

use std::cell::Cell;
use std::io;

use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageError, ImageResult, Limits};

/// `inner`, which leaves the rows that never came at zero and notes it in
/// `ended_early`. Only for decoders that write one row after another.
pub(super) struct Lenient<'a, D> {
    pub(super) inner: D,
    pub(super) ended_early: &'a Cell<bool>,
}

impl<D: ImageDecoder> ImageDecoder for Lenient<'_, D> {
    fn dimensions(&self) -> (u32, u32) {
        self.inner.dimensions()
    }

    fn color_type(&self) -> ColorType {
        self.inner.color_type()
    }

    fn orientation(&mut self) -> ImageResult<Orientation> {
        self.inner.orientation()
    }

    fn set_limits(&mut self, limits: Limits) -> ImageResult<()> {
        self.inner.set_limits(limits)
    }

    fn read_image(self, buffer: &mut [u8]) -> ImageResult<()> {
        match self.inner.read_image(buffer) {
            Err(ImageError::IoError(e)) if e.kind() == io::ErrorKind::UnexpectedEof => {
                self.ended_early.set(true);
                Ok(())
            }
            done => done,
        }
    }

    fn read_image_boxed(self: Box<Self>, buffer: &mut [u8]) -> ImageResult<()> {
        (*self).read_image(buffer)
    }
}
