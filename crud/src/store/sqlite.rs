//! The embedded store: documents as BSON in one SQLite file.
//!
//! The key of a row is made of the document's `_id` by [`crate::document::key`], so that SQLite's index has MongoDB's
//! order and MongoDB's idea of a duplicate. A query is narrowed to a range of keys where it speaks about `_id`, and
//! otherwise reads its collection from first to last.
//!
//! Several processes may use one file. A write is one transaction: the lock is taken before the first read
//! (`BEGIN IMMEDIATE`), and an acknowledged write is in the log and fsynced (`WAL`, `synchronous = FULL`).
//!
//! SQLite blocks, so a thread of the store's own runs the statements.

mod range;
mod schema;
mod worker;

use std::path::Path;

use bson::{Document, RawDocument};
use futures_util::FutureExt;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use self::range::Range;
use self::worker::Worker;
use super::{Answer, Fault, Namespace, Store, too_large};
use crate::cache::Grant;
use crate::document::{json, key::key};
use crate::limits::ANSWER_BYTES_MAX;
use crate::query::{Filter, Update};
use crate::refusal::Refusal;

/// Documents in a SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    worker: Worker,
}

impl Sqlite {
    /// Opens a file and makes it if it is not there; without a file the documents vanish with the store.
    ///
    /// # Errors
    /// A file that cannot be opened or written, or that belongs to another program.
    pub async fn open(file: Option<&Path>) -> Result<Self, Fault> {
        let worker = Worker::start(file.map(Path::to_owned), schema::open).await?;
        Ok(Self { worker })
    }
}

impl Store for Sqlite {
    fn create<'a>(&'a self, namespace: &'a Namespace, document: Document) -> Answer<'a, ()> {
        let name = namespace.to_string();
        self.worker.run(move |connection| create(connection, &name, &document)).boxed()
    }

    fn retrieve<'a>(
        &'a self,
        namespace: &'a Namespace,
        filter: &'a Filter,
        rows_max: usize,
    ) -> Answer<'a, Vec<Document>> {
        let (name, filter) = (namespace.to_string(), filter.clone());
        self.worker.run(move |connection| retrieve(connection, &name, &filter, rows_max)).boxed()
    }

    fn update<'a>(&'a self, namespace: &'a Namespace, filter: &'a Filter, update: &'a Update) -> Answer<'a, u64> {
        let (name, filter, update) = (namespace.to_string(), filter.clone(), update.clone());
        self.worker.run(move |connection| change(connection, &name, &filter, Some(&update))).boxed()
    }

    fn delete<'a>(&'a self, namespace: &'a Namespace, filter: &'a Filter) -> Answer<'a, u64> {
        let (name, filter) = (namespace.to_string(), filter.clone());
        self.worker.run(move |connection| change(connection, &name, &filter, None)).boxed()
    }

    fn grant<'a>(&'a self, database: &'a str) -> Answer<'a, Grant> {
        let database = database.to_owned();
        self.worker.run(move |connection| grant(connection, &database)).boxed()
    }

    fn exchange_grant<'a>(&'a self, database: &'a str, revision: i64, grant: &'a Grant) -> Answer<'a, bool> {
        let (database, grant) = (database.to_owned(), grant.clone());
        self.worker.run(move |connection| exchange_grant(connection, &database, revision, &grant)).boxed()
    }
}

fn create(connection: &mut Connection, namespace: &str, document: &Document) -> Result<(), Fault> {
    let id = document.get("_id").ok_or_else(|| Fault::Broken("a document without _id reached the store".into()))?;
    let inserted = connection
        .prepare_cached("INSERT INTO documents (namespace, id, body) VALUES (?1, ?2, ?3)")?
        .execute(params![namespace, key(id), json::encode(document)?]);
    match inserted {
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {
            Err(Fault::Duplicate(format!("a document with the _id {id} exists in {namespace}")))
        }
        other => Ok(other.map(drop)?),
    }
}

