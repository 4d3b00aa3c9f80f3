//! Which parts of a folder of pictures have changed, for a load that goes on.
//!
//! The system tells where it can. Where it cannot, as on network file
//! systems, everything is said to have changed every now and then.
//!
//! What links lead to is watched as well, where a walk of the folder follows
//! them: each such folder by its own name, so that a change is told of where
//! the link is. When a link comes or goes, all is watched anew.

mod burst;
mod mounts;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use notify::{Config, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

pub(super) use self::burst::Changed;
use self::burst::{Below, Burst};
use super::identity::Identity;
use super::walk::{self, Link};
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

/// What the system tells of.
struct Watched {
    below: Arc<Below>,
    /// Tells as long as it lives.
    _watcher: RecommendedWatcher,
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
    watched: Option<Watched>,
    known: Known,
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
        let (watched, means) = match watch(folder, collection, &told) {
            Ok(watched) => (Some(watched), Means::Notifications),
            Err(reason) => (None, Means::Polling { every: POLLING, reason }),
        };
        let links = watched.as_ref().map(|watched| watched.below.links()).unwrap_or_default();
        let known = Known::new(folder, identity, links);
        let now = Instant::now();
        Self {
            folder: folder.to_owned(),
            collection: collection.to_owned(),
            means,
            told,
            watched,
            known,
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
        let poll = self.watched.is_none().then_some(self.next_poll);
        [self.settled(), poll].into_iter().flatten().fold(self.next_presence, Instant::min)
    }

    async fn look(&mut self) -> Option<Changed> {
        let now = Instant::now();
        if self.settled().is_some_and(|settled| settled <= now) {
            let (links, is_incomplete) =
                self.told.burst(|burst| (burst.links, burst.is_incomplete));
            let watched = self.watched.as_ref().filter(|_| links || is_incomplete);
            if let Some(below) = watched.map(|watched| Arc::clone(&watched.below)) {
                let are_others = move || walk::links(&below.root).ne(below.links().iter().cloned());
                if self.begin_anew_if(move || is_incomplete || are_others()).await {
                    return Some(Changed::Everything);
                }
            }
            return self.take();
        }
        if self.next_presence <= now {
            let (folder, known) = (self.folder.clone(), self.known.clone());
            if self.begin_anew_if(move || known.is_other(&folder)).await {
                return Some(Changed::Everything);
            }
            self.next_presence = Instant::now() + PRESENCE;
        }
        if self.watched.is_none() && self.next_poll <= now {
            self.next_poll = now + POLLING;
            return self.known.folder.map(|_| Changed::Everything);
        }
        None
    }

    /// Watches all of it anew if that is needed; says whether it was. What was
    /// told until then is told no more.
    async fn begin_anew_if(&mut self, needed: impl FnOnce() -> bool + Send + 'static) -> bool {
        let (folder, collection) = (self.folder.clone(), self.collection.clone());
        let known = self.known.clone();
        let anew = spawn_blocking(move || {
            needed().then(|| {
                let mut anew = Self::begin(&folder, &collection);
                anew.known.remember(&folder, known);
                anew
            })
        });
        // A panic in there would be a bug, and no reason to stop.
        let anew = anew.await.unwrap_or_default();
        let begun = anew.is_some();
        if let Some(anew) = anew {
            *self = anew;
        }
        begun
    }

