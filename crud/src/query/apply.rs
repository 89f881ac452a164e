//! What an update does to a document: MongoDB's rules, in the embedded store's process.
//!
//! Changes are made in the order of their paths. Missing parents become documents. An array takes an index: one past
//! its end is reached by filling with nulls. Nothing is made on the way to something that is to be removed.

use bson::{Bson, Document};

use super::path;
use super::update::{Action, Update};
use crate::document::json;
use crate::limits::{DOCUMENT_BYTES_MAX, PADDING_MAX};

/// Why an update does not fit a document that its query found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Inapplicable {
    /// The path goes through a number, a string …
    #[error(
        "update: a path leads through a value that is neither object nor array, or through an array without an index"
    )]
    NoWay,
    /// `$inc` of something else than a number.
    #[error("update: $inc needs a number in the document")]
    NotANumber,
    /// `$push` to something else than an array.
    #[error("update: $push needs an array in the document")]
    NotAnArray,
    /// `$inc` past 64 bits.
    #[error("update: $inc goes past 64 bits")]
    Overflow,
    /// An index too far past an array's end.
    #[error("update: an index is too far past the end of its array")]
    TooFar,
    /// The changed document would be larger than a document may be.
    #[error("update: the document would be larger than 16 MiB")]
    TooLarge,
}

impl Update {
    /// The changed document and its bytes.
    ///
    /// # Errors
    /// What in the document does not let the update be made; nothing is changed then.
    pub fn apply(&self, document: &Document) -> Result<(Document, Vec<u8>), Inapplicable> {
        let mut changed = document.clone();
        for change in self.changes() {
            change_document(&mut changed, change.path.names(), &change.action)?;
        }
        match json::encode(&changed) {
            Ok(bytes) if bytes.len() <= DOCUMENT_BYTES_MAX => Ok((changed, bytes)),
            _ => Err(Inapplicable::TooLarge),
        }
    }
}

/// Each call consumes a name, so the recursion is bounded by the length of the path.
fn change_document(document: &mut Document, names: &[String], action: &Action) -> Result<(), Inapplicable> {
    let Some((name, rest)) = names.split_first() else { return Ok(()) };
    match (document.get_mut(name), action) {
        (None, Action::Unset) => {}
        (None, action) => {
            document.insert(name.clone(), fresh(rest, action));
        }
        (Some(_), Action::Unset) if rest.is_empty() => {
            document.remove(name);
        }
        (Some(value), action) => change_value(value, rest, action)?,
    }
    Ok(())
}

fn change_value(value: &mut Bson, names: &[String], action: &Action) -> Result<(), Inapplicable> {
    match (value, action) {
        (value, action) if names.is_empty() => change_here(value, action),
        (Bson::Document(document), action) => change_document(document, names, action),
        (Bson::Array(array), action) => change_array(array, names, action),
        (_, Action::Unset) => Ok(()),
        _ => Err(Inapplicable::NoWay),
    }
}

fn change_array(array: &mut Vec<Bson>, names: &[String], action: &Action) -> Result<(), Inapplicable> {
    let Some((name, rest)) = names.split_first() else { return Ok(()) };
    let removes = matches!(action, Action::Unset);
    let Some(index) = path::index(name) else {
        return if removes { Ok(()) } else { Err(Inapplicable::NoWay) };
    };
    if let Some(element) = array.get_mut(index) {
        return change_value(element, rest, action);
    }
    if removes {
        return Ok(());
    }
    if index - array.len() > PADDING_MAX {
        return Err(Inapplicable::TooFar);
    }
    array.resize(index, Bson::Null);
    array.push(fresh(rest, action));
    Ok(())
}

/// The change at the path's end. An element of an array is "removed" by becoming null; a field was removed before.
fn change_here(value: &mut Bson, action: &Action) -> Result<(), Inapplicable> {
    match action {
        Action::Set(new) => *value = new.clone(),
        Action::Unset => *value = Bson::Null,
        Action::Increment(by) => *value = sum(value, by)?,
        Action::Push(element) => value.as_array_mut().ok_or(Inapplicable::NotAnArray)?.push(element.clone()),
    }
    Ok(())
}

/// What an action makes where nothing was, inside the documents that the remaining names ask for.
fn fresh(names: &[String], action: &Action) -> Bson {
    let innermost = match action {
        Action::Set(value) | Action::Increment(value) => value.clone(),
        Action::Push(element) => Bson::Array(vec![element.clone()]),
        Action::Unset => Bson::Null,
    };
    names.iter().rev().fold(innermost, |value, name| {
        let mut parent = Document::new();
        parent.insert(name.clone(), value);
        Bson::Document(parent)
    })
}

/// Two 32-bit integers stay 32 bits wide while they fit; a double makes the sum a double.
fn sum(value: &Bson, by: &Bson) -> Result<Bson, Inapplicable> {
    let narrow = matches!((value, by), (Bson::Int32(_), Bson::Int32(_)));
    match (integer(value), integer(by)) {
        (Some(left), Some(right)) => {
            let wide = left.checked_add(right).ok_or(Inapplicable::Overflow)?;
            Ok(match i32::try_from(wide) {
                Ok(short) if narrow => Bson::Int32(short),
                _ => Bson::Int64(wide),
            })
        }
        _ => match (double(value), double(by)) {
            (Some(left), Some(right)) => Ok(Bson::Double(left + right)),
            _ => Err(Inapplicable::NotANumber),
        },
    }
}

