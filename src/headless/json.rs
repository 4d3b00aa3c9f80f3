//! The JSON that programs read. README.md documents every field; a field is
//! added when needed, never renamed or dropped without a new `version`.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::json_lines;
use crate::backend::{
    Answer, BackedUp, Checked, Copied, Fault, Findings, Found, LoadElsewhere, LoadProgress, Query,
    Relocated, Restored, Status,
};
use crate::domain::{FileProblem, Formats, Hit, ModelId, Place, SpaceSummary};

/// Version of everything here and in the JSON lines.
pub(super) const VERSION: u32 = 1;

/// `carlens search --json`.
pub(super) fn answer(query: &Query, answer: &Answer) -> Value {
    let query = match query {
        Query::Text(text) => json!({ "text": text }),
        Query::Picture(path) => Value::Object(named_path("image", path)),
        Query::Address(address) => json!({ "image": address }),
    };
    let hits: Vec<Value> = answer.hits.iter().zip(1..).map(hit).collect();
    json!({
        "version": VERSION,
        "query": query,
        "searched": answer.searched.pictures,
        "searched_exactly": answer.searched.is_exact(),
        "hits": hits,
    })
}

fn hit((hit, rank): (&Hit, u64)) -> Value {
    let mut object = named_path("path", &hit.id.location());
    object.extend(named_path("id", hit.id.path()));
    object.extend(named_path("folder", hit.id.folder()));
    object.insert("rank".into(), json!(rank));
    object.insert("similarity".into(), json!(six_places(hit.similarity.cosine())));
    object.insert("standing".into(), json!(hit.standing.map(six_places)));
    object.insert("width".into(), json!(hit.pixels.map(|pixels| pixels.width)));
    object.insert("height".into(), json!(hit.pixels.map(|pixels| pixels.height)));
    Value::Object(object)
}

/// More places than the collection's f16 embeddings carry.
fn six_places(x: f32) -> f64 {
    (f64::from(x) * 1e6).round() / 1e6
}

/// One folder of `carlens load --json`.
pub(super) fn loaded(
    folder: &Path,
    progress: &LoadProgress,
    failed: &[FileProblem],
    finished: bool,
) -> Value {
    let mut object = named_path("folder", folder);
    object.insert("found".into(), json!(progress.found));
    object.insert("embedded".into(), json!(progress.embedded));
    object.insert("unchanged".into(), json!(progress.unchanged));
    object.insert("recognised".into(), json!(progress.recognised));
    object.insert("returned".into(), json!(progress.returned));
    object.insert("failed".into(), problems(failed));
    object.insert("failed_by_format".into(), json!(progress.failed_by_format));
    object.insert("failed_before".into(), json!(progress.failed_before));
    object.insert("failed_before_by_format".into(), json!(progress.failed_before_by_format));
    object.insert("hidden".into(), json!(progress.hidden));
    object.insert("missing".into(), json!(progress.missing));
    object.insert("removed".into(), json!(progress.removed));
    object.insert("finished".into(), json!(finished));
    object.insert("seconds".into(), json!(progress.elapsed.as_secs_f64()));
    Value::Object(object)
}

/// `carlens status --failed --json`.
pub(super) fn failed(failed: &[FileProblem]) -> Value {
    json!({
        "version": VERSION,
        "failed": problems(failed),
        "failed_by_format": by_format(failed),
    })
}

fn by_format(failed: &[FileProblem]) -> Value {
    let formats: Formats = failed.iter().map(|problem| problem.format.as_deref()).collect();
    json!(formats)
}

fn problems(failed: &[FileProblem]) -> Value {
    let problem = |problem: &FileProblem| {
        let mut object = named_path("path", &problem.path);
        object.insert("reason".into(), json!(problem.reason));
        object.insert("format".into(), json!(problem.format));
        Value::Object(object)
    };
    failed.iter().map(problem).collect()
}

/// `carlens load --json`.
pub(super) fn loads(folders: &[Value]) -> Value {
    json!({ "version": VERSION, "folders": folders })
}

/// `carlens backup --json`.
pub(super) fn backed_up(file: &Path, done: BackedUp) -> Value {
    let mut object = named_path("file", file);
    object.insert("version".into(), json!(VERSION));
    object.insert("pictures".into(), json!(done.pictures));
    object.insert("bytes".into(), json!(done.bytes));
    Value::Object(object)
}

/// `carlens restore --json`.
pub(super) fn restored(restored: &Restored) -> Value {
    let mut object = Map::from_iter([("kept".into(), Value::Null)]);
    object.extend(restored.kept.iter().flat_map(|kept| named_path("kept", kept)));
    object.insert("version".into(), json!(VERSION));
    object.insert("pictures".into(), json!(restored.pictures));
    Value::Object(object)
}

/// `carlens move --json`.
pub(super) fn relocated(Relocated { moved, merged, left }: Relocated) -> Value {
    json!({ "version": VERSION, "moved": moved, "merged": merged, "left": left })
}

