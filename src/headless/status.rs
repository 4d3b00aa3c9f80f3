//! `carlens status`.

use std::io;

use super::{Outcome, Output, follow_quietly, json, unanswered};
use crate::backend::{Backend, Event, Request, RequestId, Status};
use crate::domain::{FileProblem, Printable, SpaceSummary};
use crate::progress::failed_files;

/// Says which model and collection are in use and what they hold.
///
/// # Errors
/// If the output cannot be written to.
pub async fn status(
    backend: &mut Backend,
    json: bool,
    output: &mut Output<'_>,
) -> io::Result<Outcome> {
    let request = Request::Status { id: RequestId(1) };
    let status = match follow_quietly(backend, request, output).await? {
        Event::StatusReported(_, status) => status,
        event => return unanswered(event, output),
    };
    let request = Request::Failed { id: RequestId(2) };
    let failed = match follow_quietly(backend, request, output).await? {
        Event::FailedListed(_, failed) => failed,
        event => return unanswered(event, output),
    };
    if json {
        writeln!(output.out, "{}", json::status(&status, &failed))?;
    } else {
        print(&status, &failed, output)?;
    }
    Ok(Outcome::Found)
}

/// Lists the files that could not be embedded, with the reasons.
///
/// # Errors
/// If the output cannot be written to.
pub async fn failed(
    backend: &mut Backend,
    json: bool,
    output: &mut Output<'_>,
) -> io::Result<Outcome> {
    let request = Request::Failed { id: RequestId(1) };
    let failed = match follow_quietly(backend, request, output).await? {
        Event::FailedListed(_, failed) => failed,
        event => return unanswered(event, output),
    };
    if json {
        writeln!(output.out, "{}", json::failed(&failed))?;
    } else {
        for problem in &failed {
            writeln!(output.out, "{problem}")?;
        }
        if failed.iter().any(|problem| problem.format.is_some()) {
            output.note(&failed_files(&failed), None)?;
        }
    }
    Ok(if failed.is_empty() { Outcome::Nothing } else { Outcome::Found })
}

fn print(status: &Status, failed: &[FileProblem], output: &mut Output<'_>) -> io::Result<()> {
    let fingerprint = status.model.fingerprint.to_string();
    let what = if status.compact { ", comes with carlens, for trying it out" } else { "" };
    writeln!(output.out, "model       {}{what}", Printable::new(&status.model.name))?;
    writeln!(
        output.out,
        "            {} dimensions, cosine, fingerprint {}",
        status.dimension,
        &fingerprint[..12]
    )?;
    writeln!(output.out, "collection  {}", status.collection)?;
    match status.space() {
        None if !status.spaces.is_empty() => {
            writeln!(output.out, "pictures    none of this model")?;
        }
        None => {
            writeln!(output.out, "pictures    none yet: load a folder with `carlens load DIR`")?;
        }
        Some(space) => print_space(space, output)?,
    }
    let in_use = status.space();
    for space in status.spaces.iter().filter(|space| Some(*space) != in_use) {
        let (pictures, model, dimension) = (space.pictures, space.model_name(), space.dimension);
        writeln!(
            output.out,
            "also holds  {pictures} pictures embedded by {model} ({dimension} dimensions)"
        )?;
    }
    if !failed.is_empty() {
        writeln!(output.out, "failed      {}", failed_files(failed))?;
        writeln!(output.out, "            `carlens status --failed` lists them")?;
    }
    if let Some(offer) = &status.offer {
        output.hint(&format!(
            "`carlens model pull {}` downloads a much better model ({} MB)",
            offer.preset,
            offer.bytes / 1_000_000
        ))?;
    }
    Ok(())
}

fn print_space(space: &SpaceSummary, output: &mut Output<'_>) -> io::Result<()> {
    writeln!(output.out, "pictures    {}", space.pictures)?;
    if space.hidden > 0 {
        writeln!(
            output.out,
            "            {} hidden, as their files are gone or broken",
            space.hidden
        )?;
    }
    for folder in &space.folders {
        let pictures = folder.pictures.map(|pictures| format!("{pictures} "));
        let elsewhere = if folder.here { "" } else { ", which is not on this machine" };
        writeln!(
            output.out,
            "            {}in {}{elsewhere}",
            pictures.unwrap_or_default(),
            Printable::new(&folder.path)
        )?;
    }
    if space.model.is_none() {
        writeln!(
            output.out,
            "            which model embedded them is not recorded; the DataStax article's loader \
             uses clip-vit-b-32"
        )?;
    }
    Ok(())
}
