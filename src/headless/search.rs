//! `carlens search`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Outcome, Output, follow_quietly, json, unanswered};
use crate::backend::{Answer, Backend, Event, Query, Request, RequestId};
use crate::domain::{Hit, Printable};

/// How hits are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Similarity and path, a line each.
    Lines,
    /// One JSON object.
    Json,
    /// Paths only, exact, each followed by a NUL.
    Print0,
}

/// Finds and prints, best first.
///
/// # Errors
/// If the output cannot be written to.
pub async fn search(
    backend: &mut Backend,
    query: Query,
    limit: usize,
    within: Option<PathBuf>,
    format: Format,
    output: &mut Output<'_>,
) -> io::Result<Outcome> {
    let request =
        Request::Search { id: RequestId(1), query: query.clone(), limit, within: within.clone() };
    match follow_quietly(backend, request, output).await? {
        Event::SearchFinished(_, answer) => {
            print(&query, &answer, within.as_deref(), format, output)
        }
        event => unanswered(event, output),
    }
}

fn print(
    query: &Query,
    answer: &Answer,
    within: Option<&Path>,
    format: Format,
    output: &mut Output<'_>,
) -> io::Result<Outcome> {
    match format {
        Format::Json => writeln!(output.out, "{}", json::answer(query, answer))?,
        Format::Lines => answer.hits.iter().try_for_each(|hit| line(hit, output.out))?,
        Format::Print0 => answer.hits.iter().try_for_each(|hit| {
            output.out.write_all(hit.id.location().as_os_str().as_encoded_bytes())?;
            output.out.write_all(&[0])
        })?,
    }
    if !answer.hits.is_empty() {
        return Ok(Outcome::Found);
    }
    if let Some(within) = within.filter(|_| answer.searched.pictures > 0) {
        let within = Printable::new(within);
        let text = format!("nothing found: the collection has no pictures below {within}");
        return output.note(&text, None).map(|()| Outcome::Nothing);
    }
    let hint = "load a folder of pictures first, with `carlens load DIR`";
    output.note("nothing found: the collection is empty", Some(hint))?;
    Ok(Outcome::Nothing)
}

fn line(hit: &Hit, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{:.4}\t{}", hit.similarity.cosine(), Printable::new(&hit.id.location()))
}
