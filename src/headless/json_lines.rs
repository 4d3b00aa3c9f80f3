//! The JSON lines of `--progress json`, an object for whatever is otherwise
//! said in words on standard error. README.md documents every field.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::json::{VERSION, model, named_path};
use crate::backend::{
    CheckProgress, CopyProgress, Ended, LoadPlan, LoadProgress, ModelProgress, PullProgress,
    StageTimes, Tower, Wait, WaitReason,
};
use crate::domain::FileProblem;
use crate::pace::Pace;

/// An object that begins as each of them does.
fn event(name: &str) -> Map<String, Value> {
    Map::from_iter([("version".into(), json!(VERSION)), ("event".into(), json!(name))])
}

/// The same with these fields.
fn with(mut object: Map<String, Value>, fields: Value) -> Value {
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    Value::Object(object)
}

/// An error, a warning or a note.
pub(super) fn said(name: &str, text: &str, hint: Option<&str>) -> Value {
    with(event(name), json!({ "text": text, "hint": hint }))
}

pub(super) fn planned(plan: &LoadPlan) -> Value {
    let others: Vec<Value> = plan
        .other_models
        .iter()
        .map(|space| {
            json!({
                "model": space.model.as_ref().map(model),
                "pictures": space.pictures.pictures,
            })
        })
        .collect();
    let mut object = event("planned");
    object.extend(named_path("folder", &plan.folder));
    let fields = json!({
        "model": model(&plan.model), "new_space": plan.new_space, "other_models": others,
    });
    with(object, fields)
}

pub(super) fn load_progress(folder: &Path, progress: &LoadProgress, pace: &Pace) -> Value {
    let mut object = of_load("progress", folder, progress);
    object.extend(rate_and_time(pace.rate(), progress.time_left(pace)));
    object.insert("current".into(), Value::Null);
    if let Some(current) = &progress.current {
        object.extend(named_path("current", current));
    }
    object.insert("paused".into(), json!(progress.paused));
    Value::Object(object)
}

/// How a load ended: `finished`, `stopped` or `failed`.
pub(super) fn load_finished(folder: &Path, progress: &LoadProgress, ended: Ended) -> Value {
    with(of_load("finished", folder, progress), json!({ "ended": ended }))
}

pub(super) fn of_load(name: &str, folder: &Path, progress: &LoadProgress) -> Map<String, Value> {
    let mut object = event(name);
    object.extend(named_path("folder", folder));
    for (field, value) in [
        ("found", json!(progress.found)),
        ("walked", json!(progress.walked)),
        ("embedded", json!(progress.embedded)),
        ("unchanged", json!(progress.unchanged)),
        ("recognised", json!(progress.recognised)),
        ("returned", json!(progress.returned)),
        ("failed_by_format", json!(progress.failed_by_format)),
        ("failed_before", json!(progress.failed_before)),
        ("failed_before_by_format", json!(progress.failed_before_by_format)),
        ("hidden", json!(progress.hidden)),
        ("missing", json!(progress.missing)),
        ("failed", json!(progress.failed)),
        ("removed", json!(progress.removed)),
        ("elapsed_seconds", json!(progress.elapsed.as_secs_f64())),
        ("seconds_by_stage", by_stage(&progress.stages)),
    ] {
        object.insert(field.into(), value);
    }
    object
}

fn by_stage(stages: &StageTimes) -> Value {
    let StageTimes { reading, decoding, resizing, encoding, storing } = stages;
    json!({
        "reading": reading.as_secs_f64(),
        "decoding": decoding.as_secs_f64(),
        "resizing": resizing.as_secs_f64(),
        "encoding": encoding.as_secs_f64(),
        "storing": storing.as_secs_f64(),
    })
}

/// A file that failed, in a folder if it has one.
pub(super) fn failed(folder: Option<&Path>, problem: &FileProblem) -> Value {
    let mut object = event("failed");
    object.extend(folder.map(|folder| named_path("folder", folder)).unwrap_or_default());
    object.extend(named_path("path", &problem.path));
    with(object, json!({ "reason": problem.reason, "format": problem.format }))
}

/// Null where there is nothing to wait for any more.
pub(super) fn waiting(wait: Option<&Wait>) -> Value {
    let reason = wait.map(|wait| match &wait.reason {
        WaitReason::Resuming => "resuming",
        WaitReason::RateLimited => "rate_limited",
        WaitReason::Failed(_) => "failed",
    });
    let text = wait.and_then(|wait| match &wait.reason {
        WaitReason::Failed(text) => Some(text),
        _ => None,
    });
    let left = wait.map(|wait| wait.left.as_secs_f64());
    with(event("waiting"), json!({ "reason": reason, "text": text, "seconds_left": left }))
}

pub(super) fn copy_progress(progress: &CopyProgress, pace: &Pace) -> Value {
    let rest = progress.total.pictures.saturating_sub(progress.done() as u64);
    let mut object = event("progress");
    object.extend(rate_and_time(pace.rate(), pace.left(rest)));
    let fields = json!({
        "total": progress.total.pictures,
        "total_exactly": progress.total.is_exact(),
        "copied": progress.copied,
        "unchanged": progress.unchanged,
        "failed": progress.failed,
        "elapsed_seconds": progress.elapsed.as_secs_f64(),
    });
    with(object, fields)
}

pub(super) fn check_progress(progress: &CheckProgress, pace: &Pace) -> Value {
    let mut object = event("progress");
    object.extend(rate_and_time(
        pace.rate(),
        pace.left(progress.total.saturating_sub(progress.looked)),
    ));
    let fields = json!({
        "total": progress.total,
        "looked_at": progress.looked,
        "elapsed_seconds": progress.elapsed.as_secs_f64(),
    });
    with(object, fields)
}

pub(super) fn pull_progress(progress: &PullProgress, pace: &Pace) -> Value {
    let mut object = bytes("progress", progress.done, progress.total, pace);
    object.extend(named_path("current", Path::new(&progress.file)));
    object.insert("elapsed_seconds".into(), json!(progress.elapsed.as_secs_f64()));
    Value::Object(object)
}

pub(super) fn model_progress(progress: &ModelProgress, pace: &Pace) -> Value {
    let tower = match progress.tower {
        Tower::Text => "text",
        Tower::Picture => "picture",
    };
    let object = bytes("reading", progress.read, progress.total, pace);
    with(object, json!({ "model": progress.model, "tower": tower }))
}

fn bytes(name: &str, done: u64, total: u64, pace: &Pace) -> Map<String, Value> {
    let mut object = event(name);
    object.insert("bytes".into(), json!(done));
    object.insert("total_bytes".into(), json!(total));
    object.extend(rate_and_time(pace.rate(), pace.left(total.saturating_sub(done))));
    object
}

pub(super) fn rate_and_time(rate: Option<f64>, left: Option<Duration>) -> [(String, Value); 2] {
    let left = left.map(|left| left.as_secs_f64());
    [("rate".into(), json!(rate)), ("seconds_left".into(), json!(left))]
}
