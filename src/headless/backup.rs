//! `carlens backup` and `carlens restore`.

use std::io;
use std::path::PathBuf;

use super::output::Answer;
use super::{Outcome, Output, follow_quietly, json, unanswered};
use crate::backend::{Backend, Event, Replacement, Request, RequestId};
use crate::domain::Printable;
use crate::progress::counted;

/// Copies the collection to `file`.
///
/// # Errors
/// If the output cannot be written to.
pub async fn backup(
    backend: &mut Backend,
    file: PathBuf,
    force: bool,
    json: bool,
    output: &mut Output<'_>,
) -> io::Result<Outcome> {
    let request = Request::Backup { id: RequestId(1), file: file.clone(), replace: force };
    let done = match follow_quietly(backend, request, output).await? {
        Event::BackedUp(_, done) => done,
        event => return unanswered(event, output),
    };
    if json {
        writeln!(output.out, "{}", json::backed_up(&file, done))?;
    } else {
        let (name, pictures) = (Printable::new(&file), counted(done.pictures, "picture"));
        writeln!(output.out, "{name}: {pictures}, {} KB", done.bytes.div_ceil(1000))?;
    }
    Ok(Outcome::Found)
}

/// Puts the backup `file` in the collection's place, after asking if there are
/// pictures in it.
///
/// # Errors
/// If the output cannot be written to.
pub async fn restore(
    backend: &mut Backend,
    file: PathBuf,
    force: bool,
    json: bool,
    output: &mut Output<'_>,
) -> io::Result<Outcome> {
    let request = Request::Restore { id: RequestId(1), file: file.clone(), replace: force };
    let replacement = match follow_quietly(backend, request, output).await? {
        Event::WouldReplace(_, replacement) => replacement,
        event => return restored(event, json, output),
    };
    match may_replace(replacement, output).await? {
        Answer::Yes => {
            let request = Request::Restore { id: RequestId(2), file, replace: true };
            restored(follow_quietly(backend, request, output).await?, json, output)
        }
        Answer::No | Answer::Interrupted => Ok(Outcome::Interrupted),
        Answer::Nobody => Ok(Outcome::Failed),
    }
}

async fn may_replace(
    Replacement { held, pictures }: Replacement,
    output: &mut Output<'_>,
) -> io::Result<Answer> {
    let held = held.map_or("the damaged collection".into(), |held| {
        format!("the {} of the collection", counted(held, "picture"))
    });
    let what = format!("replace {held} by the {} of the backup", counted(pictures, "picture"));
    let answer = output.ask(&format!("{what}?")).await?;
    if answer == Answer::Nobody {
        let hint = "`--force` does not ask; `carlens backup` keeps what is there now";
        output.error(&format!("nobody can be asked whether to {what}"), Some(hint))?;
    }
    Ok(answer)
}

fn restored(event: Event, json: bool, output: &mut Output<'_>) -> io::Result<Outcome> {
    let Event::Restored(_, restored) = event else { return unanswered(event, output) };
    if let Some(kept) = &restored.kept {
        let kept = Printable::new(kept);
        output.note(&format!("what was damaged is kept as {kept}"), None)?;
    }
    if json {
        writeln!(output.out, "{}", json::restored(&restored))?;
    } else {
        writeln!(output.out, "{} restored", counted(restored.pictures, "picture"))?;
    }
    Ok(Outcome::Found)
}
