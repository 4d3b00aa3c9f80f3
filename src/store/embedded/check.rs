//! Looks at everything in a collection's file, and at the files it is about;
//! changes nothing.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use half::f16;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};
use tokio_util::sync::CancellationToken;

use super::columns::{self, PathColumn};
use super::connection;
use super::failure::At;
use super::integrity;
use super::sidecar::{self, Beside};
use super::space::{self, Space};
use super::stop::Stop;
use crate::domain::FileStamp;
use crate::store::findings::{Fault, Findings};
use crate::store::{Error, scan};

/// How far from 1 the length of an embedding may be: several times what half
/// precision makes of it, and far less than what moves a match.
const TOLERANCE: f64 = 0.01;

/// How many pictures are looked at between two reports.
const REPORT_EVERY: u64 = 256;

/// Greater numbers of changes are nobody's.
pub(super) const MOST_CHANGES: i64 = i64::MAX / 2;

/// Told how many pictures of how many have been looked at.
pub(super) type Tell<'a> = &'a dyn Fn(u64, u64);

/// Checks the collection at the absolute `path`.
pub(super) fn look(
    path: &Path,
    token: &CancellationToken,
    tell: Tell<'_>,
) -> Result<Findings, Error> {
    let mut findings = Findings::default();
    let mut reading = match connection::for_reading(path) {
        Err(Error::Damaged { source, .. }) => {
            findings.add(Fault::File, || source.to_string());
            return Ok(findings);
        }
        opened => opened?,
    };
    let stop = Stop::watch(&reading, token);
    let snapshot = reading.transaction().at(path)?;
    let damage = integrity::findings(&snapshot).at(path);
    stop.go_on()?;
    for finding in damage? {
        findings.add(Fault::File, || finding);
    }
    let look = Look { snapshot: &snapshot, path, stop: &stop, tell, files: true };
    let mut seen = Seen::default();
    let mut see = |trouble: Trouble| findings.add(trouble.fault, || trouble.what);
    match look.at_everything(&mut seen, &mut see) {
        // As far as it can be read.
        Err(Error::Damaged { source, .. }) if !findings.faults.contains_key(&Fault::File) => {
            findings.add(Fault::File, || source.to_string());
        }
        Ok(()) | Err(Error::Damaged { .. }) => {}
        Err(error) => return Err(error),
    }
    let Seen { pictures, hidden, missing, back } = seen;
    Ok(Findings { pictures, hidden, missing, back, ..findings })
}

/// One fault.
pub(super) struct Trouble {
    pub(super) fault: Fault,
    /// The number of the picture, or of the space, that it is about.
    pub(super) number: i64,
    /// What it is about, for people.
    pub(super) what: String,
}

/// What there is besides troubles.
#[derive(Default)]
pub(super) struct Seen {
    pictures: u64,
    hidden: u64,
    missing: u64,
    back: u64,
}

/// One look at a collection, as it is at one moment.
pub(super) struct Look<'a> {
    pub(super) snapshot: &'a Connection,
    pub(super) path: &'a Path,
    pub(super) stop: &'a Stop<'a>,
    pub(super) tell: Tell<'a>,
    /// Whether to look for the pictures' files as well.
    pub(super) files: bool,
}

type See<'a> = &'a mut dyn FnMut(Trouble);

