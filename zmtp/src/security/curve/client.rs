//! The client's side of the CURVE handshake. It knows the server's permanent key beforehand, and talks to nobody else.
//!
//! ```text
//!   Welcome ── WELCOME: INITIATE ──► Ready ── READY ──► Done
//! ```

use std::sync::Arc;

use super::cookie::COOKIE_BYTES;
use super::crypto::{MAC_BYTES, SharedKey, long_nonce, short_nonce};
use super::keys::KeyPair;
use super::message::{Session, Side};
use super::{Fresh, Seed};
use crate::security::authority::{Admission, Principal, Proof};
use crate::security::exchange::{Accepted, Exchange, Terms};
use crate::security::public_key::{KEY_BYTES, PublicKey};
use crate::wire::command;
use crate::wire::fault::Fault;

/// The state of one handshake.
#[derive(Debug)]
pub(crate) struct Client {
    keys: Arc<KeyPair>,
    server: PublicKey,
    seed: Seed,
    state: State,
}

#[derive(Debug)]
enum State {
    Begin,
    Welcome { pair: KeyPair, key: SharedKey },
    Ready { key: SharedKey },
    Accepted { key: SharedKey, received: u64 },
    Done,
}

/// The short nonces of our two commands; the first MESSAGE has the next one.
const HELLO: u64 = 1;
const INITIATE: u64 = 2;
/// WELCOME's box: S' and the cookie.
const WELCOME_BYTES: usize = MAC_BYTES + KEY_BYTES + COOKIE_BYTES;

impl Client {
    pub(crate) fn new(keys: Arc<KeyPair>, server: PublicKey, fresh: Fresh) -> Self {
        Self { keys, server, seed: fresh.seed, state: State::Begin }
    }

    fn put_hello(&self, pair: &KeyPair, key: &SharedKey, output: &mut Vec<u8>) {
        let mut body = vec![1, 0];
        body.extend_from_slice(&[0; 72]);
        body.extend_from_slice(pair.public.as_bytes());
        body.extend_from_slice(&HELLO.to_be_bytes());
        key.put_box(&mut body, &[0; 64], &short_nonce(b"CurveZMQHELLO---", HELLO));
        command::put(output, b"HELLO", &body);
    }

    /// Learns the server's key of this connection and proves ours.
    fn on_welcome(
        &self,
        pair: &KeyPair,
        key: &SharedKey,
        data: &[u8],
        terms: &mut Terms<'_>,
    ) -> Result<SharedKey, Fault> {
        let forged = Fault::Forged("WELCOME");
        let (nonce, sealed) = data.split_first_chunk().ok_or(Fault::Command("WELCOME"))?;
        let mut sealed: [u8; WELCOME_BYTES] = sealed.try_into().map_err(|_| Fault::Command("WELCOME"))?;
        let content = key.open(&mut sealed, &long_nonce(b"WELCOME-", nonce)).ok_or(forged.clone())?;
        let (server, cookie) = content.split_first_chunk::<KEY_BYTES>().ok_or(forged.clone())?;
        let server = PublicKey::from(*server);
        let session = SharedKey::agree(&server, &pair.secret).ok_or(forged.clone())?;
        let vouch = SharedKey::agree(&server, &self.keys.secret).ok_or(forged)?;
        let (_, nonce) = self.seed.split();
        let mut content = self.keys.public.as_bytes().to_vec();
        content.extend_from_slice(&nonce);
        let vouched = [*pair.public.as_bytes(), *self.server.as_bytes()].concat();
        vouch.put_box(&mut content, &vouched, &long_nonce(b"VOUCH---", &nonce));
        content.extend_from_slice(terms.metadata);
        let mut body = cookie.to_vec();
        body.extend_from_slice(&INITIATE.to_be_bytes());
        session.put_box(&mut body, &content, &short_nonce(b"CurveZMQINITIATE", INITIATE));
        command::put(terms.output, b"INITIATE", &body);
        Ok(session)
    }
}

/// The server's metadata and its short nonce.
fn on_ready(key: &SharedKey, data: &[u8]) -> Result<(Vec<u8>, u64), Fault> {
    let (count, sealed) = data.split_first_chunk().ok_or(Fault::Command("READY"))?;
    let received = u64::from_be_bytes(*count);
    let mut sealed = sealed.to_vec();
    let nonce = short_nonce(b"CurveZMQREADY---", received);
    let metadata = key.open(&mut sealed, &nonce).ok_or(Fault::Forged("READY"))?;
    Ok((metadata.to_vec(), received))
}

impl Exchange for Client {
    fn begin(&mut self, terms: &mut Terms<'_>) -> Result<(), Fault> {
        let (secret, _) = self.seed.split();
        let pair = KeyPair::new(secret);
        let key = SharedKey::agree(&self.server, &pair.secret).ok_or(Fault::Forged("server key"))?;
        self.put_hello(&pair, &key, terms.output);
        self.state = State::Welcome { pair, key };
        Ok(())
    }

    fn on_command(&mut self, name: &[u8], data: &[u8], terms: &mut Terms<'_>) -> Result<Option<Vec<u8>>, Fault> {
        match (&self.state, name) {
            (State::Welcome { pair, key }, b"WELCOME") => {
                let key = self.on_welcome(pair, key, data, terms)?;
                self.state = State::Ready { key };
                Ok(None)
            }
            (State::Ready { key }, b"READY") => {
                let (metadata, received) = on_ready(key, data)?;
                self.state = State::Accepted { key: key.clone(), received };
                Ok(Some(metadata))
            }
            (State::Welcome { .. } | State::Ready { .. }, b"ERROR") => Err(command::refusal(data)),
            _ => Err(Fault::Unexpected("command")),
        }
    }

    fn accept(&mut self, _terms: &mut Terms<'_>) -> Accepted {
        let State::Accepted { key, received } = std::mem::replace(&mut self.state, State::Done) else {
            return Accepted::default();
        };
        let principal = Principal { proof: Proof::Key(self.server), admission: Admission::default() };
        let session = Session::new(Side::Client, key, INITIATE, received);
        Accepted { principal: Some(Arc::new(principal)), session: Some(session) }
    }
}
