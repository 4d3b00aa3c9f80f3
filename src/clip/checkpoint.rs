//! A checkpoint: the files of a model, found, checked and fingerprinted. No
//! tower is built yet.
//!
//! A folder in Hugging Face layout has `config.json` (or
//! `open_clip_config.json`), `model.safetensors` (or
//! `open_clip_model.safetensors`), `tokenizer.json` (or `vocab.json` with
//! `merges.txt`) and `preprocessor_config.json` (or the `preprocess_cfg` of
//! `open_clip`'s file). sentence-transformers puts them one folder down, in
//! `0_CLIPModel`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::arithmetic::{Arithmetic, Precision};
use super::config::{Config, VisionConfig};
use super::encoder::{PictureEncoder, TextEncoder};
use super::packed::{self, Processor};
use super::reader::TowerProgress;
use super::weights::Weights;
use super::{Error, Preprocessor, Tokenizer, bundled};
use crate::domain::{CollectionSpec, Fingerprint, ModelId};

/// The files of one model, ready to build either encoder from.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    name: String,
    config: Config,
    preprocessor: Preprocessor,
    tokenizer: TokenizerFiles,
    weights: Arc<Weights>,
    fingerprint: Fingerprint,
    arithmetic: Arithmetic,
}

/// Parsing a tokenizer takes longer than everything else here, and a load of
/// pictures needs none.
#[derive(Clone, Debug)]
enum TokenizerFiles {
    Json(Arc<[u8]>),
    Vocabulary(PathBuf),
}

impl Checkpoint {
    /// The compact model that is compiled into the program.
    ///
    /// # Errors
    /// None in a program built from an intact source tree.
    pub fn bundled() -> Result<Self, Error> {
        let config = Config::from_transformers(bundled::CONFIG)?;
        let weights = Weights::compiled(bundled::WEIGHTS)?;
        let settings = [bundled::CONFIG, bundled::PREPROCESSOR, bundled::TOKENIZER];
        Self {
            name: "compact".into(),
            preprocessor: Preprocessor::from_transformers(bundled::PREPROCESSOR)?,
            tokenizer: TokenizerFiles::Json(bundled::TOKENIZER.into()),
            fingerprint: fingerprint(&settings, &weights),
            config,
            weights: Arc::new(weights),
            arithmetic: Arithmetic::default(),
        }
        .checked()
    }

    /// The same, to be computed in this way.
    #[must_use]
    pub fn computed(self, arithmetic: Arithmetic) -> Self {
        Self { arithmetic, ..self }
    }

    /// Length of the bundled model's weights.
    #[must_use]
    pub fn bundled_bytes() -> u64 {
        bundled::WEIGHTS.len() as u64
    }

    /// Opens the checkpoint in `folder`; `name` is how people will know it.
    ///
    /// # Errors
    /// If a file is missing, unreadable, damaged, or of a kind we cannot run.
    pub fn open(name: &str, folder: &Path) -> Result<Self, Error> {
        let folder = &layout(folder)?;
        let transformers = read_optional(folder, "config.json")?;
        let open_clip = read_optional(folder, "open_clip_config.json")?;
        let config = match (&transformers, &open_clip) {
            (Some(json), _) => Config::from_transformers(json)?,
            (None, Some(json)) => Config::from_open_clip(json)?,
            (None, None) => return Err(missing(folder, "config.json or open_clip_config.json")),
        };
        let preprocessor = read_optional(folder, "preprocessor_config.json")?;
        let parsed = match (&preprocessor, &open_clip) {
            (Some(json), _) => Preprocessor::from_transformers(json)?,
            (None, Some(json)) => Preprocessor::from_open_clip(json, config.vision.image_size())?,
            (None, None) => return Err(missing(folder, "preprocessor_config.json")),
        };
        let (tokenizer, tokenizer_bytes) = TokenizerFiles::find(folder)?;
        let weights = Weights::map(&weights_file(folder)?)?;
        let settings = [
            transformers.as_deref().or(open_clip.as_deref()).unwrap_or_default(),
            preprocessor.as_deref().unwrap_or_default(),
            &tokenizer_bytes,
        ];
        Self {
            name: name.to_owned(),
            preprocessor: parsed,
            tokenizer,
            fingerprint: fingerprint(&settings, &weights),
            config,
            weights: Arc::new(weights),
            arithmetic: Arithmetic::default(),
        }
        .checked()
    }

    /// What people know it as.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What embeddings of this checkpoint have in common. Those in int8, if it
    /// is what they are really computed in, are another model's.
    #[must_use]
    pub fn spec(&self) -> CollectionSpec {
        let (name, fingerprint) = (&self.name, self.fingerprint);
        let model = match self.processor() {
            Some(Processor::Int8(_)) => ModelId {
                name: format!("{name} in int8"),
                fingerprint: computed_otherwise(fingerprint, "int8"),
            },
            Some(Processor::Bf16(_) | Processor::Float(_)) | None => {
                ModelId { name: name.clone(), fingerprint }
            }
        };
        CollectionSpec { model, dimension: self.config.dimension }
    }

