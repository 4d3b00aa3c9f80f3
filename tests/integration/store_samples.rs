//! What the tests of the store are fed with.

use std::path::Path;

use carlens::domain::{
    CollectionSpec, Embedding, FileStamp, Fingerprint, ImageId, ModelId, PixelSize, Record,
};

/// A model by that name, with a fingerprint of its own.
pub fn spec(name: &str, dimension: usize) -> CollectionSpec {
    let mut fingerprint = [0; 32];
    fingerprint[..name.len()].copy_from_slice(name.as_bytes());
    let model = ModelId { name: name.into(), fingerprint: Fingerprint(fingerprint) };
    CollectionSpec { model, dimension }
}

/// A picture below `/cars`.
pub fn id(path: impl AsRef<Path>) -> ImageId {
    ImageId::new(Path::new("/cars"), path.as_ref())
}

/// A record of `id` whose stamp and size differ from other embeddings'.
pub fn record(id: ImageId, embedding: Embedding) -> Record {
    let mark = embedding.as_slice()[0].to_bits();
    Record {
        id,
        embedding,
        stamp: Some(FileStamp { size: u64::MAX - u64::from(mark), modified: -5, hash: [9; 32] }),
        pixels: Some(PixelSize { width: 1 + mark % 4096, height: 7 }),
    }
}

/// The direction of `components`.
pub fn embedding(components: &[f32]) -> Embedding {
    Embedding::normalize(components.to_vec()).unwrap()
}

/// An embedding that is always the same for one `seed`.
pub fn random_embedding(seed: u64, dimension: usize) -> Embedding {
    let mut random = Random(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let components = (0..dimension).map(|_| random.below(20_001).cast_signed() - 10_000);
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let components = components.map(|x| x as f32).collect();
    Embedding::normalize(components).unwrap()
}

/// Numbers without a pattern that matters here (xorshift).
pub struct Random(pub u64);

impl Random {
    /// A number from 0 up to but not including `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

/// How far half precision may move a cosine of unit vectors.
pub const ROUNDING: f32 = 1e-3;

/// Compares what a search gave with the definition, over everything stored.
#[track_caller]
pub fn assert_exact(
    hits: &[carlens::domain::Hit],
    query: &Embedding,
    all: &[Record],
    limit: usize,
) {
    assert_eq!(hits.len(), limit.min(all.len()));
    let mut truth: Vec<f32> = all.iter().map(|r| r.embedding.similarity(query).cosine()).collect();
    truth.sort_by(|a, b| b.total_cmp(a));
    let by_id: std::collections::HashMap<_, _> = all.iter().map(|r| (&r.id, r)).collect();
    for (rank, hit) in hits.iter().enumerate() {
        let record = by_id[&hit.id];
        let own = record.embedding.similarity(query).cosine();
        assert!((hit.similarity.cosine() - own).abs() < ROUNDING, "{hit:?} is {own}");
        assert!((hit.similarity.cosine() - truth[rank]).abs() < ROUNDING, "rank {rank}");
        assert_eq!(hit.pixels, record.pixels);
    }
    assert!(hits.is_sorted_by(
        |a, b| a.similarity > b.similarity || (a.similarity == b.similarity && a.id < b.id)
    ));
}
