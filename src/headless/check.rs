//! `carlens check`.

use std::io;

use serde_json::Value;

use super::output::Underway;
use super::{Outcome, Output, follow, json, json_lines, show_progress, unanswered};
use crate::backend::{
    Backend, CheckProgress, Checked, Event, Fault, Findings, Mended, Request, RequestId,
};
use crate::domain::Printable;
use crate::pace::Pace;
use crate::progress::{Line, check_line, counted, one_or_more};

/// Says what is wrong with the collection, and mends it if it is to `repair`
/// it.
///
/// # Errors
/// If the output cannot be written to.
pub async fn check(
    backend: &mut Backend,
    repair: bool,
    json: bool,
    output: &mut Output<'_>,
) -> io::Result<Outcome> {
    let mut pace = Pace::default();
    let request = Request::Check { id: RequestId(1), repair };
    let event = follow(backend, request, |event| match event {
        Event::CheckProgress(_, progress) => {
            pace.observe(progress.elapsed, progress.looked, 0);
            output.show(&Checking { progress, pace: &pace })
        }
        event => show_progress(event, output),
    })
    .await?;
    output.clear()?;
    let Event::Checked(_, checked) = event else { return unanswered(event, output) };
    if json {
        writeln!(output.out, "{}", json::checked(&checked))?;
    } else {
        summarise(&checked, output)?;
    }
    advise(&checked, output)?;
    Ok(if left(&checked).is_clean() { Outcome::Found } else { Outcome::Failed })
}

/// How it is now.
fn left(checked: &Checked) -> &Findings {
    checked.left.as_ref().unwrap_or(&checked.findings)
}

fn summarise(checked: &Checked, output: &mut Output<'_>) -> io::Result<()> {
    for (&fault, found) in &checked.findings.faults {
        writeln!(output.out, "{}", described(fault, found.count))?;
        for example in &found.examples {
            writeln!(output.out, "    {}", Printable::new(example))?;
        }
        let more = found.count - found.examples.len() as u64;
        if more > 0 {
            writeln!(output.out, "    and {more} more")?;
        }
    }
    if let Some(mended) = &checked.mended {
        summarise_repair(mended, output)?;
    }
    let findings = left(checked);
    let verdict = match (findings.is_clean(), &checked.mended) {
        (false, _) => "something is wrong",
        (true, None) => "nothing is wrong",
        (true, Some(_)) => "nothing is wrong any more",
    };
    writeln!(output.out, "{}, {} hidden: {verdict}", pictures(findings.pictures), findings.hidden)
}

fn summarise_repair(mended: &Mended, output: &mut Output<'_>) -> io::Result<()> {
    if let Some(salvaged) = mended.salvaged {
        writeln!(output.out, "{} read out of the damaged file", pictures(salvaged))?;
    }
    let rows = mended.faults.iter().filter(|(fault, _)| **fault != Fault::File);
    let rows: u64 = rows.map(|(_, count)| count).sum();
    if rows > 0 {
        writeln!(output.out, "{} mended", counted(rows, "fault"))?;
    }
    if let Some(kept) = &mended.kept {
        writeln!(output.out, "the damaged file is kept as {}", Printable::new(kept))?;
    }
    Ok(())
}

fn advise(checked: &Checked, output: &mut Output<'_>) -> io::Result<()> {
    let findings = left(checked);
    if findings.missing > 0 {
        let missing = findings.missing;
        let whose = one_or_more(missing, "whose file is", "whose files are");
        let hint = format!(
            "`carlens load` hides {}; `carlens move OLD NEW` follows a folder",
            them(missing)
        );
        output.note(&format!("{} {whose} not there", pictures(missing)), Some(&hint))?;
    }
    if findings.back > 0 {
        let back = findings.back;
        let files = one_or_more(back, "file is", "files are");
        let text = format!("{} hidden though the {files} there", pictures(back));
        output.note(&text, Some(&format!("`carlens load` shows {} again", them(back))))?;
    }
    match &checked.mended {
        Some(mended) if mended.lost > 0 => {
            let most = if mended.salvaged.is_some() { "up to " } else { "" };
            let text = format!("{most}{} lost", pictures(mended.lost));
            let hint = format!("`carlens load FOLDER` embeds {} again", them(mended.lost));
            output.note(&text, Some(&hint))?;
        }
        Some(mended) if mended.salvaged == Some(0) => {
            let text = "how many pictures are lost cannot be told";
            output.note(text, Some("`carlens load FOLDER` embeds them again"))?;
        }
        None if !findings.is_clean() => output.hint("`carlens check --repair` mends it")?,
        _ => {}
    }
    Ok(())
}

