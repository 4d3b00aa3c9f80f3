//! Pictures of a collection whose files are gone: hidden, forgotten where the
//! file only has another name now, or erased when asked to.
//!
//! A file is gone if the system says so: what is on a disk that fails, or in a
//! folder that may not be read, is not. A picture is hidden as well if what is
//! there by its name is now something else: what a load passes over, as a folder
//! or a link to another picture, or what cannot be decoded.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::listing;
use super::message::{Failure, Prune};
use super::reading::{hash, is_same};
use super::relocate::absolute;
use super::stray;
use super::walk::{self, Found, Walk};
use crate::domain::{FileStamp, ImageId, Printable, Record};
use crate::picture;
use crate::store::{self, Listed, VectorStore};

/// Pictures hidden or removed at a time.
const BATCH: usize = 256;

/// More than one in so many gone at once look like a disk that is missing.
const FEW: u64 = 5;

/// So many files one may well remove while a load reads them.
const HANDFUL: usize = 8;

/// Files that are read to find out whether a folder has its pictures still.
const SAMPLES: usize = 16;

/// What became of pictures whose files are gone or broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// They are hidden from now on.
    pub(super) hidden: usize,
    /// They are still searched, as they are so many that a disk may be missing.
    pub(super) missing: usize,
    /// They had the content of a file that is there by another name.
    pub(super) renamed: usize,
}

impl Outcome {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            hidden: self.hidden + other.hidden,
            missing: self.missing + other.missing,
            renamed: self.renamed + other.renamed,
        }
    }
}

/// Hides the pictures that a load should have come by and whose files are gone
/// or broken, unless those are too many at once.
pub(super) async fn hide(
    store: &Arc<dyn VectorStore>,
    seen: &Seen,
) -> Result<Outcome, store::Error> {
    if !store.can_hide() {
        return Ok(Outcome::default());
    }
    let Seen { walk, met, broken, hidden_before } = seen;
    let all = listing::below(store, &walk.starts).await?;
    let (hidden, mut shown): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|listed| listed.known.hidden);
    shown.retain(|listed| is_of(walk, &listed.id));
    let mut stay = Stay::of(&hidden, &shown);
    let is_broken = |listed: &Listed| broken.contains(&listed.id.location());
    let (mut gone, mut rest): (Vec<_>, Vec<_>) = shown.into_iter().partition(is_broken);
    rest.retain(|listed| met.may_lack(&listed.id.location()));
    let (absent, there) = parted(rest).await;
    gone.extend(absent);
    gone.extend(passed_over(there, walk.clone()).await);
    stay.without(&gone);
    let may_go = |id: &ImageId| stay.has(id) || is_left(walk, id.folder());
    hide_gone(store, gone, may_go, walk, *hidden_before).await
}

/// How many pictures are gone that a walk does not come by: what is to be hidden
/// is a part of them all. Where a disk is missing, as its folder is gone or empty,
/// only others of such folders count, and where it is not, none of these.
async fn elsewhere(store: &Arc<dyn VectorStore>, walk: &Walk) -> Result<usize, store::Error> {
    let mut pictures = listing::below(store, &[Path::new("")]).await?;
    pictures.retain(|listed| {
        let location = listed.id.location();
        !listed.known.hidden && !walk.starts.iter().any(|start| location.starts_with(start))
    });
    let folder = walk.folder.clone();
    let gone = move || {
        let mut missing = HashMap::new();
        let mut is_missing =
            |folder: &Path| *missing.entry(folder.to_owned()).or_insert_with(|| is_bare(folder));
        let is_walked_one_missing = is_missing(&folder);
        let gone = pictures.iter().filter(|listed| is_absent(&listed.id.location()));
        gone.filter(|listed| is_missing(listed.id.folder()) == is_walked_one_missing).count()
    };
    Ok(spawn_blocking(gone).await.unwrap_or_default())
}

