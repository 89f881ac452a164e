//! Random histories: whatever clients and workers do, and whatever rights they are given and lose, nothing is lost,
//! doubled or misdirected, and no count drifts.

use std::num::NonZeroU32;

use proptest::prelude::*;
use protocol::PeerLimits;
use protocol::rights::{ServicePattern, ServicePatterns};

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
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3u8, 0..3u8).prop_map(|(service, dialect)| Step::Worker { service, dialect }),
        8 => (0..4u8, 0..3u8).prop_map(|(client, service)| Step::Request { client, service }),
        10 => (any::<u8>(), prop::bool::weighted(0.2)).prop_map(|(worker, partial)| Step::Answer { worker, partial }),
        2 => any::<u8>().prop_map(|worker| Step::Heartbeat { worker }),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(worker, politely)| Step::Leave { worker, politely }),
        1 => any::<u8>().prop_map(|worker| Step::Refuse { worker }),
        1 => (any::<u8>(), prop::collection::vec(prop::collection::vec(any::<u8>(), 0..8), 0..6))
            .prop_map(|(peer, frames)| Step::Garbage { peer, frames }),
        2 => (0..4000u16).prop_map(|millis| Step::Pass { millis }),
        2 => (0..4u8, 0..4u8).prop_map(|(client, grant)| Step::Grant { client, grant }),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(worker, entirely)| Step::Withdraw { worker, entirely }),
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

const CLIENTS: [Dialect; 4] = [Dialect::V01, Dialect::V02, Dialect::V02Delimited, Dialect::V02Majortomo];
const WORKERS: [Dialect; 3] = [Dialect::V01, Dialect::V02, Dialect::V02Delimited];

/// What the world outside the broker knows.
#[derive(Default)]
struct World {
    workers: Vec<(u64, Dialect)>,
    jobs: Vec<(u64, Bytes, String)>,
    next_peer: u64,
    asked: u64,
    finals: std::collections::BTreeMap<String, u32>,
}

impl World {
    fn with_clients(bench: &mut Bench) -> Self {
        for client in 0..4 {
            bench.connect_with(1_000_000 + u64::from(client), granted(client, 0));
        }
        Self::default()
    }

    /// Looks at all that was sent: workers note their requests, clients count their final replies.
    fn look(&mut self, bench: &mut Bench) {
        for (peer, dialect) in self.workers.clone() {
            for command in bench.worker_commands(peer, dialect) {
                match command {
                    ToWorker::Request { address, body } => self.jobs.push((peer, address, text(&body))),
                    ToWorker::Disconnect => self.forget(peer),
                    ToWorker::Heartbeat => {}
                }
            }
        }
        for client in 0..4u64 {
            let dialect = CLIENTS[usize::try_from(client).unwrap()];
            for reply in bench.replies(1_000_000 + client, dialect) {
                let body = text(&reply.body);
                if body.starts_with("403 ") || body.starts_with("429 ") {
                    // It is counted as failed.
                    continue;
                }
                let owner = body.split('|').next_back().unwrap().to_owned();
                assert!(owner.starts_with(&format!("{client}:")), "{owner} came to client {client}");
                if reply.part == Part::Final {
                    *self.finals.entry(owner).or_default() += 1;
                }
            }
        }
    }

    fn forget(&mut self, peer: u64) {
        self.workers.retain(|(worker, _)| *worker != peer);
        self.jobs.retain(|(worker, ..)| *worker != peer);
    }

    fn pick(&self, number: u8) -> Option<(u64, Dialect)> {
        (!self.workers.is_empty()).then(|| self.workers[usize::from(number) % self.workers.len()])
    }

    fn take(&mut self, bench: &mut Bench, step: Step) {
        match step {
            Step::Worker { service, dialect } => {
                self.next_peer += 1;
                let dialect = WORKERS[usize::from(dialect)];
                self.workers.push((self.next_peer, dialect));
                bench.worker(self.next_peer, dialect, &format!("s{service}"));
            }
            Step::Request { client, service } => {
                self.asked += 1;
                let dialect = CLIENTS[usize::from(client)];
                let body = Frames::from([format!("{client}:{}", self.asked)]);
                let request = Request::new(dialect, Frames::new(), name(&format!("s{service}")), body);
                bench.message(1_000_000 + u64::from(client), request.encode());
            }
            Step::Answer { worker, partial } => self.answer(bench, worker, partial),
            Step::Heartbeat { worker } => {
                if let Some((peer, dialect)) = self.pick(worker) {
                    bench.say(peer, dialect, FromWorker::Heartbeat);
                }
            }
            Step::Leave { worker, politely } => {
                if let Some((peer, dialect)) = self.pick(worker) {
                    if politely {
                        bench.say(peer, dialect, FromWorker::Disconnect);
                    } else {
                        bench.disconnect(peer);
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
                    assert!(!self.workers.iter().any(|(worker, _)| *worker == peer), "told DISCONNECT");
                }
            }
        }
        self.look(bench);
    }

    fn answer(&mut self, bench: &mut Bench, number: u8, partial: bool) {
        if self.jobs.is_empty() {
            return;
        }
        let position = usize::from(number) % self.jobs.len();
        let (peer, address, body) = self.jobs[position].clone();
        let (_, dialect) = *self.workers.iter().find(|(worker, _)| *worker == peer).unwrap();
        if partial && dialect.streams() {
            return bench.reply(peer, dialect, &address, Part::Partial, &body);
        }
        self.jobs.remove(position);
        bench.reply(peer, dialect, &address, Part::Final, &body);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_request_ends_once_as_reply_or_failure(steps in prop::collection::vec(any_step(), 1..120)) {
        let mut bench = Bench::with_policy(|policy| policy.busy_timeout = Duration::from_secs(8));
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
        let failed = bench.broker.counters().failed;
        let answered: u64 = world.finals.values().map(|count| u64::from(*count)).sum();
        prop_assert!(world.finals.values().all(|count| *count == 1), "a request has two replies: {:?}", world.finals);
        prop_assert_eq!(answered + failed, world.asked);
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
