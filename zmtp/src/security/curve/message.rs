//! MESSAGE: one frame of a message, or one command, after the handshake (RFC 26, "Message").
//!
//! ```text
//!   07 "MESSAGE"   n (8)   authenticator (16)   flags (1)   body        flags: bit 0 MORE, bit 1 COMMAND
//!   └──────── in the clear ────────┘            └──── encrypted ───┘
//! ```
//!
//! n grows with every MESSAGE of one side: whatever is repeated, left out and sent later, or turned round is refused.
//! COMMAND is libzmq's: PING and PONG travel inside MESSAGE like everything else.

use super::crypto::{MAC_BYTES, SharedKey, short_nonce};
use crate::wire::fault::Fault;
use crate::wire::frame::{self, Head};

/// Octets that a MESSAGE has more than its body.
pub(super) const OVERHEAD_BYTES: usize = NAME.len() + COUNT_BYTES + MAC_BYTES + 1;

const NAME: [u8; 8] = *b"\x07MESSAGE";
const COUNT_BYTES: usize = 8;
const MORE: u8 = 1;
const COMMAND: u8 = 2;

const OF_CLIENT: [u8; 16] = *b"CurveZMQMESSAGEC";
const OF_SERVER: [u8; 16] = *b"CurveZMQMESSAGES";

/// The key of one connection after its handshake, and how far both sides have counted.
#[derive(Debug)]
pub struct Session {
    pub(super) sealer: Sealer,
    pub(super) opener: Opener,
}

/// Makes MESSAGEs.
#[derive(Debug)]
pub(super) struct Sealer {
    key: SharedKey,
    prefix: [u8; 16],
    /// The short nonce used last.
    count: u64,
}

/// Reads MESSAGEs.
#[derive(Debug)]
pub(super) struct Opener {
    key: SharedKey,
    prefix: [u8; 16],
    /// The short nonce seen last.
    count: u64,
}

/// Which side of the handshake we were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

impl Session {
    /// `sent` and `received`: the short nonces used last in the handshake.
    pub(super) fn new(side: Side, key: SharedKey, sent: u64, received: u64) -> Self {
        let (ours, theirs) = match side {
            Side::Client => (OF_CLIENT, OF_SERVER),
            Side::Server => (OF_SERVER, OF_CLIENT),
        };
        let sealer = Sealer { key: key.clone(), prefix: ours, count: sent };
        Self { sealer, opener: Opener { key, prefix: theirs, count: received } }
    }
}

impl Sealer {
    /// Adds a frame with one MESSAGE to `output`. It is encrypted where it is to stay.
    ///
    /// The frame is a message frame and not a command frame, as libzmq sends it.
    pub(super) fn seal(&mut self, head: Head, body: &[u8], output: &mut Vec<u8>) {
        self.count = self.count.checked_add(1).expect("2^64 frames take centuries");
        frame::put_message_head(output, body.len() + OVERHEAD_BYTES, false);
        output.extend_from_slice(&NAME);
        output.extend_from_slice(&self.count.to_be_bytes());
        let start = output.len();
        output.extend_from_slice(&[0; MAC_BYTES]);
        output.push((u8::from(head.more) * MORE) | (u8::from(head.command) * COMMAND));
        output.extend_from_slice(body);
        let (mac, content) = output
            .get_mut(start..)
            .and_then(<[u8]>::split_first_chunk_mut::<MAC_BYTES>)
            .expect("the authenticator was added above");
        *mac = self.key.seal(content, &short_nonce(&self.prefix, self.count));
    }
}

impl Opener {
    /// Decrypts the body of a frame in place. Returns the head that the frame would have in the clear; its body are the
    /// octets after [`OVERHEAD_BYTES`].
    pub(super) fn open(&mut self, octets: &mut [u8]) -> Result<Head, Fault> {
        let (name, rest) = octets.split_first_chunk_mut().ok_or(Fault::Command("MESSAGE"))?;
        let (count, sealed) = rest.split_first_chunk_mut().ok_or(Fault::Command("MESSAGE"))?;
        if *name != NAME {
            return Err(Fault::Command("MESSAGE"));
        }
        let count = u64::from_be_bytes(*count);
        if count <= self.count {
            return Err(Fault::Nonce);
        }
        let content = self.key.open(sealed, &short_nonce(&self.prefix, count)).ok_or(Fault::Forged("MESSAGE"))?;
        self.count = count;
        let (&mut flags, body) = content.split_first_mut().ok_or(Fault::Command("MESSAGE"))?;
        if flags & !(MORE | COMMAND) != 0 || flags == MORE | COMMAND {
            return Err(Fault::Flags(flags));
        }
        let (more, command) = (flags & MORE != 0, flags & COMMAND != 0);
        Ok(Head { more, command, size: body.len() as u64, length: 0 })
    }
}
