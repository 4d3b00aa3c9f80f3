//! Gives pictures of a folder that was moved their new names; embeddings stay
//! as they are.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::columns::PathColumn;
use super::connection;
use super::failure::At;
use super::numbered::Numbered;
use super::read;
use super::write;
use crate::domain::ImageId;
use crate::store::Error;

/// What became of the pictures of a folder that was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relocated {
    /// Pictures that have their new names.
    pub moved: u64,
    /// Pictures that were known by their new names before.
    pub merged: u64,
    /// Pictures that could not be stored by their new names; they keep the old
    /// ones.
    pub left: u64,
}

/// What a collection has at and below a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Below {
    /// All folders of the collection.
    pub folders: Vec<PathBuf>,
    /// The files of the pictures below the folder, of any model.
    pub pictures: Vec<PathBuf>,
}

/// What the collection at the absolute `path` has below `folder`.
pub(super) fn below(path: &Path, folder: &Path) -> Result<Below, Error> {
    let reading = connection::for_reading(path)?;
    let folders = read::folders(&reading).at(path)?;
    let mut pictures = Vec::new();
    for (number, base) in affected(&reading, folder).at(path)? {
        let there = pictures_of(&reading, number).at(path)?;
        let locations = there.into_iter().map(|picture| base.join(picture.path));
        pictures.extend(locations.filter(|location| location.starts_with(folder)));
    }
    Ok(Below { folders, pictures })
}

/// Names what lies below `folder` as `rename` says, given where it was.
pub(super) fn to(
    path: &Path,
    folder: &Path,
    rename: &dyn Fn(&Path) -> ImageId,
) -> Result<Relocated, Error> {
    let mut connection = connection::for_writing(path)?;
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate).at(path)?;
    let mut relocation = Relocation {
        change: &change,
        folder,
        rename,
        numbered: Numbered::new(&change),
        folders: HashMap::new(),
        done: Relocated::default(),
    };
    for (number, base) in affected(&change, folder).at(path)? {
        relocation.folder(number, &base).at(path)?;
    }
    let Relocation { numbered, done, .. } = relocation;
    numbered.finish().at(path)?;
    change.commit().at(path)?;
    Ok(done)
}

/// The folders that are, lie in or contain `folder`.
fn affected(connection: &Connection, folder: &Path) -> rusqlite::Result<Vec<(i64, PathBuf)>> {
    let all = connection
        .prepare("SELECT id, path FROM folder ORDER BY path")?
        .query_map([], |row| Ok((row.get(0)?, row.get::<_, PathColumn<PathBuf>>(1)?.0)))?
        .collect::<rusqlite::Result<Vec<(i64, PathBuf)>>>()?;
    let is_affected =
        |(_, base): &(i64, PathBuf)| base.starts_with(folder) || folder.starts_with(base);
    Ok(all.into_iter().filter(is_affected).collect())
}

struct Picture {
    number: i64,
    path: PathBuf,
}

fn pictures_of(connection: &Connection, folder: i64) -> rusqlite::Result<Vec<Picture>> {
    connection
        .prepare_cached("SELECT id, path FROM picture WHERE folder = ?1")?
        .query_map([folder], |row| {
            Ok(Picture { number: row.get(0)?, path: row.get::<_, PathColumn<PathBuf>>(1)?.0 })
        })?
        .collect()
}

struct Relocation<'a> {
    change: &'a Transaction<'a>,
    folder: &'a Path,
    rename: &'a dyn Fn(&Path) -> ImageId,
    numbered: Numbered<'a>,
    /// Numbers of the folders that pictures went to.
    folders: HashMap<PathBuf, i64>,
    done: Relocated,
}

impl Relocation<'_> {
    fn folder(&mut self, number: i64, base: &Path) -> rusqlite::Result<()> {
        if let Some(target) = self.as_a_whole(base)? {
            self.done.moved += pictures_of(self.change, number)?.len() as u64;
            let rename = "UPDATE folder SET path = ?2 WHERE id = ?1";
            return self
                .change
                .execute(rename, params![number, PathColumn(target.as_path())])
                .map(|_| ());
        }
        for picture in pictures_of(self.change, number)? {
            let location = base.join(&picture.path);
            if location.starts_with(self.folder) {
                self.picture(picture.number, &(self.rename)(&location))?;
            }
        }
        if base.starts_with(self.folder) {
            let forget = "DELETE FROM folder WHERE id = ?1
                          AND NOT EXISTS (SELECT 1 FROM picture WHERE folder = folder.id)";
            self.change.execute(forget, [number])?;
        }
        Ok(())
    }

    /// The new name of the folder at `base`, if all pictures in it keep their
    /// names there and nothing else is at that place.
    fn as_a_whole(&self, base: &Path) -> rusqlite::Result<Option<PathBuf>> {
        if !base.starts_with(self.folder) {
            return Ok(None);
        }
        let name = Path::new("any");
        let renamed = (self.rename)(&base.join(name));
        if renamed.path() != name {
            return Ok(None);
        }
        let target = renamed.folder().to_owned();
        let is_in_the_way = |other: &PathBuf| {
            !other.starts_with(self.folder)
                && (other.starts_with(&target) || target.starts_with(other))
        };
        let is_free = !read::folders(self.change)?.iter().any(is_in_the_way);
        Ok(is_free.then_some(target))
    }

    fn picture(&mut self, number: i64, id: &ImageId) -> rusqlite::Result<()> {
        let folder = self.number_of(id.folder())?;
        let renamed = self
            .change
            .prepare_cached("UPDATE OR IGNORE picture SET folder = ?2, path = ?3 WHERE id = ?1")?
            .execute(params![number, folder, PathColumn(id.path())])?;
        if renamed > 0 {
            self.done.moved += 1;
            return Ok(());
        }
        self.done.merged += 1;
        self.numbered.remove(number)
    }

    fn number_of(&mut self, folder: &Path) -> rusqlite::Result<i64> {
        if let Some(&number) = self.folders.get(folder) {
            return Ok(number);
        }
        let number = write::folder_number(self.change, folder)?;
        self.folders.insert(folder.to_owned(), number);
        Ok(number)
    }
}
