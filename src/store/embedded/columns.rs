//! How our values look inside the collection file.
//!
//! Paths are the bytes the file system gave, so that names which are not
//! UTF-8 survive; embeddings are half precision, little-endian.

use std::path::{Path, PathBuf};

use half::f16;
use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, Type, ValueRef};

use crate::domain::{Embedding, Fingerprint};

/// A path as a column.
pub(in crate::store) struct PathColumn<P>(pub(in crate::store) P);

impl ToSql for PathColumn<&Path> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.0.as_os_str().as_encoded_bytes())))
    }
}

impl FromSql for PathColumn<PathBuf> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(path_of(value.as_blob()?)?))
    }
}

/// Whether these are an absolute path.
pub(super) fn is_absolute_path(bytes: &[u8]) -> bool {
    !bytes.contains(&0) && path_of(bytes).is_ok_and(|path| path.is_absolute())
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere not every sequence of bytes is a path")]
fn path_of(bytes: &[u8]) -> FromSqlResult<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> FromSqlResult<PathBuf> {
    let text = std::str::from_utf8(bytes).map_err(rusqlite::types::FromSqlError::other)?;
    Ok(PathBuf::from(text))
}

/// An embedding as a column.
pub(super) struct EmbeddingColumn<'a>(pub(super) &'a Embedding);

impl ToSql for EmbeddingColumn<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let components = self.0.as_slice().iter();
        let bytes: Vec<u8> = components.flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect();
        Ok(bytes.into())
    }
}

/// The components in an embedding's column, checked to be `dimension` finite
/// ones.
pub(super) fn components(
    column: &[u8],
    dimension: usize,
) -> rusqlite::Result<impl Iterator<Item = f16>> {
    let components = column.as_chunks::<2>().0.iter().map(|&bytes| f16::from_le_bytes(bytes));
    if column.len() == 2 * dimension && components.clone().all(f16::is_finite) {
        Ok(components)
    } else {
        Err(damaged("an embedding does not fit its space"))
    }
}

/// The embedding in a column: what is left of it after rounding to half
/// precision, scaled to unit length again.
pub(super) fn embedding(column: &[u8], dimension: usize) -> rusqlite::Result<Embedding> {
    let components = components(column, dimension)?.map(f16::to_f32).collect();
    Embedding::normalize(components).ok_or_else(|| damaged("an embedding has no direction"))
}

fn damaged(finding: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, finding.into())
}

impl ToSql for Fingerprint {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(&self.0)))
    }
}

impl FromSql for Fingerprint {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        FromSql::column_result(value).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::types::Value;

    use super::*;

    #[test]
    fn an_embedding_keeps_its_direction() {
        let original = Embedding::normalize(vec![0.3, -0.5, 0.001, 0.9]).unwrap();
        let stored = EmbeddingColumn(&original);
        let ToSqlOutput::Owned(Value::Blob(column)) = stored.to_sql().unwrap() else {
            panic!("a blob of its own")
        };
        let back = embedding(&column, 4).unwrap();
        assert!(back.similarity(&original).cosine() > 0.999_999);
    }

    #[test]
    fn a_column_that_is_no_embedding_is_damage() {
        let infinite = [0, 0x7c, 0, 0];
        for column in [&[][..], &[0; 4], &[1; 2], &[1; 3], &[1; 6], &infinite] {
            assert!(embedding(column, 2).is_err(), "{column:?}");
        }
    }
}
