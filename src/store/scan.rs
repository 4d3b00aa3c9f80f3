//! Dot products of one query with many stored rows, as fast as memory gives
//! them.
//!
//! Rows are half precision, padded with zeros to a multiple of [`BLOCK`], so
//! that no kernel has a remainder to treat. The kernel is chosen at run time:
//! AVX-512, AVX2 with F16C and FMA, or portable code. A row's dot product
//! depends on that row and the query alone, never on its neighbours: equal
//! rows score equally. What rows mean is left to others.

use half::f16;
use half::slice::HalfFloatSliceExt as _;

/// Rows are padded to a multiple of this many components.
pub(super) const BLOCK: usize = 64;

/// Components a row of `dimension` takes with its padding.
pub(super) fn stride(dimension: usize) -> usize {
    dimension.next_multiple_of(BLOCK)
}

/// A query ready to be compared with rows.
pub(super) struct Query {
    blocks: Vec<[f32; BLOCK]>,
    kernel: Kernel,
}

impl Query {
    /// Pads `components` as the rows are and chooses the machine's kernel.
    pub(super) fn new(components: &[f32]) -> Self {
        Self::on(Kernel::fastest(), components)
    }

    fn on(kernel: Kernel, components: &[f32]) -> Self {
        let mut padded = components.to_vec();
        padded.resize(stride(components.len()), 0.0);
        Self { blocks: padded.as_chunks().0.to_vec(), kernel }
    }

    /// Writes the dot product of the query with each of `rows` to `dots`.
    ///
    /// # Panics
    /// If `rows` are not exactly `dots.len()` padded rows of the query's
    /// dimension.
    pub(super) fn dots(&self, rows: &[f16], dots: &mut [f32]) {
        assert_eq!(rows.len(), dots.len() * self.blocks.len() * BLOCK, "padded rows");
        let rows = rows.as_chunks().0.chunks_exact(self.blocks.len());
        match self.kernel {
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "the kernel needs instructions not every machine has")]
            // SAFETY: `Kernel::fastest` and the tests choose only what the machine has.
            Kernel::Avx512 => unsafe { x86::avx512(&self.blocks, rows, dots) },
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "the kernel needs instructions not every machine has")]
            // SAFETY: as above.
            Kernel::Avx2 => unsafe { x86::avx2(&self.blocks, rows, dots) },
            Kernel::Portable => portable(&self.blocks, rows, dots),
        }
    }
}

/// The ways to compute the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kernel {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Kernel {
    fn fastest() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return Self::Avx512;
            }
            if Self::has_avx2() {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    #[cfg(target_arch = "x86_64")]
    fn has_avx2() -> bool {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
    }
}

