//! A newtype for every identity: raw bytes end at the codec.

use std::fmt;

use bytes::Bytes;

use crate::fault::PeerFault;
use crate::limits;

/// One connection, for as long as it lives. The socket engine never gives a number twice, so that a connection that
/// resets late cannot be mistaken for its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u64);

/// The name of a service: 1 to 255 bytes, compared as bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(Bytes);

/// A request, as its client numbered it; the same in every retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub [u8; 16]);

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// How urgent a request is, 0 to 9; higher goes first. MDP 0.1 and 0.2 cannot say and have the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// What has time.
    pub const MIN: Self = Self(0);
    /// What nobody has said anything about.
    pub const NORMAL: Self = Self(4);
    /// What cannot wait.
    pub const MAX: Self = Self(9);

    /// The priority of this number; `None` above 9.
    pub const fn new(level: u8) -> Option<Self> {
        if level <= Self::MAX.0 { Some(Self(level)) } else { None }
    }

    /// 0 to 9.
    pub const fn level(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::NORMAL
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "peer {}", self.0)
    }
}

impl ServiceName {
    /// Takes the bytes of a frame as a name.
    ///
    /// # Errors
    /// [`PeerFault::ServiceName`] when it is empty or longer than [`limits::SERVICE_NAME_BYTES_MAX`].
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, PeerFault> {
        let bytes = bytes.into();
        if bytes.is_empty() || bytes.len() > limits::SERVICE_NAME_BYTES_MAX {
            return Err(PeerFault::ServiceName(bytes.len()));
        }
        Ok(Self(bytes))
    }

    /// The name as it travels.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name as a frame; shares the bytes.
    pub fn to_frame(&self) -> Bytes {
        self.0.clone()
    }

    /// The same name in memory of its own, for keeping: a name cut out of a message pins that message.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }

    /// Whether the broker itself answers for this name (RFC 8: everything under `mmi.`).
    pub fn is_management(&self) -> bool {
        self.0.starts_with(b"mmi.")
    }
}

impl std::str::FromStr for ServiceName {
    type Err = PeerFault;

    fn from_str(name: &str) -> Result<Self, PeerFault> {
        Self::new(Bytes::copy_from_slice(name.as_bytes()))
    }
}

impl std::borrow::Borrow<[u8]> for ServiceName {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for ServiceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ServiceName({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_name_bytes_max_is_met_and_not_passed() {
        assert!(ServiceName::new(vec![b'x'; limits::SERVICE_NAME_BYTES_MAX]).is_ok());
        assert_eq!(ServiceName::new(vec![b'x'; 256]), Err(PeerFault::ServiceName(256)));
        assert_eq!(ServiceName::new(Bytes::new()), Err(PeerFault::ServiceName(0)));
    }

    #[test]
    fn a_priority_is_one_of_ten_levels_and_normal_is_in_the_middle() {
        assert_eq!(Priority::new(9), Some(Priority::MAX));
        assert_eq!(Priority::new(10), None);
        assert!(Priority::MIN < Priority::default() && Priority::default() < Priority::MAX);
    }

    #[test]
    fn only_names_that_start_with_mmi_dot_are_management() {
        let is = |name: &str| name.parse::<ServiceName>().unwrap().is_management();
        assert!(is("mmi.service") && is("mmi."));
        assert!(!is("mmi") && !is("mmix") && !is("a.mmi.service"));
    }

    #[test]
    fn a_name_of_any_bytes_prints_as_one_line() {
        assert_eq!(ServiceName::new(&b"a\n\xff"[..]).unwrap().to_string(), "a\\n\\xff");
    }
}
