//! Whether SQLite finds a collection's file whole.

use rusqlite::{Connection, ErrorCode};

/// More findings say no more.
const MOST_FINDINGS: usize = 100;

/// What SQLite finds wrong in the file; nothing if it is whole. Reads all of
/// it.
pub(super) fn findings(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let asked = || {
        let mut statement =
            connection.prepare(&format!("PRAGMA main.integrity_check({MOST_FINDINGS})"))?;
        let findings = statement.query_map([], |row| row.get::<_, String>(0))?;
        findings.collect::<rusqlite::Result<Vec<String>>>()
    };
    match asked() {
        Ok(findings) => Ok(findings.into_iter().filter(|finding| finding != "ok").collect()),
        Err(failure) if is_damage(&failure) => Ok(vec![failure.to_string()]),
        Err(failure) => Err(failure),
    }
}

/// Whether a failure says that the file is damaged.
fn is_damage(failure: &rusqlite::Error) -> bool {
    let code = failure.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}