/// Whether nothing at all is in `folder`.
pub(super) fn is_bare(folder: &Path) -> bool {
    is_absent(folder) || fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Whether a folder of the collection is no more, and the walked one would come
/// by what there may be again.
fn is_left(walk: &Walk, folder: &Path) -> bool {
    folder != walk.folder && walk::meets(&walk.folder, folder) && !folder.exists()
}

/// Folders of the collection that nobody misses.
pub(super) fn left(walk: &Walk) -> Vec<PathBuf> {
    let folders = walk.others.iter().filter(|folder| is_left(walk, folder));
    folders.cloned().collect()
}

/// The folders of the collection that have other pictures than those that are
/// gone.
struct Stay(HashMap<PathBuf, usize>);

impl Stay {
    fn of(hidden: &[Listed], shown: &[Listed]) -> Self {
        let mut pictures = HashMap::new();
        for listed in hidden.iter().chain(shown) {
            *pictures.entry(listed.id.folder().to_owned()).or_default() += 1;
        }
        Self(pictures)
    }

    fn without(&mut self, gone: &[Listed]) {
        for listed in gone {
            if let Some(pictures) = self.0.get_mut(listed.id.folder()) {
                *pictures -= 1;
            }
        }
    }

    fn has(&self, id: &ImageId) -> bool {
        self.0.get(id.folder()).is_some_and(|pictures| *pictures > 0)
    }
}

/// Whether a walk is to come by a picture: one in a folder of the collection
/// that this one passes over, as a hidden one, waits for its own.
fn is_of(walk: &Walk, id: &ImageId) -> bool {
    walk.folder.starts_with(id.folder()) || walk::meets(&walk.folder, id.folder())
}

/// What a load saw of the files it looked for.
pub(super) struct Seen {
    pub(super) walk: Walk,
    pub(super) met: Met,
    /// They are there and cannot be decoded, whatever they were.
    pub(super) broken: HashSet<PathBuf>,
    /// How many pictures of other folders were hidden in the same run.
    pub(super) hidden_before: usize,
}

/// What a walk met, by absolute paths.
pub(super) struct Met {
    pictures: HashSet<PathBuf>,
    /// Nothing is known of what is at or below these.
    unseen: Vec<PathBuf>,
}

impl Met {
    /// What was `found` in `folder`.
    pub(super) fn of(folder: &Path, found: &Found) -> Self {
        let problems = found.problems.iter().map(|problem| &problem.path);
        Self {
            pictures: found.pictures.iter().map(|path| folder.join(path)).collect(),
            unseen: problems.chain(&found.unknown).map(|path| folder.join(path)).collect(),
        }
    }

    /// Takes back that there is something at these paths.
    pub(super) fn lose(&mut self, paths: &[PathBuf]) {
        for path in paths {
            self.pictures.remove(path);
        }
    }

    /// Whether it may be that there is no picture at `path`.
    fn may_lack(&self, path: &Path) -> bool {
        !self.pictures.contains(path)
            && !self.unseen.iter().any(|unseen| path.starts_with(unseen) && path != unseen)
    }

    /// Whether there may be a picture at `path`.
    fn may_have(&self, path: &Path) -> bool {
        self.pictures.contains(path) || self.unseen.iter().any(|unseen| path.starts_with(unseen))
    }
}

/// Those of `there` that are something else now: what a walk passes over
/// although the system knows their names. It is a walk of its own, as a file may
/// have come back since the first one.
async fn passed_over(there: Vec<Listed>, walk: Walk) -> Vec<Listed> {
    if there.is_empty() {
        return there;
    }
    let passed_over = move || {
        let met = Met::of(&walk.folder, &walk.find(|| true));
        let is_other =
            |listed: &Listed| !met.may_have(&listed.id.location()) && !is_in_place(listed);
        there.into_iter().filter(is_other).collect()
    };
    spawn_blocking(passed_over).await.unwrap_or_default()
}

/// Whether a picture is where it was stored from, and not behind a link:
/// whatever a walk says, it is no other one.
fn is_in_place(listed: &Listed) -> bool {
    let location = listed.id.location();
    let mut below = location.ancestors().take_while(|above| *above != listed.id.folder());
    is_stored_there(listed) && !below.any(Path::is_symlink)
}

/// Forgets those of `gone` that are there by another name, unless they are all
/// that the collection has of a folder: it is to know that one on. Hides the
/// others that have their folder.
async fn hide_gone(
    store: &Arc<dyn VectorStore>,
    gone: Vec<Listed>,
    may_go: impl Fn(&ImageId) -> bool,
    walk: &Walk,
    hidden_before: usize,
) -> Result<Outcome, store::Error> {
    if gone.is_empty() {
        return Ok(Outcome::default());
    }
    let (renamed, gone) = renamed(store, gone).await?;
    let (gone, homeless) = with_home(gone).await;
    let gone: Vec<ImageId> = gone.into_iter().map(|listed| listed.id).collect();
    let (renamed, last): (Vec<_>, Vec<_>) = renamed.into_iter().partition(may_go);
    let mut outcome = Outcome { renamed: renamed.len(), ..Outcome::default() };
    for batch in renamed.chunks(BATCH) {
        store.delete(batch.to_vec()).await?;
    }
    outcome.hidden = hide_all(store, last).await?;
    let elsewhere = if gone.is_empty() { 0 } else { elsewhere(store, walk).await? };
    let others = Others { hidden: hidden_before, gone: elsewhere };
    Ok(outcome.and(hide_few(store, gone, others, homeless).await?))
}

/// Whether so many files that are gone at once, and so many that stayed, are
/// rather a disk that is missing: not where they are a handful.
pub(super) fn looks_like_a_disk(gone: usize, stayed: usize) -> bool {
    gone > HANDFUL && gone as u64 * FEW > (gone + stayed) as u64
}

/// Pictures that a load does not come by and whose files are gone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Others {
    /// They were hidden in the same run.
    pub(super) hidden: usize,
    /// They are still searched.
    pub(super) gone: usize,
}

