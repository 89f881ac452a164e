//! What a peer is: its mechanism and its version. To add a mechanism: a variant of [`Security`] and its keys here.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use protocol::Instant;
use sim::rng::Rng;
use zmtp::curve::{Cookies, Fresh, KeyPair, SecretKey};
use zmtp::{
    Admission, Credentials, Decision, Fault, Gate, Handshake, Local, Login, Mechanism, Peer, Proof, Refusal, SocketType,
};

use crate::plan::{Plan, Security, Version};
use crate::second::Second;

/// The greeting of a peer, whatever it speaks.
pub(crate) enum Greeter {
    /// The product's own.
    Ours(Box<Handshake>),
    /// The product's own, but it says 3.0.
    Third { handshake: Box<Handshake>, said: usize },
    /// A peer of 2.0, whose greeting the product only answers.
    Second(Second),
}

/// The octet of a greeting that holds the minor version.
const MINOR_AT: usize = 11;

impl Greeter {
    /// The peer on this side of a connection; 0 dials, and 1 is the server where a mechanism has one.
    pub(crate) fn new(plan: &Plan, side: usize, rng: &mut Rng) -> Self {
        let security = if plan.mismatched && side == 0 { another(plan.mechanism) } else { plan.mechanism };
        let socket_type = [SocketType::Dealer, SocketType::Router][side];
        let identity = if rng.chance(50) { Bytes::new() } else { Bytes::from(vec![b'i'; 1 + rng.index(255)]) };
        if side == 0 && plan.version == Version::V20 {
            return Self::Second(Second::new(&identity));
        }
        let local = Local { socket_type, identity, domain: String::new(), mechanism: mechanism(security, side) };
        let cookies = Cookies::default();
        cookies.turn(Instant::ZERO, || Ok::<_, Infallible>(chance(rng))).unwrap();
        let fresh = Fresh::new(chance(rng), rng.bits(), Arc::new(cookies));
        let handshake = Box::new(Handshake::fresh(local, fresh).guarded_by(Arc::new(Door)));
        match (side, plan.version) {
            (0, Version::V30) => Self::Third { handshake, said: 0 },
            _ => Self::Ours(handshake),
        }
    }

    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        match self {
            Self::Ours(handshake) => handshake.take_output(),
            Self::Third { handshake, said } => {
                let mut output = handshake.take_output();
                if let Some(minor) = MINOR_AT.checked_sub(*said).and_then(|place| output.get_mut(place)) {
                    *minor = 0;
                }
                *said += output.len();
                output
            }
            Self::Second(second) => second.take_output(),
        }
    }

    pub(crate) fn feed(&mut self, input: &[u8], consumed: &mut usize) -> Result<Option<Peer>, Fault> {
        match self {
            Self::Ours(handshake) | Self::Third { handshake, .. } => handshake.feed(input, consumed),
            Self::Second(second) => second.feed(input, consumed),
        }
    }

    /// What protects the traffic from here on.
    pub(crate) fn take_session(&mut self) -> Option<zmtp::curve::Session> {
        match self {
            Self::Ours(handshake) | Self::Third { handshake, .. } => handshake.take_session(),
            Self::Second(_) => None,
        }
    }

    /// Whether the peer itself knows PING.
    pub(crate) fn knows_ping(&self) -> bool {
        matches!(self, Self::Ours(_))
    }
}

/// Octets that one frame has on the wire beyond its head and its body.
pub(crate) fn overhead_bytes(security: Security) -> usize {
    match security {
        Security::Null | Security::Plain => 0,
        Security::Curve => 33,
    }
}

fn another(security: Security) -> Security {
    match security {
        Security::Null => Security::Plain,
        Security::Plain => Security::Curve,
        Security::Curve => Security::Null,
    }
}

fn mechanism(security: Security, side: usize) -> Mechanism {
    let keys = [1, 2].map(|octet| Arc::new(KeyPair::new(SecretKey::from([octet; 32]))));
    let [client, server] = keys;
    match (security, side) {
        (Security::Null, _) => Mechanism::Null,
        (Security::Plain, 0) => Mechanism::PlainClient(Arc::new(Login::new("me", "secret").unwrap())),
        (Security::Plain, _) => Mechanism::PlainServer,
        (Security::Curve, 0) => Mechanism::CurveClient { keys: client, server: server.public },
        (Security::Curve, _) => Mechanism::CurveServer(server),
    }
}

fn chance<const N: usize>(rng: &mut Rng) -> [u8; N] {
    [(); N].map(|()| rng.bits().to_be_bytes()[0])
}

/// Lets in who shows the right password, and everybody else who shows none.
struct Door;

impl Gate for Door {
    fn decide(&self, credentials: &Credentials<'_>) -> Decision {
        match credentials {
            Credentials::Plain { username: b"me", password: b"secret" } | Credentials::Null | Credentials::Curve(_) => {
                Decision::Allow(Admission::default())
            }
            Credentials::Plain { .. } => Decision::Refuse(Refusal::Denied),
        }
    }

    fn may_be_called(&self, _identity: &Bytes, _proof: &Proof) -> bool {
        true
    }
}
