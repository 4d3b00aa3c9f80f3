//! `carlens copy`.

use std::io;

use super::progress_line::ProgressLine;
use super::{Outcome, Output, follow, json, show_progress, unanswered};
use crate::backend::{
    Backend, Collection, Copied, CopyHow, Event, Request, RequestId, Verification,
};
use crate::progress::copy_line;

/// Copies one collection to another, and says whether all of it arrived.
///
/// # Errors
/// If the output cannot be written to.
pub async fn copy(
    backend: &mut Backend,
    from: Collection,
    to: Collection,
    how: CopyHow,
    json: bool,
    output: &mut Output<'_>,
) -> io::Result<Outcome> {
    let (from_place, to_place) = (from.place(), to.place());
    let request = Request::Copy { id: RequestId(1), from, to, how };
    let mut line = ProgressLine::new(output.live);
    let event = follow(backend, request, |event| match event {
        Event::CopyProgress(_, progress) => line.show(output.err, &copy_line(&progress)),
        event => show_progress(event, &mut line, output),
    })
    .await?;
    line.clear(output.err)?;
    let Event::Copied(_, copied) = event else { return unanswered(event, output) };
    for problem in &copied.failed {
        writeln!(output.err, "{problem}")?;
    }
    if json {
        writeln!(output.out, "{}", json::copied(&from_place, &to_place, &copied))?;
    } else {
        summarise(&copied, output)?;
    }
    let good = copied.failed.is_empty() && copied.verification.is_good();
    Ok(if good { Outcome::Found } else { Outcome::Failed })
}

fn summarise(copied: &Copied, output: &mut Output<'_>) -> io::Result<()> {
    let Copied { progress, verification, .. } = copied;
    writeln!(
        output.out,
        "{} copied, {} there already, {} failed in {:.1} s",
        progress.copied,
        progress.unchanged,
        progress.failed,
        progress.elapsed.as_secs_f64()
    )?;
    let Verification { in_source, in_target, missing, compared, alike, .. } = verification;
    writeln!(
        output.out,
        "verified: {in_source} pictures here, {in_target} there, {} missing; {alike} of {compared} \
         embeddings equal; {} of {} neighbours the same",
        missing.len(),
        verification.same_neighbours,
        verification.neighbours,
    )?;
    if !verification.is_good() {
        writeln!(output.err, "error: the copy is not complete")?;
        writeln!(output.err, "hint: copy again with --overwrite, which leaves nothing out")?;
    }
    Ok(())
}
