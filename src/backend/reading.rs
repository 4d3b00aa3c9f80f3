//! From a path to pixel values, unless the collection has the file already:
//! the blocking half of a load. One thread looks files up and reads them, others
//! decode them meanwhile.

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::decoding::{Content, Pixels, Queue};
use super::preparing;
use super::roots::Roots;
use super::stages::{Stage, Stopwatches};
use super::workers::Workers;
use crate::clip::{PixelValues, Preprocessor};
use crate::domain::{FileProblem, FileStamp, ImageId, PixelSize, Record};
use crate::picture::{self, DECODERS};
use crate::store::{self, Failed, Failures, Known, VectorStore};

/// How many files are looked up in the collection at a time.
const LOOKUP: usize = 256;

/// Files whose content is looked up at a time, and how many bytes of them are
/// held meanwhile, but for the last file.
const CONTENTS: usize = 32;
const CONTENTS_BYTES: usize = 16 << 20;

/// A file that changes while it is read is read so often.
const ATTEMPTS: usize = 3;

/// What became of one file.
pub(super) enum Read {
    /// It is in the collection, unchanged.
    Unchanged(ImageId),
    /// It is in the collection, unchanged, and was hidden.
    Returned(ImageId),
    /// Its content is in the collection, but it was written again; with whether
    /// it was hidden.
    Touched(ImageId, FileStamp, bool),
    /// Its content is in the collection by another name.
    Recognised(Record),
    /// It is ready to be embedded.
    Picture(Picture),
    /// It could not be embedded at an earlier load, and is as it was then; with
    /// its format, if that was the reason.
    FailedBefore(ImageId, Option<String>),
    /// It cannot be embedded.
    Problem(FileProblem),
    /// It was there when the folder was listed, and no longer is.
    Vanished(PathBuf),
    /// It is in the collection by another name that leads to the same file.
    Linked,
    /// The collection could not be asked; nothing follows.
    Stopped(store::Error),
    /// No thread could be started; nothing follows.
    NoThread(io::Error),
}

impl Read {
    /// The picture, if nothing is wrong with its file.
    fn well(&self) -> Option<&ImageId> {
        match self {
            Self::Unchanged(id) | Self::Returned(id) | Self::Touched(id, ..) => Some(id),
            Self::Recognised(record) => Some(&record.id),
            Self::Picture(picture) => Some(&picture.id),
            Self::FailedBefore(..)
            | Self::Problem(_)
            | Self::Vanished(_)
            | Self::Linked
            | Self::Stopped(_)
            | Self::NoThread(_) => None,
        }
    }
}

/// A file ready to be embedded.
pub(super) struct Picture {
    pub(super) id: ImageId,
    pub(super) stamp: FileStamp,
    pub(super) pixels: PixelSize,
    pub(super) values: PixelValues,
}

/// Reads `paths` below `folder`, until the receiver has left. What is decoded
/// comes whenever it is ready, the rest in order.
pub(super) struct Reader {
    pub(super) folder: Arc<Path>,
    /// What was walked of it.
    pub(super) starts: Vec<PathBuf>,
    pub(super) paths: Vec<PathBuf>,
    /// What could not be listed.
    pub(super) problems: Vec<FileProblem>,
    pub(super) roots: Roots,
    pub(super) store: Arc<dyn VectorStore>,
    /// Beside what is remembered which files failed.
    pub(super) collection: PathBuf,
    pub(super) preprocessor: Preprocessor,
    /// What decodes them.
    pub(super) workers: Workers,
    pub(super) watches: Arc<Stopwatches>,
    /// Ends the lookups in the collection, which may take long.
    pub(super) token: CancellationToken,
}

/// Why a load reads no further.
enum Stop {
    /// Nobody wants to know.
    Unwanted,
    Store(store::Error),
    /// There is no thread to decode on.
    NoThread(io::Error),
}

/// A file as it was when it could not be read.
struct Unread {
    stat: Metadata,
    error: picture::Error,
}

