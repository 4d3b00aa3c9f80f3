//! Takes requests one by one, runs each as a cancellable task, reports events.

use std::collections::HashMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Instant;

use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::{self, JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::copy::Copy;
use super::load::{Control, Ending, Load};
use super::message::{Event, Failure, Prune, PullProgress, Query, Request, RequestId, Status};
use super::reporter::Reporter;
use super::session::Session;
use super::turn::Turn;
use super::upkeep::Upkeep;
use super::watch::Watch;
use super::workers::Workers;
use super::{ModelChoice, Settings, choice, elsewhere, export, gone, search, thumbnail};
use crate::clip::Arithmetic;
use crate::domain::{CollectionSpec, FileProblem, Printable};
use crate::hub::{self, Hub, Preset};
use crate::store::{Collection, Failed, Failures, VectorStore};

/// Owns the tasks; the work is theirs.
pub(super) struct Actor {
    work: Work,
    tasks: JoinSet<()>,
    running: HashMap<task::Id, Running>,
    pauses: HashMap<RequestId, watch::Sender<bool>>,
    newest_search: Option<RequestId>,
}

struct Running {
    request: RequestId,
    token: CancellationToken,
}

/// What a task needs, cheap to clone.
#[derive(Clone)]
struct Work {
    choice: ModelChoice,
    arithmetic: Arithmetic,
    workers: Workers,
    hub: Arc<Hub>,
    collection: Collection,
    session: Arc<Mutex<Option<Arc<Session>>>>,
    /// Held by the load under way: another one waits for its end.
    loading: Arc<Mutex<()>>,
    events: mpsc::Sender<Event>,
}

impl Actor {
    pub(super) fn new(settings: Settings, events: mpsc::Sender<Event>) -> Self {
        let Settings { model, arithmetic, threads, priority, hub, collection } = settings;
        let count = threads.or_else(|| available_parallelism().ok());
        Self {
            work: Work {
                choice: model,
                arithmetic,
                workers: Workers { count: count.unwrap_or(NonZero::<usize>::MIN), priority },
                hub: Arc::new(hub),
                collection,
                session: Arc::default(),
                loading: Arc::default(),
                events,
            },
            tasks: JoinSet::new(),
            running: HashMap::new(),
            pauses: HashMap::new(),
            newest_search: None,
        }
    }

    /// Awaits only requests and the ends of tasks, so it always listens.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        loop {
            tokio::select! {
                request = inbox.recv() => match request {
                    Some(request) => self.start(request),
                    None => break,
                },
                Some(ended) = self.tasks.join_next_with_id() => self.clear_up(ended),
            }
        }
        self.running.values().for_each(|running| running.token.cancel());
        while self.tasks.join_next().await.is_some() {}
    }

    fn start(&mut self, request: Request) {
        let work = self.work.clone();
        match request {
            Request::Cancel(id) => self.cancel(id),
            Request::Status { id } => {
                self.spawn(id, |token| {
                    work.answer_from_store(id, token, move |work| work.status(id))
                });
            }
            Request::Failed { id } => self.spawn(id, |token| {
                work.answer(id, token, async move |work: Work| {
                    Ok(Event::FailedListed(id, work.failed().await?))
                })
            }),
            Request::CountGone { id, folder } => self.spawn(id, |token| {
                work.answer_from_store(id, token, async move |work: Work| {
                    Ok(Event::GoneCounted(id, work.count_gone(&gone::name(&folder)?).await?))
                })
            }),
            Request::Prune { id, folder, prune } => self.spawn(id, |token| {
                work.answer_from_store(id, token, async move |work: Work| {
                    Ok(Event::Pruned(id, work.prune(id, &gone::name(&folder)?, prune).await?))
                })
            }),
            Request::Load { id, folder, hidden } => {
                let paused = self.paused(id);
                self.spawn(id, |token| work.load(id, (folder, hidden), Control { token, paused }));
            }
            Request::Watch { id, folders } => {
                let paused = self.paused(id);
                self.spawn(id, |token| work.watch(id, folders, Control { token, paused }));
            }
            Request::Pause { load, paused } => {
                if let Some(pause) = self.pauses.get(&load) {
                    // A load that has ended needs no rest.
                    let _ = pause.send(paused);
                }
            }
            Request::Export { id, pictures, folder } => self.spawn(id, |token| {
                let copying = token.clone();
                work.answer(id, token, async move |_| {
                    Ok(Event::Exported(id, export::export(pictures, folder, copying).await?))
                })
            }),
            Request::Copy { id, from, to, how } => self.spawn(id, |token| {
                let reporter = work.reporter(id);
                work.copy(id, move |spec| Copy { spec, from, to, how, reporter, token })
            }),
            Request::FollowLoads { id } => self.spawn(id, |token| {
                work.answer(id, token, async move |work: Work| Ok(work.follow_loads(id).await))
            }),
            Request::Backup { id, file, replace } => self.spawn(id, |token| {
                work.keep_up(id, token, async move |upkeep: Upkeep| {
                    upkeep.back_up(id, &file, replace).await
                })
            }),
            Request::Restore { id, file, replace } => self.spawn(id, |token| {
                work.keep_up(id, token, async move |upkeep: Upkeep| {
                    upkeep.restore(id, &file, replace).await
                })
            }),
            Request::Check { id, repair } => self.spawn(id, |token| {
                let store = work.clone().store(false);
                work.keep_up(id, token, async move |upkeep: Upkeep| {
                    upkeep.check(id, repair, store).await
                })
            }),
            Request::Relocate { id, old, new, force } => self.spawn(id, |token| {
                let store = work.clone().store(true);
                work.keep_up(id, token, async move |upkeep: Upkeep| {
                    Box::pin(upkeep.relocate(id, (&old, &new), force, store)).await
                })
            }),
            Request::Search { id, query, limit, within } => self.search(id, query, limit, within),
            Request::Thumbnail { id, path, bounds } => {
                self.spawn(id, |token| {
                    work.answer(id, token, async move |_| {
                        Ok(Event::ThumbnailReady(id, thumbnail::thumbnail(path, bounds).await?))
                    })
                });
            }
            Request::Models { id } => self.spawn(id, |token| {
                work.answer(id, token, async move |work: Work| {
                    let in_use = work.session().await?.model.name().to_owned();
                    Ok(Event::ModelsListed(id, choice::models(&work.hub, &in_use)))
                })
            }),
            Request::Pull { id, preset } => self.spawn(id, |token| work.pull(id, preset, token)),
        }
    }

    /// A newer search supersedes an older one.
    fn search(&mut self, id: RequestId, query: Query, limit: usize, within: Option<PathBuf>) {
        let work = self.work.clone();
        let superseded = self.newest_search.replace(id);
        if let Some(superseded) = superseded {
            self.cancel(superseded);
        }
        self.spawn(id, |token| {
            work.answer_from_store(id, token, async move |work: Work| {
                let session = work.session().await?;
                let reporter = work.reporter(id);
                let answer = search::search(session, query, limit, within, &reporter).await?;
                Ok(Event::SearchFinished(id, answer))
            })
        });
    }

    /// Whether the load of this id shall rest, from now on.
    fn paused(&mut self, id: RequestId) -> watch::Receiver<bool> {
        let (pause, paused) = watch::channel(false);
        self.pauses.retain(|_, pause| !pause.is_closed());
        self.pauses.insert(id, pause);
        paused
    }

    fn spawn<F>(&mut self, request: RequestId, job: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let token = CancellationToken::new();
        let handle = self.tasks.spawn(job(token.clone()));
        self.running.insert(handle.id(), Running { request, token });
    }

    fn cancel(&self, id: RequestId) {
        let of_request = |running: &&Running| running.request == id;
        self.running.values().filter(of_request).for_each(|running| running.token.cancel());
    }

    /// A task that panicked still owes its request a final event.
    fn clear_up(&mut self, ended: Result<(task::Id, ()), task::JoinError>) {
        let id = ended.as_ref().map_or_else(task::JoinError::id, |(id, ())| *id);
        let Some(Running { request, .. }) = self.running.remove(&id) else { return };
        if let Err(panic) = ended {
            let failure = Failure::new("answering the request", &panic);
            let events = self.work.events.clone();
            // As a task, since a full channel must not keep the actor from listening.
            self.tasks.spawn(async move {
                let _ = events.send(Event::Failed(request, failure)).await;
            });
        }
    }
}