fn integer(value: &Bson) -> Option<i64> {
    match *value {
        Bson::Int32(integer) => Some(integer.into()),
        Bson::Int64(integer) => Some(integer),
        _ => None,
    }
}

fn double(value: &Bson) -> Option<f64> {
    match *value {
        Bson::Double(double) => Some(double),
        _ => integer(value).map(|integer| integer as f64),
    }
}

#[cfg(test)]
mod tests {
    use bson::{bson, doc};

    use super::*;

    fn apply(update: Document, document: Document) -> Result<Document, Inapplicable> {
        Update::parse(&update).unwrap().apply(&document).map(|(changed, _)| changed)
    }

    #[test]
    fn set_replaces_in_place_and_adds_at_the_end() {
        let changed = apply(doc! { "$set": { "c": 3, "a": 9 } }, doc! { "a": 1, "b": 2 }).unwrap();
        assert_eq!(changed.to_string(), doc! { "a": 9, "b": 2, "c": 3 }.to_string());
    }

    #[test]
    fn missing_parents_become_documents_even_for_a_number() {
        assert_eq!(apply(doc! { "$set": { "a.0.b": 1 } }, doc! {}).unwrap(), doc! { "a": { "0": { "b": 1 } } });
    }

    #[test]
    fn a_path_through_a_plain_value_is_refused_except_for_removal() {
        assert_eq!(apply(doc! { "$set": { "a.b": 1 } }, doc! { "a": 5 }), Err(Inapplicable::NoWay));
        assert_eq!(apply(doc! { "$set": { "a.b": 1 } }, doc! { "a": null }), Err(Inapplicable::NoWay));
        assert_eq!(apply(doc! { "$set": { "a.b": 1 } }, doc! { "a": [1] }), Err(Inapplicable::NoWay));
        assert_eq!(apply(doc! { "$unset": { "a.b": 1, "c": 1 } }, doc! { "a": 5 }).unwrap(), doc! { "a": 5 });
    }

    #[test]
    fn an_array_takes_an_index_and_is_filled_with_nulls_up_to_it() {
        assert_eq!(apply(doc! { "$set": { "a.1": 9 } }, doc! { "a": [1, 2] }).unwrap(), doc! { "a": [1, 9] });
        assert_eq!(apply(doc! { "$set": { "a.3": 9 } }, doc! { "a": [1] }).unwrap(), doc! { "a": [1, null, null, 9] });
        assert_eq!(apply(doc! { "$unset": { "a.0": 1 } }, doc! { "a": [1, 2] }).unwrap(), doc! { "a": [null, 2] });
        assert_eq!(apply(doc! { "$unset": { "a.7": 1 } }, doc! { "a": [1] }).unwrap(), doc! { "a": [1] });
    }

    #[test]
    fn padding_and_size_have_their_limits() {
        let at = |index: usize| apply(doc! { "$set": { format!("a.{index}"): 1 } }, doc! { "a": [] });
        assert_eq!(at(PADDING_MAX).unwrap().get_array("a").unwrap().len(), PADDING_MAX + 1);
        assert_eq!(at(PADDING_MAX + 1), Err(Inapplicable::TooFar));
        let half = "x".repeat(DOCUMENT_BYTES_MAX / 2);
        assert_eq!(apply(doc! { "$set": { "b": &half } }, doc! { "a": &half }), Err(Inapplicable::TooLarge));
    }

    #[test]
    fn increment_keeps_the_width_while_it_fits() {
        let inc = |value: Bson, by: Bson| apply(doc! { "$inc": { "n": by } }, doc! { "n": value });
        assert_eq!(inc(bson!(1), bson!(2)), Ok(doc! { "n": 3 }));
        assert_eq!(inc(bson!(i32::MAX), bson!(1)), Ok(doc! { "n": 2_147_483_648_i64 }));
        assert_eq!(inc(bson!(1), bson!(2_i64)), Ok(doc! { "n": 3_i64 }));
        assert_eq!(inc(bson!(1_i64), bson!(0.5)), Ok(doc! { "n": 1.5 }));
        assert_eq!(inc(bson!(i64::MAX), bson!(1)), Err(Inapplicable::Overflow));
        assert_eq!(inc(bson!("1"), bson!(1)), Err(Inapplicable::NotANumber));
        assert_eq!(inc(Bson::Null, bson!(1)), Err(Inapplicable::NotANumber));
        assert_eq!(apply(doc! { "$inc": { "n": 2 } }, doc! {}), Ok(doc! { "n": 2 }));
    }

    #[test]
    fn push_adds_at_the_end_and_makes_the_array() {
        assert_eq!(apply(doc! { "$push": { "a": [2] } }, doc! { "a": [1] }).unwrap(), doc! { "a": [1, [2]] });
        assert_eq!(apply(doc! { "$push": { "a.b": 1 } }, doc! {}).unwrap(), doc! { "a": { "b": [1] } });
        assert_eq!(apply(doc! { "$push": { "a": 1 } }, doc! { "a": 5 }), Err(Inapplicable::NotAnArray));
    }
}