/// `carlens check --json`.
pub(super) fn checked(checked: &Checked) -> Value {
    let left = checked.left.as_ref().unwrap_or(&checked.findings);
    let mended = checked.mended.as_ref().map(|mended| {
        let mut object = Map::new();
        object.insert("faults".into(), mended.faults.values().sum::<u64>().into());
        object.insert("lost".into(), json!(mended.lost));
        object.insert("salvaged".into(), json!(mended.salvaged));
        object.extend(mended.kept.iter().flat_map(|kept| named_path("kept", kept)));
        Value::Object(object)
    });
    json!({
        "version": VERSION,
        "clean": left.is_clean(),
        "pictures": left.pictures,
        "hidden": left.hidden,
        "missing": left.missing,
        "back": left.back,
        "faults": faults(&checked.findings),
        "mended": mended,
        "left": checked.left.as_ref().map(faults),
    })
}

fn faults(findings: &Findings) -> Value {
    let fault = |(&fault, found): (&Fault, &Found)| json!({ "fault": fault_name(fault), "count": found.count, "examples": found.examples });
    findings.faults.iter().map(fault).collect()
}

fn fault_name(fault: Fault) -> &'static str {
    match fault {
        Fault::File => "file",
        Fault::Row => "row",
        Fault::NoFolder => "no_folder",
        Fault::NoEmbedding => "no_embedding",
        Fault::ShownAndHidden => "shown_and_hidden",
        Fault::Orphan => "orphan",
        Fault::Vector => "vector",
        Fault::Length => "length",
        Fault::Duplicate => "duplicate",
        Fault::Numbering => "numbering",
        Fault::Matrix => "matrix",
    }
}

/// `carlens status --follow --json`: a line for whatever changes.
pub(super) fn elsewhere(load: &LoadElsewhere) -> Value {
    let folder = Path::new(&load.folder);
    let mut object = json_lines::of_load("load", folder, &load.progress);
    object.extend(json_lines::rate_and_time(load.rate, load.left));
    object.insert("process".into(), json!(load.process));
    object.insert("current".into(), json!(load.current));
    object.insert("last_failed".into(), json!(load.failed));
    object.insert("ended".into(), json!(load.ended));
    Value::Object(object)
}

/// `carlens copy --json`.
pub(super) fn copied(from: &Place, to: &Place, copied: &Copied) -> Value {
    let Copied { progress, failed, verification } = copied;
    json!({
        "version": VERSION,
        "from": from.to_string(),
        "to": to.to_string(),
        "copied": progress.copied,
        "unchanged": progress.unchanged,
        "failed": problems(failed),
        "seconds": progress.elapsed.as_secs_f64(),
        "verified": verification.is_good(),
        "in_source": verification.in_source,
        "in_target": verification.in_target,
        "missing": verification.missing.len(),
        "compared": verification.compared,
        "alike": verification.alike,
        "neighbours": verification.neighbours,
        "same_neighbours": verification.same_neighbours,
    })
}

/// `carlens status --json`.
pub(super) fn status(status: &Status, failed: &[FileProblem]) -> Value {
    let mut object = match &status.collection {
        Place::File(path) => named_path("collection", path),
        place @ Place::Database(_) => {
            Map::from_iter([("collection".into(), json!(place.to_string()))])
        }
    };
    object.insert("store".into(), json!(status.collection.store()));
    object.insert("version".into(), json!(VERSION));
    object.insert("model".into(), model(&status.model));
    object.insert("dimension".into(), json!(status.dimension));
    object.insert("metric".into(), json!("cosine"));
    object.insert("spaces".into(), status.spaces.iter().map(space).collect());
    object.insert("failed".into(), json!(failed.len()));
    object.insert("failed_by_format".into(), by_format(failed));
    Value::Object(object)
}

fn space(space: &SpaceSummary) -> Value {
    let folders: Vec<Value> = space
        .folders
        .iter()
        .map(|folder| {
            let mut object = named_path("folder", &folder.path);
            object.insert("pictures".into(), json!(folder.pictures));
            object.insert("here".into(), json!(folder.here));
            Value::Object(object)
        })
        .collect();
    json!({
        "model": space.model.as_ref().map(model),
        "dimension": space.dimension,
        "pictures": space.pictures.pictures,
        "pictures_exactly": space.pictures.is_exact(),
        "hidden": space.hidden,
        "folders": folders,
    })
}

pub(super) fn model(model: &ModelId) -> Value {
    json!({ "name": model.name, "fingerprint": model.fingerprint.to_string() })
}

/// `carlens model list --json`.
pub(super) fn models(models: &[Value]) -> Value {
    json!({ "version": VERSION, "models": models })
}

/// A path under `name`; one that is not UTF-8 is exact only in
/// `name_base64`.
pub(super) fn named_path(name: &str, path: &Path) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert(name.into(), json!(path.to_string_lossy()));
    if path.to_str().is_none() {
        let bytes = path.as_os_str().as_encoded_bytes();
        object.insert(format!("{name}_base64"), json!(STANDARD.encode(bytes)));
    }
    object
}