fn described(fault: Fault, count: u64) -> String {
    let counted = |what| counted(count, what);
    let either = |one, more| one_or_more(count, one, more);
    match fault {
        Fault::File => format!("the file is damaged: {}", counted("finding")),
        Fault::Row => format!("{} with values that make no sense", counted("picture")),
        Fault::NoFolder => format!("{} of no folder", counted("picture")),
        Fault::NoEmbedding => {
            format!("{} without {}", counted("picture"), either("an embedding", "embeddings"))
        }
        Fault::ShownAndHidden => format!("{} both shown and hidden", counted("picture")),
        Fault::Orphan => {
            format!("{} without {}", counted("embedding"), either("a picture", "pictures"))
        }
        Fault::Vector => {
            let broken = either("a broken embedding", "broken embeddings");
            format!("{} with {broken}", counted("picture"))
        }
        Fault::Length => {
            let whose = either("whose embedding is", "whose embeddings are");
            format!("{} {whose} not of unit length", counted("picture"))
        }
        Fault::Duplicate => format!("{} stored twice", counted("file")),
        Fault::Numbering => format!("{} with wrong numbers of changes", counted("space")),
        Fault::Matrix => {
            let differ = either("differs", "differ");
            format!("{} that {differ} from the collection", counted("matrix file"))
        }
    }
}

fn pictures(count: u64) -> String {
    counted(count, "picture")
}

/// So many pictures, once they have been named.
fn them(count: u64) -> &'static str {
    one_or_more(count, "it", "them")
}

/// A check as it is now.
struct Checking<'a> {
    progress: CheckProgress,
    pace: &'a Pace,
}

impl Underway for Checking<'_> {
    fn line(&self) -> Line {
        check_line(&self.progress, self.pace)
    }

    fn object(&self) -> Value {
        json_lines::check_progress(&self.progress, self.pace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headless::Style;

    #[test]
    fn one_fault_is_told_of_as_one() {
        let both = |fault| [described(fault, 1), described(fault, 2)];
        assert_eq!(
            both(Fault::Matrix),
            [
                "1 matrix file that differs from the collection",
                "2 matrix files that differ from the collection"
            ]
        );
        assert_eq!(
            both(Fault::Length),
            [
                "1 picture whose embedding is not of unit length",
                "2 pictures whose embeddings are not of unit length"
            ]
        );
        assert_eq!(
            both(Fault::Orphan),
            ["1 embedding without a picture", "2 embeddings without pictures"]
        );
    }

    fn advice(count: u64) -> String {
        let findings = Findings { missing: count, back: count, ..Findings::default() };
        let mended = Mended { lost: count, ..Mended::default() };
        let checked = Checked { findings, mended: Some(mended), left: None };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        advise(&checked, &mut Output::new(&mut out, &mut err, Style::Silent)).unwrap();
        String::from_utf8(err).unwrap()
    }

    #[tokio::test]
    async fn one_picture_is_told_of_as_one() {
        assert_eq!(
            advice(1),
            "1 picture whose file is not there\n\
             hint: `carlens load` hides it; `carlens move OLD NEW` follows a folder\n\
             1 picture hidden though the file is there\n\
             hint: `carlens load` shows it again\n\
             1 picture lost\n\
             hint: `carlens load FOLDER` embeds it again\n"
        );
        assert_eq!(
            advice(2),
            "2 pictures whose files are not there\n\
             hint: `carlens load` hides them; `carlens move OLD NEW` follows a folder\n\
             2 pictures hidden though the files are there\n\
             hint: `carlens load` shows them again\n\
             2 pictures lost\n\
             hint: `carlens load FOLDER` embeds them again\n"
        );
    }
}
