//! The batch that the model has in hand, while the next one is filled.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::message::Failure;
use super::reading::Picture;
use super::reporter::Reporter;
use super::session::Session;
use super::stages::Stopwatches;
use crate::domain::Record;

/// One batch at most: the model takes every core for it.
#[derive(Default)]
pub(super) struct Encoding(Option<BoxFuture<'static, Result<Vec<Record>, Failure>>>);

impl Encoding {
    pub(super) fn is_idle(&self) -> bool {
        self.0.is_none()
    }

    /// Sets out to embed `batch`; only to be called where nothing is in hand.
    pub(super) fn start(
        &mut self,
        batch: Vec<Picture>,
        session: &Arc<Session>,
        reporter: &Reporter,
        watches: &Arc<Stopwatches>,
    ) {
        debug_assert!(self.is_idle());
        let (session, watches) = (Arc::clone(session), Arc::clone(watches));
        self.0 = Some(embed(session, batch, reporter.clone(), watches).boxed());
    }

    /// The batch in hand, once it is embedded, or `None` if there is none. The
    /// model gets to work with the first call and goes on between calls.
    pub(super) async fn next(&mut self) -> Option<Result<Vec<Record>, Failure>> {
        let embedded = self.0.as_mut()?.await;
        self.0 = None;
        Some(embedded)
    }
}

async fn embed(
    session: Arc<Session>,
    pictures: Vec<Picture>,
    reporter: Reporter,
    watches: Arc<Stopwatches>,
) -> Result<Vec<Record>, Failure> {
    let (values, rest): (Vec<_>, Vec<_>) =
        pictures.into_iter().map(|p| (p.values, (p.id, p.stamp, p.pixels))).unzip();
    let embeddings = session.model.embed_pictures(values, &reporter, watches).await;
    let embeddings = embeddings.map_err(|e| Failure::new("embedding pictures", &e))?;
    let records = rest.into_iter().zip(embeddings).map(|((id, stamp, pixels), embedding)| Record {
        id,
        embedding,
        stamp: Some(stamp),
        pixels: Some(pixels),
    });
    Ok(records.collect())
}
