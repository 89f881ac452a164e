//! MongoDB through its own driver: the server evaluates queries and updates.
//!
//! Writes are acknowledged by a majority with their journal, reads go to the primary and see what a majority has: a
//! read that begins after an acknowledged write sees it, and nothing that is seen is ever taken back. The driver
//! retries a read or write once by itself after a lost connection, exactly once for a write on a replica set.

use std::time::Duration;

use bson::{Document, RawDocumentBuf, doc};
use futures_util::{FutureExt, TryStreamExt};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::{Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern};
use mongodb::{Client, Collection};

use super::namespace::RESERVED;
use super::{Answer, Fault, Namespace, Store, too_large};
use crate::cache::Grant;
use crate::limits::{ANSWER_BYTES_MAX, MONGO_ANSWER_PATIENCE, MONGO_PATIENCE};
use crate::query::{Filter, Update};
use crate::refusal::Refusal;

/// Documents in a MongoDB server, replica set or sharded cluster.
#[derive(Debug, Clone)]
pub struct Mongo {
    client: Client,
}

impl Mongo {
    /// Reads a connection string; connections are made when a request needs one.
    ///
    /// # Errors
    /// What the driver finds wrong in the connection string.
    pub async fn connect(uri: &str) -> Result<Self, Fault> {
        let malformed = |error: Error| Fault::Broken(format!("the MongoDB connection string is not usable: {error}"));
        let mut options = ClientOptions::parse(uri).await.map_err(malformed)?;
        options.app_name.get_or_insert_with(|| "majordomo".into());
        options.server_selection_timeout.get_or_insert(MONGO_PATIENCE);
        // Not for the user to weaken: caches in front of the store rely on all three.
        let majority =
            WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(WRITE_PATIENCE).build();
        options.write_concern = Some(majority);
        options.read_concern = Some(ReadConcern::majority());
        options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        Ok(Self { client: Client::with_options(options).map_err(malformed)? })
    }

    fn collection(&self, namespace: &Namespace) -> Collection<Document> {
        self.client.database(namespace.database()).collection(namespace.collection())
    }

    fn grants(&self, database: &str) -> Collection<Document> {
        self.client.database(database).collection(&format!("{RESERVED}cache"))
    }

    async fn find(&self, namespace: &Namespace, filter: &Filter, rows_max: usize) -> Result<Vec<Document>, Fault> {
        let collection = self.collection(namespace).clone_with_type::<RawDocumentBuf>();
        let limit = i64::try_from(rows_max).unwrap_or(i64::MAX);
        let mut cursor = collection.find(filter.document().clone()).sort(doc! { "_id": 1 }).limit(limit).await?;
        let mut found = Vec::new();
        let mut bytes_count = 0;
        while let Some(raw) = cursor.try_next().await? {
            bytes_count += raw.as_bytes().len();
            if bytes_count > ANSWER_BYTES_MAX {
                return Err(too_large().into());
            }
            let damaged = |error| Fault::Broken(format!("the server sent a damaged document: {error}"));
            found.push(Document::try_from(raw.as_ref()).map_err(damaged)?);
        }
        Ok(found)
    }

    async fn exchange(&self, database: &str, revision: i64, grant: &Grant) -> Result<bool, Fault> {
        let mut document = doc! { "_id": GRANT };
        document.extend(grant.to_document());
        if revision == 0 {
            return match self.grants(database).insert_one(document).await.map_err(Fault::from) {
                Err(Fault::Duplicate(_)) => Ok(false),
                other => other.map(|_| true),
            };
        }
        let current = doc! { "_id": GRANT, "revision": revision };
        Ok(self.grants(database).replace_one(current, document).await?.matched_count == 1)
    }
}

impl Store for Mongo {
    fn create<'a>(&'a self, namespace: &'a Namespace, document: Document) -> Answer<'a, ()> {
        within(async move { Ok(self.collection(namespace).insert_one(document).await.map(drop)?) }).boxed()
    }