/// What a look at a file gives.
enum Look {
    Done(Read),
    New(Content),
}

impl Reader {
    /// Starts to read on a thread of its own; what is returned waits for its
    /// end, and fails if it panicked.
    pub(super) fn start(self, read: mpsc::Sender<Read>) -> io::Result<oneshot::Receiver<()>> {
        let runtime = Handle::current();
        let (done, ended) = oneshot::channel();
        thread::Builder::new().name("reader".into()).spawn(move || {
            self.workers.priority.take();
            let failures = Failures::beside(&self.collection);
            let failed = failures.below(&self.folder);
            let reading = Reading { reader: self, failures, failed, runtime, read };
            let last = match reading.run() {
                Err(Stop::Store(error)) => Some(Read::Stopped(error)),
                Err(Stop::NoThread(error)) => Some(Read::NoThread(error)),
                Ok(()) | Err(Stop::Unwanted) => None,
            };
            if let Some(last) = last {
                // If the receiver has left, nobody needs to know.
                let _ = reading.read.blocking_send(last);
            }
            // Nobody waits where the load was dropped.
            let _ = done.send(());
        })?;
        Ok(ended)
    }
}

/// A reader at work.
struct Reading {
    reader: Reader,
    failures: Failures,
    /// What failed at earlier loads, by location.
    failed: HashMap<PathBuf, Failed>,
    runtime: Handle,
    read: mpsc::Sender<Read>,
}

impl Reading {
    /// All threads have ended when this does.
    fn run(&self) -> Result<(), Stop> {
        for problem in &self.reader.problems {
            let location = self.reader.folder.join(&problem.path);
            self.say(self.unless_said(None, FileProblem { path: location, ..problem.clone() }))?;
        }
        let decode =
            |content: Content, pixels: &Pixels| self.say(self.prepare(content, pixels)).is_ok();
        thread::scope(|scope| {
            let queue = Queue::start(scope, self.reader.workers.count, &self.runtime, &decode);
            self.look_up(&queue.map_err(Stop::NoThread)?)
        })?;
        self.forget_gone();
        Ok(())
    }

    /// Looks up all files, and puts those that are new into `queue`.
    fn look_up(&self, queue: &Queue) -> Result<(), Stop> {
        let (mut contents, mut bytes) = (Vec::new(), 0);
        for paths in self.reader.paths.chunks(LOOKUP) {
            let location = |path: &PathBuf| self.reader.folder.join(path);
            let ids: Vec<ImageId> =
                paths.iter().map(|path| self.reader.roots.id(&location(path))).collect();
            let known = self.ask(self.reader.store.known(ids.clone()))?;
            for id in ids {
                let look = || self.look(&id, known.get(&id));
                match self.reader.watches.time(Stage::Reading, look) {
                    Look::Done(read) => self.say(read)?,
                    Look::New(content) => {
                        bytes += content.bytes.len();
                        contents.push(content);
                    }
                }
                if contents.len() >= CONTENTS || bytes >= CONTENTS_BYTES {
                    self.take_in(std::mem::take(&mut contents), queue)?;
                    bytes = 0;
                }
            }
        }
        self.take_in(contents, queue)
    }

    fn say(&self, read: Read) -> Result<(), Stop> {
        if let Some(well) = read.well().map(ImageId::location)
            && self.failed.contains_key(&well)
        {
            self.failures.forget(&well);
        }
        self.read.blocking_send(read).map_err(|_| Stop::Unwanted)
    }

    /// A file that is not there has not failed, nor has a folder that can be
    /// read by now. Where nothing at all is, a disk may be missing.
    fn forget_gone(&self) {
        let Reader { folder, starts, paths, problems, .. } = &self.reader;
        if paths.is_empty() && problems.is_empty() && starts.iter().any(|start| **start == **folder)
        {
            return;
        }
        let problems: HashSet<PathBuf> =
            problems.iter().map(|problem| folder.join(&problem.path)).collect();
        let is_well = |path: &PathBuf| {
            let is_walked = starts.iter().any(|start| path.starts_with(start));
            is_walked && path.is_dir() && !problems.contains(path)
        };
        let is_gone = |path: &PathBuf| {
            fs::symlink_metadata(path).is_err_and(|error| picture::Error::from(error).is_absence())
        };
        let well = self.failed.keys().filter(|path| is_gone(path) || is_well(path));
        well.for_each(|path| self.failures.forget(path));
    }

