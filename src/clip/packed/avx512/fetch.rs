//! Asking for memory before it is read.

use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};

/// Has a cache line brought near, the one that `values` begin in. It is not
/// waited for.
#[inline(always)]
pub(in crate::clip::packed) fn fetch<T>(values: &[T]) {
    // SAFETY: every x86-64 processor has the instruction, which reads nothing
    // and fails for no address.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(values.as_ptr().cast()) }
}
