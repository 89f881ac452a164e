//! A value as bytes that sort as the value does: the primary key of the embedded store.
//!
//! `key(a) < key(b)` exactly when [`order::compare`] says `a < b`, and equal keys mean equal values, so that an index
//! over these bytes gives MongoDB's order of `_id` and MongoDB's idea of a duplicate (1 and 1.0 are the same `_id`).
//!
//! ```text
//! value     rank(1) content
//! number    double's sortable bits (8, big endian)  remainder + 2^15 (2, big endian)
//! string    bytes with 00 written as 00 FF, then 00 00
//! object    for each field: rank(1) name as a string, content; then 00
//! array     for each element: rank(1) content; then 00
//! binary    length (8, big endian) subtype(1) bytes
//! date      milliseconds + 2^63 (8, big endian)
//! ```

use bson::Bson;

use super::order;

/// The key of a value.
pub fn key(value: &Bson) -> Vec<u8> {
    let mut bytes = vec![order::rank(value)];
    push_content(&mut bytes, value);
    bytes
}

/// The recursion is bounded by the depth of a stored document (see [`crate::limits::DEPTH_MAX`]).
fn push_content(bytes: &mut Vec<u8>, value: &Bson) {
    match value {
        Bson::Null => {}
        Bson::String(text) => push_text(bytes, text),
        Bson::Document(document) => {
            for (name, value) in document {
                bytes.push(order::rank(value));
                push_text(bytes, name);
                push_content(bytes, value);
            }
            bytes.push(0);
        }
        Bson::Array(values) => {
            for value in values {
                bytes.push(order::rank(value));
                push_content(bytes, value);
            }
            bytes.push(0);
        }
        Bson::Binary(binary) => {
            bytes.extend((binary.bytes.len() as u64).to_be_bytes());
            bytes.push(binary.subtype.into());
            bytes.extend(&binary.bytes);
        }
        Bson::ObjectId(id) => bytes.extend(id.bytes()),
        Bson::Boolean(truth) => bytes.push(u8::from(*truth)),
        Bson::DateTime(date) => bytes.extend((date.timestamp_millis() ^ i64::MIN).to_be_bytes()),
        value => match order::number(value) {
            Some(number) => {
                bytes.extend(number.double.to_be_bytes());
                bytes.extend((number.remainder ^ i16::MIN).to_be_bytes());
            }
            // Kinds that `value::check` lets nobody store.
            None => push_text(bytes, &value.to_string()),
        },
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    for &byte in text.as_bytes() {
        bytes.push(byte);
        if byte == 0 {
            bytes.push(0xFF);
        }
    }
    bytes.extend([0, 0]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::any_value;

    proptest! {
        #[test]
        fn keys_sort_as_values_do(left in any_value(), right in any_value()) {
            prop_assert_eq!(key(&left).cmp(&key(&right)), order::compare(&left, &right));
        }

        #[test]
        fn neighbouring_integers_and_doubles_keep_their_order(base in any::<i64>(), step in -2_i64..=2) {
            let left = Bson::Int64(base);
            for right in [Bson::Int64(base.saturating_add(step)), Bson::Double(base as f64)] {
                prop_assert_eq!(key(&left).cmp(&key(&right)), order::compare(&left, &right));
            }
        }
    }

    #[test]
    fn text_that_begins_with_another_is_more() {
        assert!(key(&"a".into()) < key(&"a\0".into()));
        assert!(key(&"a\0".into()) < key(&"ab".into()));
    }
}
