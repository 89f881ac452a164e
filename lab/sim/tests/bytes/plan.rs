//! What is to happen in one run, all of it drawn from the seed.

use std::time::Duration;

use bytes::Bytes;
use protocol::Frames;
use sim::rng::Rng;

/// What a run is about.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) mechanism: Security,
    /// The dialling peer's version; the other one is always ours.
    pub(crate) version: Version,
    /// The two peers' mechanisms differ: they must part.
    pub(crate) mismatched: bool,
    pub(crate) limits: Limits,
    /// What either side has to say, the dialling one first.
    pub(crate) messages: [Vec<Frames>; 2],
    /// Messages that a side says in one go before it writes.
    pub(crate) burst: usize,
    /// PINGs that either side sends, where the other understands them.
    pub(crate) pings: u32,
    pub(crate) network: Network,
    /// What befalls each connection in turn; on the last one nothing does, unless it is [`Mishap::Flips`].
    pub(crate) mishaps: Vec<Mishap>,
}

/// How the peers prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    Null,
    Plain,
    Curve,
}

/// Which ZMTP the dialling peer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V20,
    V30,
    V31,
}

/// The receivers' limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) message_bytes_max: usize,
    pub(crate) frames_max: usize,
    /// Messages after which the reader stops decoding until the owner has taken them.
    pub(crate) batch_max: usize,
}

/// How a stream travels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    /// The largest piece in which it arrives, in octets.
    pub(crate) segment_max: usize,
    /// Octets on the way at most; then the writer waits.
    pub(crate) capacity: usize,
    pub(crate) latency_max: Duration,
}

/// What befalls a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mishap {
    None,
    /// It is reset when so many octets of a direction have arrived.
    Reset {
        direction: usize,
        at: usize,
    },
    /// A direction ends there in good order, although its writer had more to say.
    Truncation {
        direction: usize,
        at: usize,
    },
    /// A side closes its direction when it has said everything, and the other goes on.
    HalfClose {
        direction: usize,
    },
    /// These octets of a direction have one bit turned.
    Flips {
        direction: usize,
        at: Vec<(usize, u32)>,
    },
    /// A side says something larger than the other takes, after what it had to say.
    Oversize {
        direction: usize,
        excess: Excess,
    },
}

/// How a message is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    /// One frame too many.
    Frames,
    /// So many octets too many, in one frame.
    Octets(usize),
    /// Frames of which each would do, and not all together.
    Together,
}

/// Octets that a run may carry, however small the pieces: what bounds its time.
const SEGMENTS_MAX: usize = 2000;
const RUN_BYTES_MAX: usize = 1200 << 10;

impl Plan {
    pub(crate) fn new(seed: u64, mechanism: Security) -> Self {
        let mut rng = Rng::new(seed).fork(1);
        let segment_max = rng.one_of([1, 3, 16, 64, 1460, 16 << 10, 64 << 10]);
        let network = Network {
            segment_max,
            capacity: rng.one_of([1, 100, 4096, 256 << 10]).max(segment_max),
            latency_max: Duration::from_micros(rng.one_of([1, 100, 50_000])),
        };
        let limits = Limits {
            message_bytes_max: rng.one_of([10_000, 1 << 20]),
            frames_max: rng.one_of([1, 16, 1024]),
            batch_max: rng.one_of([1, 7, 1000]),
        };
        let budget = (segment_max * SEGMENTS_MAX).min(RUN_BYTES_MAX);
        let messages = [(); 2].map(|()| messages(&mut rng, budget / 2, &limits));
        let mismatched = rng.chance(3);
        let version = match mechanism {
            Security::Null if mismatched => Version::V31,
            Security::Null => rng.one_of([Version::V20, Version::V30, Version::V31, Version::V31]),
            // It knows no mechanisms.
            _ if mismatched => rng.one_of([Version::V20, Version::V31]),
            _ => rng.one_of([Version::V30, Version::V31, Version::V31]),
        };
        let octets = messages.each_ref().map(|messages| wire_bytes(messages));
        let mut mishaps: Vec<_> = (0..rng.below(3)).map(|_| breakage(&mut rng, octets)).collect();
        mishaps.push(last(&mut rng, octets));
        let burst = 1 + rng.index(20);
        let pings = u32::try_from(rng.below(4)).unwrap();
        Self { seed, mechanism, version, mismatched, limits, messages, burst, pings, network, mishaps }
    }
}

