//! Vectors in either form, and how similar two of them are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::failure::Failure;

/// What is added to similarity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    Cosine,
    DotProduct,
    Euclidean,
}

impl Metric {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "cosine" => Some(Self::Cosine),
            "dot_product" => Some(Self::DotProduct),
            "euclidean" => Some(Self::Euclidean),
            _ => None,
        }
    }

    pub fn similarity(self, one: &[f32], other: &[f32]) -> f64 {
        match self {
            Self::Cosine => {
                let lengths = (dot(one, one) * dot(other, other)).sqrt();
                f64::midpoint(1.0, (dot(one, other) / lengths).clamp(-1.0, 1.0))
            }
            Self::DotProduct => f64::midpoint(1.0, dot(one, other)),
            Self::Euclidean => {
                let pairs = one.iter().zip(other);
                let distances = pairs.map(|(&one, &other)| f64::from(one) - f64::from(other));
                1.0 / (1.0 + distances.map(|distance| distance * distance).sum::<f64>())
            }
        }
    }
}

/// What a `$vector` holds; nothing if it is null.
pub fn parse(value: &Value) -> Result<Option<Vec<f32>>, Failure> {
    match value {
        Value::Null => Ok(None),
        Value::Array(elements) if elements.is_empty() => Err(empty()),
        Value::Array(elements) => elements.iter().map(element).collect::<Result<_, _>>().map(Some),
        Value::Object(fields) => match fields.get("$binary") {
            Some(Value::String(text)) if fields.len() == 1 => decode(text).map(Some),
            _ => Err(bad_type("binary vector value needs to be in the '$binary' field")),
        },
        _ => Err(bad_type("needs to be an array or a '$binary' object")),
    }
}

/// Parses a vector and has the database accept it.
pub fn parse_for(
    value: &Value,
    dimension: usize,
    metric: Metric,
) -> Result<Option<Vec<f32>>, Failure> {
    let Some(vector) = parse(value)? else { return Ok(None) };
    if vector.len() != dimension {
        let message = format!(
            "Length of vector parameter different from declared '$vector' dimension: expected \
             {dimension}, got {}.",
            vector.len()
        );
        return Err(Failure::request("DOCUMENT", "INVALID_VECTOR_LENGTH", message));
    }
    if let Some(place) = vector.iter().position(|element| !element.is_finite()) {
        let problem = format!("non-finite value at vector[{place}]={}", vector[place]);
        return Err(Failure::query(&problem));
    }
    if metric == Metric::Cosine && dot(&vector, &vector) < 1e-12 {
        return Err(Failure::query(
            "Zero and near-zero vectors cannot be indexed or queried with cosine similarity",
        ));
    }
    Ok(Some(vector))
}

/// A number as the server writes a float: the shortest that means the same.
pub fn float(number: f32) -> Value {
    number.to_string().parse::<f64>().unwrap_or_default().into()
}

fn dot(one: &[f32], other: &[f32]) -> f64 {
    one.iter().zip(other).map(|(&one, &other)| f64::from(one) * f64::from(other)).sum()
}

/// Rounds once, from the decimal to the float.
fn element(value: &Value) -> Result<f32, Failure> {
    if let Value::Number(number) = value {
        return Ok(number.to_string().parse().unwrap_or(f32::NAN));
    }
    let message = format!(
        "Bad $vector value: needs to be an array containing only Numbers but has a value {value}."
    );
    Err(Failure::request("DOCUMENT", "SHRED_BAD_VECTOR_VALUE", message))
}

fn decode(text: &str) -> Result<Vec<f32>, Failure> {
    let bad = |problem: &str| {
        let message = format!("Bad binary vector value to shred: {problem}.");
        Failure::request("DOCUMENT", "SHRED_BAD_BINARY_VECTOR_VALUE", message)
    };
    let bytes =
        STANDARD.decode(text).map_err(|_| bad("the 'base64' encoded value is not valid"))?;
    if bytes.is_empty() {
        return Err(empty());
    }
    let (words, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(bad("binary value to decode is not a multiple of 4 bytes long"));
    }
    Ok(words.iter().map(|&word| f32::from_be_bytes(word)).collect())
}

fn empty() -> Failure {
    let message = "Bad $vector value: cannot be empty Array.";
    Failure::request("DOCUMENT", "SHRED_BAD_VECTOR_SIZE", message)
}

fn bad_type(problem: &str) -> Failure {
    let message = format!("Bad $vector value to shred: {problem}.");
    Failure::request("DOCUMENT", "SHRED_BAD_DOCUMENT_VECTOR_TYPE", message)
}
