//! `carlens load`.

use std::io;
use std::path::PathBuf;

use super::progress_line::ProgressLine;
use super::{Outcome, Output, follow, follow_quietly, json, show_progress, unanswered};
use crate::backend::{Backend, Event, LoadPlan, LoadProgress, Prune, Request, RequestId};
use crate::domain::{FileProblem, Printable};
use crate::progress::load_line;

/// Loads `folder`; without one the folders the collection has, or else
/// `fallback`. Prints a summary.
///
/// # Errors
/// If the output cannot be written to.
pub async fn load(
    backend: &mut Backend,
    folder: Option<PathBuf>,
    fallback: PathBuf,
    prune: Prune,
    json: bool,
    output: &mut Output<'_>,
) -> io::Result<Outcome> {
    let folders = if let Some(folder) = folder {
        vec![folder]
    } else {
        let request = Request::Status { id: RequestId(0) };
        match follow_quietly(backend, request, output).await? {
            Event::StatusReported(_, status) => status.folders_or(fallback),
            event => return unanswered(event, output),
        }
    };
    let (mut outcome, mut loaded) = (Outcome::Nothing, Vec::new());
    for (folder, id) in folders.into_iter().zip(1..) {
        let mut load = Load::new(folder, prune, output);
        let ended = load.run(backend, RequestId(id)).await?;
        loaded.push(json::loaded(&load.folder, &load.progress, &load.failed, load.finished));
        if !json && load.progress.walked {
            load.summarise()?;
        }
        outcome = worse(outcome, ended);
        if ended == Outcome::Interrupted {
            break;
        }
    }
    if json {
        writeln!(output.out, "{}", json::loads(&loaded))?;
    }
    Ok(outcome)
}

/// Of two folders' outcomes, the one to end with.
fn worse(one: Outcome, other: Outcome) -> Outcome {
    [Outcome::Interrupted, Outcome::Failed, Outcome::Found]
        .into_iter()
        .find(|outcome| *outcome == one || *outcome == other)
        .unwrap_or(Outcome::Nothing)
}

/// One folder's load, as it is watched.
struct Load<'a, 'b> {
    folder: PathBuf,
    prune: Prune,
    progress: LoadProgress,
    failed: Vec<FileProblem>,
    finished: bool,
    line: ProgressLine,
    output: &'a mut Output<'b>,
}

impl<'a, 'b> Load<'a, 'b> {
    fn new(folder: PathBuf, prune: Prune, output: &'a mut Output<'b>) -> Self {
        let line = ProgressLine::new(output.live);
        Self {
            folder,
            prune,
            progress: LoadProgress::default(),
            failed: Vec::new(),
            finished: false,
            line,
            output,
        }
    }

    async fn run(&mut self, backend: &mut Backend, id: RequestId) -> io::Result<Outcome> {
        let request = Request::Load { id, folder: self.folder.clone(), prune: self.prune };
        let event = follow(backend, request, |event| self.watch(event)).await?;
        self.line.clear(self.output.err)?;
        match event {
            Event::LoadFinished(_, progress) => {
                self.finished = true;
                self.progress = progress;
                self.outcome()
            }
            event => unanswered(event, self.output),
        }
    }

    fn watch(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::LoadPlanned(_, plan) => self.announce(plan)?,
            Event::PictureFailed(_, problem) => {
                self.line.clear(self.output.err)?;
                let path = self.folder.join(&problem.path);
                let reason = Printable::new(&problem.reason);
                writeln!(self.output.err, "{} {reason}", Printable::new(&path))?;
                self.failed.push(problem);
            }
            Event::LoadProgress(_, progress) => {
                self.line.show(self.output.err, &load_line(&progress))?;
                self.progress = progress;
            }
            event => show_progress(event, &mut self.line, self.output)?,
        }
        Ok(())
    }

    /// Embedding everything again beside an old model's space must not come
    /// as a surprise.
    fn announce(&mut self, plan: LoadPlan) -> io::Result<()> {
        if plan.new_space {
            for other in &plan.other_models {
                writeln!(
                    self.output.err,
                    "the collection holds {} pictures embedded by {}, which stay as they are; \
                     embedding with {} beside them",
                    other.pictures,
                    other.model_name(),
                    Printable::new(&plan.model.name),
                )?;
            }
        }
        self.folder = plan.folder;
        Ok(())
    }

    fn outcome(&mut self) -> io::Result<Outcome> {
        if self.progress.found == 0 {
            let folder = Printable::new(&self.folder);
            writeln!(self.output.err, "error: there are no pictures in {folder}")?;
            writeln!(
                self.output.err,
                "hint: JPEG, PNG, WebP, GIF, BMP and TIFF files are embedded, in subfolders too"
            )?;
            return Ok(Outcome::Nothing);
        }
        Ok(if self.failed.is_empty() { Outcome::Found } else { Outcome::Failed })
    }

    fn summarise(&mut self) -> io::Result<()> {
        let LoadProgress { embedded, unchanged, failed, removed, elapsed, .. } = self.progress;
        let removed = if removed > 0 { format!(", {removed} removed") } else { String::new() };
        writeln!(
            self.output.out,
            "{}: {embedded} embedded, {unchanged} unchanged, {failed} failed{removed} in {:.1} s",
            Printable::new(&self.folder),
            elapsed.as_secs_f64(),
        )
    }
}
