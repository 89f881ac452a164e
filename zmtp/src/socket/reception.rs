//! What happens to a connection that was accepted: counted, put among the half-open, given a task.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use protocol::PeerId;
use tokio::sync::mpsc;

use crate::socket::connection::{Connection, End};
use crate::socket::half_open::{HalfOpen, Origin, Pass};
use crate::socket::link::{Link, Member, Shared};
use crate::socket::negotiate::negotiate;
use crate::socket::outlet::Closing;
use crate::socket::stats::Counters;
use crate::socket::stream::Stream;
use crate::wire::fault::Fault;
use crate::wire::socket_type::SocketType;

/// The place where connections of all listeners of a socket arrive.
#[derive(Clone, Debug)]
pub(crate) struct Reception {
    pub(crate) shared: Arc<Shared>,
    pub(crate) half_open: Arc<HalfOpen>,
    /// The number of the next connection.
    pub(crate) next: Arc<AtomicU64>,
    /// Held by every task of the socket: when all are gone, the other end knows.
    pub(crate) running: mpsc::Sender<Infallible>,
}

impl Reception {
    pub(crate) fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Starts the task of a connection, or closes it when there are too many.
    pub(crate) fn receive(&self, stream: Stream, origin: Origin) {
        let Some(slot) = self.shared.counters.take_slot(self.shared.options.limits.connections_max) else {
            self.counters().refused.fetch_add(1, Relaxed);
            return;
        };
        self.counters().accepted.fetch_add(1, Relaxed);
        stream.probe_after(self.shared.options.keepalive);
        let number = self.next.fetch_add(1, Relaxed);
        let pass = self.half_open.enter(origin, number);
        let link = self.shared.link(Some(slot));
        let (shared, running) = (Arc::clone(&self.shared), self.running.clone());
        tokio::spawn(async move {
            let _running = running;
            serve(stream, pass, PeerId(number), &link, &shared).await;
        });
    }
}

/// A connection's whole life.
async fn serve(mut stream: Stream, pass: Pass, id: PeerId, link: &Arc<Link>, shared: &Arc<Shared>) {
    let outcome = tokio::select! {
        outcome = negotiate(&mut stream, SocketType::Router, id, shared) => outcome,
        () = pass.evicted() => Err(End::Asked),
    };
    let established = match outcome {
        Ok(established) => established,
        Err(End::Fault(fault)) => return refuse(&mut stream, &pass, &fault, shared).await,
        Err(_) => return,
    };
    drop(pass);
    shared.counters.established.fetch_add(1, Relaxed);
    let member = Member::join(shared, link, id, &established.peer);
    if shared.is_abandoned() {
        link.outlet.close(Closing::Now);
    }
    let mut connection = Connection::new(stream, id, established, link, shared);
    let end = connection.run().await;
    drop(member);
    match end {
        End::Fault(fault) => shared.counters.count_fault(&fault),
        End::Flushed => connection.part().await,
        End::Asked | End::Closed => {}
    }
}

/// A peer that was told why it is not let in should be able to read it; meanwhile it still counts as half-open.
async fn refuse(stream: &mut Stream, pass: &Pass, fault: &Fault, shared: &Shared) {
    shared.counters.count_fault(fault);
    if fault.is_told() {
        tokio::select! {
            () = stream.part(shared.options.linger) => {}
            () = pass.evicted() => {}
        }
    }
}
