//! The octets of ZMTP (RFC 23, RFC 37), without input and output: greeting, handshake, commands and messages.

pub(crate) mod command;
pub(crate) mod decoder;
pub(crate) mod fault;
pub(crate) mod frame;
pub(crate) mod greeting;
pub(crate) mod handshake;
pub(crate) mod large;
pub(crate) mod metadata;
pub(crate) mod outbox;
pub(crate) mod socket_type;
