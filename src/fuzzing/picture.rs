//! Pictures by any bytes.

use crate::picture;

/// A file of these bytes is a picture or an error.
pub fn picture(bytes: &[u8]) {
    if let Ok(decoded) = picture::decode(bytes) {
        let size = picture::pixel_size(&decoded.picture);
        let flat = picture::flatten(decoded.picture);
        assert_eq!((flat.width(), flat.height()), (size.width, size.height));
    }
}
