//! What a query means: MongoDB's rules, in the embedded store's process.
//!
//! - A path leads to several values when it meets arrays: `lines.price` to the price of each line. A test holds when
//!   one
//!   of them passes; `$ne` and `$not` hold when none does.
//! - At its end an array stands for each element and for itself: `{"tags": "red"}` and `{"tags": ["red"]}` both work.
//! - A path that leads nowhere is a missing value, which equals null.
//! - `$gt` and its relatives only compare values of the operand's kind. NaN equals NaN and is neither more nor less.

use std::cmp::Ordering;

use bson::{Bson, Document};

use super::filter::{Condition, Filter, Relation, Test};
use super::path;
use crate::document::order;

impl Filter {
    /// Whether a document is meant by this query.
    pub fn matches(&self, document: &Document) -> bool {
        holds(self.condition(), document)
    }
}

/// The recursion is bounded by the depth of the query's text.
fn holds(condition: &Condition, document: &Document) -> bool {
    match condition {
        Condition::All(conditions) => conditions.iter().all(|condition| holds(condition, document)),
        Condition::Any(conditions) => conditions.iter().any(|condition| holds(condition, document)),
        Condition::At(path, tests) => passes(tests, document, path.names()),
    }
}

fn passes(tests: &[Test], document: &Document, names: &[String]) -> bool {
    tests.iter().all(|test| match test {
        Test::Compare(relation, operand) => {
            any_in_document(document, names, &|value| relates(value, *relation, operand))
        }
        Test::In(operands) => any_in_document(document, names, &|value| {
            operands.iter().any(|operand| relates(value, Relation::Equal, operand))
        }),
        Test::Exists(wanted) => any_in_document(document, names, &|value| value.is_some()) == *wanted,
        Test::Not(tests) => !passes(tests, document, names),
    })
}

/// Whether one value, `None` for a missing one, stands in a relation to an operand.
fn relates(value: Option<&Bson>, relation: Relation, operand: &Bson) -> bool {
    let value = value.unwrap_or(&Bson::Null);
    if order::rank(value) != order::rank(operand) {
        return false;
    }
    if order::is_nan(value) != order::is_nan(operand) {
        return false;
    }
    let ordering = order::compare(value, operand);
    match relation {
        Relation::Equal => ordering == Ordering::Equal,
        Relation::Greater => ordering == Ordering::Greater,
        Relation::GreaterOrEqual => ordering != Ordering::Less,
        Relation::Less => ordering == Ordering::Less,
        Relation::LessOrEqual => ordering != Ordering::Greater,
    }
}

/// Whether a predicate holds of one of the values that `names` leads to. Each call consumes a name or steps into an
/// array once, so the recursion is bounded by the length of the path.
fn any_in_document(document: &Document, names: &[String], predicate: &dyn Fn(Option<&Bson>) -> bool) -> bool {
    let Some((name, rest)) = names.split_first() else { return false };
    any_at(document.get(name), rest, predicate)
}

/// The same for a value that a name led to, with the names that are left.
fn any_at(value: Option<&Bson>, names: &[String], predicate: &dyn Fn(Option<&Bson>) -> bool) -> bool {
    match value {
        Some(Bson::Array(array)) => any_in_array(array, names, predicate) || names.is_empty() && predicate(value),
        Some(Bson::Document(document)) if !names.is_empty() => any_in_document(document, names, predicate),
        _ if names.is_empty() => predicate(value),
        _ => predicate(None),
    }
}

/// The elements of an array: each of them at the path's end; before it the documents among them, and the element that
/// the next name means as an index.
fn any_in_array(array: &[Bson], names: &[String], predicate: &dyn Fn(Option<&Bson>) -> bool) -> bool {
    let Some((name, rest)) = names.split_first() else {
        return array.iter().any(|element| predicate(Some(element)));
    };
    let in_documents = array.iter().filter_map(Bson::as_document).any(|inner| any_in_document(inner, names, predicate));
    in_documents
        || path::index(name).and_then(|index| array.get(index)).is_some_and(|it| any_at_index(it, rest, predicate))
}

