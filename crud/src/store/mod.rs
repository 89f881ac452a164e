//! Where documents live: one trait, two stores, the same meaning.
//!
//! | | [`sqlite`] | [`mongo`] |
//! |---|---|---|
//! | queries and updates | evaluated here, by [`crate::query`] | evaluated by the server |
//! | order of results | by `_id`, MongoDB's order | by `_id`, MongoDB's order |
//! | acknowledged write | in the write-ahead log, fsynced | journalled by a majority |
//! | update of many that fails midway | nothing changed | what came before stays changed (MongoDB's own rule) |
//!
//! A store also keeps the [`Grant`] of each database: which cache may answer in its place (see [`crate::cache`]).

pub mod address;
pub mod mongo;
pub mod namespace;
pub mod sqlite;

use bson::Document;
use futures_util::future::BoxFuture;

use crate::cache::Grant;
use crate::limits::ANSWER_BYTES_MAX;
use crate::query::{Filter, Update};
use crate::refusal::Refusal;
pub use address::Address;
pub use namespace::Namespace;

/// What a store answers, later.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Fault>>;

/// Documents in collections, queried and changed.
pub trait Store: Send + Sync {
    /// Adds a document that has an `_id`.
    fn create<'a>(&'a self, namespace: &'a Namespace, document: Document) -> Answer<'a, ()>;

    /// The first documents that a query means, in the order of `_id`, at most `rows_max`.
    fn retrieve<'a>(
        &'a self,
        namespace: &'a Namespace,
        filter: &'a Filter,
        rows_max: usize,
    ) -> Answer<'a, Vec<Document>>;

    /// Changes every document that a query means; how many are different now.
    fn update<'a>(&'a self, namespace: &'a Namespace, filter: &'a Filter, update: &'a Update) -> Answer<'a, u64>;

    /// Deletes every document that a query means; how many there were.
    fn delete<'a>(&'a self, namespace: &'a Namespace, filter: &'a Filter) -> Answer<'a, u64>;

    /// Which cache may answer for a database, as the store knows it at some moment after this call began.
    fn grant<'a>(&'a self, database: &'a str) -> Answer<'a, Grant>;

    /// Puts a grant in the place of the one with this revision; false when another was there. Atomic and durable.
    fn exchange_grant<'a>(&'a self, database: &'a str, revision: i64, grant: &'a Grant) -> Answer<'a, bool>;
}

/// Why a store did not do what a request asked.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The request does not fit what is stored: status 400.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// A document with this `_id`, or another unique key, exists: status 409.
    #[error("{0}")]
    Duplicate(String),
    /// The database failed: status 500. Whether a write took place is unknown.
    #[error("{0}")]
    Broken(String),
}

/// The refusal of a query whose documents together are larger than a message may be.
pub(crate) fn too_large() -> Refusal {
    Refusal::new(format!("the answer would be larger than {ANSWER_BYTES_MAX} bytes; narrow the query or give a limit"))
}
