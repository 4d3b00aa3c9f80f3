//! What a collection was created with.

use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::vector::Metric;

/// The longest vectors that the database indexes.
const MOST_DIMENSIONS: u64 = 4096;

#[derive(Clone, Debug)]
pub struct Settings {
    /// The options as the server describes them.
    options: Value,
    /// Absent if the collection has no vectors.
    pub vectors: Option<(usize, Metric)>,
    indexing: Option<(Listing, Vec<String>)>,
}

/// What a list of paths says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listing {
    Allow,
    Deny,
}

impl Settings {
    /// Reads the options of `createCollection`; what they leave out is as in
    /// `existing`, or as the server has it by default.
    pub fn parse(options: &Value, existing: Option<&Self>, old: bool) -> Result<Self, Failure> {
        let options = options.as_object().cloned().unwrap_or_default();
        // Servers that are so old know neither of the last two.
        let known = ["vector", "indexing", "defaultId", "lexical", "rerank"];
        let known = if old { &known[..3] } else { &known };
        if let Some(unknown) = options.keys().find(|key| !known.contains(&key.as_str())) {
            let message = format!(
                "'createCollection' command referenced unrecognized field(s): {unknown}\n\n\
                 Resend 'createCollection' with only valid fields."
            );
            return Err(Failure::request("", "INVALID_CREATE_COLLECTION_FIELD", message));
        }
        let mut described = Map::new();
        let vectors = match options.get("vector") {
            Some(vector) => Some(read_vectors(vector, &mut described)?),
            None => None,
        };
        let indexing = match options.get("indexing") {
            Some(indexing) => Some(read_indexing(indexing)?),
            None => None,
        };
        let kept = existing.map(|existing| &existing.options);
        for name in ["indexing", "defaultId", "lexical", "rerank"] {
            let default = match name {
                "lexical" => Some(json!({ "enabled": true, "analyzer": "standard" })),
                "rerank" => Some(json!({ "enabled": false })),
                _ => None,
            };
            let kept = if default.is_some() { kept.and_then(|kept| kept.get(name)) } else { None };
            let chosen = options.get(name).or(kept).cloned().or(default);
            described.extend(chosen.map(|chosen| (name.to_owned(), chosen)));
        }
        Ok(Self { options: described.into(), vectors, indexing })
    }

    /// As in an explained list of collections.
    pub fn describe(&self, old: bool) -> Value {
        let mut options = self.options.clone();
        if old && let Some(options) = options.as_object_mut() {
            options.remove("lexical");
            options.remove("rerank");
            if let Some(vector) = options.get_mut("vector").and_then(Value::as_object_mut) {
                vector.remove("sourceModel");
            }
        }
        options
    }

    /// Whether creating with `other` would be the same.
    pub fn equals(&self, other: &Self) -> bool {
        let same = |name| self.options.get(name) == other.options.get(name);
        let enabled = |settings: &Self, name| settings.options[name]["enabled"].clone();
        let same_feature = |name| enabled(self, name) == enabled(other, name);
        let sorted = |settings: &Self| {
            settings.indexing.clone().map(|(listing, mut paths)| {
                paths.sort_unstable();
                (listing, paths)
            })
        };
        same("vector")
            && same("defaultId")
            && same_feature("lexical")
            && same_feature("rerank")
            && sorted(self) == sorted(other)
    }

    /// Whether one can filter on a path, and what is there has to be short.
    pub fn indexes(&self, path: &str) -> bool {
        let Some((listing, paths)) = &self.indexing else { return true };
        let covers = |listed: &String| {
            let below = path.strip_prefix(listed.as_str());
            listed == "*" || below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        paths.iter().any(covers) == (*listing == Listing::Allow)
    }

    pub fn indexes_nothing(&self) -> bool {
        self.indexing == Some((Listing::Deny, vec!["*".to_owned()]))
    }
}

fn read_vectors(
    vector: &Value,
    described: &mut Map<String, Value>,
) -> Result<(usize, Metric), Failure> {
    let either = |one: &str, other: &str| vector.get(one).or(vector.get(other)).cloned();
    let metric = either("metric", "function").unwrap_or(json!("cosine"));
    let Some(read) = metric.as_str().and_then(Metric::named) else {
        return Err(bad_options(&format!("unknown vector metric {metric}")));
    };
    let dimension = either("dimension", "size").and_then(|value| value.as_u64());
    let Some(dimension) = dimension.filter(|&dimension| dimension > 0) else {
        return Err(bad_options("'dimension' of the vector must be a positive integer"));
    };
    if dimension > MOST_DIMENSIONS {
        let message = format!(
            "Vector embedding property '$vector' length too big: {dimension} (max \
             {MOST_DIMENSIONS})"
        );
        return Err(Failure::request("SCHEMA", "VECTOR_SEARCH_TOO_BIG_VALUE", message));
    }
    let model = vector.get("sourceModel").cloned().unwrap_or(json!("other"));
    let vector = json!({ "dimension": dimension, "metric": metric, "sourceModel": model });
    described.insert("vector".to_owned(), vector);
    Ok((usize::try_from(dimension).unwrap_or_default(), read))
}

fn read_indexing(indexing: &Value) -> Result<(Listing, Vec<String>), Failure> {
    let bad = |problem: &str| {
        let message = format!(
            "'createCollection' indexing definition invalid: {problem}.\n\n\
             Resend 'createCollection' with valid indexing definition."
        );
        Failure::request("SCHEMA", "INVALID_INDEXING_DEFINITION", message)
    };
    let paths = |name: &str| {
        let list = indexing.get(name)?.as_array()?;
        Some(list.iter().filter_map(|path| path.as_str().map(str::to_owned)).collect::<Vec<_>>())
    };
    let (listing, paths) = match (paths("allow"), paths("deny")) {
        (Some(_), Some(_)) => return Err(bad("`allow` and `deny` cannot be used together")),
        (Some(allow), None) => (Listing::Allow, allow),
        (None, Some(deny)) => (Listing::Deny, deny),
        (None, None) => return Err(bad("`allow` or `deny` should be provided")),
    };
    if paths.is_empty() {
        return Err(bad("`allow` or `deny` cannot be empty"));
    }
    for (place, path) in paths.iter().enumerate() {
        if path.is_empty() || (path.starts_with('$') && path != "$vector") {
            return Err(bad(&format!("path '{path}' is not allowed")));
        }
        if paths[..place].contains(path) {
            return Err(bad(&format!("path '{path}' is listed twice")));
        }
        if path == "*" && paths.len() > 1 {
            return Err(bad("`*` cannot be listed with other paths"));
        }
    }
    Ok((listing, paths))
}

fn bad_options(problem: &str) -> Failure {
    let message = format!(
        "'createCollection' command option(s) invalid: {problem}\n\n\
         Resend 'createCollection' with valid options."
    );
    Failure::request("SCHEMA", "INVALID_CREATE_COLLECTION_OPTIONS", message)
}
