//! Pictures of a collection whose files are gone: hidden, forgotten where the
//! file only has another name now, or erased when asked to.
//!
//! A file is gone if the system says so: what is on a disk that fails, or in a
//! folder that may not be read, is not. A picture is gone as well if what is
//! there by its name is now something that a load passes over, as a folder or
//! a link to another picture, or something that cannot be decoded.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::listing;
use super::message::{Failure, Prune};
use super::reading::is_same;
use super::relocate::absolute;
use super::walk;
use crate::domain::{FileProblem, FileStamp, ImageId, Printable};
use crate::picture;
use crate::store::{self, Listed, VectorStore};

/// Pictures hidden or removed at a time.
const BATCH: usize = 256;

/// More than one in so many gone at once look like a disk that is missing.
const FEW: u64 = 5;

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

/// Hides the pictures below `folders` whose files are gone, unless those are too
/// many at once, and those whose files are `broken`.
pub(super) async fn hide(
    store: &Arc<dyn VectorStore>,
    folders: &[PathBuf],
    seen: &Seen,
) -> Result<Outcome, store::Error> {
    if !store.can_hide() {
        return Ok(Outcome::default());
    }
    let mut shown = listing::below(store, folders).await?;
    shown.retain(|listed| !listed.known.hidden);
    let is_broken = |listed: &Listed| seen.broken.contains(&listed.id.location());
    let (broken, mut rest): (Vec<_>, Vec<_>) = shown.into_iter().partition(is_broken);
    let broken = broken.into_iter().map(|listed| listed.id).collect();
    rest.retain(|listed| seen.walked.may_lack(&listed.id.location()));
    let (mut gone, there) = parted(rest).await;
    gone.extend(passed_over(there, seen.folder.clone(), folders.to_vec()).await);
    let mut outcome = hide_gone(store, gone).await?;
    outcome.hidden += hide_all(store, broken).await?;
    Ok(outcome)
}

/// What a load saw of the files it looked for.
pub(super) struct Seen {
    /// The folder that it is a load of.
    pub(super) folder: PathBuf,
    pub(super) walked: Walked,
    /// They are there and cannot be decoded, whatever they were.
    pub(super) broken: HashSet<PathBuf>,
}

/// What a walk met.
pub(super) struct Walked {
    /// The pictures.
    found: HashSet<PathBuf>,
    /// Nothing is known of what is at or below these.
    unseen: Vec<PathBuf>,
}

impl Walked {
    /// What was found in `folder`, and what was in the way.
    pub(super) fn of(folder: &Path, paths: &[PathBuf], problems: &[FileProblem]) -> Self {
        Self {
            found: paths.iter().map(|path| folder.join(path)).collect(),
            unseen: problems.iter().map(|problem| folder.join(&problem.path)).collect(),
        }
    }

    /// Whether it may be that there is no picture at `path`.
    fn may_lack(&self, path: &Path) -> bool {
        !self.found.contains(path)
            && !self.unseen.iter().any(|unseen| path.starts_with(unseen) && path != unseen)
    }
}

/// Those of `there` that a walk passes over although the system knows their
/// names. It is a walk of its own, as a file may have come back since the first
/// one.
async fn passed_over(there: Vec<Listed>, folder: PathBuf, below: Vec<PathBuf>) -> Vec<Listed> {
    if there.is_empty() {
        return there;
    }
    let passed_over = move || {
        let (paths, problems) = walk::list(&folder, &below, || true);
        let walked = Walked::of(&folder, &paths, &problems);
        let is_met = |path: &Path| {
            walked.found.contains(path)
                || walked.unseen.iter().any(|unseen| path.starts_with(unseen))
        };
        there.into_iter().filter(|listed| !is_met(&listed.id.location())).collect()
    };
    spawn_blocking(passed_over).await.unwrap_or_default()
}

/// Those of `gone` that have their folder and no other name.
async fn hide_gone(
    store: &Arc<dyn VectorStore>,
    gone: Vec<Listed>,
) -> Result<Outcome, store::Error> {
    let (gone, homeless) = with_home(gone).await;
    if gone.len() + homeless == 0 {
        return Ok(Outcome::default());
    }
    let (renamed, gone) = renamed(store, gone).await?;
    let mut outcome = Outcome { renamed: renamed.len(), ..Outcome::default() };
    for batch in renamed.chunks(BATCH) {
        store.delete(batch.to_vec()).await?;
    }
    let all = store.count().await?.pictures;
    if (gone.len() + homeless) as u64 * FEW > all {
        return Ok(Outcome { missing: gone.len() + homeless, ..outcome });
    }
    outcome.missing = homeless;
    outcome.hidden = hide_all(store, gone).await?;
    Ok(outcome)
}

async fn hide_all(store: &Arc<dyn VectorStore>, ids: Vec<ImageId>) -> Result<usize, store::Error> {
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
    Ok(lost(listing::below(store, &[folder]).await?).await.len())
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
    let all = known.len();
    let gone = lost(known).await;
    if prune == Prune::Few && gone.len() as u64 * FEW > all as u64 {
        let cause = format!("{} of {all} are gone, as if a disk was missing", gone.len());
        return Err(Failure::because(erasing(folder), cause)
            .hint("nothing was removed; if they are gone for good: `carlens load --prune=all`"));
    }
    let ids: Vec<ImageId> = gone.into_iter().map(|listed| listed.id).collect();
    let mut erased = 0;
    for batch in ids.chunks(BATCH) {
        erased += store.delete(batch.to_vec()).await.map_err(failed)?;
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

/// Those of `pictures` whose files are not there, or are hidden for being
/// something else.
async fn lost(pictures: Vec<Listed>) -> Vec<Listed> {
    let is_lost = |listed: &Listed| {
        let location = listed.id.location();
        is_absent(&location) || listed.known.hidden && location.exists()
    };
    let lost = move || pictures.into_iter().filter(is_lost).collect();
    spawn_blocking(lost).await.unwrap_or_default()
}

fn is_absent(location: &Path) -> bool {
    fs::metadata(location).is_err_and(|error| picture::Error::from(error).is_absence())
}

/// Parts those whose content the collection has by the name of a file that is
/// there from the rest.
async fn renamed(
    store: &Arc<dyn VectorStore>,
    gone: Vec<Listed>,
) -> Result<(Vec<ImageId>, Vec<ImageId>), store::Error> {
    let (mut renamed, mut rest) = (Vec::new(), Vec::new());
    let names: HashSet<PathBuf> = gone.iter().map(|listed| listed.id.location()).collect();
    for batch in gone.chunks(BATCH) {
        let hash = |listed: &Listed| listed.known.stamp.map(|stamp| stamp.hash);
        let same = store.with_content(batch.iter().filter_map(hash).collect()).await?;
        let places: Vec<(FileStamp, PathBuf)> = same
            .into_iter()
            .filter_map(|record| Some((record.stamp?, record.id.location())))
            .filter(|(_, location)| !names.contains(location))
            .collect();
        let there = move || -> HashSet<[u8; 32]> {
            let there = places.into_iter().filter(|(stamp, place)| is_as_stored(place, stamp));
            there.map(|(stamp, _)| stamp.hash).collect()
        };
        let there = spawn_blocking(there).await.unwrap_or_default();
        for listed in batch {
            let is_there = hash(listed).is_some_and(|hash| there.contains(&hash));
            let ids = if is_there { &mut renamed } else { &mut rest };
            ids.push(listed.id.clone());
        }
    }
    Ok((renamed, rest))
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
