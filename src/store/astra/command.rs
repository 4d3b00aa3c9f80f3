//! The commands sent to a Data API, each one JSON object with one key.
//!
//! Their form is that of `DataStax`'s clients for Python (2.3) and TypeScript
//! (2.3), which a test compares them with.

use serde::Serialize;
use serde_json::{Value, json};

use super::address::Scope;
use crate::domain::Embedding;

use super::vector;

/// One command.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) scope: Scope,
    pub(super) body: Value,
    /// Whether it takes the server longer than others.
    pub(super) slow: bool,
}

/// Which documents.
#[derive(Clone, Debug)]
pub(super) enum Filter {
    /// All of them.
    All,
    /// The one of this id.
    Id(Value),
    /// Those of these ids, at most [`MOST_IDS`].
    Ids(Vec<Value>),
    /// Those whose field at this path has this value.
    Equals(&'static str, Value),
}

/// The most ids in one filter.
pub(super) const MOST_IDS: usize = 100;

/// The most documents that a search by vector may ask for.
pub(super) const MOST_HITS: usize = 1000;

impl Filter {
    fn json(&self) -> Value {
        match self {
            Self::All => json!({}),
            Self::Id(id) => json!({ "_id": id }),
            Self::Ids(ids) => json!({ "_id": { "$in": ids } }),
            Self::Equals(path, value) => json!({ *path: value }),
        }
    }
}

impl Command {
    fn on(scope: Scope, body: Value) -> Self {
        Self { scope, body, slow: false }
    }

    /// The collections of the keyspace, with how each is made.
    pub(super) fn find_collections() -> Self {
        let body = json!({ "findCollections": { "options": { "explain": true } } });
        Self::on(Scope::Keyspace, body)
    }

    /// Makes a collection of vectors compared by cosine. `lexical` and
    /// `rerank` are left to the server: older ones do not know them.
    pub(super) fn create_collection(name: &str, dimension: usize, indexing: &Value) -> Self {
        let vector = json!({ "dimension": dimension, "metric": "cosine" });
        let options = json!({ "vector": vector, "indexing": indexing });
        let body = json!({ "createCollection": { "name": name, "options": options } });
        Self { slow: true, ..Self::on(Scope::Keyspace, body) }
    }

    /// Inserts documents, each by itself, and says what became of each.
    pub(super) fn insert_many(documents: &[impl Serialize]) -> Self {
        let options = json!({ "ordered": false, "returnDocumentResponses": true });
        let body = json!({ "insertMany": { "documents": documents, "options": options } });
        Self::on(Scope::Collection, body)
    }

    pub(super) fn insert_one(document: &Value) -> Self {
        Self::on(Scope::Collection, json!({ "insertOne": { "document": document } }))
    }

    /// Puts `document`, which has an `_id`, in the place of the one there is,
    /// or inserts it. Nothing of it is sent back.
    pub(super) fn replace(document: &Value) -> Self {
        let mut replacement = document.clone();
        let id = replacement.as_object_mut().and_then(|fields| fields.remove("_id"));
        let body = json!({ "findOneAndReplace": {
            "filter": Filter::Id(id.unwrap_or_default()).json(),
            "replacement": replacement,
            "options": { "returnDocument": "before", "upsert": true },
            "projection": { "*": 0 },
        } });
        Self::on(Scope::Collection, body)
    }

    /// Adds `value` to the array at `path` of a document, unless it is in it.
    pub(super) fn add_to_set(id: &str, path: &str, value: &Value) -> Self {
        let body = json!({ "updateOne": {
            "filter": { "_id": id },
            "update": { "$addToSet": { path: value } },
        } });
        Self::on(Scope::Collection, body)
    }

    /// The `limit` documents nearest to `query`, with their similarity.
    pub(super) fn find_nearest(
        filter: &Filter,
        query: &Embedding,
        projection: &Value,
        limit: usize,
    ) -> Self {
        let body = json!({ "find": {
            "filter": filter.json(),
            "projection": projection,
            "sort": { "$vector": vector::binary(query.as_slice()) },
            "options": { "limit": limit, "includeSimilarity": true },
        } });
        Self::on(Scope::Collection, body)
    }

    /// A page of documents in the server's order. Pages are as long as the
    /// server likes.
    pub(super) fn find_page(filter: &Filter, projection: &Value, page: Option<&str>) -> Self {
        let mut find = json!({ "filter": filter.json(), "projection": projection });
        if let Some(page) = page {
            find["options"] = json!({ "pageState": page });
        }
        Self::on(Scope::Collection, json!({ "find": find }))
    }

    pub(super) fn find_one(id: &str) -> Self {
        Self::on(Scope::Collection, json!({ "findOne": { "filter": { "_id": id } } }))
    }

    /// Counts up to the server's limit.
    pub(super) fn count() -> Self {
        Self::on(Scope::Collection, json!({ "countDocuments": { "filter": {} } }))
    }

    /// An estimate that may be far off for a small or new collection.
    pub(super) fn estimated_count() -> Self {
        Self::on(Scope::Collection, json!({ "estimatedDocumentCount": {} }))
    }

