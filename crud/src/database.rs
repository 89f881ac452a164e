//! The database worker, service `MongoDB`: one handler for every store and cache.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let handler = crud::database::Handler::open(&"sqlite:orders.db".parse()?, &"memory:".parse()?).await?;
//! let reply = handler.handle(["mydb", "Coll_PO", "RETRIEVE", "{\"status\": \"open\"}"].into()).await;
//! # Ok(())
//! # }
//! ```
//!
//! | request (see [`crate::request`]) | answer behind `200` |
//! |---|---|
//! | CREATE | `{"_id": …}` of the new document |
//! | RETRIEVE | the documents, in the order of `_id` |
//! | UPDATE, DELETE | how many documents were changed |

use std::sync::Arc;

use bson::doc;
use bytes::Bytes;
use worker::Frames;

use crate::cache::{self, Coherent};
use crate::document::json;
use crate::refusal::Refusal;
use crate::reply;
use crate::request::Request;
use crate::store::{self, Fault, Namespace};

/// Answers requests from a store with a cache in front. Clones share both.
#[derive(Clone)]
pub struct Handler {
    documents: Arc<Coherent>,
}

impl Handler {
    /// Opens a store and a cache.
    ///
    /// # Errors
    /// As [`store::Address::open`]: a file or a connection string that cannot be used. A MongoDB server or a Redis
    /// that is not there now is no error.
    pub async fn open(store: &store::Address, cache: &cache::Address) -> Result<Self, Fault> {
        Ok(Self::new(Coherent::new(store.open().await?, cache.open().await)))
    }

    /// Answers from a store and a cache that are open already.
    pub fn new(documents: Coherent) -> Self {
        Self { documents: Arc::new(documents) }
    }

    /// Answers one request. Every failure is a status in the answer.
    pub async fn handle(&self, body: Frames) -> Frames {
        match Request::parse(&body) {
            Ok((namespace, request)) => match self.answer(&namespace, request).await {
                Ok(rows) => reply::done(rows),
                Err(fault) => reply::fault(&fault),
            },
            Err(refusal) => reply::refused(refusal),
        }
    }

    async fn answer(&self, namespace: &Namespace, request: Request) -> Result<Vec<Bytes>, Fault> {
        match request {
            Request::Create(document) => {
                let missing = || Refusal::new("the document has no _id");
                let row = json::render(doc! { "_id": document.get("_id").ok_or_else(missing)? });
                self.documents.create(namespace, document).await?;
                Ok(vec![row])
            }
            Request::Retrieve(filter, limit) => self.documents.retrieve(namespace, &filter, limit).await,
            Request::Update(filter, update) => {
                Ok(vec![count(self.documents.update(namespace, &filter, &update).await?)])
            }
            Request::Delete(filter) => Ok(vec![count(self.documents.delete(namespace, &filter).await?)]),
        }
    }
}

fn count(number: u64) -> Bytes {
    Bytes::from(number.to_string())
}
