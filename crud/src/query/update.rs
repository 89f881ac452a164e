//! An update: how matching documents change. Parsing only; what it does is in [`super::apply`].
//!
//! An update is made of operators. A plain document is refused: elsewhere it means "replace the whole document", which
//! loses every field that its sender forgot.

use bson::{Bson, Document};

use super::path::Path;
use crate::document::{order, value};
use crate::limits::CONDITIONS_MAX;
use crate::refusal::Refusal;

/// An update that every store understands.
#[derive(Debug, Clone)]
pub struct Update {
    changes: Vec<Change>,
    document: Document,
}

/// One change at one path.
#[derive(Debug, Clone)]
pub struct Change {
    /// Where.
    pub path: Path,
    /// What.
    pub action: Action,
}

/// What happens at a path.
#[derive(Debug, Clone)]
pub enum Action {
    /// The value becomes this one.
    Set(Bson),
    /// The field goes; an element of an array becomes null.
    Unset,
    /// This number is added; a missing field becomes it.
    Increment(Bson),
    /// This value is added at an array's end; a missing field becomes an array of it.
    Push(Bson),
}

impl Update {
    /// Checks an update that was read from the wire.
    ///
    /// # Errors
    /// No operator, one that not every store has, an operand of the wrong kind, a change of `_id`, or two changes of
    /// which one would overwrite the other; the reason names it and what is allowed.
    pub fn parse(document: &Document) -> Result<Self, Refusal> {
        if document.is_empty() {
            return Err(Refusal::new(format!("update is empty; {ALLOWED}")));
        }
        let mut changes = Vec::new();
        for (operator, operand) in document {
            changes.extend(changes_of(operator, operand)?);
        }
        if changes.len() > CONDITIONS_MAX {
            return Err(Refusal::new(format!(
                "update: {} changes; at most {CONDITIONS_MAX} are allowed",
                changes.len()
            )));
        }
        changes.sort_by(|left, right| left.path.cmp(&right.path));
        // In this order whatever lies below a path follows it directly.
        match changes.iter().zip(changes.iter().skip(1)).find(|(first, second)| first.path.holds(&second.path)) {
            Some((first, second)) => Err(Refusal::new(format!(
                "update: \"{}\" and \"{}\" would overwrite each other",
                first.path, second.path
            ))),
            None => Ok(Self { document: in_order(&changes), changes }),
        }
    }

    /// The changes, in the order in which they are made.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The update as MongoDB reads it.
    pub fn document(&self) -> &Document {
        &self.document
    }
}

fn changes_of(operator: &str, operand: &Bson) -> Result<Vec<Change>, Refusal> {
    let action: fn(&str, &Bson) -> Result<Action, Refusal> = match operator {
        "$set" => |_, value| Ok(Action::Set(literal(value)?)),
        "$unset" => |_, _| Ok(Action::Unset),
        "$inc" => increment,
        "$push" => push,
        operator if operator.starts_with('$') => {
            return Err(Refusal::new(format!("update: the operator {operator} is not supported here; {ALLOWED}")));
        }
        name => {
            let reason =
                format!("update: \"{name}\" is not an operator, and replacing a document is not supported; {ALLOWED}");
            return Err(Refusal::new(reason));
        }
    };
    let fields = operand.as_document().filter(|fields| !fields.is_empty()).ok_or_else(|| {
        Refusal::new(format!(
            "update: {operator} needs an object of paths, at least one, like {{\"{operator}\": {{\"a.b\": 1}}}}"
        ))
    })?;
    let change = |(text, operand): (&String, &Bson)| {
        let path = Path::parse(text, "update")?;
        match path.head() {
            "_id" => Err(Refusal::new("update: _id never changes; create another document and delete this one")),
            _ => Ok(Change { action: action(text, operand)?, path }),
        }
    };
    fields.iter().map(change).collect()
}

fn increment(path: &str, operand: &Bson) -> Result<Action, Refusal> {
    match order::number(operand) {
        Some(_) => Ok(Action::Increment(operand.clone())),
        None => Err(Refusal::new(format!("update: $inc of \"{path}\" needs a number"))),
    }
}

