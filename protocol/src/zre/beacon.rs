//! The beacon: what a node says on UDP, once a second.
//!
//! ```text
//!   v1   5A 52 45 01  uuid (16)  port (2)              22 octets
//!   v3   5A 52 45 03  uuid (16)  port (2)  key (32)    54 octets, with the public key of CURVE
//! ```
//!
//! Port 0 says that the node leaves. The address is where the datagram came from.

use bytes::{BufMut, Bytes, BytesMut};

use super::fault::PeerFault;
use super::identity::NodeId;

/// A node that is there, or leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beacon {
    /// Who.
    pub node: NodeId,
    /// Where its ROUTER listens; 0 when it leaves.
    pub port: u16,
    /// The public key of a node that speaks CURVE; with it the beacon is of version 3.
    pub key: Option<[u8; KEY_BYTES]>,
}

/// Octets of a CURVE key.
pub const KEY_BYTES: usize = 32;
/// Octets of the longest beacon.
pub const BEACON_BYTES_MAX: usize = 54;

impl Beacon {
    /// The datagram.
    pub fn encode(&self) -> Bytes {
        let mut octets = BytesMut::with_capacity(BEACON_BYTES_MAX);
        octets.put_slice(MAGIC);
        octets.put_u8(if self.key.is_some() { 3 } else { 1 });
        octets.put_slice(&self.node.0);
        octets.put_u16(self.port);
        octets.put_slice(self.key.as_ref().map_or(&[], |key| &key[..]));
        octets.freeze()
    }

    /// Reads a datagram.
    ///
    /// # Errors
    /// [`PeerFault::Beacon`] for anything but the two forms.
    pub fn decode(octets: &[u8]) -> Result<Self, PeerFault> {
        let rest = octets.strip_prefix(MAGIC).ok_or(PeerFault::Beacon)?;
        let (version, rest) = rest.split_first().ok_or(PeerFault::Beacon)?;
        let (uuid, rest) = rest.split_first_chunk().ok_or(PeerFault::Beacon)?;
        let (port, key) = rest.split_first_chunk().ok_or(PeerFault::Beacon)?;
        let key = match (version, key.len()) {
            (1, 0) => None,
            (3, KEY_BYTES) => Some(key.try_into().map_err(|_| PeerFault::Beacon)?),
            _ => return Err(PeerFault::Beacon),
        };
        Ok(Self { node: NodeId(*uuid), port: u16::from_be_bytes(*port), key })
    }

    /// Whether the node says that it leaves.
    pub fn is_leaving(&self) -> bool {
        self.port == 0
    }
}

const MAGIC: &[u8] = b"ZRE";
