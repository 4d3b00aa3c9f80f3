//! What candle hands to an operation of our own.

use candle_core::{CpuStorage, Error, Layout, Result};

/// The values of a contiguous input in f32.
pub(super) fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (from, to) = layout
        .contiguous_offsets()
        .ok_or_else(|| Error::Msg("the input is not contiguous".into()))?;
    Ok(&storage.as_slice::<f32>()?[from..to])
}