    fn ask<T>(&self, question: impl Future<Output = Result<T, store::Error>>) -> Result<T, Stop> {
        let question = self.reader.token.run_until_cancelled(question);
        match self.reader.watches.time(Stage::Reading, || self.runtime.block_on(question)) {
            Some(answer) => answer.map_err(Stop::Store),
            None => Err(Stop::Unwanted),
        }
    }

    /// What is to be done about the file of `id`, by its size and time if they
    /// tell, else by its content.
    fn look(&self, id: &ImageId, known: Option<&Known>) -> Look {
        let location = id.location();
        let stat = match fs::metadata(&location) {
            Ok(stat) => stat,
            Err(error) => return Look::Done(self.unreadable(&location, None, &error.into())),
        };
        let stamp = known.and_then(|known| known.stamp);
        if let Some(known) = known
            && stamp.is_some_and(|stamp| is_same(&stat, stamp.size, stamp.modified))
        {
            let id = id.clone();
            return Look::Done(if known.hidden { Read::Returned(id) } else { Read::Unchanged(id) });
        }
        let failed_before = self.failed.get(&location).filter(|failed| {
            failed.decoders == DECODERS && is_same(&stat, failed.size, failed.modified)
        });
        if let Some(failed) = failed_before {
            return Look::Done(Read::FailedBefore(id.clone(), failed.format.clone()));
        }
        let (stat, bytes) = match read_whole(&location, stat) {
            Ok(read) => read,
            Err(failed) => {
                let Unread { stat, error } = *failed;
                return Look::Done(self.unreadable(&location, Some(&stat), &error));
            }
        };
        let hash = hash(&bytes);
        let now = FileStamp { size: bytes.len() as u64, modified: FileStamp::time_of(&stat), hash };
        if stamp.is_some_and(|stamp| stamp.hash == hash) {
            let was_hidden = known.is_some_and(|known| known.hidden);
            return Look::Done(Read::Touched(id.clone(), now, was_hidden));
        }
        Look::New(Content { id: id.clone(), stamp: now, bytes })
    }

    /// Finds what the store has of `contents` by another name, and puts the rest
    /// into `queue`.
    fn take_in(&self, contents: Vec<Content>, queue: &Queue) -> Result<(), Stop> {
        if contents.is_empty() {
            return Ok(());
        }
        let hashes = contents.iter().map(|content| content.stamp.hash).collect();
        let known = self.ask(self.reader.store.with_content(hashes))?;
        let mut by_content: HashMap<[u8; 32], Vec<Record>> = HashMap::new();
        for record in known {
            if let Some(stamp) = record.stamp {
                by_content.entry(stamp.hash).or_default().push(record);
            }
        }
        for content in contents {
            let known = by_content.get(&content.stamp.hash).map(Vec::as_slice).unwrap_or_default();
            let read = match known.first() {
                Some(_) if self.is_stored(&content.id, known) => Read::Linked,
                Some(record) => {
                    let Content { id, stamp, .. } = content;
                    Read::Recognised(Record { id, stamp: Some(stamp), ..record.clone() })
                }
                None if queue.put(content) => continue,
                None => return Err(Stop::Unwanted),
            };
            self.say(read)?;
        }
        Ok(())
    }

