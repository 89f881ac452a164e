//! The server's side of the CURVE handshake.
//!
//! ```text
//!   Hello ── HELLO: WELCOME ──► Initiate ── INITIATE: gate ──► Admitted ── READY
//! ```
//!
//! Until a valid INITIATE comes it keeps nothing that the peer has said: the [cookie](super::cookie) brings it back.

use std::sync::Arc;

use super::Fresh;
use super::cookie::{COOKIE_BYTES, Content};
use super::crypto::{MAC_BYTES, SharedKey, long_nonce, short_nonce};
use super::keys::KeyPair;
use super::message::{Session, Side};
use crate::security::authority::{Credentials, Principal, Proof};
use crate::security::exchange::{Accepted, Exchange, Terms, admit};
use crate::security::public_key::{KEY_BYTES, PublicKey};
use crate::wire::command;
use crate::wire::fault::Fault;

/// The state of one handshake.
#[derive(Debug)]
pub(crate) struct Server {
    keys: Arc<KeyPair>,
    fresh: Fresh,
    state: State,
}

#[derive(Debug)]
enum State {
    Hello,
    Initiate,
    /// Waits for the word of whoever reads the metadata.
    Admitted {
        key: SharedKey,
        received: u64,
        principal: Arc<Principal>,
    },
    Done,
}

/// The fields of HELLO after its name.
const VERSION: [u8; 2] = [1, 0];
const PADDING_BYTES: usize = 72;
const SIGNATURE_BYTES: usize = 64;
/// The box inside INITIATE that proves the client's permanent key: C' and S'.
const VOUCH_BYTES: usize = MAC_BYTES + 2 * KEY_BYTES;

impl Server {
    pub(crate) fn new(keys: Arc<KeyPair>, fresh: Fresh) -> Self {
        Self { keys, fresh, state: State::Hello }
    }

    /// Answers HELLO with WELCOME and forgets it.
    fn on_hello(&mut self, data: &[u8], output: &mut Vec<u8>) -> Result<(), Fault> {
        let malformed = Fault::Command("HELLO");
        let (version, data) = data.split_first_chunk().ok_or(malformed.clone())?;
        let (_padding, data) = data.split_at_checked(PADDING_BYTES).ok_or(malformed.clone())?;
        let (client, data) = data.split_first_chunk::<KEY_BYTES>().ok_or(malformed.clone())?;
        let (count, sealed) = data.split_first_chunk().ok_or(malformed.clone())?;
        let mut sealed: [u8; MAC_BYTES + SIGNATURE_BYTES] = sealed.try_into().map_err(|_| malformed.clone())?;
        if *version != VERSION {
            return Err(malformed);
        }
        let (client, count) = (PublicKey::from(*client), u64::from_be_bytes(*count));
        let key = SharedKey::agree(&client, &self.keys.secret).ok_or(Fault::Forged("HELLO"))?;
        let signature =
            key.open(&mut sealed, &short_nonce(b"CurveZMQHELLO---", count)).ok_or(Fault::Forged("HELLO"))?;
        if signature.iter().any(|&octet| octet != 0) {
            return Err(Fault::Forged("HELLO"));
        }
        let (secret, nonce) = self.fresh.seed.split();
        let pair = KeyPair::new(secret);
        let mut content = pair.public.as_bytes().to_vec();
        let cookie = Content { client, secret: pair.secret, hello: count };
        if !self.fresh.cookies.put(&mut content, self.fresh.connection, &cookie) {
            return Err(Fault::Unexpected("HELLO without a key for cookies"));
        }
        let mut body = nonce.to_vec();
        key.put_box(&mut body, &content, &long_nonce(b"WELCOME-", &nonce));
        command::put(output, b"WELCOME", &body);
        Ok(())
    }

    /// Takes everything back out of INITIATE, and finds who the client is.
    fn on_initiate(&self, data: &[u8]) -> Result<Initiate, Fault> {
        let malformed = Fault::Command("INITIATE");
        let forged = Fault::Forged("INITIATE");
        let (cookie, data) = data.split_first_chunk::<COOKIE_BYTES>().ok_or(malformed.clone())?;
        let (count, sealed) = data.split_first_chunk().ok_or(malformed.clone())?;
        let cookie = self.fresh.cookies.open(cookie, self.fresh.connection).ok_or(Fault::Forged("cookie"))?;
        let received = u64::from_be_bytes(*count);
        if received <= cookie.hello {
            return Err(Fault::Nonce);
        }
        let key = SharedKey::agree(&cookie.client, &cookie.secret).ok_or(forged.clone())?;
        let mut sealed = sealed.to_vec();
        let nonce = short_nonce(b"CurveZMQINITIATE", received);
        let content = key.open(&mut sealed, &nonce).ok_or(forged.clone())?;
        let (client, content) = content.split_first_chunk::<KEY_BYTES>().ok_or(malformed.clone())?;
        let (nonce, content) = content.split_first_chunk().ok_or(malformed.clone())?;
        let (vouch, metadata) = content.split_first_chunk::<VOUCH_BYTES>().ok_or(malformed)?;
        let (client, mut vouch) = (PublicKey::from(*client), *vouch);
        let vouched = SharedKey::agree(&client, &cookie.secret).ok_or(forged.clone())?;
        let vouched = vouched.open(&mut vouch, &long_nonce(b"VOUCH---", nonce)).ok_or(forged.clone())?;
        let (theirs, ours) = vouched.split_first_chunk::<KEY_BYTES>().ok_or(forged.clone())?;
        if theirs != cookie.client.as_bytes() || *ours != *self.keys.public.as_bytes() {
            return Err(forged);
        }
        Ok(Initiate { key, received, client, metadata: metadata.to_vec() })
    }
}

/// A valid INITIATE.
struct Initiate {
    key: SharedKey,
    received: u64,
    client: PublicKey,
    metadata: Vec<u8>,
}

impl Exchange for Server {
    fn on_command(&mut self, name: &[u8], data: &[u8], terms: &mut Terms<'_>) -> Result<Option<Vec<u8>>, Fault> {
        match (&self.state, name) {
            (State::Hello, b"HELLO") => {
                self.on_hello(data, terms.output)?;
                self.state = State::Initiate;
                Ok(None)
            }
            (State::Initiate, b"INITIATE") => {
                let Initiate { key, received, client, metadata } = self.on_initiate(data)?;
                let credentials = Credentials::Curve(client);
                let principal = admit(&credentials, Proof::Key(client), terms)?;
                self.state = State::Admitted { key, received, principal };
                Ok(Some(metadata))
            }
            _ => Err(Fault::Unexpected("command")),
        }
    }

    fn principal(&self) -> Option<&Principal> {
        match &self.state {
            State::Admitted { principal, .. } => Some(principal),
            _ => None,
        }
    }

    fn accept(&mut self, terms: &mut Terms<'_>) -> Accepted {
        let State::Admitted { key, received, principal } = std::mem::replace(&mut self.state, State::Done) else {
            return Accepted::default();
        };
        let sent = 1u64;
        let mut body = sent.to_be_bytes().to_vec();
        key.put_box(&mut body, terms.metadata, &short_nonce(b"CurveZMQREADY---", sent));
        command::put(terms.output, b"READY", &body);
        Accepted { principal: Some(principal), session: Some(Session::new(Side::Server, key, sent, received)) }
    }

    fn refuse(&mut self, reason: &str, output: &mut Vec<u8>) {
        command::put_error(output, reason);
    }
}
