//! The reading half of a connection: socket to batch.
//!
//! Every connection of a thread reads through the same scratch buffer, one at a time: it stays in the cache, and an
//! idle connection needs none. Only a large frame is read into a buffer of its own.

use std::cell::RefCell;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use protocol::PeerId;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::time::Instant;

use crate::security::curve::Inbound;
use crate::socket::budget::{Charge, FREE_BYTES};
use crate::socket::connection::End;
use crate::socket::incoming::Incoming;
use crate::socket::inlet::{Allowance, Batch, Spares};
use crate::socket::intake::{CONTROL_BYTES_MAX, Intake};
use crate::socket::link::{Link, Shared};
use crate::socket::liveness::Liveness;
use crate::socket::stream::Stream;
use crate::wire::command::COMMAND_BYTES_MAX;
use crate::wire::decoder::{Decoder, SMALL_FRAME_BYTES};
use crate::wire::fault::Fault;
use crate::wire::frame::HEAD_BYTES_MAX;
use crate::wire::handshake::Peer;

/// Octets read at once; fewer when memory is short.
const READ_BYTES: usize = 64 << 10;
const THRIFTY_READ_BYTES: usize = 4 << 10;
/// Octets that may become a batch for which shared memory is worth a lock.
const LARGE_BATCH_BYTES: usize = 8 << 10;
const LARGE_BATCH_EVENTS: usize = 128;
/// The longest rest of a read that waits for more: a small frame or a command, not quite there.
const REST_BYTES_MAX: usize = SMALL_FRAME_BYTES + COMMAND_BYTES_MAX + HEAD_BYTES_MAX;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES + REST_BYTES_MAX]);
}

/// The state of reading.
pub(crate) struct Reader<'a> {
    peer: PeerId,
    link: &'a Arc<Link>,
    shared: &'a Shared,
    incoming: Incoming,
    batch: Batch,
    charge: Charge,
    pause: Pause,
}

/// Why nothing is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// It is.
    None,
    /// The owner has not taken what came before: the peer's silence is our doing.
    Owner,
    /// The peer does not read the answers to its PINGs.
    Peer,
}

/// What the reader needs of the rest of its connection.
pub(crate) struct Surroundings<'a> {
    pub(crate) stream: &'a mut Stream,
    pub(crate) control: &'a mut Vec<u8>,
    pub(crate) liveness: &'a mut Liveness,
    pub(crate) discard: bool,
}

impl<'a> Reader<'a> {
    /// `rest`: what came together with the end of the handshake.
    pub(crate) fn new(
        id: PeerId,
        peer: &Peer,
        rest: Vec<u8>,
        inbound: Option<Inbound>,
        link: &'a Arc<Link>,
        shared: &'a Shared,
    ) -> Self {
        let limits = &shared.options.limits;
        let decoder = Decoder::new(limits.message_bytes_max, limits.frames_max, peer.sends_commands());
        let charge = Charge::new(Arc::clone(&shared.inbound));
        let (incoming, batch, pause) = (Incoming::new(decoder, inbound, rest), Batch::default(), Pause::None);
        Self { peer: id, link, shared, incoming, batch, charge, pause }
    }

    pub(crate) fn pause(&self) -> Pause {
        self.pause
    }

    /// Gives back what an idle connection does not need.
    pub(crate) fn release(&mut self) {
        self.batch.events = Vec::new();
    }

