//! Gossip: where each node listens, told to all by hubs that they are connected to, as czmq's zgossip does it.
//!
//! ```text
//!   node ── HELLO, PUBLISH id endpoint ──► hub ── PUBLISH, to all others ──► every other node, which says HELLO to it
//! ```
//!
//! A machine of its own beside the node's: it is a hub to those who connect to it, a client of the hubs that it
//! connects to, and passes on from each to all others what is new. czmq never forgets a value; here one is forgotten a
//! minute after the connection that it came over is gone, so that the dead are not looked for for ever.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use protocol::zgossip::Message;
use protocol::{Frames, Instant, Machine, PeerId};

/// Where something comes from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// We ourselves.
    Us,
    /// A connection to us.
    Client(PeerId),
    /// The hub of this number, which we connect to.
    Hub(usize),
}

/// What may happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// There is a connection to a hub, or none any more.
    Linked {
        /// Which.
        hub: usize,
        /// Whether there is one.
        up: bool,
    },
    /// A message came.
    Heard {
        /// Where from.
        from: Place,
        /// The frames.
        frames: Frames,
    },
    /// A connection to us is gone.
    Gone(PeerId),
}

/// What is wanted done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send to a client or a hub.
    Send {
        /// Which.
        to: Place,
        /// The frames.
        frames: Frames,
    },
    /// A key has this value. It is told again now and then, ever more seldom.
    Tell {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
}

/// The machine.
#[derive(Debug)]
pub struct Gossip {
    values: BTreeMap<String, Value>,
    /// Clients that have said HELLO.
    clients: BTreeSet<PeerId>,
    /// Whether there is a connection to each hub.
    hubs: Vec<bool>,
    next: Instant,
    outputs: VecDeque<Output>,
    faults: u64,
}

#[derive(Debug)]
struct Value {
    text: String,
    from: Place,
    /// When the connection that it came over was lost.
    lost: Option<Instant>,
    tell_at: Instant,
    tell_wait: Duration,
}

impl Gossip {
    /// Of so many hubs, with what we have to say ourselves.
    pub fn new(key: String, value: String, hubs: usize) -> Self {
        let (tell_at, tell_wait) = (Instant::MAX, Duration::ZERO);
        let own = Value { text: value, from: Place::Us, lost: None, tell_at, tell_wait };
        Self {
            values: BTreeMap::from([(key, own)]),
            clients: BTreeSet::new(),
            hubs: vec![false; hubs],
            next: Instant::ZERO,
            outputs: VecDeque::new(),
            faults: 0,
        }
    }

    /// Messages that broke a rule, and values for which there was no room.
    pub fn faults(&self) -> u64 {
        self.faults
    }

    fn on_heard(&mut self, now: Instant, from: Place, frames: &Frames) {
        let Ok(message) = Message::decode(frames) else {
            self.faults += 1;
            return;
        };
        match (from, message) {
            (Place::Client(peer), Message::Hello) => self.on_hello(peer),
            // czmq answers so whoever it has forgotten, and is said HELLO to again.
            (Place::Client(peer), _) if !self.clients.contains(&peer) => self.send(from, &Message::Invalid),
            (_, Message::Publish { key, value }) => self.on_publish(now, from, key, value),
            (Place::Client(_), Message::Ping) => self.send(from, &Message::Pong),
            (Place::Hub(hub), Message::Invalid) => self.greet(hub),
            _ => {}
        }
    }

    fn on_hello(&mut self, peer: PeerId) {
        if self.clients.len() >= CLIENTS_MAX && !self.clients.contains(&peer) {
            self.faults += 1;
            return;
        }
        self.clients.insert(peer);
        self.publish_all(Place::Client(peer));
    }

    fn on_publish(&mut self, now: Instant, from: Place, key: String, value: String) {
        let is_full = self.values.len() >= VALUES_MAX && !self.values.contains_key(&key);
        if is_full || self.values.get(&key).is_some_and(|known| known.from == Place::Us) {
            // A hub says our own back to us, which is no fault.
            self.faults += u64::from(is_full);
            return;
        }
        let (tell_at, tell_wait) = (now + TELL_FIRST, TELL_FIRST);
        let new = Value { text: value.clone(), from, lost: None, tell_at, tell_wait };
        let before = self.values.insert(key.clone(), new);
        if before.is_some_and(|before| before.text == value) {
            return;
        }
        let message = Message::Publish { key: key.clone(), value: value.clone() };
        self.outputs.push_back(Output::Tell { key, value });
        let clients = self.clients.iter().map(|peer| Place::Client(*peer));
        let others: Vec<Place> = clients.chain(self.hubs_up()).filter(|place| *place != from).collect();
        others.into_iter().for_each(|place| self.send(place, &message));
    }

