//! A peer that sends what nobody should: garbage, half messages, commands out of turn, floods, services that it never
//! serves. Whatever it does, others must not notice.

use std::time::Duration;

use bytes::Bytes;
use protocol::mdp::client::Part;
use protocol::mdp::v03::{self, Drain, JobNumber, Offer, Options, Outcome, Ready, Terms};
use protocol::mdp::worker::FromWorker;
use protocol::mdp::{Dialect, Request};
use protocol::{Frames, Instant, RequestId, ServiceName};

use super::{Actor, Context, Exit, Heard, Wish, service_name};
use crate::net::{Link, Side};
use crate::plan;
use crate::queue::MILLISECOND;
use crate::rng::Rng;

/// The peer.
#[derive(Debug)]
pub(crate) struct Hostile {
    plan: plan::Hostile,
    link: Option<Link>,
    is_connected: bool,
    sent: u32,
    is_calm: bool,
}

const NEXT: u64 = 0;

impl Hostile {
    pub(crate) fn new(plan: &plan::Hostile) -> Self {
        Self { plan: plan.clone(), link: None, is_connected: false, sent: 0, is_calm: false }
    }

    fn next(&mut self, context: &mut Context<'_>) {
        if self.is_calm || self.sent >= self.plan.messages {
            return;
        }
        let pause = context.up_to(self.plan.think_ms);
        context.later(pause + MILLISECOND / 10, NEXT);
        let Some(link) = self.link else {
            // Two of them fight for one identity, and sometimes they have none.
            let identity = context.rng.one_of([&b""[..], b"twin", b"other"]);
            self.link = context.dial(Bytes::from_static(identity));
            return;
        };
        if !self.is_connected || context.env.net.is_clogged(link, Side::Dialer) {
            return;
        }
        self.sent += 1;
        if context.rng.permille(30) {
            self.hang_up(context);
            return;
        }
        let message = message(context.rng, self.plan.services);
        context.send(link, Side::Dialer, message);
    }

    fn hang_up(&mut self, context: &mut Context<'_>) {
        self.is_connected = false;
        if let Some(link) = self.link.take() {
            context.close(link, Side::Dialer, false);
        }
    }
}

impl Actor for Hostile {
    fn start(&mut self, context: &mut Context<'_>) {
        context.later(MILLISECOND, NEXT);
    }

    fn die(&mut self, _context: &mut Context<'_>) {
        self.link = None;
        self.is_connected = false;
    }

    fn hear(&mut self, _context: &mut Context<'_>, link: Link, heard: Heard) {
        if self.link != Some(link) {
            return;
        }
        match heard {
            Heard::Connected { .. } => self.is_connected = true,
            // It never listens.
            Heard::Message(_) => {}
            Heard::Disconnected => {
                self.is_connected = false;
                self.link = None;
            }
        }
    }

    fn task(&mut self, context: &mut Context<'_>, _task: u64) {
        self.next(context);
    }

    fn wish(&mut self, context: &mut Context<'_>, wish: Wish) {
        self.is_calm = true;
        self.hang_up(context);
        if wish == Wish::End {
            context.exit = Some(Exit::Finished);
        }
    }

