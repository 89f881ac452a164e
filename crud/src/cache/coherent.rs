//! The store with a cache in front.
//!
//! ```text
//! read    lease on the grant? --no--> ask the store for it, once a lease --> not for our cache: read from the store
//!           | yes
//!         cache: found, and the lease still holds --> answer
//!           | missing, under generation g
//!         read from the store, keep it under g, answer
//!
//! write   write to the store
//!         ask the store for the grant:  Vacant --> acknowledge
//!                                       Held, and our cache is the holder and took a new generation --> acknowledge
//!                                       Held otherwise --> end the tenure, wait a lease, acknowledge
//!                                       Ending --> wait a lease, acknowledge
//! ```

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bson::{Document, Uuid};
use bytes::Bytes;
use lru::LruCache;

use super::grant::{Grant, Tenure};
use super::tenancy::{Tenancy, Timing};
use super::{Cache, Look, Scope};
use crate::document::json;
use crate::limits::{ANSWER_BYTES_MAX, CACHE_ANSWER_BYTES_MAX, CACHE_KEY_BYTES_MAX, ROWS_MAX};
use crate::query::{Filter, Update};
use crate::refusal::Refusal;
use crate::store::{Fault, Namespace, Store, too_large};

/// A store whose answers may come from a cache, and are true all the same.
pub struct Coherent {
    store: Arc<dyn Store>,
    cache: Arc<dyn Cache>,
    timing: Timing,
    tenancies: Mutex<LruCache<String, Tenancy>>,
}

impl Coherent {
    /// A store with a cache in front.
    pub fn new(store: Arc<dyn Store>, cache: Arc<dyn Cache>) -> Self {
        Self::with_timing(store, cache, Timing::default())
    }

    /// The same with other times. All workers of one store must have the same lease.
    pub fn with_timing(store: Arc<dyn Store>, cache: Arc<dyn Cache>, timing: Timing) -> Self {
        Self { store, cache, timing, tenancies: Mutex::new(LruCache::new(DATABASES_MAX)) }
    }

    /// Adds a document that has an `_id`.
    ///
    /// # Errors
    /// As the store's; and `Broken` if it cannot be made certain that no cache hides the write.
    pub async fn create(&self, namespace: &Namespace, document: Document) -> Result<(), Fault> {
        let written = self.store.create(namespace, document).await;
        self.acknowledge(namespace, written).await
    }

    /// Changes every document that a query means; how many are different now.
    ///
    /// # Errors
    /// As for [`Self::create`].
    pub async fn update(&self, namespace: &Namespace, filter: &Filter, update: &Update) -> Result<u64, Fault> {
        let written = self.store.update(namespace, filter, update).await;
        self.acknowledge(namespace, written).await
    }

    /// Deletes every document that a query means; how many there were.
    ///
    /// # Errors
    /// As for [`Self::create`].
    pub async fn delete(&self, namespace: &Namespace, filter: &Filter) -> Result<u64, Fault> {
        let written = self.store.delete(namespace, filter).await;
        self.acknowledge(namespace, written).await
    }

    /// The documents that a query means, in the order of `_id`, as relaxed extended JSON: the first `limit`, or all.
    ///
    /// # Errors
    /// As the store's; `Refused` if all are more than [`ROWS_MAX`], or too large for one answer.
    pub async fn retrieve(
        &self,
        namespace: &Namespace,
        filter: &Filter,
        limit: Option<usize>,
    ) -> Result<Vec<Bytes>, Fault> {
        let key = json::encode(&cache_key(filter, limit))?;
        let scope = match key.len() {
            bytes if bytes <= CACHE_KEY_BYTES_MAX => self.scope(namespace).await,
            _ => None,
        };
        let Some(scope) = scope else { return self.read(namespace, filter, limit).await };
        match self.cache.look(&scope, &key).await {
            Some(Look::Found(rows)) if self.is_serving(&scope) => Ok(rows),
            Some(Look::Missing(generation)) => {
                let rows = self.read(namespace, filter, limit).await?;
                if rows.iter().map(Bytes::len).sum::<usize>() <= CACHE_ANSWER_BYTES_MAX {
                    self.cache.fill(&scope, &key, generation, &rows).await;
                }
                Ok(rows)
            }
            _ => self.read(namespace, filter, limit).await,
        }
    }

    /// Reads from the store, within the limits of an answer.
    async fn read(&self, namespace: &Namespace, filter: &Filter, limit: Option<usize>) -> Result<Vec<Bytes>, Fault> {
        let found = self.store.retrieve(namespace, filter, limit.unwrap_or(ROWS_MAX + 1)).await?;
        if found.len() > ROWS_MAX {
            let advice = "narrow the query, or give a limit and go on after the last _id";
            return Err(Refusal::new(format!("more than {ROWS_MAX} documents match; {advice}")).into());
        }
        let rows: Vec<Bytes> = found.into_iter().map(json::render).collect();
        match rows.iter().map(Bytes::len).sum::<usize>() {
            bytes if bytes > ANSWER_BYTES_MAX => Err(too_large().into()),
            _ => Ok(rows),
        }
    }