/// Hides `gone`, unless they, the `others` and the `homeless`, which stay, are
/// too many.
pub(super) async fn hide_few(
    store: &Arc<dyn VectorStore>,
    gone: Vec<ImageId>,
    others: Others,
    homeless: usize,
) -> Result<Outcome, store::Error> {
    let all = store.count().await?.pictures + others.hidden as u64;
    if (gone.len() + homeless + others.hidden + others.gone) as u64 * FEW > all {
        return Ok(Outcome { missing: gone.len() + homeless, ..Outcome::default() });
    }
    Ok(Outcome { hidden: hide_all(store, gone).await?, missing: homeless, renamed: 0 })
}

pub(super) async fn hide_all(
    store: &Arc<dyn VectorStore>,
    ids: Vec<ImageId>,
) -> Result<usize, store::Error> {
    let mut hidden = 0;
    for batch in ids.chunks(BATCH) {
        hidden += store.hide(batch.to_vec()).await?;
    }
    Ok(hidden)
}

/// How many pictures below `folder` have files that are gone, hidden ones
/// included.
pub(super) async fn count(
    store: &Arc<dyn VectorStore>,
    folder: &Path,
) -> Result<usize, store::Error> {
    let lost = lost(listing::below(store, &[folder]).await?).await;
    Ok(lost.len() + stray::behind(store, folder).await?.len())
}

/// Removes the pictures below `folder` whose files are gone, hidden ones
/// included; returns how many that were.
pub(super) async fn erase(
    store: &Arc<dyn VectorStore>,
    folder: &Path,
    prune: Prune,
) -> Result<usize, Failure> {
    let failed = |error: store::Error| Failure::new(erasing(folder), &error);
    let known = listing::below(store, &[folder]).await.map_err(failed)?;
    let behind = stray::behind(store, folder).await.map_err(failed)?;
    let all = known.len() + behind.len();
    let gone = [lost(known).await, behind].concat();
    let ids: Vec<ImageId> = gone.iter().map(|listed| listed.id.clone()).collect();
    let are_few = ids.len() as u64 * FEW <= all as u64;
    let refusal = match prune {
        Prune::Few => !(are_few && with_home(gone).await.1 == 0),
        Prune::Asked(count) => ids.len() > count,
        Prune::All => false,
    };
    if refusal {
        let cause = match prune {
            Prune::Asked(count) => format!("{} of {all} are gone now, not {count}", ids.len()),
            _ => format!("{} of {all} are gone, as if a disk was missing", ids.len()),
        };
        return Err(Failure::because(erasing(folder), cause)
            .hint("nothing was removed; if they are gone for good: `carlens load --prune=all`"));
    }
    let mut erased = 0;
    for batch in ids.chunks(BATCH) {
        erased += store.delete(batch.to_vec()).await.map_err(failed)?;
    }
    if !folder.exists() {
        let below = store.folders().await.map_err(failed)?.into_iter();
        let gone = below.filter(|below| below.starts_with(folder)).collect();
        store.forget_folders(gone).await.map_err(failed)?;
    }
    Ok(erased)
}

/// The folder's one absolute name, also if it is not there any more.
pub(super) fn name(folder: &Path) -> Result<PathBuf, Failure> {
    let absolute = absolute(folder, &erasing(folder))?;
    let real = absolute.ancestors().find_map(|above| {
        Some(above.canonicalize().ok()?.join(absolute.strip_prefix(above).ok()?))
    });
    // Joining nothing would leave a slash at the end.
    Ok(real.unwrap_or(absolute).components().collect())
}

/// What [`erase`] does, for an error.
pub(super) fn erasing(folder: &Path) -> String {
    format!("removing pictures that are gone from {}", Printable::new(folder))
}

/// Those of `pictures` whose files are not there, and the others.
async fn parted(pictures: Vec<Listed>) -> (Vec<Listed>, Vec<Listed>) {
    let parted = move || pictures.into_iter().partition(|listed| is_absent(&listed.id.location()));
    spawn_blocking(parted).await.unwrap_or_default()
}

/// Those of `pictures` whose files are not there, be it that a folder is in
/// their place.
async fn lost(pictures: Vec<Listed>) -> Vec<Listed> {
    let is_lost = |listed: &Listed| {
        let location = listed.id.location();
        is_absent(&location) || listed.known.hidden && location.is_dir()
    };
    let lost = move || pictures.into_iter().filter(is_lost).collect();
    spawn_blocking(lost).await.unwrap_or_default()
}

pub(super) fn is_absent(location: &Path) -> bool {
    fs::metadata(location).is_err_and(|error| picture::Error::from(error).is_absence())
}

