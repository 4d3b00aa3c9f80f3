//! Which documents a command is about. All conditions have to hold.

use serde_json::Value;

use super::failure::Failure;
use super::settings::Settings;

#[derive(Debug, Default)]
pub struct Filter {
    conditions: Vec<Condition>,
}

#[derive(Debug)]
struct Condition {
    path: String,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Is(Value),
    IsNot(Value),
    In(Vec<Value>),
    NotIn(Vec<Value>),
    Exists(bool),
}

impl Filter {
    pub fn parse(filter: &Value, settings: &Settings, most: usize) -> Result<Self, Failure> {
        let mut parsed = Self::default();
        parsed.read(filter, settings, most)?;
        let of_id = |condition: &&Condition| {
            condition.path == "_id" && matches!(condition.test, Test::Is(_))
        };
        if parsed.conditions.iter().filter(of_id).count() > 1 {
            let message = "Command included more than one '_id' equals filter clauses, which is \
                           not supported: use '$in' operator instead.\n\n\
                           Resend the command using supported filters.";
            return Err(Failure::request("FILTER", "FILTER_MULTIPLE_ID_FILTER", message));
        }
        Ok(parsed)
    }

    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    pub fn matches(&self, document: &Value) -> bool {
        self.conditions.iter().all(|condition| condition.holds(document))
    }

    /// The identifiers that it names by `$in`, or the only one that it names.
    pub fn ids(&self) -> Option<&[Value]> {
        self.conditions.iter().filter(|condition| condition.path == "_id").find_map(|condition| {
            match &condition.test {
                Test::Is(id) => Some(std::slice::from_ref(id)),
                Test::In(ids) => Some(ids.as_slice()),
                _ => None,
            }
        })
    }

    /// What a document made for it has.
    pub fn equalities(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.conditions.iter().filter_map(|condition| match &condition.test {
            Test::Is(value) => Some((condition.path.as_str(), value)),
            _ => None,
        })
    }

    fn read(&mut self, filter: &Value, settings: &Settings, most: usize) -> Result<(), Failure> {
        let Some(fields) = filter.as_object() else {
            let message = "Unsupported filter data type: filter must be an Object.";
            return Err(Failure::request("FILTER", "FILTER_UNSUPPORTED_DATA_TYPE", message));
        };
        for (path, value) in fields {
            if path == "$and" {
                for part in value.as_array().into_iter().flatten() {
                    self.read(part, settings, most)?;
                }
                continue;
            }
            if path.starts_with('$') && path != "$vector" {
                return Err(bad_operator(path));
            }
            let operators = value
                .as_object()
                .filter(|object| object.keys().next().is_some_and(|key| is_operator(key)));
            let tests = match operators {
                Some(operators) => operators
                    .iter()
                    .map(|(operator, operand)| Test::parse(operator, operand, most))
                    .collect::<Result<Vec<_>, _>>()?,
                None => vec![Test::Is(value.clone())],
            };
            for test in tests {
                check(path, &test, settings)?;
                self.conditions.push(Condition { path: path.clone(), test });
            }
        }
        Ok(())
    }
}

impl Condition {
    fn holds(&self, document: &Value) -> bool {
        let found = lookup(document, &self.path).filter(|found| {
            // A null vector is none.
            self.path != "$vector" || !found.is_null()
        });
        let is = |value: &Value| found.is_some_and(|found| equals_or_contains(found, value));
        match &self.test {
            Test::Is(value) => is(value),
            Test::IsNot(value) => !is(value),
            Test::In(values) => values.iter().any(is),
            Test::NotIn(values) => !values.iter().any(is),
            Test::Exists(expected) => found.is_some() == *expected,
        }
    }
}

impl Test {
    fn parse(operator: &str, operand: &Value, most: usize) -> Result<Self, Failure> {
        let values = || match operand {
            Value::Array(values) if values.len() <= most => Ok(values.clone()),
            Value::Array(_) => Err(Failure::filter(&format!(
                "'{operator}' operator must have at most {most} values"
            ))),
            _ => Err(Failure::filter(&format!("'{operator}' operator must have `Array`"))),
        };
        match operator {
            "$eq" => Ok(Self::Is(operand.clone())),
            "$ne" => Ok(Self::IsNot(operand.clone())),
            "$in" => values().map(Self::In),
            "$nin" => values().map(Self::NotIn),
            "$exists" => match operand {
                Value::Bool(expected) => Ok(Self::Exists(*expected)),
                _ => Err(Failure::filter("'$exists' operator must have `Boolean`")),
            },
            _ => Err(bad_operator(operator)),
        }
    }
}

/// The value at a dotted path.
pub fn lookup<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(document, |value, step| match value {
        Value::Object(fields) => fields.get(step),
        Value::Array(elements) => elements.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

pub fn equals(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64() == other.as_f64()
        }
        _ => one == other,
    }
}

fn equals_or_contains(found: &Value, value: &Value) -> bool {
    let contains = || found.as_array().is_some_and(|all| all.iter().any(|it| equals(it, value)));
    equals(found, value) || contains()
}

/// Such as `$in`, but not `$date`, which is a value.
fn is_operator(key: &str) -> bool {
    key.starts_with('$') && !["$date", "$uuid", "$objectId", "$binary"].contains(&key)
}

fn check(path: &str, test: &Test, settings: &Settings) -> Result<(), Failure> {
    if path == "_id" {
        if settings.indexes_nothing() && !matches!(test, Test::Is(_) | Test::In(_)) {
            let message = "Collection field '_id' is never indexed so filtering can only be done \
                           using operators '$eq' or '$in'.\n\nResend the command with proper \
                           filter.";
            return Err(Failure::request("FILTER", "FILTER_ID_NOT_INDEXED", message));
        }
        return Ok(());
    }
    if path == "$vector" && !matches!(test, Test::Exists(_)) {
        return Err(Failure::filter("'$vector' can only be filtered by the '$exists' operator"));
    }
    if settings.indexes(path) {
        return Ok(());
    }
    let message = format!(
        "Collection path '{path}' is not indexed: cannot filter on that path.\n\n\
         Resend the command with filter clause without such paths."
    );
    Err(Failure::request("FILTER", "FILTER_PATH_UNINDEXED", message))
}

fn bad_operator(operator: &str) -> Failure {
    let message = format!(
        "Unsupported filter operator '{operator}'.\n\n\
         Resend the command using only supported operators."
    );
    Failure::request("FILTER", "FILTER_UNSUPPORTED_OPERATOR", message)
}
