//! The writing half of a connection: outlet to socket, whole batches at a time.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;
use tokio::time::Instant;

use crate::security::curve::Outbound;
use crate::socket::connection::End;
use crate::socket::link::{Link, Shared};
use crate::socket::liveness::Liveness;
use crate::socket::outlet::Closing;
use crate::socket::sealing::Sealing;
use crate::socket::stream::Stream;
use crate::wire::fault::Fault;
use crate::wire::outbox::{Cursor, Outbox};

/// Parts of one vectored write.
const SLICES: usize = 32;

/// The state of writing.
pub(crate) struct Writer {
    /// What is being written, up to `cursor`.
    flight: Outbox,
    cursor: Cursor,
    /// All of `flight` was written; where there is encryption, all of it was encrypted.
    landed: bool,
    /// Commands; they go between two flights.
    pub(crate) control: Vec<u8>,
    control_written: usize,
    /// The socket took no more.
    blocked: bool,
    /// Something was written since somebody last asked.
    pub(crate) wrote: bool,
    pub(crate) closing: Closing,
    /// Boxed, as most connections have none.
    sealing: Option<Box<Sealing>>,
}

impl Writer {
    /// `outbound`: what encrypts, if something does.
    pub(crate) fn new(outbound: Option<Outbound>, shared: &Shared) -> Self {
        Self {
            sealing: outbound.map(|outbound| Box::new(Sealing::new(outbound, shared.outbound_charge()))),
            flight: Outbox::default(),
            cursor: Cursor::default(),
            landed: true,
            control: Vec::new(),
            control_written: 0,
            blocked: false,
            wrote: false,
            closing: Closing::No,
        }
    }

    /// What was not written, for the next connection.
    pub(crate) fn into_unsent(self) -> Outbox {
        let cursor = self.sealing.map_or(self.cursor, |sealing| sealing.written_to(&self.flight));
        self.flight.unsent(&cursor)
    }

    /// Gives back what an idle connection does not need.
    pub(crate) fn release(&mut self) {
        if self.is_idle() {
            self.flight = Outbox::default();
            self.cursor = Cursor::default();
            if let Some(sealing) = &mut self.sealing {
                sealing.start();
                sealing.release();
            }
        }
        self.control.shrink_to(0);
    }

    /// Writes until nothing is left (then the next push wakes the task), the socket takes no more, or all is done that
    /// was asked for before closing.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut Stream,
        link: &Link,
        shared: &Shared,
        liveness: &mut Liveness,
    ) -> Poll<Result<(), End>> {
        loop {
            self.seal().map_err(End::Fault)?;
            if self.is_idle() {
                self.closing = link.outlet.exchange(&mut self.flight);
                self.cursor = Cursor::default();
                if let Some(sealing) = &mut self.sealing {
                    sealing.start();
                }
                match (self.closing, self.flight.is_empty()) {
                    (Closing::Now, _) => return Poll::Ready(Err(End::Asked)),
                    (Closing::Flush, true) => return Poll::Ready(Err(End::Flushed)),
                    (Closing::No, true) => return Poll::Pending,
                    (_, false) => self.landed = false,
                }
                continue;
            }
            let written = match self.poll_some(context, Pin::new(stream)) {
                Poll::Ready(written) => written.ok().filter(|&written| written > 0).ok_or(End::Closed)?,
                Poll::Pending => {
                    self.blocked = true;
                    self.closing = link.outlet.closing();
                    return if self.closing == Closing::Now { Poll::Ready(Err(End::Asked)) } else { Poll::Pending };
                }
            };
            let now = Instant::now();
            if std::mem::take(&mut self.blocked) {
                liveness.on_life(now);
            }
            liveness.on_sent(now);
            self.wrote = true;
            shared.counters.bytes_sent.fetch_add(written as u64, Relaxed);
        }
    }

    /// Whether everything that was taken from the queue, and every command, has been written.
    fn is_idle(&self) -> bool {
        self.landed && self.control.is_empty() && self.sealing.as_ref().is_none_or(|sealing| sealing.is_written())
    }

    /// Where there is encryption: gets the next octets ready when the last ones were written.
    fn seal(&mut self) -> Result<(), Fault> {
        let Some(sealing) = self.sealing.as_mut().filter(|sealing| sealing.is_written()) else { return Ok(()) };
        if !self.landed {
            self.landed = sealing.seal(&self.flight);
        } else if !self.control.is_empty() {
            sealing.seal_commands(&self.control)?;
            self.control.clear();
        }
        Ok(())
    }

    fn poll_some(&mut self, context: &mut Context<'_>, stream: Pin<&mut Stream>) -> Poll<io::Result<usize>> {
        if let Some(sealing) = &mut self.sealing {
            let written = ready!(stream.poll_write(context, sealing.unwritten()))?;
            sealing.advance(written);
            return Poll::Ready(Ok(written));
        }
        if self.landed {
            let rest = self.control.get(self.control_written..).unwrap_or_default();
            let written = ready!(stream.poll_write(context, rest))?;
            self.control_written += written;
            if self.control_written == self.control.len() {
                self.control.clear();
                self.control_written = 0;
            }
            return Poll::Ready(Ok(written));
        }
        let written = if self.flight.is_plain() {
            ready!(stream.poll_write(context, self.flight.plain(&self.cursor)))?
        } else {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.flight.slices(&self.cursor, &mut slices);
            ready!(stream.poll_write_vectored(context, slices.get(..count).unwrap_or_default()))?
        };
        self.landed = self.flight.advance(&mut self.cursor, written);
        Poll::Ready(Ok(written))
    }
}
