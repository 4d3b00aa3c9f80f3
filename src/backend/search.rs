//! Query → embedding → hits.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::message::{Answer, Failure, Query};
use super::session::Session;
use crate::clip::PixelValues;
use crate::domain::Embedding;
use crate::{picture, store};

/// The pictures most similar to `query`. A collection that is not there yet
/// holds none.
pub(super) async fn search(
    session: Arc<Session>,
    query: Query,
    limit: usize,
) -> Result<Answer, Failure> {
    let query = embed(&session, query).await?;
    let searching = |e| Failure::new("searching the collection", &e);
    let store = match session.for_search().await {
        Err(store::Error::NoCollection { .. }) => {
            return Ok(Answer { hits: Vec::new(), searched: 0 });
        }
        store => store.map_err(searching)?,
    };
    let hits = store.search(query, limit).await.map_err(searching)?;
    let searched = store.count().await.map_err(searching)?;
    Ok(Answer { hits, searched })
}

async fn embed(session: &Arc<Session>, query: Query) -> Result<Embedding, Failure> {
    let embedding = |e| Failure::new("understanding the query", &e);
    match query {
        Query::Text(text) => session.model.embed_text(text).await.map_err(embedding),
        Query::Picture(path) => {
            let values = vec![pixel_values(Arc::clone(session), path).await?];
            let mut embeddings = session.model.embed_pictures(values).await.map_err(embedding)?;
            embeddings.pop().ok_or_else(|| Failure::because("understanding the query", "no answer"))
        }
    }
}

async fn pixel_values(session: Arc<Session>, path: PathBuf) -> Result<PixelValues, Failure> {
    let read = move || {
        let decoded = picture::read(&path).and_then(|bytes| picture::decode(&bytes));
        let flat = picture::flatten(decoded.map_err(|e| Failure::picture(&path, &e))?);
        session
            .preprocessor
            .pixel_values(&flat)
            .map_err(|e| Failure::new("preparing the picture", &e))
    };
    spawn_blocking(read).await.map_err(|e| Failure::new("reading the picture", &e))?
}
