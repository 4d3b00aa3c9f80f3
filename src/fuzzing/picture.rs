//! Pictures by any bytes.

use crate::picture::{self, Detail};

/// A file of these bytes is a picture or an error, however large it has to be.
pub fn picture(bytes: &[u8]) {
    let _ = picture::memory(bytes, Detail::Full);
    let _ = picture::decode(bytes, Detail::ForShortSide(8));
    if let Ok(decoded) = picture::decode(bytes, Detail::Full) {
        let size = picture::pixel_size(&decoded.picture);
        let flat = picture::flatten(decoded.picture);
        assert_eq!((flat.width(), flat.height()), (size.width, size.height));
    }
}