    /// Whether the very file, which is behind a link, is in the collection by
    /// another name that leads to it, and is searched.
    fn is_stored(&self, id: &ImageId, known: &[Record]) -> bool {
        let Ok(real) = id.location().canonicalize() else { return false };
        if real == id.location() {
            return false;
        }
        let leads_there = |record: &&Record| {
            record.id != *id && record.id.location().canonicalize().is_ok_and(|other| other == real)
        };
        let twins: Vec<ImageId> =
            known.iter().filter(leads_there).map(|record| record.id.clone()).collect();
        // Where the collection cannot be asked, it is stored twice at worst.
        !twins.is_empty()
            && self
                .ask(self.reader.store.known(twins))
                .is_ok_and(|known| known.values().any(|known| !known.hidden))
    }

    fn prepare(&self, content: Content, pixels: &Pixels) -> Read {
        let Content { id, stamp, bytes } = content;
        let Reader { preprocessor, watches, .. } = &self.reader;
        let location = id.location();
        let needed = picture::memory(&bytes, preparing::detail(preprocessor));
        let prepared =
            pixels.within(needed, move || preparing::prepare(&bytes, preprocessor, watches));
        match prepared {
            Ok((pixels, values)) => Read::Picture(Picture { id, stamp, pixels, values }),
            Err(error) => {
                let tried = error.lasts().then_some((stamp.size, stamp.modified));
                self.unless_said(tried, problem(&location, &error))
            }
        }
    }

    /// A file that the system would not give, or that is no file.
    fn unreadable(&self, location: &Path, stat: Option<&Metadata>, error: &picture::Error) -> Read {
        if error.is_absence() {
            return Read::Vanished(location.to_owned());
        }
        let tried =
            stat.filter(|_| error.lasts()).map(|stat| (stat.len(), FileStamp::time_of(stat)));
        self.unless_said(tried, problem(location, error))
    }

    /// A problem of an absolute path, unless an earlier load has told of the
    /// same; remembered with the length and time of the file that was `tried`,
    /// if only a change of it can help.
    fn unless_said(&self, tried: Option<(u64, i64)>, problem: FileProblem) -> Read {
        let FileProblem { path, reason, format } = problem;
        let (size, modified) = tried.unwrap_or((0, 0));
        let decoders = if tried.is_some() { DECODERS } else { 0 };
        let failed = Failed { path, size, modified, decoders, reason, format };
        if self.failed.get(&failed.path) == Some(&failed) {
            return Read::FailedBefore(self.reader.roots.id(&failed.path), failed.format);
        }
        self.failures.remember(&failed);
        let Failed { path, reason, format, .. } = failed;
        let path = path.strip_prefix(&self.reader.folder).map(Path::to_owned).unwrap_or(path);
        Read::Problem(FileProblem { path, reason, format })
    }
}

fn problem(location: &Path, error: &picture::Error) -> FileProblem {
    let format = error.unsupported_format().map(str::to_owned);
    FileProblem { path: location.to_owned(), reason: error.to_string(), format }
}

/// Whether the file is still the one that failed, and only a change of it can
/// help.
pub(super) fn is_broken(failed: &Failed) -> bool {
    failed.decoders > 0
        && fs::metadata(&failed.path).is_ok_and(|stat| is_same(&stat, failed.size, failed.modified))
}

/// What tells the content of a file from any other.
pub(super) fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Whether a file is this long and was written at this time.
pub(super) fn is_same(stat: &Metadata, size: u64, time: i64) -> bool {
    stat.len() == size && FileStamp::time_of(stat) == time
}

/// The content of the file at `location`, and its metadata, which are the same
/// before and after.
fn read_whole(location: &Path, mut stat: Metadata) -> Result<(Metadata, Vec<u8>), Box<Unread>> {
    for _ in 0..ATTEMPTS {
        let read = picture::read(location).and_then(|bytes| Ok((bytes, fs::metadata(location)?)));
        let (bytes, after) = match read {
            Ok(read) => read,
            Err(error) => return Err(Box::new(Unread { stat, error })),
        };
        if is_same(&after, bytes.len() as u64, FileStamp::time_of(&stat)) {
            return Ok((after, bytes));
        }
        stat = after;
    }
    let busy = io::Error::new(io::ErrorKind::ResourceBusy, "it changes while it is read");
    Err(Box::new(Unread { stat, error: busy.into() }))
}
