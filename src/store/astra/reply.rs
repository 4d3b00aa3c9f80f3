//! What a Data API answers, and what its error codes mean.
//!
//! Codes changed their names over the years (`data-api` before and after
//! v1.0.35 and v1.0.41); both generations are known here. Of an error only its
//! message is certain to be there.

use serde::Deserialize;
use serde_json::Value;

/// The three parts of every answer, each left out when there is nothing in it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Reply {
    #[serde(default)]
    pub(super) data: Value,
    #[serde(default)]
    pub(super) status: Value,
    #[serde(default)]
    pub(super) errors: Vec<CommandError>,
}

/// One thing that went wrong.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct CommandError {
    pub(super) error_code: String,
    message: String,
    family: String,
    scope: String,
}

/// What to make of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// There is a document of this id already.
    Exists,
    /// One request too many.
    RateLimited,
    /// It is safe and may help to ask again.
    Passing,
    TokenRefused,
    NotAllowed,
    NoKeyspace,
    NoCollection,
    /// The vector is longer or shorter than those of the collection.
    VectorLength,
    /// The collection has no vectors at all.
    NoVectors,
    NotACollection,
    OtherSettings,
    /// No room for another collection or its indexes.
    Full,
    Other,
}

impl Reply {
    /// Reads the body of an answer, or `None` if it is none of a Data API.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let object = value.as_object()?;
        let known = ["data", "status", "errors"].iter().any(|part| object.contains_key(*part));
        if known { serde_json::from_value(value).ok() } else { None }
    }

    /// Whether some of it was one request too many.
    pub(super) fn is_rate_limited(&self) -> bool {
        self.errors.iter().any(|error| error.meaning() == Meaning::RateLimited)
    }

    /// The documents found, if this answers a `find`.
    pub(super) fn documents(&mut self) -> Vec<Value> {
        match self.data.get_mut("documents").map(Value::take) {
            Some(Value::Array(documents)) => documents,
            _ => Vec::new(),
        }
    }

    /// Where the documents go on.
    pub(super) fn next_page(&self) -> Option<String> {
        self.data.get("nextPageState")?.as_str().map(str::to_owned)
    }

    /// What became of each document of an `insertMany`, in order: the error or
    /// none; `None` where the answer does not say.
    pub(super) fn outcomes(&self, documents: usize) -> Option<Vec<Option<CommandError>>> {
        let Some(responses) = self.status.get("documentResponses").and_then(Value::as_array) else {
            // A server that knows no such option, and all went well.
            let inserted = self.status.get("insertedIds")?.as_array()?.len();
            return (inserted == documents).then(|| vec![None; documents]);
        };
        if responses.len() != documents {
            return None;
        }
        let outcome = |response: &Value| {
            if response.get("status")? == "OK" {
                return Some(None);
            }
            let number = response.get("errorsIdx").and_then(Value::as_u64).unwrap_or(0);
            let error = self.errors.get(usize::try_from(number).ok()?);
            Some(Some(error.cloned().unwrap_or_default()))
        };
        responses.iter().map(outcome).collect()
    }
}

impl CommandError {
    /// Its message on one line.
    pub(super) fn message(&self) -> String {
        let message = self.message.split_whitespace().collect::<Vec<_>>().join(" ");
        if message.is_empty() { "no reason given".into() } else { message }
    }

