//! Mends what a check finds: removes rows that are of no use, so that the next
//! load stores their pictures again, and what of a damaged file can be read
//! becomes a new one.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use tokio_util::sync::CancellationToken;

use super::check::{Look, Seen, Tell, Trouble};
use super::connection;
use super::failure::At;
use super::integrity;
use super::numbered::Numbered;
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
    let on = CancellationToken::new();
    let token = if is_damaged(path, token)? {
        salvage::save(path, token, &mut mended)?;
        // From here on it is another file, of which is told whatever happens.
        &on
    } else {
        token
    };
    let mut connection = connection::for_writing(path)?;
    let stop = Stop::watch(&connection, token);
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate).at(path)?;
    let mut troubles = Vec::new();
    let look = Look { snapshot: &change, path, stop: &stop, tell, files: false };
    look.at_everything(&mut Seen::default(), &mut |trouble| troubles.push(trouble))?;
    let mut numbered = Numbered::new(&change);
    for trouble in &troubles {
        stop.go_on()?;
        mend_one(&mut numbered, trouble).at(path)?;
        *mended.faults.entry(trouble.fault).or_default() += 1;
        mended.lost += u64::from(is_loss(trouble.fault));
    }
    numbered.finish().at(path)?;
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

fn mend_one(numbered: &mut Numbered<'_>, trouble: &Trouble) -> rusqlite::Result<()> {
    let number = trouble.number;
    match trouble.fault {
        Fault::File | Fault::Matrix => Ok(()),
        Fault::Numbering => numbered.anew(number),
        Fault::ShownAndHidden => numbered.unhide(number),
        Fault::Orphan => numbered.remove_rest(number),
        Fault::Row
        | Fault::NoFolder
        | Fault::NoEmbedding
        | Fault::Vector
        | Fault::Length
        | Fault::Duplicate => numbered.remove(number),
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
