//! Walk → skip the known → decode → embed → upsert, batch by batch; then hide
//! what is gone. All of it goes on at once: while the model has one batch in
//! hand, the next one is decoded and the last one is stored.
//!
//! Nothing ends a load but a full disk, a broken collection or a cancel; a
//! picture that cannot be embedded is an entry in a list.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::batches::{BATCH, Batches, Bundle};
use super::elsewhere::Journal;
use super::gone::{self, Met, Seen};
use super::message::{Ended, Event, Failure, LoadPlan, LoadProgress, Remark};
use super::reading::{self, Read, Reader};
use super::relocate;
use super::reporter::Reporter;
use super::roots::{self, Roots};
use super::session::Session;
use super::stages::Stopwatches;
use super::storing::{Parcel, Stored, Storing};
use super::stray;
use super::turn::Turn;
use super::walk::{Found, Walk};
use super::watching::Changed;
use crate::domain::{FileProblem, FileStamp, ImageId, Printable, Record, SpaceSummary};
use crate::store::{self, Collection, Failed, Failures, Refused, VectorStore};

/// Progress is reported no more often: a screen shows no more, and a fast
/// load of known pictures would report nothing else.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// One load under way.
#[derive(Clone)]
pub(super) struct Load {
    pub(super) session: Arc<Session>,
    pub(super) collection: Collection,
    pub(super) reporter: Reporter,
    pub(super) control: Control,
    /// How many pictures of other folders were hidden in the same run.
    pub(super) hidden_before: usize,
    /// Held by the load under way in this process: others wait for its end.
    pub(super) loading: Arc<Mutex<()>>,
    /// Whether it will come by what is missing now when that is there again.
    pub(super) is_watch: bool,
}

/// How others hold a load up.
#[derive(Clone)]
pub(super) struct Control {
    /// Ends it after the batch in hand.
    pub(super) token: CancellationToken,
    /// Lets it rest after the batch in hand while this is true.
    pub(super) paused: watch::Receiver<bool>,
}

/// How a load ended other than by a failure.
pub(super) enum Ending {
    Finished(LoadProgress),
    Cancelled,
}

impl Load {
    pub(super) async fn run(mut self, folder: PathBuf) -> Result<Ending, Failure> {
        let folder = canonical(&folder)?;
        self.catch_up(&folder, &Changed::Everything).await
    }

    /// Brings the collection up to date with what has `changed` below the
    /// canonical `folder`, once it is this load's turn.
    pub(super) async fn catch_up(
        &mut self,
        folder: &Path,
        changed: &Changed,
    ) -> Result<Ending, Failure> {
        let token = self.control.token.clone();
        let collection = self.collection.on_this_machine();
        let turn = Turn::wait(collection, &self.loading, &self.reporter);
        let Some(turn) = token.run_until_cancelled(turn).await else {
            return Ok(Ending::Cancelled);
        };
        let _turn = turn.map_err(|e| Failure::new("preparing to load", &e))?;
        // A database that sleeps may keep us waiting here.
        let Some(opened) = token.run_until_cancelled(self.plan(folder)).await else {
            return Ok(Ending::Cancelled);
        };
        let progress = self.update(folder, changed, opened?).await?;
        let cancelled = token.is_cancelled();
        Ok(if cancelled { Ending::Cancelled } else { Ending::Finished(progress) })
    }

