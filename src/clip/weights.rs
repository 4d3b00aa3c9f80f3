//! A checkpoint's tensors, read from a safetensors file one by one.
//!
//! Tensors are asked for by the names that transformers gives them and always
//! come out as f32, whatever the file holds. The file is mapped for what is
//! looked at here and there; tensors are read, as pages of a map that were read
//! once would count as memory of this process ever after.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use memmap2::Mmap;
use safetensors::SafeTensors;
use safetensors::tensor::{Metadata, TensorInfo};

use super::Error;
use super::config::malformed;
use super::open_clip::{self, Stored};
use super::reader::Tower;

/// Bytes that are read at a time: they stay in the nearest cache.
const PIECE: usize = 256 << 10;

/// The bytes of a safetensors file, and where each tensor lies in them.
pub(super) struct Weights {
    bytes: Bytes,
    /// Where the tensors start: after the header.
    start: usize,
    metadata: Metadata,
    /// `open_clip`'s names are used, with this prefix for the text tower.
    open_clip: Option<&'static str>,
}

enum Bytes {
    Stored { map: Mmap, file: File, path: PathBuf },
    Compiled(&'static [u8]),
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Stored { map, .. } => map,
            Self::Compiled(bytes) => bytes,
        }
    }

    /// Calls `take` with the bytes of a range, piece by piece; all but the last
    /// are as long as [`PIECE`].
    fn each_piece(&self, range: Range<usize>, mut take: impl FnMut(&[u8])) -> Result<(), Error> {
        match self {
            #[cfg(unix)]
            Self::Stored { file, path, .. } => {
                let mut buffer = vec![0; PIECE.min(range.len())];
                for at in range.clone().step_by(PIECE) {
                    let piece = &mut buffer[..PIECE.min(range.end - at)];
                    std::os::unix::fs::FileExt::read_exact_at(file, piece, at as u64)
                        .map_err(|source| Error::Unreadable { path: path.clone(), source })?;
                    take(piece);
                }
            }
            #[cfg(not(unix))]
            Self::Stored { map, .. } => map[range].chunks(PIECE).for_each(take),
            Self::Compiled(bytes) => bytes[range].chunks(PIECE).for_each(take),
        }
        Ok(())
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weights")
            .field("bytes", &self.bytes.as_slice().len())
            .finish_non_exhaustive()
    }
}

