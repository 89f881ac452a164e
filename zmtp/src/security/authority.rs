//! Who may come in: what a server asks its owner about each peer that has proved who it is, and the answer.
//!
//! It is ZAP (RFC 27) without its socket: the mechanism, what the peer showed, where it comes from; then one of ZAP's
//! answers. The owner answers at once, from a table in memory, so that a handshake waits for nobody.

use std::any::Any;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::security::public_key::PublicKey;

/// A peer that asks to be let in.
#[derive(Clone, Copy)]
pub struct Applicant<'a> {
    /// What it showed.
    pub credentials: Credentials<'a>,
    /// Where it connects from; `None` for a local socket.
    pub address: Option<IpAddr>,
    /// The domain of the socket that is asked; empty when it has none.
    pub domain: &'a str,
}

/// What a peer shows, by mechanism.
#[derive(Clone, Copy)]
pub enum Credentials<'a> {
    /// NULL: nothing.
    Null,
    /// PLAIN: a name and a password in clear text, 255 octets each at most. Compare the password with [`same_secret`].
    Plain {
        /// The name of the user.
        username: &'a [u8],
        /// The password.
        password: &'a [u8],
    },
    /// CURVE: a public key, and the proof that the peer has the secret one. That part is done.
    Curve(PublicKey),
}

/// The owner's answer.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Let it in.
    Allow(Admission),
    /// Keep it out.
    Refuse(Refusal),
}

/// How a peer is let in.
#[derive(Clone, Default)]
pub struct Admission {
    /// What the owner calls the peer; may be empty. ZAP's user id.
    pub name: Arc<str>,
    /// Whatever the owner wants to find again with the peer, such as its rights.
    pub data: Option<Arc<dyn Any + Send + Sync>>,
}

/// How a peer is kept out, by ZAP's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 300: not now. The connection is closed without a word, and the peer may try again.
    Later,
    /// 400: not this peer. It is told so with ERROR, and should not try again.
    Denied,
    /// 500: the owner cannot tell. The peer is told so with ERROR.
    Failed,
}

/// What a peer has proved to be. It holds as long as its connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proof {
    /// Nothing: NULL.
    Nothing,
    /// That it knows the password of this user.
    User(Bytes),
    /// That it has the secret key that belongs to this one.
    Key(PublicKey),
}

/// A peer that was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// What it proved.
    pub proof: Proof,
    /// What the owner said about it.
    pub admission: Admission,
}

/// Admissions are the same when their names are; what the owner keeps with them is its own business.
impl PartialEq for Admission {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Admission {}

/// The owner's way of deciding: a function of the applicant. It is called on the connection's task, from many threads
/// at a time, and must not block.
///
/// ```
/// use std::sync::Arc;
/// use zmtp::{Admission, Authority, Credentials, Decision, Refusal, same_secret};
///
/// let authority = Authority::new(|applicant| match applicant.credentials {
///     Credentials::Plain { username: b"admin", password } if same_secret(password, b"secret") => {
///         Decision::Allow(Admission { name: Arc::from("admin"), data: None })
///     }
///     _ => Decision::Refuse(Refusal::Denied),
/// });
/// # let _ = authority;
/// ```
#[derive(Clone)]
pub struct Authority(Arc<dyn Fn(&Applicant<'_>) -> Decision + Send + Sync>);

/// What the handshake of one connection asks of the socket that it belongs to.
pub trait Gate: Send + Sync {
    /// Whether these credentials may come in.
    fn decide(&self, credentials: &Credentials<'_>) -> Decision;

    /// Whether a peer with this proof may be known by `identity`, which is not empty.
    fn may_be_called(&self, identity: &Bytes, proof: &Proof) -> bool;
}

impl Authority {
    /// Wraps a decision.
    pub fn new(decide: impl Fn(&Applicant<'_>) -> Decision + Send + Sync + 'static) -> Self {
        Self(Arc::new(decide))
    }

    /// Asks for the decision.
    pub fn decide(&self, applicant: &Applicant<'_>) -> Decision {
        (self.0)(applicant)
    }
}

impl Refusal {
    /// ZAP's status.
    pub fn status(self) -> u16 {
        match self {
            Self::Later => 300,
            Self::Denied => 400,
            Self::Failed => 500,
        }
    }
}

/// Whether two secrets are the same, in a time that tells only their lengths.
pub fn same_secret(left: &[u8], right: &[u8]) -> bool {
    subtle::ConstantTimeEq::ct_eq(left, right).into()
}

impl fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Authority")
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Admission").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("Null"),
            Self::Plain { username, .. } => write!(formatter, "Plain({})", username.escape_ascii()),
            Self::Curve(key) => write!(formatter, "Curve({key})"),
        }
    }
}

impl fmt::Debug for Applicant<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { credentials, address, domain } = self;
        write!(formatter, "Applicant({credentials:?}, {address:?}, {domain:?})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_credentials_shows_no_password() {
        let credentials = Credentials::Plain { username: b"me", password: b"hush" };
        let applicant = Applicant { credentials, address: None, domain: "" };
        assert_eq!(format!("{applicant:?}"), "Applicant(Plain(me), None, \"\")");
    }

    #[test]
    fn secrets_are_the_same_only_when_every_octet_is() {
        assert!(same_secret(b"hush", b"hush"));
        for other in [&b"hush!"[..], b"hus", b"Hush", b""] {
            assert!(!same_secret(other, b"hush"));
        }
    }
}
