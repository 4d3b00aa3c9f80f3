//! `carlens status --follow`: the loads of other processes.

use std::io;

use serde_json::Value;

use super::output::Underway;
use super::{Interrupts, Outcome, Output, json};
use crate::backend::{Backend, Ended, Event, LoadElsewhere, Request, RequestId};
use crate::progress::{Line, elsewhere_line, load_summary};

/// Said while there is nothing to show.
const WATCHED: &str = "another process waits for changes; what it loads is shown";

/// Follows the loads of other processes into the collection until the last one
/// has ended, and none of them loads whatever changes.
///
/// # Errors
/// If the output cannot be written to.
pub async fn follow_loads(
    backend: &mut Backend,
    json: bool,
    output: &mut Output<'_>,
) -> io::Result<Outcome> {
    let mut interrupts = Interrupts::watch();
    backend.send(Request::FollowLoads { id: RequestId(1) }).await;
    let (mut outcome, mut is_watched, mut told) = (None, false, false);
    loop {
        let event = tokio::select! {
            event = backend.next_event() => event,
            () = interrupts.next() => None,
        };
        match event {
            Some(Event::LoadsElsewhere(_, loads)) => match &loads[..] {
                [] if is_watched => {
                    output.clear()?;
                    if !told {
                        told = true;
                        output.note(WATCHED, None)?;
                    }
                }
                [] => break,
                [first, ..] => {
                    // One that hangs shows nothing new.
                    match outcome.replace(Outcome::Found) {
                        None if !json => output.show_at_once(first)?,
                        _ => show(first, json, output)?,
                    }
                }
            },
            Some(Event::WatchedElsewhere(_, now)) => is_watched = now,
            Some(Event::LoadEndedElsewhere(_, load)) => {
                let failed = load.ended.is_none_or(|ended| ended == Ended::Failed);
                outcome = Some(if failed { Outcome::Failed } else { Outcome::Found });
                tell_end(&load, json, output)?;
            }
            Some(event) if event.is_final() => return super::unanswered(event, output),
            Some(_) => {}
            None => {
                output.clear()?;
                return Ok(Outcome::Interrupted);
            }
        }
    }
    output.clear()?;
    if outcome.is_none() && !told {
        output.note("no load is under way", Some("`carlens load` begins one"))?;
    }
    Ok(outcome.unwrap_or(Outcome::Nothing))
}

fn show(load: &LoadElsewhere, json: bool, output: &mut Output<'_>) -> io::Result<()> {
    if json { print(load, output) } else { output.show(load) }
}

fn print(load: &LoadElsewhere, output: &mut Output<'_>) -> io::Result<()> {
    writeln!(output.out, "{}", json::elsewhere(load))?;
    output.out.flush()
}

fn tell_end(load: &LoadElsewhere, json: bool, output: &mut Output<'_>) -> io::Result<()> {
    output.clear()?;
    if json {
        return print(load, output);
    }
    for failed in &load.failed {
        output.say(failed, &Value::Null)?;
    }
    let at = &load.progress;
    let how = match load.ended {
        Some(Ended::Finished) => {
            return writeln!(output.out, "{}: finished: {}", load.folder, load_summary(at));
        }
        Some(Ended::Stopped) => "was stopped",
        Some(Ended::Failed) => "failed",
        None => "ended without a word, as if its process had been killed",
    };
    writeln!(
        output.out,
        "{}: {how}: {} embedded, {} unchanged, {} failed of {} in {:.1} s",
        load.folder,
        at.embedded,
        at.unchanged,
        at.failed,
        at.found,
        at.elapsed.as_secs_f64()
    )
}

impl Underway for LoadElsewhere {
    fn line(&self) -> Line {
        Line { title: Some(self.folder.clone()), ..elsewhere_line(self) }
    }

    fn object(&self) -> Value {
        json::elsewhere(self)
    }
}
