//! A broker gives requests to workers in the right order, to those that still want them, and not for ever.
//!
//! - Those of one connection to one service: in the order in which they came, a second of waiting being worth a level
//!   of priority.
//! - Those of several connections: in turns. Between a request's arrival (or the last turn of its connection) and its
//!   own turn, no other connection has two.
//! - One that comes back from a lost worker is next again.
//! - Not after it has waited too long, not for a client that has gone (if the policy says so; one that comes back under
//!   its identity has not), and not more often than attempts are allowed.
//!
//! A request that came twice cannot be told from its double: where it matters it is left out.

use std::time::Duration;

use bytes::Bytes;
use protocol::mdp::v03::client::Request;
use protocol::mdp::v03::{CLIENT_HEADER, FromClient};
use protocol::{Frames, Instant, PeerId, Priority, ServiceName};
use rustc_hash::FxHashMap;

use crate::marker::Token;

/// What the broker was told about requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) queue_wait: Duration,
    pub(crate) attempts_max: u32,
    pub(crate) run_abandoned: bool,
}

/// What one broker was asked, and in which order.
#[derive(Debug)]
pub(crate) struct Order {
    rules: Rules,
    arrived: FxHashMap<Token, Arrival>,
    turns: FxHashMap<(PeerId, Bytes), Turn>,
    /// For each service, when the one who had two turns most recently had the first of them.
    doubled: FxHashMap<Bytes, u64>,
    /// Requests in the order in which they were given away: the place is the broker's number for it, less one.
    given: Vec<Option<Token>>,
    /// Requests that came back and wait again.
    returned: Vec<Token>,
    connected: FxHashMap<PeerId, Bytes>,
    /// The newest connection of each identity.
    identities: FxHashMap<Bytes, PeerId>,
    /// The identity that each connection had, also those that have gone, and all connections of each.
    names: FxHashMap<PeerId, Bytes>,
    known_as: FxHashMap<Bytes, Vec<PeerId>>,
    count: u64,
}

#[derive(Debug)]
struct Arrival {
    peer: PeerId,
    identity: Bytes,
    service: Bytes,
    /// When it came, and a second more for each level that is above its priority; among equals, its place.
    rank: (Instant, u64),
    /// The connections on which it came again.
    others: Vec<PeerId>,
    /// Its place among all that happened.
    place: u64,
    expires: Instant,
    /// How often it came, and how often it was given to a worker.
    came: u32,
    given: u32,
    is_over: bool,
}

/// The latest turn of a connection at a service.
#[derive(Debug, Default)]
struct Turn {
    /// When it was.
    at: u64,
    /// The requests that were given away, by rank, and when; none that a later one of higher rank follows.
    given: Vec<((Instant, u64), u64)>,
    /// Whether it was the connection's turn for certain, and not that of a request which came back.
    is_certain: bool,
}