impl Work {
    /// Runs a job whose only event is its final one.
    async fn answer<F>(self, id: RequestId, token: CancellationToken, job: impl FnOnce(Self) -> F)
    where
        F: Future<Output = Result<Event, Failure>>,
    {
        let answer = token.run_until_cancelled(job(self.clone())).await;
        self.finish(id, answer.unwrap_or(Ok(Event::Cancelled(id)))).await;
    }

    /// The same for one that needs the store, which may have to wait.
    async fn answer_from_store<F>(
        self,
        id: RequestId,
        token: CancellationToken,
        job: impl FnOnce(Self) -> F,
    ) where
        F: Future<Output = Result<Event, Failure>>,
    {
        let (reporter, waits) = (self.reporter(id), self.collection.waits());
        self.answer(id, token, |work| reporter.while_waiting(waits, job(work))).await;
    }

    /// The same for one that cleans up after itself when it is cancelled.
    async fn keep_up<F>(
        self,
        id: RequestId,
        token: CancellationToken,
        job: impl FnOnce(Upkeep) -> F,
    ) where
        F: Future<Output = Result<Event, Failure>>,
    {
        let upkeep = Upkeep {
            collection: self.collection.clone(),
            loading: Arc::clone(&self.loading),
            reporter: self.reporter(id),
            token: token.clone(),
        };
        let waits = self.collection.waits();
        let answer = match self.reporter(id).while_waiting(waits, job(upkeep)).await {
            Err(_) if token.is_cancelled() => Ok(Event::Cancelled(id)),
            answer => answer,
        };
        if matches!(answer, Ok(Event::Restored(..) | Event::Checked(..))) {
            // The collection may be another file now.
            *self.session.lock().await = None;
        }
        self.finish(id, answer).await;
    }

