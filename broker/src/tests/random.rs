//! Random histories: whatever clients and workers do, and whatever rights they are given and lose, nothing is lost,
//! doubled or misdirected, and no count drifts.

use std::num::NonZeroU32;

use proptest::prelude::*;
use protocol::mdp::v03::{self, Idempotency, JobNumber, Terms, ToClient, ToWorker as ToNative};
use protocol::rights::{ServicePattern, ServicePatterns};
use protocol::{PeerLimits, Priority, RequestId};

use super::*;

/// One step of a history; numbers are taken modulo what exists.
#[derive(Clone, Debug)]
enum Step {
    Worker { service: u8, dialect: u8 },
    Request { client: u8, service: u8 },
    Answer { worker: u8, partial: bool },
    Heartbeat { worker: u8 },
    Leave { worker: u8, politely: bool },
    Refuse { worker: u8 },
    Garbage { peer: u8, frames: Vec<Vec<u8>> },
    Pass { millis: u16 },
    Grant { client: u8, grant: u8 },
    Withdraw { worker: u8, entirely: bool },
    Credit { worker: u8, credit: u8 },
    Drain { worker: u8, service: Option<u8> },
    Cancel { request: u8 },
    Repeat { request: u8, changed: bool },
    Return,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3u8, 0..4u8).prop_map(|(service, dialect)| Step::Worker { service, dialect }),
        8 => (0..6u8, 0..3u8).prop_map(|(client, service)| Step::Request { client, service }),
        10 => (any::<u8>(), prop::bool::weighted(0.2)).prop_map(|(worker, partial)| Step::Answer { worker, partial }),
        2 => any::<u8>().prop_map(|worker| Step::Heartbeat { worker }),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(worker, politely)| Step::Leave { worker, politely }),
        1 => any::<u8>().prop_map(|worker| Step::Refuse { worker }),
        1 => (any::<u8>(), prop::collection::vec(prop::collection::vec(any::<u8>(), 0..8), 0..6))
            .prop_map(|(peer, frames)| Step::Garbage { peer, frames }),
        2 => (0..4000u16).prop_map(|millis| Step::Pass { millis }),
        2 => (0..5u8, 0..4u8).prop_map(|(client, grant)| Step::Grant { client, grant }),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(worker, entirely)| Step::Withdraw { worker, entirely }),
        1 => (any::<u8>(), 0..4u8).prop_map(|(worker, credit)| Step::Credit { worker, credit }),
        1 => (any::<u8>(), prop::option::of(0..3u8)).prop_map(|(worker, service)| Step::Drain { worker, service }),
        2 => any::<u8>().prop_map(|request| Step::Cancel { request }),
        3 => (any::<u8>(), prop::bool::weighted(0.3)).prop_map(|(request, changed)| Step::Repeat { request, changed }),
        1 => Just(Step::Return),
    ]
}

/// What a client may do: everything, one service only, so many requests in flight, so many a second.
fn granted(client: u8, grant: u8) -> Rights {
    let everything = Rights { credential: Some(format!("client {client}").into()), ..Rights::everything() };
    let limits = PeerLimits::default();
    match grant {
        0 => everything,
        1 => Rights { call: std::iter::once(ServicePattern::Exact(name("s0"))).collect(), ..everything },
        2 => Rights { limits: PeerLimits { in_flight_max: NonZeroU32::new(2), ..limits }, ..everything },
        _ => Rights { limits: PeerLimits { requests_per_second: NonZeroU32::new(2), ..limits }, ..everything },
    }
}

/// `None` is 0.3.
const CLIENTS: [Option<Dialect>; 6] =
    [Some(Dialect::V01), Some(Dialect::V02), Some(Dialect::V02Delimited), Some(Dialect::V02Majortomo), None, None];
/// The client that has an identity, and comes back under it on another connection.
const RETURNING: u64 = 5;
const WORKERS: [Option<Dialect>; 4] = [Some(Dialect::V01), Some(Dialect::V02), Some(Dialect::V02Delimited), None];

/// What the world outside the broker knows.
#[derive(Default)]
struct World {
    workers: Vec<(u64, Option<Dialect>)>,
    jobs: Vec<Given>,
    /// Workers of 0.3 that have said DRAIN.
    draining: std::collections::BTreeSet<u64>,
    next_peer: u64,
    asked: u64,
    finals: std::collections::BTreeMap<String, u32>,
    /// The requests of 0.3, in the order in which they were asked for the first time.
    natives: Vec<Native>,
    /// How often the returning client has come back.
    returns: u64,
    /// Final replies that were successes.
    delivered: u64,
}

/// A request of 0.3.
#[derive(Clone, Debug)]
struct Native {
    client: u64,
    service: ServiceName,
    id: RequestId,
    body: String,
    terms: Terms,
    /// How often it was sent, how often a worker was given it, and how many FINALs came.
    sent: u32,
    given: u32,
    ends: u32,
}

