//! Text to document and back: strict JSON, then MongoDB extended JSON.
//!
//! Stricter than the usual JSON reader in three ways, each because a database hears the result: depth and number of
//! values are bounded while reading, not afterwards; and a name that occurs twice in one object is refused, since
//! `{"n":{"$gt":1},"n":{"$lt":9}}` would silently lose a condition and delete more than its sender meant.

use std::cell::Cell;
use std::fmt;

use bson::{Bson, Document};
use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::limits::{DEPTH_MAX, DOCUMENT_BYTES_MAX, TEXT_BYTES_MAX, VALUES_MAX};
use crate::refusal::Refusal;

/// Reads one document from extended JSON. `what` names the frame in a refusal ("query", "update", "document").
///
/// # Errors
/// Text that is too long, not JSON, too deep, too rich, not an object, or malformed extended JSON.
pub fn parse(text: &[u8], what: &str) -> Result<Document, Refusal> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Refusal::new(format!("{what} has {} bytes; at most {TEXT_BYTES_MAX} are allowed", text.len())));
    }
    if text.is_empty() {
        return Err(Refusal::new(format!("{what} is empty; a JSON object is needed, {{}} at least")));
    }
    let tree = tree(text).map_err(|error| Refusal::new(format!("{what} is not valid JSON: {error}")))?;
    if !tree.is_object() {
        return Err(Refusal::new(format!("{what} is not a JSON object like {{\"name\": \"value\"}}")));
    }
    let document = match Bson::try_from(tree) {
        Ok(Bson::Document(document)) => document,
        Ok(_) => return Err(Refusal::new(format!("{what} is a single extended JSON value; an object is needed"))),
        Err(error) => return Err(Refusal::new(format!("{what} is not valid extended JSON: {error}"))),
    };
    match encode(&document)?.len() {
        bytes if bytes > DOCUMENT_BYTES_MAX => {
            Err(Refusal::new(format!("{what} has {bytes} bytes as BSON; at most {DOCUMENT_BYTES_MAX} are allowed")))
        }
        _ => Ok(document),
    }
}

/// A document as relaxed extended JSON, one frame of an answer.
pub fn render(document: Document) -> Bytes {
    Bytes::from(Bson::Document(document).into_relaxed_extjson().to_string())
}

/// A document as BSON bytes, as stores hold it.
///
/// # Errors
/// A name with a zero byte inside, which BSON cannot hold.
pub fn encode(document: &Document) -> Result<Vec<u8>, Refusal> {
    document.to_vec().map_err(|error| Refusal::new(format!("the document cannot be stored as BSON: {error}")))
}

fn tree(text: &[u8]) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let values = Cell::new(0);
    let value = Strict { depth: 0, values: &values }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Reads one JSON value at a depth, counting all values of the text.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    values: &'a Cell<usize>,
}

impl Strict<'_> {
    /// The reader of what is inside an object or array.
    fn deeper<E: Error>(self) -> Result<Self, E> {
        match self.depth < DEPTH_MAX {
            true => Ok(Self { depth: self.depth + 1, ..self }),
            false => Err(E::custom(format_args!("nested more than {DEPTH_MAX} deep"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > VALUES_MAX {
            return Err(D::Error::custom(format_args!("more than {VALUES_MAX} values")));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let inside = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(inside)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inside = self.deeper()?;
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the name \"{name}\" occurs twice in one object")));
            }
            let value = map.next_value_seed(inside)?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use bson::{doc, oid::ObjectId};

    use super::*;

    fn reason(text: &str) -> String {
        parse(text.as_bytes(), "query").unwrap_err().to_string()
    }

    #[test]
    fn canonical_and_relaxed_forms_are_the_same_document() {
        let id = ObjectId::parse_str("507f1f77bcf86cd799439011").unwrap();
        let expected = doc! { "_id": id, "n": 5_i32, "big": 5_000_000_000_i64, "at": bson::DateTime::from_millis(0) };
        let canonical = r#"{"_id":{"$oid":"507f1f77bcf86cd799439011"},"n":{"$numberInt":"5"},
            "big":{"$numberLong":"5000000000"},"at":{"$date":{"$numberLong":"0"}}}"#;
        let relaxed = concat!(
            r#"{"_id":{"$oid":"507f1f77bcf86cd799439011"},"n":5,"big":5000000000,"#,
            r#""at":{"$date":"1970-01-01T00:00:00Z"}}"#
        );
        assert_eq!(parse(canonical.as_bytes(), "document").unwrap(), expected);
        assert_eq!(parse(relaxed.as_bytes(), "document").unwrap(), expected);
        assert_eq!(render(expected), relaxed);
    }

    #[test]
    fn a_name_that_occurs_twice_is_refused() {
        assert!(reason(r#"{"n":{"$gt":1},"n":{"$lt":9}}"#).contains("\"n\" occurs twice"));
    }

    #[test]
    fn depth_is_met_exactly() {
        let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        assert!(parse(nested(DEPTH_MAX).as_bytes(), "query").is_ok());
        assert!(reason(&nested(DEPTH_MAX + 1)).contains("nested more than 64 deep"));
        assert!(reason(&nested(1_000_000)).contains("nested more than 64 deep"));
    }

    #[test]
    fn number_of_values_is_met_exactly() {
        let wide = |count: usize| format!("{{\"a\":[{}]}}", vec!["1"; count].join(","));
        assert!(parse(wide(VALUES_MAX - 2).as_bytes(), "query").is_ok(), "the object and the array count too");
        assert!(reason(&wide(VALUES_MAX - 1)).contains("more than 100000 values"));
    }

    #[test]
    fn length_is_refused_before_reading() {
        let text = vec![b'['; TEXT_BYTES_MAX + 1];
        assert!(parse(&text, "document").unwrap_err().to_string().contains("at most 16777216"));
    }

    #[test]
    fn what_is_not_an_object_is_refused_with_a_reason() {
        assert!(reason("").contains("query is empty"));
        assert!(reason("[1]").contains("not a JSON object"));
        assert!(reason("nonsense").contains("not valid JSON"));
        assert!(reason("{} {}").contains("trailing"));
        assert!(reason("{\"a\":1e999}").contains("out of range"));
        assert!(reason(r#"{"$oid":"507f1f77bcf86cd799439011"}"#).contains("single extended JSON value"));
        assert!(reason(r#"{"_id":{"$oid":"5"}}"#).contains("not valid extended JSON"));
        assert!(parse(b"{\"a\":\"\xff\"}", "query").is_err());
    }
}
