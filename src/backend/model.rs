//! The model and the threads it runs on. CPU-bound work never runs on the
//! executor.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, interval_at};

use super::message::{Event, ModelProgress};
use super::reporter::Reporter;
use super::stages::{Stage, Stopwatches};
use super::workers::Workers;
use crate::clip::{self, Checkpoint, PictureEncoder, PixelValues, TextEncoder, TowerProgress};
use crate::domain::Embedding;

/// How long a tower is read before anything is said of it, and then how often.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// A handle to the model. Its threads end with the last handle.
///
/// Queries have threads of their own, so that a search stands behind no batch of
/// a load. Either has as many as it is told, among which an encoder shares out
/// its work as suits its tower.
#[derive(Clone)]
pub(super) struct Model(Arc<Shared>);

struct Shared {
    towers: Arc<Towers>,
    queries: ThreadPool,
    batches: ThreadPool,
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
    pub(super) fn spawn(checkpoint: Checkpoint, workers: Workers) -> io::Result<Self> {
        let threads = |name: &'static str| {
            ThreadPoolBuilder::new()
                .thread_name(move |_| name.into())
                // Whoever waits notices that the answer is gone.
                .panic_handler(|_| {})
        };
        Ok(Self(Arc::new(Shared {
            towers: Arc::new(Towers {
                checkpoint,
                text: Lazy::default(),
                picture: Lazy::default(),
            }),
            // At least two, so that one long text does not keep the others waiting.
            queries: threads("clip-query")
                .num_threads(workers.count.get().max(2))
                .build()
                .map_err(io::Error::other)?,
            batches: threads("clip-batch")
                .num_threads(workers.count.get())
                .start_handler(move |_| workers.priority.take())
                .build()
                .map_err(io::Error::other)?,
        })))
    }

    /// What people know it as, however it is computed.
    pub(super) fn name(&self) -> &str {
        self.0.towers.checkpoint.name()
    }

    pub(super) async fn embed_text(
        &self,
        text: String,
        reporter: &Reporter,
    ) -> Result<Embedding, Error> {
        let Shared { towers, queries, .. } = &*self.0;
        let embed = move |towers: &Towers| towers.text()?.embed(&text);
        self.answer(queries, &towers.text, reporter, embed).await
    }

    /// The embedding of a picture that is searched for.
    pub(super) async fn embed_picture(
        &self,
        picture: PixelValues,
        reporter: &Reporter,
    ) -> Result<Embedding, Error> {
        let Shared { towers, queries, .. } = &*self.0;
        let embed = move |towers: &Towers| towers.picture()?.embed(&[picture]);
        let mut embeddings = self.answer(queries, &towers.picture, reporter, embed).await?;
        embeddings.pop().ok_or(Error::Gone)
    }

    /// One embedding per picture of a load, in order; `watches` count the time.
    pub(super) async fn embed_pictures(
        &self,
        batch: Vec<PixelValues>,
        reporter: &Reporter,
        watches: Arc<Stopwatches>,
    ) -> Result<Vec<Embedding>, Error> {
        let Shared { towers, batches, .. } = &*self.0;
        let embed = move |towers: &Towers| {
            watches.time_pool(Stage::Encoding, || towers.picture()?.embed(&batch))
        };
        self.answer(batches, &towers.picture, reporter, embed).await
    }

    /// What `work` gives on `threads`, which may have to read `tower` first.
    async fn answer<E, T: Send + 'static>(
        &self,
        threads: &ThreadPool,
        tower: &Lazy<E>,
        reporter: &Reporter,
        work: impl FnOnce(&Towers) -> Result<T, clip::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let reading = tower.reading.subscribe();
        let towers = Arc::clone(&self.0.towers);
        self.reporting(reading, reporter, answer(threads, move || work(&towers))).await
    }

    /// Waits for `answer`, and meanwhile tells how far the tower is read.
    async fn reporting<T>(
        &self,
        mut reading: watch::Receiver<Reading>,
        reporter: &Reporter,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut answer = pin!(answer);
        let mut due = interval_at(Instant::now() + REPORT_EVERY, REPORT_EVERY);
        loop {
            tokio::select! {
                answer = &mut answer => return answer,
                _ = due.tick() => {}
            }
            if reading.has_changed().unwrap_or(false) {
                let progress = self.0.towers.progress(*reading.borrow_and_update());
                if let Some(progress) = progress {
                    reporter.report(Event::ModelProgress, progress).await;
                }
            }
        }
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
    text: Lazy<TextEncoder>,
    picture: Lazy<PictureEncoder>,
}

