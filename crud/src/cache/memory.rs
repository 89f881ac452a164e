//! The cache of one process: the answers used last, bounded in number and bytes.
//!
//! As an instance it is the process itself, so the grant lets one process at a time have such a cache in front of a
//! database; a write through another worker ends its tenure.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bson::Uuid;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use lru::LruCache;

use super::{Cache, Generation, Look, Scope};
use crate::limits::{CACHE_AGE_MAX, MEMORY_CACHE_ANSWERS_MAX, MEMORY_CACHE_BYTES_MAX};

/// Answers in this process.
#[derive(Debug)]
pub struct Memory {
    instance: String,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    answers: LruCache<Key, Answered>,
    bytes_count: usize,
    /// The generation of each collection that was asked for, by tag and name.
    generations: HashMap<String, Generation>,
    generations_count: u128,
}

/// A collection, by tag and name, and a query.
type Key = (String, Bytes);

/// An answer.
#[derive(Debug)]
struct Answered {
    generation: Generation,
    kept_at: Instant,
    rows: Vec<Bytes>,
    bytes_count: usize,
}

impl Memory {
    /// An empty cache.
    pub fn new() -> Self {
        let kept =
            Kept { answers: LruCache::unbounded(), bytes_count: 0, generations: HashMap::new(), generations_count: 0 };
        Self { instance: format!("memory:{}", Uuid::new()), kept: Mutex::new(kept) }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // What is kept is whole after each statement, so a panic elsewhere does not spoil it.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Cache for Memory {
    fn instance(&self) -> Option<String> {
        Some(self.instance.clone())
    }

    fn look<'a>(&'a self, scope: &'a Scope, query: &'a [u8]) -> BoxFuture<'a, Option<Look>> {
        let look = || self.kept().look(place(scope), query, Instant::now());
        ready((scope.by == self.instance).then(look)).boxed()
    }

    fn fill<'a>(
        &'a self,
        scope: &'a Scope,
        query: &'a [u8],
        generation: Generation,
        rows: &'a [Bytes],
    ) -> BoxFuture<'a, ()> {
        self.kept().fill(place(scope), query, generation, rows, Instant::now());
        ready(()).boxed()
    }

    fn invalidate<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, bool> {
        let ours = scope.by == self.instance;
        if ours {
            self.kept().generations.remove(&place(scope));
        }
        ready(ours).boxed()
    }
}

fn place(scope: &Scope) -> String {
    format!("{}\0{}", scope.tag, scope.namespace)
}

impl Kept {
    fn look(&mut self, place: String, query: &[u8], now: Instant) -> Look {
        let generation = self.generation(&place);
        let key = (place, Bytes::copy_from_slice(query));
        match self.answers.get(&key) {
            Some(kept) if kept.generation == generation && now < kept.kept_at + CACHE_AGE_MAX => {
                Look::Found(kept.rows.clone())
            }
            Some(_) => {
                self.forget(&key);
                Look::Missing(generation)
            }
            None => Look::Missing(generation),
        }
    }

    fn fill(&mut self, place: String, query: &[u8], generation: Generation, rows: &[Bytes], now: Instant) {
        if self.generations.get(&place) != Some(&generation) {
            return;
        }
        let key = (place, Bytes::copy_from_slice(query));
        self.forget(&key);
        let bytes_count = key.0.len() + key.1.len() + rows.iter().map(Bytes::len).sum::<usize>();
        self.bytes_count += bytes_count;
        self.answers.put(key, Answered { generation, kept_at: now, rows: rows.to_vec(), bytes_count });
        while self.answers.len() > MEMORY_CACHE_ANSWERS_MAX || self.bytes_count > MEMORY_CACHE_BYTES_MAX {
            let Some((_, oldest)) = self.answers.pop_lru() else { break };
            self.bytes_count -= oldest.bytes_count;
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(kept) = self.answers.pop(key) {
            self.bytes_count -= kept.bytes_count;
        }
    }

    /// The generation of a collection. Numbers are never used twice, so forgetting them only loses answers.
    fn generation(&mut self, place: &str) -> Generation {
        if let Some(generation) = self.generations.get(place) {
            return *generation;
        }
        if self.generations.len() >= MEMORY_CACHE_ANSWERS_MAX {
            self.generations.clear();
        }
        self.generations_count += 1;
        let generation = Generation(self.generations_count);
        self.generations.insert(place.to_owned(), generation);
        generation
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn kept() -> Kept {
        Memory::new().kept.into_inner().unwrap()
    }

    fn generation(look: Look) -> Generation {
        match look {
            Look::Missing(generation) => generation,
            Look::Found(rows) => panic!("found {rows:?}"),
        }
    }

    fn row(size: usize) -> Vec<Bytes> {
        vec![Bytes::from(vec![b'x'; size])]
    }

    #[test]
    fn an_answer_is_found_until_it_is_too_old() {
        let (mut kept, now) = (kept(), Instant::now());
        let generation = generation(kept.look("a".into(), b"q", now));
        kept.fill("a".into(), b"q", generation, &row(1), now);
        assert_eq!(kept.look("a".into(), b"q", now), Look::Found(row(1)));
        assert_eq!(kept.look("a".into(), b"q", now + CACHE_AGE_MAX - Duration::from_millis(1)), Look::Found(row(1)));
        assert_eq!(kept.look("a".into(), b"q", now + CACHE_AGE_MAX), Look::Missing(generation));
        assert_eq!(kept.bytes_count, 0);
    }

    #[test]
    fn an_answer_read_before_a_write_is_not_kept_after_it() {
        let (mut kept, now) = (kept(), Instant::now());
        let before = generation(kept.look("a".into(), b"q", now));
        kept.generations.remove("a");
        kept.fill("a".into(), b"q", before, &row(1), now);
        let after = generation(kept.look("a".into(), b"q", now));
        assert_ne!(before, after);
        kept.fill("a".into(), b"q", before, &row(1), now);
        assert_eq!(kept.look("a".into(), b"q", now), Look::Missing(after));
    }

    #[test]
    fn bytes_and_number_have_their_limits() {
        let (mut kept, now) = (kept(), Instant::now());
        let generation = generation(kept.look("a".into(), b"", now));
        let fill = |kept: &mut Kept, query: u32, size| {
            kept.fill("a".into(), &query.to_be_bytes(), generation, &row(size), now)
        };
        for query in 0..100 {
            fill(&mut kept, query, 1 << 20);
        }
        assert!(kept.bytes_count <= MEMORY_CACHE_BYTES_MAX && kept.answers.len() == 63);
        for query in 0..20_000 {
            fill(&mut kept, query, 1);
        }
        assert_eq!(kept.answers.len(), MEMORY_CACHE_ANSWERS_MAX);
        for place in 0..20_000 {
            kept.look(place.to_string(), b"", now);
        }
        assert!(kept.generations.len() <= MEMORY_CACHE_ANSWERS_MAX);
    }
}
