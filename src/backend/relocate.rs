//! Follows a folder of the collection that was moved: its pictures get new
//! names and keep their embeddings, and no file is read.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::listing;
use super::message::{Event, Failure, RequestId};
use super::roots::Roots;
use super::upkeep::Upkeep;
use super::walk::meets;
use crate::domain::{ImageId, Printable, Record};
use crate::store::{self, Below, Collection, Failures, Relocated, VectorStore, embedded};

/// Pictures of a database renamed at a time.
const BATCH: usize = 256;

impl Upkeep {
    /// Gives what lies below `old` its names below `new`. If it is to be by
    /// `force`, also if the pictures are not there. `store` opens a collection
    /// that is in a database.
    pub(super) async fn relocate(
        &self,
        id: RequestId,
        (old, new): (&Path, &Path),
        force: bool,
        store: impl Future<Output = Result<Arc<dyn VectorStore>, Failure>>,
    ) -> Result<Event, Failure> {
        let doing = format!("moving {} to {}", Printable::new(old), Printable::new(new));
        let new = target(new, force, &doing)?;
        let old = absolute(old, &doing)?;
        if new.starts_with(&old) {
            let cause = "the new folder is the old one, or lies in it";
            return Err(Failure::because(&doing, cause));
        }
        let places = Places { old: &old, new: &new, force, doing: &doing };
        let moving = async {
            let relocated = match &self.collection {
                Collection::Embedded(path) => places.relocate(path).await?,
                Collection::Astra(..) => {
                    let moving = async { places.relocate_in(store.await?).await };
                    let stopped = || Failure::because(&doing, "it was stopped");
                    self.token.run_until_cancelled(moving).await.ok_or_else(stopped)??
                }
            };
            follow_failures(self.collection.on_this_machine(), &old, &new).await;
            Ok(relocated)
        };
        Ok(Event::Relocated(id, self.alone(&doing, moving).await?))
    }
}

/// Gives what the collection at `path` has below `old` its names below `new`,
/// which is the same folder. Nobody else changes the collection meanwhile.
pub(super) async fn follow(
    path: &Path,
    (old, new): (&Path, &Path),
    doing: &str,
) -> Result<(), Failure> {
    Places { old, new, force: true, doing }.relocate(path).await?;
    follow_failures(path, old, new).await;
    Ok(())
}

async fn follow_failures(collection: &Path, old: &Path, new: &Path) {
    let collection = collection.to_owned();
    let (old, new) = (old.to_owned(), new.to_owned());
    let following = move || Failures::beside(&collection).relocate(&old, &new);
    // A file whose failure is forgotten is merely tried again.
    let _ = spawn_blocking(following).await;
}

/// Where the folder was, and where it is.
struct Places<'a> {
    old: &'a Path,
    new: &'a Path,
    force: bool,
    doing: &'a str,
}

impl Places<'_> {
    async fn relocate(&self, path: &Path) -> Result<Relocated, Failure> {
        let below = embedded::below(path, self.old).await.map_err(|e| self.failed(&e))?;
        let rename = self.rename(below).await?;
        embedded::relocate(path, self.old, rename).await.map_err(|e| self.failed(&e))
    }

    /// The same through what every store can do.
    async fn relocate_in(&self, store: Arc<dyn VectorStore>) -> Result<Relocated, Failure> {
        let listed = listing::below(&store, &[self.old]).await.map_err(|e| self.failed(&e))?;
        let ids: Vec<ImageId> = listed.into_iter().map(|listed| listed.id).collect();
        let folders = store.folders().await.map_err(|e| self.failed(&e))?;
        let pictures = ids.iter().map(ImageId::location).collect();
        let rename = self.rename(Below { folders, pictures }).await?;
        rename_in(&store, &ids, rename).await.map_err(|e| self.failed(&e))
    }

    fn failed(&self, error: &store::Error) -> Failure {
        Failure::new(self.doing, error)
    }

    /// What makes of an old place the new name, or why it would make no sense.
    async fn rename(
        &self,
        Below { folders, pictures }: Below,
    ) -> Result<impl Fn(&Path) -> ImageId + Send + 'static, Failure> {
        if pictures.is_empty() {
            return Err(self.nothing_there(&folders));
        }
        if !self.force && !self.has_any(&pictures).await {
            let count = pictures.len();
            let cause = format!("none of the {count} pictures of the old folder is in the new one");
            return Err(Failure::because(self.doing, cause)
                .hint("name the folder that has the same subfolders, or say `--force`"));
        }
        let (old, new) = (self.old.to_owned(), self.new.to_owned());
        let roots = Roots::new(self.folders_after(folders), &new);
        Ok(move |location: &Path| match location.strip_prefix(&old) {
            Ok(below) => roots.id(&new.join(below)),
            Err(_) => roots.id(location),
        })
    }

    fn nothing_there(&self, folders: &[PathBuf]) -> Failure {
        let cause = "the collection has no pictures of the old folder";
        let names: Vec<String> =
            folders.iter().map(|folder| Printable::new(folder).to_string()).collect();
        let failure = Failure::because(self.doing, cause);
        if names.is_empty() {
            return failure.hint("it has none at all");
        }
        failure.hint(format!("its folders are: {}", names.join(", ")))
    }

    /// Whether one of the pictures is where it should be.
    async fn has_any(&self, pictures: &[PathBuf]) -> bool {
        let places: Vec<PathBuf> = pictures.iter().map(|picture| self.moved(picture)).collect();
        spawn_blocking(move || places.iter().any(|place| place.is_file())).await.unwrap_or(false)
    }

    fn moved(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(self.old) {
            // The folder itself, without a slash at its end.
            Ok(below) if below.as_os_str().is_empty() => self.new.to_owned(),
            Ok(below) => self.new.join(below),
            Err(_) => path.to_owned(),
        }
    }

    /// The folders of the collection after the move. One that comes to lie where
    /// a load of another comes by is none any more.
    fn folders_after(&self, folders: Vec<PathBuf>) -> Vec<PathBuf> {
        let (moved, mut others): (Vec<_>, Vec<_>) =
            folders.into_iter().partition(|folder| folder.starts_with(self.old));
        let moved = moved.iter().map(|folder| self.moved(folder));
        let is_apart = |folder: &PathBuf| !others.iter().any(|other| meets(other, folder));
        let moved: Vec<PathBuf> = moved.filter(is_apart).collect();
        others.extend(moved);
        others
    }
}

