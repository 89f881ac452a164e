//! The generator against our own broker, in this process: every pattern's shape, and idle connections.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper that fails has to fail its test")]

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use bench::load::mixed::{self, Mix};
use bench::load::{self, Curve, Flood, Idle, shake_hands};
use bench::measure::{Gauge, Placement};
use bench::peers::Addresses;
use bench::plan::{Pattern, Plan};
use bench::wire::mdp::Mdp;
use bench::wire::mdp03::{Answers, Mdp03};
use bench::wire::stored::titanic::Titanic;
use runtime::Shutdown;
use runtime::zmtp::curve::{KeyPair, SecretKey};
use runtime::zmtp::{KEY_BYTES, Mechanism, Options};
use titanic::log::Settings;
use titanic::server::Server;
use titanic::store::Config;

#[test]
fn our_broker_answers_every_request_of_every_pattern() {
    let broker = InProcess::start();
    for (clients, outstanding, body_bytes) in [(1, 1, 64), (1, 1000, 1024), (50, 20, 64), (200, 5, 64), (2, 20, 65_536)]
    {
        let plan = Plan {
            pattern: Pattern { clients, outstanding },
            workers: 64,
            credit: 16,
            body_bytes,
            warm_up: Duration::from_millis(100),
            duration: Duration::from_millis(400),
            drain_max: Duration::from_secs(20),
        };
        let outcome = load::run(&Mdp, broker.addresses, &plan, &Gauge::new(std::process::id())).unwrap();
        assert!(outcome.replies > 0, "{plan:?}: {outcome:?}");
        assert_eq!((outcome.lost, outcome.mismatched), (0, 0), "{plan:?}");
        for answers in [Answers::Kept, Answers::Forgotten] {
            let native = Mdp03 { credit: plan.credit, answers };
            let outcome = load::run(&native, broker.addresses, &plan, &Gauge::new(std::process::id())).unwrap();
            assert!(outcome.replies > 0, "0.3, {plan:?}: {outcome:?}");
            assert_eq!((outcome.lost, outcome.mismatched), (0, 0), "0.3, {plan:?}");
        }
    }
}

#[test]
fn a_titanic_in_the_brokers_process_acknowledges_every_message_of_every_pattern() {
    let broker = InProcess::start_keeping();
    for (clients, outstanding, body_bytes) in [(1, 1, 128), (64, 1, 128), (1, 256, 1024)] {
        let plan = Plan {
            pattern: Pattern { clients, outstanding },
            workers: 0,
            credit: 1,
            body_bytes,
            warm_up: Duration::from_millis(50),
            duration: Duration::from_millis(200),
            drain_max: Duration::from_secs(20),
        };
        let run = u32::try_from(body_bytes).unwrap();
        let outcome = load::run(&Titanic { run }, broker.addresses, &plan, &Gauge::new(std::process::id())).unwrap();
        assert!(outcome.replies > 0, "{plan:?}: {outcome:?}");
        assert_eq!((outcome.lost, outcome.mismatched), (0, 0), "{plan:?}");
    }
}

#[test]
fn jobs_of_both_kinds_take_their_time_and_none_is_lost() {
    let broker = InProcess::start();
    let mix = Mix {
        short: mixed::SHORT,
        long: mixed::LONG,
        long_share: 0.05,
        load: 0.5,
        workers: 4,
        duration: Duration::from_millis(1500),
        drain_max: Duration::from_secs(20),
    };
    let outcome = mixed::run(&Mdp03 { credit: 1, answers: Answers::Kept }, broker.addresses, &mix, 7).unwrap();
    assert_eq!((outcome.lost, outcome.mismatched), (0, 0));
    for (latency_ns, time) in [(&outcome.short_ns, mixed::SHORT), (&outcome.long_ns, mixed::LONG)] {
        // The histogram keeps three digits.
        assert!(!latency_ns.is_empty() && Duration::from_nanos(latency_ns.min()) > time.mul_f64(0.99), "{time:?}");
    }
}

