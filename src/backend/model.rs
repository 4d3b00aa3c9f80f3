//! The model and the threads it runs on. CPU-bound work never runs on the
//! executor.

use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, io};

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::oneshot;

use super::priority;
use crate::clip::{self, Checkpoint, PictureEncoder, PixelValues, TextEncoder};
use crate::domain::Embedding;

/// A handle to the model. Its threads end with the last handle.
///
/// Words have a thread of their own, so that a search stands behind no batch
/// of a load. Pictures are embedded on as many threads as there are cores, one
/// picture on each: sharing out the product of two small matrices instead, as
/// candle would in the pool that is there for all, is slower, and its threads
/// give way to each other so often that every other program stands still (a
/// sleeper on a machine of two cores woke up to 240 ms late).
#[derive(Clone)]
pub(super) struct Model(Arc<Shared>);

struct Shared {
    towers: Arc<Towers>,
    texts: ThreadPool,
    pictures: ThreadPool,
}

/// Why nothing was embedded.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Clip(#[from] clip::Error),
    #[error("its thread has stopped")]
    Gone,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Model")
    }
}

impl Model {
    /// Starts the threads. Each tower is built when it is first needed.
    pub(super) fn spawn(checkpoint: Checkpoint) -> io::Result<Self> {
        let threads = |name: &'static str| {
            ThreadPoolBuilder::new()
                .thread_name(move |_| name.into())
                // Whoever waits notices that the answer is gone.
                .panic_handler(|_| {})
        };
        Ok(Self(Arc::new(Shared {
            towers: Arc::new(Towers {
                checkpoint,
                text: Tower::default(),
                picture: Tower::default(),
            }),
            texts: threads("clip-text").num_threads(1).build().map_err(io::Error::other)?,
            pictures: threads("clip-picture")
                .start_handler(|_| priority::lower())
                .build()
                .map_err(io::Error::other)?,
        })))
    }

    pub(super) async fn embed_text(&self, text: String) -> Result<Embedding, Error> {
        let Shared { towers, texts, .. } = &*self.0;
        let towers = Arc::clone(towers);
        answer(texts, move || towers.text()?.embed(&text)).await
    }

    /// One embedding per picture, in order.
    pub(super) async fn embed_pictures(
        &self,
        batch: Vec<PixelValues>,
    ) -> Result<Vec<Embedding>, Error> {
        let Shared { towers, pictures, .. } = &*self.0;
        let towers = Arc::clone(towers);
        answer(pictures, move || {
            let encoder = towers.picture()?;
            let batches =
                batch.par_iter().map(|picture| encoder.embed(std::slice::from_ref(picture)));
            batches.collect::<Result<Vec<_>, _>>().map(|batches| batches.concat())
        })
        .await
    }
}

/// What `work` gives on `threads`, unless nobody waits for it any more when
/// its turn comes.
async fn answer<T: Send + 'static>(
    threads: &ThreadPool,
    work: impl FnOnce() -> Result<T, clip::Error> + Send + 'static,
) -> Result<T, Error> {
    let (reply, answer) = oneshot::channel();
    threads.spawn_fifo(move || {
        if !reply.is_closed() {
            // Whoever asked may leave meanwhile.
            let _ = reply.send(work());
        }
    });
    Ok(answer.await.map_err(|_| Error::Gone)??)
}

struct Towers {
    checkpoint: Checkpoint,
    text: Tower<TextEncoder>,
    picture: Tower<PictureEncoder>,
}

impl Towers {
    fn text(&self) -> Result<Arc<TextEncoder>, clip::Error> {
        self.text.get(|| self.checkpoint.text_encoder())
    }

    fn picture(&self) -> Result<Arc<PictureEncoder>, clip::Error> {
        self.picture.get(|| self.checkpoint.picture_encoder())
    }
}

/// A tower, once it is built.
struct Tower<T>(Mutex<Option<Arc<T>>>);

impl<T> Default for Tower<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Tower<T> {
    /// Building multiplies no matrices: a thread that did so here would take
    /// up other work of its pool meanwhile, and wait for itself.
    fn get(&self, build: impl FnOnce() -> Result<T, clip::Error>) -> Result<Arc<T>, clip::Error> {
        let mut tower = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tower) = &*tower {
            return Ok(Arc::clone(tower));
        }
        let built = Arc::new(build()?);
        *tower = Some(Arc::clone(&built));
        Ok(built)
    }
}
