//! Which fields of a document are answered.

use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::filter::lookup;
use super::update::{remove, set};

/// Fields that are answered only if asked for.
const HIDDEN: [&str; 3] = ["$vector", "$vectorize", "$lexical"];

#[derive(Debug, Default)]
pub struct Projection {
    fields: Fields,
    id: Option<bool>,
    /// By name, of the hidden ones.
    shown: Vec<String>,
}

#[derive(Debug)]
enum Fields {
    Everything,
    Nothing,
    Only(Vec<String>),
    AllBut(Vec<String>),
}

impl Default for Fields {
    fn default() -> Self {
        Self::AllBut(Vec::new())
    }
}

impl Projection {
    pub fn parse(projection: Option<&Value>) -> Result<Self, Failure> {
        let Some(projection) = projection.filter(|value| !value.is_null()) else {
            return Ok(Self::default());
        };
        let Some(fields) = projection.as_object() else {
            let message = "Unsupported projection definition JSON value: must be Object.";
            return Err(Failure::request(
                "PROJECTION",
                "UNSUPPORTED_PROJECTION_DEFINITION",
                message,
            ));
        };
        let mut parsed = Self::default();
        let (mut included, mut excluded) = (Vec::new(), Vec::new());
        for (path, value) in fields {
            let Some(wanted) = is_wanted(value) else {
                return Err(bad(&format!("path ('{path}') value must be a Boolean or a Number")));
            };
            match path.as_str() {
                "*" if fields.len() > 1 => {
                    return Err(bad("wildcard ('*') can only be used as the only key"));
                }
                "*" => {
                    parsed.fields = if wanted { Fields::Everything } else { Fields::Nothing };
                    return Ok(parsed);
                }
                "_id" => parsed.id = Some(wanted),
                "" => return Err(bad("empty paths (and path segments) not allowed")),
                path if HIDDEN.contains(&path) => {
                    if wanted {
                        parsed.shown.push(path.to_owned());
                    }
                }
                path if path.starts_with('$') && path != "$similarity" => {
                    return Err(bad(&format!("path ('{path}') cannot start with '$'")));
                }
                _ if wanted => included.push(path.clone()),
                _ => excluded.push(path.clone()),
            }
        }
        parsed.fields = match (included.is_empty(), excluded.is_empty()) {
            (false, false) => return Err(bad("cannot mix inclusions and exclusions")),
            (false, true) => Fields::Only(included),
            _ => Fields::AllBut(excluded),
        };
        Ok(parsed)
    }

    pub fn apply(&self, document: &Value) -> Value {
        let paths = match &self.fields {
            Fields::Everything => return document.clone(),
            Fields::Nothing => return json!({}),
            Fields::Only(paths) => {
                let mut result = Value::Object(Map::new());
                let shown = self.shown.iter().chain(paths).map(String::as_str);
                for path in shown.chain(self.id.unwrap_or(true).then_some("_id")) {
                    if let Some(value) = lookup(document, path) {
                        set(&mut result, path, value.clone());
                    }
                }
                return result;
            }
            Fields::AllBut(paths) => paths,
        };
        let mut result = document.clone();
        let hidden = HIDDEN.into_iter().filter(|field| !self.shown.iter().any(|it| it == field));
        let id = (self.id == Some(false)).then_some("_id");
        for path in paths.iter().map(String::as_str).chain(hidden).chain(id) {
            remove(&mut result, path);
        }
        result
    }
}

fn is_wanted(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(wanted) => Some(*wanted),
        Value::Number(number) => Some(number.as_f64() != Some(0.0)),
        _ => None,
    }
}

fn bad(problem: &str) -> Failure {
    let message = format!(
        "Unsupported projection parameter: {problem}.\n\n\
         Resend the command with valid projection definition."
    );
    Failure::request("PROJECTION", "UNSUPPORTED_PROJECTION_PARAM", message)
}