    fn tick(&mut self, _context: &mut Context<'_>) {}

    fn settle(&mut self, _context: &mut Context<'_>) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }
}

/// Something that no good peer sends, or that one sends at another time.
fn message(rng: &mut Rng, services: u8) -> Frames {
    if rng.chance(25) {
        return native(rng, services);
    }
    let dialect = rng.one_of([Dialect::V01, Dialect::V02, Dialect::V02Delimited, Dialect::V02Majortomo]);
    match rng.below(10) {
        0 => garbage(rng),
        1 | 2 => {
            let whole = request(rng, dialect, services);
            damage(rng, whole)
        }
        3 => {
            let whole = ready(rng, dialect, services);
            damage(rng, whole)
        }
        4 => FromWorker::Heartbeat.encode(worker(dialect)),
        5 => ready(rng, dialect, services),
        6 => {
            // Numbers that no broker gives out in a run: it must not guess a job of its own and answer it.
            let address = Bytes::copy_from_slice(&(rng.bits() | 1 << 63).to_be_bytes());
            let reply = FromWorker::Reply { address, part: Part::Final, body: Frames::from(["forged"]) };
            reply.encode(worker(dialect))
        }
        7 => FromWorker::Disconnect.encode(worker(dialect)),
        _ => request(rng, dialect, services),
    }
}

/// The same in MDP 0.3, whole or damaged.
fn native(rng: &mut Rng, services: u8) -> Frames {
    let job = JobNumber(rng.bits() | 1 << 63);
    let outcome = Outcome::OK;
    let body = Frames::from(["forged"]);
    let mut octets = [0; 16];
    octets.iter_mut().take(8).zip(rng.bits().to_be_bytes()).for_each(|(octet, drawn)| *octet = drawn);
    let id = RequestId(if rng.chance(5) { [0; 16] } else { octets });
    let message = match rng.below(9) {
        0 | 1 => {
            let request = v03::client::Request { id, service: service(rng, services), terms: Terms::default(), body };
            v03::FromClient::Request(request).encode()
        }
        2 => v03::FromClient::Cancel(id).encode(),
        3 => v03::FromClient::Heartbeat.encode(),
        4 => {
            let offers = 0..rng.one_of([1, 2, 65]);
            let offers = offers.map(|_| Offer { service: service(rng, services), options: Options::none() }).collect();
            let interval = Duration::from_millis(rng.one_of([1, 500, 60_000]));
            let credit = u32::try_from(rng.one_of([0, 1, 3, 70_000])).unwrap_or(1);
            v03::FromWorker::Ready(Ready { credit, interval, options: Options::none(), offers }).encode()
        }
        5 => v03::FromWorker::Final { job, outcome, body }.encode(),
        6 => v03::FromWorker::Partial { job, part: 7, body }.encode(),
        7 => v03::FromWorker::Credit(u32::try_from(rng.below(70_000)).unwrap_or(0)).encode(),
        _ => {
            let service = rng.chance(50).then(|| service(rng, services));
            let grace = Duration::from_millis(rng.below(2000));
            v03::FromWorker::Drain(Drain { grace, service, options: Options::none() }).encode()
        }
    };
    if rng.chance(40) { damage(rng, message) } else { message }
}

fn worker(dialect: Dialect) -> Dialect {
    // That form exists on the client side only.
    if dialect == Dialect::V02Majortomo { Dialect::V02Delimited } else { dialect }
}

fn service(rng: &mut Rng, services: u8) -> ServiceName {
    match rng.below(6) {
        0 => ServiceName::new(vec![b'x'; rng.index(254) + 1]).unwrap_or_else(|_| service_name(0)),
        1 => "mmi.service".parse().unwrap_or_else(|_| service_name(0)),
        _ => service_name(u8::try_from(rng.below(services.into())).unwrap_or(0)),
    }
}

fn ready(rng: &mut Rng, dialect: Dialect, services: u8) -> Frames {
    FromWorker::Ready { service: service(rng, services), credit: 1 }.encode(worker(dialect))
}

fn request(rng: &mut Rng, dialect: Dialect, services: u8) -> Frames {
    let service = service(rng, services);
    let bytes = rng.index(2000);
    let envelope = if dialect.is_delimited() && rng.chance(30) { Frames::from(["envelope"]) } else { Frames::new() };
    Request::new(dialect, envelope, service, Frames::from([vec![b'f'; bytes]])).encode()
}

fn garbage(rng: &mut Rng) -> Frames {
    let count = rng.one_of([0, 1, 2, 5, 40]);
    (0..count)
        .map(|_| {
            let bytes = rng.index(12);
            Bytes::from((0..bytes).map(|_| rng.bits().to_le_bytes()[0]).collect::<Vec<_>>())
        })
        .collect()
}

/// Takes a frame out, doubles one, empties one, or changes an octet.
fn damage(rng: &mut Rng, message: Frames) -> Frames {
    let mut frames: Vec<Bytes> = message.into_iter().collect();
    let place = rng.index(frames.len());
    let kind = rng.below(4);
    match (kind, frames.get_mut(place)) {
        (_, None) => {}
        (0, Some(_)) => drop(frames.remove(place)),
        (1, Some(frame)) => {
            let double = frame.clone();
            frames.insert(place, double);
        }
        (2, Some(frame)) => frame.clear(),
        (_, Some(frame)) => {
            let mut bytes = frame.to_vec();
            let octet = rng.index(bytes.len());
            if let Some(octet) = bytes.get_mut(octet) {
                *octet ^= 1 << rng.below(8);
            }
            *frame = bytes.into();
        }
    }
    frames.into()
}