    pub(super) fn delete_collection(name: &str) -> Self {
        let body = json!({ "deleteCollection": { "name": name } });
        Self { slow: true, ..Self::on(Scope::Keyspace, body) }
    }

    /// Removes documents; a few at a time, and says whether there are more.
    pub(super) fn delete_many(ids: Vec<Value>) -> Self {
        let body = json!({ "deleteMany": { "filter": Filter::Ids(ids).json() } });
        Self::on(Scope::Collection, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PYTHON: &str = include_str!("../../../tests/fixtures/data_api/astrapy-2.3.2.json");
    const TYPESCRIPT: &str =
        include_str!("../../../tests/fixtures/data_api/astra-db-ts-2.3.0.json");

    /// What an official client sends: the `n`-th of its commands of that name.
    fn official(client: &str, command: &str, n: usize) -> Value {
        let requests: Vec<Value> = serde_json::from_str(client).unwrap();
        let bodies = requests.into_iter().map(|mut request| request["body"].take());
        bodies.filter(|body| body.get(command).is_some()).nth(n).unwrap()
    }

    /// The vector that the recorded commands carry.
    fn query() -> Embedding {
        // Not of unit length there, which no embedding is.
        Embedding::normalize(vec![0.25, 0.5, -0.25, 0.0]).unwrap()
    }

    /// `body` with all vectors replaced, as ours are of unit length.
    fn without_vectors(body: &Value) -> Value {
        match body {
            Value::Object(fields) if fields.contains_key("$binary") => json!("a vector"),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| (name.clone(), without_vectors(value))).collect()
            }
            Value::Array(values) => values.iter().map(without_vectors).collect(),
            other => other.clone(),
        }
    }

    #[test]
    fn commands_are_those_of_the_official_clients() {
        let document = |id: &str, last: f32| {
            let vector = vector::binary(&[0.25, 0.5, -0.25, last]);
            json!({ "_id": id, "text": format!("{id}.jpg"), "$vector": vector })
        };
        let three = [document("0", 0.0), document("1", 0.25), document("2", 0.5)];
        let inserted = Command::insert_many(&three);
        assert_eq!(inserted.body, official(PYTHON, "insertMany", 0));
        assert_eq!(inserted.body, official(TYPESCRIPT, "insertMany", 0));
        let one = Command::insert_one(&document("0", 0.0));
        assert_eq!(one.body, official(PYTHON, "insertOne", 0));

        let text_only = json!({ "deny": ["text"] });
        let made = Command::create_collection("car_images", 4, &text_only);
        assert_eq!(made.body, official(PYTHON, "createCollection", 0));
        let made = Command::create_collection("car_images", 4, &json!({ "deny": ["*"] }));
        assert_eq!(made.body, official(TYPESCRIPT, "createCollection", 0));
        assert_eq!(Command::find_collections().body, official(PYTHON, "findCollections", 0));

        let replaced = Command::replace(&json!({ "_id": "0", "text": "0.jpg" }));
        assert_eq!(replaced.body, official(TYPESCRIPT, "findOneAndReplace", 1));

        let nearest = |yes: &Value| {
            let projection = json!({ "text": yes });
            Command::find_nearest(&Filter::All, &query(), &projection, 10).body
        };
        let ours = without_vectors(&nearest(&json!(true)));
        assert_eq!(ours, without_vectors(&official(PYTHON, "find", 0)));
        let ours = without_vectors(&nearest(&json!(1)));
        assert_eq!(ours, without_vectors(&official(TYPESCRIPT, "find", 0)));

        assert_eq!(Command::find_one("0").body, official(PYTHON, "findOne", 0));
        assert_eq!(Command::count().body, official(PYTHON, "countDocuments", 0));
        assert_eq!(Command::count().body, official(TYPESCRIPT, "countDocuments", 0));
        let removed = Command::delete_collection("car_images");
        assert_eq!(removed.body, official(PYTHON, "deleteCollection", 0));
        let estimated = Command::estimated_count();
        assert_eq!(estimated.body, official(PYTHON, "estimatedDocumentCount", 0));
        let ids = |ids: &[&str]| ids.iter().map(|id| json!(id)).collect::<Vec<_>>();
        let deleted = Command::delete_many(ids(&["0", "1"]));
        assert_eq!(deleted.body, official(PYTHON, "deleteMany", 0));
        let deleted = Command::delete_many(ids(&["0"]));
        assert_eq!(deleted.body, official(TYPESCRIPT, "deleteMany", 0));
    }

    #[test]
    fn a_page_names_the_one_before_it() {
        let projection = json!({ "text": true });
        let first = Command::find_page(&Filter::All, &projection, None).body;
        assert_eq!(first["find"].get("options"), None);
        let filter = Filter::Ids(vec![json!("a"), json!(5)]);
        let second = Command::find_page(&filter, &projection, Some("abc")).body;
        assert_eq!(second["find"]["options"], json!({ "pageState": "abc" }));
        assert_eq!(second["find"]["filter"], json!({ "_id": { "$in": ["a", 5] } }));
    }
}
