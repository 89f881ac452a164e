//! The main job with real processes: a call goes to the app broker, the MM worker, the DB broker, the database worker
//! and the database, and the answer comes back, whoever of them dies on the way.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

use common::{Majordomo, run, stderr, stdout, wait_for_workers, wait_until};
use serde_json::Value;
use tempfile::TempDir;

const BOLTS: &str = r#"{"_id":"PO-1","item":"bolts","quantity":40}"#;
const NUTS: &str = r#"{"_id":"PO-2","item":"nuts","quantity":5}"#;

/// Both brokers, and as many workers of either kind as are wanted.
struct House {
    app: Majordomo,
    db: Majordomo,
    store: Vec<String>,
    mm_workers: Vec<Majordomo>,
    db_workers: Vec<Majordomo>,
}

impl House {
    /// Starts everything, with so many workers of either kind over a store with a cache, and waits until they serve.
    fn start(store: &str, cache: &str, workers_count: usize) -> Self {
        let store = ["db", "--store", store, "--cache", cache].map(str::to_owned).to_vec();
        let (app, db) = (Majordomo::broker(&["--name", "app"]), Majordomo::broker(&["--name", "db"]));
        let mut house = Self { app, db, store, mm_workers: Vec::new(), db_workers: Vec::new() };
        for _ in 0..workers_count {
            house.add_mm_worker();
            house.add_db_worker();
        }
        wait_for_workers(&house.app.endpoint, "MM", workers_count as u64);
        wait_for_workers(&house.db.endpoint, "MongoDB", workers_count as u64);
        house
    }

    fn add_mm_worker(&mut self) {
        let line = ["mm", "--db-broker", &self.db.endpoint];
        self.mm_workers.push(Majordomo::worker(&self.app.endpoint, &[&line, &PATIENT[..]].concat()));
    }

    fn add_db_worker(&mut self) {
        let line: Vec<_> = self.store.iter().map(String::as_str).collect();
        self.db_workers.push(Majordomo::worker(&self.db.endpoint, &line));
    }

    /// kill -9 of the oldest MM worker; a new one takes its place.
    fn replace_mm_worker(&mut self) {
        self.mm_workers.remove(0).kill();
        self.add_mm_worker();
    }

    /// kill -9 of the oldest database worker; a new one takes its place.
    fn replace_db_worker(&mut self) {
        self.db_workers.remove(0).kill();
        self.add_db_worker();
    }

    fn call(&self, request: &[&str]) -> Vec<String> {
        common::call(&self.app.endpoint, &[&PATIENT, &["MM"][..], request].concat())
    }
}

/// One attempt that may take long: what is lost on the way is not made up for by trying again.
const PATIENT: [&str; 4] = ["--timeout", "60s", "--retries", "1"];

/// A place for a SQLite file, and its address.
fn file() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("sqlite:{}", folder.path().join("orders.db").display());
    (folder, address)
}

#[test]
fn all_four_operations_and_every_refusal_are_answered_from_sqlite_in_memory_and_in_a_file() {
    let (_folder, file) = file();
    for (store, cache) in [("sqlite::memory:", "none"), ("sqlite::memory:", "memory:"), (&file, "memory:")] {
        take_the_tour(&House::start(store, cache, 1));
    }
}

