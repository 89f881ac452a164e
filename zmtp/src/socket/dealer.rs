//! The connecting socket: one endpoint, one peer at a time, and it comes back by itself.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use protocol::{Frames, PeerId};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::socket::connection::{Connection, End};
use crate::socket::endpoint::{Endpoint, Target};
use crate::socket::event::Event;
use crate::socket::inlet::Batch;
use crate::socket::link::{Link, Member, Shared};
use crate::socket::negotiate::{Established, negotiate};
use crate::socket::options::Options;
use crate::socket::outlet::{Closing, Unsent};
use crate::socket::router::Counts;
use crate::socket::stats::Stats;
use crate::socket::stream::Stream;
use crate::wire::fault::Fault;
use crate::wire::socket_type::SocketType;

/// A DEALER that connects. A task of its own keeps the connection: it comes back after a loss, with growing and
/// jittered delays, and what is queued survives the loss. A message that was partly written is written again as a
/// whole; one that was wholly written is not, whether or not the peer read it.
///
/// A peer that refuses us with an ERROR command is asked again only after the longest delay: RFC 37 forbids to come
/// back with the same credentials, and a server that was restarted with others shall still be found. The same goes for
/// every refusal that a second attempt would meet again. [`Event::Refused`] tells the reason.
///
/// Dropping it closes the connection at once; [`close`](Self::close) lets queued messages leave first.
#[derive(Debug)]
pub struct Dealer {
    shared: Arc<Shared>,
    link: Arc<Link>,
    task: JoinHandle<()>,
    /// Tells the task that there is no need to wait for a connection any more.
    closed: Arc<Notify>,
    taken: VecDeque<Arc<Link>>,
    counts: Counts,
}

impl Dealer {
    /// Starts connecting in the background; must be called inside a tokio runtime.
    pub fn connect(endpoint: Endpoint, options: Options) -> Self {
        let shared = Shared::new(options);
        let link = shared.link(None);
        let closed = Arc::new(Notify::new());
        let keeper = Keeper { endpoint, shared: Arc::clone(&shared), link: Arc::clone(&link), closed: closed.clone() };
        let task = tokio::spawn(keeper.run());
        Self { shared, link, task, closed, taken: VecDeque::new(), counts: Counts::default() }
    }

    /// Waits for at least one event and adds everything that is ready to `events`. Each connection has a number of its
    /// own, and is framed by `Connected` and `Disconnected`. Cancel safe.
    pub async fn recv(&mut self, events: &mut Vec<Event>) {
        std::future::poll_fn(|context| self.poll_recv(context, events)).await;
    }