    /// Builds the text tower and the tokenizer; `progress` hears how much of
    /// the tower has been read, tensor by tensor.
    ///
    /// # Errors
    /// If the weights lack a tensor or have another shape than configured.
    pub fn text_encoder(&self, progress: &dyn Fn(TowerProgress)) -> Result<TextEncoder, Error> {
        let tokenizer = match &self.tokenizer {
            TokenizerFiles::Json(json) => Tokenizer::from_json(json, self.context_length())?,
            TokenizerFiles::Vocabulary(folder) => {
                Tokenizer::from_vocabulary(folder, self.context_length())?
            }
        };
        let processor = self.processor();
        let weights = Arc::clone(&self.weights);
        TextEncoder::read(weights, &self.config, tokenizer, processor.as_ref(), progress)
    }

    /// Builds the picture tower; `progress` hears how much of it has been
    /// read, tensor by tensor.
    ///
    /// # Errors
    /// If the weights lack a tensor or have another shape than configured.
    pub fn picture_encoder(
        &self,
        progress: &dyn Fn(TowerProgress),
    ) -> Result<PictureEncoder, Error> {
        let processor = self.processor();
        PictureEncoder::read(&self.weights, &self.config, processor.as_ref(), progress)
    }

    /// What to do with a picture before the picture tower.
    #[must_use]
    pub fn preprocessor(&self) -> &Preprocessor {
        &self.preprocessor
    }

    /// By what the towers are computed, if they can be packed. In int8 are both
    /// or none, so that texts are compared with pictures that are as exact.
    fn processor(&self) -> Option<Processor> {
        match self.arithmetic.processor() {
            Some(Processor::Int8(_)) if !self.can_be_packed() => {
                Arithmetic { precision: Precision::Bf16, ..self.arithmetic }.processor()
            }
            processor => processor,
        }
    }

    /// Whether both towers can.
    fn can_be_packed(&self) -> bool {
        let pictures = match &self.config.vision {
            VisionConfig::Vit(vit) => packed::fits_vit(vit),
            VisionConfig::EfficientNet(_) => false,
        };
        pictures && packed::fits(&self.config.text.transformer)
    }

    fn context_length(&self) -> usize {
        self.config.text.context_length
    }

    /// The preprocessor must give what the tower takes.
    fn checked(self) -> Result<Self, Error> {
        let size = self.config.vision.image_size();
        let [width, height] = self.preprocessor.side([1, 1]);
        if width as usize == size && height as usize == size {
            return Ok(self);
        }
        Err(Error::Unsupported(format!(
            "its preprocessor gives {width}x{height} pixels, its picture tower takes {size}x{size}"
        )))
    }
}

impl TokenizerFiles {
    fn find(folder: &Path) -> Result<(Self, Vec<u8>), Error> {
        if let Some(json) = read_optional(folder, "tokenizer.json")? {
            return Ok((Self::Json(json.as_slice().into()), json));
        }
        let vocabulary = read_optional(folder, "vocab.json")?;
        let merges = read_optional(folder, "merges.txt")?;
        match (vocabulary, merges) {
            (Some(vocabulary), Some(merges)) => {
                Ok((Self::Vocabulary(folder.to_owned()), [vocabulary, merges].concat()))
            }
            _ => Err(missing(folder, "tokenizer.json (or vocab.json with merges.txt)")),
        }
    }
}

/// The folder that holds the files: `folder`, or sentence-transformers'
/// `0_CLIPModel` in it.
fn layout(folder: &Path) -> Result<PathBuf, Error> {
    let nested = folder.join("0_CLIPModel");
    if nested.join("config.json").is_file() {
        Ok(nested)
    } else if folder.is_dir() {
        Ok(folder.to_owned())
    } else {
        Err(Error::NoFolder(folder.to_owned()))
    }
}

fn weights_file(folder: &Path) -> Result<PathBuf, Error> {
    ["model.safetensors", "open_clip_model.safetensors"]
        .map(|name| folder.join(name))
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| missing(folder, "model.safetensors (or open_clip_model.safetensors)"))
}

fn read_optional(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let path = folder.join(name);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Unreadable { path, source }),
    }
}

fn missing(folder: &Path, wanted: &'static str) -> Error {
    Error::MissingFile { folder: folder.to_owned(), wanted }
}

/// Digests the settings whole, and of the weights the header (names, types,
/// shapes), the length and 64 blocks of 4 KiB spread evenly from the first
/// byte to the last. Reading all of 605 MB would cost every start half a
/// second; training or converting a model changes nearly every byte, so no
/// real change can miss all the blocks.
fn fingerprint(settings: &[&[u8]], weights: &Weights) -> Fingerprint {
    const BLOCKS: usize = 64;
    const BLOCK: usize = 4096;
    let mut digest = Sha256::new();
    let mut part = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    };
    for bytes in settings {
        part(bytes);
    }
    let (header, data) = weights.as_bytes().split_at(weights.header_len());
    part(header);
    part(&(data.len() as u64).to_le_bytes());
    if data.len() <= BLOCKS * BLOCK {
        part(data);
    } else {
        let last = data.len() - BLOCK;
        (0..BLOCKS).map(|n| last / (BLOCKS - 1) * n).for_each(|at| part(&data[at..at + BLOCK]));
        part(&data[last..]);
    }
    Fingerprint(digest.finalize().into())
}

/// Of the same checkpoint, computed in such a way that its embeddings differ.
fn computed_otherwise(fingerprint: Fingerprint, way: &str) -> Fingerprint {
    Fingerprint(Sha256::new().chain_update(fingerprint.0).chain_update(way).finalize().into())
}