/// A request that a worker has.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Given {
    worker: u64,
    address: Bytes,
    body: String,
    parts: u32,
}

impl World {
    fn with_clients(bench: &mut Bench) -> Self {
        for client in 0..5 {
            bench.connect_with(1_000_000 + u64::from(client), granted(client, 0));
        }
        let world = Self::default();
        bench.enter(world.peer_of(RETURNING), "returning", None);
        world
    }

    fn peer_of(&self, client: u64) -> u64 {
        if client == RETURNING { 3_000_000 + self.returns } else { 1_000_000 + client }
    }

    fn native(&mut self, id: RequestId) -> &mut Native {
        self.natives.iter_mut().find(|native| native.id == id).unwrap()
    }

    /// Sends a request of 0.3, for the first time or again.
    fn ask(&mut self, bench: &mut Bench, id: RequestId, changed: bool) {
        self.asked += 1;
        let native = self.native(id);
        native.sent += 1;
        let Native { client, service, body, terms, .. } = native.clone();
        let body = Frames::from([if changed { format!("{body} changed") } else { body }]);
        let request = v03::client::Request { id, service, terms, body };
        bench.message(self.peer_of(client), v03::FromClient::Request(request).encode());
    }

    /// Looks at all that was sent: workers note their requests, clients count their final replies.
    fn look(&mut self, bench: &mut Bench) {
        for (peer, dialect) in self.workers.clone() {
            match dialect {
                Some(dialect) => self.look_at_worker(bench, peer, dialect),
                None => self.look_at_native_worker(bench, peer),
            }
        }
        for (client, dialect) in (0..6u64).zip(CLIENTS) {
            match dialect {
                Some(dialect) => self.look_at_client(bench, client, dialect),
                None => self.look_at_native_client(bench, client),
            }
        }
    }

    fn look_at_worker(&mut self, bench: &mut Bench, worker: u64, dialect: Dialect) {
        for command in bench.worker_commands(worker, dialect) {
            match command {
                ToWorker::Request { address, body } => {
                    self.jobs.push(Given { worker, address, body: text(&body), parts: 0 });
                }
                ToWorker::Disconnect => self.forget(worker),
                ToWorker::Heartbeat => {}
            }
        }
    }

    fn look_at_native_worker(&mut self, bench: &mut Bench, worker: u64) {
        for command in bench.native_commands(worker) {
            match command {
                ToNative::Request(v03::worker::Request { job, body, id, .. }) => {
                    if let Some(id) = id {
                        self.native(id).given += 1;
                    }
                    let address = Bytes::copy_from_slice(&job.0.to_be_bytes());
                    self.jobs.push(Given { worker, address, body: text(&body), parts: 0 });
                    let in_flight = self.jobs.iter().filter(|given| given.worker == worker).count();
                    assert!(in_flight <= 3, "no worker has ever allowed more");
                }
                ToNative::Disconnect(_) => self.forget(worker),
                ToNative::Cancel(job) => {
                    let address = job.0.to_be_bytes();
                    let is_its_own = |given: &Given| given.worker == worker && given.address == address[..];
                    assert!(self.jobs.iter().any(is_its_own), "only what it has is called off");
                }
                ToNative::Drain(_) | ToNative::Heartbeat(_) => {}
            }
        }
    }

    fn look_at_client(&mut self, bench: &mut Bench, client: u64, dialect: Dialect) {
        for reply in bench.replies(1_000_000 + client, dialect) {
            let body = text(&reply.body);
            // A failure that is told is counted as failed.
            if !(body.starts_with("429 ") || body.starts_with("403 ")) {
                self.note(client, &body, reply.part == Part::Final);
            }
        }
    }

    fn look_at_native_client(&mut self, bench: &mut Bench, client: u64) {
        for told in bench.native_replies(self.peer_of(client)) {
            match told {
                ToClient::Partial { id, body, .. } => {
                    let native = self.native(id);
                    assert_eq!(native.client, client);
                    assert!(native.ends < native.sent, "nothing comes after the FINAL");
                    self.note(client, &text(&body), false);
                }
                ToClient::Final { id, outcome, body } => {
                    let native = self.native(id);
                    native.ends += 1;
                    assert_eq!(native.client, client);
                    if outcome.status.is_success() {
                        assert!(text(&body).starts_with(&native.body), "{body:?} for {}", native.body);
                        self.delivered += 1;
                        self.note(client, &text(&body), false);
                    }
                }
                ToClient::Drain(_) | ToClient::Heartbeat => panic!("not sent unasked: {told:?}"),
            }
        }
    }