impl Order {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            arrived: FxHashMap::default(),
            turns: FxHashMap::default(),
            doubled: FxHashMap::default(),
            given: Vec::new(),
            returned: Vec::new(),
            connected: FxHashMap::default(),
            identities: FxHashMap::default(),
            names: FxHashMap::default(),
            known_as: FxHashMap::default(),
            count: 0,
        }
    }

    pub(crate) fn on_connected(&mut self, peer: PeerId, identity: Bytes) {
        if !identity.is_empty() {
            self.identities.insert(identity.clone(), peer);
            self.names.insert(peer, identity.clone());
            self.known_as.entry(identity.clone()).or_default().push(peer);
        }
        self.connected.insert(peer, identity);
    }

    pub(crate) fn on_disconnected(&mut self, peer: PeerId) {
        let identity = self.connected.remove(&peer).unwrap_or_default();
        if self.identities.get(&identity) == Some(&peer) {
            self.identities.remove(&identity);
        }
    }

    /// Whether an answer can reach the client that asked, on whatever connection.
    fn is_reachable(&self, peer: PeerId, identity: &Bytes) -> bool {
        self.connected.contains_key(&peer) || self.identities.contains_key(identity)
    }

    /// A request arrives.
    pub(crate) fn on_request(&mut self, now: Instant, peer: PeerId, service: &Bytes, frames: &Frames) {
        let Some((token, _)) = Token::find(frames) else { return };
        self.count += 1;
        let (place, wait) = (self.count, now + self.rules.queue_wait);
        let (left, priority) = terms(frames);
        let expires = left.map_or(wait, |left| wait.min(now + left));
        let rank = (now + Duration::from_secs(u64::from(PRIORITY_MAX - priority)), place);
        let identity = self.connected.get(&peer).cloned().unwrap_or_default();
        let service = service.clone();
        let first = || Arrival {
            peer,
            identity,
            service,
            rank,
            others: Vec::new(),
            place,
            expires,
            came: 0,
            given: 0,
            is_over: false,
        };
        let arrival = self.arrived.entry(token).or_insert_with(first);
        arrival.came += 1;
        if arrival.came > 1 {
            arrival.others.push(peer);
        }
    }

    /// A worker was lost; the request that was given away as number `job` waits again.
    pub(crate) fn on_requeued(&mut self, job: u64) {
        let place = job.checked_sub(1).and_then(|place| usize::try_from(place).ok());
        self.returned.extend(place.and_then(|place| self.given.get(place).copied().flatten()));
    }

    /// A request has ended for its client.
    pub(crate) fn on_over(&mut self, token: Token) {
        self.returned.retain(|returned| *returned != token);
        if let Some(arrival) = self.arrived.get_mut(&token) {
            arrival.is_over = true;
        }
    }

    /// A request of that connection failed. Its turn may have come and gone with it, and so may that of an older
    /// connection of the same client, where a repeated request still waits.
    pub(crate) fn on_failed(&mut self, peer: PeerId, service: &ServiceName, is_given_up: bool) {
        let service = Bytes::copy_from_slice(service.as_bytes());
        if is_given_up {
            // Its client may come back, and what has been given up stays so.
            let arrived = &self.arrived;
            let is_it = |arrival: &Arrival| arrival.peer == peer && arrival.service == service;
            self.returned.retain(|token| !arrived.get(token).is_some_and(is_it));
        }
        for peer in self.connections_of(peer) {
            self.may_have_turn(peer, service.clone());
        }
    }

    /// All connections of the client that has this one.
    fn connections_of(&self, peer: PeerId) -> Vec<PeerId> {
        let known = self.names.get(&peer).and_then(|identity| self.known_as.get(identity));
        known.cloned().unwrap_or_else(|| vec![peer])
    }

    /// A worker is given a request.
    pub(crate) fn on_dispatch(&mut self, now: Instant, frames: &Frames) -> Result<(), String> {
        let token = Token::find(frames).map(|(token, _)| token);
        self.given.push(token);
        let Some(token) = token else {
            if frames.last().is_some_and(|last| last == ANOTHER) {
                // It was somebody's turn, and nobody can tell whose.
                self.count += 1;
                self.turns.values_mut().for_each(|turn| (turn.at, turn.is_certain) = (self.count, false));
            }
            return Ok(());
        };
        let rules = self.rules;
        let Some(arrival) = self.arrived.get_mut(&token) else { return wrong(token, "was never asked here") };
        arrival.given += 1;
        let (peer, service, is_single) = (arrival.peer, arrival.service.clone(), arrival.came == 1);
        let (identity, rank) = (arrival.identity.clone(), arrival.rank);
        if arrival.given > arrival.came * rules.attempts_max {
            return wrong(token, &format!("is given away for the {}th time", arrival.given));
        }
        if is_single && arrival.is_over {
            return wrong(token, "has ended, and is given away");
        }
        if is_single && arrival.expires <= now {
            return wrong(token, "has waited too long and is given away");
        }
        let (place, is_first, others) = (arrival.place, arrival.given == 1, arrival.others.clone());
        if is_single && !rules.run_abandoned && !self.is_reachable(peer, &identity) {
            return wrong(token, "is given away, and its client has gone");
        }
        if let Some(found) = self.returned.iter().position(|returned| *returned == token) {
            self.returned.swap_remove(found);
            if is_single {
                return Ok(());
            }
            // Its double may have come back and ended unseen: then this was a turn like any other.
        } else if is_single && let Some(other) = self.returned_to(now, &service) {
            return wrong(
                other,
                &format!("came back and is overtaken by request {} of client {}", token.number, token.client),
            );
        }
        if is_single && is_first {
            return self.take_turn(token, (peer, service), (place, rank));
        }
        for peer in others {
            self.may_have_turn(peer, service.clone());
        }
        self.may_have_turn(peer, service);
        Ok(())
    }

    /// A request of that service that has come back, and waits for certain.
    fn returned_to(&mut self, now: Instant, service: &Bytes) -> Option<Token> {
        let arrived = &self.arrived;
        let is_over = |arrival: &Arrival| arrival.came == 1 && arrival.expires <= now;
        self.returned.retain(|token| arrived.get(token).is_some_and(|arrival| !is_over(arrival)));
        let waits = |arrival: &Arrival| {
            let is_wanted = self.rules.run_abandoned || self.is_reachable(arrival.peer, &arrival.identity);
            arrival.came == 1 && arrival.service == *service && is_wanted
        };
        self.returned.iter().copied().find(|token| arrived.get(token).is_some_and(waits))
    }

    fn take_turn(
        &mut self,
        token: Token,
        (peer, service): (PeerId, Bytes),
        (place, rank): (u64, (Instant, u64)),
    ) -> Result<(), String> {
        let doubled = self.doubled.entry(service.clone()).or_default();
        let turn = self.turns.entry((peer, service)).or_default();
        self.count += 1;
        if *doubled > turn.at.max(place) {
            return wrong(token, "waits, and another connection has two turns");
        }
        if turn.given.iter().any(|(other, at)| *other > rank && *at > place) {
            return wrong(token, "was overtaken by a later or less urgent one of its connection");
        }
        if turn.is_certain {
            *doubled = turn.at.max(*doubled);
        }
        (turn.at, turn.is_certain) = (self.count, true);
        turn.given.retain(|(other, _)| *other > rank);
        turn.given.push((rank, self.count));
        Ok(())
    }

    /// A connection may have had its turn.
    fn may_have_turn(&mut self, peer: PeerId, service: Bytes) {
        self.count += 1;
        let turn = self.turns.entry((peer, service)).or_default();
        (turn.at, turn.is_certain) = (self.count, false);
    }
}