    async fn update(
        &mut self,
        folder: &Path,
        changed: &Changed,
        opened: Opened,
    ) -> Result<LoadProgress, Failure> {
        let Opened { store, roots } = opened;
        let token = self.control.token.clone();
        let mut tally = Tally::new(folder, self.journal(folder));
        let below = changed.below(folder);
        let walk = Walk { folder: folder.to_owned(), starts: below, others: roots.all() };
        let found = self.list(walk.clone(), &mut tally).await?;
        let mut met = Met::of(folder, &found);
        let is_of_use = !found.pictures.is_empty() || !found.problems.is_empty();
        if is_of_use && roots.has_new {
            // It is loaded again with the others, though all that is in it may be
            // known by other folders, or fail.
            let added = store.add_folder(folder.to_owned()).await;
            added.map_err(|e| Failure::new("noting the folder", &e))?;
        }
        let Found { pictures: paths, problems, .. } = found;
        let (reader, read) = mpsc::channel(BATCH);
        let reading = Reader {
            folder: folder.into(),
            starts: walk.starts.clone(),
            paths,
            problems,
            roots,
            store: Arc::clone(&store),
            collection: self.collection.on_this_machine().to_owned(),
            preprocessor: self.session.preprocessor.clone(),
            workers: self.session.workers,
            watches: Arc::clone(&tally.watches),
            token: token.clone(),
        };
        let reading = reading.start(reader).map_err(|e| Failure::new("starting a thread", &e))?;
        let mut ended = self.store_batches(read, &store, &mut tally).await;
        let stopped = || Failure::because("reading the pictures", "its thread has stopped");
        // A file that never comes, as of a server that is gone, keeps nobody who
        // wants to stop.
        token.run_until_cancelled(reading).await.unwrap_or(Ok(())).map_err(|_| stopped())?;
        if ended.is_ok() && !token.is_cancelled() {
            if !self.is_watch {
                ended = self.miss_vanished(&tally).await;
            }
            met.lose(&tally.vanished);
            let broken = self.broken(walk.starts.clone()).await?;
            let seen = Seen { walk, met, broken, hidden_before: self.hidden_before };
            let outcome = self.hide(&store, &seen, changed, &tally).await;
            let left = gone::left(&seen.walk);
            store.forget_folders(left).await.map_err(|e| Failure::new("tidying up", &e))?;
            tally.gone(outcome.map_err(|e| Failure::new("looking for files that are gone", &e))?);
        }
        // The last word on numbers, however it ended.
        self.report_progress(&mut tally).await;
        tally.end(match &ended {
            Err(_) => Ended::Failed,
            Ok(()) if token.is_cancelled() => Ended::Stopped,
            Ok(()) => Ended::Finished,
        });
        ended?;
        store.optimize().await;
        Ok(tally.progress())
    }

    /// Hides what is gone. For pictures of other folders is looked as well where
    /// this load may have come by them.
    async fn hide(
        &self,
        store: &Arc<dyn VectorStore>,
        seen: &Seen,
        changed: &Changed,
        tally: &Tally,
    ) -> Result<gone::Outcome, store::Error> {
        let gone = gone::hide(store, seen).await?;
        if !matches!(changed, Changed::Everything) && tally.progress.recognised == 0 {
            return Ok(gone);
        }
        let stray = stray::hide(store, &seen.walk, seen.hidden_before + gone.hidden).await?;
        Ok(gone.and(stray))
    }

    /// Of those that are few, it is told; that many went away is an error.
    async fn miss_vanished(&self, tally: &Tally) -> Result<(), Failure> {
        if tally.vanished.is_empty() {
            return Ok(());
        }
        tally.mostly_stayed()?;
        let (gone, folder) = (tally.vanished.len(), Printable::new(&tally.folder));
        let files = if gone == 1 { "file" } else { "files" };
        let text = format!("{gone} {files} of {folder} went away while it was loaded");
        let hint = "another load embeds what has another name now".into();
        self.reporter.report(Event::Remarked, Remark { text, hint }).await;
        Ok(())
    }

    /// The files below some folders that only a change of them can make well.
    async fn broken(&self, below: Vec<PathBuf>) -> Result<HashSet<PathBuf>, Failure> {
        let collection = self.collection.on_this_machine().to_owned();
        let lasting = move || {
            let is_below = |failed: &Failed| below.iter().any(|b| failed.path.starts_with(b));
            let failed = Failures::known(&collection).into_iter();
            failed
                .filter(|failed| is_below(failed) && reading::is_broken(failed))
                .map(|failed| failed.path)
                .collect()
        };
        let broken = spawn_blocking(lasting).await;
        broken.map_err(|e| Failure::new("reading which files failed", &e))
    }

