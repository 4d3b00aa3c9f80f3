//! Changes to pictures of any space, numbered so that whoever has seen the
//! ones before follows.

use std::collections::HashMap;

use rusqlite::{OptionalExtension as _, Transaction};

use super::check::MOST_CHANGES;

/// Changes within one transaction.
pub(super) struct Numbered<'a> {
    change: &'a Transaction<'a>,
    /// The last change of each space.
    numbers: HashMap<i64, i64>,
}

impl<'a> Numbered<'a> {
    pub(super) fn new(change: &'a Transaction<'a>) -> Self {
        Self { change, numbers: HashMap::new() }
    }

    fn execute(&self, statement: &str, number: i64) -> rusqlite::Result<()> {
        self.change.prepare_cached(statement)?.execute([number]).map(|_| ())
    }

    /// Lets a picture that is shown be that alone.
    pub(super) fn unhide(&self, picture: i64) -> rusqlite::Result<()> {
        self.execute("DELETE FROM hidden WHERE picture = ?1", picture)?;
        self.execute("DELETE FROM tombstone WHERE picture = ?1", picture)
    }

    /// Removes a picture.
    pub(super) fn remove(&mut self, picture: i64) -> rusqlite::Result<()> {
        self.remove_rest(picture)?;
        self.execute("DELETE FROM picture WHERE id = ?1", picture)
    }

    /// Removes what belongs to a picture.
    pub(super) fn remove_rest(&mut self, picture: i64) -> rusqlite::Result<()> {
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
            .prepare_cached(
                "INSERT OR REPLACE INTO tombstone (space, seq, picture) VALUES (?1, ?2, ?3)",
            )?
            .execute([space, seq, picture])
            .map(|_| ())
    }

    /// The greatest number of a change anywhere; nothing where it is beyond
    /// all reason.
    fn last_number(&self, space: i64) -> rusqlite::Result<i64> {
        if let Some(&number) = self.numbers.get(&space) {
            return Ok(number);
        }
        let greatest = self.greatest(space)?;
        Ok(if greatest <= MOST_CHANGES { greatest } else { 0 })
    }

    fn greatest(&self, space: i64) -> rusqlite::Result<i64> {
        self.change.query_row(
            "SELECT max(coalesce((SELECT seq FROM space WHERE id = ?1), 0),
                coalesce((SELECT max(seq) FROM embedding WHERE space = ?1), 0),
                coalesce((SELECT max(seq) FROM tombstone WHERE space = ?1), 0), 0)",
            [space],
            |row| row.get(0),
        )
    }

    /// Gives every embedding a number that nobody has seen, if there is room
    /// for that; else from one on.
    pub(super) fn anew(&mut self, space: i64) -> rusqlite::Result<()> {
        let has_room = self.greatest(space)? < MOST_CHANGES / 2;
        let last = if has_room { self.last_number(space)? } else { 0 };
        let useless =
            if has_room { "seq < 1 OR picture IN (SELECT picture FROM embedding)" } else { "true" };
        self.execute(&format!("DELETE FROM tombstone WHERE space = ?1 AND ({useless})"), space)?;
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

    /// Tells the spaces how far they are.
    pub(super) fn finish(self) -> rusqlite::Result<()> {
        for (space, seq) in self.numbers {
            self.change.execute("UPDATE space SET seq = ?2 WHERE id = ?1", [space, seq])?;
        }
        Ok(())
    }
}
