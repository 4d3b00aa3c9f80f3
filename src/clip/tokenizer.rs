//! Text to input ids, by the checkpoint's own tokenizer.

use std::fmt;
use std::panic;
use std::path::Path;

use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::{self, Lowercase, NFC, Replace};
use tokenizers::pre_tokenizers::{byte_level::ByteLevel, sequence, split::Split};
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::tokenizer::{AddedToken, SplitDelimiterBehavior};
use tokenizers::{TruncationDirection, TruncationParams, TruncationStrategy};

use super::Error;
use super::config::malformed;

/// `tokenizer.json` of a checkpoint, set to its context length.
pub struct Tokenizer(tokenizers::Tokenizer);

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokenizer")
    }
}

impl Tokenizer {
    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// If it is not one. A parser that panics is an error as well.
    pub fn from_json(json: &[u8], context_length: usize) -> Result<Self, Error> {
        let tokenizer = panic::catch_unwind(|| tokenizers::Tokenizer::from_bytes(json))
            .map_err(|_| malformed("tokenizer.json", "its parser gave up"))?
            .map_err(|e| malformed("tokenizer.json", &e.to_string()))?;
        Self::new(tokenizer, context_length)
    }

    /// Builds CLIP's tokenizer from `vocab.json` and `merges.txt`, for
    /// checkpoints that carry only these (as sentence-transformers ships
    /// CLIP). Same pipeline as transformers' `CLIPConverter`.
    ///
    /// # Errors
    /// If the files are not a byte-pair encoding with CLIP's special tokens.
    pub fn from_vocabulary(folder: &Path, context_length: usize) -> Result<Self, Error> {
        let wrong = |e: tokenizers::Error| malformed("vocab.json or merges.txt", &e.to_string());
        let path = |name| folder.join(name).to_string_lossy().into_owned();
        let bpe = BPE::from_file(&path("vocab.json"), &path("merges.txt"))
            .unk_token(END.into())
            .end_of_word_suffix("</w>".into())
            .build()
            .map_err(wrong)?;
        let mut tokenizer = tokenizers::Tokenizer::new(bpe);
        let specials = [START, END].map(|token| AddedToken::from(token, true).normalized(false));
        tokenizer.add_special_tokens(specials).map_err(wrong)?;
        let id = |token: &str| {
            let missing = || malformed("vocab.json", &format!("it has no {token}"));
            tokenizer.token_to_id(token).map(|id| (token.to_owned(), id)).ok_or_else(missing)
        };
        let (start, end) = (id(START)?, id(END)?);
        let whitespace = tokenizers::normalizers::replace::ReplacePattern::Regex(r"\s+".into());
        let normalizer = normalizers::Sequence::new(vec![
            NFC.into(),
            Replace::new(whitespace, " ").map_err(wrong)?.into(),
            Lowercase.into(),
        ]);
        tokenizer.with_normalizer(Some(normalizer)).map_err(wrong)?;
        let words = tokenizers::pre_tokenizers::split::SplitPattern::Regex(WORDS.into());
        tokenizer.with_pre_tokenizer(Some(sequence::Sequence::new(vec![
            Split::new(words, SplitDelimiterBehavior::Removed, true).map_err(wrong)?.into(),
            ByteLevel::default().add_prefix_space(false).into(),
        ])));
        tokenizer.with_post_processor(Some(
            RobertaProcessing::new(end, start).add_prefix_space(false).trim_offsets(false),
        ));
        Self::new(tokenizer, context_length)
    }

    fn new(mut tokenizer: tokenizers::Tokenizer, context_length: usize) -> Result<Self, Error> {
        let truncation = TruncationParams {
            direction: TruncationDirection::Right,
            max_length: context_length,
            strategy: TruncationStrategy::LongestFirst,
            stride: 0,
        };
        tokenizer
            .with_truncation(Some(truncation))
            .map_err(|e| malformed("tokenizer.json", &e.to_string()))?;
        tokenizer.with_padding(None);
        Ok(Self(tokenizer))
    }

    /// The input ids of `text`: start token, its words, end token. A text
    /// longer than the context length loses its last words, never the end
    /// token.
    ///
    /// # Errors
    /// [`Error::EmptyText`] if there is nothing but white space.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        if text.trim().is_empty() {
            return Err(Error::EmptyText);
        }
        let encoding = self
            .0
            .encode_fast(text, true)
            .map_err(|e| malformed("tokenizer.json", &e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }
}

const START: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";

/// How CLIP cuts text into words before byte-pair encoding (its
/// `simple_tokenizer.py`).
const WORDS: &str = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parser_that_panics_is_an_error() {
        let json = br#"{"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": []},
            "decoder": {"type" "BPEDecoder"}}"#;
        let error = Tokenizer::from_json(json, 77).unwrap_err().to_string();
        assert!(error.contains("tokenizer.json"), "{error}");
    }
}