    /// Opens the store and says what is going to happen to the canonical
    /// `folder`.
    async fn plan(&self, folder: &Path) -> Result<Opened, Failure> {
        let opening = || format!("opening the collection {}", self.collection.place());
        let spaces = self.collection.spaces().await.map_err(|e| Failure::new(opening(), &e))?;
        let store = self.session.for_load().await.map_err(|e| Failure::new(opening(), &e))?;
        let model = self.session.spec.model.clone();
        // Where the model is not recorded, the store has just taken it for ours.
        let is_ours = |space: &SpaceSummary| space.model.as_ref().is_none_or(|m| *m == model);
        let (own, other_models): (Vec<_>, Vec<_>) = spaces.into_iter().partition(is_ours);
        let plan =
            LoadPlan { folder: folder.to_owned(), model, other_models, new_space: own.is_empty() };
        self.reporter.report(Event::LoadPlanned, plan).await;
        self.follow_links(&store).await?;
        let known = store.folders().await.map_err(|e| Failure::new(opening(), &e))?;
        Ok(Opened { store, roots: Roots::new(known, folder) })
    }

    /// Moves folders of the collection that are links by now to where they lead,
    /// if their pictures are there: each has one name, that of its file.
    async fn follow_links(&self, store: &Arc<dyn VectorStore>) -> Result<(), Failure> {
        let Collection::Embedded(path) = &self.collection else { return Ok(()) };
        let doing = "following folders that are links by now";
        let folders = store.folders().await.map_err(|e| Failure::new(doing, &e))?;
        let linked = spawn_blocking(move || roots::linked(folders)).await.unwrap_or_default();
        for (old, new) in linked {
            let doing = format!("moving {} to {}", Printable::new(&old), Printable::new(&new));
            if gone::is_there(store, &old).await.map_err(|e| Failure::new(&doing, &e))? {
                relocate::follow(path, (&old, &new), &doing).await?;
            }
        }
        Ok(())
    }

    async fn list(&self, walk: Walk, tally: &mut Tally) -> Result<Found, Failure> {
        let token = self.control.token.clone();
        let list = move || walk.find(|| !token.is_cancelled());
        let found =
            spawn_blocking(list).await.map_err(|e| Failure::new("listing the folder", &e))?;
        tally.progress.found = found.pictures.len() + found.problems.len();
        tally.progress.walked = true;
        self.report_progress(tally).await;
        Ok(found)
    }

    async fn store_batches(
        &mut self,
        mut read: mpsc::Receiver<Read>,
        store: &Arc<dyn VectorStore>,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let watches = Arc::clone(&tally.watches);
        let storing = Storing::new(Arc::clone(store), Arc::clone(&watches));
        let mut batches = Batches::new(storing, watches);
        let ended = self.fill_batches(&mut read, &mut batches, tally).await;
        // Whatever came in between, what is on its way to the store counts.
        let last = match ended {
            Ok(()) => self.empty(&mut batches, tally).await,
            Err(failure) => Err(failure),
        };
        let waits = self.collection.waits();
        let Batches { storing, .. } = &mut batches;
        while let Some(stored) =
            storing.next_unless_waiting(&self.control.token, waits.as_ref()).await
        {
            let stored = self.count(stored, tally).await;
            if last.is_ok() {
                stored?;
            }
        }
        last
    }

