//! One established connection: moves octets between its socket and its link until one of them ends.
//!
//! ```text
//!   socket ─► Reader: scratch ─► Decoder ─► batch ──────────► Inlet ─► owner
//!                                   └─ PING ─► PONG ─┐
//!   socket ◄─ Writer: control between two flights ◄──┘
//!                     flight ◄────────── exchange ─────────── Outlet ◄─ owner
//! ```
//!
//! It is one hand-written future and not two tasks: an idle connection costs one small allocation and no buffers, and a
//! wake-up serves both directions. It makes no decision about messages.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use protocol::PeerId;
use tokio::time::{Instant, Sleep};

use crate::socket::link::{Link, Shared};
use crate::socket::liveness::{Demand, Liveness};
use crate::socket::negotiate::Established;
use crate::socket::outlet::Closing;
use crate::socket::reader::{Pause, Reader, Surroundings};
use crate::socket::stream::Stream;
use crate::socket::writer::Writer;
use crate::wire::command;
use crate::wire::fault::Fault;
use crate::wire::outbox::Outbox;

/// How long after its last traffic a connection gives its buffers back.
const RELEASE_AFTER: Duration = Duration::from_secs(2);

/// Why a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The owner asked for it, at once.
    Asked,
    /// The owner asked for it, and everything queued before was written.
    Flushed,
    /// The peer closed, or the network did.
    Closed,
    /// The peer broke a rule.
    Fault(Fault),
}

/// The future's state.
pub(crate) struct Connection<'a> {
    stream: Stream,
    link: &'a Arc<Link>,
    shared: &'a Shared,
    reader: Reader<'a>,
    writer: Writer,
    liveness: Liveness,
    linger_until: Option<Instant>,
    /// When to look whether buffers can go; `None` when they are gone.
    release_at: Option<Instant>,
    active: bool,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<'a> Connection<'a> {
    /// The life of a connection after its handshake.
    pub(crate) fn new(
        stream: Stream,
        id: PeerId,
        established: Established,
        link: &'a Arc<Link>,
        shared: &'a Shared,
    ) -> Self {
        let Established { peer, rest, session } = established;
        let heartbeat = shared.options.heartbeat.filter(|_| peer.understands_ping());
        let session = session.map(|session| session.split(shared.options.limits.message_bytes_max));
        let (inbound, outbound) = session.unzip();
        let reader = Reader::new(id, &peer, rest, inbound, link, shared);
        let liveness = Liveness::new(heartbeat, Instant::now());
        let (writer, linger_until, release_at, active, alarm) = (Writer::new(outbound, shared), None, None, true, None);
        Self { stream, link, shared, reader, writer, liveness, linger_until, release_at, active, alarm }
    }

    /// Runs until the end.
    pub(crate) async fn run(&mut self) -> End {
        let mut registered = false;
        let end = std::future::poll_fn(|context| {
            if !std::mem::replace(&mut registered, true) {
                self.link.outlet.register(context);
            }
            self.poll(context)
        });
        match end.await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    /// Closes so that what was written arrives, within linger.
    pub(crate) async fn part(&mut self) {
        self.stream.part(self.shared.options.linger).await;
    }

    /// What was not written, for the next connection.
    pub(crate) fn into_unsent(self) -> Outbox {
        self.writer.into_unsent()
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<std::convert::Infallible, End>> {
        loop {
            let Self { stream, link, shared, reader, writer, liveness, .. } = self;
            let discard = writer.closing != Closing::No;
            let around = Surroundings { stream, control: &mut writer.control, liveness, discard };
            let read = reader.poll(context, around)?;
            let unwritten = writer.poll(context, stream, link, shared, liveness)?;
            self.active |= read.is_ready() || std::mem::take(&mut writer.wrote);
            let unpaused = reader.pause() == Pause::Peer && writer.control.is_empty();
            if read.is_ready() || unwritten.is_ready() || unpaused {
                continue;
            }
            if self.poll_time(context)?.is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Ready when something is to be written because of the time.
    fn poll_time(&mut self, context: &mut Context<'_>) -> Poll<Result<(), End>> {
        if self.writer.closing == Closing::Flush && self.linger_until.is_none() {
            self.linger_until = Some(Instant::now() + self.shared.options.linger);
        }
        loop {
            if self.active && self.release_at.is_none() {
                self.release_at = Some(Instant::now() + RELEASE_AFTER);
            }
            let deadlines = [self.liveness.deadline(), self.linger_until, self.release_at];
            let Some(deadline) = deadlines.into_iter().flatten().min() else { return Poll::Pending };
            if !self.rings(deadline, context) {
                return Poll::Pending;
            }
            if self.on_time(Instant::now())? {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Whether `deadline` has passed; if not, the task is woken then at the latest. An alarm that is set too early is
    /// left alone: moving it at each message would cost more than one wake-up for nothing.
    fn rings(&mut self, deadline: Instant, context: &mut Context<'_>) -> bool {
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if alarm.deadline() > deadline {
            alarm.as_mut().reset(deadline);
        }
        while alarm.as_mut().poll(context).is_ready() {
            if alarm.deadline() >= deadline {
                return true;
            }
            alarm.as_mut().reset(deadline);
        }
        false
    }

    /// True when a PING is to be written.
    fn on_time(&mut self, now: Instant) -> Result<bool, End> {
        if self.linger_until.is_some_and(|until| now >= until) {
            return Err(End::Asked);
        }
        if self.release_at.is_some_and(|at| now >= at) {
            self.release_at = None;
            if std::mem::take(&mut self.active) {
                self.release_at = Some(now + RELEASE_AFTER);
            } else {
                self.reader.release();
                self.writer.release();
                self.link.outlet.release();
                self.link.inlet.release();
            }
        }
        if self.reader.pause() == Pause::Owner {
            self.liveness.on_life(now);
        }
        match self.liveness.demand(now) {
            Demand::Nothing => Ok(false),
            Demand::Bury => Err(End::Fault(Fault::Silent)),
            Demand::Ping => {
                let ttl = self.shared.options.heartbeat.map_or(Duration::ZERO, |heartbeat| heartbeat.ttl);
                command::put_ping(&mut self.writer.control, ttl);
                Ok(true)
            }
        }
    }
}
