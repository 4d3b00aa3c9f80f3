//! Changes to a document.

use serde_json::{Map, Value};

use super::failure::Failure;
use super::filter::{equals, lookup};

/// Changes a document as `updateOne` says.
pub fn apply(document: &mut Value, update: &Value) -> Result<(), Failure> {
    let Some(operations) = update.as_object() else {
        return Err(unsupported("update must be an Object"));
    };
    for (operator, fields) in operations {
        for (path, value) in fields.as_object().into_iter().flatten() {
            check(operator, path)?;
            match operator.as_str() {
                "$set" => set(document, path, value.clone()),
                "$unset" => remove(document, path),
                "$addToSet" => add(document, path, value)?,
                _ => return Err(unsupported(&format!("unknown operator '{operator}'"))),
            }
        }
    }
    Ok(())
}

/// Sets the value at a dotted path, and makes objects on the way to it.
pub fn set(document: &mut Value, path: &str, value: Value) {
    let mut place = document;
    for step in path.split('.') {
        if let Some(element) = step.parse::<usize>().ok().filter(|_| place.is_array()) {
            let elements = place.as_array_mut().expect("it is an array");
            while elements.len() <= element {
                elements.push(Value::Null);
            }
            place = &mut elements[element];
            continue;
        }
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[step];
    }
    *place = value;
}

/// Removes what is at a dotted path, if anything.
pub fn remove(document: &mut Value, path: &str) {
    let (parent, last) = match path.rsplit_once('.') {
        Some((parent, last)) => (pointer(parent), last),
        None => (String::new(), path),
    };
    if let Some(fields) = document.pointer_mut(&parent).and_then(Value::as_object_mut) {
        fields.remove(last);
    }
}

fn add(document: &mut Value, path: &str, value: &Value) -> Result<(), Failure> {
    let mut elements = match lookup(document, path) {
        None => Vec::new(),
        Some(Value::Array(elements)) => elements.clone(),
        Some(_) => {
            let message = format!(
                "Unsupported target JSON value for update operation: '$addToSet' requires target \
                 to be an Array, at path '{path}'"
            );
            return Err(Failure::request("UPDATE", "UNSUPPORTED_UPDATE_OPERATION_TARGET", message));
        }
    };
    let each = value.get("$each").and_then(Value::as_array);
    for value in each.map_or(std::slice::from_ref(value), Vec::as_slice) {
        if !elements.iter().any(|element| equals(element, value)) {
            elements.push(value.clone());
        }
    }
    set(document, path, elements.into());
    Ok(())
}

fn check(operator: &str, path: &str) -> Result<(), Failure> {
    let code = match (operator, path) {
        (_, "_id") => "UNSUPPORTED_UPDATE_OPERATOR_FOR_DOC_ID",
        ("$set" | "$unset", _) => return Ok(()),
        (_, "$vector") => "UNSUPPORTED_UPDATE_OPERATOR_FOR_VECTOR",
        _ => return Ok(()),
    };
    let message = format!(
        "The command used the update operator: {operator}.\n{path} field cannot be updated by \
         it.\n\nResend the command using only supported update operators."
    );
    Err(Failure::request("UPDATE", code, message))
}

fn pointer(path: &str) -> String {
    path.split('.').fold(String::new(), |pointer, step| pointer + "/" + step)
}

fn unsupported(problem: &str) -> Failure {
    let message = format!("Unsupported update operation: {problem}");
    Failure::request("UPDATE", "UNSUPPORTED_UPDATE_OPERATION", message)
}
