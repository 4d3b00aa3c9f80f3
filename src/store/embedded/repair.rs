//! Mends what a check finds: removes rows that are of no use, so that the next
//! load stores their pictures again, and what of a damaged file can be read
//! becomes a new one.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};
use tokio_util::sync::CancellationToken;

use super::check::{Look, MOST_CHANGES, Tell, Trouble};
use super::connection;
use super::failure::At;
use super::integrity;
use super::salvage;
use super::sidecar;
use super::space;
use super::stop::Stop;
use crate::store::Error;
use crate::store::findings::{Fault, Mended};

/// Mends the collection at the absolute `path`.
pub(super) fn mend(
    path: &Path,
    token: &CancellationToken,
    tell: Tell<'_>,
) -> Result<Mended, Error> {
    let mut mended = Mended::default();
    if is_damaged(path, token)? {
        salvage::save(path, token, &mut mended)?;
    }
    let mut connection = connection::for_writing(path)?;
    let stop = Stop::watch(&connection, token);
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate).at(path)?;
    let mut troubles = Vec::new();
    let look = Look { snapshot: &change, path, stop: &stop, tell, files: false };
    look.at_everything(&mut |trouble| troubles.push(trouble))?;
    let mut mend = Mend { change: &change, numbers: HashMap::new() };
    for trouble in &troubles {
        stop.go_on()?;
        mend.one(trouble).at(path)?;
        *mended.faults.entry(trouble.fault).or_default() += 1;
        mended.lost += u64::from(is_loss(trouble.fault));
    }
    mend.finish().at(path)?;
    change.commit().at(path)?;
    drop(stop);
    if troubles.iter().any(|trouble| trouble.fault == Fault::Matrix) {
        forget_matrices(&connection, path, &troubles).at(path)?;
    }
    Ok(mended)
}

/// Whether the file itself is damaged; asked through a connection that changes
/// nothing.
fn is_damaged(path: &Path, token: &CancellationToken) -> Result<bool, Error> {
    let opened = match connection::for_reading(path) {
        Err(Error::Damaged { .. }) => return Ok(true),
        opened => opened?,
    };
    let stop = Stop::watch(&opened, token);
    let findings = integrity::findings(&opened).at(path);
    stop.go_on()?;
    Ok(!findings?.is_empty())
}

/// Whether mending it takes a picture out of the collection that has no other
/// row.
fn is_loss(fault: Fault) -> bool {
    match fault {
        Fault::Row | Fault::NoFolder | Fault::NoEmbedding | Fault::Vector | Fault::Length => true,
        Fault::File
        | Fault::ShownAndHidden
        | Fault::Orphan
        | Fault::Duplicate
        | Fault::Numbering
        | Fault::Matrix => false,
    }
}

/// Changes within one transaction, numbered so that others follow.
struct Mend<'a> {
    change: &'a Transaction<'a>,
    /// The last change of each space.
    numbers: HashMap<i64, i64>,
}

impl Mend<'_> {
    fn one(&mut self, trouble: &Trouble) -> rusqlite::Result<()> {
        let number = trouble.number;
        match trouble.fault {
            Fault::File | Fault::Matrix => Ok(()),
            Fault::Numbering => self.renumber(number),
            Fault::ShownAndHidden => self.unhide(number),
            Fault::Orphan => self.remove_rest(number),
            Fault::Row
            | Fault::NoFolder
            | Fault::NoEmbedding
            | Fault::Vector
            | Fault::Length
            | Fault::Duplicate => {
                self.remove_rest(number)?;
                self.execute("DELETE FROM picture WHERE id = ?1", number)
            }
        }
    }

    fn execute(&self, statement: &str, number: i64) -> rusqlite::Result<()> {
        self.change.prepare_cached(statement)?.execute([number]).map(|_| ())
    }

    fn unhide(&self, picture: i64) -> rusqlite::Result<()> {
        self.execute("DELETE FROM hidden WHERE picture = ?1", picture)?;
        self.execute("DELETE FROM tombstone WHERE picture = ?1", picture)
    }

    /// Removes what belongs to a picture.
    fn remove_rest(&mut self, picture: i64) -> rusqlite::Result<()> {
        let space = self
            .change
            .prepare_cached("SELECT space FROM embedding WHERE picture = ?1")?
            .query_row([picture], |row| row.get(0))
            .optional()?;
        self.execute("DELETE FROM embedding WHERE picture = ?1", picture)?;
        self.execute("DELETE FROM hidden WHERE picture = ?1", picture)?;
        // Who has seen its embedding has to hear.
        space.map_or(Ok(()), |space| self.bury(picture, space))
    }

    fn bury(&mut self, picture: i64, space: i64) -> rusqlite::Result<()> {
        let seq = self.last_number(space)? + 1;
        self.numbers.insert(space, seq);
        self.change
            .prepare_cached("INSERT INTO tombstone (space, seq, picture) VALUES (?1, ?2, ?3)")?
            .execute([space, seq, picture])
            .map(|_| ())
    }

    /// The greatest number of a change anywhere; nothing where it is beyond
    /// all reason.
    fn last_number(&self, space: i64) -> rusqlite::Result<i64> {
        if let Some(&number) = self.numbers.get(&space) {
            return Ok(number);
        }
        let number: i64 = self.change.query_row(
            "SELECT max(coalesce((SELECT seq FROM space WHERE id = ?1), 0),
                coalesce((SELECT max(seq) FROM embedding WHERE space = ?1), 0),
                coalesce((SELECT max(seq) FROM tombstone WHERE space = ?1), 0))",
            [space],
            |row| row.get(0),
        )?;
        Ok(if number <= MOST_CHANGES { number } else { 0 })
    }

    /// Gives every embedding a number that nobody has seen.
    fn renumber(&mut self, space: i64) -> rusqlite::Result<()> {
        let last = self.last_number(space)?;
        self.execute(
            "DELETE FROM tombstone WHERE space = ?1 AND (seq < 1 OR seq > 4611686018427387903
             OR picture IN (SELECT picture FROM embedding))",
            space,
        )?;
        let renumbered = self.change.execute(
            "UPDATE embedding SET seq = ?2 + place FROM (
                SELECT picture AS which, row_number() OVER (ORDER BY picture) AS place
                FROM embedding WHERE space = ?1
             ) WHERE picture = which",
            [space, last],
        )?;
        self.execute("UPDATE space SET matrix_mark = NULL WHERE id = ?1", space)?;
        self.numbers.insert(space, last + i64::try_from(renumbered).unwrap_or(0));
        Ok(())
    }

    fn finish(self) -> rusqlite::Result<()> {
        for (space, seq) in self.numbers {
            self.change.execute("UPDATE space SET seq = ?2 WHERE id = ?1", [space, seq])?;
        }
        Ok(())
    }
}

/// They are made anew where they are missing.
fn forget_matrices(
    connection: &Connection,
    path: &Path,
    troubles: &[Trouble],
) -> rusqlite::Result<()> {
    let wrong = |number| {
        troubles.iter().any(|trouble| trouble.fault == Fault::Matrix && trouble.number == number)
    };
    for (_, space) in space::all(connection)?.into_iter().filter(|(_, space)| wrong(space.id)) {
        let forget = "UPDATE space SET matrix_mark = NULL WHERE id = ?1";
        connection.execute(forget, [space.id])?;
        // Without the mark it counts no more, whether it is there or not.
        let _ = fs::remove_file(sidecar::path(path, &space));
    }
    Ok(())
}
