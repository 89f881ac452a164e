//! One non-blocking connection of the generator: a socket, a speaker, bytes in, bytes out.
//!
//! Reads take as much as the buffer holds; everything that the messages of one read call for leaves in one write. The
//! sockets are edge-triggered: [`Connection::pump`] reads until the kernel has no more. Over CURVE a [`Tunnel`] lies
//! between socket and speaker.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use anyhow::{Context, bail};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::tunnel::{Curve, Tunnel};
use crate::wire::{Event, Heard, Speaker};

/// A speaker and its socket.
#[derive(Debug)]
pub(super) struct Connection<S> {
    socket: TcpStream,
    speaker: S,
    inbox: Inbox,
    outbox: Outbox,
    tunnel: Option<Tunnel>,
}

impl<S: Speaker> Connection<S> {
    /// Connects, blocking, registers under `token`, and says the speaker's first words.
    ///
    /// `inbox_bytes` bounds the longest message and is touched only as far as bytes arrive.
    pub(super) fn open(
        address: SocketAddr,
        curve: Option<&Curve>,
        mut speaker: S,
        inbox_bytes: usize,
        registry: &Registry,
        token: Token,
    ) -> anyhow::Result<Self> {
        let socket = std::net::TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let mut socket = TcpStream::from_std(socket);
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        let (mut outbox, tunnel) = (Outbox::default(), curve.map(Tunnel::new).transpose()?);
        if tunnel.is_none() {
            speaker.open(&mut outbox.bytes);
        }
        let mut connection = Self { socket, speaker, inbox: Inbox::new(inbox_bytes), outbox, tunnel };
        connection.flush()?;
        Ok(connection)
    }

    /// Lets the speaker say something of its own accord, and sends it.
    pub(super) fn say(&mut self, words: impl FnOnce(&mut S, &mut Vec<u8>)) -> anyhow::Result<()> {
        words(&mut self.speaker, &mut self.outbox.bytes);
        self.flush()
    }

