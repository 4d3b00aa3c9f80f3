//! Vectors from arrays and back.

use std::arch::x86_64::{
    __m128i, __m256bh, __m512, __m512bh, __m512i, _mm_storeu_si128, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_storeu_ps,
};
use std::mem::transmute;

/// Values of a vector of f32.
pub(super) const LANES: usize = 16;

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_f32s(values: &[f32; LANES]) -> __m512 {
    // SAFETY: sixteen f32 are 64 bytes, which is what is read; from any address.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store_f32s(values: &mut [f32; LANES], vector: __m512) {
    // SAFETY: sixteen f32 are 64 bytes, which is what is written; at any address.
    unsafe { _mm512_storeu_ps(values.as_mut_ptr(), vector) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_i32s(values: &[i32; LANES]) -> __m512i {
    // SAFETY: sixteen i32 are 64 bytes, which is what is read; from any address.
    unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_i8s(values: &[i8; 4 * LANES]) -> __m512i {
    // SAFETY: 64 bytes are read; from any address.
    unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store_u8s(values: &mut [u8; LANES], vector: __m128i) {
    // SAFETY: 16 bytes are written; at any address.
    unsafe { _mm_storeu_si128(values.as_mut_ptr().cast(), vector) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_bf16s(words: &[u16; 2 * LANES]) -> __m512bh {
    // SAFETY: 32 words are 64 bytes, which is what is read; from any address.
    as_bf16s(unsafe { _mm512_loadu_si512(words.as_ptr().cast()) })
}

/// The words of a vector.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn as_bf16s(bits: __m512i) -> __m512bh {
    // SAFETY: both are 64 bytes of which any are allowed.
    unsafe { transmute::<__m512i, __m512bh>(bits) }
}

/// The bits of a vector's words.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn words(vector: __m256bh) -> [u16; LANES] {
    // SAFETY: both are 32 bytes of which any are allowed.
    unsafe { transmute::<__m256bh, [u16; LANES]>(vector) }
}
