//! CURVE (RFC 25, RFC 26): both sides know each other by their public keys, and nobody between them can read, change,
//! repeat or reorder what they say.
//!
//! ```text
//!   C, c  client's key pair     C', c'  client's for this connection     n  short nonce, 8 octets, counts up
//!   S, s  server's key pair     S', s'  server's for this connection     N  long nonce, 16 octets, random
//!
//!   client ── HELLO     1.0, 72 zeros, C', n, Box[64 zeros](c' -> S) ───────────────────────────► server
//!   client ◄─ WELCOME   N, Box[S', cookie](s -> C') ───────────────────────────────────────────── server
//!   client ── INITIATE  cookie, n, Box[C, N, Box[C', S](c -> S'), metadata](c' -> S') ──────────► server
//!   client ◄─ READY     n, Box[metadata](s' -> C')        or ERROR, a reason in clear text ────── server
//!   either ── MESSAGE   n, Box[flags, body] ────────────────────────────────────────────────────► other
//! ```
//!
//! Between WELCOME and INITIATE the server remembers nothing: all that it needs comes back to it in the `cookie`.
//! Each file tells a part: `keys`, the `crypto` they need, the `cookie`, the two sides of the handshake (`client`,
//! `server`), and what protects the traffic after it: `message` by message, `inbound` and `outbound`.
//!
//! None of it reads a clock or a random source: both come from outside, in [`Fresh`]. A socket brings its own:
//!
//! ```
//! # #[cfg(feature = "tokio")]
//! # fn options(text_of_our_key: &str, text_of_server_key: &str) -> Result<zmtp::Options, zmtp::KeyError> {
//! use std::sync::Arc;
//! use zmtp::{Mechanism, Options, curve::KeyPair};
//!
//! let keys = Arc::new(KeyPair::new(text_of_our_key.parse()?));
//! let mechanism = Mechanism::CurveClient { keys, server: text_of_server_key.parse()? };
//! Ok(Options { mechanism, ..Options::default() })
//! # }
//! ```

mod client;
mod cookie;
mod crypto;
mod inbound;
mod keys;
mod message;
mod outbound;
mod server;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use zeroize::Zeroizing;

pub(crate) use client::Client;
pub use cookie::Cookies;
pub use inbound::Inbound;
pub use keys::{KeyPair, SecretKey};
pub use message::Session;
pub use outbound::Outbound;
pub(crate) use server::Server;

/// Octets of chance that one handshake needs.
pub const SEED_BYTES: usize = 48;

/// What one CURVE handshake takes from outside, besides octets.
#[derive(Debug)]
pub struct Fresh {
    /// The secret key of this connection, and a long nonce.
    pub(crate) seed: Seed,
    /// The number of the connection, never used twice with the same `cookies`: a cookie is worth nothing on another.
    pub(crate) connection: u64,
    /// The keys of the cookies, shared by all connections of a socket.
    pub(crate) cookies: Arc<Cookies>,
}

/// The octets of chance of one handshake.
pub(crate) struct Seed(Zeroizing<[u8; SEED_BYTES]>);

impl Fresh {
    /// `seed` must come from a random source fit for keys, and never be used again.
    pub fn new(seed: [u8; SEED_BYTES], connection: u64, cookies: Arc<Cookies>) -> Self {
        Self { seed: Seed(Zeroizing::new(seed)), connection, cookies }
    }
}

impl Seed {
    /// The secret key of this connection and its long nonce.
    fn split(&self) -> (SecretKey, [u8; 16]) {
        let (secret, nonce) = self.0.split_first_chunk().expect("48 octets have 32 in front");
        (SecretKey::from(*secret), *nonce.first_chunk().expect("48 octets have 16 after 32"))
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Seed")
    }
}