    /// Reads and decodes once and hands over what came of it.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, around: Surroundings<'_>) -> Poll<Result<(), End>> {
        let thrifty = !self.charge.allows(READ_BYTES + self.shared.options.limits.batch_bytes_max);
        let allowance = self.allowance(thrifty);
        ready!(self.poll_resume(context, &around, &allowance));
        if std::mem::replace(&mut self.pause, Pause::None) == Pause::Owner {
            around.liveness.on_life(Instant::now());
        }
        let Surroundings { stream, control, liveness, discard } = around;
        let (messages, ttl, batch) = (0, None, &mut self.batch);
        let mut intake = Intake { peer: self.peer, allowance, batch, control, discard, messages, ttl };
        let bytes_max = if thrifty { THRIFTY_READ_BYTES } else { READ_BYTES };
        let read = if self.incoming.is_waiting() {
            self.incoming.resume(&mut intake).map(|()| 0).map_err(End::Fault)
        } else {
            let through = Through { stream, incoming: &mut self.incoming, spares: &self.shared.spares };
            ready!(through.poll(context, bytes_max, &mut intake)).inspect(|_| liveness.on_life(Instant::now()))
        };
        if let Some(ttl) = intake.ttl {
            liveness.on_peer_ttl(ttl);
        }
        let messages = intake.messages;
        // What came whole before a fault counts as if it had come alone: how reads are cut must not matter.
        self.hand_over(read.as_ref().map_or(0, |received| *received), messages);
        read?;
        self.account().map_err(End::Fault)?;
        Poll::Ready(Ok(()))
    }

    /// How much may wait for the owner: when the memory of all is short, no more than what nobody counts.
    fn allowance(&self, thrifty: bool) -> Allowance {
        let limits = &self.shared.options.limits;
        let (messages, bytes) = (limits.batch_messages_max, limits.batch_bytes_max);
        Allowance { messages, bytes: if thrifty { bytes.min(FREE_BYTES) } else { bytes } }
    }

    /// Waits until there is room for another batch.
    fn poll_resume(&mut self, context: &Context<'_>, around: &Surroundings<'_>, allowance: &Allowance) -> Poll<()> {
        if around.control.len() > CONTROL_BYTES_MAX {
            self.pause = Pause::Peer;
            return Poll::Pending;
        }
        let room = self.link.inlet.poll_room(context, allowance);
        if room.is_pending() {
            self.pause = Pause::Owner;
        }
        room
    }

    fn hand_over(&mut self, received: usize, messages: u64) {
        let counters = &self.shared.counters;
        counters.bytes_received.fetch_add(received as u64, Relaxed);
        if messages > 0 {
            counters.messages_received.fetch_add(messages, Relaxed);
        }
        if !self.batch.events.is_empty() {
            self.shared.deliver(self.link, &mut self.batch);
        }
    }

    /// Counts what is held for an unfinished message; past the peer's share it loses its connection.
    fn account(&mut self) -> Result<(), Fault> {
        let held = self.incoming.held_bytes();
        if !self.charge.allows(held) {
            return Err(Fault::Memory);
        }
        self.charge.set(held);
        Ok(())
    }
}

/// What a read through the thread's scratch buffer touches.
struct Through<'a> {
    stream: &'a mut Stream,
    incoming: &'a mut Incoming,
    spares: &'a Spares,
}

impl Through<'_> {
    /// Reads once, up to `bytes_max` or as much as a large frame has room for, and decodes; the number of octets read.
    fn poll(self, context: &mut Context<'_>, bytes_max: usize, intake: &mut Intake<'_>) -> Poll<Result<usize, End>> {
        if let Some(mut room) = self.incoming.large_room() {
            let received = some(ready!(pin!(self.stream.read_buf(&mut room)).poll(context)))?;
            return Poll::Ready(self.incoming.on_large(intake).map(|()| received).map_err(End::Fault));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let rest = self.incoming.rest().len();
            let (front, back) = scratch.split_at_mut(rest);
            front.copy_from_slice(self.incoming.rest());
            let mut into = ReadBuf::new(back.get_mut(..bytes_max).expect("the scratch has room for a rest and a read"));
            let read = ready!(Pin::new(self.stream).poll_read(context, &mut into));
            let received = some(read.map(|()| into.filled().len()))?;
            if received >= LARGE_BATCH_BYTES && intake.batch.events.capacity() < LARGE_BATCH_EVENTS {
                intake.batch.events = self.spares.take();
            }
            let input = scratch.get_mut(..rest + received).unwrap_or_default();
            Poll::Ready(self.incoming.take(input, intake).map(|()| received).map_err(End::Fault))
        })
    }
}

/// The octets of a read, at least one: none and an error both mean the end of the connection.
fn some(read: io::Result<usize>) -> Result<usize, End> {
    read.ok().filter(|&received| received > 0).ok_or(End::Closed)
}
