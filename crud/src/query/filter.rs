//! A query: which documents of a collection are meant. Parsing only; what it means is in [`super::matching`].

use bson::{Bson, Document};

use super::path::Path;
use crate::document::value;
use crate::limits::CONDITIONS_MAX;
use crate::refusal::Refusal;

/// A query that every store understands.
#[derive(Debug, Clone)]
pub struct Filter {
    condition: Condition,
    document: Document,
}

/// What must hold of a document.
#[derive(Debug, Clone)]
pub enum Condition {
    /// Each of these.
    All(Vec<Condition>),
    /// At least one of these.
    Any(Vec<Condition>),
    /// Each test, of what a path leads to.
    At(Path, Vec<Test>),
}

/// What must hold of the values that a path leads to.
#[derive(Debug, Clone)]
pub enum Test {
    /// One of them stands in this relation to the operand.
    Compare(Relation, Bson),
    /// One of them equals one of the operands.
    In(Vec<Bson>),
    /// There is one, or there is none.
    Exists(bool),
    /// Not all of these tests hold.
    Not(Vec<Test>),
}

/// A relation between a value and an operand of the same kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `$eq`, and a plain value.
    Equal,
    /// `$gt`.
    Greater,
    /// `$gte`.
    GreaterOrEqual,
    /// `$lt`.
    Less,
    /// `$lte`.
    LessOrEqual,
}

impl Filter {
    /// Checks a query that was read from the wire.
    ///
    /// # Errors
    /// An operator that not every store has, an operand of the wrong kind, a malformed path, or too many conditions;
    /// the reason names it and what is allowed.
    pub fn parse(document: Document) -> Result<Self, Refusal> {
        let mut budget = CONDITIONS_MAX;
        let condition = conditions(&document, &mut budget)?;
        Ok(Self { condition, document })
    }

    /// What must hold.
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// The query as MongoDB reads it.
    pub fn document(&self) -> &Document {
        &self.document
    }
}

/// The recursion through `$and` and `$or` is bounded by the depth of the text.
fn conditions(document: &Document, budget: &mut usize) -> Result<Condition, Refusal> {
    let mut all = Vec::with_capacity(document.len());
    for (name, operand) in document {
        spend(budget)?;
        all.push(match name.as_str() {
            "$and" => Condition::All(branches(name, operand, budget)?),
            "$or" => Condition::Any(branches(name, operand, budget)?),
            operator if operator.starts_with('$') => return Err(unknown(operator)),
            path => Condition::At(Path::parse(path, "query")?, tests(operand, budget)?),
        });
    }
    Ok(Condition::All(all))
}

fn branches(operator: &str, operand: &Bson, budget: &mut usize) -> Result<Vec<Condition>, Refusal> {
    let wrong = || Refusal::new(format!("query: {operator} needs an array of queries, at least one"));
    let array = operand.as_array().filter(|array| !array.is_empty()).ok_or_else(wrong)?;
    array.iter().map(|query| conditions(query.as_document().ok_or_else(wrong)?, budget)).collect()
}

/// `{"$gt": 5, "$lt": 9}` is tests, anything else a value to be equal to.
fn tests(operand: &Bson, budget: &mut usize) -> Result<Vec<Test>, Refusal> {
    match operand {
        Bson::Document(document) if document.keys().next().is_some_and(|name| name.starts_with('$')) => {
            operators(document, budget)
        }
        value => Ok(vec![Test::Compare(Relation::Equal, literal(value)?)]),
    }
}

fn operators(document: &Document, budget: &mut usize) -> Result<Vec<Test>, Refusal> {
    let mut tests = Vec::with_capacity(document.len());
    for (operator, operand) in document {
        spend(budget)?;
        let compare = |relation| Ok::<_, Refusal>(Test::Compare(relation, literal(operand)?));
        tests.push(match operator.as_str() {
            "$eq" => compare(Relation::Equal)?,
            "$ne" => Test::Not(vec![compare(Relation::Equal)?]),
            "$gt" => compare(Relation::Greater)?,
            "$gte" => compare(Relation::GreaterOrEqual)?,
            "$lt" => compare(Relation::Less)?,
            "$lte" => compare(Relation::LessOrEqual)?,
            "$in" => Test::In(list(operand)?),
            "$exists" => Test::Exists(truth(operand)?),
            "$not" => Test::Not(negated(operand, budget)?),
            operator => return Err(unknown(operator)),
        });
    }
    Ok(tests)
}

