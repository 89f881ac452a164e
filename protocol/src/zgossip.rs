//! zgossip, as czmq speaks it (there is no RFC): keys and values that everybody connected to a hub is told.
//!
//! ```text
//!   AA A0  id (1)  version 01   1 HELLO    2 PUBLISH  key string  value long string  ttl (4)
//!                               3 PING     4 PONG     5 INVALID
//! ```
//!
//! One frame each, DEALER to ROUTER and back. A string has a length of 1 octet, a long string one of 4. Zyre publishes
//! its UUID in capitals as a key and its endpoint as the value, with `|` and a Z85 key behind it where it has one.

use bytes::{BufMut, BytesMut};

use crate::frames::Frames;
use crate::limits;

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// From a client: tell me all, now and from now on.
    Hello,
    /// A key has this value.
    Publish {
        /// Up to 255 bytes.
        key: String,
        /// Up to [`limits::GOSSIP_VALUE_BYTES_MAX`].
        value: String,
    },
    /// Are you there?
    Ping,
    /// I am.
    Pong,
    /// Say HELLO first.
    Invalid,
}

/// A rule that a peer broke. It costs the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerFault {
    /// Not one frame that begins with AA A0.
    #[error("not a message of zgossip (expected: one frame, AA A0)")]
    Signature,
    /// Another version.
    #[error("version {0} of zgossip (allowed: 1)")]
    Version(u8),
    /// No command has this number.
    #[error("unknown command {0}")]
    Command(u8),
    /// The frame ends within a field.
    #[error("the frame ends within {0}")]
    Cut(&'static str),
    /// Octets follow where the command ends.
    #[error("more than the command has")]
    Trailing,
    /// A text is not UTF-8.
    #[error("{0} is not UTF-8")]
    Text(&'static str),
    /// A value is longer than allowed.
    #[error("a value of {0} bytes (allowed: {max})", max = limits::GOSSIP_VALUE_BYTES_MAX)]
    Bytes(usize),
}

impl Message {
    /// The frame.
    pub fn encode(&self) -> Frames {
        let mut frame = BytesMut::with_capacity(64);
        frame.put_slice(&[0xaa, 0xa0, self.number(), VERSION]);
        if let Self::Publish { key, value } = self {
            frame.put_u8(u8::try_from(key.len()).unwrap_or(u8::MAX));
            frame.put_slice(key.as_bytes().get(..usize::from(u8::MAX)).unwrap_or(key.as_bytes()));
            frame.put_u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
            frame.put_slice(value.as_bytes());
            // The time to live, which nobody looks at.
            frame.put_u32(0);
        }
        Frames::from([frame.freeze()])
    }

    /// Reads a message.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn decode(frames: &Frames) -> Result<Self, PeerFault> {
        let [frame] = &frames[..] else { return Err(PeerFault::Signature) };
        let [0xaa, 0xa0, number, version, rest @ ..] = &frame[..] else { return Err(PeerFault::Signature) };
        if *version != VERSION {
            return Err(PeerFault::Version(*version));
        }
        let (message, rest) = match number {
            1 => (Self::Hello, rest),
            2 => publish(rest)?,
            3 => (Self::Ping, rest),
            4 => (Self::Pong, rest),
            5 => (Self::Invalid, rest),
            unknown => return Err(PeerFault::Command(*unknown)),
        };
        if rest.is_empty() { Ok(message) } else { Err(PeerFault::Trailing) }
    }

    fn number(&self) -> u8 {
        match self {
            Self::Hello => 1,
            Self::Publish { .. } => 2,
            Self::Ping => 3,
            Self::Pong => 4,
            Self::Invalid => 5,
        }
    }
}

fn publish(rest: &[u8]) -> Result<(Message, &[u8]), PeerFault> {
    let (length, rest) = rest.split_first().ok_or(PeerFault::Cut("key"))?;
    let (key, rest) = rest.split_at_checked(usize::from(*length)).ok_or(PeerFault::Cut("key"))?;
    let (length, rest) = rest.split_first_chunk().ok_or(PeerFault::Cut("value"))?;
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length > limits::GOSSIP_VALUE_BYTES_MAX {
        return Err(PeerFault::Bytes(length));
    }
    let (value, rest) = rest.split_at_checked(length).ok_or(PeerFault::Cut("value"))?;
    let (_ttl, rest) = rest.split_first_chunk::<4>().ok_or(PeerFault::Cut("ttl"))?;
    let text = |octets: &[u8], what| std::str::from_utf8(octets).map(str::to_owned).map_err(|_| PeerFault::Text(what));
    Ok((Message::Publish { key: text(key, "key")?, value: text(value, "value")? }, rest))
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// As czmq was seen to send it.
    const PUBLISH: &[u8] =
        b"\xaa\xa0\x02\x01\x20000102030405060708090A0B0C0D0E0F\0\0\0\x15tcp://10.77.0.1:49160\0\0\0\0";

    fn frame(octets: &[u8]) -> Frames {
        Frames::from([Bytes::copy_from_slice(octets)])
    }

    #[test]
    fn every_command_is_the_octets_that_czmq_sends() {
        assert_eq!(Message::Hello.encode(), frame(b"\xaa\xa0\x01\x01"));
        let key = "000102030405060708090A0B0C0D0E0F".to_owned();
        let publish = Message::Publish { key, value: "tcp://10.77.0.1:49160".into() };
        assert_eq!(publish.encode(), frame(PUBLISH));
        for message in [publish, Message::Hello, Message::Ping, Message::Pong, Message::Invalid] {
            assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn each_malformed_message_is_a_fault_that_names_the_rule() {
        let value = |length: usize| {
            let value = "v".repeat(length);
            Message::decode(&Message::Publish { key: "k".into(), value }.encode())
        };
        assert!(value(limits::GOSSIP_VALUE_BYTES_MAX).is_ok());
        let long = limits::GOSSIP_VALUE_BYTES_MAX + 1;
        assert_eq!(value(long), Err(PeerFault::Bytes(long)));
        assert_eq!(Message::decode(&Frames::from(["a", "b"])), Err(PeerFault::Signature));
        for (octets, fault) in [
            (&b"\xaa\xa1\x01\x01"[..], PeerFault::Signature),
            (b"\xaa\xa0\x01", PeerFault::Signature),
            (b"\xaa\xa0\x01\x02", PeerFault::Version(2)),
            (b"\xaa\xa0\x07\x01", PeerFault::Command(7)),
            (b"\xaa\xa0\x01\x01x", PeerFault::Trailing),
            (b"\xaa\xa0\x02\x01\x05abc", PeerFault::Cut("key")),
            (b"\xaa\xa0\x02\x01\x01a\0\0\0", PeerFault::Cut("value")),
            (b"\xaa\xa0\x02\x01\x01a\0\0\0\x01b\0\0", PeerFault::Cut("ttl")),
            (b"\xaa\xa0\x02\x01\x01a\0\0\0\x01\xff\0\0\0\0", PeerFault::Text("value")),
        ] {
            assert_eq!(Message::decode(&frame(octets)), Err(fault), "{octets:?}");
        }
    }
}