    /// The burst in hand, which ends the watching if it was the last one.
    fn take(&mut self) -> Option<Changed> {
        self.heard = None;
        let burst = self.told.burst(std::mem::take);
        if let Some(error) = &burst.ended {
            self.watched = None;
            self.means = Means::Polling { every: POLLING, reason: reason(error) };
            self.next_poll = Instant::now() + POLLING;
        }
        burst.changed
    }
}

/// Has the system tell of changes below `folder`, or says why it does not.
fn watch(folder: &Path, collection: &Path, told: &Arc<Told>) -> Result<Watched, String> {
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
    let (tell, links) = (Arc::clone(told), OnceLock::new());
    let below = Arc::new(Below { root, collection: collection.to_owned(), links });
    let of = Arc::clone(&below);
    let hear = move |event: notify::Result<notify::Event>| {
        if tell.burst(|burst| burst.add(event, &of)) {
            tell.news.notify_one();
        }
    };
    // It would follow each of them, again and again where they make a loop.
    let config = Config::default().with_follow_symlinks(false);
    let mut watcher = RecommendedWatcher::new(hear, config).map_err(|error| reason(&error))?;
    watcher.watch(&below.root, RecursiveMode::Recursive).map_err(|error| reason(&error))?;
    let links = watch_behind_links(&mut watcher, &below.root).map_err(|error| reason(&error))?;
    below.links.get_or_init(|| links);
    Ok(Watched { below, _watcher: watcher })
}

/// Has the system tell of what links below `root` lead to as well; returns the
/// links.
fn watch_behind_links(watcher: &mut RecommendedWatcher, root: &Path) -> notify::Result<Vec<Link>> {
    let mut watched = HashSet::new();
    // Until there are no others: a folder may have got one before it was watched.
    loop {
        let links: Vec<Link> = walk::links(root).collect();
        let before = watched.len();
        for Link { target, .. } in &links {
            if !watched.insert(target.clone()) {
                continue;
            }
            match watcher.watch(target, RecursiveMode::Recursive) {
                // Gone already, or not to be read: the load says so.
                Err(_) if fs::read_dir(target).is_err() => {}
                outcome => outcome?,
            }
        }
        if watched.len() == before {
            return Ok(links);
        }
    }
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

/// Which folders they are that are watched.
#[derive(Debug, Clone)]
struct Known {
    /// The watched one, if it is there.
    folder: Option<Identity>,
    /// What links lead to, by where the links are; nothing, if they once did.
    links: HashMap<PathBuf, Option<Identity>>,
    /// What is mounted below all these.
    mounted: Vec<String>,
}

impl Known {
    fn new(folder: &Path, known: Option<Identity>, links: &[Link]) -> Self {
        let linked = |link: &Link| (link.place.clone(), identity(&folder.join(&link.place)));
        let links: HashMap<_, _> = links.iter().map(linked).collect();
        let mounted = mounted(folder, links.keys());
        Self { folder: known, links, mounted }
    }

    /// Whether others are there now. Nothing tells of a disk that is taken out,
    /// nor of one that is put in.
    fn is_other(&self, folder: &Path) -> bool {
        let mut links = self.links.iter();
        identity(folder) != self.folder
            || links.any(|(place, known)| identity(&folder.join(place)) != *known)
            || mounted(folder, self.links.keys()) != self.mounted
    }

    /// Keeps in mind those links of `before` that lead nowhere now.
    fn remember(&mut self, folder: &Path, before: Self) {
        let leads_nowhere = |place: &PathBuf| {
            let link = folder.join(place);
            link.is_symlink() && !link.exists()
        };
        for place in before.links.into_keys().filter(leads_nowhere) {
            self.links.entry(place).or_insert(None);
        }
    }
}

/// What is mounted below `folder` and what the links in it lead to.
fn mounted<'a>(folder: &Path, links: impl Iterator<Item = &'a PathBuf>) -> Vec<String> {
    let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let places = links.map(|place| folder.join(place)).chain([folder.to_owned()]);
    let real: Vec<PathBuf> = places.filter_map(|place| place.canonicalize().ok()).collect();
    mounts::below(&String::from_utf8_lossy(&mounts), &real)
}

/// `None` if there is no such folder.
fn identity(folder: &Path) -> Option<Identity> {
    let found: io::Result<fs::Metadata> = fs::metadata(folder);
    found.ok().filter(fs::Metadata::is_dir).as_ref().map(Identity::of)
}

#[cfg(test)]
mod tests;
