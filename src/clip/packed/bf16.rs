//! Products in bf16 with sums in f32, on x86-64 processors with AVX-512 and its
//! BF16 extension. The one module of the layers that is unsafe.
//!
//! A [`Bf16`] exists only where the processor has the instructions that its
//! functions are compiled for, which makes calling them sound. What they read
//! and write is bounded by slices whose lengths are checked before.

/// Products in bf16, and the proof that the processor has them.
#[derive(Clone, Copy, Debug)]
pub(in crate::clip) struct Bf16 {
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "is never made there"))]
    vectors: super::kernel::Vectors,
}

#[cfg(not(target_arch = "x86_64"))]
mod elsewhere {
    use super::Bf16;
    use crate::clip::packed::kernel::{Kernel, Rows, Vectors};
    use crate::clip::packed::matrix::Aligned;

    impl Bf16 {
        pub(in crate::clip::packed) fn detect(_: Vectors) -> Option<Self> {
            None
        }
    }

    impl Kernel for Bf16 {
        type Word = u16;

        fn pack(&self, _: &[f32], _: usize) -> Aligned<u16> {
            unreachable!("it is never detected")
        }

        fn round(&self, _: &[f32], _: &mut [u16]) {
            unreachable!("it is never detected")
        }

        fn multiply(&self, _: Rows<'_, u16>, _: &[u16], _: &mut [f32]) {
            unreachable!("it is never detected")
        }

