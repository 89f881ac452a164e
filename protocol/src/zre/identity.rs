//! Who a node is, and what its groups are called.

use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::fault::PeerFault;

/// A node, for as long as its process lives: the 16 octets of a UUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 16]);

/// The name of a group: up to 255 bytes of UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupName(Arc<str>);

impl NodeId {
    /// The routing identity of this node's DEALER: the octet 1 and the UUID, since an identity must not begin with 0.
    pub fn to_identity(self) -> Bytes {
        let mut identity = BytesMut::with_capacity(17);
        identity.put_u8(1);
        identity.put_slice(&self.0);
        identity.freeze()
    }

    /// The node behind a routing identity; `None` when it is not one of ZRE 2.
    pub fn from_identity(identity: &[u8]) -> Option<Self> {
        let (first, uuid) = identity.split_first()?;
        (*first == 1).then_some(Self(uuid.try_into().ok()?))
    }

    /// The name of a node that gave itself none: its first six digits, as Zyre has it.
    pub fn default_name(self) -> String {
        self.to_string().chars().take(6).collect()
    }
}

impl std::str::FromStr for NodeId {
    type Err = PeerFault;

    /// 32 hexadecimal digits, of either case.
    fn from_str(text: &str) -> Result<Self, PeerFault> {
        let fault = PeerFault::Text("node id");
        if text.len() != 32 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(fault);
        }
        u128::from_str_radix(text, 16).map(|number| Self(number.to_be_bytes())).map_err(|_| fault)
    }
}

impl fmt::Display for NodeId {
    /// 32 hexadecimal digits in upper case, as Zyre prints and sorts them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(formatter, "{octet:02X}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "NodeId({self})")
    }
}

impl GroupName {
    /// Takes a text as a name.
    ///
    /// # Errors
    /// [`PeerFault::Count`] when it is longer than 255 bytes.
    pub fn new(text: &str) -> Result<Self, PeerFault> {
        let bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
        match bytes {
            0..=BYTES_MAX => Ok(Self(text.into())),
            count => Err(PeerFault::Count { what: "bytes of a group name", count, allowed: BYTES_MAX }),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for GroupName {
    type Err = PeerFault;

    fn from_str(text: &str) -> Result<Self, PeerFault> {
        Self::new(text)
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for GroupName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "GroupName({:?})", &*self.0)
    }
}

const BYTES_MAX: u32 = 255;
