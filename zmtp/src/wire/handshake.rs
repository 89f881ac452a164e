//! From the first octet to READY: octets in, octets out, no socket and no clock.
//!
//! ```text
//!   we: signature, major ──► Signature ──► Version ─┬─ 3.x: rest of greeting ──► Greeting ──► Exchange ──► Done
//!                                                   └─ 2.0: type, identity ────► TypeOf2 ──► IdentityOf2 ──► Done
//! ```
//!
//! What is said between the greeting and READY is the mechanism's affair ([`crate::security::exchange`]); who the peer
//! says that it is, is read here, the same way for all.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use protocol::limits::IDENTITY_BYTES_MAX;

use crate::security::authority::{Credentials, Gate, Principal, Proof};
#[cfg(feature = "curve")]
use crate::security::curve::{Fresh, Session};
use crate::security::exchange::{Accepted, Exchange, Terms, admit};
use crate::security::mechanism::Mechanism;
use crate::wire::command::COMMAND_BYTES_MAX;
use crate::wire::fault::Fault;
use crate::wire::frame::Head;
use crate::wire::greeting::{self, Generation};
use crate::wire::metadata::{self, Metadata, check_domain, checked_identity};
use crate::wire::socket_type::SocketType;

/// What we are in a handshake.
#[derive(Clone, Debug)]
pub struct Local {
    /// Our kind of socket.
    pub socket_type: SocketType,
    /// Our identity, may be empty.
    pub identity: Bytes,
    /// Where we belong (dev, test, prod), may be empty: the peer's must be the same.
    pub domain: String,
    /// Our mechanism.
    pub mechanism: Mechanism,
}

/// What the peer is, once the handshake is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Major and minor version that it announced; (2, 0) for the second generation.
    pub version: (u8, u8),
    /// Its kind of socket.
    pub socket_type: SocketType,
    /// Its identity, may be empty; never starts with a zero octet.
    pub identity: Bytes,
    /// Who it proved to be, and what was said of it; `None` where nobody asked.
    pub principal: Option<Arc<Principal>>,
}

/// A handshake in progress.
pub struct Handshake {
    local: Local,
    metadata: Vec<u8>,
    state: State,
    exchange: Option<Box<dyn Exchange>>,
    gate: Option<Arc<dyn Gate>>,
    output: Vec<u8>,
    accepted: Accepted,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Signature,
    Version,
    Greeting { major: u8 },
    Exchange { version: (u8, u8) },
    TypeOf2,
    IdentityOf2 { socket_type: SocketType },
    Done,
}

impl Peer {
    /// Whether PING may be sent to it.
    pub fn understands_ping(&self) -> bool {
        self.version >= (3, 1)
    }

    /// Whether it may send commands after the handshake.
    pub fn sends_commands(&self) -> bool {
        self.version >= (3, 0)
    }
}

impl Handshake {
    /// Starts; the first output is ready at once. CURVE needs [`fresh`](Self::fresh) instead: without, it comes to
    /// nothing when the greetings have been exchanged.
    pub fn new(local: Local) -> Self {
        let exchange = local.mechanism.exchange();
        Self::start(local, exchange)
    }

    /// Starts with octets of chance, which CURVE needs and the others ignore.
    #[cfg(feature = "curve")]
    pub fn fresh(local: Local, fresh: Fresh) -> Self {
        let exchange = local.mechanism.fresh_exchange(fresh);
        Self::start(local, exchange)
    }

    /// Lets the gate decide about the peer. Without one every peer is let in that NULL or CURVE can do with, and
    /// nobody over PLAIN.
    #[must_use]
    pub fn guarded_by(mut self, gate: Arc<dyn Gate>) -> Self {
        self.gate = Some(gate);
        self
    }

    fn start(local: Local, exchange: Option<Box<dyn Exchange>>) -> Self {
        let (metadata, output) = (metadata::encode(&local), greeting::OPENING.to_vec());
        let (state, accepted) = (State::Signature, Accepted::default());
        Self { local, metadata, state, exchange, gate: None, output, accepted }
    }

    /// What protects the traffic from here on: `Some` once after a CURVE handshake is done.
    #[cfg(feature = "curve")]
    pub fn take_session(&mut self) -> Option<Session> {
        self.accepted.session.take()
    }

    /// What is to be written to the peer, also after a fault (a refusal says why).
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Consumes what it can of `input`, from the front, and adds the number of octets to `consumed`. Hand in the rest
    /// again when more has come. After the peer is returned, the rest belongs to the message decoder.
    ///
    /// # Errors
    /// The fault of the peer; write the output, then close.
    pub fn feed(&mut self, input: &[u8], consumed: &mut usize) -> Result<Option<Peer>, Fault> {
        loop {
            let rest = input.get(*consumed..).unwrap_or_default();
            let (step, peer) = match self.state {
                State::Signature => (self.on_signature(rest)?, None),
                State::Version => (self.on_version(rest)?, None),
                State::Greeting { major } => (self.on_greeting(rest, major)?, None),
                State::Exchange { version } => self.on_command(rest, version)?,
                State::TypeOf2 => (self.on_type_of_2(rest)?, None),
                State::IdentityOf2 { socket_type } => split(self.on_identity_of_2(rest, socket_type)?),
                State::Done => return Ok(None),
            };
            *consumed += step;
            if peer.is_some() {
                self.state = State::Done;
            }
            if step == 0 || peer.is_some() {
                return Ok(peer);
            }
        }
    }

    fn on_signature(&mut self, input: &[u8]) -> Result<usize, Fault> {
        greeting::check_signature(input)?;
        if input.len() < greeting::SIGNATURE_BYTES {
            return Ok(0);
        }
        self.state = State::Version;
        Ok(greeting::SIGNATURE_BYTES)
    }