    /// Until nothing more is read, or the load is cancelled.
    async fn fill_batches(
        &mut self,
        read: &mut mpsc::Receiver<Read>,
        batches: &mut Batches,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        loop {
            self.rest_while_paused(batches, tally).await?;
            let has_room = batches.has_room();
            let Batches { encoding, storing, .. } = batches;
            tokio::select! {
                biased;
                () = self.control.token.cancelled() => return Ok(()),
                Some(stored) = storing.next() => self.count(stored, tally).await?,
                Some(embedded) = encoding.next() => batches.bundle.fresh.extend(embedded?),
                read = read.recv(), if has_room => match read {
                    Some(read) => self.sort(read, batches, tally).await?,
                    None => return Ok(()),
                },
            }
            if batches.is_due() {
                self.store(batches, tally).await?;
            }
            // The model never waits for a batch to be full; but what is ready
            // goes together.
            if read.is_empty() || !batches.has_room() {
                batches.encode(&self.session, &self.reporter);
            }
            if tally.is_due() {
                self.report_progress(tally).await;
            }
        }
    }

    /// Puts what was read where it goes on from.
    async fn sort(
        &self,
        read: Read,
        batches: &mut Batches,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let bundle = &mut batches.bundle;
        match read {
            Read::Unchanged(id) => tally.done(&id, |at| &mut at.unchanged),
            Read::FailedBefore(id, format) => tally.failed_before(&id, format.as_deref()),
            Read::Linked => tally.progress.found -= 1,
            Read::Vanished(path) => {
                tally.progress.found -= 1;
                tally.vanished.push(path);
            }
            Read::Returned(id) => bundle.returned.push(id),
            Read::Touched(id, stamp, was_hidden) => {
                if was_hidden {
                    tally.coming_back.insert(id.clone());
                }
                bundle.touched.push((id, stamp));
            }
            Read::Recognised(record) => bundle.recognised.push(record),
            Read::Picture(picture) => batches.pictures.push(picture),
            Read::Problem(problem) => self.fail(problem, tally).await,
            Read::Stopped(e) => return Err(Failure::new("asking the collection", &e)),
            Read::NoThread(e) => return Err(Failure::new("starting a thread", &e)),
        }
        Ok(())
    }

    /// Embeds and stores what is left, or only stores what the model has in hand
    /// if the load is cancelled.
    async fn empty(&self, batches: &mut Batches, tally: &mut Tally) -> Result<(), Failure> {
        loop {
            if batches.bundle.len() >= BATCH {
                self.store(batches, tally).await?;
            }
            if !self.control.token.is_cancelled() {
                batches.encode(&self.session, &self.reporter);
            }
            let Some(embedded) = batches.encoding.next().await else { break };
            batches.bundle.fresh.extend(embedded?);
        }
        self.store(batches, tally).await
    }

    /// The reader stands still as well, as nobody takes what it has read. What
    /// the model has in hand is stored first, unless the store waits itself.
    async fn rest_while_paused(
        &mut self,
        batches: &mut Batches,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        if !*self.control.paused.borrow_and_update() {
            return Ok(());
        }
        if let Some(embedded) = batches.encoding.next().await {
            batches.bundle.fresh.extend(embedded?);
        }
        self.store(batches, tally).await?;
        let (at_once, waits) = (CancellationToken::new(), self.collection.waits());
        at_once.cancel();
        while let Some(stored) = batches.storing.next_unless_waiting(&at_once, waits.as_ref()).await
        {
            self.count(stored, tally).await?;
        }
        let began = Instant::now();
        tally.progress.paused = true;
        self.report_progress(tally).await;
        let Control { token, paused, .. } = &mut self.control;
        // An error means that nobody is left to end the pause.
        let _ = token.run_until_cancelled(paused.wait_for(|paused| !paused)).await;
        tally.progress.paused = false;
        tally.began += began.elapsed();
        self.report_progress(tally).await;
        Ok(())
    }

    /// The load goes on without, if there cannot be one.
    fn journal(&self, folder: &Path) -> Option<Journal> {
        let begun = Journal::begin(self.collection.on_this_machine(), folder);
        begun
            .inspect_err(|error| tracing::warn!(%error, "other processes do not see this load"))
            .ok()
    }