    /// Where the cache may answer, if it may at this moment.
    async fn scope(&self, namespace: &Namespace) -> Option<Scope> {
        let instance = self.cache.instance()?;
        let database = namespace.database();
        if self.with(database, |tenancy| tenancy.is_stale(Instant::now(), &self.timing)) {
            let asked_at = Instant::now();
            // A fault here costs the cache, not the request.
            self.learn(database, asked_at, self.store.grant(database).await.ok()?);
        }
        self.propose(database, &instance).await;
        let tag =
            self.with(database, |tenancy| tenancy.serving(Instant::now(), &instance, &self.timing).map(str::to_owned))?;
        Some(Scope { by: instance, tag, namespace: namespace.clone() })
    }

    /// Whether an answer that the cache gave may be passed on: the lease must hold now that it is here.
    fn is_serving(&self, scope: &Scope) -> bool {
        self.with(scope.namespace.database(), |tenancy| {
            tenancy.serving(Instant::now(), &scope.by, &self.timing) == Some(scope.tag.as_str())
        })
    }

    /// Puts the next grant in the store, where that is ours to do. A fault here costs the cache, not the request.
    async fn propose(&self, database: &str, instance: &str) {
        let asked_at = Instant::now();
        let new_tag = || Uuid::new().to_string();
        let proposal = self.with(database, |tenancy| tenancy.proposal(asked_at, instance, new_tag, &self.timing));
        let Some((revision, next)) = proposal else { return };
        match self.store.exchange_grant(database, revision, &next).await {
            Ok(true) => self.learn(database, asked_at, next),
            Ok(false) => self.with(database, |tenancy| tenancy.on_refused(revision)),
            Err(_) => {}
        }
    }

    /// A write went to the store, with this outcome: whatever it was, no cache may hide what may have been written.
    async fn acknowledge<T>(&self, namespace: &Namespace, written: Result<T, Fault>) -> Result<T, Fault> {
        let revealed = self.reveal(namespace).await;
        let written = written?;
        let unsure = |fault| Fault::Broken(format!("written, but a cache may hide it: {fault}"));
        revealed.map_err(unsure)?;
        Ok(written)
    }

    /// Comes back when no read that begins from now on can be answered from before this call.
    async fn reveal(&self, namespace: &Namespace) -> Result<(), Fault> {
        let database = namespace.database();
        for _ in 0..EXCHANGES_MAX {
            let asked_at = Instant::now();
            let grant = self.store.grant(database).await?;
            self.learn(database, asked_at, grant.clone());
            match &grant.tenure {
                Tenure::Vacant => return Ok(()),
                Tenure::Ending => return self.see_out(database, &grant).await,
                Tenure::Held { by, tag } => {
                    let scope = Scope { by: by.clone(), tag: tag.clone(), namespace: namespace.clone() };
                    if self.cache.invalidate(&scope).await {
                        return Ok(());
                    }
                }
            }
            let (asked_at, ending) = (Instant::now(), grant.next(Tenure::Ending));
            if self.store.exchange_grant(database, grant.revision, &ending).await? {
                self.learn(database, asked_at, ending.clone());
                return self.see_out(database, &ending).await;
            }
        }
        Err(Fault::Broken(format!("the record of the cache changed {EXCHANGES_MAX} times while it was being ended")))
    }

    /// Waits until nobody relies on an ended tenure any more, and says so, that later writes need not wait.
    async fn see_out(&self, database: &str, ending: &Grant) -> Result<(), Fault> {
        tokio::time::sleep(self.timing.wait()).await;
        // Another worker may have said it already, or a new tenure begun: then this one is over all the more.
        self.store.exchange_grant(database, ending.revision, &ending.next(Tenure::Vacant)).await.map(drop)
    }

    fn learn(&self, database: &str, asked_at: Instant, grant: Grant) {
        self.with(database, |tenancy| tenancy.on_answer(asked_at, Instant::now(), grant));
    }

    fn with<T>(&self, database: &str, act: impl FnOnce(&mut Tenancy) -> T) -> T {
        let mut tenancies = self.lock();
        act(tenancies.get_or_insert_mut_ref(database, Tenancy::default))
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<String, Tenancy>> {
        // A tenancy is replaced as a whole, so a panic elsewhere does not spoil it.
        self.tenancies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The whole request, so that different requests never share an answer.
fn cache_key(filter: &Filter, limit: Option<usize>) -> Document {
    let limit = limit.and_then(|limit| i64::try_from(limit).ok());
    bson::doc! { "query": filter.document(), "limit": limit }
}

/// Databases of which a worker remembers the grant; the one used longest ago is asked for anew.
const DATABASES_MAX: NonZeroUsize = NonZeroUsize::new(256).expect("invariant: 256 is not zero");
/// How often a tenure's end is tried while others beat; they beat once a second.
const EXCHANGES_MAX: usize = 32;
