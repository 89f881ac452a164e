//! One broker alone that knows many: what a request costs it when it is answered at once, and when queues are full.
//!
//! Under overload every request meets a full queue. Whatever is looked through then, is looked through for each of
//! them, at the worst time.

use std::sync::Arc;
use std::time::Duration;

use broker::{Broker, Config, Input, Output};
use protocol::mdp::Dialect;
use protocol::mdp::client::{Part, Request};
use protocol::mdp::worker::{FromWorker, ToWorker};
use protocol::{Frames, Instant, Machine, PeerId, Rights};
use serde::{Deserialize, Serialize};

use super::meter::Instruments;
use super::node::{round, service_name};

/// Nanoseconds in the broker's machine for each request that meets a crowd.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Crowd {
    /// Requests that wait already; for [`served_nanos`](Self::served_nanos) clients, services and workers.
    pub waiting: usize,
    /// Answered at once, with as many clients, services and workers. Nothing waits.
    pub served_nanos: f64,
    /// Refused: each of the waiting is of another client, and none holds more than the newcomer.
    pub refused_nanos: f64,
    /// Let in: each waiting client holds two requests, and one of them gives way.
    pub evicting_nanos: f64,
    /// Refused because all queues together are full: each of the waiting is of another service.
    pub broker_full_nanos: f64,
    /// Given up, as all the waiting are at once, having waited too long.
    pub expired_nanos: f64,
}

/// How many wait, the fewest first; the last is as many as a queue takes by default.
pub const STEPS: [usize; 5] = [100, 300, 1000, 3000, 10_000];

/// Meets a crowd of `waiting` requests in each of the ways. A figure is infinite where the broker did not do what it is
/// the figure of.
pub fn measure(waiting: usize, instruments: &mut dyn Instruments) -> Crowd {
    let mut queue = Config::default();
    queue.policy.queue_max = waiting;
    let mut whole = Config::default();
    whole.limits.queued_requests_max = waiting;
    whole.limits.services_max = waiting + NEWCOMERS;
    let singles = (0..waiting).map(|number| (number, 0));
    let pairs = (0..waiting).map(|number| (number / 2, 0));
    let apart = (0..waiting).map(|number| (number, number));
    let newcomers = |service: fn(usize) -> usize| {
        (0..NEWCOMERS).map(move |number| (STRANGERS + number, service(STRANGERS + number)))
    };
    Crowd {
        waiting,
        served_nanos: (0..ROUNDS).map(|_| serve(instruments, waiting)).fold(f64::MAX, f64::min),
        refused_nanos: best(instruments, &queue, &singles, &newcomers(|_| 0)),
        evicting_nanos: best(instruments, &queue, &pairs, &newcomers(|_| 0).take(waiting / 2)),
        broker_full_nanos: best(instruments, &whole, &apart, &newcomers(|number| number)),
        expired_nanos: (0..ROUNDS).map(|_| expire(instruments, &queue, singles.clone())).fold(f64::MAX, f64::min),
    }
}

/// A client and the service that it asks, by their numbers.
type Asking = (usize, usize);

/// The least of a few tries: what else runs on the machine only ever adds.
fn best(
    instruments: &mut dyn Instruments,
    config: &Config,
    waiting: &(impl Iterator<Item = Asking> + Clone),
    newcomers: &(impl Iterator<Item = Asking> + Clone),
) -> f64 {
    let mut least = f64::MAX;
    for _ in 0..ROUNDS {
        let Some(mut broker) = filled(instruments, config, waiting.clone()) else { return f64::INFINITY };
        let (mut nanos, mut count) = (0, 0_u32);
        for asking in newcomers.clone() {
            let taken = ask(instruments, &mut broker, asking);
            // The first one has the waiting put in order by what they hold, once and for all that follow.
            nanos += if count == 0 { 0 } else { taken };
            count += 1;
        }
        if broker.counters().failed != u64::from(count) {
            return f64::INFINITY;
        }
        least = least.min(nanos as f64 / f64::from(count.max(1)));
    }
    least
}

