//! `carlens model`.

use std::io;

use serde_json::{Value, json};

use super::output::Underway;
use super::{Outcome, Output, follow, json as document, json_lines, show_progress, unanswered};
use crate::backend::{Backend, Event, ModelEntry, PullProgress, Request, RequestId};
use crate::cli::ModelCommand;
use crate::domain::Printable;
use crate::pace::Pace;
use crate::progress::{Line, pull_line};

/// Lists, downloads or locates models.
///
/// # Errors
/// If the output cannot be written to.
pub async fn model(
    backend: &mut Backend,
    command: ModelCommand,
    output: &mut Output<'_>,
) -> io::Result<Outcome> {
    match command {
        ModelCommand::List(format) => list(backend, format.json, output).await,
        ModelCommand::Pull { name } => pull(backend, name, output).await,
        ModelCommand::Path { name } => path(backend, name, output).await,
    }
}

async fn list(backend: &mut Backend, json: bool, output: &mut Output<'_>) -> io::Result<Outcome> {
    match follow(backend, Request::Models { id: RequestId(1) }, |_| Ok(())).await? {
        Event::ModelsListed(_, models) if json => {
            let models: Vec<Value> = models.iter().map(entry).collect();
            writeln!(output.out, "{}", document::models(&models)).map(|()| Outcome::Found)
        }
        Event::ModelsListed(_, models) => {
            models.iter().try_for_each(|model| describe(model, output)).map(|()| Outcome::Found)
        }
        event => unanswered(event, output),
    }
}

fn entry(model: &ModelEntry) -> Value {
    let mut object = json!({
        "name": model.name,
        "bytes": model.bytes,
        "licence": model.licence,
        "summary": model.summary,
        "installed": model.installed,
        "in_use": model.in_use,
    });
    if let (Some(folder), Some(object)) = (&model.folder, object.as_object_mut()) {
        object.extend(document::named_path("folder", folder));
    }
    object
}

fn describe(model: &ModelEntry, output: &mut Output<'_>) -> io::Result<()> {
    let mark = if model.in_use { '*' } else { ' ' };
    let here = if model.installed { "here" } else { "not here" };
    let megabytes = model.bytes / 1_000_000;
    writeln!(
        output.out,
        "{mark} {:<18} {megabytes:>4} MB  {here:<8}  {}",
        model.name, model.summary
    )?;
    writeln!(output.out, "  {:18} licence: {}", "", model.licence)
}

async fn pull(backend: &mut Backend, name: String, output: &mut Output<'_>) -> io::Result<Outcome> {
    let request = Request::Pull { id: RequestId(1), preset: name };
    let mut pace = Pace::default();
    let event = follow(backend, request, |event| match event {
        Event::PullProgress(_, progress) => {
            pace.observe(progress.elapsed, progress.received, 0);
            output.show(&Pulling { progress, pace: &pace })
        }
        event => show_progress(event, output),
    })
    .await?;
    output.clear()?;
    match event {
        Event::Pulled(_, folder) => {
            writeln!(output.out, "{}", Printable::new(&folder)).map(|()| Outcome::Found)
        }
        event => unanswered(event, output),
    }
}

async fn path(
    backend: &mut Backend,
    name: Option<String>,
    output: &mut Output<'_>,
) -> io::Result<Outcome> {
    let models = match follow(backend, Request::Models { id: RequestId(1) }, |_| Ok(())).await? {
        Event::ModelsListed(_, models) => models,
        event => return unanswered(event, output),
    };
    let wanted =
        |model: &&ModelEntry| name.as_ref().map_or(model.in_use, |name| model.name == *name);
    match models.iter().find(wanted) {
        Some(ModelEntry { folder: Some(folder), .. }) => {
            writeln!(output.out, "{}", Printable::new(folder)).map(|()| Outcome::Found)
        }
        Some(model) if model.installed => {
            let text = format!("{} is part of the program and has no folder", model.name);
            output.note(&text, None).map(|()| Outcome::Nothing)
        }
        Some(model) => {
            let hint = format!("download it with `carlens model pull {}`", model.name);
            output.note(&format!("{} is not on this machine", model.name), Some(&hint))?;
            Ok(Outcome::Nothing)
        }
        None => {
            let name = name.unwrap_or_default();
            let text = format!("there is no model {}", Printable::new(&name));
            output.error(&text, Some("`carlens model list` shows the models there are"))?;
            Ok(Outcome::Failed)
        }
    }
}

/// A download as it is now.
struct Pulling<'a> {
    progress: PullProgress,
    pace: &'a Pace,
}

impl Underway for Pulling<'_> {
    fn line(&self) -> Line {
        pull_line(&self.progress, self.pace)
    }

    fn object(&self) -> Value {
        json_lines::pull_progress(&self.progress, self.pace)
    }
}
