//! The tables of a collection file, and how to tell whether a file is one.
//!
//! ```text
//! space      one model's embeddings; seq numbers its changes
//! folder     a folder that was loaded
//! picture    a file below a folder, in one space
//! embedding  the picture's embedding, with the number of its last change
//! tombstone  a picture that was removed, with the number of that change
//! hidden     a picture whose file is gone, with the embedding it had
//! ```
//!
//! Whoever has seen a space up to one `seq` finds all that changed since by
//! the greater numbers in `embedding` and `tombstone`. Numbers of pictures
//! are never used again. A picture that is hidden has no embedding in that
//! table and a tombstone, which goes when it is shown again.

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// Marks a SQLite file as ours: "cLns".
const APPLICATION_ID: i64 = 0x634c_6e73;

/// Every format there has been, as the step from the one before. The format
/// of a file is the number of steps taken; steps are only ever added.
const STEPS: [&str; 2] = [
    "
CREATE TABLE space (
    id          INTEGER PRIMARY KEY,
    model_name  TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL UNIQUE,
    dimension   INTEGER NOT NULL CHECK (dimension > 0),
    metric      TEXT    NOT NULL CHECK (metric = 'cosine'),
    seq         INTEGER NOT NULL DEFAULT 0,
    -- Written into the matrix file saved last, and what proves it this space's.
    matrix_mark BLOB
) STRICT;

CREATE TABLE folder (
    id   INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE
) STRICT;

CREATE TABLE picture (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    space    INTEGER NOT NULL REFERENCES space,
    folder   INTEGER NOT NULL REFERENCES folder,
    path     BLOB    NOT NULL,
    size     INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    hash     BLOB    NOT NULL,
    width    INTEGER NOT NULL,
    height   INTEGER NOT NULL,
    UNIQUE (space, folder, path)
) STRICT;

-- Apart from the pictures, so that asking which files are known does not
-- read every embedding.
CREATE TABLE embedding (
    picture INTEGER PRIMARY KEY REFERENCES picture ON DELETE CASCADE,
    space   INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    vector  BLOB    NOT NULL
) STRICT;
CREATE INDEX embedding_by_seq ON embedding (space, seq);

CREATE TABLE tombstone (
    space   INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    picture INTEGER NOT NULL,
    PRIMARY KEY (space, seq)
) STRICT, WITHOUT ROWID;
",
    "
CREATE TABLE IF NOT EXISTS hidden (
    picture INTEGER PRIMARY KEY REFERENCES picture ON DELETE CASCADE,
    vector  BLOB    NOT NULL
) STRICT;
-- A file under another name has the embedding it had.
CREATE INDEX IF NOT EXISTS picture_by_hash ON picture (space, hash);
CREATE INDEX IF NOT EXISTS tombstone_by_picture ON tombstone (space, picture);
",
];

/// What a collection of an older format lacks, for a connection that must not
/// bring it to this one.
const STAND_IN: &str = "
CREATE TEMP TABLE hidden (picture INTEGER PRIMARY KEY, vector BLOB NOT NULL) STRICT;
";

/// The format this program writes.
#[expect(clippy::cast_possible_wrap, reason = "a handful of steps")]
pub(super) const FORMAT: i64 = STEPS.len() as i64;

/// What a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing is in it.
    Empty,
    /// A collection of this format.
    Collection(i64),
    /// A database of some other program.
    Foreign,
}

/// Tells what the file of `connection` is, without writing to it.
pub(super) fn identify(connection: &Connection) -> rusqlite::Result<Kind> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    Ok(match (number("page_count")?, number("application_id")?) {
        (0, _) => Kind::Empty,
        (_, APPLICATION_ID) => Kind::Collection(number("user_version")?),
        _ => Kind::Foreign,
    })
}

/// Lets a collection of an older `format` be read as one of [`FORMAT`],
/// without writing to it.
pub(super) fn stand_in(connection: &Connection, format: i64) -> rusqlite::Result<()> {
    if format < 2 { connection.execute_batch(STAND_IN) } else { Ok(()) }
}

/// Brings an empty file or a collection of an older format to [`FORMAT`], in
/// one transaction: a file is never seen half made.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", 8192)?;
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Asked again, as another process may have made it meanwhile. An empty
    // file is not empty any more within the transaction.
    let taken = match identify(&change)? {
        Kind::Collection(format) => format,
        Kind::Empty | Kind::Foreign => 0,
    };
    steps_after(&change, taken)?;
    change.commit()
}

fn steps_after(change: &Transaction<'_>, taken: i64) -> rusqlite::Result<()> {
    let taken = usize::try_from(taken).unwrap_or(usize::MAX);
    for step in STEPS.iter().skip(taken) {
        change.execute_batch(step)?;
    }
    if taken < STEPS.len() {
        change.pragma_update(None, "application_id", APPLICATION_ID)?;
        change.pragma_update(None, "user_version", FORMAT)?;
    }
    Ok(())
}
