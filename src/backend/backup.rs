//! One file of the whole collection, and back from it.

use std::path::Path;

use super::message::{Event, Failure, Replacement, RequestId};
use super::upkeep::Upkeep;
use crate::domain::Printable;
use crate::store::{Restore, embedded};

/// What there is for a collection in a database instead.
const COPY: &str = "a database keeps backups of its own; `carlens copy --from astra --to embedded` \
                    makes a file of it, for which `--store embedded` backs up and restores";

impl Upkeep {
    /// Copies the collection to `file`, while others use it.
    pub(super) async fn back_up(
        &self,
        id: RequestId,
        file: &Path,
        replace: bool,
    ) -> Result<Event, Failure> {
        let doing = format!("backing up to {}", Printable::new(file));
        let collection = self.file(&doing, COPY)?;
        let done = embedded::backup(collection, file, replace, &self.token).await;
        Ok(Event::BackedUp(id, done.map_err(|e| Failure::new(&doing, &e))?))
    }

    /// Puts `file` in the collection's place; if pictures would be lost, only
    /// if it is to `replace` them.
    pub(super) async fn restore(
        &self,
        id: RequestId,
        file: &Path,
        replace: bool,
    ) -> Result<Event, Failure> {
        let doing = format!("restoring {}", Printable::new(file));
        let collection = self.file(&doing, COPY)?;
        let restoring = async {
            let done = embedded::restore(collection, file, replace, &self.token).await;
            done.map_err(|e| Failure::new(&doing, &e))
        };
        Ok(match self.alone(&doing, restoring).await? {
            Restore::Done(restored) => Event::Restored(id, restored),
            Restore::WouldReplace { held, pictures } => {
                Event::WouldReplace(id, Replacement { held, pictures })
            }
        })
    }
}
