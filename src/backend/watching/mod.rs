//! Which parts of a folder of pictures have changed, for a load that goes on.
//!
//! The system tells where it can. Where it cannot, as on network file
//! systems, everything is said to have changed every now and then.

mod burst;
mod mounts;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

pub(super) use self::burst::Changed;
use self::burst::{Below, Burst};
use crate::domain::Printable;

/// A burst is over after this long without an event.
const SETTLED: Duration = Duration::from_millis(500);
/// A burst that goes on is told of after this long all the same.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often everything is looked at where nothing tells of changes.
const POLLING: Duration = Duration::from_secs(30);
/// How often is looked whether the folder is still the same one.
const PRESENCE: Duration = Duration::from_secs(3);

/// How changes become known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Means {
    /// The system tells of them.
    Notifications,
    /// Everything is looked at again and again.
    Polling {
        /// How often.
        every: Duration,
        /// Why the system does not tell, for a person.
        reason: String,
    },
}

/// What the watcher's thread has told and nobody has taken yet.
#[derive(Default)]
struct Told {
    burst: Mutex<Burst>,
    news: Notify,
}

impl Told {
    fn burst<T>(&self, with: impl FnOnce(&mut Burst) -> T) -> T {
        with(&mut self.burst.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A folder whose changes are watched as long as this lives.
pub(super) struct Watching {
    folder: PathBuf,
    collection: PathBuf,
    means: Means,
    told: Arc<Told>,
    watcher: Option<RecommendedWatcher>,
    identity: Option<Identity>,
    /// When the first and the latest events of the burst were heard of.
    heard: Option<(Instant, Instant)>,
    next_poll: Instant,
    next_presence: Instant,
}

impl Watching {
    /// Watches `folder` from now on; what changes later is told, but for the
    /// files of `collection`. Never fails:
    /// where the system does not tell of changes, [`Watching::means`] says
    /// why. Walks all folders below, so it belongs on a blocking thread.
    pub(super) fn begin(folder: &Path, collection: &Path) -> Self {
        let told = Arc::new(Told::default());
        // Before the watching, so that one replaced meanwhile is noticed.
        let identity = identity(folder);
        let (watcher, means) = match watch(folder, collection, &told) {
            Ok(watcher) => (Some(watcher), Means::Notifications),
            Err(reason) => (None, Means::Polling { every: POLLING, reason }),
        };
        let now = Instant::now();
        Self {
            folder: folder.to_owned(),
            collection: collection.to_owned(),
            means,
            told,
            watcher,
            identity,
            heard: None,
            next_poll: now + POLLING,
            next_presence: now + PRESENCE,
        }
    }

    /// How changes become known, which may be another way after a change.
    pub(super) fn means(&self) -> &Means {
        &self.means
    }

    /// Waits for changes, and for them to settle. Nothing is lost when the
    /// wait is given up.
    pub(super) async fn changed(&mut self) -> Changed {
        loop {
            let due = self.due();
            tokio::select! {
                biased;
                () = self.told.news.notified() => self.hear(),
                () = sleep_until(due) => {
                    if let Some(changed) = self.look().await {
                        return changed;
                    }
                }
            }
        }
    }

    fn hear(&mut self) {
        let now = Instant::now();
        self.heard = Some((self.heard.map_or(now, |(first, _)| first), now));
    }

    /// When the burst in hand is over.
    fn settled(&self) -> Option<Instant> {
        self.heard.map(|(first, latest)| (latest + SETTLED).min(first + PATIENCE))
    }

    /// When there is something to do next, unless an event comes first.
    fn due(&self) -> Instant {
        let poll = self.watcher.is_none().then_some(self.next_poll);
        [self.settled(), poll].into_iter().flatten().fold(self.next_presence, Instant::min)
    }

    async fn look(&mut self) -> Option<Changed> {
        let now = Instant::now();
        if self.settled().is_some_and(|settled| settled <= now) {
            return self.take();
        }
        if self.next_presence <= now {
            let (folder, collection) = (self.folder.clone(), self.collection.clone());
            let known = self.identity;
            let anew = spawn_blocking(move || {
                (identity(&folder) != known).then(|| Self::begin(&folder, &collection))
            });
            // A panic in there would be a bug, and no reason to stop.
            if let Some(anew) = anew.await.unwrap_or_default() {
                *self = anew;
                return Some(Changed::Everything);
            }
            self.next_presence = Instant::now() + PRESENCE;
        }
        if self.watcher.is_none() && self.next_poll <= now {
            self.next_poll = now + POLLING;
            return self.identity.map(|_| Changed::Everything);
        }
        None
    }

    /// The burst in hand, which ends the watching if it was the last one.
    fn take(&mut self) -> Option<Changed> {
        self.heard = None;
        let burst = self.told.burst(std::mem::take);
        if let Some(error) = &burst.ended {
            self.watcher = None;
            self.means = Means::Polling { every: POLLING, reason: reason(error) };
            self.next_poll = Instant::now() + POLLING;
        }
        burst.changed
    }
}

/// Has the system tell of changes below `folder`, or says why it does not.
fn watch(folder: &Path, collection: &Path, told: &Arc<Told>) -> Result<RecommendedWatcher, String> {
    // As the system names it, so that its paths can be told from this one.
    let root = fs::canonicalize(folder).map_err(|error| {
        format!("{} cannot be opened just now ({error})", Printable::new(folder))
    })?;
    // Only Linux has it; other systems notify of network folders or fail.
    let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
    if let Some(mount) = mounts::network(&String::from_utf8_lossy(&mounts), &root) {
        return Err(format!(
            "{} is a network file system ({}), where changes made elsewhere are not told of",
            Printable::new(&mount.at),
            Printable::new(&mount.kind)
        ));
    }
    let tell = Arc::clone(told);
    let below = Below { root: root.clone(), collection: collection.to_owned() };
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if tell.burst(|burst| burst.add(event, &below)) {
            tell.news.notify_one();
        }
    })
    .map_err(|error| reason(&error))?;
    watcher.watch(&root, RecursiveMode::Recursive).map_err(|error| reason(&error))?;
    Ok(watcher)
}

/// Why the system does not tell of changes, and what may help.
fn reason(error: &notify::Error) -> String {
    const TOO_MANY_OPEN: i32 = 24;
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => "there are more folders than the system watches at \
             once; a higher fs.inotify.max_user_watches (set with sysctl) helps"
            .to_owned(),
        notify::ErrorKind::Io(io) if io.raw_os_error() == Some(TOO_MANY_OPEN) => "too many \
             programs watch folders at once; a higher fs.inotify.max_user_instances (set with \
             sysctl) helps"
            .to_owned(),
        _ => format!("the system cannot watch the folder ({})", Printable::new(&error.to_string())),
    }
}

/// What tells a folder from another one that came in its place: device and
/// number on the device.
type Identity = (u64, u64);

/// `None` if there is no such folder.
fn identity(folder: &Path) -> Option<Identity> {
    let found: io::Result<fs::Metadata> = fs::metadata(folder);
    let found = found.ok().filter(fs::Metadata::is_dir)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Some((found.dev(), found.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = found;
        Some((0, 0))
    }
}

#[cfg(test)]
mod tests;