/// The recursion through `$not` is bounded by the depth of the text.
fn negated(operand: &Bson, budget: &mut usize) -> Result<Vec<Test>, Refusal> {
    match operand {
        Bson::Document(document) if document.keys().next().is_some_and(|name| name.starts_with('$')) => {
            operators(document, budget)
        }
        _ => Err(Refusal::new("query: $not needs an object of operators, like {\"$not\": {\"$gt\": 5}}")),
    }
}

fn literal(value: &Bson) -> Result<Bson, Refusal> {
    value::check(value, "query")?;
    Ok(value.clone())
}

fn list(operand: &Bson) -> Result<Vec<Bson>, Refusal> {
    match operand {
        Bson::Array(values) => values.iter().map(literal).collect(),
        _ => Err(Refusal::new("query: $in needs an array of values")),
    }
}

fn truth(operand: &Bson) -> Result<bool, Refusal> {
    operand.as_bool().ok_or_else(|| Refusal::new("query: $exists needs true or false"))
}

fn unknown(operator: &str) -> Refusal {
    Refusal::new(format!(
        "query: the operator {operator} is not supported here; allowed are $eq $ne $gt $gte $lt $lte $in $exists $not \
         on a field, and $and $or around queries"
    ))
}

fn spend(budget: &mut usize) -> Result<(), Refusal> {
    let rest = budget.checked_sub(1);
    *budget = rest.ok_or_else(|| Refusal::new(format!("query: more than {CONDITIONS_MAX} conditions")))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn reason(query: Document) -> String {
        Filter::parse(query).unwrap_err().to_string()
    }

    #[test]
    fn operators_that_not_every_store_has_are_refused_by_name() {
        let allowed = "allowed are $eq $ne";
        for (query, name) in [
            (doc! { "$where": "1" }, "$where"),
            (doc! { "$nor": [{ "a": 1 }] }, "$nor"),
            (doc! { "a": { "$regex": "x" } }, "$regex"),
            (doc! { "a": { "$gt": 1, "b": 2 } }, "operator b"),
            (doc! { "a": { "$not": { "$size": 1 } } }, "$size"),
            (doc! { "$and": [{ "a": { "$elemMatch": {} } }] }, "$elemMatch"),
        ] {
            let reason = reason(query);
            assert!(reason.contains(name) && reason.contains(allowed), "{reason}");
        }
    }

    #[test]
    fn operands_of_the_wrong_kind_are_refused() {
        assert!(reason(doc! { "$and": [] }).contains("$and needs an array of queries, at least one"));
        assert!(reason(doc! { "$or": [1] }).contains("$or needs an array of queries"));
        assert!(reason(doc! { "a": { "$in": 1 } }).contains("$in needs an array"));
        assert!(reason(doc! { "a": { "$exists": 1 } }).contains("$exists needs true or false"));
        assert!(reason(doc! { "a": { "$not": 1 } }).contains("$not needs an object"));
        assert!(reason(doc! { "a": { "$not": {} } }).contains("$not needs an object"));
        assert!(reason(doc! { "a": { "b": { "$gt": 1 } } }).contains("starts with $"));
        assert!(reason(doc! { "a": { "$in": [{ "$gt": 1 }] } }).contains("starts with $"));
        assert!(reason(doc! { "a..b": 1 }).contains("empty name"));
    }

    #[test]
    fn number_of_conditions_is_met_exactly() {
        let query = |count: usize| doc! { "$or": vec![Bson::Document(doc! { "a": 1 }); count] };
        assert!(Filter::parse(query(CONDITIONS_MAX - 1)).is_ok(), "the $or counts too");
        assert!(reason(query(CONDITIONS_MAX)).contains("more than 1000 conditions"));
    }
}