/// The element that an index named. At the path's end it stands for itself and not for its elements, as in MongoDB.
fn any_at_index(element: &Bson, names: &[String], predicate: &dyn Fn(Option<&Bson>) -> bool) -> bool {
    match element {
        element if names.is_empty() => predicate(Some(element)),
        Bson::Array(array) => any_in_array(array, names, predicate),
        Bson::Document(document) => any_in_document(document, names, predicate),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use bson::{bson, doc};

    use super::*;

    fn matches(query: Document, document: Document) -> bool {
        Filter::parse(query).unwrap().matches(&document)
    }

    #[test]
    fn an_empty_query_means_every_document() {
        assert!(matches(doc! {}, doc! { "a": 1 }));
    }

    #[test]
    fn numbers_of_every_width_are_equal_by_value() {
        for value in [bson!(5), bson!(5_i64), bson!(5.0)] {
            assert!(matches(doc! { "a": 5 }, doc! { "a": value }));
        }
    }

    #[test]
    fn order_relations_only_compare_values_of_the_operands_kind() {
        assert!(!matches(doc! { "a": { "$gt": 5 } }, doc! { "a": "9" }));
        assert!(!matches(doc! { "a": { "$lt": 5 } }, doc! {}));
        assert!(matches(doc! { "a": { "$lt": "b" } }, doc! { "a": "a" }));
    }

    #[test]
    fn missing_equals_null_and_is_not_equal_to_anything_else() {
        assert!(matches(doc! { "a": null }, doc! {}));
        assert!(matches(doc! { "a": { "$gte": null } }, doc! {}));
        assert!(matches(doc! { "a.b": null }, doc! { "a": 4 }));
        assert!(matches(doc! { "a": { "$ne": 5 } }, doc! {}));
        assert!(matches(doc! { "a": { "$in": [null] } }, doc! {}));
        assert!(!matches(doc! { "a": null }, doc! { "a": 0 }));
        assert!(matches(doc! { "a": { "$exists": false } }, doc! {}));
        assert!(matches(doc! { "a": { "$exists": true } }, doc! { "a": null }));
    }

    #[test]
    fn an_array_stands_for_each_element_and_for_itself() {
        let document = || doc! { "tags": ["red", "blue"] };
        assert!(matches(doc! { "tags": "blue" }, document()));
        assert!(matches(doc! { "tags": ["red", "blue"] }, document()));
        assert!(!matches(doc! { "tags": ["blue", "red"] }, document()));
        assert!(!matches(doc! { "tags": { "$ne": "red" } }, document()));
        assert!(matches(doc! { "n": { "$gt": 4, "$lt": 2 } }, doc! { "n": [1, 5] }), "different elements may pass");
    }

    #[test]
    fn a_path_goes_through_the_documents_of_an_array() {
        let document = || doc! { "lines": [{ "price": 5 }, { "price": 9 }, 7, {}] };
        assert!(matches(doc! { "lines.price": 9 }, document()));
        assert!(matches(doc! { "lines.1.price": 9 }, document()));
        assert!(!matches(doc! { "lines.0.price": 9 }, document()));
        assert!(matches(doc! { "lines.price": null }, document()), "the empty one lacks it");
        assert!(!matches(doc! { "a.b": null }, doc! { "a": [4] }), "a number in an array has no fields to miss");
        assert!(!matches(doc! { "a.b": null }, doc! { "a": [] }));
        assert!(!matches(doc! { "a.b": 1 }, doc! { "a": [[{ "b": 1 }]] }), "one level of arrays only");
        assert!(matches(doc! { "a.0.1": 6 }, doc! { "a": [[5, 6]] }));
        assert!(matches(doc! { "a.0.b": 1 }, doc! { "a": [[{ "b": 1 }]] }), "an index opens one more level");
        assert!(!matches(doc! { "a.0": 5 }, doc! { "a": [[5, 6]] }), "an indexed element stands for itself");
        assert!(matches(doc! { "a.0": [5, 6] }, doc! { "a": [[5, 6]] }));
    }

    #[test]
    fn documents_are_equal_when_their_fields_are_in_the_same_order() {
        assert!(matches(doc! { "a": { "x": 1, "y": 2 } }, doc! { "a": { "x": 1.0, "y": 2 } }));
        assert!(!matches(doc! { "a": { "x": 1, "y": 2 } }, doc! { "a": { "y": 2, "x": 1 } }));
    }

    #[test]
    fn not_a_number_equals_only_itself() {
        assert!(matches(doc! { "a": f64::NAN }, doc! { "a": f64::NAN }));
        assert!(matches(doc! { "a": { "$gte": f64::NAN } }, doc! { "a": f64::NAN }));
        assert!(!matches(doc! { "a": { "$lt": 5 } }, doc! { "a": f64::NAN }));
        assert!(!matches(doc! { "a": { "$gt": f64::NAN } }, doc! { "a": 5 }));
    }

    #[test]
    fn logic_combines_conditions() {
        let query = || doc! { "$or": [{ "a": 1 }, { "$and": [{ "b": { "$not": { "$gt": 5 } } }, { "c": 1 }] }] };
        assert!(matches(query(), doc! { "a": 1 }));
        assert!(matches(query(), doc! { "b": 4, "c": 1 }));
        assert!(matches(query(), doc! { "c": 1 }), "a missing field is not more than 5");
        assert!(!matches(query(), doc! { "b": 6, "c": 1 }));
    }
}
