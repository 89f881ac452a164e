//! A request to the database worker, from frames to something that is known to be allowed.
//!
//! ```text
//! database  collection  CREATE    document
//! database  collection  RETRIEVE  query  [options]      options: {"limit": 1 to 900}
//! database  collection  UPDATE    query  update
//! database  collection  DELETE    query
//! ```
//!
//! UPDATE and DELETE mean every document that the query means; `{}` means all.

use bson::{Bson, Document, oid::ObjectId};
use bytes::Bytes;

use crate::document::{json, value};
use crate::limits::ROWS_MAX;
use crate::query::{Filter, Update};
use crate::refusal::{Refusal, one_line};
use crate::store::Namespace;

/// What is to be done with a collection.
#[derive(Debug, Clone)]
pub enum Request {
    /// Add this document, which has an `_id` as its first field.
    Create(Document),
    /// Find documents: all of them, or the first of them.
    Retrieve(Filter, Option<usize>),
    /// Change documents.
    Update(Filter, Update),
    /// Delete documents.
    Delete(Filter),
}

impl Request {
    /// Reads the frames of a request.
    ///
    /// # Errors
    /// Whatever is wrong with it: what, and what is allowed.
    pub fn parse(frames: &[Bytes]) -> Result<(Namespace, Self), Refusal> {
        let [database, collection, operation, operands @ ..] = frames else {
            return Err(Refusal::new(format!("a request has {} frames; {SHAPE}", frames.len())));
        };
        let namespace = Namespace::parse(database, collection)?;
        let request = match (operation.as_ref(), operands) {
            (b"CREATE", [document]) => Self::Create(with_id(json::parse(document, "document")?)?),
            (b"RETRIEVE", [query]) => Self::Retrieve(filter(query)?, None),
            (b"RETRIEVE", [query, options]) => Self::Retrieve(filter(query)?, limit(options)?),
            (b"UPDATE", [query, update]) => {
                Self::Update(filter(query)?, Update::parse(&json::parse(update, "update")?)?)
            }
            (b"DELETE", [query]) => Self::Delete(filter(query)?),
            (b"CREATE" | b"RETRIEVE" | b"UPDATE" | b"DELETE", operands) => {
                let (name, count) = (String::from_utf8_lossy(operation), operands.len());
                return Err(Refusal::new(format!("{name} has {count} frames behind it; {SHAPE}")));
            }
            (operation, _) => {
                let name = one_line(&String::from_utf8_lossy(operation));
                return Err(Refusal::new(format!("unknown operation \"{name}\"; {SHAPE}")));
            }
        };
        Ok((namespace, request))
    }
}

fn filter(text: &[u8]) -> Result<Filter, Refusal> {
    Filter::parse(json::parse(text, "query")?)
}

/// The document with its `_id` in front, where MongoDB puts it; a new one if it has none.
fn with_id(mut document: Document) -> Result<Document, Refusal> {
    let id = document.remove("_id").unwrap_or_else(|| Bson::ObjectId(ObjectId::new()));
    if matches!(id, Bson::Array(_)) {
        return Err(Refusal::new("document: _id is an array; any other value is allowed"));
    }
    let mut ordered = Document::new();
    ordered.insert("_id", id);
    ordered.extend(document);
    ordered.iter().try_for_each(|(name, field)| {
        value::check_name(name, "document")?;
        value::check(field, "document")
    })?;
    Ok(ordered)
}

fn limit(text: &[u8]) -> Result<Option<usize>, Refusal> {
    let allowed = format!("allowed is {{\"limit\": N}} with N from 1 to {ROWS_MAX}");
    let mut options = json::parse(text, "options")?;
    let limit = match options.remove("limit") {
        None => None,
        Some(Bson::Int32(limit)) => {
            let limit = usize::try_from(limit).ok().filter(|limit| (1..=ROWS_MAX).contains(limit));
            Some(limit.ok_or_else(|| Refusal::new(format!("options: the limit is out of range; {allowed}")))?)
        }
        Some(_) => return Err(Refusal::new(format!("options: the limit is not a whole number; {allowed}"))),
    };
    match options.keys().next() {
        Some(name) => Err(Refusal::new(format!("options: \"{name}\" is not an option; {allowed}"))),
        None => Ok(limit),
    }
}

