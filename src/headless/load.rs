//! `carlens load`.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::output::{Answer, Underway};
use super::{
    Outcome, Output, follow, follow_and_hear, follow_quietly, json, json_lines, on_its_way,
    show_progress, unanswered,
};
use crate::backend::{
    Backend, Ended, Event, LoadPlan, LoadProgress, Prune, Remark, Request, RequestId,
};
use crate::cli::PruneChoice;
use crate::domain::{FileProblem, Printable};
use crate::pace::Pace;
use crate::progress::{Line, counted, failed_before, load_line, load_summary, one_or_more};

/// Loads `folder`; without one the folders the collection has, or else
/// `fallback`. Prints a summary.
///
/// # Errors
/// If the output cannot be written to.
pub async fn load(
    backend: &mut Backend,
    folder: Option<PathBuf>,
    fallback: PathBuf,
    prune: Option<PruneChoice>,
    json: bool,
    output: &mut Output<'_>,
) -> io::Result<Outcome> {
    // Of all folders, one that is not there may be on a disk that is missing.
    let is_named = folder.is_some();
    let folders = match folders(backend, folder, fallback, output).await? {
        Ok(folders) => folders,
        Err(event) => return unanswered(event, output),
    };
    let (mut outcome, mut loaded, mut hidden) = (Outcome::Nothing, Vec::new(), 0);
    for (folder, id) in folders.into_iter().zip(1..) {
        if !is_named && !folder.exists() && !is_missed(backend, &folder, output).await? {
            continue;
        }
        let mut load = Load { hidden_before: hidden, ..Load::new(folder, output) };
        let is_lost = is_named && prune.is_some() && load.is_lost(backend, RequestId(0)).await?;
        let mut ended =
            if is_lost { load.pass()? } else { load.run(backend, RequestId(3 * id)).await? };
        if let (Some(prune), Ended::Finished) = (prune, load.ended) {
            let pruned = load.prune(backend, RequestId(3 * id + 1), prune).await?;
            ended = worse(ended, pruned);
        }
        hidden += load.progress.hidden;
        loaded.push(load.conclude(json)?);
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

/// Loads the same folders and keeps the collection up to date with them, until
/// interrupted. Prints a summary of every change.
///
/// # Errors
/// If the output cannot be written to.
pub async fn watch(
    backend: &mut Backend,
    folder: Option<PathBuf>,
    fallback: PathBuf,
    json: bool,
    output: &mut Output<'_>,
) -> io::Result<Outcome> {
    let folders = match folders(backend, folder, fallback, output).await? {
        Ok(folders) => folders,
        Err(event) => return unanswered(event, output),
    };
    let request = Request::Watch { id: RequestId(1), folders };
    let mut watch = Watch::new(output, json);
    let event = follow_and_hear(backend, request, |event| match event {
        Some(event) => watch.watch(event),
        None => watch.interrupted(),
    });
    let event = event.await?;
    watch.end(event)
}

/// `folder`, or else the folders of the collection, or else `fallback`.
async fn folders(
    backend: &mut Backend,
    folder: Option<PathBuf>,
    fallback: PathBuf,
    output: &mut Output<'_>,
) -> io::Result<Result<Vec<PathBuf>, Event>> {
    if let Some(folder) = folder {
        return Ok(Ok(vec![folder]));
    }
    let request = Request::Status { id: RequestId(0) };
    Ok(match follow_quietly(backend, request, output).await? {
        Event::StatusReported(_, status) => Ok(each_once(status.folders_or(fallback))),
        event => Err(event),
    })
}

/// Of folders that are one by links, the first alone; those that are not there
/// last, as what is there may be what they are by now.
fn each_once(folders: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    let real = |folder: &PathBuf| folder.canonicalize().unwrap_or_else(|_| folder.clone());
    let once = folders.into_iter().filter(|folder| seen.insert(real(folder)));
    let (there, missing): (Vec<_>, Vec<_>) = once.partition(|folder| folder.exists());
    [there, missing].concat()
}

/// Whether a folder that is not there is still one to load.
async fn is_missed(
    backend: &mut Backend,
    folder: &Path,
    output: &mut Output<'_>,
) -> io::Result<bool> {
    let still = folders(backend, None, folder.to_owned(), output).await?;
    Ok(still.map_or(true, |folders| folders.iter().any(|still| still == folder)))
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
    /// How many pictures of other folders were hidden in the same run.
    hidden_before: usize,
    progress: LoadProgress,
    failed: Vec<FileProblem>,
    /// How, once it is over.
    ended: Ended,
    pace: Pace,
    output: &'a mut Output<'b>,
}

impl<'a, 'b> Load<'a, 'b> {
    fn new(folder: PathBuf, output: &'a mut Output<'b>) -> Self {
        Self {
            folder,
            hidden_before: 0,
            progress: LoadProgress::default(),
            failed: Vec::new(),
            ended: Ended::Stopped,
            pace: Pace::default(),
            output,
        }
    }

    /// Forgets all but where it is told.
    fn begin_anew(&mut self, folder: PathBuf) {
        self.folder = folder;
        self.progress = LoadProgress::default();
        self.failed.clear();
        self.pace = Pace::default();
    }

    /// Whether the folder is not there and the collection has pictures of it.
    async fn is_lost(&mut self, backend: &mut Backend, id: RequestId) -> io::Result<bool> {
        if self.folder.symlink_metadata().is_ok() {
            return Ok(false);
        }
        let request = Request::CountGone { id, folder: self.folder.clone() };
        let counted = follow_quietly(backend, request, self.output).await?;
        Ok(matches!(counted, Event::GoneCounted(_, 1..)))
    }

    /// Nothing is to be read of a folder that is not there.
    fn pass(&mut self) -> io::Result<Outcome> {
        let text = format!("{} is not there any more", Printable::new(&self.folder));
        self.output.note(&text, None)?;
        (self.ended, self.progress.walked) = (Ended::Finished, true);
        Ok(Outcome::Found)
    }

    async fn run(&mut self, backend: &mut Backend, id: RequestId) -> io::Result<Outcome> {
        let request = Request::Load { id, folder: self.folder.clone(), hidden: self.hidden_before };
        let event = follow(backend, request, |event| self.watch(event)).await?;
        self.output.clear()?;
        match event {
            Event::LoadFinished(_, progress) => {
                (self.ended, self.progress) = (Ended::Finished, progress);
                self.outcome()
            }
            event => {
                self.ended = ended_without(&event);
                unanswered(event, self.output)
            }
        }
    }

    fn watch(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::LoadPlanned(_, plan) => self.announce(plan),
            Event::PictureFailed(_, problem) => {
                let path = self.folder.join(&problem.path);
                let words =
                    format!("{} {}", Printable::new(&path), Printable::new(&problem.reason));
                let object = json_lines::failed(Some(&self.folder), &problem);
                self.failed.push(problem);
                self.output.say(&words, &object)
            }
            Event::LoadProgress(_, progress) => {
                progress.add_to(&mut self.pace);
                self.progress = progress;
                let (folder, progress, pace) = (&self.folder, &self.progress, &self.pace);
                self.output.show(&Loading { folder, progress, pace })
            }
            event => show_progress(event, self.output),
        }
    }

    /// Embedding everything again beside an old model's space must not come
    /// as a surprise.
    fn announce(&mut self, plan: LoadPlan) -> io::Result<()> {
        self.output.tell_programs(&json_lines::planned(&plan))?;
        if plan.new_space {
            for other in &plan.other_models {
                let either = |one, more| one_or_more(other.pictures.pictures, one, more);
                let text = format!(
                    "the collection holds {} {} embedded by {}, which {}; embedding with {} \
                     beside {}",
                    other.pictures,
                    either("picture", "pictures"),
                    other.model_name(),
                    either("stays as it is", "stay as they are"),
                    Printable::new(&plan.model.name),
                    either("it", "them"),
                );
                self.output.note(&text, None)?;
            }
        }
        self.folder = plan.folder;
        Ok(())
    }

    /// Erases what is gone, if it may.
    async fn prune(
        &mut self,
        backend: &mut Backend,
        id: RequestId,
        prune: PruneChoice,
    ) -> io::Result<Outcome> {
        let folder = self.folder.clone();
        let prune = match prune {
            PruneChoice::Few => Prune::Few,
            PruneChoice::All => Prune::All,
            PruneChoice::Ask => {
                let request = Request::CountGone { id, folder: folder.clone() };
                let gone = match follow_quietly(backend, request, self.output).await? {
                    Event::GoneCounted(_, gone) => gone,
                    event => return unanswered(event, self.output),
                };
                if gone == 0 {
                    return Ok(Outcome::Found);
                }
                match self.may_erase(gone).await? {
                    Answer::Yes => Prune::Asked(gone),
                    Answer::No => return Ok(Outcome::Found),
                    Answer::Interrupted => return Ok(Outcome::Interrupted),
                    Answer::Nobody => return Ok(Outcome::Failed),
                }
            }
        };
        let request = Request::Prune { id: RequestId(id.0 + 1), folder, prune };
        match follow_quietly(backend, request, self.output).await? {
            Event::Pruned(_, erased) => {
                self.progress.removed += erased;
                Ok(Outcome::Found)
            }
            event => unanswered(event, self.output),
        }
    }

    async fn may_erase(&mut self, gone: usize) -> io::Result<Answer> {
        let folder = Printable::new(&self.folder).to_string();
        let whose = one_or_more(gone, "whose file is", "whose files are");
        let what = format!("{} of {folder} {whose} gone", counted(gone, "picture"));
        let question = format!("erase {what}?");
        let answer = self.output.ask(&question).await?;
        if answer == Answer::Nobody {
            let hint = "`--prune=few` erases a fifth of a folder at most without asking, \
                        `--prune=all` however many";
            let text = format!("nobody can be asked whether to erase {what}");
            self.output.error(&text, Some(hint))?;
        }
        Ok(answer)
    }

    fn warn_of_missing(&mut self) -> io::Result<()> {
        let missing = self.progress.missing;
        if missing == 0 {
            return Ok(());
        }
        let (text, hint) = if missing == 1 {
            (
                "1 picture has lost its file or content, as if a disk was missing; it is not hidden"
                    .into(),
                "if it is gone for good, `carlens load --prune` erases it",
            )
        } else {
            (
                format!(
                    "{missing} pictures have lost their files or content, as if a disk was missing; \
                     they are not hidden"
                ),
                "if they are gone for good, `carlens load --prune` erases them",
            )
        };
        self.output.warn(&Remark { text, hint: hint.into() })
    }

    fn outcome(&mut self) -> io::Result<Outcome> {
        let LoadProgress { found, hidden, missing, removed, failed_before: before, .. } =
            self.progress;
        self.warn_of_missing()?;
        if before > 0 {
            let text = format!(
                "{}, unchanged since: `carlens status --failed` lists them",
                failed_before(&self.progress)
            );
            self.output.note(&text, None)?;
        }
        if found == 0 && hidden + missing + removed == 0 {
            let text = format!("there are no pictures in {}", Printable::new(&self.folder));
            let hint = "JPEG, PNG, WebP, AVIF, GIF, BMP and TIFF files are embedded, and the previews \
                        in camera RAW and HEIC files, in subfolders too";
            self.output.error(&text, Some(hint))?;
            return Ok(Outcome::Nothing);
        }
        Ok(if self.failed.is_empty() { Outcome::Found } else { Outcome::Failed })
    }

    /// Tells programs that it is over, and people what came of it unless there
    /// is to be `json`, which is returned.
    fn conclude(&mut self, json: bool) -> io::Result<Value> {
        let Self { folder, progress, failed, ended, output, .. } = self;
        output.tell_programs(&json_lines::load_finished(folder, progress, *ended))?;
        if !json && progress.walked {
            let how = match ended {
                Ended::Finished => "",
                Ended::Stopped => "stopped: ",
                Ended::Failed => "failed: ",
            };
            let folder = Printable::new(folder);
            writeln!(output.out, "{folder}: {how}{}", load_summary(progress))?;
        }
        Ok(json::loaded(folder, progress, failed, *ended == Ended::Finished))
    }
}

/// How a load ended whose last event is not that it has finished.
fn ended_without(event: &Event) -> Ended {
    if matches!(event, Event::Failed(..)) { Ended::Failed } else { Ended::Stopped }
}

/// Folders that are loaded again and again.
struct Watch<'a, 'b> {
    /// Of the folder that has changed last.
    load: Load<'a, 'b>,
    /// How many pictures every folder was said to miss.
    told: HashMap<PathBuf, usize>,
    /// Whether a change is being loaded.
    in_hand: bool,
    json: bool,
}

impl<'a, 'b> Watch<'a, 'b> {
    fn new(output: &'a mut Output<'b>, json: bool) -> Self {
        let load = Load::new(PathBuf::new(), output);
        Self { load, told: HashMap::new(), in_hand: false, json }
    }

    fn watch(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::LoadPlanned(_, plan) => {
                self.in_hand = true;
                self.load.begin_anew(plan.folder.clone());
                self.load.announce(plan)
            }
            Event::FolderUpToDate(_, progress) => self.up_to_date(progress),
            event => self.load.watch(event),
        }
    }

    /// Where nothing is in hand, the end comes at once.
    fn interrupted(&mut self) -> io::Result<()> {
        if self.in_hand { self.load.output.warn(&on_its_way()) } else { Ok(()) }
    }

    /// Whoever ends it in the middle of a change is told what is stored of it.
    fn end(mut self, event: Event) -> io::Result<Outcome> {
        self.load.output.clear()?;
        let ended = ended_without(&event);
        let outcome = unanswered(event, self.load.output)?;
        if self.in_hand {
            self.load.ended = ended;
            self.report()?;
        }
        Ok(outcome)
    }

    fn up_to_date(&mut self, progress: LoadProgress) -> io::Result<()> {
        self.in_hand = false;
        let load = &mut self.load;
        load.output.clear()?;
        let missing = progress.missing;
        let before = self.told.insert(load.folder.clone(), missing);
        let changed = progress.changed() > 0 || before != Some(missing);
        load.progress = progress;
        load.ended = Ended::Finished;
        if !changed {
            return Ok(());
        }
        if before != Some(missing) {
            load.warn_of_missing()?;
        }
        self.report()
    }

    /// What became of the change that was in hand.
    fn report(&mut self) -> io::Result<()> {
        let load = &mut self.load;
        let loaded = load.conclude(self.json)?;
        if self.json {
            writeln!(load.output.out, "{}", json::loads(&[loaded]))?;
        }
        load.output.out.flush()
    }
}

/// A load as it is now.
struct Loading<'a> {
    folder: &'a Path,
    progress: &'a LoadProgress,
    pace: &'a Pace,
}

impl Underway for Loading<'_> {
    fn line(&self) -> Line {
        load_line(self.progress, self.pace)
    }

    fn object(&self) -> Value {
        json_lines::load_progress(self.folder, self.progress, self.pace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headless::Style;

    #[tokio::test]
    async fn one_picture_that_is_missing_is_told_of_as_one() {
        let warning = |missing| {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let mut output = Output::new(&mut out, &mut err, Style::Silent);
            let mut load = Load::new("/cars".into(), &mut output);
            load.progress.missing = missing;
            load.warn_of_missing().unwrap();
            String::from_utf8(err).unwrap()
        };
        assert_eq!(
            warning(1),
            "warning: 1 picture has lost its file or content, as if a disk was missing; it is not \
             hidden\n\
             hint: if it is gone for good, `carlens load --prune` erases it\n"
        );
        assert!(
            warning(2).starts_with("warning: 2 pictures have lost their files or content, as if")
        );
    }
}