    fn reporter(&self, id: RequestId) -> Reporter {
        Reporter::new(id, self.events.clone())
    }

    async fn status(self, id: RequestId) -> Result<Event, Failure> {
        let session = self.session().await?;
        let doing = || format!("opening the collection {}", self.collection.place());
        let spaces = self.collection.spaces().await;
        Ok(Event::StatusReported(
            id,
            Status {
                model: session.spec.model.clone(),
                dimension: session.spec.dimension,
                compact: session.spec.model.name == "compact",
                offer: self.choice.offer(&self.hub),
                spaces: spaces.map_err(|e| Failure::new(doing(), &e))?,
                collection: self.collection.place(),
            },
        ))
    }

    /// Follows until cancelled; where that is not possible, there is nothing
    /// to see.
    async fn follow_loads(&self, id: RequestId) -> Event {
        if let Err(error) =
            elsewhere::follow(self.collection.on_this_machine(), id, &self.events).await
        {
            tracing::warn!(%error, "loads of other processes are not seen");
        }
        std::future::pending().await
    }

    async fn load(
        self,
        id: RequestId,
        (folder, hidden_before): (PathBuf, usize),
        control: Control,
    ) {
        let load = Box::pin(async {
            let load = self.new_load(id, control).await?;
            Load { hidden_before, ..load }.run(folder).await
        });
        let ending = self.reporter(id).while_waiting(self.collection.waits(), load).await;
        let event = ending.map(|ending| match ending {
            Ending::Finished(progress) => Event::LoadFinished(id, progress),
            Ending::Cancelled => Event::Cancelled(id),
        });
        self.finish(id, event).await;
    }

    async fn watch(self, id: RequestId, folders: Vec<PathBuf>, control: Control) {
        let watch = Box::pin(async {
            let load = self.new_load(id, control).await?;
            Watch { load: Load { is_watch: true, ..load }, folders }.run().await
        });
        let ended = self.reporter(id).while_waiting(self.collection.waits(), watch).await;
        self.finish(id, ended.map(|()| Event::Cancelled(id))).await;
    }

    async fn new_load(&self, id: RequestId, control: Control) -> Result<Load, Failure> {
        Ok(Load {
            session: self.session().await?,
            collection: self.collection.clone(),
            reporter: self.reporter(id),
            hidden_before: 0,
            control,
            loading: Arc::clone(&self.loading),
            is_watch: false,
        })
    }

    async fn failed(&self) -> Result<Vec<FileProblem>, Failure> {
        let collection = self.collection.on_this_machine().to_owned();
        let list = move || Failures::known(&collection);
        let all = spawn_blocking(list).await;
        let all = all.map_err(|e| Failure::new("reading which files failed", &e))?;
        let problem = |failed: Failed| {
            let Failed { path, reason, format, .. } = failed;
            FileProblem { path, reason, format }
        };
        Ok(all.into_iter().map(problem).collect())
    }

