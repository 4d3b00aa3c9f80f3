//! The keyspaces, and the commands about keyspaces and collections.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Limits;
use super::collection::{self, Collection};
use super::failure::Failure;
use super::reply::Reply;
use super::settings::Settings;

/// The one that exists from the start.
const KEYSPACE: &str = "default_keyspace";

const DATABASE_COMMANDS: [&str; 3] = ["createKeyspace", "dropKeyspace", "findKeyspaces"];

const KEYSPACE_COMMANDS: [&str; 3] = ["createCollection", "deleteCollection", "findCollections"];

type Keyspace = BTreeMap<String, Collection>;

pub struct Database {
    keyspaces: BTreeMap<String, Keyspace>,
}

/// What a command is about.
pub enum Target<'a> {
    Database,
    Keyspace(&'a str),
    Collection(&'a str, &'a str),
}

/// A document that is not to be stored.
pub struct Refusal {
    pub id: String,
    pub code: &'static str,
}

impl Refusal {
    pub fn concerns(&self, id: &Value) -> bool {
        id == self.id.as_str()
    }

    pub fn failure(&self) -> Failure {
        let of_request = ["DOCUMENT_", "SHRED_", "INVALID_VECTOR", "VECTOR_"];
        if of_request.iter().any(|start| self.code.starts_with(start)) {
            Failure::request("DOCUMENT", self.code, "The document is not valid.")
        } else {
            Failure::database(self.code, "The Data API write to the database failed.")
        }
    }
}

impl Database {
    pub fn new() -> Self {
        Self { keyspaces: BTreeMap::from([(KEYSPACE.to_owned(), Keyspace::new())]) }
    }

    pub fn execute(
        &mut self,
        target: &Target,
        command: &str,
        arguments: &Value,
        limits: &Limits,
        refusal: Option<&Refusal>,
    ) -> Result<Reply, Failure> {
        let (known, kind) = match target {
            Target::Database => (&DATABASE_COMMANDS[..], "GeneralCommand"),
            Target::Keyspace(_) => (&KEYSPACE_COMMANDS[..], "KeyspaceCommand"),
            Target::Collection(..) => (&collection::COMMANDS[..], "CollectionCommand"),
        };
        if !known.contains(&command) {
            let message = format!(
                "Command '{command}' is not a {kind} recognized by Data API.\n\nData API \
                 supports following {kind}s: {known:?}.\n\nResend using one of the supported \
                 commands."
            );
            return Err(Failure::request("", "COMMAND_UNKNOWN", message));
        }
        match target {
            Target::Database => self.execute_general(command, arguments),
            Target::Keyspace(name) => self.execute_in(name, command, arguments, limits),
            Target::Collection(keyspace, name) => {
                let keyspace = self.keyspace(keyspace)?;
                let collection = keyspace.get_mut(*name);
                let collection = collection.ok_or_else(|| Failure::unknown_collection(name))?;
                collection.execute(command, arguments, limits, refusal)
            }
        }
    }

    pub fn documents(&self, collection: &str) -> Vec<Value> {
        let found = self.keyspaces.values().find_map(|keyspace| keyspace.get(collection));
        let stored = found.into_iter().flat_map(|collection| collection.documents.values());
        let mut stored = stored.collect::<Vec<_>>();
        stored.sort_by_key(|stored| stored.made);
        stored.into_iter().map(|stored| stored.document.clone()).collect()
    }

    pub fn put(&mut self, collection: &str, document: Value) {
        let mut keyspaces = self.keyspaces.values_mut();
        let found = keyspaces.find_map(|keyspace| keyspace.get_mut(collection));
        found.expect("the collection exists").put_unchecked(document);
    }

    pub fn create(&mut self, name: &str, options: &Value, limits: &Limits) {
        let settings = Settings::parse(options, None, limits.old_codes);
        let settings = settings.expect("the options are valid");
        let keyspace = self.keyspaces.entry(KEYSPACE.to_owned()).or_default();
        keyspace.insert(name.to_owned(), Collection::new(settings));
    }