    fn greet(&mut self, hub: usize) {
        self.send(Place::Hub(hub), &Message::Hello);
        self.publish_all(Place::Hub(hub));
    }

    fn publish_all(&mut self, to: Place) {
        let known = self.values.iter().filter(|(_, value)| value.from != to);
        let publish =
            |(key, value): (&String, &Value)| Message::Publish { key: key.clone(), value: value.text.clone() };
        let messages: Vec<Message> = known.map(publish).collect();
        messages.iter().for_each(|message| self.send(to, message));
    }

    fn on_lost(&mut self, now: Instant, place: Place) {
        self.values.values_mut().filter(|value| value.from == place).for_each(|value| value.lost = Some(now));
    }

    fn hubs_up(&self) -> impl Iterator<Item = Place> {
        self.hubs.iter().enumerate().filter(|(_, up)| **up).map(|(hub, _)| Place::Hub(hub))
    }

    fn send(&mut self, to: Place, message: &Message) {
        self.outputs.push_back(Output::Send { to, frames: message.encode() });
    }
}

impl Machine for Gossip {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Linked { hub, up } => {
                self.hubs.get_mut(hub).into_iter().for_each(|is_up| *is_up = up);
                if up { self.greet(hub) } else { self.on_lost(now, Place::Hub(hub)) }
            }
            Input::Heard { from, frames } => self.on_heard(now, from, &frames),
            Input::Gone(peer) => {
                self.clients.remove(&peer);
                self.on_lost(now, Place::Client(peer));
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        if now < self.next {
            return;
        }
        self.next = now + PING_INTERVAL;
        let hubs: Vec<Place> = self.hubs_up().collect();
        hubs.into_iter().for_each(|hub| self.send(hub, &Message::Ping));
        self.values.retain(|_, value| value.lost.is_none_or(|lost| now - lost < FORGET));
        for (key, value) in self.values.iter_mut().filter(|(_, value)| value.tell_at <= now) {
            value.tell_wait = (value.tell_wait * 2).min(TELL_MAX);
            value.tell_at = now + value.tell_wait;
            self.outputs.push_back(Output::Tell { key: key.clone(), value: value.text.clone() });
        }
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.next)
    }
}

