//! What a load has in hand: pictures that are to be embedded, the batch that
//! the model has, and what is to be stored together.

use std::sync::Arc;

use super::encoding::Encoding;
use super::reading::Picture;
use super::reporter::Reporter;
use super::session::Session;
use super::stages::Stopwatches;
use super::storing::Storing;
use crate::domain::{FileStamp, ImageId, Record};

/// Pictures embedded at a time at most, and stored together: the most a cancel
/// throws away. A power cut may take as many that are on their way into the
/// store, and as many that are embedded or about to be stored.
pub(super) const BATCH: usize = 8;

/// A load's batches on their way.
pub(super) struct Batches {
    /// Ready to be embedded.
    pub(super) pictures: Vec<Picture>,
    pub(super) encoding: Encoding,
    pub(super) bundle: Bundle,
    pub(super) storing: Storing,
    watches: Arc<Stopwatches>,
}

/// What is stored together.
#[derive(Default)]
pub(super) struct Bundle {
    pub(super) touched: Vec<(ImageId, FileStamp)>,
    pub(super) recognised: Vec<Record>,
    pub(super) returned: Vec<ImageId>,
    pub(super) fresh: Vec<Record>,
}

impl Bundle {
    pub(super) fn len(&self) -> usize {
        let Self { touched, recognised, returned, fresh } = self;
        touched.len() + recognised.len() + returned.len() + fresh.len()
    }
}

impl Batches {
    pub(super) fn new(storing: Storing, watches: Arc<Stopwatches>) -> Self {
        let (encoding, bundle) = (Encoding::default(), Bundle::default());
        Self { pictures: Vec::new(), encoding, bundle, storing, watches }
    }

    /// Whether there is room for one more picture, of whatever kind.
    pub(super) fn has_room(&self) -> bool {
        self.pictures.len() < BATCH && self.bundle.len() < BATCH
    }

    /// Gives the model what is ready, unless it is at work: as much as can be
    /// stored together with what is there.
    pub(super) fn encode(&mut self, session: &Arc<Session>, reporter: &Reporter) {
        let room = BATCH.saturating_sub(self.bundle.len()).min(self.pictures.len());
        if self.encoding.is_idle() && room > 0 {
            let pictures = self.pictures.drain(..room).collect();
            self.encoding.start(pictures, session, reporter, &self.watches);
        }
    }

    /// Whether enough is together to be stored, and there is room on the way.
    pub(super) fn is_due(&self) -> bool {
        self.bundle.len() >= BATCH && !self.storing.is_full()
    }
}