    fn note(&mut self, client: u64, body: &str, is_final: bool) {
        let owner = body.split('|').next_back().unwrap().to_owned();
        assert!(owner.starts_with(&format!("{client}:")), "{owner} came to client {client}");
        if is_final {
            self.delivered += 1;
            *self.finals.entry(owner).or_default() += 1;
        }
    }

    fn forget(&mut self, peer: u64) {
        self.workers.retain(|(worker, _)| *worker != peer);
        self.jobs.retain(|given| given.worker != peer);
    }

    fn pick(&self, number: u8) -> Option<(u64, Option<Dialect>)> {
        (!self.workers.is_empty()).then(|| self.workers[usize::from(number) % self.workers.len()])
    }

    fn take(&mut self, bench: &mut Bench, step: Step) {
        match step {
            Step::Worker { service, dialect } => {
                self.next_peer += 1;
                let dialect = WORKERS[usize::from(dialect)];
                self.workers.push((self.next_peer, dialect));
                let services = [format!("s{service}"), format!("s{}", (service + 1) % 3)];
                match dialect {
                    Some(dialect) => bench.worker(self.next_peer, dialect, &services[0]),
                    None => bench.native_worker(self.next_peer, 2, &services.each_ref().map(String::as_str)),
                }
            }
            Step::Request { client, service } => {
                let dialect = CLIENTS[usize::from(client)];
                let (number, client) = (self.asked + 1, u64::from(client));
                let body = format!("{client}:{number}");
                let service = name(&format!("s{service}"));
                if let Some(dialect) = dialect {
                    self.asked += 1;
                    let message = Request::new(dialect, Frames::new(), service, Frames::from([body])).encode();
                    bench.message(self.peer_of(client), message);
                } else {
                    let id = RequestId((u128::from(number)).to_be_bytes());
                    let terms = terms(number);
                    self.natives.push(Native { client, service, id, body, terms, sent: 0, given: 0, ends: 0 });
                    self.ask(bench, id, false);
                }
            }
            Step::Answer { worker, partial } => self.answer(bench, worker, partial),
            Step::Heartbeat { worker } => {
                if let Some((peer, dialect)) = self.pick(worker) {
                    match dialect {
                        Some(dialect) => bench.say(peer, dialect, FromWorker::Heartbeat),
                        None => bench.native_say(peer, v03::FromWorker::Heartbeat(seconds(2))),
                    }
                }
            }
            Step::Leave { worker, politely } => {
                if let Some((peer, dialect)) = self.pick(worker) {
                    match dialect {
                        Some(dialect) if politely => bench.say(peer, dialect, FromWorker::Disconnect),
                        None if politely => {
                            let (status, options) = (v03::Status::OK, v03::Options::none());
                            bench.native_say(
                                peer,
                                v03::FromWorker::Disconnect(v03::worker::Farewell { status, options }),
                            );
                        }
                        _ => bench.disconnect(peer),
                    }
                    self.look(bench);
                    self.forget(peer);
                }
            }
            Step::Refuse { worker } => {
                if let Some((peer, _)) = self.pick(worker) {
                    bench.input(Input::Refused { peer: PeerId(peer) });
                    self.look(bench);
                    self.forget(peer);
                }
            }
            Step::Garbage { peer, frames } => {
                let garbage: Frames = frames.into_iter().map(Bytes::from).collect();
                bench.message(2_000_000 + u64::from(peer), garbage);
            }
            Step::Pass { millis } => bench.pass(Duration::from_millis(millis.into())),
            Step::Grant { client, grant } => {
                let peer = 1_000_000 + u64::from(client);
                if grant == 0 {
                    // Cut off, and back at once.
                    bench.change_rights(peer, None);
                    bench.connect_with(peer, granted(client, grant));
                }
                bench.change_rights(peer, Some(granted(client, grant)));
            }
            Step::Withdraw { worker, entirely } => {
                if let Some((peer, _)) = self.pick(worker) {
                    let offer = ServicePatterns::default();
                    bench.change_rights(peer, (!entirely).then(|| Rights { offer, ..Rights::everything() }));
                    self.look(bench);
                    let is_there = self.workers.iter().any(|(worker, _)| *worker == peer);
                    assert!(!is_there || self.draining.contains(&peer), "told DISCONNECT, unless it offers nothing");
                }
            }
            Step::Credit { worker, credit } => {
                if let Some((peer, None)) = self.pick(worker) {
                    bench.native_say(peer, v03::FromWorker::Credit(credit.into()));
                }
            }
            Step::Cancel { request } => {
                if let Some(Native { client, id, .. }) = self.pick_native(request) {
                    bench.message(self.peer_of(client), v03::FromClient::Cancel(id).encode());
                }
            }
            Step::Repeat { request, changed } => {
                if let Some(Native { id, .. }) = self.pick_native(request) {
                    self.ask(bench, id, changed);
                }
            }
            Step::Return => {
                bench.disconnect(self.peer_of(RETURNING));
                self.returns += 1;
                bench.enter(self.peer_of(RETURNING), "returning", None);
            }
            Step::Drain { worker, service } => {
                if let Some((peer, None)) = self.pick(worker) {
                    self.draining.insert(peer);
                    let service = service.map(|service| name(&format!("s{service}")));
                    let drain = v03::Drain { grace: seconds(3), service, options: v03::Options::none() };
                    bench.native_say(peer, v03::FromWorker::Drain(drain));
                }
            }
        }
        self.look(bench);
    }

