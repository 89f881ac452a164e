//! Caches in front of two workers of one store: never a stale read after an acknowledged write, and a cache that is
//! dead, frozen, restarted or out of reach costs time only. docs/decisions/0004-cache-coherence.md has the argument.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use common::{Watched, ask, handler_of, store};
use crud::database::Handler;
use tempfile::TempDir;
use tokio::time::timeout;

/// A SQLite file that two workers open as two processes would.
fn file() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("sqlite:{}", folder.path().join("orders.db").display());
    (folder, address)
}

async fn create(handler: &Handler) {
    assert_eq!(ask(handler, &["mydb", "orders", "CREATE", r#"{"_id":1,"n":0}"#]).await[0], "200");
}

async fn write(handler: &Handler, n: i64) {
    let update = format!("{{\"$set\":{{\"n\":{n}}}}}");
    assert_eq!(ask(handler, &["mydb", "orders", "UPDATE", "{}", &update]).await[0], "200");
}

async fn read(handler: &Handler) -> i64 {
    let reply = ask(handler, &["mydb", "orders", "RETRIEVE", "{}"]).await;
    assert_eq!((reply.len(), reply[0].as_str()), (2, "200"), "{reply:?}");
    reply[1].strip_prefix("{\"_id\":1,\"n\":").and_then(|rest| rest.strip_suffix('}')).unwrap().parse().unwrap()
}

/// Two workers, each with a cache of its own making in front of its own connection to one store.
struct Pair {
    stores: [Arc<Watched>; 2],
    workers: [Handler; 2],
}

impl Pair {
    async fn new(store_address: &str, caches: [&str; 2]) -> Self {
        let stores = [Watched::new(store(store_address).await), Watched::new(store(store_address).await)];
        let workers = [handler_of(stores[0].clone(), caches[0]).await, handler_of(stores[1].clone(), caches[1]).await];
        create(&workers[0]).await;
        Self { stores, workers }
    }

    fn reads_count(&self) -> usize {
        self.stores[0].reads_count() + self.stores[1].reads_count()
    }

    /// Writes 1, 2, 3 … through both workers in turn while both are read; no read may be older than what was
    /// acknowledged when it began. Meanwhile something may happen to the cache. How many reads came from a cache.
    async fn race(&self, writes_count: i64, meanwhile: impl Future<Output = ()>) -> usize {
        let acknowledged = AtomicI64::new(0);
        let reads_count = AtomicUsize::new(0);
        let reads_of_stores = self.reads_count();
        let reader = async |worker: &Handler| loop {
            let floor = acknowledged.load(Ordering::SeqCst);
            if floor == writes_count {
                return;
            }
            let n = read(worker).await;
            assert!(n >= floor, "read {n} after {floor} was acknowledged");
            reads_count.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
        };
        let writer = async {
            for n in 1..=writes_count {
                write(&self.workers[usize::from(n % 2 == 0)], n).await;
                acknowledged.store(n, Ordering::SeqCst);
                // Some reads between two writes, so that there is something to find in a cache.
                let until = reads_count.load(Ordering::SeqCst) + 8;
                while n < writes_count && reads_count.load(Ordering::SeqCst) < until {
                    tokio::task::yield_now().await;
                }
            }
        };
        let [first, second] = &self.workers;
        let all = async {
            tokio::join!(writer, reader(first), reader(second), reader(first), reader(second), meanwhile);
        };
        timeout(Duration::from_secs(300), all).await.expect("the race ends");
        reads_count.load(Ordering::SeqCst) - (self.reads_count() - reads_of_stores)
    }
}

#[tokio::test]
async fn two_workers_that_share_a_redis_never_read_stale() {
    let Some(redis) = fixtures::Redis::start() else { return };
    let (_folder, address) = file();
    let pair = Pair::new(&address, [&redis.url(), &redis.url()]).await;
    assert!(is_cached(&pair).await);
    assert!(pair.race(150, async {}).await > 0, "the cache was used");
}

#[tokio::test]
async fn two_workers_of_a_mongodb_that_share_a_redis_never_read_stale() {
    let (Some(redis), Some(mongo)) = (fixtures::Redis::start(), fixtures::Mongo::start()) else { return };
    let pair = Pair::new(&mongo.uri(), [&redis.url(), &redis.url()]).await;
    assert!(is_cached(&pair).await);
    assert!(pair.race(50, async {}).await > 0, "the cache was used");
}

#[tokio::test]
async fn two_workers_with_caches_of_their_own_never_read_stale() {
    let (_folder, address) = file();
    let pair = Pair::new(&address, ["memory:", "memory:"]).await;
    pair.race(60, async {}).await;
}

#[tokio::test]
async fn a_worker_without_a_cache_does_not_leave_others_with_a_stale_one() {
    let Some(redis) = fixtures::Redis::start() else { return };
    for cache in [redis.url().as_str(), "memory:"] {
        let (_folder, address) = file();
        let pair = Pair::new(&address, [cache, "none"]).await;
        assert!(is_cached(&pair).await);
        write(&pair.workers[1], 1).await;
        assert_eq!(read(&pair.workers[0]).await, 1);
        pair.race(60, async {}).await;
    }
}

#[tokio::test]
async fn a_redis_that_dies_and_returns_costs_time_only() {
    let Some(mut redis) = fixtures::Redis::start() else { return };
    let (_folder, address) = file();
    let url = redis.url();
    let pair = Pair::new(&address, [&url, &url]).await;
    assert!(is_cached(&pair).await);
    redis.kill();
    pair.race(100, async {}).await;
    redis.restart();
    assert!(is_cached(&pair).await, "the new server is used in the end");
    pair.race(100, async { redis.kill() }).await;
}

#[tokio::test]
async fn a_redis_that_freezes_costs_time_only() {
    let Some(redis) = fixtures::Redis::start() else { return };
    let (_folder, address) = file();
    let pair = Pair::new(&address, [&redis.url(), &redis.url()]).await;
    assert!(is_cached(&pair).await);
    redis.pause();
    pair.race(50, async {}).await;
    redis.resume();
    pair.race(50, async {}).await;
}

#[tokio::test]
async fn a_redis_that_one_worker_cannot_reach_is_not_trusted_by_the_other() {
    let Some(redis) = fixtures::Redis::start() else { return };
    let (_folder, address) = file();
    // Port 1 is nobody's: for this worker the server is behind a partition.
    let pair = Pair::new(&address, [&redis.url(), "redis://127.0.0.1:1"]).await;
    assert!(is_cached(&pair).await);
    write(&pair.workers[1], 1).await;
    assert_eq!(read(&pair.workers[0]).await, 1);
    pair.race(60, async {}).await;
}

#[tokio::test]
async fn a_redis_that_returns_with_old_data_is_another_one() {
    let Some(mut redis) = fixtures::Redis::start() else { return };
    let (_folder, address) = file();
    let pair = Pair::new(&address, [&redis.url(), &redis.url()]).await;
    assert!(is_cached(&pair).await);
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let _: () = redis::cmd("SAVE").query_async(&mut connection).await.unwrap();
    write(&pair.workers[0], 1).await;
    redis.restart();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: usize = redis::cmd("DBSIZE").query_async(&mut connection).await.unwrap();
    assert!(keys > 0, "it has the answer from before the write");
    assert_eq!((read(&pair.workers[0]).await, read(&pair.workers[1]).await), (1, 1));
    assert!(is_cached(&pair).await);
    assert_eq!((read(&pair.workers[0]).await, read(&pair.workers[1]).await), (1, 1));
}

async fn is_cached(pair: &Pair) -> bool {
    answers_from_cache(&pair.workers[0], &pair.stores[0]).await
}

/// Reads until a read comes from a cache, which is at once unless the machine is busy or the cache has to settle first.
async fn answers_from_cache(worker: &Handler, store: &Watched) -> bool {
    let wait = async {
        loop {
            let before = store.reads_count();
            read(worker).await;
            if store.reads_count() == before {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), wait).await.is_ok()
}

#[tokio::test]
async fn an_answer_that_was_read_before_a_write_is_not_found_after_it() {
    let Some(redis) = fixtures::Redis::start() else { return };
    for cache in [redis.url().as_str(), "memory:"] {
        let (_folder, address) = file();
        let slow = Watched::held_up(store(&address).await);
        let worker = handler_of(slow.clone(), cache).await;
        create(&worker).await;
        let reading = tokio::spawn({
            let worker = worker.clone();
            async move { read(&worker).await }
        });
        // The old document is in the reader's hands now, and not yet in the cache.
        timeout(Duration::from_secs(60), async {
            while slow.reads_count() == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        write(&worker, 1).await;
        slow.returns.add_permits(1_000);
        assert_eq!(reading.await.unwrap(), 0, "it began before the write ended");
        assert_eq!(read(&worker).await, 1, "the old answer was not kept");
        assert!(answers_from_cache(&worker, &slow).await);
        assert_eq!(read(&worker).await, 1);
    }
}

#[tokio::test]
async fn a_cache_that_was_never_there_is_no_error() {
    let (_folder, address) = file();
    let worker = handler_of(store(&address).await, "redis://127.0.0.1:1").await;
    create(&worker).await;
    write(&worker, 1).await;
    assert_eq!(read(&worker).await, 1);
}

#[tokio::test]
async fn each_query_and_limit_has_an_answer_of_its_own() {
    let (_folder, address) = file();
    let worker = handler_of(store(&address).await, "memory:").await;
    create(&worker).await;
    ask(&worker, &["mydb", "orders", "CREATE", r#"{"_id":2,"n":0}"#]).await;
    for _ in 0..2 {
        assert_eq!(ask(&worker, &["mydb", "orders", "RETRIEVE", "{}"]).await.len(), 3);
        assert_eq!(ask(&worker, &["mydb", "orders", "RETRIEVE", "{}", r#"{"limit":1}"#]).await.len(), 2);
        assert_eq!(ask(&worker, &["mydb", "orders", "RETRIEVE", r#"{"_id":2}"#]).await.len(), 2);
        assert_eq!(ask(&worker, &["mydb", "other", "RETRIEVE", "{}"]).await, ["200"]);
        assert_eq!(ask(&worker, &["mydb2", "orders", "RETRIEVE", "{}"]).await, ["200"]);
    }
}

#[tokio::test]
async fn a_redis_that_takes_no_writes_costs_time_only() {
    let Some(redis) = fixtures::Redis::start() else { return };
    let (_folder, address) = file();
    let pair = Pair::new(&address, [&redis.url(), &redis.url()]).await;
    assert!(is_cached(&pair).await);
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let _: () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("1").query_async(&mut connection).await.unwrap();
    write(&pair.workers[1], 1).await;
    assert_eq!(read(&pair.workers[0]).await, 1);
    pair.race(50, async {}).await;
}