#[test]
fn our_broker_answers_every_request_over_curve() {
    let broker = InProcess::start_with(Some(KeyPair::new(SecretKey::from([7; KEY_BYTES]))));
    for (clients, outstanding, body_bytes) in [(1, 1, 64), (50, 20, 1024), (2, 20, 16_384), (1, 3, 300_000)] {
        let plan = Plan {
            pattern: Pattern { clients, outstanding },
            workers: 8,
            credit: 1,
            body_bytes,
            warm_up: Duration::from_millis(100),
            duration: Duration::from_millis(400),
            drain_max: Duration::from_secs(20),
        };
        let outcome = load::run(&Mdp, broker.addresses, &plan, &Gauge::new(std::process::id())).unwrap();
        assert!(outcome.replies > 0, "{plan:?}: {outcome:?}");
        assert_eq!((outcome.lost, outcome.mismatched), (0, 0), "{plan:?}");
    }
}

#[test]
fn handshakes_are_counted_and_a_flood_of_broken_ones_leaves_the_broker_up() {
    let broker = InProcess::start_with(Some(KeyPair::new(SecretKey::from([7; KEY_BYTES]))));
    let (address, curve) = (broker.addresses.clients, broker.addresses.curve.unwrap());
    let flood = Flood::start(address, curve, Placement::Free).unwrap();
    while flood.tried() < 30 {
        thread::yield_now();
    }
    let gauge = Gauge::new(std::process::id());
    let found = shake_hands(address, &curve, Duration::from_millis(100), &gauge).unwrap();
    assert!(found.count > 0 && found.elapsed >= Duration::from_millis(100), "{found:?}");
}

#[test]
fn idle_clients_stay_connected_and_are_answered_when_they_ask() {
    let broker = InProcess::start();
    let mut idle = Idle::open(&Mdp, broker.addresses, 300).unwrap();
    idle.rest(Duration::from_millis(100)).unwrap();
    idle.ask_once().unwrap();
}

/// A broker with its runtime in a thread; dropping it ends both.
struct InProcess {
    addresses: Addresses,
    /// Asks the broker to end, then waits for its thread.
    end: Option<Box<dyn FnOnce()>>,
}

impl InProcess {
    fn start() -> Self {
        Self::start_with(None)
    }

    /// With a key pair it speaks CURVE and lets everybody in.
    fn start_with(keys: Option<KeyPair>) -> Self {
        Self::begin(keys, false)
    }

    /// With a Titanic in memory.
    fn start_keeping() -> Self {
        Self::begin(None, true)
    }

    fn begin(keys: Option<KeyPair>, is_keeping: bool) -> Self {
        let curve = keys.as_ref().map(|keys| Curve { server: keys.public, secret: [8; KEY_BYTES] });
        let (sender, receiver) = channel();
        let (trigger, shutdown) = Shutdown::new();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let endpoints = ["tcp://127.0.0.1:0".parse().unwrap()];
                let mechanism = keys.map_or(Mechanism::Null, |keys| Mechanism::CurveServer(Arc::new(keys)));
                let options = Options { mechanism, ..Options::default() };
                let server = broker::Server::bind(&endpoints, broker::Config::default(), options);
                let mut server = server.await.unwrap();
                if is_keeping {
                    let titanic = Server::in_memory(&Settings::default(), Config::default()).unwrap();
                    tokio::spawn(titanic.serve_inside(server.entrance(), shutdown.clone()));
                }
                sender.send(server.endpoints()[0].to_string()).unwrap();
                server.run(shutdown).await;
            });
        });
        let endpoint = receiver.recv().unwrap();
        let address = endpoint.strip_prefix("tcp://").unwrap().parse().unwrap();
        let end = move || {
            trigger.pull();
            thread.join().unwrap();
        };
        Self { addresses: Addresses { curve, ..Addresses::shared(address) }, end: Some(Box::new(end)) }
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            end();
        }
    }
}
