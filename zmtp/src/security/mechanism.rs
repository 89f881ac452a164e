//! How peers prove who they are, and how their octets are protected afterwards: the choice that a socket makes.
//!
//! | mechanism | proves | protects |
//! |---|---|---|
//! | NULL (RFC 37) | nothing | nothing |
//! | PLAIN (RFC 24) | the client, by a password that anybody on the way can read | nothing |
//! | CURVE (RFC 25) | both, by their keys | everything after the greeting |
//!
//! Of PLAIN and CURVE one side is the client and one the server, whichever of them listens. Usually the ROUTER is the
//! server; a DEALER may be, too, as in libzmq.

use std::sync::Arc;

#[cfg(feature = "curve")]
use crate::security::curve::{self, Fresh, KeyPair};
use crate::security::exchange::{Exchange, Null};
use crate::security::plain::{self, Login};
#[cfg(feature = "curve")]
use crate::security::public_key::PublicKey;

/// A security mechanism, with what it needs to know.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Mechanism {
    /// No authentication and no encryption.
    #[default]
    Null,
    /// Shows a name and a password.
    PlainClient(Arc<Login>),
    /// Asks for a name and a password. Without an authority nobody is let in.
    PlainServer,
    /// Talks only to the server whose public key this is.
    #[cfg(feature = "curve")]
    CurveClient {
        /// Our keys.
        keys: Arc<KeyPair>,
        /// The server's.
        server: PublicKey,
    },
    /// Talks to every client that has a key and that the authority lets in; without an authority, to everyone that has
    /// a key.
    #[cfg(feature = "curve")]
    CurveServer(Arc<KeyPair>),
}

impl Mechanism {
    /// The name in the greeting, NUL-padded.
    pub(crate) fn greeting_name(&self) -> [u8; 20] {
        match self {
            Self::Null => *b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            Self::PlainClient(_) | Self::PlainServer => *b"PLAIN\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            #[cfg(feature = "curve")]
            Self::CurveClient { .. } | Self::CurveServer(_) => *b"CURVE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        }
    }

    /// Whether we are the one who asks.
    pub fn is_server(&self) -> bool {
        match self {
            Self::Null | Self::PlainClient(_) => false,
            Self::PlainServer => true,
            #[cfg(feature = "curve")]
            Self::CurveClient { .. } => false,
            #[cfg(feature = "curve")]
            Self::CurveServer(_) => true,
        }
    }

    /// Whether this is CURVE, which needs [`Fresh`] octets for each connection.
    #[cfg(feature = "curve")]
    pub fn is_curve(&self) -> bool {
        matches!(self, Self::CurveClient { .. } | Self::CurveServer(_))
    }

    /// Whether peers that speak ZMTP 2.0, which knows no mechanisms, may come in.
    pub(crate) fn accepts_version_2(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The machine for one connection, if it needs nothing else.
    pub(crate) fn exchange(&self) -> Option<Box<dyn Exchange>> {
        match self {
            Self::Null => Some(Box::new(Null::default())),
            Self::PlainClient(login) => Some(Box::new(plain::Client::new(Arc::clone(login)))),
            Self::PlainServer => Some(Box::new(plain::Server::default())),
            #[cfg(feature = "curve")]
            Self::CurveClient { .. } | Self::CurveServer(_) => None,
        }
    }

    /// The machine for one connection.
    #[cfg(feature = "curve")]
    pub(crate) fn fresh_exchange(&self, fresh: Fresh) -> Option<Box<dyn Exchange>> {
        match self {
            Self::CurveClient { keys, server } => Some(Box::new(curve::Client::new(Arc::clone(keys), *server, fresh))),
            Self::CurveServer(keys) => Some(Box::new(curve::Server::new(Arc::clone(keys), fresh))),
            _ => self.exchange(),
        }
    }
}