    fn retrieve<'a>(
        &'a self,
        namespace: &'a Namespace,
        filter: &'a Filter,
        rows_max: usize,
    ) -> Answer<'a, Vec<Document>> {
        within(self.find(namespace, filter, rows_max)).boxed()
    }

    fn update<'a>(&'a self, namespace: &'a Namespace, filter: &'a Filter, update: &'a Update) -> Answer<'a, u64> {
        within(async move {
            let (filter, update) = (filter.document().clone(), update.document().clone());
            Ok(self.collection(namespace).update_many(filter, update).await?.modified_count)
        })
        .boxed()
    }

    fn delete<'a>(&'a self, namespace: &'a Namespace, filter: &'a Filter) -> Answer<'a, u64> {
        within(
            async move { Ok(self.collection(namespace).delete_many(filter.document().clone()).await?.deleted_count) },
        )
        .boxed()
    }

    fn grant<'a>(&'a self, database: &'a str) -> Answer<'a, Grant> {
        within(async move {
            match self.grants(database).find_one(doc! { "_id": GRANT }).await? {
                Some(document) => Grant::from_document(&document).map_err(Fault::Broken),
                None => Ok(Grant::default()),
            }
        })
        .boxed()
    }

    fn exchange_grant<'a>(&'a self, database: &'a str, revision: i64, grant: &'a Grant) -> Answer<'a, bool> {
        within(self.exchange(database, revision, grant)).boxed()
    }
}

/// One operation, bounded: whoever asked is told instead of waiting for a server that is frozen.
async fn within<T>(operation: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    tokio::time::timeout(MONGO_ANSWER_PATIENCE, operation).await.unwrap_or_else(|_| {
        let seconds = MONGO_ANSWER_PATIENCE.as_secs();
        Err(Fault::Broken(format!("MongoDB did not answer within {seconds} s; whether a write took place is unknown")))
    })
}

impl From<Error> for Fault {
    /// By the code that the server gave: whose fault it is decides the status.
    fn from(error: Error) -> Self {
        let (code, message) = match error.kind.as_ref() {
            ErrorKind::Write(WriteFailure::WriteError(write)) => (write.code, write.message.clone()),
            ErrorKind::Command(command) => (command.code, command.message.clone()),
            _ => return Self::Broken(format!("MongoDB: {error}")),
        };
        match code {
            DUPLICATE_KEY => Self::Duplicate(message),
            code if REQUEST_CODES.contains(&code) => Self::Refused(Refusal::new(format!("MongoDB: {message}"))),
            code => Self::Broken(format!("MongoDB: {message} (code {code})")),
        }
    }
}

/// The `_id` of the grant in its collection.
const GRANT: &str = "grant";
/// How long the server may take to have a majority confirm a write.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
const DUPLICATE_KEY: i32 = 11000;
/// BadValue, FailedToParse, TypeMismatch, Overflow, PathNotViable, ConflictingUpdateOperators, DollarPrefixedFieldName,
/// EmptyFieldName, DottedFieldName, ImmutableField, InvalidNamespace, DocumentValidationFailure, CannotBackfillArray,
/// BSONObjectTooLarge, a document that an update made too large, and a database's name that differs in case only.
const REQUEST_CODES: [i32; 17] = [2, 9, 14, 15, 28, 40, 52, 56, 57, 66, 73, 121, 197, 10334, 17419, 17420, 13297];

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_answers_costs_a_bounded_time() {
        let before = tokio::time::Instant::now();
        let fault = within(std::future::pending::<Result<(), Fault>>()).await;
        assert!(matches!(fault, Err(Fault::Broken(text)) if text.contains("12 s")));
        assert_eq!(before.elapsed(), MONGO_ANSWER_PATIENCE);
    }

    #[tokio::test]
    async fn an_answer_in_time_is_passed_on() {
        assert!(matches!(within(async { Ok(7) }).await, Ok(7)));
        let duplicate = within(async { Err::<(), _>(Fault::Duplicate("_id".into())) }).await;
        assert!(matches!(duplicate, Err(Fault::Duplicate(_))));
    }
}