fn take_the_tour(house: &House) {
    assert_eq!(house.call(&["POSave", BOLTS]), ["200", r#"{"_id":"PO-1"}"#]);
    assert_eq!(house.call(&["POSave", NUTS]), ["200", r#"{"_id":"PO-2"}"#]);
    assert_eq!(house.call(&["POSelect", r#"{"quantity":{"$gt":10}}"#]), ["200", BOLTS]);
    assert_eq!(house.call(&["POSelect", "{}"]), ["200", BOLTS, NUTS]);
    assert_eq!(house.call(&["POUpdate", r#"{"_id":"PO-1"}"#, r#"{"$inc":{"quantity":2}}"#]), ["200", "1"]);
    assert_eq!(house.call(&["POSelect", r#"{"quantity":42}"#])[1..], [BOLTS.replace("40", "42")]);
    assert_status(&house.call(&["POSave", NUTS]), "409 ", "PO-2");
    assert_eq!(house.call(&["POSelect", r#"{"item":"none"}"#]), ["200"]);
    assert_status(&house.call(&["POBurn", "{}"]), "400 ", "POBurn");
    assert_status(&house.call(&["POSelect", "{quantity"]), "400 ", "query");
    assert_status(&house.call(&["POSelect", r#"{"quantity":{"$near":1}}"#]), "400 ", "$near");
    assert_status(&house.call(&["POUpdate", "{}"]), "400 ", "POUpdate");
    assert_eq!(house.call(&["PODelete", "{}"]), ["200", "2"]);
    assert_eq!(house.call(&["POSelect", "{}"]), ["200"]);
}

/// A status with a reason is one frame of one line, which names what it is about.
fn assert_status(reply: &[String], status: &str, about: &str) {
    assert_eq!(reply.len(), 1, "{reply:?}");
    assert!(reply[0].starts_with(status) && reply[0].contains(about), "{reply:?} is not {status}about {about}");
}

#[test]
fn a_pyzmq_client_does_all_four_operations_on_mongodb_with_redis_in_front() {
    let (Some(mongo), Some(redis)) = (fixtures::Mongo::start(), fixtures::Redis::start()) else { return };
    let Some(mut client) = common::python("zmq") else { return };
    let house = House::start(&mongo.uri(), &redis.url(), 1);
    let script = format!("{}/tests/peers/orders.py", env!("CARGO_MANIFEST_DIR"));
    let output = client.args([&script, &house.app.endpoint]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let replies: Vec<Vec<String>> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let more_bolts = BOLTS.replace("40", "42");
    assert_eq!(replies.len(), 10, "{replies:?}");
    assert_eq!(replies[0], ["200", r#"{"_id":"PO-1"}"#]);
    assert_eq!(replies[1], ["200", r#"{"_id":"PO-2"}"#]);
    assert_status(&replies[2], "409 ", "PO-1");
    assert_eq!(replies[3], ["200", BOLTS]);
    assert_eq!(replies[4], ["200", "1"]);
    assert_eq!(replies[5], ["200", &more_bolts, NUTS]);
    assert_eq!(replies[6], ["200"]);
    assert_status(&replies[7], "400 ", "$near");
    assert_eq!(replies[8], ["200", "1"]);
    assert_eq!(replies[9], ["200", NUTS]);
    // What it left is in MongoDB, and found by others without the cache.
    let others = House::start(&mongo.uri(), "none", 1);
    assert_eq!(others.call(&["POSelect", "{}"]), ["200", NUTS]);
    assert_eq!(others.call(&["PODelete", "{}"]), ["200", "1"]);
    take_the_tour(&others);
}

/// Purchase orders that several clients work on at once, and which of them were acknowledged.
#[derive(Default)]
struct Orders {
    saved: Mutex<Vec<String>>,
}

impl Orders {
    /// Takes so many orders through save, update and select; every call has to succeed, and to see what came before.
    ///
    /// A worker that is killed between its write and its reply has its request done again by another. So a save may
    /// meet its own document, and is acknowledged by 409; the other operations are the same twice as once.
    fn work(&self, endpoint: &str, client: &str, orders_count: usize) {
        let call = |request: &[&str]| common::call(endpoint, &[&PATIENT, &["MM"][..], request].concat());
        for number in 0..orders_count {
            let id = format!("{client}-{number}");
            let query = format!(r#"{{"_id":"{id}"}}"#);
            let reply = call(&["POSave", &format!(r#"{{"_id":"{id}","state":"new"}}"#)]);
            assert!(reply[0] == "200" || reply[0].starts_with("409 "), "save of {id}: {reply:?}");
            self.saved.lock().unwrap().push(id.clone());
            let reply = call(&["POUpdate", &query, r#"{"$set":{"state":"sent"}}"#]);
            assert_eq!(reply[0], "200", "update of {id}: {reply:?}");
            assert_eq!(call(&["POSelect", &query]), ["200", &format!(r#"{{"_id":"{id}","state":"sent"}}"#)]);
        }
    }

    fn wait_for(&self, saved_count: usize) {
        wait_until(&format!("{saved_count} orders"), || self.saved.lock().unwrap().len() >= saved_count);
    }

    fn assert_all_are_in(&self, house: &House) {
        let reply = house.call(&["POSelect", "{}"]);
        assert_eq!(reply[0], "200");
        let found: Vec<Value> = reply[1..].iter().map(|row| serde_json::from_str(row).unwrap()).collect();
        for id in self.saved.lock().unwrap().iter() {
            assert!(found.iter().any(|order| order["_id"] == **id && order["state"] == "sent"), "{id} is lost");
        }
    }
}

#[test]
fn workers_killed_in_turn_under_a_stream_of_orders_fail_no_call_and_lose_no_order() {
    let (_folder, store) = file();
    let mut house = House::start(&store, "none", 2);
    let (app, orders) = (house.app.endpoint.clone(), Orders::default());
    std::thread::scope(|scope| {
        for client in ["a", "b", "c", "d"] {
            let (app, orders) = (&app, &orders);
            scope.spawn(move || orders.work(app, client, 25));
        }
        for saved_count in [10, 40, 70] {
            orders.wait_for(saved_count);
            house.replace_mm_worker();
            orders.wait_for(saved_count + 15);
            house.replace_db_worker();
        }
    });
    assert_eq!(orders.saved.lock().unwrap().len(), 100);
    orders.assert_all_are_in(&house);
}

#[test]
fn the_only_database_worker_killed_and_started_again_has_every_acknowledged_order() {
    let (_folder, store) = file();
    let mut house = House::start(&store, "memory:", 1);
    let (app, orders) = (house.app.endpoint.clone(), Orders::default());
    std::thread::scope(|scope| {
        for client in ["a", "b", "c"] {
            let (app, orders) = (&app, &orders);
            scope.spawn(move || orders.work(app, client, 15));
        }
        for saved_count in [12, 30] {
            orders.wait_for(saved_count);
            house.replace_db_worker();
        }
    });
    assert_eq!(orders.saved.lock().unwrap().len(), 45);
    orders.assert_all_are_in(&house);
}

#[test]
fn a_redis_that_is_killed_in_the_middle_costs_time_only() {
    let Some(mut redis) = fixtures::Redis::start() else { return };
    let (_folder, store) = file();
    let house = House::start(&store, &redis.url(), 2);
    assert_eq!(house.call(&["POSave", BOLTS])[0], "200");
    for quantity in 0..15 {
        match quantity {
            5 => redis.kill(),
            10 => redis.restart(),
            _ => {}
        }
        let change = format!(r#"{{"$set":{{"quantity":{quantity}}}}}"#);
        assert_eq!(house.call(&["POUpdate", "{}", &change]), ["200", "1"]);
        // Once from the store, and then perhaps from the cache of either worker.
        for _ in 0..3 {
            assert_eq!(house.call(&["POSelect", "{}"])[1..], [BOLTS.replace("40", &quantity.to_string())]);
        }
    }
}

#[test]
fn a_mongodb_that_is_not_there_is_answered_500_in_time_and_used_once_it_is() {
    let Some(mut mongo) = fixtures::Mongo::start() else { return };
    mongo.kill();
    let house = House::start(&mongo.impatient_uri(), "none", 1);
    for request in [&["POSelect", "{}"][..], &["POSave", NUTS], &["PODelete", "{}"]] {
        // With the patience that a call has unless it is told otherwise: it does not give up before the answer.
        assert_status(&common::call(&house.app.endpoint, &[&["MM"], request].concat()), "500 ", "MongoDB");
    }
    mongo.restart();
    wait_until("the worker to find its server", || house.call(&["POSelect", "{}"])[0] == "200");
    // A write that was answered 500 may have taken place.
    assert_eq!(house.call(&["PODelete", "{}"])[0], "200");
    take_the_tour(&house);
}

/// Two database workers of one store, each reached by a name of its own.
struct Pair {
    db: Majordomo,
    _workers: [Majordomo; 2],
}

impl Pair {
    fn start(store: &str, cache: &str) -> Self {
        let db = Majordomo::broker(&[]);
        let start = |service| {
            let line = ["db", "--store", store, "--cache", cache, "--service", service];
            Majordomo::worker(&db.endpoint, &line)
        };
        let workers = SIDES.map(start);
        SIDES.iter().for_each(|service| wait_for_workers(&db.endpoint, service, 1));
        Self { db, _workers: workers }
    }

    fn call(&self, service: &str, request: &[&str]) -> Vec<String> {
        common::call(&self.db.endpoint, &[&PATIENT, &[service, "mydb", "Coll_PO"][..], request].concat())
    }

    /// Writes through both workers in turn; after each acknowledgement both are asked, twice: the second answer may
    /// come from the cache that the first one filled.
    fn assert_never_stale(&self, writes_count: usize) {
        assert_eq!(self.call("left", &["CREATE", BOLTS])[0], "200");
        for quantity in 0..writes_count {
            let change = format!(r#"{{"$set":{{"quantity":{quantity}}}}}"#);
            assert_eq!(self.call(SIDES[quantity % 2], &["UPDATE", "{}", &change]), ["200", "1"]);
            for service in [SIDES, SIDES].concat() {
                let order = BOLTS.replace("40", &quantity.to_string());
                assert_eq!(self.call(service, &["RETRIEVE", "{}"]), ["200", &order], "from {service}");
            }
        }
    }
}

const SIDES: [&str; 2] = ["left", "right"];

#[test]
fn two_workers_of_a_file_that_share_a_redis_never_read_stale() {
    let Some(redis) = fixtures::Redis::start() else { return };
    let (_folder, store) = file();
    Pair::start(&store, &redis.url()).assert_never_stale(12);
    assert!(hits_count(&redis) > 0, "the cache was never used");
}

#[test]
fn two_workers_of_a_file_with_caches_of_their_own_never_read_stale() {
    let (_folder, store) = file();
    Pair::start(&store, "memory:").assert_never_stale(8);
}

#[test]
fn two_workers_of_a_mongodb_that_share_a_redis_never_read_stale() {
    let (Some(mongo), Some(redis)) = (fixtures::Mongo::start(), fixtures::Redis::start()) else { return };
    Pair::start(&mongo.uri(), &redis.url()).assert_never_stale(8);
    assert!(hits_count(&redis) > 0, "the cache was never used");
}

/// How many keys were asked for in a Redis and found, by its own account.
fn hits_count(redis: &fixtures::Redis) -> u64 {
    let mut stream = TcpStream::connect(redis.url().trim_start_matches("redis://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"INFO stats\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let line = answer.lines().find_map(|line| line.strip_prefix("keyspace_hits:"));
    line.unwrap_or_else(|| panic!("no hits in {answer}")).parse().unwrap()
}

#[test]
fn a_store_that_cannot_be_opened_is_one_line_that_names_it() {
    let file = "/nonexistent/folder/orders.db";
    let broker = Majordomo::broker(&[]);
    let output = run(&["worker", "db", "--broker", &broker.endpoint, "--store", &format!("sqlite:{file}")]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.lines().count() == 1 && text.contains(file), "{text}");
}