    /// Reads all there is, hands every event over, and sends what the messages called for.
    ///
    /// `closed` says that the other side has hung up: then the end of what it sent is an error. `react` may speak: it
    /// is given the speaker and the bytes to be sent.
    pub(super) fn pump(
        &mut self,
        closed: bool,
        mut react: impl FnMut(&mut S, &mut Vec<u8>, Event<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        loop {
            let room = self.inbox.make_room()?;
            let room_bytes = room.len();
            let received = match self.socket.read(room) {
                Ok(0) => bail!("the server closed the connection"),
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("reading from the server"),
            };
            self.inbox.end += received;
            self.open_tunnelled(&mut react)?;
            while let Heard::Whole { length, event } = self.speaker.hear(self.inbox.held(), &mut self.outbox.bytes)? {
                react(&mut self.speaker, &mut self.outbox.bytes, event)?;
                self.inbox.start += length;
            }
            // A short read has emptied the socket; the next arrival is a new edge.
            if received < room_bytes && !closed {
                break;
            }
        }
        self.flush()
    }

    /// Brings what was read into the clear. A speaker over CURVE hears its own opening as that of a server over NULL,
    /// once the real handshake is done.
    fn open_tunnelled(
        &mut self,
        react: &mut impl FnMut(&mut S, &mut Vec<u8>, Event<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Some(tunnel) = &mut self.tunnel else {
            self.inbox.plain = self.inbox.end;
            return Ok(());
        };
        while self.inbox.open(tunnel)? {
            let mut opening = Vec::new();
            self.speaker.open(&mut opening);
            let mut rest = &opening[..];
            while let Heard::Whole { length, event } = self.speaker.hear(rest, &mut self.outbox.bytes)? {
                react(&mut self.speaker, &mut self.outbox.bytes, event)?;
                rest = rest.get(length..).unwrap_or_default();
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        loop {
            let waiting = match &mut self.tunnel {
                None => self.outbox.waiting(),
                Some(tunnel) => tunnel.waiting(&mut self.outbox)?,
            };
            let Some(waiting) = waiting else { return Ok(()) };
            match self.socket.write(waiting) {
                Ok(sent) => match &mut self.tunnel {
                    None => self.outbox.drop_front(sent),
                    Some(tunnel) => tunnel.advance(sent),
                },
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("writing to the server"),
            }
        }
    }
}

/// Bytes received and not yet understood: `buffer[start..end]`, of which those up to `plain` are in the clear.
#[derive(Debug)]
struct Inbox {
    /// Zeroed by the kernel, so that pages never written to cost nothing.
    buffer: Vec<u8>,
    start: usize,
    plain: usize,
    end: usize,
}

impl Inbox {
    fn new(bytes: usize) -> Self {
        Self { buffer: vec![0; bytes], start: 0, plain: 0, end: 0 }
    }

    fn held(&self) -> &[u8] {
        self.buffer.get(self.start..self.plain).unwrap_or_default()
    }

    /// Opens what can be opened, in place; whether the handshake ended with it, and more may follow.
    fn open(&mut self, tunnel: &mut Tunnel) -> anyhow::Result<bool> {
        let opened = tunnel.open(self.buffer.get_mut(self.plain..self.end).unwrap_or_default())?;
        let (rest, plain) = (self.plain + opened.consumed, self.plain + opened.plain);
        self.buffer.copy_within(rest..self.end, plain);
        (self.plain, self.end) = (plain, plain + self.end - rest);
        Ok(opened.ready)
    }

    /// The free end of the buffer, after moving a partial message to the front when the end is near.
    fn make_room(&mut self) -> anyhow::Result<&mut [u8]> {
        if self.start == self.end {
            (self.start, self.plain, self.end) = (0, 0, 0);
        } else if self.start > 0 && self.end > self.buffer.len() / 2 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.plain, self.end) = (0, self.plain - self.start, self.end - self.start);
        }
        match self.buffer.get_mut(self.end..) {
            Some(room) if !room.is_empty() => Ok(room),
            _ => bail!("the server sent a message longer than any that was asked for"),
        }
    }
}

/// Bytes to be sent: `bytes[start..]`.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) bytes: Vec<u8>,
    start: usize,
}

impl Outbox {
    pub(super) fn holding(bytes: Vec<u8>) -> Self {
        Self { bytes, start: 0 }
    }

    pub(super) fn waiting(&self) -> Option<&[u8]> {
        self.bytes.get(self.start..).filter(|waiting| !waiting.is_empty())
    }

    pub(super) fn drop_front(&mut self, sent: usize) {
        self.start += sent;
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        } else if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inbox_keeps_a_partial_message_when_it_makes_room() {
        let mut inbox = Inbox::new(8);
        inbox.make_room().unwrap()[..6].copy_from_slice(b"abcdef");
        (inbox.start, inbox.plain, inbox.end) = (4, 6, 6);
        assert_eq!(inbox.make_room().unwrap().len(), 6);
        assert_eq!(inbox.held(), b"ef");
    }

    #[test]
    fn inbox_refuses_a_message_that_cannot_fit() {
        let mut inbox = Inbox::new(4);
        inbox.end = 4;
        assert!(inbox.make_room().is_err());
    }

    #[test]
    fn outbox_sends_every_byte_once_in_order() {
        let (mut outbox, mut sent) = (Outbox::default(), Vec::new());
        for round in 0u8..50 {
            outbox.bytes.extend_from_slice(&[round; 7]);
            let taken = outbox.waiting().unwrap().len().min(5);
            sent.extend_from_slice(&outbox.waiting().unwrap()[..taken]);
            outbox.drop_front(taken);
        }
        while let Some(waiting) = outbox.waiting() {
            let taken = waiting.len().min(5);
            sent.extend_from_slice(&waiting[..taken]);
            outbox.drop_front(taken);
        }
        assert_eq!(sent, (0u8..50).flat_map(|round| [round; 7]).collect::<Vec<_>>());
    }
}