/// Something that ends a connection and loses no more than what was on its way.
fn breakage(rng: &mut Rng, octets: [usize; 2]) -> Mishap {
    let direction = rng.index(2);
    let at = place(rng, octets[direction]);
    match rng.below(3) {
        0 => Mishap::Reset { direction, at },
        1 => Mishap::Truncation { direction, at },
        _ => Mishap::HalfClose { direction },
    }
}

fn last(rng: &mut Rng, octets: [usize; 2]) -> Mishap {
    let direction = rng.index(2);
    match rng.below(10) {
        0..4 => Mishap::None,
        4 => Mishap::Oversize { direction, excess: excess(rng) },
        _ => {
            let count = rng.one_of([1, 1, 2, 10]);
            let mut flip = || (place(rng, octets[direction]), u32::try_from(rng.below(8)).unwrap());
            let mut at: Vec<_> = (0..count).map(|_| flip()).collect();
            at.sort_unstable();
            at.dedup_by_key(|(place, _)| *place);
            Mishap::Flips { direction, at }
        }
    }
}

fn excess(rng: &mut Rng) -> Excess {
    match rng.below(3) {
        0 => Excess::Frames,
        1 => Excess::Octets(rng.one_of([1, 400_000])),
        _ => Excess::Together,
    }
}

impl Excess {
    /// A message that is too large in this way. Of one frame, where only one is allowed, two are too many.
    pub(crate) fn message(self, limits: &Limits) -> Frames {
        let octets = |count| Bytes::from(vec![7; count]);
        match self {
            Self::Frames => vec![Bytes::new(); limits.frames_max + 1].into(),
            Self::Octets(excess) => [octets(limits.message_bytes_max + excess)].into(),
            Self::Together => [octets(limits.message_bytes_max), octets(1)].into(),
        }
    }
}

/// An octet of a direction: of the handshake, of the first message, or anywhere.
fn place(rng: &mut Rng, octets: usize) -> usize {
    match rng.below(3) {
        0 => rng.index(120),
        1 => 90 + rng.index(400),
        _ => rng.index(octets + 200),
    }
}

/// Messages of a side, of all sizes, with about `budget` octets together at most.
fn messages(rng: &mut Rng, budget: usize, limits: &Limits) -> Vec<Frames> {
    let (mut messages, mut left) = (Vec::new(), budget);
    for _ in 0..rng.one_of([0, 1, 5, 40]) {
        let mut room = left.min(limits.message_bytes_max);
        let count_max = 1 << rng.below(6);
        let count = 1 + rng.index(limits.frames_max.min(count_max));
        let mut message = Frames::new();
        for _ in 0..count {
            let size = size(rng).min(room);
            room -= size;
            message.push(body(rng, size));
        }
        left = left.saturating_sub(message.byte_count() + 2 * count);
        messages.push(message);
        if left == 0 {
            break;
        }
    }
    messages
}

/// Any power of two is as likely as any other, and so are the places where the codec changes its mind.
fn size(rng: &mut Rng) -> usize {
    match rng.below(4) {
        0 => rng.one_of([0, 1, 255, 256, 4096, 4097]),
        1 => rng.index(300),
        _ => {
            let magnitude = rng.below(21);
            rng.index((1 << magnitude) + 1)
        }
    }
}

/// Octets that no other body begins with.
fn body(rng: &mut Rng, size: usize) -> Bytes {
    let pattern = rng.bits().to_be_bytes();
    pattern.into_iter().cycle().take(size).collect::<Vec<_>>().into()
}

/// Octets of the messages on a plain wire.
fn wire_bytes(messages: &[Frames]) -> usize {
    messages.iter().flat_map(|message| message.iter()).map(|frame| frame.len() + 2).sum()
}
