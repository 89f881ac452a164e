//! Which values and names a client may store or compare with: what both stores hold and order alike.
//!
//! MongoDB knows more types (regular expressions, code, 128-bit decimals, timestamps of its log …). The embedded store
//! does not, so nobody gets them through this service: refused by name, identically in both stores. Documents that
//! another program put into MongoDB are read back whole whatever they hold.

use bson::Bson;

use crate::refusal::Refusal;

/// Checks a value from a client, nested ones too. `what` names the frame in a refusal.
///
/// The recursion is bounded by [`crate::limits::DEPTH_MAX`]: the value was parsed under that limit.
///
/// # Errors
/// A type that is not supported, a date past the year 9999, or a field's name that both stores could not address.
pub fn check(value: &Bson, what: &str) -> Result<(), Refusal> {
    match value {
        Bson::Document(document) => document.iter().try_for_each(|(name, value)| {
            check_name(name, what)?;
            check(value, what)
        }),
        Bson::Array(values) => values.iter().try_for_each(|value| check(value, what)),
        Bson::DateTime(date) if date.timestamp_millis() > DATE_MILLIS_MAX => {
            Err(Refusal::new(format!("{what} has a date past the year 9999, which extended JSON cannot write")))
        }
        value => match unsupported(value) {
            Some(name) => Err(Refusal::new(format!("{what} has a value of type {name}; allowed are {ALLOWED}"))),
            None => Ok(()),
        },
    }
}

/// Checks the name of a field.
///
/// # Errors
/// An empty name, one that starts with `$`, or one with a dot (a path could not reach it) or a zero byte (BSON could
/// not hold it).
pub fn check_name(name: &str, what: &str) -> Result<(), Refusal> {
    let wrong = match name {
        "" => "is empty",
        name if name.starts_with('$') => "starts with $",
        name if name.contains('.') => "contains a dot",
        name if name.contains('\0') => "contains a zero byte",
        _ => return Ok(()),
    };
    let rule = "a field's name is not empty, does not start with $ and has no dot or zero byte";
    Err(Refusal::new(format!("{what} has the name \"{name}\" that {wrong}; {rule}")))
}

/// The name of a type that this service does not take, `None` for those it does.
fn unsupported(value: &Bson) -> Option<&'static str> {
    Some(match value {
        Bson::Double(_) | Bson::String(_) | Bson::Array(_) | Bson::Document(_) | Bson::Boolean(_) => return None,
        Bson::Null | Bson::Int32(_) | Bson::Int64(_) | Bson::Binary(_) => return None,
        Bson::ObjectId(_) | Bson::DateTime(_) => return None,
        Bson::RegularExpression(_) => "$regularExpression",
        Bson::JavaScriptCode(_) | Bson::JavaScriptCodeWithScope(_) => "$code",
        Bson::Timestamp(_) => "$timestamp",
        Bson::Symbol(_) => "$symbol",
        Bson::Decimal128(_) => "$numberDecimal",
        Bson::Undefined => "$undefined",
        Bson::MaxKey => "$maxKey",
        Bson::MinKey => "$minKey",
        Bson::DbPointer(_) => "$dbPointer",
    })
}

const ALLOWED: &str = "string, number ($numberInt, $numberLong, $numberDouble), boolean, null, object, array, $oid, \
                       $date, $binary and $uuid";
/// The last millisecond of the year 9999.
const DATE_MILLIS_MAX: i64 = 253_402_300_799_999;

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;
    use crate::document::json;

    fn reason(text: &str) -> String {
        check(&Bson::Document(json::parse(text.as_bytes(), "document").unwrap()), "document").unwrap_err().to_string()
    }

    #[test]
    fn types_that_one_store_lacks_are_refused_by_name() {
        assert!(reason(r#"{"a":[{"b":{"$numberDecimal":"1.5"}}]}"#).contains("$numberDecimal; allowed are string"));
        assert!(reason(r#"{"a":{"$regularExpression":{"pattern":"x","options":""}}}"#).contains("$regularExpression"));
        assert!(reason(r#"{"a":{"$minKey":1}}"#).contains("$minKey"));
        assert!(reason(r#"{"a":{"$date":{"$numberLong":"253402300800000"}}}"#).contains("year 9999"));
    }

    #[test]
    fn names_that_a_path_cannot_reach_are_refused() {
        assert!(reason(r#"{"":1}"#).contains("is empty"));
        assert!(reason(r#"{"a":{"$b":1}}"#).contains("starts with $"));
        assert!(reason(r#"{"a":[{"b.c":1}]}"#).contains("contains a dot"));
        assert!(check_name("a\0b", "document").unwrap_err().to_string().contains("zero byte"));
        assert!(check(&Bson::Document(doc! { "a$b": { "0": 1 } }), "document").is_ok());
    }
}