fn push(path: &str, operand: &Bson) -> Result<Action, Refusal> {
    match operand {
        Bson::Document(document) if document.keys().any(|name| name.starts_with('$')) => Err(Refusal::new(format!(
            "update: $push of \"{path}\" takes one value; $each and other modifiers are not supported"
        ))),
        value => Ok(Action::Push(literal(value)?)),
    }
}

fn literal(value: &Bson) -> Result<Bson, Refusal> {
    value::check(value, "update")?;
    Ok(value.clone())
}

/// The update with its paths in the order of the changes, so that a server that goes by the text adds fields in the
/// same order as one that sorts.
fn in_order(changes: &[Change]) -> Document {
    let mut update = Document::new();
    for change in changes {
        let (operator, operand) = match &change.action {
            Action::Set(value) => ("$set", value.clone()),
            Action::Unset => ("$unset", Bson::Boolean(true)),
            Action::Increment(number) => ("$inc", number.clone()),
            Action::Push(value) => ("$push", value.clone()),
        };
        let fields = update.entry(operator.to_owned()).or_insert_with(|| Bson::Document(Document::new()));
        if let Bson::Document(fields) = fields {
            fields.insert(change.path.to_string(), operand);
        }
    }
    update
}

const ALLOWED: &str = "allowed are $set $unset $inc $push, like {\"$set\": {\"status\": \"paid\"}}";

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn reason(update: Document) -> String {
        Update::parse(&update).unwrap_err().to_string()
    }

    #[test]
    fn a_document_without_operators_is_refused() {
        assert!(reason(doc! { "status": "paid" }).contains("\"status\" is not an operator"));
        assert!(reason(doc! {}).contains("update is empty; allowed are $set $unset $inc $push"));
    }

    #[test]
    fn operators_that_not_every_store_has_are_refused_by_name() {
        assert!(reason(doc! { "$rename": { "a": "b" } }).contains("$rename is not supported here; allowed are $set"));
        assert!(reason(doc! { "$push": { "a": { "$each": [1] } } }).contains("$each"));
        assert!(reason(doc! { "$set": { "a.$": 1 } }).contains("starts with $"));
    }

    #[test]
    fn operands_of_the_wrong_kind_are_refused() {
        assert!(reason(doc! { "$set": 1 }).contains("$set needs an object of paths"));
        assert!(reason(doc! { "$set": {} }).contains("at least one"));
        assert!(reason(doc! { "$inc": { "a": "1" } }).contains("$inc of \"a\" needs a number"));
        assert!(reason(doc! { "$set": { "a": { "$b": 1 } } }).contains("starts with $"));
    }

    #[test]
    fn the_identity_never_changes() {
        assert!(reason(doc! { "$set": { "_id": 1 } }).contains("_id never changes"));
        assert!(reason(doc! { "$unset": { "_id.a": 1 } }).contains("_id never changes"));
    }

    #[test]
    fn changes_that_would_overwrite_each_other_are_refused() {
        assert!(reason(doc! { "$set": { "a": 1 }, "$inc": { "a": 1 } }).contains("overwrite"));
        assert!(reason(doc! { "$set": { "a.b.c": 1, "z": 1 }, "$unset": { "a": 1 } }).contains("overwrite"));
        assert!(Update::parse(&doc! { "$set": { "a.b": 1, "a.c": 1, "ab": 1 } }).is_ok());
    }

    #[test]
    fn number_of_changes_is_met_exactly() {
        let update =
            |count: usize| doc! { "$set": (0..count).map(|n| (format!("f{n}"), Bson::Null)).collect::<Document>() };
        assert!(Update::parse(&update(CONDITIONS_MAX)).is_ok());
        assert!(reason(update(CONDITIONS_MAX + 1)).contains("at most 1000"));
    }

    #[test]
    fn changes_are_made_in_the_order_of_their_paths() {
        let update = Update::parse(&doc! { "$set": { "b": 1, "a.10": 2, "a.9": 3 } }).unwrap();
        assert_eq!(update.document().to_string(), doc! { "$set": { "a.9": 3, "a.10": 2, "b": 1 } }.to_string());
    }
}
