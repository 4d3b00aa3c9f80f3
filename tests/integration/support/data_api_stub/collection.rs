//! A collection, and the commands that change or count its documents.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Limits;
use super::database::Refusal;
use super::document;
use super::failure::{Failure, unique_id};
use super::filter::Filter;
use super::projection::Projection;
use super::reply::Reply;
use super::settings::Settings;
use super::update;
use super::vector;

/// The commands that a collection executes.
pub const COMMANDS: [&str; 10] = [
    "insertOne",
    "insertMany",
    "find",
    "findOne",
    "findOneAndReplace",
    "updateOne",
    "countDocuments",
    "estimatedDocumentCount",
    "deleteMany",
    "deleteOne",
];

pub struct Collection {
    pub settings: Settings,
    pub documents: BTreeMap<Place, Stored>,
    /// How many documents were ever stored.
    made: u64,
}

/// Where a document is in the database: by a hash, so in no order that a
/// client knows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub token: u64,
    pub id: String,
}

pub struct Stored {
    pub document: Value,
    pub vector: Option<Vec<f32>>,
    /// When it was stored, as a number.
    pub made: u64,
}

impl Place {
    pub fn of(id: &Value) -> Self {
        let id = id.to_string();
        let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325, step);
        // Identifiers that differ in the last character are not to be
        // neighbours.
        let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self { token: hash ^ (hash >> 31), id }
    }
}

impl Collection {
    pub fn new(settings: Settings) -> Self {
        Self { settings, documents: BTreeMap::new(), made: 0 }
    }

    pub fn execute(
        &mut self,
        command: &str,
        arguments: &Value,
        limits: &Limits,
        refusal: Option<&Refusal>,
    ) -> Result<Reply, Failure> {
        known_fields(command, arguments, limits)?;
        match command {
            "insertOne" => Ok(self.insert_one(arguments, refusal)),
            "insertMany" => self.insert_many(arguments, limits, refusal),
            "find" => self.find(arguments, limits),
            "findOne" => self.find_one(arguments, limits),
            "findOneAndReplace" => self.replace(arguments, limits),
            "updateOne" => self.update(arguments, limits),
            "countDocuments" => self.count(arguments, limits),
            "estimatedDocumentCount" => {
                Ok(Reply::status(json!({ "count": limits.estimated.unwrap_or(0) })))
            }
            "deleteMany" => self.delete_many(arguments, limits),
            _ => self.delete_one(arguments, limits),
        }
    }

    /// Stores a document in place of what was there.
    pub fn put(&mut self, mut document: Value, vector: Option<Vec<f32>>) {
        if document["_id"].is_null() {
            document["_id"] = unique_id().into();
        }
        let made = self.made;
        self.made += 1;
        let place = Place::of(&document["_id"]);
        let made = self.documents.get(&place).map_or(made, |stored| stored.made);
        self.documents.insert(place, Stored { document, vector, made });
    }

    pub fn put_unchecked(&mut self, document: Value) {
        let vector = document.get("$vector").and_then(|value| vector::parse(value).ok().flatten());
        self.put(document, vector);
    }

    pub fn filter(&self, arguments: &Value, limits: &Limits) -> Result<Filter, Failure> {
        let filter = arguments.get("filter").filter(|filter| !filter.is_null());
        let empty = json!({});
        Filter::parse(filter.unwrap_or(&empty), &self.settings, limits.in_values)
    }

    /// The documents that a filter leaves, in the order of the database.
    pub fn matching(&self, filter: &Filter) -> impl Iterator<Item = (&Place, &Stored)> {
        self.documents.iter().filter(|(_, stored)| filter.matches(&stored.document))
    }

    fn insert(&mut self, document: &Value, refusal: Option<&Refusal>) -> Result<Value, Failure> {
        let mut document = document.clone();
        if let Some(fields) = document.as_object_mut() {
            fields.entry("_id").or_insert_with(|| unique_id().into());
        }
        let id = document.get("_id").cloned();
        let refused = |failure: Failure| match &id {
            Some(id) => failure.about(id),
            None => failure,
        };
        let vector = document::check(&document, &self.settings).map_err(refused)?;
        let id = id.clone().unwrap_or_default();
        if let Some(refusal) = refusal.filter(|refusal| refusal.concerns(&id)) {
            return Err(refused(refusal.failure()));
        }
        if self.documents.contains_key(&Place::of(&id)) {
            let shown = id.as_str().map_or_else(|| id.to_string(), |id| format!("'{id}'"));
            let message = format!(
                "Cannot insert the document: a document already exists with given '_id' \
                 ({shown}). \n\nEither resend the command with distinct '_id', or use an update \
                 command instead."
            );
            let failure = Failure::request("DOCUMENT", "DOCUMENT_ALREADY_EXISTS", message);
            return Err(refused(failure));
        }
        self.put(document, vector);
        Ok(id)
    }