    pub(super) fn meaning(&self) -> Meaning {
        // Not one of the codes: the driver's message is passed on as it is.
        if self.message.contains("Rate limit reached") || self.message.contains("/rate-limit") {
            return Meaning::RateLimited;
        }
        match self.error_code.as_str() {
            "DOCUMENT_ALREADY_EXISTS" => Meaning::Exists,
            "UNAUTHENTICATED_REQUEST" | "MISSING_AUTHENTICATION_TOKEN" => Meaning::TokenRefused,
            "UNAUTHORIZED_ACCESS" => Meaning::NotAllowed,
            "UNKNOWN_KEYSPACE" if self.scope == "DATABASE" => Meaning::Passing,
            "UNKNOWN_KEYSPACE" | "KEYSPACE_DOES_NOT_EXIST" | "NAMESPACE_DOES_NOT_EXIST" => {
                Meaning::NoKeyspace
            }
            "UNKNOWN_COLLECTION_OR_TABLE" | "COLLECTION_NOT_EXIST" => Meaning::NoCollection,
            "INVALID_VECTOR_LENGTH" | "VECTOR_SIZE_MISMATCH" => Meaning::VectorLength,
            "VECTOR_SEARCH_NOT_SUPPORTED" | "UNSUPPORTED_VECTOR_SORT_FOR_COLLECTION" => {
                Meaning::NoVectors
            }
            "EXISTING_TABLE_NOT_DATA_API_COLLECTION"
            | "CORRUPTED_COLLECTION_SCHEMA"
            | "COLLECTION_NO_INDEX_ERROR" => Meaning::NotACollection,
            "EXISTING_COLLECTION_DIFFERENT_SETTINGS" => Meaning::OtherSettings,
            "TOO_MANY_COLLECTIONS" | "TOO_MANY_INDEXES_FOR_COLLECTION" | "TOO_MANY_INDEXES" => {
                Meaning::Full
            }
            // The server's own word for these is that asking again is safe.
            "FAILED_CONCURRENT_OPERATIONS"
            | "FAILED_TO_CONNECT_TO_DATABASE"
            | "FAILED_TO_READ_METADATA"
            | "FAILED_COMPARE_AND_SET"
            | "FAILED_TRUNCATION"
            | "UNAVAILABLE_DATABASE"
            | "FAILED_READ_REQUEST"
            | "FAILED_WRITE_REQUEST"
            | "TIMEOUT_READING_DATA"
            | "TIMEOUT_WRITING_DATA"
            | "COUNT_READ_FAILED"
            | "UNEXPECTED_SERVER_ERROR"
            | "INTERNAL_SERVER_ERROR"
            | "UNEXPECTED_DRIVER_ERROR" => Meaning::Passing,
            // Of the server's family, though it is the vector that is to blame.
            "INVALID_DATABASE_QUERY" => Meaning::Other,
            code if code.starts_with("SERVER_") || self.family == "SERVER" => Meaning::Passing,
            _ if self.message.starts_with("UNAUTHENTICATED") => Meaning::TokenRefused,
            _ if self.message.starts_with("Role unauthorized") => Meaning::TokenRefused,
            _ => Meaning::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply(value: &Value) -> Reply {
        Reply::parse(value.to_string().as_bytes()).unwrap()
    }

    fn meaning(error: Value) -> Meaning {
        serde_json::from_value::<CommandError>(error).unwrap().meaning()
    }

    #[test]
    fn each_part_of_an_answer_may_be_missing() {
        let mut found =
            reply(&json!({ "data": { "documents": [{ "_id": "1" }], "nextPageState": null } }));
        assert_eq!(found.documents(), [json!({ "_id": "1" })]);
        assert_eq!(found.next_page(), None);
        let more = reply(&json!({ "data": { "documents": [], "nextPageState": "abc" } }));
        assert_eq!(more.next_page().as_deref(), Some("abc"));
        let mut done = reply(&json!({ "status": { "ok": 1 }, "unheard-of": [] }));
        assert_eq!((done.documents(), done.errors.len()), (Vec::new(), 0));
    }

    #[test]
    fn what_is_no_answer_of_a_data_api_is_none() {
        for body in [
            &b""[..],
            b"<html>",
            b"{\"data\":{\"documents\":[{\"_id\"",
            b"[]",
            b"{}",
            b"\"data\"",
            b"{\"message\":\"Resuming your database, please try again shortly.\"}",
            b"{\"errors\":\"all\"}",
        ] {
            assert!(Reply::parse(body).is_none(), "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn every_document_of_an_insertion_has_an_outcome_of_its_own() {
        let partial = reply(&json!({
            "status": { "documentResponses": [
                { "_id": "0", "status": "ERROR", "errorsIdx": 1 },
                { "_id": "1", "status": "OK" },
                { "_id": "2", "status": "SKIPPED" },
            ] },
            "errors": [
                { "message": "odd" },
                { "errorCode": "DOCUMENT_ALREADY_EXISTS", "message": "there" },
            ],
        }));
        let outcomes = partial.outcomes(3).unwrap();
        assert_eq!(outcomes[0].as_ref().unwrap().meaning(), Meaning::Exists);
        assert!(outcomes[1].is_none());
        assert_eq!(outcomes[2].as_ref().unwrap().meaning(), Meaning::Other);
        assert!(partial.outcomes(2).is_none(), "of another request");
        let inserted = reply(&json!({ "status": { "insertedIds": ["0", "1"] } }));
        assert!(inserted.outcomes(2).unwrap().iter().all(Option::is_none));
        assert!(inserted.outcomes(3).is_none());
        assert!(reply(&json!({ "status": {} })).outcomes(0).is_none());
    }

    #[test]
    fn both_generations_of_codes_mean_the_same() {
        for (new, old, expected) in [
            ("UNKNOWN_COLLECTION_OR_TABLE", "COLLECTION_NOT_EXIST", Meaning::NoCollection),
            ("UNKNOWN_KEYSPACE", "NAMESPACE_DOES_NOT_EXIST", Meaning::NoKeyspace),
            ("UNKNOWN_KEYSPACE", "KEYSPACE_DOES_NOT_EXIST", Meaning::NoKeyspace),
            ("INVALID_VECTOR_LENGTH", "VECTOR_SIZE_MISMATCH", Meaning::VectorLength),
            ("TOO_MANY_INDEXES_FOR_COLLECTION", "TOO_MANY_INDEXES", Meaning::Full),
            ("TIMEOUT_WRITING_DATA", "SERVER_WRITE_TIMEOUT", Meaning::Passing),
        ] {
            let full = json!({ "errorCode": new, "family": "REQUEST", "scope": "", "message": "m",
                "id": "0", "title": "t", "documentIds": ["1"] });
            assert_eq!(meaning(full), expected, "{new}");
            assert_eq!(meaning(json!({ "errorCode": old, "message": "m" })), expected, "{old}");
        }
    }

    #[test]
    fn what_no_code_tells_is_told_by_family_scope_and_message() {
        let limited = "Rate limit reached, please consult our documentation at \
                       https://astra.dev/rate-limit";
        for (error, expected) in [
            (
                json!({ "errorCode": "UNEXPECTED_DRIVER_ERROR", "message": limited }),
                Meaning::RateLimited,
            ),
            (json!({ "errorCode": "UNKNOWN_KEYSPACE", "scope": "DATABASE" }), Meaning::Passing),
            (json!({ "errorCode": "NEVER_SEEN", "family": "SERVER" }), Meaning::Passing),
            (json!({ "errorCode": "NEVER_SEEN", "family": "REQUEST" }), Meaning::Other),
            (json!({ "errorCode": "INVALID_DATABASE_QUERY", "family": "SERVER" }), Meaning::Other),
            (json!({ "message": "UNAUTHENTICATED: Invalid token" }), Meaning::TokenRefused),
            (json!({}), Meaning::Other),
        ] {
            assert_eq!(meaning(error.clone()), expected, "{error}");
        }
    }

    #[test]
    fn a_message_is_one_line() {
        let error = CommandError { message: "Cannot.\n\nResend\tit.".into(), ..Default::default() };
        assert_eq!(error.message(), "Cannot. Resend it.");
    }
}