    /// Sets out to store what is together, once there is room for it on the way.
    async fn store(&self, batches: &mut Batches, tally: &mut Tally) -> Result<(), Failure> {
        let Bundle { touched, recognised, returned, fresh } = std::mem::take(&mut batches.bundle);
        let storing = &mut batches.storing;
        let touched = self.restamped(touched, storing).await?;
        let parcel = Parcel { touched, recognised, fresh, returned };
        if parcel.is_empty() {
            return Ok(());
        }
        let waits = self.collection.waits();
        while storing.is_full() {
            match storing.next_unless_waiting(&self.control.token, waits.as_ref()).await {
                Some(stored) => self.count(stored, tally).await?,
                None => return Ok(()),
            }
        }
        storing.start(parcel);
        Ok(())
    }

    /// Counts what was stored: only now, as a full disk may have kept it from
    /// being so.
    async fn count(
        &self,
        stored: Result<Stored, store::Error>,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let saving = "saving embeddings";
        let stored = stored.map_err(|e| Failure::new(saving, &e))?;
        if let Collection::Embedded(path) = &self.collection
            && !path.exists()
        {
            let gone = format!("the collection {} was removed meanwhile", Printable::new(path));
            let hint = "`carlens load FOLDER` makes it anew; if the file was moved, move it back";
            return Err(Failure::because(saving, gone).hint(hint));
        }
        let refused: HashSet<&ImageId> = stored.refused.iter().map(|refused| &refused.id).collect();
        let taken = |id: &&ImageId| !refused.contains(id);
        let Stored { touched, recognised, fresh, returned, .. } = &stored;
        for id in touched.iter().filter(taken) {
            let is_back = tally.coming_back.remove(id);
            tally.done(id, |at| if is_back { &mut at.returned } else { &mut at.unchanged });
        }
        recognised.iter().filter(taken).for_each(|id| tally.done(id, |at| &mut at.recognised));
        fresh.iter().filter(taken).for_each(|id| tally.done(id, |at| &mut at.embedded));
        for id in returned {
            tally.done(id, |at| &mut at.returned);
        }
        for Refused { id, reason } in &stored.refused {
            let (path, reason) = (tally.relative(id), reason.clone());
            self.fail(FileProblem::new(path, reason), tally).await;
        }
        Ok(())
    }

    /// The records of files that were written again with the same content.
    async fn restamped(
        &self,
        touched: Vec<(ImageId, FileStamp)>,
        storing: &Storing,
    ) -> Result<Vec<Record>, Failure> {
        if touched.is_empty() {
            return Ok(Vec::new());
        }
        let stamps: HashMap<ImageId, FileStamp> = touched.into_iter().collect();
        let known = storing.store.get(stamps.keys().cloned().collect());
        let Some(records) = self.control.token.run_until_cancelled(known).await else {
            return Ok(Vec::new());
        };
        let mut records = records.map_err(|e| Failure::new("asking the collection", &e))?;
        for record in &mut records {
            record.stamp = stamps.get(&record.id).copied().or(record.stamp);
        }
        Ok(records)
    }

    async fn fail(&self, problem: FileProblem, tally: &mut Tally) {
        tally.failed(&problem);
        self.reporter.report(Event::PictureFailed, problem).await;
    }

    async fn report_progress(&self, tally: &mut Tally) {
        tally.tell_others();
        self.reporter.report(Event::LoadProgress, tally.progress()).await;
    }
}

/// The store that a load fills, and what pictures are called in it.
struct Opened {
    store: Arc<dyn VectorStore>,
    roots: Roots,
}

/// The running count.
struct Tally {
    folder: PathBuf,
    progress: LoadProgress,
    began: Instant,
    reported: Instant,
    journal: Option<Journal>,
    watches: Arc<Stopwatches>,
    /// Files that went away while the load was at them.
    vanished: Vec<PathBuf>,
    /// Hidden pictures whose files were written again.
    coming_back: HashSet<ImageId>,
}