/// czmq forgets a client that is silent for a second.
const PING_INTERVAL: Duration = Duration::from_millis(400);
/// A node that was lost sight of is told of again: after so long, and then after twice as long each time.
const TELL_FIRST: Duration = Duration::from_secs(5);
const TELL_MAX: Duration = Duration::from_secs(60);
/// How long a value outlives the connection that it came over.
const FORGET: Duration = Duration::from_secs(60);
const CLIENTS_MAX: usize = 4096;
const VALUES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    const A: PeerId = PeerId(1);
    const B: PeerId = PeerId(2);

    /// One hub to connect to, and what we publish is us = here.
    fn gossip() -> (Gossip, Instant) {
        (Gossip::new("us".into(), "here".into(), 1), Instant::from_millis(1000))
    }

    fn publish(key: &str, value: &str) -> Message {
        Message::Publish { key: key.into(), value: value.into() }
    }

    fn hear(gossip: &mut Gossip, now: Instant, from: Place, message: &Message) -> Vec<(Place, Message)> {
        gossip.handle(now, Input::Heard { from, frames: message.encode() });
        sent(gossip)
    }

    /// What is sent; values that are told stand there as published to us.
    fn sent(gossip: &mut Gossip) -> Vec<(Place, Message)> {
        let said = |output| match output {
            Output::Send { to, frames } => (to, Message::decode(&frames).unwrap()),
            Output::Tell { key, value } => (Place::Us, Message::Publish { key, value }),
        };
        std::iter::from_fn(|| gossip.poll()).map(said).collect()
    }

    fn wait(gossip: &mut Gossip, now: &mut Instant, duration: Duration) -> Vec<(Place, Message)> {
        let end = *now + duration;
        let mut all = Vec::new();
        while let Some(due) = gossip.deadline().filter(|due| *due <= end) {
            *now = (*now).max(due);
            gossip.tick(*now);
            all.extend(sent(gossip));
        }
        *now = end;
        all
    }

    #[test]
    fn a_client_is_told_all_at_hello_and_what_is_new_from_then_on_and_nothing_twice() {
        let (mut gossip, now) = gossip();
        let (a, b) = (Place::Client(A), Place::Client(B));
        assert_eq!(hear(&mut gossip, now, a, &Message::Hello), [(a, publish("us", "here"))]);
        let told = [(Place::Us, publish("a", "1"))];
        assert_eq!(hear(&mut gossip, now, a, &publish("a", "1")), told);
        let all = [(b, publish("a", "1")), (b, publish("us", "here"))];
        assert_eq!(hear(&mut gossip, now, b, &Message::Hello), all);
        assert_eq!(hear(&mut gossip, now, b, &publish("a", "1")), []);
        let told = [(Place::Us, publish("a", "2")), (a, publish("a", "2"))];
        assert_eq!(hear(&mut gossip, now, b, &publish("a", "2")), told);
        assert_eq!(hear(&mut gossip, now, b, &publish("us", "elsewhere")), [], "we know best where we are");
        assert_eq!(hear(&mut gossip, now, a, &Message::Ping), [(a, Message::Pong)]);
    }

    #[test]
    fn whoever_has_not_said_hello_is_told_so_and_says_it_when_told_so() {
        let (mut gossip, now) = gossip();
        let (a, hub) = (Place::Client(A), Place::Hub(0));
        assert_eq!(hear(&mut gossip, now, a, &publish("a", "1")), [(a, Message::Invalid)]);
        let greeting = [(hub, Message::Hello), (hub, publish("us", "here"))];
        gossip.handle(now, Input::Linked { hub: 0, up: true });
        assert_eq!(sent(&mut gossip), greeting);
        assert_eq!(hear(&mut gossip, now, hub, &Message::Invalid), greeting);
    }

    #[test]
    fn a_hub_is_pinged_more_often_than_czmq_forgets_and_what_it_says_goes_to_clients() {
        let (mut gossip, mut now) = gossip();
        gossip.handle(now, Input::Linked { hub: 0, up: true });
        hear(&mut gossip, now, Place::Client(A), &Message::Hello);
        let told = [(Place::Us, publish("x", "1")), (Place::Client(A), publish("x", "1"))];
        assert_eq!(hear(&mut gossip, now, Place::Hub(0), &publish("x", "1")), told);
        let pings = wait(&mut gossip, &mut now, Duration::from_millis(999));
        assert!(pings.len() >= 2 && pings.iter().all(|said| *said == (Place::Hub(0), Message::Ping)), "{pings:?}");
        gossip.handle(now, Input::Linked { hub: 0, up: false });
        assert_eq!(wait(&mut gossip, &mut now, Duration::from_secs(1)), []);
    }

    #[test]
    fn a_value_is_told_again_ever_more_seldom_and_forgotten_a_minute_after_its_connection() {
        let (mut gossip, mut now) = gossip();
        hear(&mut gossip, now, Place::Client(A), &Message::Hello);
        hear(&mut gossip, now, Place::Client(A), &publish("a", "1"));
        assert_eq!(wait(&mut gossip, &mut now, Duration::from_secs(14)).len(), 1);
        assert_eq!(wait(&mut gossip, &mut now, Duration::from_secs(106)).len(), 3);
        gossip.handle(now, Input::Gone(A));
        wait(&mut gossip, &mut now, Duration::from_secs(59));
        let knows = |gossip: &mut Gossip, now| hear(gossip, now, Place::Client(B), &Message::Hello).len() == 2;
        assert!(knows(&mut gossip, now));
        wait(&mut gossip, &mut now, Duration::from_secs(2));
        assert!(!knows(&mut gossip, now));
    }

    #[test]
    fn values_max_and_clients_max_are_met_and_not_passed_and_octets_that_are_no_message_cost_a_count() {
        let (mut gossip, now) = gossip();
        hear(&mut gossip, now, Place::Client(A), &Message::Hello);
        for number in 1..=VALUES_MAX {
            hear(&mut gossip, now, Place::Client(A), &publish(&number.to_string(), "x"));
        }
        assert_eq!((gossip.values.len(), gossip.faults()), (VALUES_MAX, 1));
        for number in 2..=CLIENTS_MAX + 1 {
            gossip.handle(
                now,
                Input::Heard {
                    from: Place::Client(PeerId(u64::try_from(number).unwrap())),
                    frames: Message::Hello.encode(),
                },
            );
            gossip.outputs.clear();
        }
        assert_eq!((gossip.clients.len(), gossip.faults()), (CLIENTS_MAX, 2));
        gossip.handle(now, Input::Heard { from: Place::Client(A), frames: Frames::from(["x"]) });
        assert_eq!((sent(&mut gossip).len(), gossip.faults()), (0, 3));
    }
}
