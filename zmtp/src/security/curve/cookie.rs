//! The cookie: what the server would have to remember between WELCOME and INITIATE, kept by the client instead.
//!
//! ```text
//!   cookie   nonce (16), SecretBox[C' (32), s' (32)] (80)      nonce = the HELLO's short nonce (8), zeros (8)
//! ```
//!
//! The key of the box is made of a key that changes every minute and of the number of the connection. So a cookie is
//! worth something only on the connection that it was made for, and for two minutes at most: an INITIATE that somebody
//! recorded can be sent again nowhere. The content is nobody's business but ours; only the size is RFC 26's.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::Instant;
use zeroize::Zeroizing;

use super::crypto::{MAC_BYTES, Nonce, SharedKey, long_nonce};
use super::keys::SecretKey;
use crate::security::public_key::{KEY_BYTES, PublicKey};

/// Octets of a cookie.
pub(super) const COOKIE_BYTES: usize = 96;
/// How long a key makes cookies. For as long again it opens them.
const TURN: Duration = Duration::from_secs(60);

/// The keys of a socket's cookies; there is none before the first [`turn`](Self::turn).
#[derive(Debug, Default)]
pub struct Cookies {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Key>,
    previous: Option<SharedKey>,
}

/// A key, and when it was made.
#[derive(Debug)]
struct Key {
    key: SharedKey,
    since: Instant,
}

/// What comes back in a cookie.
pub(super) struct Content {
    /// C'.
    pub(super) client: PublicKey,
    /// s'.
    pub(super) secret: SecretKey,
    /// The short nonce of the HELLO.
    pub(super) hello: u64,
}

impl Cookies {
    /// Says what time it is. At first, and then after each minute, `fresh` is asked for a key: 32 octets from a random
    /// source fit for keys. To be called before each step of a handshake, as an old key is only forgotten here.
    ///
    /// # Errors
    /// When `fresh` has none.
    pub fn turn<E>(&self, now: Instant, fresh: impl FnOnce() -> Result<[u8; KEY_BYTES], E>) -> Result<(), E> {
        let mut state = self.lock();
        let age = state.current.as_ref().map(|current| now - current.since);
        if age.is_some_and(|age| age < TURN) {
            return Ok(());
        }
        let fresh = Key { key: SharedKey::own(fresh()?), since: now };
        let old = state.current.replace(fresh);
        state.previous = old.filter(|_| age.is_some_and(|age| age < 2 * TURN)).map(|old| old.key);
        Ok(())
    }

    /// Adds the cookie of a connection to `output`; false when there has been no [`turn`](Self::turn) yet.
    #[must_use]
    pub(super) fn put(&self, output: &mut Vec<u8>, connection: u64, content: &Content) -> bool {
        let Some(key) = self.lock().current.as_ref().map(|current| current.key.derive(&input(connection))) else {
            return false;
        };
        let mut nonce = [0; 16];
        *nonce.first_chunk_mut().expect("16 octets have 8 in front") = content.hello.to_be_bytes();
        let mut open = Zeroizing::new(Vec::with_capacity(2 * KEY_BYTES));
        open.extend_from_slice(content.client.as_bytes());
        open.extend_from_slice(content.secret.as_bytes());
        output.extend_from_slice(&nonce);
        key.put_box(output, &open, &box_nonce(&nonce));
        true
    }

    /// Opens a cookie that was made for this connection in this minute or the one before.
    pub(super) fn open(&self, cookie: &[u8; COOKIE_BYTES], connection: u64) -> Option<Content> {
        let keys = {
            let state = self.lock();
            [state.current.as_ref().map(|current| current.key.clone()), state.previous.clone()]
        };
        keys.iter().flatten().find_map(|key| Content::open(cookie, &key.derive(&input(connection))))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn open(cookie: &[u8; COOKIE_BYTES], key: &SharedKey) -> Option<Self> {
        let (nonce, sealed) = cookie.split_first_chunk::<16>()?;
        let mut sealed = Zeroizing::new(*sealed.first_chunk::<{ MAC_BYTES + 2 * KEY_BYTES }>()?);
        let content = key.open(&mut *sealed, &box_nonce(nonce))?;
        let (client, secret) = content.split_first_chunk::<KEY_BYTES>()?;
        let secret = SecretKey::from(*secret.first_chunk()?);
        let hello = u64::from_be_bytes(*nonce.first_chunk()?);
        Some(Self { client: PublicKey::from(*client), secret, hello })
    }
}

fn box_nonce(nonce: &[u8; 16]) -> Nonce {
    long_nonce(b"COOKIE--", nonce)
}

fn input(connection: u64) -> [u8; 16] {
    u128::from(connection).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn content() -> Content {
        Content { client: [1; KEY_BYTES].into(), secret: [2; KEY_BYTES].into(), hello: 3 }
    }

    fn cookies(key: u8) -> Cookies {
        let cookies = Cookies::default();
        turn(&cookies, Instant::ZERO, key);
        cookies
    }

    fn cookie(cookies: &Cookies, connection: u64) -> [u8; COOKIE_BYTES] {
        let mut output = Vec::new();
        assert!(cookies.put(&mut output, connection, &content()));
        output.try_into().unwrap()
    }

    fn turn(cookies: &Cookies, now: Instant, key: u8) {
        cookies.turn(now, || Ok::<_, Infallible>([key; KEY_BYTES])).unwrap();
    }

    #[test]
    fn a_cookie_comes_back_whole_on_its_own_connection_and_opens_on_no_other() {
        let cookies = cookies(9);
        let cookie = cookie(&cookies, 7);
        let found = cookies.open(&cookie, 7).unwrap();
        assert_eq!((found.client, found.secret, found.hello), (content().client, content().secret, 3));
        assert!(cookies.open(&cookie, 8).is_none());
        let others = self::cookies(8);
        assert!(others.open(&cookie, 7).is_none(), "another socket, or another life of this one");
    }

    #[test]
    fn without_a_key_there_is_no_cookie() {
        assert!(!Cookies::default().put(&mut Vec::new(), 7, &content()));
        assert!(Cookies::default().open(&cookie(&cookies(9), 7), 7).is_none());
    }

    #[test]
    fn no_bit_of_a_cookie_can_be_changed() {
        let cookies = cookies(9);
        let cookie = cookie(&cookies, 7);
        for bit in 0..COOKIE_BYTES * 8 {
            let mut flipped = cookie;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(cookies.open(&flipped, 7).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn a_cookie_lives_for_this_minute_and_the_next_and_no_longer() {
        let cookies = cookies(9);
        let cookie = cookie(&cookies, 7);
        turn(&cookies, Instant::ZERO + 59 * SECOND, 1);
        turn(&cookies, Instant::ZERO + 60 * SECOND, 2);
        turn(&cookies, Instant::ZERO + 119 * SECOND, 3);
        assert!(cookies.open(&cookie, 7).is_some());
        turn(&cookies, Instant::ZERO + 120 * SECOND, 4);
        assert!(cookies.open(&cookie, 7).is_none());
    }

    #[test]
    fn after_two_quiet_minutes_no_old_key_is_left() {
        let cookies = cookies(9);
        let cookie = cookie(&cookies, 7);
        turn(&cookies, Instant::ZERO + 120 * SECOND, 1);
        assert!(cookies.open(&cookie, 7).is_none());
    }
}
