//! The thread that owns the model. CPU-bound work never runs on the executor.

use std::fmt;
use std::thread;

use tokio::sync::{mpsc, oneshot};

use crate::clip::{self, Checkpoint, PictureEncoder, PixelValues, TextEncoder};
use crate::domain::Embedding;

/// A handle to the model thread. The thread ends with the last handle.
#[derive(Clone)]
pub(super) struct Model(mpsc::Sender<(Job, Reply)>);

type Reply = oneshot::Sender<Result<Vec<Embedding>, clip::Error>>;

enum Job {
    Text(String),
    Pictures(Vec<PixelValues>),
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
    /// Starts the thread. Each tower is built when it is first needed.
    pub(super) fn spawn(checkpoint: Checkpoint) -> std::io::Result<Self> {
        // One job waits at most: a search typed during a load stands behind
        // the batch in hand and no other.
        let (jobs, mut inbox) = mpsc::channel::<(Job, Reply)>(1);
        thread::Builder::new().name("clip".into()).spawn(move || {
            let mut towers = Towers { checkpoint, text: None, pictures: None };
            while let Some((job, reply)) = inbox.blocking_recv() {
                if !reply.is_closed() {
                    // Whoever asked may have left meanwhile.
                    let _ = reply.send(towers.embed(job));
                }
            }
        })?;
        Ok(Self(jobs))
    }

    pub(super) async fn embed_text(&self, text: String) -> Result<Embedding, Error> {
        self.embed(Job::Text(text)).await?.pop().ok_or(Error::Gone)
    }

    pub(super) async fn embed_pictures(
        &self,
        batch: Vec<PixelValues>,
    ) -> Result<Vec<Embedding>, Error> {
        self.embed(Job::Pictures(batch)).await
    }

    async fn embed(&self, job: Job) -> Result<Vec<Embedding>, Error> {
        let (reply, answer) = oneshot::channel();
        self.0.send((job, reply)).await.map_err(|_| Error::Gone)?;
        Ok(answer.await.map_err(|_| Error::Gone)??)
    }
}

struct Towers {
    checkpoint: Checkpoint,
    text: Option<TextEncoder>,
    pictures: Option<PictureEncoder>,
}

impl Towers {
    fn embed(&mut self, job: Job) -> Result<Vec<Embedding>, clip::Error> {
        match job {
            Job::Text(text) => Ok(vec![self.text()?.embed(&text)?]),
            Job::Pictures(batch) => self.pictures()?.embed(&batch),
        }
    }

    fn text(&mut self) -> Result<&TextEncoder, clip::Error> {
        if self.text.is_none() {
            self.text = Some(self.checkpoint.text_encoder()?);
        }
        Ok(self.text.as_ref().expect("it was just built"))
    }

    fn pictures(&mut self) -> Result<&PictureEncoder, clip::Error> {
        if self.pictures.is_none() {
            self.pictures = Some(self.checkpoint.picture_encoder()?);
        }
        Ok(self.pictures.as_ref().expect("it was just built"))
    }
}
