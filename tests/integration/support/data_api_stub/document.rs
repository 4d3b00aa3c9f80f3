//! What the server checks of a document before it stores it.

use serde_json::Value;

use super::failure::Failure;
use super::settings::Settings;
use super::vector;

/// Bytes of an indexed string.
const LONGEST_STRING: usize = 8000;

/// Elements of an indexed array.
const LONGEST_ARRAY: usize = 1000;

/// Characters of a document.
const LARGEST: usize = 4_000_000;

/// Objects and arrays within each other.
const DEEPEST: usize = 16;

/// Checks a document that has an identifier, and reads its vector.
pub fn check(document: &Value, settings: &Settings) -> Result<Option<Vec<f32>>, Failure> {
    let Some(fields) = document.as_object() else {
        let message = "Bad document type to shred: document must be a JSON Object.";
        return Err(Failure::request("DOCUMENT", "SHRED_BAD_DOCUMENT_TYPE", message));
    };
    check_id(&document["_id"])?;
    if document.to_string().chars().count() > LARGEST {
        return Err(too_large(&format!("document exceeds the maximum allowed ({LARGEST})")));
    }
    for (name, value) in fields {
        match name.as_str() {
            "$vector" => {}
            "_id" => check_string("_id", value)?,
            name => check_field(name, name, value, settings, 1)?,
        }
    }
    match (document.get("$vector"), settings.vectors) {
        (None, _) => Ok(None),
        (Some(vector), Some((dimension, metric))) => vector::parse_for(vector, dimension, metric),
        (Some(vector), None) if vector::parse(vector)?.is_none() => Ok(None),
        (Some(_), None) => {
            let message = "Vector search is not enabled for the collection";
            Err(Failure::request("DOCUMENT", "VECTOR_SEARCH_NOT_SUPPORTED", message))
        }
    }
}

fn check_id(id: &Value) -> Result<(), Failure> {
    let bad = |code, problem: &str| {
        Err(Failure::request("DOCUMENT", code, format!("Bad '_id' field: {problem}.")))
    };
    match id {
        Value::String(id) if id.is_empty() => {
            bad("SHRED_BAD_DOCID_VALUE", "empty String not allowed")
        }
        Value::Array(_) => bad("SHRED_BAD_DOCID_TYPE", "Document Id must be a JSON scalar"),
        Value::Object(fields) if !is_extended(fields.keys()) => {
            bad("SHRED_BAD_DOCID_TYPE", "unrecognized JSON extension type")
        }
        _ => Ok(()),
    }
}

fn check_field(
    name: &str,
    path: &str,
    value: &Value,
    settings: &Settings,
    depth: usize,
) -> Result<(), Failure> {
    if name.is_empty() || name.starts_with('$') {
        let message = format!(
            "Document field name not valid: field name '{name}' is empty or starts with '$' but \
             is not one of supported field names."
        );
        return Err(Failure::request("DOCUMENT", "SHRED_BAD_FIELD_NAME", message));
    }
    check_value(path, value, settings, depth)
}

fn check_value(
    path: &str,
    value: &Value,
    settings: &Settings,
    depth: usize,
) -> Result<(), Failure> {
    if depth > DEEPEST {
        return Err(too_large(&format!("document depth exceeds maximum allowed ({DEEPEST})")));
    }
    let indexed = settings.indexes(path);
    match value {
        Value::Array(elements) => {
            if indexed && elements.len() > LONGEST_ARRAY {
                return Err(too_large(&format!(
                    "number of elements an indexable Array (field '{path}') has ({}) exceeds \
                     maximum allowed ({LONGEST_ARRAY})",
                    elements.len()
                )));
            }
            elements.iter().try_for_each(|value| check_value(path, value, settings, depth + 1))
        }
        Value::Object(fields) if is_extended(fields.keys()) => Ok(()),
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            check_field(name, &format!("{path}.{name}"), value, settings, depth + 1)
        }),
        _ if indexed => check_string(path, value),
        _ => Ok(()),
    }
}

fn check_string(path: &str, value: &Value) -> Result<(), Failure> {
    let length = value.as_str().map_or(0, str::len);
    if length <= LONGEST_STRING {
        return Ok(());
    }
    Err(too_large(&format!(
        "indexed String value (field '{path}') length ({length} bytes) exceeds maximum allowed \
         ({LONGEST_STRING} bytes)"
    )))
}

/// Whether an object with these fields is a scalar.
fn is_extended<'a>(mut names: impl ExactSizeIterator<Item = &'a String>) -> bool {
    names.len() == 1
        && names.all(|name| ["$date", "$uuid", "$objectId", "$binary"].contains(&name.as_str()))
}

fn too_large(problem: &str) -> Failure {
    let message = format!("Document size limitation violated: {problem}.");
    Failure::request("DOCUMENT", "SHRED_DOC_LIMIT_VIOLATION", message)
}