/// The deadline and the priority of a request, where its dialect has them.
fn terms(frames: &Frames) -> (Option<Duration>, u8) {
    let of_native = |request: Request| (request.terms.deadline, request.terms.priority.level());
    let is_native = frames.first().is_some_and(|head| head.starts_with(CLIENT_HEADER));
    match is_native.then(|| FromClient::decode(frames.clone())) {
        Some(Ok(FromClient::Request(request))) => of_native(request),
        _ => (None, Priority::NORMAL.level()),
    }
}

/// The body of a request under an id that is in use for another one.
pub(crate) const ANOTHER: &str = "another body";

const PRIORITY_MAX: u8 = Priority::MAX.level();

fn wrong(token: Token, what: &str) -> Result<(), String> {
    Err(format!("request {} of client {} {what}", token.number, token.client))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { queue_wait: Duration::from_secs(1), attempts_max: 2, run_abandoned: false };

    fn request(number: u64) -> Frames {
        Frames::from([Token { client: 1, number }.to_frame()])
    }

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    /// Requests 0, 1, … of these connections, which have arrived at 0 ms.
    fn asked(peers: &[u64]) -> Order {
        let mut order = Order::new(RULES);
        for (number, peer) in (0..).zip(peers) {
            order.on_connected(PeerId(*peer), Bytes::new());
            order.on_request(at(0), PeerId(*peer), &Bytes::from_static(b"s0"), &request(number));
        }
        order
    }

    /// What is wrong when these requests are given away at 0 ms, one after the other.
    fn given(order: &mut Order, numbers: &[u64]) -> Vec<String> {
        numbers.iter().filter_map(|number| order.on_dispatch(at(0), &request(*number)).err()).collect()
    }

    #[test]
    fn a_request_that_is_overtaken_on_its_own_connection_is_found() {
        let found = given(&mut asked(&[1, 1, 1, 2]), &[3, 1, 0, 2]);
        assert_eq!(found, ["request 0 of client 1 was overtaken by a later or less urgent one of its connection"]);
        assert_eq!(given(&mut asked(&[1]), &[9]), ["request 9 of client 1 was never asked here"]);
    }

    #[test]
    fn connections_take_turns() {
        assert_eq!(given(&mut asked(&[1, 1, 1, 2, 2]), &[0, 3, 1, 4, 2]), [""; 0]);
        let found = given(&mut asked(&[1, 1, 1, 2]), &[0, 1, 3]);
        assert_eq!(found, ["request 3 of client 1 waits, and another connection has two turns"]);
    }

    #[test]
    fn a_request_that_came_back_is_next() {
        let mut order = asked(&[1, 1]);
        assert_eq!(given(&mut order, &[0]), [""; 0]);
        order.on_requeued(1);
        let found = given(&mut order, &[1]);
        assert_eq!(found, ["request 0 of client 1 came back and is overtaken by request 1 of client 1"]);
        assert_eq!(given(&mut order, &[0]), [""; 0]);
    }

    #[test]
    fn the_turn_of_a_request_whose_double_came_back_and_ended_is_a_turn() {
        let mut order = asked(&[1, 2, 2, 2]);
        assert_eq!(given(&mut order, &[0]), [""; 0]);
        order.on_requeued(1);
        order.on_disconnected(PeerId(1));
        order.on_connected(PeerId(3), Bytes::new());
        for number in [0, 4] {
            order.on_request(at(0), PeerId(3), &Bytes::from_static(b"s0"), &request(number));
        }
        order.on_failed(PeerId(1), &ServiceName::new("s0").unwrap(), false);
        assert_eq!(given(&mut order, &[1, 0, 2, 4]), [""; 0]);
    }

    #[test]
    fn one_attempt_too_many_one_too_late_and_one_for_nobody_are_found() {
        let mut order = asked(&[1]);
        for job in 1..3 {
            assert_eq!(given(&mut order, &[0]), [""; 0]);
            order.on_requeued(job);
        }
        assert_eq!(given(&mut order, &[0]), ["request 0 of client 1 is given away for the 3th time"]);
        assert!(asked(&[1]).on_dispatch(at(999), &request(0)).is_ok());
        assert!(asked(&[1]).on_dispatch(at(1000), &request(0)).is_err());
        let mut order = asked(&[1]);
        order.on_disconnected(PeerId(1));
        assert_eq!(given(&mut order, &[0]), ["request 0 of client 1 is given away, and its client has gone"]);
    }
}