    /// The polling form of [`recv`](Self::recv).
    pub fn poll_recv(&mut self, context: &mut Context<'_>, events: &mut Vec<Event>) -> Poll<()> {
        let start = events.len();
        loop {
            while let Some(link) = self.taken.pop_front() {
                self.shared.collect(&link, events);
            }
            if events.len() > start {
                return Poll::Ready(());
            }
            if self.shared.line.poll_take(context, &mut self.taken).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Queues a message, connected or not; never waits.
    ///
    /// # Errors
    /// The message comes back with the reason: the queue is full, or the message is too large.
    pub fn try_send(&mut self, frames: Frames) -> Result<(), Unsent> {
        let sent = self.link.outlet.push(frames, &self.shared.options.limits);
        let sent = sent.map(|asleep| asleep.into_iter().for_each(|asleep| asleep.writer.wake()));
        self.counts.count(&sent);
        sent
    }

    /// What was counted so far. `failed` tells how many attempts to connect were in vain.
    pub fn stats(&self) -> Stats {
        self.counts.add_to(self.shared.counters.snapshot())
    }

    /// Lets queued messages leave within linger, connecting for it if need be, and closes.
    pub async fn close(mut self) {
        self.link.outlet.close(Closing::Flush);
        self.closed.notify_one();
        let linger = self.shared.options.linger.saturating_add(Duration::from_millis(100));
        // On timeout the drop that follows ends the task.
        let _ = tokio::time::timeout(linger, &mut self.task).await;
    }
}

impl Drop for Dealer {
    fn drop(&mut self) {
        self.shared.abandoned.store(true, SeqCst);
        self.link.outlet.close(Closing::Now);
        self.task.abort();
    }
}

/// The background task.
struct Keeper {
    endpoint: Endpoint,
    shared: Arc<Shared>,
    link: Arc<Link>,
    closed: Arc<Notify>,
}

impl Keeper {
    async fn run(self) {
        let backoff = self.shared.options.reconnect;
        let (mut failures, mut told) = (0, None);
        for id in (1..).map(PeerId) {
            let started = Instant::now();
            let Some(opened) = self.unless_closed(self.open(id)).await else { return };
            let end = match opened {
                Ok(connection) => {
                    told = None;
                    self.live(connection).await
                }
                Err(end) => {
                    self.tell(id, &end, &mut told);
                    end
                }
            };
            if let End::Fault(fault) = &end {
                self.shared.counters.count_fault(fault);
            }
            if matches!(end, End::Asked | End::Flushed) {
                return;
            }
            // A connection that lived for a while was a good one.
            if started.elapsed() > backoff.max {
                failures = 0;
            }
            let delay = match end {
                End::Fault(fault) if fault.is_lasting() => backoff.max,
                _ => backoff.delay(failures, fastrand::f64()),
            };
            failures = failures.saturating_add(1);
            let Some(()) = self.unless_closed(self.wait(delay)).await else { return };
        }
    }

    /// Tells the owner why an attempt was refused, unless it knows: an owner that does not listen for a while finds one
    /// event and not one an attempt.
    fn tell(&self, peer: PeerId, end: &End, told: &mut Option<Fault>) {
        if let End::Fault(fault) = end
            && told.as_ref() != Some(fault)
        {
            *told = Some(fault.clone());
            let event = Event::Refused { peer, fault: fault.clone() };
            self.shared.deliver(&self.link, &mut Batch { events: vec![event], bytes: 0 });
        }
    }

    /// Waits for `work`, but not when the owner closes and nothing is queued: then `None`.
    async fn unless_closed<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let needless = async {
            while self.link.outlet.closing() == Closing::No || !self.link.outlet.is_done() {
                self.closed.notified().await;
            }
        };
        tokio::select! { biased; () = needless => None, done = work => Some(done) }
    }

    /// Where the peer is.
    fn target(&self) -> Endpoint {
        match &self.shared.options.moves {
            Some(moves) if moves.from == self.endpoint => moves.now.borrow().clone(),
            _ => self.endpoint.clone(),
        }
    }

    /// Waits for a while, or until the peer has moved.
    async fn wait(&self, delay: Duration) {
        let moved = async {
            match &self.shared.options.moves {
                Some(moves) => {
                    let (mut now, target) = (moves.now.clone(), self.target());
                    // An error means that nobody looks for it any more.
                    if now.wait_for(|now| *now != target).await.is_err() {
                        std::future::pending().await
                    }
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = moved => {}
            () = tokio::time::sleep(delay) => {}
        }
    }

    async fn open(&self, id: PeerId) -> Result<(PeerId, Stream, Established), End> {
        let opened = tokio::time::timeout(self.shared.options.handshake_timeout, dial(&self.target())).await;
        let Ok(Ok(mut stream)) = opened else {
            self.shared.counters.failed.fetch_add(1, Relaxed);
            return Err(End::Closed);
        };
        stream.probe_after(self.shared.options.keepalive);
        self.shared.counters.accepted.fetch_add(1, Relaxed);
        let established = match negotiate(&mut stream, SocketType::Dealer, id, &self.shared).await {
            Ok(established) => established,
            Err(End::Closed) => return Err(End::Fault(Fault::HandshakeClosed)),
            Err(end) => {
                if matches!(&end, End::Fault(fault) if fault.is_told()) {
                    stream.part(self.shared.options.linger).await;
                }
                return Err(end);
            }
        };
        self.shared.counters.established.fetch_add(1, Relaxed);
        Ok((id, stream, established))
    }

    /// One connection, from handshake to end. What it did not write goes back to the queue.
    async fn live(&self, (id, stream, established): (PeerId, Stream, Established)) -> End {
        let _member = Member::join(&self.shared, &self.link, id, &established.peer);
        let mut connection = Connection::new(stream, id, established, &self.link, &self.shared);
        let end = connection.run().await;
        if end == End::Flushed {
            connection.part().await;
        }
        self.link.outlet.put_back(connection.into_unsent());
        end
    }
}

async fn dial(endpoint: &Endpoint) -> io::Result<Stream> {
    match endpoint.connect_target().await? {
        Target::Ipc(path) => UnixStream::connect(path).await.map(Stream::from),
        Target::Tcp(addresses) => TcpStream::connect(&addresses[..]).await.map(Stream::from),
    }
}