    fn on_version(&mut self, input: &[u8]) -> Result<usize, Fault> {
        let Some(&major) = input.first() else { return Ok(0) };
        match greeting::generation(major)? {
            Generation::Third => {
                greeting::put_rest(&mut self.output, &self.local.mechanism);
                self.state = State::Greeting { major };
            }
            Generation::Second if self.local.mechanism.accepts_version_2() => {
                self.admit_version_2()?;
                self.put_greeting_of_2();
                self.state = State::TypeOf2;
            }
            Generation::Second => return Err(Fault::Version(2)),
        }
        Ok(1)
    }

    fn on_greeting(&mut self, input: &[u8], major: u8) -> Result<usize, Fault> {
        let Some(rest) = input.first_chunk() else { return Ok(0) };
        let minor = greeting::parse_rest(rest, &self.local.mechanism)?;
        let exchange = self.exchange.as_mut().ok_or(Fault::Unexpected("CURVE without fresh octets"))?;
        let (output, metadata) = (&mut self.output, &self.metadata[..]);
        exchange.begin(&mut Terms { output, metadata, gate: self.gate.as_deref() })?;
        self.state = State::Exchange { version: (major, minor) };
        Ok(greeting::REST_BYTES)
    }

    fn on_command(&mut self, input: &[u8], version: (u8, u8)) -> Result<(usize, Option<Peer>), Fault> {
        let Some(head) = Head::parse(input)? else { return Ok((0, None)) };
        if !head.command {
            return Err(Fault::Unexpected("message"));
        }
        let size = usize::try_from(head.size).unwrap_or(usize::MAX);
        if size > COMMAND_BYTES_MAX {
            return Err(Fault::CommandBytes(head.size));
        }
        let Some(body) = input.get(head.length..head.length + size) else { return Ok((0, None)) };
        let exchange = self.exchange.as_mut().expect("the greeting is over only with an exchange");
        let named = exchange.split(body).filter(|(name, _)| !name.is_empty());
        let (name, data) = named.ok_or(Fault::Command("unnamed"))?;
        let (output, metadata, gate) = (&mut self.output, &self.metadata[..], self.gate.as_deref());
        let mut terms = Terms { output, metadata, gate };
        let peer = match exchange.on_command(name, data, &mut terms)? {
            None => None,
            Some(metadata) => {
                let read = introduced(&metadata, &self.local, exchange.principal(), gate);
                let Metadata { socket_type, identity } =
                    read.inspect_err(|fault| exchange.refuse(&fault.to_string(), terms.output))?;
                self.accepted = exchange.accept(&mut terms);
                Some(Peer { version, socket_type, identity, principal: self.accepted.principal.take() })
            }
        };
        Ok((head.length + size, peer))
    }

    /// A peer of ZMTP 2.0 can show nothing and announce no domain.
    fn admit_version_2(&mut self) -> Result<(), Fault> {
        check_domain(b"", &self.local)?;
        if let Some(gate) = self.gate.as_deref() {
            // It does not know ERROR.
            let mut terms = Terms { output: &mut Vec::new(), metadata: b"", gate: Some(gate) };
            self.accepted.principal = Some(admit(&Credentials::Null, Proof::Nothing, &mut terms)?);
        }
        Ok(())
    }

    fn put_greeting_of_2(&mut self) {
        let identity = self.local.identity.get(..IDENTITY_BYTES_MAX).unwrap_or(&self.local.identity);
        self.output.push(self.local.socket_type.version_2_number());
        crate::wire::frame::put_message_head(&mut self.output, identity.len(), false);
        self.output.extend_from_slice(identity);
    }

    fn on_type_of_2(&mut self, input: &[u8]) -> Result<usize, Fault> {
        let Some(&number) = input.first() else { return Ok(0) };
        let socket_type = self.local.socket_type.peer_numbered(number)?;
        self.state = State::IdentityOf2 { socket_type };
        Ok(1)
    }

    fn on_identity_of_2(&mut self, input: &[u8], socket_type: SocketType) -> Result<Option<(usize, Peer)>, Fault> {
        let Some(head) = Head::parse(input)? else { return Ok(None) };
        if head.more || head.command {
            return Err(Fault::Unexpected("frame other than the identity"));
        }
        let size = usize::try_from(head.size).unwrap_or(usize::MAX);
        if size > IDENTITY_BYTES_MAX {
            return Err(Fault::Identity);
        }
        let Some(identity) = input.get(head.length..head.length + size) else { return Ok(None) };
        let (identity, principal) = (checked_identity(identity)?, self.accepted.principal.take());
        let peer = Peer { version: (2, 0), socket_type, identity, principal };
        Ok(Some((head.length + size, peer)))
    }
}

/// Reads what the peer says of itself, and whether it may be called so.
fn introduced(
    metadata: &[u8],
    local: &Local,
    principal: Option<&Principal>,
    gate: Option<&dyn Gate>,
) -> Result<Metadata, Fault> {
    let metadata = metadata::read(metadata, local)?;
    if let (Some(principal), Some(gate), false) = (principal, gate, metadata.identity.is_empty())
        && !gate.may_be_called(&metadata.identity, &principal.proof)
    {
        return Err(Fault::IdentityTaken);
    }
    Ok(metadata)
}

impl fmt::Debug for Handshake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { local, state, exchange, .. } = self;
        let mut shown = formatter.debug_struct("Handshake");
        shown.field("local", local).field("state", state).field("exchange", exchange).finish_non_exhaustive()
    }
}

fn split(step: Option<(usize, Peer)>) -> (usize, Option<Peer>) {
    step.map_or((0, None), |(size, peer)| (size, Some(peer)))
}

#[cfg(test)]
#[path = "handshake_tests.rs"]
mod tests;