const SHAPE: &str = "the frames are database, collection, then CREATE document | RETRIEVE query [options] | \
                     UPDATE query update | DELETE query";

#[cfg(test)]
mod tests {
    use bson::doc;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn frames(texts: &[&str]) -> Vec<Bytes> {
        texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect()
    }

    fn parse(operation: &str, operands: &[&str]) -> Result<Request, Refusal> {
        let frames = [frames(&["mydb", "Coll_PO", operation]), frames(operands)].concat();
        Request::parse(&frames).map(|(_, request)| request)
    }

    fn reason(operation: &str, operands: &[&str]) -> String {
        parse(operation, operands).unwrap_err().to_string()
    }

    fn created(document: &str) -> Document {
        match parse("CREATE", &[document]) {
            Ok(Request::Create(document)) => document,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_created_document_has_its_identity_in_front() {
        assert_eq!(created(r#"{"a":1,"_id":5}"#).to_string(), doc! { "_id": 5, "a": 1 }.to_string());
        let document = created(r#"{"a":1}"#);
        assert!(document.get_object_id("_id").is_ok() && document.keys().next().unwrap() == "_id");
        assert_ne!(created("{}"), created("{}"));
    }

    #[test]
    fn a_limit_is_met_exactly() {
        let limit = |options: &str| match parse("RETRIEVE", &["{}", options]) {
            Ok(Request::Retrieve(_, limit)) => Ok(limit),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(refusal.to_string()),
        };
        assert_eq!(limit("{}"), Ok(None));
        assert_eq!(limit("{\"limit\":1}"), Ok(Some(1)));
        assert_eq!(limit("{\"limit\":900}"), Ok(Some(900)));
        assert!(limit("{\"limit\":0}").unwrap_err().contains("from 1 to 900"));
        assert!(limit("{\"limit\":901}").unwrap_err().contains("from 1 to 900"));
        assert!(limit("{\"limit\":1.5}").unwrap_err().contains("not a whole number"));
        assert!(limit("{\"skip\":1}").unwrap_err().contains("\"skip\" is not an option"));
    }

    #[test]
    fn malformed_requests_say_what_is_wrong_and_what_is_allowed() {
        assert!(
            Request::parse(&[]).unwrap_err().to_string().contains("a request has 0 frames; the frames are database")
        );
        assert!(reason("create", &["{}"]).contains("unknown operation \"create\"; the frames are"));
        assert!(reason("\u{7}", &["{}"]).contains("unknown operation \"\\u{7}\""));
        assert!(reason("UPDATE", &["{}"]).contains("UPDATE has 1 frames behind it"));
        assert!(reason("DELETE", &["{}", "{}"]).contains("DELETE has 2 frames behind it"));
        assert!(reason("CREATE", &[r#"{"_id":[1]}"#]).contains("_id is an array"));
        assert!(reason("CREATE", &[r#"{"a.b":1}"#]).contains("contains a dot"));
        assert!(reason("RETRIEVE", &["nonsense"]).contains("query is not valid JSON"));
        assert!(reason("UPDATE", &["{}", r#"{"a":1}"#]).contains("replacing a document is not supported"));
    }

    /// A piece of JSON that is likely to make sense beside another.
    fn any_token() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"a\"",
            "\"_id\"",
            "\"$and\"",
            "\"$gt\"",
            "\"$set\"",
            "\"$oid\"",
            "\"$date\"",
            "1",
            "-0.5",
            "null",
            "\"x\"",
        ])
    }

    proptest! {
        #[test]
        fn no_frames_make_the_parser_panic(frames in vec(vec(any::<u8>(), 0..40), 0..7)) {
            let frames: Vec<Bytes> = frames.into_iter().map(Bytes::from).collect();
            let _ = Request::parse(&frames);
        }

        #[test]
        fn no_json_makes_the_parser_panic(tokens in vec(any_token(), 0..20)) {
            let text = tokens.concat();
            for operation in ["CREATE", "RETRIEVE", "DELETE"] {
                let _ = parse(operation, &[&text]);
            }
            let _ = parse("UPDATE", &[&text, &text]);
        }
    }
}
