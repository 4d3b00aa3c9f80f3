//! A checksum that keeps up with memory.
//!
//! It is there to notice a file that is cut short, overwritten or flipped by
//! a bad disk, not one that somebody forged.

/// Content is summed in blocks of this many bytes.
pub(super) const BLOCK: usize = 64;

/// The sum so far: eight lanes that do not wait for one another.
pub(super) struct Checksum([u64; 8]);

impl Checksum {
    /// The sum of nothing.
    pub(super) fn new() -> Self {
        Self([0x9e37_79b9_7f4a_7c15; 8])
    }

    /// Adds `bytes`.
    ///
    /// # Panics
    /// If they are not whole blocks.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        assert!(rest.is_empty(), "whole blocks");
        for block in blocks {
            let words = block.as_chunks::<8>().0;
            for (lane, word) in self.0.iter_mut().zip(words) {
                *lane = step(*lane, u64::from_le_bytes(*word));
            }
        }
    }

    /// The sum of everything added.
    pub(super) fn finish(self) -> u64 {
        self.0.into_iter().fold(0, |sum, lane| step(sum.rotate_left(29), lane))
    }
}

/// Turns every change of one `word` into a change of the lane: both the
/// exclusive or and the product with an odd number can be undone.
fn step(lane: u64, word: u64) -> u64 {
    let mixed = (lane ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(bytes: &[u8]) -> u64 {
        let mut checksum = Checksum::new();
        checksum.update(bytes);
        checksum.finish()
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let mut bytes = vec![0; 4 * BLOCK];
        let whole = sum(&bytes);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(sum(&bytes), whole, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn lost_and_swapped_blocks_are_noticed() {
        let bytes: Vec<u8> = (0..=255).collect();
        let swapped = [&bytes[64..128], &bytes[..64], &bytes[128..]].concat();
        assert_ne!(sum(&bytes), sum(&swapped));
        assert_ne!(sum(&bytes), sum(&bytes[..192]));
        assert_ne!(sum(&[0; 64]), sum(&[0; 128]));
    }
}
