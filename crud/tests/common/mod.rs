//! What the tests of whole workers share: opening stores, and a store that is watched and can be held up.

#![allow(dead_code, reason = "not every test uses everything")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crud::cache::{Coherent, Grant};
use crud::database::Handler;
use crud::query::{Filter, Update};
use crud::store::{Answer, Namespace, Store};
use crud::{Frames, cache, store};
use futures_util::FutureExt;
use tokio::sync::Semaphore;

/// A store at this address.
pub(crate) async fn store(address: &str) -> Arc<dyn Store> {
    address.parse::<store::Address>().unwrap().open().await.unwrap()
}

/// A database worker's handler, as the command line would make it.
pub(crate) async fn handler(store: &str, cache: &str) -> Handler {
    Handler::open(&store.parse().unwrap(), &cache.parse().unwrap()).await.unwrap()
}

/// A handler in front of a store that a test keeps hold of.
pub(crate) async fn handler_of(store: Arc<dyn Store>, cache: &str) -> Handler {
    Handler::new(Coherent::new(store, cache.parse::<cache::Address>().unwrap().open().await))
}

/// A reply's frames as text.
pub(crate) fn text(reply: &Frames) -> Vec<String> {
    reply.iter().map(|frame| String::from_utf8(frame.to_vec()).unwrap()).collect()
}

/// Asks and gives the reply's frames as text.
pub(crate) async fn ask(handler: &Handler, frames: &[&str]) -> Vec<String> {
    let body = frames.iter().map(|frame| bytes::Bytes::copy_from_slice(frame.as_bytes())).collect();
    text(&handler.handle(body).await)
}

/// A store whose reads are counted, and wait for a permit after they have read and before they answer.
pub(crate) struct Watched {
    inner: Arc<dyn Store>,
    /// How often documents were read.
    pub(crate) reads_count: AtomicUsize,
    /// What a read needs to come back.
    pub(crate) returns: Semaphore,
}

impl Watched {
    /// A watched store whose reads come back at once.
    pub(crate) fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self { inner, reads_count: AtomicUsize::new(0), returns: Semaphore::new(1_000_000) })
    }

    /// A watched store whose reads come back when they are let.
    pub(crate) fn held_up(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self { inner, reads_count: AtomicUsize::new(0), returns: Semaphore::new(0) })
    }

    pub(crate) fn reads_count(&self) -> usize {
        self.reads_count.load(Ordering::SeqCst)
    }
}

impl Store for Watched {
    fn create<'a>(&'a self, namespace: &'a Namespace, document: bson::Document) -> Answer<'a, ()> {
        self.inner.create(namespace, document)
    }

    fn retrieve<'a>(
        &'a self,
        namespace: &'a Namespace,
        filter: &'a Filter,
        rows_max: usize,
    ) -> Answer<'a, Vec<bson::Document>> {
        async move {
            let found = self.inner.retrieve(namespace, filter, rows_max).await;
            self.reads_count.fetch_add(1, Ordering::SeqCst);
            self.returns.acquire().await.unwrap().forget();
            found
        }
        .boxed()
    }

    fn update<'a>(&'a self, namespace: &'a Namespace, filter: &'a Filter, update: &'a Update) -> Answer<'a, u64> {
        self.inner.update(namespace, filter, update)
    }

    fn delete<'a>(&'a self, namespace: &'a Namespace, filter: &'a Filter) -> Answer<'a, u64> {
        self.inner.delete(namespace, filter)
    }

    fn grant<'a>(&'a self, database: &'a str) -> Answer<'a, Grant> {
        self.inner.grant(database)
    }

    fn exchange_grant<'a>(&'a self, database: &'a str, revision: i64, grant: &'a Grant) -> Answer<'a, bool> {
        self.inner.exchange_grant(database, revision, grant)
    }
}