fn retrieve(
    connection: &mut Connection,
    namespace: &str,
    filter: &Filter,
    rows_max: usize,
) -> Result<Vec<Document>, Fault> {
    let mut found = Vec::new();
    let mut bytes_count = 0;
    for range in Range::of(filter) {
        let mut statement = connection.prepare_cached(SELECT)?;
        let mut rows = statement.query(params![namespace, range.from, range.to, NO_LIMIT])?;
        while found.len() < rows_max
            && let Some(row) = rows.next()?
        {
            let body = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            let document = decode(body)?;
            if filter.matches(&document) {
                bytes_count += body.len();
                if bytes_count > ANSWER_BYTES_MAX {
                    return Err(too_large().into());
                }
                found.push(document);
            }
        }
    }
    Ok(found)
}

/// Updates what a query means, or deletes it where there is no update; all or nothing.
fn change(
    connection: &mut Connection,
    namespace: &str,
    filter: &Filter,
    update: Option<&Update>,
) -> Result<u64, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut changed_count = 0;
    for mut range in Range::of(filter) {
        // One row at a time: a large collection need not fit in memory, and no row is read while its table changes.
        while let Some((id, body)) = first(&transaction, namespace, &range)? {
            let document = decode(&body)?;
            if filter.matches(&document) {
                changed_count += match update {
                    Some(update) => write(&transaction, namespace, &id, &body, &applied(update, &document)?)?,
                    None => transaction.prepare_cached(DELETE)?.execute(params![namespace, id])? as u64,
                };
            }
            range.start_after(id);
        }
    }
    transaction.commit()?;
    Ok(changed_count)
}

/// A row: its key, and its document as BSON.
type Row = (Vec<u8>, Vec<u8>);

fn first(connection: &Connection, namespace: &str, range: &Range) -> Result<Option<Row>, Fault> {
    let mut statement = connection.prepare_cached(SELECT)?;
    let row = statement.query_row(params![namespace, range.from, range.to, 1], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(row.optional()?)
}

fn applied(update: &Update, document: &Document) -> Result<Vec<u8>, Fault> {
    let (_, bytes) = update.apply(document).map_err(|inapplicable| {
        let id = document.get("_id").map(ToString::to_string).unwrap_or_default();
        Refusal::new(format!("{inapplicable} (the document with the _id {id})"))
    })?;
    Ok(bytes)
}

/// Writes a changed document; 1 if it differs.
fn write(connection: &Connection, namespace: &str, id: &[u8], old: &[u8], new: &[u8]) -> Result<u64, Fault> {
    if old == new {
        return Ok(0);
    }
    connection.prepare_cached(UPDATE)?.execute(params![namespace, id, new])?;
    Ok(1)
}

fn grant(connection: &mut Connection, database: &str) -> Result<Grant, Fault> {
    let mut statement = connection.prepare_cached("SELECT body FROM grants WHERE database = ?1")?;
    let body: Option<Vec<u8>> = statement.query_row(params![database], |row| row.get(0)).optional()?;
    match body {
        Some(body) => Grant::from_document(&decode(&body)?).map_err(Fault::Broken),
        None => Ok(Grant::default()),
    }
}

fn exchange_grant(connection: &mut Connection, database: &str, revision: i64, new: &Grant) -> Result<bool, Fault> {
    let body = json::encode(&new.to_document())?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let current = {
        let mut statement = transaction.prepare_cached("SELECT revision FROM grants WHERE database = ?1")?;
        statement.query_row(params![database], |row| row.get(0)).optional()?.unwrap_or(0_i64)
    };
    if current != revision {
        return Ok(false);
    }
    let insert = "INSERT OR REPLACE INTO grants (database, revision, body) VALUES (?1, ?2, ?3)";
    transaction.execute(insert, params![database, new.revision, body])?;
    transaction.commit()?;
    Ok(true)
}

fn decode(body: &[u8]) -> Result<Document, Fault> {
    let broken = |error: bson::error::Error| Fault::Broken(format!("a stored document is damaged: {error}"));
    Document::try_from(RawDocument::from_bytes(body).map_err(broken)?).map_err(broken)
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Broken(format!("SQLite: {error}"))
    }
}

const SELECT: &str =
    "SELECT id, body FROM documents WHERE namespace = ?1 AND id BETWEEN ?2 AND ?3 ORDER BY id LIMIT ?4";
const UPDATE: &str = "UPDATE documents SET body = ?3 WHERE namespace = ?1 AND id = ?2";
const DELETE: &str = "DELETE FROM documents WHERE namespace = ?1 AND id = ?2";
const NO_LIMIT: i64 = -1;