impl Look<'_> {
    pub(super) fn at_everything(&self, seen: &mut Seen, see: See<'_>) -> Result<(), Error> {
        let mut misnumbered = BTreeSet::new();
        self.at_pictures(seen, &mut misnumbered, see)?;
        self.at_orphans(see).at(self.path)?;
        self.at_numbers(&mut misnumbered).at(self.path)?;
        for number in misnumbered {
            see(Trouble { fault: Fault::Numbering, number, what: format!("space {number}") });
        }
        for (_, space) in space::all(self.snapshot).at(self.path)? {
            self.stop.go_on()?;
            self.at_matrix(&space, see).at(self.path)?;
        }
        Ok(())
    }

    fn at_pictures(
        &self,
        seen: &mut Seen,
        misnumbered: &mut BTreeSet<i64>,
        see: See<'_>,
    ) -> Result<(), Error> {
        let total = super::backup::pictures(self.snapshot).at(self.path)?;
        let related = related_folders(self.snapshot).at(self.path)?;
        let mut looked = 0;
        let mut statement = self.snapshot.prepare(EVERY_PICTURE).at(self.path)?;
        let mut rows = statement.query([]).at(self.path)?;
        while let Some(row) = rows.next().at(self.path)? {
            let number: i64 = row.get(0).at(self.path)?;
            match self.at_picture(row, &related, misnumbered).at(self.path)? {
                Ok(picture) => seen.count(&picture, self.files),
                Err((fault, what)) => see(Trouble { fault, number, what }),
            }
            looked += 1;
            if looked % REPORT_EVERY == 0 {
                (self.tell)(looked, total);
                self.stop.go_on()?;
            }
        }
        (self.tell)(looked, total);
        Ok(())
    }

    /// A picture with which nothing is wrong, or what is.
    fn at_picture(
        &self,
        row: &Row<'_>,
        related: &HashMap<i64, Vec<(i64, PathBuf)>>,
        misnumbered: &mut BTreeSet<i64>,
    ) -> rusqlite::Result<Result<Picture, (Fault, String)>> {
        let Ok(picture) = Picture::from_row(row) else {
            return Ok(Err((Fault::Row, format!("picture {}", row.get::<_, i64>(0)?))));
        };
        let what = |fault| Ok(Err((fault, picture.location.to_string_lossy().into_owned())));
        if let Some(fault) = picture.fault {
            return what(fault);
        }
        let vector = match (row.get_ref(9)?, row.get_ref(10)?) {
            (ValueRef::Null, ValueRef::Null) => return what(Fault::NoEmbedding),
            (ValueRef::Blob(vector), ValueRef::Null) | (ValueRef::Null, ValueRef::Blob(vector)) => {
                vector
            }
            _ => return what(Fault::ShownAndHidden),
        };
        match length(vector, picture.dimension) {
            None => return what(Fault::Vector),
            Some(length) if (length - 1.0).abs() > TOLERANCE => return what(Fault::Length),
            Some(_) => {}
        }
        if self.is_twice(&picture, related)? {
            return what(Fault::Duplicate);
        }
        if !picture.is_numbered {
            misnumbered.insert(picture.space);
        }
        Ok(Ok(picture))
    }

    /// Whether the file is stored for a folder further in or out as well, and
    /// that one is the one to keep: the innermost, as a load would have it,
    /// but rather one that is shown.
    fn is_twice(
        &self,
        picture: &Picture,
        others: &HashMap<i64, Vec<(i64, PathBuf)>>,
    ) -> rusqlite::Result<bool> {
        let Some(others) = others.get(&picture.folder) else { return Ok(false) };
        let mut statement = self.snapshot.prepare_cached(
            "SELECT hidden.picture IS NOT NULL FROM picture
             LEFT JOIN hidden ON hidden.picture = picture.id
             WHERE space = ?1 AND folder = ?2 AND path = ?3",
        )?;
        for (other, base) in others {
            let (is_inner, path) = match picture.location.strip_prefix(base) {
                Ok(path) => (base.components().count() > picture.base_length, path),
                Err(_) => continue,
            };
            let key = params![picture.space, other, PathColumn(path)];
            let mut hidden = statement.query_map(key, |row| row.get::<_, bool>(0))?;
            if let Some(other_is_hidden) = hidden.next().transpose()? {
                let is_worse = match (picture.is_hidden, other_is_hidden) {
                    (true, false) => true,
                    (false, true) => false,
                    _ => is_inner,
                };
                if is_worse {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Rows that refer to what is not there. Those of pictures are seen one by
    /// one.
    fn at_orphans(&self, see: See<'_>) -> rusqlite::Result<()> {
        let mut statement = self.snapshot.prepare("PRAGMA main.foreign_key_check")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (table, number): (String, i64) = (row.get(0)?, row.get(1)?);
            if table != "picture" {
                let what = format!("{table} of picture {number}");
                see(Trouble { fault: Fault::Orphan, number, what });
            }
        }
        Ok(())
    }

    /// A picture that is shown did not go, and nobody has made a change whose
    /// number the space does not know.
    fn at_numbers(&self, misnumbered: &mut BTreeSet<i64>) -> rusqlite::Result<()> {
        let mut statement = self.snapshot.prepare(
            "SELECT id FROM space WHERE seq NOT BETWEEN 0 AND ?1
             OR EXISTS (SELECT 1 FROM tombstone WHERE space = space.id
                        AND tombstone.seq NOT BETWEEN 1 AND space.seq)
             OR EXISTS (SELECT 1 FROM tombstone JOIN embedding USING (picture)
                        WHERE tombstone.space = space.id)",
        )?;
        let mut rows = statement.query([MOST_CHANGES])?;
        while let Some(row) = rows.next()? {
            misnumbered.insert(row.get(0)?);
        }
        Ok(())
    }

    /// Whether the matrix file of `space` is what it says it is. One that is
    /// another collection's, or an older one, is nobody's trouble.
    fn at_matrix(&self, space: &Space, see: See<'_>) -> rusqlite::Result<()> {
        let mark = space::matrix_mark(self.snapshot, space)?;
        let place = sidecar::path(self.path, space);
        let is_good = match sidecar::beside(&place, space, mark) {
            Beside::Nothing | Beside::Other => true,
            Beside::Damaged => false,
            Beside::Saved(saved) => self.agrees(space, &saved)?,
        };
        if !is_good {
            let what = place.to_string_lossy().into_owned();
            see(Trouble { fault: Fault::Matrix, number: space.id, what });
        }
        Ok(())
    }

    /// Whether `saved` has what the collection had at its moment, as far as
    /// that is still there.
    fn agrees(&self, space: &Space, saved: &sidecar::Saved) -> rusqlite::Result<bool> {
        let (mut known, stride) = (0, scan::stride(space.dimension));
        let mut statement = self.snapshot.prepare(
            "SELECT picture, seq, vector FROM embedding WHERE +space = ?1 ORDER BY picture",
        )?;
        let mut rows = statement.query([space.id])?;
        while let Some(row) = rows.next()? {
            let (picture, seq): (i64, i64) = (row.get(0)?, row.get(1)?);
            let at = saved.ids().binary_search(&picture);
            known += u64::from(at.is_ok());
            let vector = row.get_ref(2)?.as_blob()?;
            let is_good = match at {
                _ if seq > saved.seq() => true,
                Ok(at) => is_row(&saved.values()[at * stride..][..stride], vector),
                Err(_) => false,
            };
            if !is_good {
                return Ok(false);
            }
        }
        let gone = self.gone_since(space, saved)?;
        Ok(known + gone == saved.ids().len() as u64)
    }

    fn gone_since(&self, space: &Space, saved: &sidecar::Saved) -> rusqlite::Result<u64> {
        let mut statement = self.snapshot.prepare(
            "SELECT DISTINCT picture FROM tombstone WHERE space = ?1 AND seq > ?2
             AND picture NOT IN (SELECT picture FROM embedding)",
        )?;
        let gone = statement.query_map([space.id, saved.seq()], |row| row.get::<_, i64>(0))?;
        let mut count = 0;
        for picture in gone {
            count += u64::from(saved.ids().binary_search(&picture?).is_ok());
        }
        Ok(count)
    }
}

const EVERY_PICTURE: &str = "
SELECT picture.id, picture.space, picture.folder, folder.path, picture.path, size, hash, width,
    height, embedding.vector, hidden.vector, dimension, embedding.seq,
    embedding.space IS NULL OR embedding.space = picture.space, space.seq, modified
FROM picture LEFT JOIN folder ON folder.id = picture.folder
LEFT JOIN space ON space.id = picture.space
LEFT JOIN embedding ON embedding.picture = picture.id
LEFT JOIN hidden ON hidden.picture = picture.id
ORDER BY picture.id";

/// A picture's row, but for its embedding.
struct Picture {
    space: i64,
    folder: i64,
    location: PathBuf,
    base_length: usize,
    /// Length of the file, if it is known.
    bytes: Option<u64>,
    modified: i64,
    is_hidden: bool,
    is_numbered: bool,
    dimension: usize,
    /// What is wrong with the row.
    fault: Option<Fault>,
}

impl Picture {
    /// Whether it has a file; one that is hidden, also whether that is as it was
    /// by its length and time, as it may be hidden for being another one.
    fn is_there(&self) -> bool {
        let is_same = |stat: &fs::Metadata| {
            let as_it_is = (stat.len(), FileStamp::time_of(stat));
            self.bytes.is_none_or(|bytes| (bytes, self.modified) == as_it_is)
        };
        fs::metadata(&self.location).is_ok_and(|stat| !self.is_hidden || is_same(&stat))
    }

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let folder = row.get::<_, Option<PathColumn<PathBuf>>>(3)?;
        let base = folder.as_ref().map(|folder| folder.0.clone()).unwrap_or_default();
        let path = row.get::<_, PathColumn<PathBuf>>(4)?.0;
        let hash = row.get_ref(6)?.as_blob()?.len();
        let size = row.get::<_, u32>(7).and(row.get::<_, u32>(8));
        let (bytes, modified): (i64, i64) = (row.get(5)?, row.get(15)?);
        let names_file = path.file_name().is_some() && path.is_relative() && !has_nul(&path);
        let is_of_its_space: bool = row.get(13)?;
        let makes_sense = names_file && [0, 32].contains(&hash) && size.is_ok() && is_of_its_space;
        let seq: Option<i64> = row.get(12)?;
        let last: i64 = row.get(14)?;
        Ok(Self {
            space: row.get(1)?,
            folder: row.get(2)?,
            base_length: base.components().count(),
            location: base.join(&path),
            bytes: (hash > 0).then(|| bytes.cast_unsigned()),
            modified,
            is_hidden: row.get_ref(9)? == ValueRef::Null,
            is_numbered: seq.is_none_or(|seq| (1..=last).contains(&seq)),
            dimension: row.get::<_, u32>(11)? as usize,
            fault: match folder {
                None => Some(Fault::NoFolder),
                Some(_) => (!makes_sense).then_some(Fault::Row),
            },
        })
    }
}

impl Seen {
    fn count(&mut self, picture: &Picture, files: bool) {
        // As it should be, where nobody looks.
        let is_there = if files { picture.is_there() } else { !picture.is_hidden };
        let counts = if picture.is_hidden {
            (&mut self.hidden, &mut self.back, is_there)
        } else {
            (&mut self.pictures, &mut self.missing, !is_there)
        };
        *counts.0 += 1;
        *counts.1 += u64::from(counts.2);
    }
}

fn has_nul(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().contains(&0)
}

/// The length of the embedding in a column, if it is one of this dimension.
fn length(column: &[u8], dimension: usize) -> Option<f64> {
    let components = columns::components(column, dimension).ok()?;
    let square: f64 = components.map(|x| f64::from(x) * f64::from(x)).sum();
    (square > 0.0).then(|| square.sqrt())
}

fn is_row(row: &[f16], column: &[u8]) -> bool {
    let stored = column.as_chunks::<2>().0.iter().map(|&bytes| u16::from_le_bytes(bytes));
    stored.eq(row.iter().take(column.len() / 2).map(|x| x.to_bits()))
}

/// The folders in or around each folder: only there can a file be stored
/// twice.
fn related_folders(snapshot: &Connection) -> rusqlite::Result<HashMap<i64, Vec<(i64, PathBuf)>>> {
    let folders = snapshot
        .prepare("SELECT id, path FROM folder")?
        .query_map([], |row| Ok((row.get(0)?, row.get::<_, PathColumn<PathBuf>>(1)?.0)))?
        .collect::<rusqlite::Result<Vec<(i64, PathBuf)>>>()?;
    let mut related: HashMap<i64, Vec<(i64, PathBuf)>> = HashMap::new();
    for (number, path) in &folders {
        for (other, base) in &folders {
            if other != number && (path.starts_with(base) || base.starts_with(path)) {
                related.entry(*number).or_default().push((*other, base.clone()));
            }
        }
    }
    Ok(related)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_direction_of_the_right_dimension_has_a_length() {
        let column = |components: &[f32]| -> Vec<u8> {
            components.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect()
        };
        assert_eq!(length(&column(&[0.6, 0.8]), 2).map(|length| length > 0.999), Some(true));
        assert_eq!(length(&column(&[3.0, 4.0]), 2), Some(5.0));
        for broken in [column(&[0.0, 0.0]), column(&[f32::NAN, 1.0]), column(&[1.0])] {
            assert_eq!(length(&broken, 2), None);
        }
    }
}
