//! The generator against our own broker, in this process: every pattern's shape, and idle connections.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper that fails has to fail its test")]

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use bench::load::{self, Idle};
use bench::measure::Gauge;
use bench::peers::Addresses;
use bench::plan::{Pattern, Plan};
use bench::wire::mdp::Mdp;
use runtime::Shutdown;

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
        let (sender, receiver) = channel();
        let (trigger, shutdown) = Shutdown::new();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let endpoints = ["tcp://127.0.0.1:0".parse().unwrap()];
                let server = broker::Server::bind(&endpoints, broker::Config::default(), Default::default());
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
        Self { addresses: Addresses::shared(address), end: Some(Box::new(end)) }
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            end();
        }
    }
}