/// Parts those whose content the collection shows by the name of a file that is
/// there from the rest.
pub(super) async fn renamed(
    store: &Arc<dyn VectorStore>,
    gone: Vec<Listed>,
) -> Result<(Vec<ImageId>, Vec<Listed>), store::Error> {
    let (mut renamed, mut rest) = (Vec::new(), Vec::new());
    let names: HashSet<PathBuf> = gone.iter().map(|listed| listed.id.location()).collect();
    for batch in gone.chunks(BATCH) {
        let hash = |listed: &Listed| listed.known.stamp.map(|stamp| stamp.hash);
        let mut same = store.with_content(batch.iter().filter_map(hash).collect()).await?;
        same.retain(|record| !names.contains(&record.id.location()));
        let known = store.known(same.iter().map(|record| record.id.clone()).collect()).await?;
        let is_shown = |record: &Record| known.get(&record.id).is_some_and(|known| !known.hidden);
        let places: Vec<(FileStamp, PathBuf)> = same
            .into_iter()
            .filter(is_shown)
            .filter_map(|record| Some((record.stamp?, record.id.location())))
            .collect();
        let there = move || -> HashSet<[u8; 32]> {
            let there = places.into_iter().filter(|(stamp, place)| is_as_stored(place, stamp));
            there.map(|(stamp, _)| stamp.hash).collect()
        };
        let there = spawn_blocking(there).await.unwrap_or_default();
        for listed in batch {
            match hash(listed) {
                Some(hash) if there.contains(&hash) => renamed.push(listed.id.clone()),
                _ => rest.push(listed.clone()),
            }
        }
    }
    Ok((renamed, rest))
}

/// Whether at least one of the pictures below `folder` is still as it was
/// stored, or at least has its content, as a copy has: what a link leads to may
/// be something else.
pub(super) async fn is_there(
    store: &Arc<dyn VectorStore>,
    folder: &Path,
) -> Result<bool, store::Error> {
    let known = listing::below(store, &[folder]).await?;
    let is_any = move || {
        known.iter().any(is_stored_there)
            || known.iter().filter(|listed| has_its_size(listed)).take(SAMPLES).any(has_its_content)
    };
    Ok(spawn_blocking(is_any).await.unwrap_or_default())
}

/// Whether the picture's file is there as it was stored.
pub(super) fn is_stored_there(listed: &Listed) -> bool {
    let location = listed.id.location();
    listed.known.stamp.is_some_and(|stamp| is_as_stored(&location, &stamp))
}

fn has_its_size(listed: &Listed) -> bool {
    let stat = fs::metadata(listed.id.location());
    listed.known.stamp.zip(stat.ok()).is_some_and(|(stamp, stat)| stat.len() == stamp.size)
}

fn has_its_content(listed: &Listed) -> bool {
    let bytes = picture::read(&listed.id.location());
    let is_same = |stamp: FileStamp| bytes.is_ok_and(|bytes| hash(&bytes) == stamp.hash);
    listed.known.stamp.is_some_and(is_same)
}

/// Whether the file is there and, by its length and time, still the one that
/// was stored.
fn is_as_stored(location: &Path, stamp: &FileStamp) -> bool {
    fs::metadata(location)
        .is_ok_and(|stat| stat.is_file() && is_same(&stat, stamp.size, stamp.modified))
}

/// Those whose folder is there and has something in it, and the number of the
/// others: a disk that is not mounted leaves an empty folder.
async fn with_home(gone: Vec<Listed>) -> (Vec<Listed>, usize) {
    let part = move || {
        let mut homes = HashMap::new();
        let all = gone.len();
        let mut has_home = |listed: &Listed| {
            let folder = listed.id.folder().to_owned();
            *homes.entry(folder).or_insert_with_key(|folder| {
                fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
            })
        };
        let gone: Vec<Listed> = gone.into_iter().filter(|listed| has_home(listed)).collect();
        let homeless = all - gone.len();
        (gone, homeless)
    };
    spawn_blocking(part).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FileProblem;

    #[test]
    fn where_nothing_is_known_there_may_be_a_picture() {
        let found = Found {
            pictures: vec!["a.jpg".into()],
            problems: vec![FileProblem::new("closed".into(), "cannot be opened".into())],
            unknown: vec!["b".into()],
        };
        let met = Met::of(Path::new("/cars"), &found);
        for there in ["/cars/a.jpg", "/cars/closed/a.jpg", "/cars/closed", "/cars/b"] {
            assert!(met.may_have(Path::new(there)), "{there}");
        }
        for other in ["/cars/c.jpg", "/cars/closed.jpg", "/cars/a"] {
            assert!(!met.may_have(Path::new(other)) && met.may_lack(Path::new(other)), "{other}");
        }
    }
}
