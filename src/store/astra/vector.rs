//! Vectors as a Data API carries them: single precision, big-endian, base64,
//! as `{"$binary": "…"}`; or an array of numbers. A collection gives back each
//! vector in the form that it was stored in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// `components` in the shorter form.
pub(super) fn binary(components: &[f32]) -> Value {
    let bytes: Vec<u8> = components.iter().flat_map(|x| x.to_be_bytes()).collect();
    json!({ "$binary": STANDARD.encode(bytes) })
}

/// The components in either form, or `None` if it is neither.
pub(super) fn components(value: &Value) -> Option<Vec<f32>> {
    match value {
        Value::Array(numbers) => numbers.iter().map(component).collect(),
        Value::Object(fields) => {
            let bytes = STANDARD.decode(fields.get("$binary")?.as_str()?).ok()?;
            let (components, rest) = bytes.as_chunks::<4>();
            rest.is_empty().then(|| components.iter().map(|&x| f32::from_be_bytes(x)).collect())
        }
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the precision of an embedding")]
fn component(number: &Value) -> Option<f32> {
    number.as_f64().map(|x| x as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the official Python client encodes them.
    const KNOWN: [(&[f32], &str); 3] = [
        (&[0.1, -0.2, 0.3], "PczMzb5MzM0+mZma"),
        (&[0.25, -1.5, 0.0, 0.75, 0.5], "PoAAAL/AAAAAAAAAP0AAAD8AAAA="),
        (&[0.25; 5], "PoAAAD6AAAA+gAAAPoAAAD6AAAA="),
    ];

    #[test]
    fn vectors_are_encoded_as_by_the_official_client() {
        for (components, encoded) in KNOWN {
            assert_eq!(binary(components), json!({ "$binary": encoded }));
        }
    }

    #[test]
    fn both_forms_are_read() {
        for (known, encoded) in KNOWN {
            assert_eq!(components(&json!({ "$binary": encoded })).unwrap(), known);
            assert_eq!(components(&json!(known)).unwrap(), known);
        }
        assert_eq!(components(&json!([1, 0.5])).unwrap(), [1.0, 0.5]);
    }

    #[test]
    fn what_is_no_vector_is_none() {
        for wrong in [
            json!(null),
            json!("PoAAAA=="),
            json!([1, "2"]),
            json!({ "$binary": "PoAA" }),
            json!({ "$binary": "?" }),
            json!({ "$vector": [] }),
        ] {
            assert_eq!(components(&wrong), None, "{wrong}");
        }
    }
}
