//! `carlens copy`.

use std::io;

use serde_json::Value;

use super::output::Underway;
use super::{Outcome, Output, follow, json, json_lines, show_progress, unanswered};
use crate::backend::{
    Backend, Collection, Copied, CopyHow, CopyProgress, Event, Request, RequestId, Verification,
};
use crate::pace::Pace;
use crate::progress::{Line, copy_line};

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
    let mut pace = Pace::default();
    let event = follow(backend, request, |event| match event {
        Event::CopyProgress(_, progress) => {
            let costly = progress.copied + progress.failed;
            pace.observe(progress.elapsed, costly as u64, progress.unchanged as u64);
            output.show(&Copying { progress, pace: &pace })
        }
        event => show_progress(event, output),
    })
    .await?;
    output.clear()?;
    let Event::Copied(_, copied) = event else { return unanswered(event, output) };
    for problem in &copied.failed {
        output.say(&problem.to_string(), &json_lines::failed(None, problem))?;
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
        let hint = "copy again with --overwrite, which leaves nothing out";
        output.error("the copy is not complete", Some(hint))?;
    }
    Ok(())
}

/// A copy as it is now.
struct Copying<'a> {
    progress: CopyProgress,
    pace: &'a Pace,
}

impl Underway for Copying<'_> {
    fn line(&self) -> Line {
        copy_line(&self.progress, self.pace)
    }

    fn object(&self) -> Value {
        json_lines::copy_progress(&self.progress, self.pace)
    }
}