        fn vectors(&self) -> Vectors {
            self.vectors
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![expect(unsafe_code, reason = "a processor's own instructions")]

    use std::arch::is_x86_feature_detected;
    use std::arch::x86_64::{
        __m256bh, __m256i, __m512bh, __m512i, _mm256_storeu_si256, _mm512_castps_si512,
        _mm512_cvtneps_pbh, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_set1_epi32,
        _mm512_setzero_ps, _mm512_storeu_ps,
    };
    use std::mem::transmute;

    use super::Bf16;
    use crate::clip::packed::PANEL;
    use crate::clip::packed::kernel::{Kernel, Rows, Vectors};
    use crate::clip::packed::matrix::Aligned;

    /// Values of a vector of f32.
    const LANES: usize = 16;

    /// Vectors of a panel.
    const VECTORS: usize = PANEL / LANES;

    impl Bf16 {
        pub(in crate::clip::packed) fn detect(vectors: Vectors) -> Option<Self> {
            let has = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16");
            has.then_some(Self { vectors })
        }
    }

    impl Kernel for Bf16 {
        type Word = u16;

        /// `[panels][inputs / 2][PANEL][2]`: the instruction multiplies pairs.
        fn pack(&self, weight: &[f32], inputs: usize) -> Aligned<u16> {
            let mut packed = Aligned::zeros(weight.len());
            let panels = packed.as_mut_slice().chunks_exact_mut(inputs * PANEL);
            let mut row_words = vec![0; inputs];
            for (panel, rows) in panels.zip(weight.chunks_exact(inputs * PANEL)) {
                for (column, row) in rows.chunks_exact(inputs).enumerate() {
                    self.round(row, &mut row_words);
                    let pairs = panel.chunks_exact_mut(PANEL * 2);
                    for (to, pair) in pairs.zip(row_words.chunks_exact(2)) {
                        to[column * 2..column * 2 + 2].copy_from_slice(pair);
                    }
                }
            }
            packed
        }

        fn round(&self, values: &[f32], words: &mut [u16]) {
            // SAFETY: `self` proves that the processor has the instructions.
            unsafe { round(values, words) }
        }

        fn multiply(&self, rows: Rows<'_, u16>, weights: &[u16], out: &mut [f32]) {
            // SAFETY: `self` proves that the processor has the instructions.
            unsafe { multiply(rows, weights, out) }
        }

        fn vectors(&self) -> Vectors {
            self.vectors
        }
    }

    /// To the nearest, ties to even. Lengths are multiples of [`LANES`].
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn round(values: &[f32], words: &mut [u16]) {
        assert_eq!(values.len(), words.len());
        for (values, words) in values.chunks_exact(LANES).zip(words.chunks_exact_mut(LANES)) {
            // SAFETY: both are `LANES` long.
            unsafe {
                let rounded = _mm512_cvtneps_pbh(_mm512_loadu_ps(values.as_ptr()));
                _mm256_storeu_si256(
                    words.as_mut_ptr().cast(),
                    transmute::<__m256bh, __m256i>(rounded),
                );
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn multiply(rows: Rows<'_, u16>, weights: &[u16], out: &mut [f32]) {
        let mut done = 0;
        while done < rows.count {
            let rows = Rows { first: rows.first + done, count: rows.count - done, ..rows };
            let out = &mut out[done * PANEL..];
            done += match rows.count {
                1 => tile::<1>(rows, weights, out),
                2 => tile::<2>(rows, weights, out),
                3 => tile::<3>(rows, weights, out),
                4 | 8 => tile::<4>(rows, weights, out),
                5 | 10 => tile::<5>(rows, weights, out),
                _ => tile::<6>(rows, weights, out),
            };
        }
    }

    /// The product of `R` rows with a panel; returns `R`.
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn tile<const R: usize>(rows: Rows<'_, u16>, weights: &[u16], out: &mut [f32]) -> usize {
        let mut sums = [[_mm512_setzero_ps(); VECTORS]; R];
        let panels = rows.values.chunks_exact(rows.of * PANEL);
        for (panel, weights) in panels.zip(weights.chunks_exact(PANEL * PANEL)) {
            let parts = &panel[rows.first * PANEL..][..R * PANEL];
            for pair in 0..PANEL / 2 {
                let mut columns = [_mm512_setzero_ps(); VECTORS];
                for (v, columns) in columns.iter_mut().enumerate() {
                    let at = (pair * PANEL + v * LANES) * 2;
                    // SAFETY: `at` and 32 words more are within `PANEL * PANEL`.
                    *columns = unsafe { _mm512_loadu_ps(weights.as_ptr().add(at).cast()) };
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    let at = row * PANEL + pair * 2;
                    // SAFETY: the two words from `at` on are within `R * PANEL`.
                    let value: i32 =
                        unsafe { parts.as_ptr().add(at).cast::<i32>().read_unaligned() };
                    let value = bf16s(_mm512_set1_epi32(value));
                    for (sum, columns) in sums.iter_mut().zip(columns) {
                        *sum = _mm512_dpbf16_ps(*sum, value, bf16s(_mm512_castps_si512(columns)));
                    }
                }
            }
        }
        for (sums, out) in sums.iter().zip(out.chunks_exact_mut(PANEL)) {
            for (sum, out) in sums.iter().zip(out.chunks_exact_mut(LANES)) {
                // SAFETY: `out` is `LANES` long.
                unsafe { _mm512_storeu_ps(out.as_mut_ptr(), *sum) };
            }
        }
        R
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn bf16s(bits: __m512i) -> __m512bh {
        // SAFETY: both are 64 bytes of which any are allowed.
        unsafe { transmute::<__m512i, __m512bh>(bits) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernel::{Kernel as _, Processor};
    use super::super::oracle::{noise, to_bf16};

    #[test]
    fn values_are_rounded_to_the_nearest_with_ties_to_even() {
        let Some(Processor::Bf16(kernel)) = Processor::rounding() else { return };
        let halfway =
            [0x3f80_8000, 0x3f81_8000, 0x3f80_8001, 0x3f81_7fff, 0x8000_0000, 0xbf81_8000];
        let mut values = halfway.map(f32::from_bits).to_vec();
        values.extend(noise(3, 1024 - values.len()).iter().map(|x| x * 1e3));
        let mut words = vec![0; values.len()];
        kernel.round(&values, &mut words);
        for (value, word) in values.iter().zip(words) {
            assert_eq!(u32::from(word) << 16, to_bf16(*value).to_bits(), "{value}");
        }
    }
}
