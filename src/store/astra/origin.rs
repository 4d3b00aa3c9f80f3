//! Which model made a collection, recorded in a document of its own. It has
//! no vector and no `text`, so that whoever searches or lists pictures never
//! meets it, the article's app among them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::{CollectionSpec, Fingerprint, ModelId};

/// The `_id` of the document.
pub(super) const KEY: &str = "carlens";

/// Where the folders are listed in it.
pub(super) const FOLDERS: &str = "carlens.folders";

/// Grows when the meaning of documents changes.
const FORMAT: u32 = 1;

/// What the document says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) model: ModelId,
    /// As documents name them.
    pub(super) folders: Vec<PathBuf>,
    /// Whether there were pictures of another program before.
    pub(super) adopted: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Written {
    format: u32,
    model: WrittenModel,
    dimension: usize,
    #[serde(default)]
    folders: Vec<String>,
    #[serde(default)]
    adopted: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct WrittenModel {
    name: String,
    fingerprint: String,
}

/// What to do about a document of that id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Origin(Origin),
    /// A newer carlens has written it.
    Newer(u32),
    /// It is something else.
    Foreign,
}

impl Origin {
    pub(super) fn document(spec: &CollectionSpec, adopted: bool) -> Value {
        let written = Written {
            format: FORMAT,
            model: WrittenModel {
                name: spec.model.name.clone(),
                fingerprint: spec.model.fingerprint.to_string(),
            },
            dimension: spec.dimension,
            folders: Vec::new(),
            adopted,
        };
        json!({ "_id": KEY, "carlens": written })
    }

    pub(super) fn read(document: &Value) -> Reading {
        let Some(written) = document.get("carlens") else { return Reading::Foreign };
        let format = written.get("format").and_then(Value::as_u64).unwrap_or(0);
        if format > u64::from(FORMAT) {
            return Reading::Newer(u32::try_from(format).unwrap_or(u32::MAX));
        }
        let Ok(written) = serde_json::from_value::<Written>(written.clone()) else {
            return Reading::Foreign;
        };
        let Some(fingerprint) = Fingerprint::parse(&written.model.fingerprint) else {
            return Reading::Foreign;
        };
        Reading::Origin(Self {
            model: ModelId { name: written.model.name, fingerprint },
            folders: written.folders.iter().map(|folder| Path::new(folder).to_owned()).collect(),
            adopted: written.adopted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> CollectionSpec {
        let model = ModelId { name: "compact".into(), fingerprint: Fingerprint([0xab; 32]) };
        CollectionSpec { model, dimension: 512 }
    }

    #[test]
    fn a_model_is_recorded_where_nobody_else_looks() {
        let mut document = Origin::document(&spec(), true);
        assert!(document.get("$vector").is_none() && document.get("text").is_none());
        document["carlens"]["folders"] = json!([".", "/cars"]);
        let folders = vec![".".into(), "/cars".into()];
        let expected = Origin { model: spec().model, folders, adopted: true };
        assert_eq!(Origin::read(&document), Reading::Origin(expected));
    }

    #[test]
    fn what_others_or_newer_ones_wrote_is_not_believed() {
        let mut newer = Origin::document(&spec(), false);
        newer["carlens"]["format"] = json!(2);
        assert_eq!(Origin::read(&newer), Reading::Newer(2));
        let mut wrong = Origin::document(&spec(), false);
        wrong["carlens"]["model"]["fingerprint"] = json!("ab");
        for foreign in [json!({ "_id": KEY }), json!({ "_id": KEY, "carlens": {} }), wrong] {
            assert_eq!(Origin::read(&foreign), Reading::Foreign, "{foreign}");
        }
    }
}
