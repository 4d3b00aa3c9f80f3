//! `carlens move`.

use std::io;
use std::path::PathBuf;

use super::{Outcome, Output, follow_quietly, json, unanswered};
use crate::backend::{Backend, Event, Relocated, Request, RequestId};
use crate::progress::counted;

/// Follows a folder of the collection that was moved from `old` to `new`.
///
/// # Errors
/// If the output cannot be written to.
pub async fn relocate(
    backend: &mut Backend,
    old: PathBuf,
    new: PathBuf,
    force: bool,
    json: bool,
    output: &mut Output<'_>,
) -> io::Result<Outcome> {
    let request = Request::Relocate { id: RequestId(1), old, new, force };
    let relocated = match follow_quietly(backend, request, output).await? {
        Event::Relocated(_, relocated) => relocated,
        event => return unanswered(event, output),
    };
    let Relocated { moved, merged, left } = relocated;
    if json {
        writeln!(output.out, "{}", json::relocated(relocated))?;
    } else {
        let pictures = counted(moved, "picture");
        let merged = if merged > 0 { format!(", {merged} there already") } else { String::new() };
        writeln!(output.out, "{pictures} moved{merged}")?;
    }
    if left == 0 {
        return Ok(Outcome::Found);
    }
    let hint = "`carlens load` embeds them by their new names";
    output.error(&format!("{left} could not be stored by their new names"), Some(hint))?;
    Ok(Outcome::Failed)
}