/// The new folder's one absolute name.
fn target(new: &Path, force: bool, doing: &str) -> Result<PathBuf, Failure> {
    match new.canonicalize() {
        Ok(real) if real.is_dir() => Ok(real),
        Ok(_) => Err(Failure::because(doing, "what is at the new place is not a folder")),
        Err(_) if force => absolute(new, doing),
        Err(_) => Err(Failure::because(doing, "there is no such new folder on this machine")
            .hint("make the disk available first, or say `--force`")),
    }
}

/// Absolute, though it may not be there any more.
pub(super) fn absolute(path: &Path, doing: &str) -> Result<PathBuf, Failure> {
    let absolute = std::path::absolute(path).map_err(|e| Failure::new(doing, &e))?;
    let mut plain = PathBuf::new();
    for component in absolute.components() {
        if component == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(component);
        }
    }
    Ok(plain)
}

/// Stores pictures by their new names, then removes the old ones: whatever
/// happens in between, the rest can be done again.
async fn rename_in(
    store: &Arc<dyn VectorStore>,
    ids: &[ImageId],
    rename: impl Fn(&Path) -> ImageId,
) -> Result<Relocated, store::Error> {
    let mut done = Relocated::default();
    for batch in ids.chunks(BATCH) {
        let names: HashMap<ImageId, ImageId> =
            batch.iter().map(|old| (old.clone(), rename(&old.location()))).collect();
        let known = store.known(names.values().cloned().collect()).await?;
        let (there, missing): (Vec<ImageId>, Vec<ImageId>) =
            batch.iter().cloned().partition(|old| known.contains_key(&names[old]));
        let records = store.get(missing.clone()).await?;
        let stored: HashSet<ImageId> = records.iter().map(|record| record.id.clone()).collect();
        let renamed: Vec<Record> = records
            .into_iter()
            .map(|record| Record { id: names[&record.id].clone(), ..record })
            .collect();
        let refused = if renamed.is_empty() { Vec::new() } else { store.upsert(renamed).await? };
        let refused: HashSet<ImageId> = refused.into_iter().map(|refused| refused.id).collect();
        let is_stored = |old: &ImageId| stored.contains(old) && !refused.contains(&names[old]);
        let moved: Vec<ImageId> = missing.iter().filter(|old| is_stored(old)).cloned().collect();
        done.moved += moved.len() as u64;
        done.merged += there.len() as u64;
        done.left += (missing.len() - moved.len()) as u64;
        store.delete([moved, there].concat()).await?;
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_gone_has_one_name_however_it_is_written() {
        for name in ["/gone/cars", "/gone/cars/", "/gone/./cars", "/gone/trucks/../cars"] {
            assert_eq!(absolute(Path::new(name), "moving").unwrap(), Path::new("/gone/cars"));
        }
    }

    #[test]
    fn a_folder_that_comes_to_lie_in_another_is_none_any_more() {
        let (old, new) = (Path::new("/old"), Path::new("/new"));
        let places = Places { old, new, force: false, doing: "moving" };
        let after = |folders: &[&str]| {
            let folders = folders.iter().map(PathBuf::from).collect();
            let after = places.folders_after(folders).into_iter();
            after.map(|folder| folder.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(after(&["/old", "/old/in", "/other"]), ["/other", "/new", "/new/in"]);
        assert_eq!(after(&["/old/in", "/new"]), ["/new"]);
        assert_eq!(after(&["/old", "/new/in"]), ["/new/in", "/new"]);
        assert_eq!(after(&["/old/.in", "/new"]), ["/new", "/new/.in"]);
    }
}