impl Towers {
    fn text(&self) -> Result<Arc<TextEncoder>, clip::Error> {
        self.text.get(|progress| self.checkpoint.text_encoder(progress))
    }

    fn picture(&self) -> Result<Arc<PictureEncoder>, clip::Error> {
        self.picture.get(|progress| self.checkpoint.picture_encoder(progress))
    }

    fn progress(&self, reading: Reading) -> Option<ModelProgress> {
        let Reading { began, progress } = reading;
        let TowerProgress { tower, read, total } = progress?;
        let model = self.checkpoint.spec().model.name;
        Some(ModelProgress { model, tower, read, total, elapsed: began.elapsed() })
    }
}

/// An encoder, once it is built.
struct Lazy<T> {
    built: Mutex<Option<Arc<T>>>,
    reading: watch::Sender<Reading>,
}

/// How far its tower is read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    began: Instant,
    progress: Option<TowerProgress>,
}

impl<T> Default for Lazy<T> {
    fn default() -> Self {
        let reading = Reading { began: Instant::now(), progress: None };
        Self { built: Mutex::new(None), reading: watch::Sender::new(reading) }
    }
}

impl<T> Lazy<T> {
    /// Building multiplies no matrices: a thread that did so here would take
    /// up other work of its pool meanwhile, and wait for itself.
    fn get(
        &self,
        build: impl FnOnce(&dyn Fn(TowerProgress)) -> Result<T, clip::Error>,
    ) -> Result<Arc<T>, clip::Error> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(encoder) = &*built {
            return Ok(Arc::clone(encoder));
        }
        let began = Instant::now();
        let encoder = Arc::new(build(&|progress| {
            self.reading.send_replace(Reading { began, progress: Some(progress) });
        })?);
        *built = Some(Arc::clone(&encoder));
        Ok(encoder)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use tokio::sync::mpsc;

    use super::*;
    use crate::backend::{Priority, RequestId};
    use crate::clip::Tower;

    fn model(priority: Priority) -> Model {
        let workers = Workers { count: NonZero::<usize>::MIN, priority };
        Model::spawn(Checkpoint::bundled().unwrap(), workers).unwrap()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn only_the_pictures_of_a_load_in_the_background_step_back() {
        let niceness = |threads: &ThreadPool| threads.install(|| rustix::process::nice(0).unwrap());
        let own = rustix::process::nice(0).unwrap();
        let in_front = model(Priority::Usual);
        assert_eq!(niceness(&in_front.0.batches), own);
        let behind = model(Priority::Low);
        assert!(niceness(&behind.0.batches) > own || own == 19, "from {own}");
        assert_eq!(niceness(&behind.0.queries), own);
    }

    #[tokio::test]
    async fn whoever_waits_for_a_tower_hears_how_far_it_is_read() {
        let model = model(Priority::Usual);
        let reading = &model.0.towers.picture.reading;
        let (events, mut heard) = mpsc::channel(1);
        let (built, building) = oneshot::channel();
        let tower = async { Ok(building.await.unwrap()) };
        let reporter = Reporter::new(RequestId(7), events);
        let waiting = model.reporting(reading.subscribe(), &reporter, tower);
        let half = TowerProgress { tower: Tower::Picture, read: 4, total: 8 };
        reading.send_replace(Reading { began: Instant::now(), progress: Some(half) });
        let listening = async {
            let event = heard.recv().await;
            built.send("tower").unwrap();
            event
        };
        let (tower, event) = tokio::join!(waiting, listening);
        assert_eq!(tower.unwrap(), "tower");
        let Some(Event::ModelProgress(RequestId(7), progress)) = event else { panic!("{event:?}") };
        assert_eq!((progress.read, progress.total), (4, 8));
        assert_eq!(progress.model, "compact");
    }
}
