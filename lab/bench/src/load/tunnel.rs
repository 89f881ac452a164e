//! CURVE below a speaker: the speaker says and hears ZMTP over NULL, and the wire carries it sealed.
//!
//! ```text
//!   speaker ── frames in the clear ──► seal ──► socket ──► open ──► frames in the clear ── speaker
//! ```
//!
//! The cryptography is our engine's, for every server that is compared: a client costs the same on both sides of a
//! comparison, and libzmq at the other end shows that it is CURVE.

use std::sync::Arc;

use anyhow::{Context, bail};
use zmtp::curve::{Fresh, Inbound, KeyPair, Outbound, SEED_BYTES, SecretKey};
use zmtp::{Handshake, KEY_BYTES, Local, Mechanism, PublicKey, SocketType};

use super::connection::Outbox;

/// Whom a load talks to over CURVE, and as whom.
#[derive(Debug, Clone, Copy)]
pub struct Curve {
    /// The server's key.
    pub server: PublicKey,
    /// The secret key of all clients and workers.
    pub secret: [u8; KEY_BYTES],
}

/// One connection's protection.
#[derive(Debug)]
pub(super) struct Tunnel {
    /// What the handshake has to say.
    said: Outbox,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Shaking(Box<Handshake>),
    Open(Box<Inbound>, Box<Outbound>),
}

/// What became of some octets of the wire.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Opened {
    /// Octets in the clear, at the front.
    pub(super) plain: usize,
    /// Octets that are done with.
    pub(super) consumed: usize,
    /// The handshake is over with them.
    pub(super) ready: bool,
}

impl Curve {
    /// A client's handshake from its start.
    ///
    /// # Errors
    /// The system has no random octets.
    pub fn handshake(&self) -> anyhow::Result<Handshake> {
        let mut seed = [0; SEED_BYTES];
        getrandom::fill(&mut seed)?;
        let keys = Arc::new(KeyPair::new(SecretKey::from(self.secret)));
        let mechanism = Mechanism::CurveClient { keys, server: self.server };
        let (identity, domain) = (Default::default(), String::new());
        let local = Local { socket_type: SocketType::Dealer, identity, domain, mechanism };
        Ok(Handshake::fresh(local, Fresh::new(seed, 0, Arc::default())))
    }
}

impl Tunnel {
    pub(super) fn new(curve: &Curve) -> anyhow::Result<Self> {
        let mut handshake = curve.handshake()?;
        let said = Outbox::holding(handshake.take_output());
        Ok(Self { said, stage: Stage::Shaking(Box::new(handshake)) })
    }

    /// Opens what has come; the rest is to be handed in again, with more behind it.
    pub(super) fn open(&mut self, sealed: &mut [u8]) -> anyhow::Result<Opened> {
        match &mut self.stage {
            Stage::Shaking(handshake) => {
                let mut opened = Opened::default();
                opened.ready = handshake.feed(sealed, &mut opened.consumed)?.is_some();
                self.said.bytes.extend(handshake.take_output());
                if opened.ready {
                    let session = handshake.take_session().context("a CURVE handshake without a session")?;
                    let (inbound, outbound) = session.split(MESSAGE_BYTES_MAX);
                    self.stage = Stage::Open(Box::new(inbound), Box::new(outbound));
                }
                Ok(opened)
            }
            Stage::Open(inbound, _) => {
                let whole = whole_frames(sealed)?;
                let opened = inbound.open(sealed.get_mut(..whole).unwrap_or_default())?;
                Ok(Opened { plain: opened.plain, consumed: opened.consumed, ready: false })
            }
        }
    }

    /// What is to be written now. Takes all of `plain`, whole frames, as soon as the frames before are written.
    pub(super) fn waiting(&mut self, plain: &mut Outbox) -> anyhow::Result<Option<&[u8]>> {
        let Stage::Open(_, outbound) = &mut self.stage else { return Ok(self.said.waiting()) };
        if outbound.is_written() {
            outbound.seal_commands(plain.waiting().unwrap_or_default())?;
            *plain = Outbox::default();
        }
        Ok(Some(outbound.unwritten()).filter(|octets| !octets.is_empty()))
    }

    /// So much of that was written.
    pub(super) fn advance(&mut self, written: usize) {
        match &mut self.stage {
            Stage::Shaking(_) => self.said.drop_front(written),
            Stage::Open(_, outbound) => outbound.advance(written),
        }
    }
}

/// Octets of the whole frames at the front.
fn whole_frames(octets: &[u8]) -> anyhow::Result<usize> {
    let mut whole = 0;
    loop {
        let rest = octets.get(whole..).unwrap_or_default();
        let (size, head) = match *rest {
            [flags, size, ..] if flags & LONG == 0 => (usize::from(size), 2),
            [_, a, b, c, d, e, f, g, h, ..] => (usize::try_from(u64::from_be_bytes([a, b, c, d, e, f, g, h]))?, 9),
            _ => return Ok(whole),
        };
        if size > MESSAGE_BYTES_MAX {
            bail!("the server sent a frame of {size} bytes");
        }
        if rest.len() < head + size {
            return Ok(whole);
        }
        whole += head + size;
    }
}

const LONG: u8 = 2;
/// More than any load sends.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_frames_end_where_one_is_not_whole() {
        let long = [&[2, 0, 0, 0, 0, 0, 0, 1, 0][..], &[7; 256]].concat();
        let octets = [b"\x00\x02hi", &long[..], b"\x00\x03ab"].concat();
        assert_eq!(whole_frames(&octets).unwrap(), 4 + 265);
        assert_eq!(whole_frames(&octets[..4 + 264]).unwrap(), 4);
        assert_eq!(whole_frames(&octets[..3]).unwrap(), 0);
        assert_eq!(whole_frames(b"\x02\x00").unwrap(), 0);
        assert!(whole_frames(b"\x02\x00\xff\x00\x00\x00\x00\x00\x00").is_err());
    }
}