impl Tally {
    fn new(folder: &Path, journal: Option<Journal>) -> Self {
        let now = Instant::now();
        let folder = folder.to_owned();
        let (progress, watches) = (LoadProgress::default(), Arc::default());
        Self {
            folder,
            progress,
            began: now,
            reported: now,
            journal,
            watches,
            vanished: Vec::new(),
            coming_back: HashSet::new(),
        }
    }

    fn failed(&mut self, problem: &FileProblem) {
        self.progress.failed += 1;
        self.progress.failed_by_format.add(problem.format.as_deref());
        self.progress.current = Some(problem.path.clone());
        if let Some(journal) = &mut self.journal {
            journal.failed(problem);
        }
    }

    /// Whether the files that were found were still there to be read: all but a
    /// few, or it is rather their disk that went away.
    fn mostly_stayed(&self) -> Result<(), Failure> {
        let (gone, stayed) = (self.vanished.len(), self.progress.found);
        if !gone::looks_like_a_disk(gone, stayed) && !gone::is_bare(&self.folder) {
            return Ok(());
        }
        let folder = Printable::new(&self.folder);
        let reason = format!("{gone} of {} files went away meanwhile", gone + stayed);
        Err(Failure::because(format!("loading {folder}"), reason)
            .hint("look whether its disk is still there, and load it again"))
    }

    /// The last word to other processes.
    fn end(&mut self, ended: Ended) {
        if let Some(journal) = self.journal.take() {
            journal.end(ended);
        }
    }

    fn tell_others(&mut self) {
        let progress = self.progress();
        let told = self.journal.as_mut().map_or(Ok(()), |journal| journal.tell(&progress));
        if let Err(error) = told {
            tracing::warn!(%error, "other processes no longer see this load");
            self.journal = None;
        }
    }

    /// Counts a picture that is done with.
    fn done(&mut self, id: &ImageId, counter: impl Fn(&mut LoadProgress) -> &mut usize) {
        *counter(&mut self.progress) += 1;
        self.progress.current = Some(self.relative(id));
    }

    fn failed_before(&mut self, id: &ImageId, format: Option<&str>) {
        self.progress.failed_before_by_format.add(format);
        self.done(id, |at| &mut at.failed_before);
    }

    fn gone(&mut self, outcome: gone::Outcome) {
        let gone::Outcome { hidden, missing, renamed } = outcome;
        (self.progress.hidden, self.progress.missing) = (hidden, missing);
        self.progress.removed += renamed;
    }

    /// The picture's path in the folder that is loaded.
    fn relative(&self, id: &ImageId) -> PathBuf {
        let location = id.location();
        location.strip_prefix(&self.folder).map(Path::to_owned).unwrap_or(location)
    }

    fn is_due(&mut self) -> bool {
        let due = self.reported.elapsed() >= REPORT_EVERY;
        if due {
            self.reported = Instant::now();
        }
        due
    }

    fn progress(&self) -> LoadProgress {
        let (elapsed, stages) = (self.began.elapsed(), Box::new(self.watches.times()));
        LoadProgress { elapsed, stages, ..self.progress.clone() }
    }
}

/// The folder's one absolute name, so that a picture has one id however its
/// folder was written.
pub(super) fn canonical(folder: &Path) -> Result<PathBuf, Failure> {
    let doing = || format!("loading {}", Printable::new(folder));
    let canonical = folder.canonicalize().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Failure::because(doing(), "there is no such folder").hint(
            "if it has moved, `carlens move OLD NEW`; if it is gone for good, `carlens load FOLDER \
             --prune` erases what the collection has of it",
        ),
        _ => Failure::new(doing(), &e),
    })?;
    if !canonical.is_dir() {
        return Err(Failure::because(doing(), "it is not a folder")
            .hint("to find pictures like this one, use `carlens search --image`"));
    }
    std::fs::read_dir(&canonical).map_err(|e| Failure::new(doing(), &e))?;
    Ok(canonical)
}
