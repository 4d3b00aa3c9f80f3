//! The two encoders: a tower with what stands before it.

use std::slice;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use super::config::{Config, VisionConfig};
use super::efficientnet::EfficientNet;
use super::packed::Processor;
use super::reader::{Reader, Tower, TowerProgress};
use super::text_tower::TextTower;
use super::vit::Vit;
use super::weights::Weights;
use super::{Error, PixelValues, Tokenizer};
use crate::domain::Embedding;

/// Text to embeddings.
#[derive(Debug)]
pub struct TextEncoder {
    tokenizer: Tokenizer,
    tower: TextTower,
}

impl TextEncoder {
    pub(super) fn read(
        weights: Arc<Weights>,
        config: &Config,
        tokenizer: Tokenizer,
        processor: Option<&Processor>,
        progress: &dyn Fn(TowerProgress),
    ) -> Result<Self, Error> {
        Ok(Self { tokenizer, tower: TextTower::read(weights, config, processor, progress)? })
    }

    /// The input ids of a text, see [`Tokenizer::encode`].
    ///
    /// # Errors
    /// [`Error::EmptyText`] if there is nothing but white space.
    pub fn input_ids(&self, text: &str) -> Result<Vec<u32>, Error> {
        self.tokenizer.encode(text)
    }

    /// Embeds one text, on the threads of the rayon pool that it is called in.
    ///
    /// # Errors
    /// [`Error::EmptyText`] if there is nothing but white space.
    pub fn embed(&self, text: &str) -> Result<Embedding, Error> {
        self.embed_ids(&self.input_ids(text)?)
    }

    /// Embeds a text by its input ids.
    ///
    /// # Errors
    /// [`Error::EmptyText`] if there are none; or if there are more than the
    /// context length, or one that the model does not have.
    pub fn embed_ids(&self, input_ids: &[u32]) -> Result<Embedding, Error> {
        let raw = in_pool(|| self.tower.embed(input_ids))?;
        Embedding::normalize(raw).ok_or(Error::NoDirection)
    }
}

/// Pixel values to embeddings.
#[derive(Debug)]
pub struct PictureEncoder(PictureTower);

#[derive(Debug)]
enum PictureTower {
    Vit(Vit),
    EfficientNet(EfficientNet),
}

impl PictureEncoder {
    pub(super) fn read(
        weights: &Weights,
        config: &Config,
        processor: Option<&Processor>,
        progress: &dyn Fn(TowerProgress),
    ) -> Result<Self, Error> {
        let reader = Reader::new(weights, Tower::Picture, progress);
        Ok(Self(match &config.vision {
            VisionConfig::Vit(vit) => {
                PictureTower::Vit(Vit::read(&reader, config, vit, processor)?)
            }
            VisionConfig::EfficientNet(net) => {
                PictureTower::EfficientNet(EfficientNet::read(&reader, config, net, processor)?)
            }
        }))
    }

    /// Embeds a batch, one embedding per picture in order, on the threads of
    /// the rayon pool that it is called in.
    ///
    /// Transformer layers that are packed for the processor take the batch as a
    /// whole and give each thread several pictures. An EfficientNet and candle's
    /// layers are given one on each thread: the feature maps of one fit the caches,
    /// and sharing out the product of two small matrices instead, as candle would,
    /// is slower, and its threads give way to each other so often that every
    /// other program stands still (a sleeper on a machine of two cores woke up
    /// to 240 ms late).
    ///
    /// # Errors
    /// If the arithmetic fails, or the pictures are not of the tower's size.
    pub fn embed(&self, batch: &[PixelValues]) -> Result<Vec<Embedding>, Error> {
        if self.0.is_packed() {
            return in_pool(|| self.0.embed(batch));
        }
        let alone = batch.par_iter().map(|picture| self.0.embed(slice::from_ref(picture)));
        alone.collect::<Result<Vec<_>, _>>().map(|embeddings| embeddings.concat())
    }
}

/// Computes within the rayon pool. From outside, each of a tower's fifty products
/// would enter it anew: the caller falls asleep and the threads are woken up, for
/// about ten microseconds each time.
fn in_pool<T: Send>(compute: impl FnOnce() -> T + Send) -> T {
    rayon::scope(|_| compute())
}

impl PictureTower {
    fn is_packed(&self) -> bool {
        match self {
            Self::Vit(vit) => vit.is_packed(),
            Self::EfficientNet(_) => false,
        }
    }

    fn embed(&self, batch: &[PixelValues]) -> Result<Vec<Embedding>, Error> {
        let Some(first) = batch.first() else { return Ok(Vec::new()) };
        let shape = (batch.len(), 3, first.height, first.width);
        let values = batch.iter().flat_map(|pixels| &pixels.values).copied().collect::<Vec<f32>>();
        let pixel_values = Tensor::from_vec(values, shape, &Device::Cpu)?;
        let raw = match self {
            Self::Vit(vit) => vit.forward(&pixel_values)?,
            Self::EfficientNet(net) => net.forward(&pixel_values)?,
        };
        raw.to_vec2()?
            .into_iter()
            .map(|raw| Embedding::normalize(raw).ok_or(Error::NoDirection))
            .collect()
    }
}
