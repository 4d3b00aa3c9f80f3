//! Pictures of folders of the collection that are no longer what their names
//! say: gone, as they were renamed, or links to other folders by now. No load
//! comes by them any more.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::gone::{self, Others, Outcome};
use super::listing;
use super::roots;
use super::walk::{self, Walk};
use crate::domain::ImageId;
use crate::store::{self, Listed, VectorStore};

/// Hides those whose content the collection shows by the name of a file that
/// is there: where a folder was renamed, or moved into another one, these are
/// its new names; should a disk be missing, they come back with it. Of a folder
/// in whose place a link leads to what the `walk` has come by, and to none of its
/// pictures, all are gone.
pub(super) async fn hide(
    store: &Arc<dyn VectorStore>,
    walk: &Walk,
    hidden_before: usize,
) -> Result<Outcome, store::Error> {
    if !store.can_hide() {
        return Ok(Outcome::default());
    }
    let folders = walk.others.clone();
    let astray = spawn_blocking(move || astray(folders)).await.unwrap_or_default();
    if astray.is_empty() {
        return Ok(Outcome::default());
    }
    let mut pictures = of(store, &astray).await?;
    pictures.retain(|listed| !listed.known.hidden);
    let (renamed, rest) = gone::renamed(store, pictures).await?;
    let renamed = gone::hide_all(store, renamed).await?;
    let is_seen = |target: &PathBuf| walk::meets(&walk.folder, target);
    let is_replaced =
        |id: &ImageId| astray.get(id.folder()).and_then(Option::as_ref).is_some_and(is_seen);
    let replaced = rest.into_iter().map(|listed| listed.id).filter(is_replaced).collect();
    let others = Others { hidden: hidden_before, gone: 0 };
    let outcome = gone::hide_few(store, replaced, others, 0).await?;
    Ok(Outcome { renamed, ..outcome })
}

/// The pictures below folders that are links to `folder`, or to what is below
/// it, and that are not there as they were stored.
pub(super) async fn behind(
    store: &Arc<dyn VectorStore>,
    folder: &Path,
) -> Result<Vec<Listed>, store::Error> {
    let folders = store.folders().await?;
    let linked = spawn_blocking(move || roots::linked(folders)).await.unwrap_or_default();
    let leads_there = |(_, target): &(PathBuf, PathBuf)| target.starts_with(folder);
    let linked = linked.into_iter().filter(leads_there);
    let astray = linked.map(|(old, new)| (old, Some(new))).collect();
    let mut pictures = of(store, &astray).await?;
    let others = move || {
        pictures.retain(|listed| !gone::is_stored_there(listed));
        pictures
    };
    Ok(spawn_blocking(others).await.unwrap_or_default())
}

/// Those of `folders` that are gone, or links by now: with where these lead.
fn astray(folders: Vec<PathBuf>) -> HashMap<PathBuf, Option<PathBuf>> {
    let gone: Vec<PathBuf> =
        folders.iter().filter(|folder| gone::is_absent(folder)).cloned().collect();
    let linked = roots::linked(folders).into_iter().map(|(old, new)| (old, Some(new)));
    gone.into_iter().map(|folder| (folder, None)).chain(linked).collect()
}

async fn of(
    store: &Arc<dyn VectorStore>,
    astray: &HashMap<PathBuf, Option<PathBuf>>,
) -> Result<Vec<Listed>, store::Error> {
    if astray.is_empty() {
        return Ok(Vec::new());
    }
    let folders: Vec<&PathBuf> = astray.keys().collect();
    let mut pictures = listing::below(store, &folders).await?;
    pictures.retain(|listed| astray.contains_key(listed.id.folder()));
    Ok(pictures)
}