    /// One of the requests of 0.3.
    fn pick_native(&self, number: u8) -> Option<Native> {
        (!self.natives.is_empty()).then(|| self.natives[usize::from(number) % self.natives.len()].clone())
    }

    fn answer(&mut self, bench: &mut Bench, number: u8, partial: bool) {
        if self.jobs.is_empty() {
            return;
        }
        let position = usize::from(number) % self.jobs.len();
        let Given { worker, address, body, parts } = self.jobs[position].clone();
        let (_, dialect) = *self.workers.iter().find(|(peer, _)| *peer == worker).unwrap();
        let is_partial = partial && dialect.is_none_or(Dialect::streams);
        if is_partial {
            self.jobs[position].parts += 1;
        } else {
            self.jobs.remove(position);
        }
        let part = if is_partial { Part::Partial } else { Part::Final };
        let job = JobNumber(u64::from_be_bytes(address.as_ref().try_into().unwrap()));
        match dialect {
            Some(dialect) => bench.reply(worker, dialect, &address, part, &body),
            None if is_partial => bench.native_partial(worker, job, parts, &body),
            None => bench.native_final(worker, job, parts, &body),
        }
    }
}

/// Some have less time than the queue would give them; all levels of urgency and repetition come in turn.
fn terms(number: u64) -> Terms {
    let deadline = number.is_multiple_of(3).then(|| Duration::from_millis(number * 300 % 5000));
    let priority = Priority::new((number * 7 % 10) as u8).unwrap();
    let idempotency = match number % 4 {
        0 => Idempotency::Kept,
        1 => Idempotency::Repeatable,
        _ => Idempotency::Once,
    };
    Terms { deadline, priority, idempotency, ..Terms::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_request_ends_once_as_reply_or_failure(steps in prop::collection::vec(any_step(), 1..120)) {
        let mut config = Config::default();
        config.policy.busy_timeout = Duration::from_secs(8);
        // Longer than any history.
        config.limits.kept_window = Duration::from_secs(1000);
        let mut bench = Bench::new(config);
        let mut world = World::with_clients(&mut bench);
        for step in steps {
            world.take(&mut bench, step);
        }
        // Calm: whoever is left answers all that comes, and what no worker serves expires.
        for _ in 0..10_000 {
            if world.jobs.is_empty() {
                break;
            }
            world.answer(&mut bench, 0, false);
            world.look(&mut bench);
        }
        bench.pass(seconds(200));
        world.look(&mut bench);
        let counters = bench.broker.counters();
        prop_assert!(world.finals.values().all(|count| *count == 1), "a request has two replies: {:?}", world.finals);
        prop_assert_eq!(counters.replies + counters.failed + counters.duplicates, world.asked);
        prop_assert!(world.delivered + counters.undeliverable >= counters.replies);
        prop_assert!(world.delivered <= counters.replies + counters.duplicates);
        for native in &world.natives {
            // Some FINALs of the client that went away and came back have gone into the connection that it had left.
            let least = u32::from(native.client != RETURNING);
            let most = native.sent;
            prop_assert!((least..=most).contains(&native.ends), "FINALs: {:?}", native);
            let runs_once = native.terms.idempotency == Idempotency::Once;
            prop_assert!(!runs_once || native.given <= 1, "it is to run once: {:?}", native);
        }
        prop_assert_eq!(bench.broker.known.len(), bench.broker.kept.len(), "only what has ended is known");
        bench.pass(seconds(1001));
        prop_assert_eq!((bench.broker.known.len(), bench.broker.kept.byte_count()), (0, 0));
        prop_assert_eq!(bench.broker.queued, crate::broker::Queued::default());
        prop_assert_eq!(bench.broker.workers(), 0);
        prop_assert_eq!(bench.broker.services.iter().count(), 0);
        prop_assert_eq!(bench.broker.accounts.in_flight(), 0);
    }

    #[test]
    fn the_same_history_has_the_same_outputs(steps in prop::collection::vec(any_step(), 1..60)) {
        let run = || {
            let mut bench = Bench::new(Config::default());
            let mut world = World::with_clients(&mut bench);
            for step in steps.clone() {
                world.take(&mut bench, step);
            }
            (bench.events(), bench.broker.counters(), world.jobs)
        };
        prop_assert_eq!(run(), run());
    }
}