fn portable<'a>(
    query: &[[f32; BLOCK]],
    rows: impl Iterator<Item = &'a [[f16; BLOCK]]>,
    dots: &mut [f32],
) {
    for (row, dot) in rows.zip(dots) {
        // One sum per lane, as the vector units do: a single running sum
        // would round worse and keep the compiler from using any of them.
        let mut sums = [0.0_f32; BLOCK];
        for (q, r) in query.iter().zip(row) {
            let mut wide = [0.0_f32; BLOCK];
            r.convert_to_f32_slice(&mut wide);
            for ((sum, q), r) in sums.iter_mut().zip(q).zip(wide) {
                *sum += q * r;
            }
        }
        *dot = sums.iter().sum();
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "vector loads take raw pointers")]
#[expect(clippy::cast_ptr_alignment, reason = "the loads used take any alignment")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, __m256, __m256i, __m512, _mm_loadu_si128, _mm256_add_ps, _mm256_cvtph_ps,
        _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_setzero_ps, _mm256_storeu_ps,
        _mm512_add_ps, _mm512_cvtph_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_reduce_add_ps,
        _mm512_setzero_ps,
    };

    use half::f16;

    use super::BLOCK;

    /// Four sums of sixteen lanes, one step of each per block.
    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512<'a>(
        query: &[[f32; BLOCK]],
        rows: impl Iterator<Item = &'a [[f16; BLOCK]]>,
        dots: &mut [f32],
    ) {
        for (row, dot) in rows.zip(dots) {
            let mut sums = [_mm512_setzero_ps(); 4];
            for (q, r) in query.iter().zip(row) {
                let (q, r) = (q.as_chunks::<16>().0, r.as_chunks::<16>().0);
                for (sum, (q, r)) in sums.iter_mut().zip(q.iter().zip(r)) {
                    *sum = _mm512_fmadd_ps(load_16(q), widen_16(r), *sum);
                }
            }
            let [a, b, c, d] = sums;
            *dot = _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d)));
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load_16(from: &[f32; 16]) -> __m512 {
        // SAFETY: reads the 64 bytes of `from`, at any alignment.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn widen_16(from: &[f16; 16]) -> __m512 {
        // SAFETY: reads the 32 bytes of `from`, at any alignment.
        _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(from.as_ptr().cast::<__m256i>()) })
    }

    /// Eight sums of eight lanes, one step of each per block.
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) fn avx2<'a>(
        query: &[[f32; BLOCK]],
        rows: impl Iterator<Item = &'a [[f16; BLOCK]]>,
        dots: &mut [f32],
    ) {
        for (row, dot) in rows.zip(dots) {
            let mut sums = [_mm256_setzero_ps(); 8];
            for (q, r) in query.iter().zip(row) {
                let (q, r) = (q.as_chunks::<8>().0, r.as_chunks::<8>().0);
                for (sum, (q, r)) in sums.iter_mut().zip(q.iter().zip(r)) {
                    *sum = _mm256_fmadd_ps(load_8(q), widen_8(r), *sum);
                }
            }
            let mut lanes = [0.0; 8];
            let total = sums.into_iter().fold(_mm256_setzero_ps(), |a, b| _mm256_add_ps(a, b));
            // SAFETY: writes the 32 bytes of `lanes`, at any alignment.
            unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), total) };
            *dot = lanes.iter().sum();
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    fn load_8(from: &[f32; 8]) -> __m256 {
        // SAFETY: reads the 32 bytes of `from`, at any alignment.
        unsafe { _mm256_loadu_ps(from.as_ptr()) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    fn widen_8(from: &[f16; 8]) -> __m256 {
        // SAFETY: reads the 16 bytes of `from`, at any alignment.
        _mm256_cvtph_ps(unsafe { _mm_loadu_si128(from.as_ptr().cast::<__m128i>()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernels() -> Vec<Kernel> {
        let mut kernels = vec![Kernel::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if Kernel::has_avx2() {
                kernels.push(Kernel::Avx2);
            }
            if is_x86_feature_detected!("avx512f") {
                kernels.push(Kernel::Avx512);
            }
        }
        kernels
    }

    /// `count` unit vectors of `dimension`, different for every `seed`.
    fn unit_vectors(seed: u32, count: usize, dimension: usize) -> Vec<Vec<f32>> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from(u16::try_from(state >> 16).unwrap()) / 32768.0 - 1.0
        };
        let mut vector = || {
            let raw: Vec<f32> = (0..dimension).map(|_| next()).collect();
            let norm = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
            raw.iter().map(|x| x / norm).collect()
        };
        (0..count).map(|_| vector()).collect()
    }

    fn padded(rows: &[Vec<f32>]) -> Vec<f16> {
        let width = stride(rows[0].len());
        let mut padded = vec![f16::ZERO; rows.len() * width];
        for (row, to) in rows.iter().zip(padded.chunks_mut(width)) {
            to[..row.len()].convert_from_f32_slice(row);
        }
        padded
    }

    /// The definition, in double precision over what is stored.
    fn naive(query: &[f32], row: &[f32]) -> f64 {
        let stored = row.iter().map(|&x| f16::from_f32(x).to_f64());
        query.iter().zip(stored).map(|(&q, r)| f64::from(q) * r).sum()
    }

    #[test]
    fn every_kernel_of_this_machine_gives_the_dot_product() {
        for dimension in [1, 7, 16, 63, 64, 65, 100, 512, 513, 768] {
            let query = unit_vectors(1, 1, dimension).remove(0);
            let rows = unit_vectors(2, 9, dimension);
            for kernel in kernels() {
                let mut dots = vec![f32::NAN; rows.len()];
                Query::on(kernel, &query).dots(&padded(&rows), &mut dots);
                for (row, dot) in rows.iter().zip(dots) {
                    let error = (f64::from(dot) - naive(&query, row)).abs();
                    assert!(error < 1e-5, "{kernel:?}, {dimension} components: off by {error}");
                }
            }
        }
    }

    #[test]
    fn equal_rows_score_equally_wherever_they_stand() {
        let query = unit_vectors(3, 1, 513).remove(0);
        let row = unit_vectors(4, 1, 513).remove(0);
        for kernel in kernels() {
            let mut dots = [0.0; 5];
            Query::on(kernel, &query).dots(&padded(&vec![row.clone(); 5]), &mut dots);
            assert!(dots.iter().all(|dot| dot.to_bits() == dots[0].to_bits()), "{kernel:?}");
        }
    }
}
