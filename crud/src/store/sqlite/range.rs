//! Which keys a query can mean: what it says about `_id`, so that a look-up by `_id` reads one row and not all of them.
//!
//! Only a narrowing: every row of a range is still tested against the whole query.

use bson::Bson;

use crate::document::{key::key, order};
use crate::query::filter::{Condition, Filter, Relation, Test};

/// Keys from one to another, both included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from: Vec<u8>,
    pub(super) to: Vec<u8>,
}

impl Range {
    /// The ranges that hold every document that a query means, in ascending order and apart from each other.
    pub(super) fn of(filter: &Filter) -> Vec<Self> {
        let mut narrowed = Narrowed { range: Self { from: Vec::new(), to: vec![PAST_EVERY_KEY] }, keys: None };
        narrowed.by_condition(filter.condition());
        match narrowed.keys {
            Some(mut keys) => {
                keys.sort();
                keys.dedup();
                keys.into_iter().map(|key| Self { from: key.clone(), to: key }).collect()
            }
            None => vec![narrowed.range],
        }
    }

    /// Leaves out a key and all before it.
    pub(super) fn start_after(&mut self, mut key: Vec<u8>) {
        // Nothing sorts between bytes and the same bytes with a zero behind them.
        key.push(0);
        self.from = key;
    }
}

/// What the conditions read so far allow.
struct Narrowed {
    range: Range,
    /// These keys and no others.
    keys: Option<Vec<Vec<u8>>>,
}

impl Narrowed {
    fn by_condition(&mut self, condition: &Condition) {
        match condition {
            Condition::All(conditions) => conditions.iter().for_each(|condition| self.by_condition(condition)),
            Condition::At(path, tests) if path.names() == ["_id"] => tests.iter().for_each(|test| self.by_test(test)),
            Condition::Any(_) | Condition::At(..) => {}
        }
    }

    fn by_test(&mut self, test: &Test) {
        match test {
            Test::Compare(Relation::Equal, operand) => self.keys = Some(vec![key(operand)]),
            Test::In(operands) => self.keys = Some(operands.iter().map(key).collect()),
            Test::Compare(Relation::Greater | Relation::GreaterOrEqual, operand) => {
                self.raise(key(operand));
                self.lower(end_of_kind(operand));
            }
            Test::Compare(Relation::Less | Relation::LessOrEqual, operand) => {
                self.raise(vec![order::rank(operand)]);
                self.lower(key(operand));
            }
            Test::Exists(_) | Test::Not(_) => {}
        }
    }

    fn raise(&mut self, key: Vec<u8>) {
        if key > self.range.from {
            self.range.from = key;
        }
    }

    fn lower(&mut self, key: Vec<u8>) {
        if key < self.range.to {
            self.range.to = key;
        }
    }
}

/// A key past all values of the operand's kind, which alone it is compared with.
fn end_of_kind(operand: &Bson) -> Vec<u8> {
    vec![order::rank(operand) + 1]
}

/// Past the rank of every kind.
const PAST_EVERY_KEY: u8 = 0xFF;

#[cfg(test)]
mod tests {
    use bson::{Document, doc};
    use proptest::prelude::*;

    use super::*;
    use crate::testing::any_value;

    fn ranges(query: Document) -> Vec<Range> {
        Range::of(&Filter::parse(query).unwrap())
    }

    #[test]
    fn an_identity_is_one_row() {
        let one = vec![Range { from: key(&Bson::Int32(5)), to: key(&Bson::Int32(5)) }];
        assert_eq!(ranges(doc! { "_id": 5, "a": 1 }), one);
        assert_eq!(ranges(doc! { "$and": [{ "_id": 5.0 }] }), one);
        assert_eq!(ranges(doc! { "_id": { "$in": [7, 5, 7] } }).len(), 2);
        assert_eq!(ranges(doc! { "_id": { "$in": [] } }), []);
    }

    #[test]
    fn nothing_about_the_identity_is_the_whole_collection() {
        for query in [doc! {}, doc! { "a": 1 }, doc! { "$or": [{ "_id": 1 }] }, doc! { "_id": { "$ne": 1 } }] {
            assert_eq!(ranges(query), [Range { from: vec![], to: vec![PAST_EVERY_KEY] }]);
        }
    }

    proptest! {
        #[test]
        fn no_document_of_a_query_is_outside(id in any_value(), operand in any_value(), relation in 0..6_usize) {
            prop_assume!(!matches!(id, Bson::Array(_)));
            let operator = ["$eq", "$gt", "$gte", "$lt", "$lte", "$in"][relation];
            let operand = if operator == "$in" { Bson::Array(vec![operand, Bson::Null]) } else { operand };
            let Ok(filter) = Filter::parse(doc! { "_id": { operator: operand } }) else { return Ok(()) };
            let inside = Range::of(&filter).iter().any(|range| range.from <= key(&id) && key(&id) <= range.to);
            let meant = filter.matches(&doc! { "_id": id });
            prop_assert!(inside || !meant);
        }
    }
}
