//! An error as the server words it, in the shape of today's servers and of
//! those of 2024.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

/// What rate-limited clients are to read.
const RATE_LIMIT: &str =
    "Rate limit reached, please consult our documentation at https://astra.dev/rate-limit";

#[derive(Clone, Debug)]
pub struct Failure {
    /// Of HTTP.
    pub status: u16,
    pub code: &'static str,
    family: &'static str,
    scope: &'static str,
    message: String,
    /// Identifiers of the documents it is about.
    documents: Vec<Value>,
}

impl Failure {
    /// Something is wrong with the request.
    pub fn request(scope: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self::new("REQUEST", scope, code, message)
    }

    /// Something went wrong behind the server.
    pub fn database(code: &'static str, message: impl Into<String>) -> Self {
        Self::new("SERVER", "DATABASE", code, message)
    }

    pub fn new(
        family: &'static str,
        scope: &'static str,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { status: 200, code, family, scope, message: message.into(), documents: Vec::new() }
    }

    pub fn value(field: &str, value: &Value, problem: impl AsRef<str>) -> Self {
        let mut value = value.to_string();
        if let Some((end, _)) = value.char_indices().nth(60) {
            value.truncate(end);
            value += "...";
        }
        let problem = problem.as_ref();
        let message = format!(
            "Command field 'command.{field}' value \"{value}\" not valid: {problem}.\n\n\
             Resend command with valid value."
        );
        Self::request("", "COMMAND_FIELD_VALUE_INVALID", message)
    }

    pub fn filter(problem: &str) -> Self {
        let message = format!(
            "Unsupported filter clause: {problem}.\n\n\
             Resend the command using only supported filter expressions and paths."
        );
        Self::request("FILTER", "FILTER_INVALID_EXPRESSION", message)
    }

    pub fn query(problem: &str) -> Self {
        let message = format!(
            "The Data API command generated a database query that while syntactically correct, \
             was rejected as invalid by the database.\n\nThe database error: {problem}.\n\n\
             Retrying the command will likely result in the same error."
        );
        Self::database("INVALID_DATABASE_QUERY", message)
    }

    pub fn rate_limited() -> Self {
        let message = format!(
            "An unexpected server error occurred while using the driver with the database.\n\n\
             Error Class: OverloadedException\nError Message: {RATE_LIMIT}\n\n\
             Review the Error Message before retrying this request."
        );
        Self::database("UNEXPECTED_DRIVER_ERROR", message)
    }

    pub fn unknown_keyspace(keyspace: &str) -> Self {
        let message = format!(
            "The command tried to use a Keyspace that does not exist in the Database.\n\n\
             The keyspace used by the command: {keyspace}.\n\n\
             Resend the command using a Keyspace that exists."
        );
        Self::request("SCHEMA", "UNKNOWN_KEYSPACE", message)
    }

    pub fn unknown_collection(collection: &str) -> Self {
        let message = format!("No collection or table with name '{collection}' exists.");
        Self::request("SCHEMA", "UNKNOWN_COLLECTION_OR_TABLE", message)
    }

    pub fn unauthenticated() -> Self {
        let message = "Authentication failed for request due to invalid token.\n\n\
                       Resend with valid authentication token.";
        Self::request("SECURITY", "UNAUTHENTICATED_REQUEST", message).with_status(401)
    }

    pub fn missing_token() -> Self {
        let message = "The command did not include an authorization token in the request \
                       headers.\n\nThe authorization header is: Token.\n\n\
                       Resend the command using the correct authentication details.";
        Self::request("SECURITY", "MISSING_AUTHENTICATION_TOKEN", message).with_status(401)
    }

    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub fn about(self, document: &Value) -> Self {
        Self { documents: vec![document.clone()], ..self }
    }

    /// The document it is about, by its identifier.
    pub fn document(&self) -> Option<&Value> {
        self.documents.first()
    }

    /// As one of the `errors` of an answer.
    pub fn to_json(&self, old: bool) -> Value {
        if old {
            return self.to_old_json();
        }
        let mut error = json!({
            "id": unique_id(),
            "family": self.family,
            "scope": self.scope,
            "errorCode": self.code,
            "title": title(self.code),
            "message": self.message,
        });
        if !self.documents.is_empty() {
            error["documentIds"] = json!(self.documents);
        }
        error
    }

    fn to_old_json(&self) -> Value {
        let (code, message) = match self.code {
            // These came from in front of the commands, without a code.
            "MISSING_AUTHENTICATION_TOKEN" => {
                let message = "Role unauthorized for operation: Missing token, expecting one in \
                               the Token header.";
                return json!({ "message": message });
            }
            "UNAUTHENTICATED_REQUEST" => (self.code, "UNAUTHENTICATED: Invalid token"),
            "DOCUMENT_ALREADY_EXISTS" => (self.code, "Document already exists with the given _id"),
            "UNKNOWN_COLLECTION_OR_TABLE" => ("COLLECTION_NOT_EXIST", &*self.message),
            "UNKNOWN_KEYSPACE" => {
                ("KEYSPACE_DOES_NOT_EXIST", "The provided keyspace does not exist.")
            }
            "INVALID_VECTOR_LENGTH" => ("VECTOR_SIZE_MISMATCH", &*self.message),
            "UNSUPPORTED_VECTOR_SORT_FOR_COLLECTION" => {
                ("VECTOR_SEARCH_NOT_SUPPORTED", "Vector search is not enabled for the collection ")
            }
            "TOO_MANY_INDEXES_FOR_COLLECTION" => ("TOO_MANY_INDEXES", &*self.message),
            "COMMAND_FIELD_VALUE_INVALID" => ("COMMAND_FIELD_INVALID", &*self.message),
            "COMMAND_UNKNOWN" => ("NO_COMMAND_MATCHED", "Unable to find the provided command"),
            "REQUEST_NOT_JSON" => ("INVALID_REQUEST_NOT_JSON", &*self.message),
            "FILTER_PATH_UNINDEXED" => ("UNINDEXED_FILTER_PATH", &*self.message),
            "FILTER_ID_NOT_INDEXED" => ("ID_NOT_INDEXED", "_id is not indexed"),
            "FILTER_INVALID_EXPRESSION" => ("INVALID_FILTER_EXPRESSION", &*self.message),
            "INVALID_DATABASE_QUERY" => ("INVALID_QUERY", &*self.message),
            code => (code, &*self.message),
        };
        json!({ "message": message, "errorCode": code, "exceptionClass": "JsonApiException" })
    }
}

/// In the form of a UUID.
pub fn unique_id() -> String {
    static MADE: AtomicU64 = AtomicU64::new(1);
    format!("0f1e2d3c-0000-4000-8000-{:012x}", MADE.fetch_add(1, Ordering::Relaxed))
}

fn title(code: &str) -> String {
    match code {
        "DOCUMENT_ALREADY_EXISTS" => "Document the given _id already exists".to_owned(),
        "UNAUTHENTICATED_REQUEST" => "Authentication failed".to_owned(),
        "MISSING_AUTHENTICATION_TOKEN" => "Missing authorization token".to_owned(),
        "EXISTING_COLLECTION_DIFFERENT_SETTINGS" => {
            "Collection already exists with different settings".to_owned()
        }
        code => {
            let words = code.replace('_', " ").to_lowercase();
            let (first, rest) = words.split_at(words.len().min(1));
            first.to_uppercase() + rest
        }
    }
}
