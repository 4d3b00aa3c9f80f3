//! `carlens status`.

use std::io;

use super::{Outcome, Output, follow, json, unanswered};
use crate::backend::{Backend, Event, Request, RequestId, Status};
use crate::domain::Printable;
use crate::store::embedded::SpaceSummary;

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
    match follow(backend, request, |_| Ok(())).await? {
        Event::StatusReported(_, status) if json => {
            writeln!(output.out, "{}", json::status(&status)).map(|()| Outcome::Found)
        }
        Event::StatusReported(_, status) => print(&status, output).map(|()| Outcome::Found),
        event => unanswered(event, output),
    }
}

fn print(status: &Status, output: &mut Output<'_>) -> io::Result<()> {
    let fingerprint = status.model.fingerprint.to_string();
    let what = if status.compact { ", comes with carlens, for trying it out" } else { "" };
    writeln!(output.out, "model       {}{what}", Printable::new(&status.model.name))?;
    writeln!(
        output.out,
        "            {} dimensions, cosine, fingerprint {}",
        status.dimension,
        &fingerprint[..12]
    )?;
    writeln!(output.out, "collection  {}", Printable::new(&status.collection))?;
    match status.space() {
        None => {
            writeln!(output.out, "pictures    none yet: load a folder with `carlens load DIR`")?;
        }
        Some(space) => print_space(space, output)?,
    }
    for space in status.spaces.iter().filter(|space| space.model != status.model) {
        writeln!(
            output.out,
            "also holds  {} pictures embedded by {}",
            space.pictures,
            Printable::new(&space.model.name)
        )?;
    }
    if let Some(offer) = &status.offer {
        writeln!(
            output.err,
            "hint: `carlens model pull {}` downloads a much better model ({} MB)",
            offer.preset,
            offer.bytes / 1_000_000
        )?;
    }
    Ok(())
}

fn print_space(space: &SpaceSummary, output: &mut Output<'_>) -> io::Result<()> {
    writeln!(output.out, "pictures    {}", space.pictures)?;
    for (folder, pictures) in &space.folders {
        writeln!(output.out, "            {pictures} in {}", Printable::new(folder))?;
    }
    Ok(())
}
