//! Answers kept near the worker, and the rule that keeps them true.
//!
//! The rule: a read that begins after a write was acknowledged sees that write, whichever workers they went through,
//! whatever became of the caches, and whatever caches other workers of the same store have. In return a cache may be
//! dead, slow, restarted or unreachable for some: that costs time, never an answer.
//!
//! - [`grant`] the store itself records which one cache may answer in its place
//! - [`tenancy`] what a worker knows of that record, and for how long it may rely on it (a lease)
//! - [`coherent`] the store with a cache in front: reads and writes
//! - [`redis`], [`memory`] the caches, which know nothing of the rule but generations
//!
//! docs/decisions/0004-cache-coherence.md has the argument, case by case.

pub mod address;
pub mod coherent;
pub mod grant;
pub mod memory;
pub mod redis;
pub mod tenancy;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use crate::store::Namespace;
pub use address::Address;
pub use coherent::Coherent;
pub use grant::{Grant, Tenure};

/// Answers by query. Nothing here fails: a cache that cannot answer says so, and the store is asked.
pub trait Cache: Send + Sync {
    /// The running cache that is reached now, by a name that no other ever has; `None` when none is.
    fn instance(&self) -> Option<String>;

    /// The answer to a query, or the generation under which an answer read from now on may be kept. `None` when the
    /// cache of this scope cannot be asked.
    fn look<'a>(&'a self, scope: &'a Scope, query: &'a [u8]) -> BoxFuture<'a, Option<Look>>;

    /// Keeps an answer that was read from the store after [`Self::look`] gave the generation.
    fn fill<'a>(
        &'a self,
        scope: &'a Scope,
        query: &'a [u8],
        generation: Generation,
        rows: &'a [Bytes],
    ) -> BoxFuture<'a, ()>;

    /// Makes every answer about a collection unfindable, those that are being read at this moment too. False unless
    /// it is certain.
    fn invalidate<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, bool>;
}

/// Which answers are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The instance that holds the grant. A cache that is another instance neither answers nor takes part.
    pub by: String,
    /// The grant's tag.
    pub tag: String,
    /// The collection.
    pub namespace: Namespace,
}

/// What a cache has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// An answer: its rows.
    Found(Vec<Bytes>),
    /// None.
    Missing(Generation),
}

/// A collection's answers between two writes. No two generations are ever the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation(pub u128);

/// `--cache none`: every read goes to the store.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCache;

impl Cache for NoCache {
    fn instance(&self) -> Option<String> {
        None
    }

    fn look<'a>(&'a self, _: &'a Scope, _: &'a [u8]) -> BoxFuture<'a, Option<Look>> {
        ready(None).boxed()
    }

    fn fill<'a>(&'a self, _: &'a Scope, _: &'a [u8], _: Generation, _: &'a [Bytes]) -> BoxFuture<'a, ()> {
        ready(()).boxed()
    }

    fn invalidate<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, bool> {
        ready(false).boxed()
    }
}