fn expire(instruments: &mut dyn Instruments, config: &Config, waiting: impl Iterator<Item = Asking> + Clone) -> f64 {
    let Some(mut broker) = filled(instruments, config, waiting) else { return f64::INFINITY };
    let late = NOW + config.policy.queue_wait + Duration::from_secs(1);
    let (_, nanos) = round(instruments, &mut broker, late, None);
    let expired = broker.counters().failed;
    if broker.queued_requests() == 0 { nanos as f64 / expired as f64 } else { f64::INFINITY }
}

/// Requests to services all over the table, each answered at once.
fn serve(instruments: &mut dyn Instruments, crowd: usize) -> f64 {
    let mut broker = Broker::new(Config::default());
    let rights = Arc::new(Rights::everything());
    for peer in (0..crowd).chain(WORKERS..WORKERS + crowd) {
        let (peer, rights) = (PeerId(peer as u64), Arc::clone(&rights));
        broker.handle(NOW, Input::Connected { peer, identity: bytes::Bytes::new(), rights });
    }
    for service in 0..crowd {
        let ready = FromWorker::Ready { service: service_name(service), credit: 1 }.encode(Dialect::V02);
        let _ = say(instruments, &mut broker, WORKERS + service, ready);
    }
    let mut nanos = 0;
    for number in 0..NEWCOMERS {
        let client = number * crowd / NEWCOMERS;
        let (outputs, asked) = say(instruments, &mut broker, client, request(client));
        let command = outputs.into_iter().find_map(|output| match output {
            Output::Send { peer, frames } if peer.0 == (WORKERS + client) as u64 => Some(frames),
            _ => None,
        });
        let Some(Ok(ToWorker::Request { address, body })) =
            command.map(|frames| ToWorker::decode(Dialect::V02, frames))
        else {
            return f64::INFINITY;
        };
        let reply = FromWorker::Reply { address, part: Part::Final, body }.encode(Dialect::V02);
        let (_, answered) = say(instruments, &mut broker, WORKERS + client, reply);
        nanos += asked + answered;
    }
    let all = broker.counters().replies == NEWCOMERS as u64;
    if all { nanos as f64 / NEWCOMERS as f64 } else { f64::INFINITY }
}

/// A broker that all have connected to and in which all wait; `None` if it did not take every one.
fn filled(
    instruments: &mut dyn Instruments,
    config: &Config,
    waiting: impl Iterator<Item = Asking> + Clone,
) -> Option<Broker> {
    let mut broker = Broker::new(config.clone());
    let rights = Arc::new(Rights::everything());
    let mut connect = |client: usize| {
        let (peer, rights) = (PeerId(client as u64), Arc::clone(&rights));
        broker.handle(NOW, Input::Connected { peer, identity: bytes::Bytes::new(), rights });
    };
    let count = waiting.clone().count();
    (0..count).chain(STRANGERS..STRANGERS + NEWCOMERS).for_each(&mut connect);
    for asking in waiting {
        ask(instruments, &mut broker, asking);
    }
    (broker.queued_requests() == count && count > 0).then_some(broker)
}

/// A request of a client to a service; the nanoseconds that it took.
fn ask(instruments: &mut dyn Instruments, broker: &mut Broker, (client, service): Asking) -> u64 {
    say(instruments, broker, client, request(service)).1
}

fn request(service: usize) -> Frames {
    Request::new(Dialect::V02, Frames::new(), service_name(service), Frames::from(["what"])).encode()
}

fn say(instruments: &mut dyn Instruments, broker: &mut Broker, peer: usize, frames: Frames) -> (Vec<Output>, u64) {
    round(instruments, broker, NOW, Some(Input::Message { peer: PeerId(peer as u64), frames }))
}

const NOW: Instant = Instant::from_millis(1);
/// Requests that meet a crowd.
const NEWCOMERS: usize = 1000;
/// Above the numbers of all who wait.
const STRANGERS: usize = 1_000_000;
/// Above all of those.
const WORKERS: usize = 2_000_000;
const ROUNDS: usize = 3;
