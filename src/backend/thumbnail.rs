//! A picture file, decoded and shrunk for a pane.

use std::path::PathBuf;
use std::sync::Arc;

use image::DynamicImage;
use tokio::task::spawn_blocking;

use super::message::{Failure, Thumbnail};
use crate::domain::PixelSize;
use crate::picture::{self, Detail};

/// The picture at `path`, no larger than `bounds`.
pub(super) async fn thumbnail(path: PathBuf, bounds: PixelSize) -> Result<Thumbnail, Failure> {
    let read = move || {
        let decoded = picture::read(&path).and_then(|bytes| picture::decode(&bytes, Detail::Full));
        let decoded = decoded.map_err(|e| Failure::picture(&path, &e))?;
        Ok(shrunk(decoded.picture, bounds))
    };
    spawn_blocking(read).await.map_err(|e| Failure::new("reading the picture", &e))?
}

/// `picture`, no larger than `bounds`.
pub(super) fn shrunk(picture: DynamicImage, bounds: PixelSize) -> Thumbnail {
    let pixels = picture::pixel_size(&picture);
    let fits = pixels.width <= bounds.width && pixels.height <= bounds.height;
    let picture = if fits { picture } else { picture.thumbnail(bounds.width, bounds.height) };
    Thumbnail { picture: Arc::new(picture), pixels }
}
