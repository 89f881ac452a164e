//! The generator against our own broker, in this process: every pattern's shape, and idle connections.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper that fails has to fail its test")]

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use bench::load::{self, Curve, Flood, Idle, shake_hands};
use bench::measure::{Gauge, Placement};
use bench::peers::Addresses;
use bench::plan::{Pattern, Plan};
use bench::wire::mdp::Mdp;
use runtime::Shutdown;
use runtime::zmtp::curve::{KeyPair, SecretKey};
use runtime::zmtp::{KEY_BYTES, Mechanism, Options};

#[test]
fn our_broker_answers_every_request_of_every_pattern() {
    let broker = InProcess::start();
    for (clients, outstanding, body_bytes) in [(1, 1, 64), (1, 1000, 1024), (50, 20, 64), (200, 5, 64), (2, 20, 65_536)]
    {
        let plan = Plan {
            pattern: Pattern { clients, outstanding },
            workers: 64,
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
fn our_broker_answers_every_request_over_curve() {
    let broker = InProcess::start_with(Some(KeyPair::new(SecretKey::from([7; KEY_BYTES]))));
    for (clients, outstanding, body_bytes) in [(1, 1, 64), (50, 20, 1024), (2, 20, 16_384), (1, 3, 300_000)] {
        let plan = Plan {
            pattern: Pattern { clients, outstanding },
            workers: 8,
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
                let server = server.await.unwrap();
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
