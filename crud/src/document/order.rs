//! MongoDB's order of values: what `$gt` means and how `_id` sorts.
//!
//! Values of different kinds are ordered by their kind's rank, values of one kind by their content. Numbers of every
//! width are one kind and are compared exactly: 2^53 + 1 as an integer is more than 2^53 as a double.

use std::cmp::Ordering;

use bson::{Bson, Document};

/// Compares two values. A total order; NaN is below every other number, and -0 equals 0.
///
/// The recursion is bounded by the depth of a stored document (see [`crate::limits::DEPTH_MAX`]).
pub fn compare(left: &Bson, right: &Bson) -> Ordering {
    let by_rank = rank(left).cmp(&rank(right));
    match (left, right) {
        _ if by_rank.is_ne() => by_rank,
        (Bson::String(left), Bson::String(right)) => left.as_bytes().cmp(right.as_bytes()),
        (Bson::Document(left), Bson::Document(right)) => compare_documents(left, right),
        (Bson::Array(left), Bson::Array(right)) => compare_arrays(left, right),
        (Bson::Binary(left), Bson::Binary(right)) => (left.bytes.len().cmp(&right.bytes.len()))
            .then_with(|| u8::from(left.subtype).cmp(&u8::from(right.subtype)))
            .then_with(|| left.bytes.cmp(&right.bytes)),
        (Bson::ObjectId(left), Bson::ObjectId(right)) => left.bytes().cmp(&right.bytes()),
        (Bson::Boolean(left), Bson::Boolean(right)) => left.cmp(right),
        (Bson::DateTime(left), Bson::DateTime(right)) => left.timestamp_millis().cmp(&right.timestamp_millis()),
        (left, right) => match (number(left), number(right)) {
            (Some(left), Some(right)) => left.cmp(&right),
            // Kinds that `value::check` lets nobody store or ask for, and null, which equals itself.
            _ => left.to_string().cmp(&right.to_string()),
        },
    }
}

/// The rank of a value's kind. `$gt` and its relatives only match values of the operand's rank.
pub fn rank(value: &Bson) -> u8 {
    match value {
        Bson::MinKey => 1,
        Bson::Undefined => 2,
        Bson::Null => 5,
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_) => 10,
        Bson::String(_) | Bson::Symbol(_) => 15,
        Bson::Document(_) => 20,
        Bson::Array(_) => 25,
        Bson::Binary(_) => 30,
        Bson::ObjectId(_) => 35,
        Bson::Boolean(_) => 40,
        Bson::DateTime(_) => 45,
        Bson::Timestamp(_) => 47,
        Bson::RegularExpression(_) => 50,
        Bson::DbPointer(_) => 55,
        Bson::JavaScriptCode(_) => 60,
        Bson::JavaScriptCodeWithScope(_) => 65,
        Bson::MaxKey => 127,
    }
}

/// A number in a form that compares like the number: the nearest double's sortable bits, then what was rounded off.
///
/// Rounding to the nearest double keeps order, so only numbers with the same double need the remainder, which is 0 for
/// a double itself and at most 512 for a 64-bit integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number {
    pub(crate) double: u64,
    pub(crate) remainder: i16,
}

/// The number in a value of a numeric type.
pub(crate) fn number(value: &Bson) -> Option<Number> {
    match *value {
        Bson::Int32(integer) => Some(Number { double: sortable(f64::from(integer)), remainder: 0 }),
        Bson::Int64(integer) => {
            let double = integer as f64;
            let remainder = i128::from(integer) - whole(double);
            Some(Number { double: sortable(double), remainder: i16::try_from(remainder).unwrap_or_default() })
        }
        Bson::Double(double) => Some(Number { double: sortable(double), remainder: 0 }),
        _ => None,
    }
}

pub(crate) fn is_nan(value: &Bson) -> bool {
    matches!(value, Bson::Double(double) if double.is_nan())
}

/// Bits that sort as the doubles do, NaN first, with one form of zero.
fn sortable(double: f64) -> u64 {
    if double.is_nan() {
        return 0;
    }
    let bits = if double == 0.0 { 0 } else { double.to_bits() };
    match bits >> 63 {
        0 => bits | 1 << 63,
        _ => !bits,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the double came from an i64, so it is whole and within i128")]
fn whole(double: f64) -> i128 {
    double as i128
}

/// Field by field: kind, then name, then content; a document that ends first is less.
fn compare_documents(left: &Document, right: &Document) -> Ordering {
    let mut right_fields = right.iter();
    for (left_name, left_value) in left {
        let Some((right_name, right_value)) = right_fields.next() else { return Ordering::Greater };
        let by_field = (rank(left_value).cmp(&rank(right_value)))
            .then_with(|| left_name.as_bytes().cmp(right_name.as_bytes()))
            .then_with(|| compare(left_value, right_value));
        if by_field.is_ne() {
            return by_field;
        }
    }
    if right_fields.next().is_some() { Ordering::Less } else { Ordering::Equal }
}

fn compare_arrays(left: &[Bson], right: &[Bson]) -> Ordering {
    let unequal = left.iter().zip(right).map(|(left, right)| compare(left, right)).find(|ordering| ordering.is_ne());
    unequal.unwrap_or_else(|| left.len().cmp(&right.len()))
}

#[cfg(test)]
mod tests {
    use bson::{bson, doc};

    use super::*;

    #[test]
    fn kinds_are_ordered_as_mongodb_orders_them() {
        let ascending = [
            Bson::Null,
            bson!(7),
            bson!("a"),
            bson!({ "a": 1 }),
            bson!([1]),
            Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![1] }),
            Bson::ObjectId(bson::oid::ObjectId::from_bytes([0; 12])),
            bson!(false),
            Bson::DateTime(bson::DateTime::from_millis(0)),
        ];
        assert!(ascending.is_sorted_by(|left, right| compare(left, right).is_lt()));
    }

    #[test]
    fn numbers_of_every_width_are_compared_exactly() {
        let past = (1_i64 << 53) + 1;
        let ascending = [
            bson!(f64::NAN),
            bson!(f64::NEG_INFINITY),
            bson!(i64::MIN),
            bson!(-1.5),
            bson!(-1),
            bson!(0),
            bson!(0.5),
            bson!(9_007_199_254_740_992.0),
            bson!(past),
            bson!(i64::MAX),
            bson!(9_223_372_036_854_775_808.0),
            bson!(f64::INFINITY),
        ];
        assert!(ascending.is_sorted_by(|left, right| compare(left, right).is_lt()));
        assert!(compare(&bson!(1), &bson!(1.0)).is_eq());
        assert!(compare(&bson!(1), &bson!(1_i64)).is_eq());
        assert!(compare(&bson!(-0.0), &bson!(0)).is_eq());
    }

    #[test]
    fn documents_compare_kind_then_name_then_content() {
        let less = |left: Document, right: Document| assert!(compare(&left.into(), &right.into()).is_lt());
        less(doc! {}, doc! { "a": 1 });
        less(doc! { "z": 1 }, doc! { "a": "x" });
        less(doc! { "a": 9 }, doc! { "b": 1 });
        less(doc! { "a": 1 }, doc! { "a": 2 });
        less(doc! { "a": 1 }, doc! { "a": 1, "b": 0 });
    }

    #[test]
    fn binary_compares_length_first() {
        let binary = |bytes: &[u8]| {
            Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: bytes.to_vec() })
        };
        assert!(compare(&binary(&[9]), &binary(&[1, 1])).is_lt());
    }
}
