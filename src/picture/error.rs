//! Why a file could not be shown or embedded, as an entry in a list.

use std::io;

use image::error::{ImageFormatHint, LimitErrorKind, UnsupportedError, UnsupportedErrorKind};
use image::{ImageError, ImageFormat};

use crate::domain::Printable;

/// What is wrong with one picture file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system would not give its content.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// A folder, FIFO, socket or device.
    #[error("is not a regular file")]
    NotAFile,
    /// A file without content.
    #[error("is empty")]
    Empty,
    /// Not a picture at all.
    #[error("is not a picture")]
    NotAPicture,
    /// A picture of a kind that is not decoded.
    #[error("is in the {0} format, which is not supported")]
    Unsupported(&'static str),
    /// A picture of a format that is decoded, but not of all its kinds.
    #[error("is a {format} picture of a kind that is not supported: {reason}")]
    UnsupportedKind {
        /// Name of the format.
        format: &'static str,
        /// What its decoder does not know.
        reason: String,
    },
    /// More bytes than are read.
    #[error("is too long to be a picture ({} MiB)", bytes >> 20)]
    FileTooLong {
        /// Length of the file.
        bytes: u64,
    },
    /// More pixels than are decoded.
    #[error("is too large ({width} x {height} pixels)")]
    TooLarge {
        /// Pixels from left to right.
        width: u32,
        /// Pixels from top to bottom.
        height: u32,
    },
    /// More memory than is given to one picture.
    #[error("needs more memory than one picture may take")]
    TooMuchMemory,
    /// Truncated or damaged.
    #[error("is damaged: {0}")]
    Damaged(String),
    /// The process that decodes it could not be started.
    #[error("cannot be decoded now: its decoder does not start: {0}")]
    NoDecoder(#[source] io::Error),
    /// The process that decodes it was ended by another one, as by the system
    /// for want of memory, or had too little memory from the start.
    #[error("cannot be decoded now: its decoder was ended, or had too little memory")]
    DecoderEnded,
}

impl Error {
    /// Whether there is no such file.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        use io::ErrorKind::{NotADirectory, NotFound};
        matches!(self, Self::Unreadable(e) if matches!(e.kind(), NotFound | NotADirectory))
    }

    /// Whether only a change of the file can help.
    #[must_use]
    pub fn lasts(&self) -> bool {
        !matches!(self, Self::Unreadable(_) | Self::NoDecoder(_) | Self::DecoderEnded)
    }

    /// The format of a picture that is as good as any and yet not decoded, for
    /// counting.
    #[must_use]
    pub fn unsupported_format(&self) -> Option<&'static str> {
        match self {
            Self::Unsupported(format) | Self::UnsupportedKind { format, .. } => Some(format),
            _ => None,
        }
    }

    pub(super) fn ends_too_early() -> Self {
        Self::Damaged("it ends too early".into())
    }

    /// A decoder that panicked, aborted, or was ended.
    pub(super) fn gave_up() -> Self {
        Self::Damaged("its decoder gave up".into())
    }

    pub(super) fn from_image(error: ImageError) -> Self {
        match error {
            ImageError::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                Self::ends_too_early()
            }
            // The bytes are in memory: this is how some decoders call them wrong.
            ImageError::IoError(e) => Self::Damaged(one_line(&e)),
            ImageError::Limits(limit) => match limit.kind() {
                LimitErrorKind::DimensionError => Self::Damaged("its size makes no sense".into()),
                _ => Self::TooMuchMemory,
            },
            ImageError::Unsupported(unsupported) => match unsupported.kind() {
                UnsupportedErrorKind::Format(_) => Self::NotAPicture,
                kind => Self::UnsupportedKind {
                    format: name(&unsupported),
                    reason: match kind {
                        UnsupportedErrorKind::GenericFeature(feature) => one_line(&feature),
                        UnsupportedErrorKind::Color(color) => {
                            format!("its colour type is {color:?}")
                        }
                        _ => one_line(&unsupported),
                    },
                },
            },
            other => Self::Damaged(one_line(&other)),
        }
    }
}

/// The name of the format that a decoder is for.
fn name(unsupported: &UnsupportedError) -> &'static str {
    match unsupported.format_hint() {
        ImageFormatHint::Exact(ImageFormat::Bmp) => "BMP",
        ImageFormatHint::Exact(ImageFormat::Gif) => "GIF",
        ImageFormatHint::Exact(ImageFormat::Jpeg) => "JPEG",
        ImageFormatHint::Exact(ImageFormat::Png) => "PNG",
        ImageFormatHint::Exact(ImageFormat::Tiff) => "TIFF",
        ImageFormatHint::Exact(ImageFormat::WebP) => "WebP",
        _ => "rare",
    }
}

/// A decoder's message may quote the file.
pub(super) fn one_line(error: &dyn std::fmt::Display) -> String {
    Printable::new(&error.to_string()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_a_decoder_does_not_know_is_not_called_damaged() {
        let feature = UnsupportedErrorKind::GenericFeature("two\n\x1b[2Jlines".into());
        let format = ImageFormat::Bmp.into();
        let unsupported = UnsupportedError::from_format_and_kind(format, feature);
        let error = Error::from_image(ImageError::Unsupported(unsupported));
        assert_eq!(error.unsupported_format(), Some("BMP"));
        let text = error.to_string();
        assert!(text.starts_with("is a BMP picture of a kind that is not supported: two"));
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}
