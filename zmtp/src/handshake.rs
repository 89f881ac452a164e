//! From the first octet to READY: octets in, octets out, no socket and no clock.
//!
//! ```text
//!   we: signature, major ──► Signature ──► Version ─┬─ 3.x: rest of greeting ──► Greeting ──► READY ──► Ready ──► Done
//!                                                   └─ 2.0: type, identity ────► TypeOf2 ──► IdentityOf2 ──────► Done
//! ```
//!
//! Both sides send as soon as they know the peer's generation and never wait for each other's READY, as libzmq does
//! and RFC 37 requires towards 3.0.

use bytes::Bytes;
use protocol::limits::IDENTITY_BYTES_MAX;

use crate::command::{self, COMMAND_BYTES_MAX, Command};
use crate::fault::Fault;
use crate::frame::Head;
use crate::greeting::{self, Generation};
use crate::mechanism::Mechanism;
use crate::socket_type::{SocketType, printable};

/// What we are in a handshake.
#[derive(Clone, Debug)]
pub struct Local {
    /// Our kind of socket.
    pub socket_type: SocketType,
    /// Our identity, may be empty.
    pub identity: Bytes,
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
}

/// A handshake in progress.
#[derive(Debug)]
pub struct Handshake {
    local: Local,
    state: State,
    output: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Signature,
    Version,
    Greeting { major: u8 },
    Ready { version: (u8, u8) },
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
    /// Starts; the first output is ready at once.
    pub fn new(local: Local) -> Self {
        Self { local, state: State::Signature, output: greeting::OPENING.to_vec() }
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
                State::Ready { version } => split(self.on_ready(rest, version)?),
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
                greeting::put_rest(&mut self.output, self.local.mechanism);
                self.state = State::Greeting { major };
            }
            Generation::Second if self.local.mechanism.accepts_version_2() => {
                self.put_greeting_of_2();
                self.state = State::TypeOf2;
            }
            Generation::Second => return Err(Fault::Version(2)),
        }
        Ok(1)
    }

    fn on_greeting(&mut self, input: &[u8], major: u8) -> Result<usize, Fault> {
        let Some(rest) = input.first_chunk() else { return Ok(0) };
        let minor = greeting::parse_rest(rest, self.local.mechanism)?;
        command::put_ready(&mut self.output, self.local.socket_type.name().as_bytes(), &self.local.identity);
        self.state = State::Ready { version: (major, minor) };
        Ok(greeting::REST_BYTES)
    }

    fn on_ready(&mut self, input: &[u8], version: (u8, u8)) -> Result<Option<(usize, Peer)>, Fault> {
        let Some(head) = Head::parse(input)? else { return Ok(None) };
        if !head.command {
            return Err(Fault::Unexpected("message"));
        }
        let size = usize::try_from(head.size).unwrap_or(usize::MAX);
        if size > COMMAND_BYTES_MAX {
            return Err(Fault::CommandBytes(head.size));
        }
        let Some(body) = input.get(head.length..head.length + size) else { return Ok(None) };
        match Command::parse(body)? {
            Command::Ready(metadata) => {
                let peer = self.read_metadata(metadata, version).inspect_err(|fault| self.refuse(fault))?;
                Ok(Some((head.length + size, peer)))
            }
            Command::Error(reason) => Err(Fault::Refused(printable(reason))),
            _ => Err(Fault::Unexpected("command")),
        }
    }

    fn read_metadata(&self, metadata: &[u8], version: (u8, u8)) -> Result<Peer, Fault> {
        let (mut socket_type, mut identity) = (&b""[..], &b""[..]);
        for property in command::properties(metadata) {
            let (name, value) = property?;
            if name.eq_ignore_ascii_case(b"Socket-Type") {
                socket_type = value;
            } else if name.eq_ignore_ascii_case(b"Identity") {
                identity = value;
            }
        }
        let socket_type = self.local.socket_type.peer_named(socket_type)?;
        Ok(Peer { version, socket_type, identity: checked_identity(identity)? })
    }

    /// Tells a 3.x peer why it is not wanted, where it can do something about it.
    fn refuse(&mut self, fault: &Fault) {
        command::put_error(&mut self.output, &fault.to_string());
    }

    fn put_greeting_of_2(&mut self) {
        let identity = self.local.identity.get(..IDENTITY_BYTES_MAX).unwrap_or(&self.local.identity);
        self.output.push(self.local.socket_type.version_2_number());
        crate::frame::put_message_head(&mut self.output, identity.len(), false);
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
        let peer = Peer { version: (2, 0), socket_type, identity: checked_identity(identity)? };
        Ok(Some((head.length + size, peer)))
    }
}

/// Identities that start with a zero octet are the ones that a ROUTER makes up (RFC 28).
fn checked_identity(identity: &[u8]) -> Result<Bytes, Fault> {
    if identity.len() > IDENTITY_BYTES_MAX || identity.first() == Some(&0) {
        return Err(Fault::Identity);
    }
    Ok(Bytes::copy_from_slice(identity))
}

fn split(step: Option<(usize, Peer)>) -> (usize, Option<Peer>) {
    step.map_or((0, None), |(size, peer)| (size, Some(peer)))
}

#[cfg(test)]
#[path = "handshake_tests.rs"]
mod tests;
