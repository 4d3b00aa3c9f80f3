//! The same backend without a terminal: one request, followed to its end.
//!
//! Results go to standard output, everything else to standard error. A closed
//! pipe is not an error.

mod backup;
mod bar;
mod check;
mod copy;
mod elsewhere;
mod json;
mod json_lines;
mod load;
mod model;
mod output;
mod painting;
mod relocate;
mod search;
mod status;

use std::io;
use std::process::ExitCode;

pub use backup::{backup, restore};
pub use check::check;
pub use copy::copy;
pub use elsewhere::follow_loads;
pub use load::{load, watch};
pub use model::model;
pub use output::{Output, Style, Unheeded};
pub use relocate::relocate;
pub use search::{Format, search};
pub use status::{failed, status};

use self::output::Underway;
use crate::backend::{Backend, Event, ModelProgress, Remark, Request, Wait};
use crate::pace::Pace;
use crate::progress::{Line, model_line, wait_line};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, or something was found.
    Found,
    /// There was nothing to find.
    Nothing,
    /// It failed, or some pictures did.
    Failed,
    /// The user stopped it.
    Interrupted,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Found => 0,
            Outcome::Nothing => 1,
            Outcome::Failed => 2,
            Outcome::Interrupted => 130,
        })
    }
}

/// Sends `request` and shows `on_progress` what is not final, until the final
/// event. The first interrupt cancels the request, which keeps what is
/// stored; the second ends the program.
async fn follow(
    backend: &mut Backend,
    request: Request,
    mut on_progress: impl FnMut(Event) -> io::Result<()>,
) -> io::Result<Event> {
    let id = request.id();
    let stores = matches!(request, Request::Load { .. });
    let hear = |event: Option<Event>| match event {
        Some(event) => on_progress(event),
        None if stores => on_progress(Event::Remarked(id, on_its_way())),
        None => Ok(()),
    };
    follow_and_hear(backend, request, hear).await
}

/// The same, which tells of the first interrupt as well: by no event.
async fn follow_and_hear(
    backend: &mut Backend,
    request: Request,
    mut hear: impl FnMut(Option<Event>) -> io::Result<()>,
) -> io::Result<Event> {
    let id = request.id();
    let mut interrupts = Interrupts::watch();
    backend.send(request).await;
    let mut interrupted = false;
    loop {
        tokio::select! {
            event = backend.next_event() => match event {
                Some(event) if event.is_final() && event.request() == id => return Ok(event),
                Some(event) => hear(Some(event))?,
                None => return Ok(Event::Cancelled(id)),
            },
            () = interrupts.next() => {
                if std::mem::replace(&mut interrupted, true) {
                    std::process::exit(130);
                }
                hear(None)?;
                backend.send(Request::Cancel(id)).await;
            }
        }
    }
}

/// A load ends with the batch in hand.
fn on_its_way() -> Remark {
    Remark {
        text: "stopping once what is on its way is stored".into(),
        hint: "Ctrl-C once more stops at once".into(),
    }
}

/// The same, showing what keeps the answer waiting, and what is to be known
/// before it.
async fn follow_quietly(
    backend: &mut Backend,
    request: Request,
    output: &mut Output<'_>,
) -> io::Result<Event> {
    let event = follow(backend, request, |event| show_progress(event, output)).await?;
    output.clear()?;
    Ok(event)
}

/// What every kind of request may have to tell on its way.
fn show_progress(event: Event, output: &mut Output<'_>) -> io::Result<()> {
    match event {
        Event::ModelProgress(_, progress) => output.show(&Reading(progress)),
        Event::Waiting(_, Some(wait)) => output.show(&Waiting(wait)),
        Event::Waiting(_, None) => {
            output.tell_programs(&json_lines::waiting(None))?;
            output.clear()
        }
        Event::Remarked(_, remark) => output.warn(&remark),
        _ => Ok(()),
    }
}

/// The model, while it is being read: so quickly that its mean pace will do.
struct Reading(ModelProgress);

impl Reading {
    fn pace(&self) -> Pace {
        Pace::mean(self.0.elapsed, self.0.read)
    }
}

impl Underway for Reading {
    fn line(&self) -> Line {
        let line = model_line(&self.0, &self.pace());
        Line { counts: format!("reading {}", line.counts), ..line }
    }

    fn object(&self) -> serde_json::Value {
        json_lines::model_progress(&self.0, &self.pace())
    }
}

/// A database that is waited for.
struct Waiting(Wait);

impl Underway for Waiting {
    fn line(&self) -> Line {
        Line { counts: wait_line(&self.0), ..Line::default() }
    }

    fn object(&self) -> serde_json::Value {
        json_lines::waiting(Some(&self.0))
    }
}

/// Ctrl-C, and polite requests to end. Heard from the moment it is made: a
/// listener made anew for every wait would miss those in between.
struct Interrupts {
    #[cfg(unix)]
    signals: Option<[tokio::signal::unix::Signal; 2]>,
}

impl Interrupts {
    /// Without a signal handler the signal ends the program by itself.
    #[cfg(unix)]
    fn watch() -> Self {
        use tokio::signal::unix::{SignalKind, signal};

        let [interrupt, terminate] =
            [SignalKind::interrupt(), SignalKind::terminate()].map(|kind| signal(kind).ok());
        Self { signals: interrupt.zip(terminate).map(<[_; 2]>::from) }
    }

    #[cfg(not(unix))]
    fn watch() -> Self {
        Self {}
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        match &mut self.signals {
            Some([interrupt, terminate]) => tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            },
            None => std::future::pending().await,
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// What is left to do for every kind of final event that is no answer.
fn unanswered(event: Event, output: &mut Output<'_>) -> io::Result<Outcome> {
    match event {
        Event::Failed(_, failure) => output.complain(&failure).map(|()| Outcome::Failed),
        _ => Ok(Outcome::Interrupted),
    }
}