    fn insert_one(&mut self, arguments: &Value, refusal: Option<&Refusal>) -> Reply {
        match self.insert(&arguments["document"], refusal) {
            Ok(id) => Reply::status(json!({ "insertedIds": [id] })),
            Err(failure) => {
                Reply { status: Some(json!({ "insertedIds": [] })), ..Reply::from(failure) }
            }
        }
    }

    fn insert_many(
        &mut self,
        arguments: &Value,
        limits: &Limits,
        refusal: Option<&Refusal>,
    ) -> Result<Reply, Failure> {
        let documents = arguments["documents"].as_array().map_or(&[][..], Vec::as_slice);
        let (count, most) = (documents.len(), limits.documents_per_insert);
        if count == 0 || count > most {
            let problem = match count {
                0 => "amount of documents to insert must be at least 1".to_owned(),
                _ => format!(
                    "amount of documents to insert is over the max limit ({count} vs {most})"
                ),
            };
            return Err(Failure::value("documents", &arguments["documents"], problem));
        }
        let option = |name: &str| arguments["options"][name].as_bool().unwrap_or(false);
        let (mut responses, mut ids, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for document in documents {
            if option("ordered") && !failures.is_empty() {
                responses.push(response(document.get("_id"), "SKIPPED"));
                continue;
            }
            match self.insert(document, refusal) {
                Ok(id) => {
                    responses.push(response(Some(&id), "OK"));
                    ids.push(id);
                }
                Err(failure) => {
                    let mut response = response(failure.document(), "ERROR");
                    response["errorsIdx"] = failures.len().into();
                    responses.push(response);
                    failures.push(failure);
                }
            }
        }
        let status = if option("returnDocumentResponses") {
            json!({ "documentResponses": responses })
        } else {
            json!({ "insertedIds": ids })
        };
        Ok(Reply { status: Some(status), failures, data: None })
    }

    fn replace(&mut self, arguments: &Value, limits: &Limits) -> Result<Reply, Failure> {
        let filter = self.filter(arguments, limits)?;
        let projection = Projection::parse(arguments.get("projection"))?;
        let found = self.first(&filter, arguments)?;
        let mut replacement = arguments["replacement"].clone();
        let id = match &found {
            Some(document) => Some(document["_id"].clone()),
            None => filter.equalities().find(|(path, _)| *path == "_id").map(|(_, id)| id.clone()),
        };
        if let (Some(id), Some(other)) = (&id, replacement.get("_id"))
            && id != other
        {
            let message = format!(
                "The replace document and document resolved using filter have different '_id's: \
                 {other} (replace document) vs. {id} (document that filter matches). \n\nResend \
                 the update command with a document that has same '_id' as document being \
                 replaced."
            );
            return Err(Failure::request("DOCUMENT", "DOCUMENT_REPLACE_DIFFERENT_DOCID", message));
        }
        if let Some(fields) = replacement.as_object_mut() {
            fields.entry("_id").or_insert_with(|| id.unwrap_or_else(|| unique_id().into()));
        }
        let after = arguments["options"]["returnDocument"] == "after";
        let change = self.change(found, replacement, arguments)?;
        let shown = if after { &change.after } else { &change.before };
        let shown = shown.as_ref().map(|document| projection.apply(document));
        Ok(Reply {
            data: Some(json!({ "document": shown })),
            status: Some(change.status()),
            failures: Vec::new(),
        })
    }

    fn update(&mut self, arguments: &Value, limits: &Limits) -> Result<Reply, Failure> {
        let filter = self.filter(arguments, limits)?;
        let found = self.first(&filter, arguments)?;
        let mut changed = found.clone().unwrap_or_else(|| {
            let mut made = json!({});
            for (path, value) in filter.equalities() {
                update::set(&mut made, path, value.clone());
            }
            if made.get("_id").is_none() {
                made["_id"] = unique_id().into();
            }
            made
        });
        update::apply(&mut changed, &arguments["update"])?;
        Ok(Reply::status(self.change(found, changed, arguments)?.status()))
    }

    /// Stores `after` unless it is what is `found` already, or new and not
    /// wanted as such.
    fn change(
        &mut self,
        found: Option<Value>,
        after: Value,
        arguments: &Value,
    ) -> Result<Change, Failure> {
        let upsert = arguments["options"]["upsert"].as_bool().unwrap_or(false);
        if found.is_none() && !upsert {
            return Ok(Change { before: None, after: None });
        }
        if found.as_ref() != Some(&after) {
            let vector = document::check(&after, &self.settings)?;
            self.put(after.clone(), vector);
        }
        Ok(Change { before: found, after: Some(after) })
    }

    fn count(&self, arguments: &Value, limits: &Limits) -> Result<Reply, Failure> {
        let filter = self.filter(arguments, limits)?;
        let count = self.matching(&filter).count();
        Ok(Reply::status(if count > limits.count {
            json!({ "count": limits.count, "moreData": true })
        } else {
            json!({ "count": count })
        }))
    }

    fn delete_many(&mut self, arguments: &Value, limits: &Limits) -> Result<Reply, Failure> {
        let filter = self.filter(arguments, limits)?;
        if filter.is_empty() {
            self.documents.clear();
            return Ok(Reply::status(json!({ "deletedCount": -1 })));
        }
        let places = self.matching(&filter).map(|(place, _)| place.clone()).collect::<Vec<_>>();
        let (now, later) = places.split_at(places.len().min(limits.deletes));
        for place in now {
            self.documents.remove(place);
        }
        Ok(Reply::status(if later.is_empty() {
            json!({ "deletedCount": now.len() })
        } else {
            json!({ "deletedCount": now.len(), "moreData": true })
        }))
    }

    fn delete_one(&mut self, arguments: &Value, limits: &Limits) -> Result<Reply, Failure> {
        let filter = self.filter(arguments, limits)?;
        let found = self.first(&filter, arguments)?;
        if let Some(document) = &found {
            self.documents.remove(&Place::of(&document["_id"]));
        }
        Ok(Reply::status(json!({ "deletedCount": usize::from(found.is_some()) })))
    }
}

/// A document before and after a command.
struct Change {
    before: Option<Value>,
    after: Option<Value>,
}

impl Change {
    fn status(&self) -> Value {
        match (&self.before, &self.after) {
            (None, Some(after)) => {
                json!({ "upsertedId": after["_id"], "matchedCount": 0, "modifiedCount": 0 })
            }
            (None, None) => json!({ "matchedCount": 0, "modifiedCount": 0 }),
            (before, after) => {
                json!({ "matchedCount": 1, "modifiedCount": usize::from(before != after) })
            }
        }
    }
}

fn response(id: Option<&Value>, status: &str) -> Value {
    match id {
        Some(id) => json!({ "_id": id, "status": status }),
        None => json!({ "status": status }),
    }
}

fn known_fields(command: &str, arguments: &Value, limits: &Limits) -> Result<(), Failure> {
    let (fields, options): (&[&str], &[&str]) = match command {
        "insertOne" => (&["document"], &[]),
        "insertMany" => (&["documents"], &["ordered", "returnDocumentResponses"]),
        "find" => (
            &["filter", "sort", "projection"],
            &["limit", "skip", "pageState", "includeSimilarity", "includeSortVector"],
        ),
        "findOne" => {
            (&["filter", "sort", "projection"], &["includeSimilarity", "includeSortVector"])
        }
        "findOneAndReplace" => {
            (&["filter", "sort", "projection", "replacement"], &["returnDocument", "upsert"])
        }
        "updateOne" => (&["filter", "sort", "update"], &["upsert"]),
        "deleteOne" => (&["filter", "sort"], &[]),
        "countDocuments" | "deleteMany" => (&["filter"], &[]),
        _ => (&[], &[]),
    };
    if limits.old_codes {
        return Ok(());
    }
    let unknown = |value: &Value, known: &[&str]| {
        let mut names = value.as_object().into_iter().flat_map(|fields| fields.keys().cloned());
        names.find(|name| !known.contains(&name.as_str()))
    };
    let known = [fields, &["options"]].concat();
    let unknown = unknown(arguments, &known).or_else(|| unknown(&arguments["options"], options));
    let Some(unknown) = unknown else { return Ok(()) };
    let message = format!(
        "Command field '{unknown}' not recognized: not one of known fields of '{command}'.\n\n\
         Resend command with valid command fields."
    );
    Err(Failure::request("", "COMMAND_FIELD_UNKNOWN", message))
}
