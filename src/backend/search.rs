//! Query → embedding → hits.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::message::{Answer, Event, Failure, Query, Remark, Thumbnail};
use super::reporter::Reporter;
use super::session::Session;
use super::stages::Stopwatches;
use super::{preparing, thumbnail, web};
use crate::clip::{PixelValues, Preprocessor};
use crate::domain::{Count, Embedding, ModelId, PixelSize, Printable};
use crate::picture::{self, Detail};
use crate::store::{self, VectorStore};

/// A picture as a query is shown no larger than this.
const SHOWN: PixelSize = PixelSize { width: 640, height: 480 };

/// The pictures most similar to `query`. A collection that is not there yet
/// holds none. A picture that was fetched is shown before it is searched for,
/// as only we have it.
pub(super) async fn search(
    session: Arc<Session>,
    query: Query,
    limit: usize,
    within: Option<PathBuf>,
    reporter: &Reporter,
) -> Result<Answer, Failure> {
    let (query, store) =
        tokio::try_join!(embedding(&session, query, reporter), opened(&session, reporter),)?;
    let Some(store) = store else {
        return Ok(Answer { hits: Vec::new(), searched: Count::exactly(0) });
    };
    // As ids have it.
    let within = within.map(|within| within.canonicalize().unwrap_or(within));
    let search = store.search_within(query, limit, within.as_deref());
    let (hits, searched) = tokio::try_join!(search, store.count()).map_err(|e| searching(&e))?;
    Ok(Answer { hits, searched })
}

/// The store, if there is a collection yet; and what to know of it.
async fn opened(
    session: &Session,
    reporter: &Reporter,
) -> Result<Option<Arc<dyn VectorStore>>, Failure> {
    let store = match session.for_search().await {
        Err(store::Error::NoCollection { .. }) => return Ok(None),
        store => store.map_err(|e| searching(&e))?,
    };
    if !store.is_of_known_origin() {
        reporter.report(Event::Remarked, unknown_origin(&session.spec.model)).await;
    }
    Ok(Some(store))
}

fn searching(error: &store::Error) -> Failure {
    Failure::new("searching the collection", error)
}

fn unknown_origin(model: &ModelId) -> Remark {
    Remark {
        text: format!(
            "the collection does not say which model made it; searching it with {}",
            Printable::new(&model.name)
        ),
        hint: "matches mean something only if it was the same one; the DataStax article's loader \
               uses clip-vit-b-32 (`--model clip-vit-b-32`)"
            .into(),
    }
}

async fn embedding(
    session: &Arc<Session>,
    query: Query,
    reporter: &Reporter,
) -> Result<Embedding, Failure> {
    match query {
        Query::Text(text) => text_embedding(session, text, reporter).await,
        Query::Picture(path) => {
            let preprocessor = session.preprocessor.clone();
            let read = move || {
                let bytes = picture::read(&path);
                let prepare = |bytes: Vec<u8>| {
                    preparing::prepare(&bytes, &preprocessor, &Stopwatches::default())
                };
                let prepared = bytes.and_then(prepare).map_err(|e| Failure::picture(&path, &e));
                Ok(prepared?.1)
            };
            picture_embedding(session, blocking(read).await?, reporter).await
        }
        Query::Address(address) => {
            let bytes = web::fetch(&address).await?;
            let preprocessor = session.preprocessor.clone();
            let read = move || {
                let shown_and_prepared = shown_and_prepared(&bytes, &preprocessor);
                let name = Path::new("what is at the address");
                shown_and_prepared.map_err(|e| Failure::picture(name, &e))
            };
            let (shown, values) = blocking(read).await?;
            reporter.report(Event::QueryPicture, shown).await;
            picture_embedding(session, values, reporter).await
        }
    }
}

/// A picture to show, and what the model takes of it. It is decoded twice only
/// where the model sees a quarter of it.
fn shown_and_prepared(
    bytes: &[u8],
    preprocessor: &Preprocessor,
) -> Result<(Thumbnail, PixelValues), picture::Error> {
    let decoded = picture::decode(bytes, preparing::detail(preprocessor))?;
    let is_whole = picture::pixel_size(&decoded.picture) == decoded.pixels;
    let whole = if is_whole {
        decoded.picture.clone()
    } else {
        picture::decode(bytes, Detail::Full)?.picture
    };
    let shown = thumbnail::shrunk(whole, SHOWN);
    Ok((shown, preparing::values(decoded.picture, preprocessor)?))
}

async fn text_embedding(
    session: &Session,
    text: String,
    reporter: &Reporter,
) -> Result<Embedding, Failure> {
    let embedded = session.model.embed_text(text, reporter).await;
    embedded.map_err(|e| Failure::new("understanding the query", &e))
}

async fn picture_embedding(
    session: &Arc<Session>,
    values: PixelValues,
    reporter: &Reporter,
) -> Result<Embedding, Failure> {
    let embedded = session.model.embed_picture(values, reporter).await;
    embedded.map_err(|e| Failure::new("understanding the query", &e))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    spawn_blocking(work).await.map_err(|e| Failure::new("reading the picture", &e))?
}