impl Weights {
    /// Maps the file at `path`; nothing but its header is read yet.
    pub(super) fn map(path: &Path) -> Result<Self, Error> {
        let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        #[expect(
            unsafe_code,
            reason = "reading 600 MB instead of mapping it would cost every start"
        )]
        // SAFETY: the map is only read. Checkpoint files are written once, under
        // another name, and renamed; a file cut short by someone else while a part
        // that is gone is looked at ends the program with SIGBUS, as it does for
        // every reader of mapped safetensors.
        let map = unsafe { Mmap::map(&file) }.map_err(unreadable)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self::parse(Bytes::Stored { map, file, path: path.to_owned() }, &name)
    }

    /// Uses a file that is compiled into the program.
    pub(super) fn compiled(bytes: &'static [u8]) -> Result<Self, Error> {
        Self::parse(Bytes::Compiled(bytes), "model.safetensors")
    }

    fn parse(bytes: Bytes, file: &str) -> Result<Self, Error> {
        let (header, metadata) = SafeTensors::read_metadata(bytes.as_slice())
            .map_err(|e| malformed(file, &format!("{e} (was it downloaded in full?)")))?;
        let names = metadata.offset_keys();
        let open_clip = open_clip::text_prefix(names.iter().map(String::as_str));
        Ok(Self { bytes, start: header + size_of::<u64>(), metadata, open_clip })
    }

    /// The file's bytes, for a fingerprint.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// Length of the header with its length field.
    pub(super) fn header_len(&self) -> usize {
        self.start
    }

    /// The tensor of this name, which must have this shape, and how many bytes
    /// of the file are in it.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<(Tensor, u64), Error> {
        let stored = self.locate(name);
        let info = self.info(&stored)?;
        let expected = stored.shape(shape);
        if info.shape != expected {
            return Err(Error::Shape { tensor: stored.name, expected, actual: info.shape.clone() });
        }
        let (mut range, mut read) = (self.range_of(info), expected);
        if let Some(third) = stored.third {
            let length = range.len() / 3;
            let start = range.start + third * length;
            (range, read[0]) = (start..start + length, shape[0]);
        }
        let bytes = range.len() as u64;
        let tensor = self.read(info, range, &read)?;
        Ok((if stored.transposed { tensor.t()?.contiguous()? } else { tensor }, bytes))
    }

    /// The shape of a tensor whose size the configuration does not give.
    pub(super) fn shape_of(&self, name: &str) -> Result<&[usize], Error> {
        Ok(&self.info(&self.locate(name))?.shape)
    }

    /// How many bytes of the file [`Weights::tensor`] reads for a tower.
    pub(super) fn tower_bytes(&self, tower: Tower) -> u64 {
        let names = self.metadata.offset_keys();
        let of_tower = names.iter().filter(|name| Tower::of(name) == Some(tower));
        of_tower.filter_map(|name| self.metadata.info(name)).map(length).sum()
    }

    /// Some rows of a `[rows, width]` tensor, without reading the others: a
    /// token embedding has 49,408 rows, a query needs five.
    pub(super) fn rows(
        &self,
        name: &str,
        shape: [usize; 2],
        rows: &[u32],
    ) -> Result<Tensor, Error> {
        let stored = self.locate(name);
        let info = self.info(&stored)?;
        if info.shape != shape {
            let actual = info.shape.clone();
            return Err(Error::Shape { tensor: stored.name, expected: shape.to_vec(), actual });
        }
        let bytes = &self.bytes.as_slice()[self.range_of(info)];
        let row_len = bytes.len() / shape[0].max(1);
        let mut picked = Vec::with_capacity(rows.len() * row_len);
        for &row in rows {
            let row = row as usize;
            if row >= shape[0] {
                return Err(malformed("tokenizer.json", "it has more tokens than the model"));
            }
            picked.extend_from_slice(&bytes[row * row_len..(row + 1) * row_len]);
        }
        convert(info, &picked, &[rows.len(), shape[1]])
    }

    fn locate(&self, name: &str) -> Stored {
        match self.open_clip {
            Some(text_prefix) => open_clip::locate(name, text_prefix),
            None => Stored { name: name.to_owned(), third: None, transposed: false },
        }
    }

    fn info(&self, stored: &Stored) -> Result<&TensorInfo, Error> {
        self.metadata.info(&stored.name).ok_or_else(|| Error::MissingTensor(stored.name.clone()))
    }

    /// In range by [`SafeTensors::read_metadata`], which checks the header
    /// against the length of the file.
    fn range_of(&self, info: &TensorInfo) -> Range<usize> {
        let (from, to) = info.data_offsets;
        self.start + from..self.start + to
    }

    fn read(
        &self,
        info: &TensorInfo,
        range: Range<usize>,
        shape: &[usize],
    ) -> Result<Tensor, Error> {
        if info.dtype == safetensors::Dtype::F32 {
            let mut values = Vec::with_capacity(range.len() / size_of::<f32>());
            let floats = |piece: &[u8]| {
                values.extend(piece.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            };
            self.bytes.each_piece(range, floats)?;
            return Ok(Tensor::from_vec(values, shape, &Device::Cpu)?);
        }
        let mut bytes = Vec::with_capacity(range.len());
        self.bytes.each_piece(range, |piece| bytes.extend_from_slice(piece))?;
        convert(info, &bytes, shape)
    }
}

fn convert(info: &TensorInfo, bytes: &[u8], shape: &[usize]) -> Result<Tensor, Error> {
    let dtype = DType::try_from(info.dtype)
        .map_err(|_| Error::Unsupported(format!("weights of type {:?}", info.dtype)))?;
    if !dtype.is_float() {
        return Err(Error::Unsupported(format!("weights of type {:?}", info.dtype)));
    }
    let tensor = Tensor::from_raw_buffer(bytes, dtype, shape, &Device::Cpu)?;
    Ok(tensor.to_dtype(DType::F32)?)
}

fn length(info: &TensorInfo) -> u64 {
    (info.data_offsets.1 - info.data_offsets.0) as u64
}

impl Tower {
    /// Whose the tensor of this name is that is read as a whole, under the
    /// names of transformers or `open_clip`.
    fn of(stored: &str) -> Option<Self> {
        let unread = ["logit_scale", "logit_bias"].contains(&stored)
            || stored.ends_with("token_embedding.weight")
            || stored.ends_with("position_ids")
            || stored.ends_with("attn_mask");
        let picture = stored.starts_with("visual") || stored.starts_with("vision_model.");
        (!unread).then_some(if picture { Self::Picture } else { Self::Text })
    }
}

impl Stored {
    /// The shape in the file of what has `shape` in transformers.
    fn shape(&self, shape: &[usize]) -> Vec<usize> {
        let mut stored: Cow<'_, [usize]> = shape.into();
        if self.third.is_some() {
            stored.to_mut()[0] *= 3;
        }
        if self.transposed {
            stored.to_mut().reverse();
        }
        stored.into_owned()
    }
}
