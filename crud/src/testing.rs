//! Random documents for the property tests of this crate.

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime};
use proptest::collection::vec;
use proptest::prelude::*;

/// A value of any supported kind, nested at most three deep, small enough that equal values occur.
pub(crate) fn any_value() -> impl Strategy<Value = Bson> {
    any_scalar().prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Bson::Array),
            vec(("[a-c]{1,2}", inner), 0..4).prop_map(|fields| Bson::Document(fields.into_iter().collect())),
        ]
    })
}

fn any_scalar() -> impl Strategy<Value = Bson> {
    prop_oneof![
        Just(Bson::Null),
        any::<bool>().prop_map(Bson::Boolean),
        (-3..4).prop_map(Bson::Int32),
        any::<i64>().prop_map(Bson::Int64),
        any::<f64>().prop_map(Bson::Double),
        (-3..4).prop_map(|n| Bson::Double(f64::from(n) / 2.0)),
        "[a-c\\x00]{0,3}".prop_map(Bson::String),
        any::<[u8; 2]>().prop_map(|two| {
            let mut bytes = [0; 12];
            bytes[..2].copy_from_slice(&two);
            Bson::ObjectId(ObjectId::from_bytes(bytes))
        }),
        any::<i64>().prop_map(|millis| Bson::DateTime(DateTime::from_millis(millis))),
        (vec(any::<u8>(), 0..3), 0..3_u8)
            .prop_map(|(bytes, subtype)| Bson::Binary(Binary { subtype: BinarySubtype::from(subtype), bytes })),
    ]
}
