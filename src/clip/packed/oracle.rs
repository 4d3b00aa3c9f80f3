//! The same arithmetic as it is written in books, in f64, for tests.

use super::kernel::{Processor, Vectors};

/// Every processor that this one can pass for: all there are, if that is demanded
/// ([`here`]).
pub(in crate::clip) fn processors() -> Vec<Processor> {
    let exact = [Processor::exact(true), Processor::exact(false)];
    let others = [Processor::rounding(), Processor::quantizing()];
    exact.into_iter().chain(others).filter_map(here).collect()
}

/// What the processor has of what is tested. A test without it shows nothing, and
/// fails where `CARLENS_ALL_KERNELS` demands that everything is tested.
pub(in crate::clip) fn here<T>(kernel: Option<T>) -> Option<T> {
    let is_demanded = std::env::var_os("CARLENS_ALL_KERNELS").is_some();
    assert!(kernel.is_some() || !is_demanded, "the processor lacks the instructions");
    kernel
}

/// The vectors of these.
pub(super) fn vectors() -> Vec<Vectors> {
    let of = |processor| match processor {
        Processor::Int8(_) | Processor::Bf16(_) => None,
        Processor::Float(kernel) => Some(kernel.0),
    };
    processors().into_iter().filter_map(of).collect()
}

/// Numbers from -1 to 1 that are other ones for another seed.
pub(in crate::clip) fn noise(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9).wrapping_add(1);
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        #[expect(clippy::cast_precision_loss, reason = "24 bits are exact")]
        let value = (state >> 8) as f32 / (1u32 << 23) as f32;
        value - 1.0
    };
    (0..count).map(next).collect()
}

/// To 8 significant bits, to the nearest, ties to even.
pub(super) fn to_bf16(value: f32) -> f32 {
    let bits = value.to_bits();
    f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
}

/// A scale, and the whole numbers from -127 to 127 that it makes a row of.
pub(super) fn to_int8(row: &[f32]) -> (f32, Vec<i32>) {
    let most = row.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
    #[expect(clippy::cast_possible_truncation, reason = "whole numbers of 8 bits")]
    let whole = row.iter().map(|value| (value * (127.0 / most)).round_ties_even() as i32);
    (most / 127.0, whole.collect())
}

/// The same as values.
pub(super) fn through_int8(row: &[f32]) -> Vec<f32> {
    let (scale, whole) = to_int8(row);
    #[expect(clippy::cast_precision_loss, reason = "whole numbers of 8 bits")]
    let value = |whole| whole as f32 * scale;
    whole.into_iter().map(value).collect()
}

/// The sum of the products, and that of their sizes.
pub(super) fn dot(xs: &[f32], ys: &[f32]) -> (f64, f64) {
    let products = || xs.iter().zip(ys).map(|(x, y)| f64::from(*x) * f64::from(*y));
    (products().sum(), products().map(f64::abs).sum())
}