    async fn count_gone(&self, folder: &Path) -> Result<usize, Failure> {
        let doing = || format!("looking for files that are gone from {}", Printable::new(folder));
        let store = self.session().await?.for_load().await;
        let store = store.map_err(|e| Failure::new(doing(), &e))?;
        gone::count(&store, folder).await.map_err(|e| Failure::new(doing(), &e))
    }

    async fn prune(&self, id: RequestId, folder: &Path, prune: Prune) -> Result<usize, Failure> {
        let collection = self.collection.on_this_machine();
        let turn = Turn::wait(collection, &self.loading, &self.reporter(id)).await;
        let _turn = turn.map_err(|e| Failure::new(gone::erasing(folder), &e))?;
        let store = self.session().await?.for_load().await;
        let store = store.map_err(|e| Failure::new(gone::erasing(folder), &e))?;
        let erased = gone::erase(&store, folder, prune).await?;
        let (collection, folder) = (collection.to_owned(), folder.to_owned());
        let forgetting = spawn_blocking(move || {
            if !folder.exists() {
                Failures::beside(&collection).forget_below(&folder);
            }
        });
        // A file that is listed as failed and is gone does no harm.
        let _ = forgetting.await;
        Ok(erased)
    }

    /// The space of the model in use, for changing it or for reading.
    async fn store(self, to_change: bool) -> Result<Arc<dyn VectorStore>, Failure> {
        let doing = || format!("opening the collection {}", self.collection.place());
        let session = self.session().await?;
        let store = if to_change { session.for_load().await } else { session.for_search().await };
        store.map_err(|e| Failure::new(doing(), &e))
    }

    async fn copy(self, id: RequestId, copy: impl FnOnce(CollectionSpec) -> Copy) {
        let copied = match self.session().await {
            Ok(session) => {
                let copy = copy(session.spec.clone());
                let waits = copy.from.waits().or(copy.to.waits());
                self.reporter(id).while_waiting(waits, Box::pin(copy.run())).await
            }
            Err(failure) => Err(failure),
        };
        let event = copied.map(|copied| match copied {
            Some(copied) => Event::Copied(id, copied),
            None => Event::Cancelled(id),
        });
        self.finish(id, event).await;
    }

    async fn pull(self, id: RequestId, preset: String, token: CancellationToken) {
        let pulled = self.pull_now(id, &preset, &token).await;
        let pulled = match pulled {
            Err(_) if token.is_cancelled() => Ok(Event::Cancelled(id)),
            pulled => pulled.map(|folder| Event::Pulled(id, folder)),
        };
        self.finish(id, pulled).await;
    }

    async fn pull_now(
        &self,
        id: RequestId,
        preset: &str,
        token: &CancellationToken,
    ) -> Result<PathBuf, Failure> {
        let doing = format!("downloading the model {}", Printable::new(preset));
        let preset = Preset::named(preset).ok_or_else(|| {
            Failure::because(&doing, "there is no such model").hint("see `carlens model list`")
        })?;
        let began = Instant::now();
        let progress = |at: hub::PullProgress| {
            let progress = PullProgress {
                file: at.file,
                done: at.done,
                total: at.total,
                received: at.done.saturating_sub(at.resumed),
                elapsed: began.elapsed(),
            };
            // A front end too busy to take this one will take the next.
            let _ = self.events.try_send(Event::PullProgress(id, progress));
        };
        let pulled = self.hub.pull_preset(preset, progress, token).await;
        let folder = pulled.map_err(|e| Failure::new(&doing, &e))?;
        if self.choice.is_auto() {
            *self.session.lock().await = None;
        }
        Ok(folder)
    }

    /// The model in use, opened by whoever needs it first.
    async fn session(&self) -> Result<Arc<Session>, Failure> {
        let mut session = self.session.lock().await;
        if let Some(session) = session.as_ref() {
            return Ok(Arc::clone(session));
        }
        let (choice, hub) = (self.choice.clone(), Arc::clone(&self.hub));
        let (how, collection) = ((self.arithmetic, self.workers), self.collection.clone());
        let opened = Arc::new(Session::open(choice, how, hub, collection).await?);
        *session = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// Sends the final event. A front end that has left no longer needs it.
    async fn finish(&self, id: RequestId, answer: Result<Event, Failure>) {
        let event = answer.unwrap_or_else(|failure| Event::Failed(id, failure));
        let _ = self.events.send(event).await;
    }
}