    pub fn collections(&self) -> Vec<String> {
        self.keyspaces.values().flat_map(|keyspace| keyspace.keys().cloned()).collect()
    }

    fn keyspace(&mut self, name: &str) -> Result<&mut Keyspace, Failure> {
        self.keyspaces.get_mut(name).ok_or_else(|| Failure::unknown_keyspace(name))
    }

    fn execute_general(&mut self, command: &str, arguments: &Value) -> Result<Reply, Failure> {
        if command == "findKeyspaces" {
            let names = self.keyspaces.keys().collect::<Vec<_>>();
            return Ok(Reply::status(json!({ "keyspaces": names })));
        }
        let name = checked_name("keyspace", arguments)?;
        if command == "createKeyspace" {
            self.keyspaces.entry(name).or_default();
        } else {
            self.keyspaces.remove(&name);
        }
        Ok(Reply::ok())
    }

    fn execute_in(
        &mut self,
        keyspace: &str,
        command: &str,
        arguments: &Value,
        limits: &Limits,
    ) -> Result<Reply, Failure> {
        let count = self.keyspaces.values().map(BTreeMap::len).sum::<usize>();
        let keyspace = self.keyspace(keyspace)?;
        if command == "findCollections" {
            return Ok(list(keyspace, arguments, limits));
        }
        let name = checked_name("collection", arguments)?;
        if command == "deleteCollection" {
            keyspace.remove(&name);
            return Ok(Reply::ok());
        }
        let existing = keyspace.get(&name).map(|collection| &collection.settings);
        let settings = Settings::parse(&arguments["options"], existing, limits.old_codes)?;
        match existing {
            Some(existing) if existing.equals(&settings) => return Ok(Reply::ok()),
            Some(_) => {
                let message = format!(
                    "Collection '{name}' already exists but with settings different from ones \
                     passed with 'createCollection' command.\n\nIf you need to change collection \
                     settings you will need to 'deleteCollection', then re-create with new \
                     settings."
                );
                let code = "EXISTING_COLLECTION_DIFFERENT_SETTINGS";
                return Err(Failure::request("SCHEMA", code, message));
            }
            None => {}
        }
        if count >= limits.collections {
            let message = format!(
                "Cannot create collection '{name}': the maximum number of collections per \
                 database is {}, database already has {count}.",
                limits.collections
            );
            return Err(Failure::database("TOO_MANY_COLLECTIONS", message));
        }
        keyspace.insert(name, Collection::new(settings));
        Ok(Reply::ok())
    }
}

fn list(keyspace: &Keyspace, arguments: &Value, limits: &Limits) -> Reply {
    let explained = arguments["options"]["explain"] == true;
    let entry = |(name, collection): (&String, &Collection)| {
        if !explained {
            return json!(name);
        }
        json!({ "name": name, "options": collection.settings.describe(limits.old_codes) })
    };
    let entries = keyspace.iter().map(entry).collect::<Vec<_>>();
    Reply::status(json!({ "collections": entries }))
}

/// The name that a command gives, if it can be one.
fn checked_name(kind: &str, arguments: &Value) -> Result<String, Failure> {
    let name = arguments["name"].as_str().unwrap_or_default();
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if (1..=48).contains(&name.len()) && name.chars().all(is_word) {
        return Ok(name.to_owned());
    }
    let message = format!(
        "The command attempted to create a {kind} with a name that is not supported.\n\nThe \
         supported {kind} names must not be empty, more than 48 characters long, or contain \
         non-alphanumeric-underscore characters.\nThe command used the unsupported {kind} name: \
         '{name}'.\n\nResend the command using a supported {kind} name."
    );
    Err(Failure::request("SCHEMA", "UNSUPPORTED_SCHEMA_NAME", message))
}
