//! What both sides say of themselves at the end of a handshake: the properties of READY and INITIATE (RFC 37,
//! "The READY command").
//!
//! ```text
//!   Socket-Type   ours and theirs must fit
//!   Identity      1 to 255 octets, the first not zero; or empty
//!   X-Domain      an extension of ours, as names with X- are free: where this socket belongs (dev, test, prod)
//! ```
//!
//! A domain keeps a test client away from a production broker by accident, not by force: whoever has one lets nobody
//! in who has another or none, and whoever has none lets nobody in who has one. libzmq peers set it with ZMQ_METADATA.

use bytes::Bytes;
use protocol::limits::IDENTITY_BYTES_MAX;

use crate::wire::command;
use crate::wire::fault::Fault;
use crate::wire::handshake::Local;
use crate::wire::socket_type::{SocketType, printable};

/// The longest domain.
pub const DOMAIN_BYTES_MAX: usize = 255;

/// What a peer says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) socket_type: SocketType,
    pub(crate) identity: Bytes,
}

/// Our own properties.
pub(crate) fn encode(local: &Local) -> Vec<u8> {
    let mut output = Vec::new();
    command::put_property(&mut output, b"Socket-Type", local.socket_type.name().as_bytes());
    command::put_property(&mut output, b"Identity", &local.identity);
    if !local.domain.is_empty() {
        command::put_property(&mut output, b"X-Domain", local.domain.as_bytes());
    }
    output
}

/// Reads the properties of a peer that is to fit `local`.
pub(crate) fn read(metadata: &[u8], local: &Local) -> Result<Metadata, Fault> {
    let (mut socket_type, mut identity, mut domain) = (&b""[..], &b""[..], &b""[..]);
    for property in command::properties(metadata) {
        let (name, value) = property?;
        if name.eq_ignore_ascii_case(b"Socket-Type") {
            socket_type = value;
        } else if name.eq_ignore_ascii_case(b"Identity") {
            identity = value;
        } else if name.eq_ignore_ascii_case(b"X-Domain") {
            domain = value;
        }
    }
    let socket_type = local.socket_type.peer_named(socket_type)?;
    let identity = checked_identity(identity)?;
    check_domain(domain, local)?;
    Ok(Metadata { socket_type, identity })
}

/// Whether a peer of `domain` and `local` may talk.
pub(crate) fn check_domain(domain: &[u8], local: &Local) -> Result<(), Fault> {
    if domain == local.domain.as_bytes() {
        return Ok(());
    }
    Err(Fault::Domain { theirs: printable(domain), ours: local.domain.clone() })
}

/// Identities that start with a zero octet are the ones that a ROUTER makes up (RFC 28).
pub(crate) fn checked_identity(identity: &[u8]) -> Result<Bytes, Fault> {
    if identity.len() > IDENTITY_BYTES_MAX || identity.first() == Some(&0) {
        return Err(Fault::Identity);
    }
    Ok(Bytes::copy_from_slice(identity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::mechanism::Mechanism;

    fn local(domain: &str) -> Local {
        let (socket_type, mechanism) = (SocketType::Dealer, Mechanism::Null);
        Local { socket_type, identity: Bytes::from_static(b"me"), domain: domain.into(), mechanism }
    }

    fn router(domain: &str) -> Local {
        Local { socket_type: SocketType::Router, ..local(domain) }
    }

    #[test]
    fn a_domain_travels_only_when_there_is_one() {
        assert_eq!(encode(&local("")), b"\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x02me");
        let with = [encode(&local("")), b"\x08X-Domain\0\0\0\x04prod".to_vec()].concat();
        assert_eq!(encode(&local("prod")), with);
    }

    #[test]
    fn both_sides_share_their_domain_or_have_none() {
        for (theirs, ours, fits) in
            [("", "", true), ("prod", "prod", true), ("test", "prod", false), ("", "prod", false), ("test", "", false)]
        {
            let read = read(&encode(&local(theirs)), &router(ours));
            if fits {
                assert_eq!(read.unwrap().identity, &b"me"[..]);
            } else {
                assert_eq!(read, Err(Fault::Domain { theirs: theirs.into(), ours: ours.into() }));
            }
        }
    }
}
