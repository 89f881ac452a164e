//! How a peer's octets travel after the handshake: as they are, or sealed. The two directions of one connection, driven
//! as the product's reader and writer drive them.

use bytes::BufMut;
use protocol::Frames;
use zmtp::curve::{Inbound, Outbound, Session};
use zmtp::{Cursor, Decoder, Fault, Outbox, Sink};

/// The reading side.
pub(crate) struct Ear {
    decoder: Decoder,
    sealed: Option<Inbound>,
    /// What has come and is not done with, as it came.
    rest: Vec<u8>,
    /// What is in the clear and not decoded, because the owner had enough.
    plain: Vec<u8>,
}

/// The writing side: a batch of messages, or commands, and how far it has come.
pub(crate) struct Mouth {
    sealed: Option<Outbound>,
    flight: Outbox,
    cursor: Cursor,
    /// Where the sealed batch that is being written ends in the flight.
    next: Cursor,
    control: Vec<u8>,
    /// Sealed commands are being written.
    of_control: bool,
}

/// The two sides of a connection.
pub(crate) fn split(session: Option<Session>, decoder: Decoder, message_bytes_max: usize) -> (Ear, Mouth) {
    let (inbound, outbound) = session.map(|session| session.split(message_bytes_max)).unzip();
    let (flight, cursor, next) = (Outbox::default(), Cursor::default(), Cursor::default());
    let mouth = Mouth { sealed: outbound, flight, cursor, next, control: Vec::new(), of_control: false };
    (Ear { decoder, sealed: inbound, rest: Vec::new(), plain: Vec::new() }, mouth)
}

/// These messages, encoded.
pub(crate) fn outbox<'a>(messages: impl IntoIterator<Item = &'a Frames>) -> Outbox {
    let mut outbox = Outbox::default();
    messages.into_iter().for_each(|message| outbox.push(message));
    outbox
}

/// All octets of an outbox.
pub(crate) fn octets(outbox: &Outbox) -> Vec<u8> {
    let (mut cursor, mut octets) = (Cursor::default(), Vec::with_capacity(outbox.bytes()));
    while !outbox.is_empty() {
        let mut slices = [std::io::IoSlice::new(&[])];
        outbox.slices(&cursor, &mut slices);
        octets.extend_from_slice(&slices[0]);
        if outbox.advance(&mut cursor, slices[0].len()) {
            break;
        }
    }
    octets
}

impl Ear {
    /// Takes a piece; with an empty one, what was left when the sink was full.
    pub(crate) fn hear(&mut self, mut octets: &[u8], sink: &mut impl Sink) -> Result<(), Fault> {
        loop {
            octets = match self.sealed.is_some() {
                true => self.fill_sealed(octets, sink)?,
                false => self.fill_plain(octets, sink)?,
            };
            if octets.is_empty() {
                return Ok(());
            }
        }
    }

    /// Octets that it holds, decoded or not.
    pub(crate) fn held_bytes(&self) -> usize {
        let sealed = self.sealed.as_ref().map_or(0, Inbound::held_bytes);
        self.decoder.held_bytes() + sealed + self.rest_bytes()
    }

    /// Octets that wait for those that follow them.
    pub(crate) fn rest_bytes(&self) -> usize {
        self.rest.len() + self.plain.len()
    }

    fn fill_plain<'a>(&mut self, octets: &'a [u8], sink: &mut impl Sink) -> Result<&'a [u8], Fault> {
        if let Some(mut room) = self.decoder.large_room() {
            let (direct, behind) = octets.split_at(room.remaining_mut().min(octets.len()));
            room.put_slice(direct);
            self.decoder.decode(&[], sink)?;
            return Ok(behind);
        }
        self.plain.extend_from_slice(octets);
        self.decode(sink)?;
        Ok(&[])
    }

    fn fill_sealed<'a>(&mut self, octets: &'a [u8], sink: &mut impl Sink) -> Result<&'a [u8], Fault> {
        self.decode(sink)?;
        let inbound = self.sealed.as_mut().expect("asked before");
        if let Some(mut room) = inbound.large_room() {
            let (direct, behind) = octets.split_at(room.remaining_mut().min(octets.len()));
            room.put_slice(direct);
            inbound.finish_large(&mut self.decoder, sink)?;
            return Ok(behind);
        }
        self.rest.extend_from_slice(octets);
        let opened = inbound.open(&mut self.rest)?;
        self.plain.extend_from_slice(&self.rest[..opened.plain]);
        self.rest.drain(..opened.consumed);
        self.decode(sink)?;
        Ok(&[])
    }

    fn decode(&mut self, sink: &mut impl Sink) -> Result<(), Fault> {
        let done = self.decoder.decode(&self.plain, sink)?;
        self.plain.drain(..done);
        Ok(())
    }
}

impl Mouth {
    /// Whether nothing is left to write, so that the next batch can be given.
    pub(crate) fn is_done(&self) -> bool {
        self.flight.is_empty() && self.control.is_empty()
    }

    /// The next batch; only when [`is_done`](Self::is_done).
    pub(crate) fn give(&mut self, flight: Outbox) {
        (self.flight, self.cursor, self.next) = (flight, Cursor::default(), Cursor::default());
    }

    /// Commands, for when the flight has landed.
    pub(crate) fn control(&mut self) -> &mut Vec<u8> {
        &mut self.control
    }

    /// Writes until `write` takes no more, or nothing is left. It returns how many octets it took.
    pub(crate) fn speak(&mut self, mut write: impl FnMut(&[u8]) -> usize) {
        while !self.is_done() {
            let written = match self.sealed.take() {
                Some(mut outbound) => {
                    let written = self.speak_sealed(&mut outbound, &mut write);
                    self.sealed = Some(outbound);
                    written
                }
                None => self.speak_plain(&mut write),
            };
            if !written {
                return;
            }
        }
    }

    fn speak_plain(&mut self, write: &mut impl FnMut(&[u8]) -> usize) -> bool {
        if self.flight.is_empty() {
            let written = write(&self.control);
            self.control.drain(..written);
            return written > 0;
        }
        let mut slices = [std::io::IoSlice::new(&[])];
        self.flight.slices(&self.cursor, &mut slices);
        let written = write(&slices[0]);
        if self.flight.advance(&mut self.cursor, written) {
            self.give(Outbox::default());
        }
        written > 0
    }

    fn speak_sealed(&mut self, outbound: &mut Outbound, write: &mut impl FnMut(&[u8]) -> usize) -> bool {
        if outbound.is_written() {
            self.of_control = self.flight.is_empty();
            if self.of_control {
                outbound.seal_commands(&self.control).unwrap();
            } else {
                self.next = outbound.seal(&self.flight, self.cursor);
            }
        }
        let written = write(outbound.unwritten());
        outbound.advance(written);
        if !outbound.is_written() {
            return written > 0;
        }
        if self.of_control {
            self.control.clear();
        } else {
            self.cursor = self.next;
            if self.flight.advance(&mut self.cursor.clone(), 0) {
                self.give(Outbox::default());
            }
        }
        true
    }

    /// What must be said again on the next connection.
    pub(crate) fn into_unsent(self) -> Outbox {
        let cursor = match &self.sealed {
            Some(outbound) if !outbound.is_written() && !self.of_control => {
                outbound.written_to(&self.flight, self.cursor)
            }
            _ => self.cursor,
        };
        self.flight.unsent(&cursor)
    }
}
