//! The octets of one connection on their way to messages, encrypted or not: what a read left over, and what of it can
//! be decoded without another read.

use bytes::{BytesMut, buf::Limit};

use crate::security::curve::Inbound;
use crate::wire::decoder::{Decoder, Sink};
use crate::wire::fault::Fault;

/// The decoder of a connection, and the decryption in front of it, if there is one.
#[derive(Debug)]
pub(crate) struct Incoming {
    decoder: Decoder,
    /// Boxed, as most connections have none.
    inbound: Option<Box<Inbound>>,
    /// What was read and not done with: encrypted, where there is encryption.
    rest: Vec<u8>,
    /// What was decrypted and not decoded, because the sink was full.
    plain: Vec<u8>,
    waiting: Waiting,
}

/// What waits that needs no read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Nothing,
    /// The rest was never looked at, or decoding stopped because the sink was full.
    Rest,
    /// Decoding of decrypted octets stopped because the sink was full.
    Plain,
}

impl Incoming {
    /// `rest`: what came together with the end of the handshake.
    pub(crate) fn new(decoder: Decoder, inbound: Option<Inbound>, rest: Vec<u8>) -> Self {
        let waiting = if rest.is_empty() { Waiting::Nothing } else { Waiting::Rest };
        Self { decoder, inbound: inbound.map(Box::new), rest, plain: Vec::new(), waiting }
    }

    /// Memory held for what has not become a message, in octets.
    pub(crate) fn held_bytes(&self) -> usize {
        let inbound = self.inbound.as_ref().map_or(0, |inbound| inbound.held_bytes());
        self.decoder.held_bytes() + inbound + self.rest.capacity() + self.plain.capacity()
    }

    /// Whether [`resume`](Self::resume) is to be called before anything is read.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting != Waiting::Nothing
    }

    /// What must stand in front of the next octets that are read.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.rest
    }

    /// Room for the octets of a large frame that are still missing, to be read into without a detour.
    pub(crate) fn large_room(&mut self) -> Option<Limit<&mut BytesMut>> {
        match &mut self.inbound {
            Some(inbound) => inbound.large_room(),
            None => self.decoder.large_room(),
        }
    }

    /// The room was filled, as far as it was.
    pub(crate) fn on_large(&mut self, sink: &mut impl Sink) -> Result<(), Fault> {
        match &mut self.inbound {
            Some(inbound) => inbound.finish_large(&mut self.decoder, sink),
            None => self.decoder.decode(&[], sink).map(|_| ()),
        }
    }

    /// Decodes what waits.
    pub(crate) fn resume(&mut self, sink: &mut impl Sink) -> Result<(), Fault> {
        match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::Nothing => Ok(()),
            Waiting::Rest => {
                let mut rest = std::mem::take(&mut self.rest);
                self.take(&mut rest, sink)
            }
            Waiting::Plain => {
                let plain = std::mem::take(&mut self.plain);
                self.decode_plain(&plain, sink)
            }
        }
    }

    /// Decodes `input`, which is the rest and what was read after it.
    pub(crate) fn take(&mut self, input: &mut [u8], sink: &mut impl Sink) -> Result<(), Fault> {
        let consumed = match &mut self.inbound {
            Some(inbound) => {
                let opened = inbound.open(input)?;
                self.decode_plain(input.get(..opened.plain).unwrap_or_default(), sink)?;
                opened.consumed
            }
            None => {
                let done = self.decoder.decode(input, sink)?;
                self.waiting = if sink.is_full() { Waiting::Rest } else { Waiting::Nothing };
                done
            }
        };
        keep(&mut self.rest, input.get(consumed..).unwrap_or_default());
        Ok(())
    }

    fn decode_plain(&mut self, plain: &[u8], sink: &mut impl Sink) -> Result<(), Fault> {
        let done = self.decoder.decode(plain, sink)?;
        // Frames are decrypted as a whole, so something is left only when the sink is full.
        keep(&mut self.plain, plain.get(done..).unwrap_or_default());
        self.waiting = if self.plain.is_empty() { Waiting::Nothing } else { Waiting::Plain };
        Ok(())
    }
}

/// Puts `remainder` in place of what was kept before; a rest that is empty holds no memory.
fn keep(rest: &mut Vec<u8>, remainder: &[u8]) {
    rest.clear();
    if remainder.is_empty() {
        rest.shrink_to(0);
    }
    rest.extend_from_slice(remainder);
}
