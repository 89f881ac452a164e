//! What a socket has counted, for metrics and for tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::wire::fault::{Fault, FaultKind};

/// A snapshot of a socket's counters. All but the two gauges only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Gauge: connections at the moment, half-open ones included.
    pub connections: usize,
    /// Gauge: connections in their handshake.
    pub half_open: usize,
    /// Connections that were accepted, or that a connecting socket opened.
    pub accepted: u64,
    /// Connections closed at once because there are too many.
    pub refused: u64,
    /// Connections closed in their handshake to make room for newer ones.
    pub evicted: u64,
    /// Failures to accept or to connect (no file descriptor left, nobody listens, ...).
    pub failed: u64,
    /// Handshakes that succeeded.
    pub established: u64,
    /// Connections closed because a newer one announced the same identity.
    pub replaced: u64,
    /// Octets read after the handshake.
    pub bytes_received: u64,
    /// Octets written after the handshake.
    pub bytes_sent: u64,
    /// Messages decoded.
    pub messages_received: u64,
    /// Messages accepted by `try_send`.
    pub messages_sent: u64,
    /// Messages that `try_send` gave back because the peer is gone.
    pub unsent_gone: u64,
    /// Messages that `try_send` gave back because the queue is full.
    pub unsent_full: u64,
    /// Messages that `try_send` gave back because they are too large.
    pub unsent_too_large: u64,
    /// Faults of peers by kind; kinds that did not occur are left out.
    pub faults: Vec<(FaultKind, u64)>,
}

impl Stats {
    /// How often a kind of fault occurred.
    pub fn faults_of(&self, kind: FaultKind) -> u64 {
        self.faults.iter().find(|(found, _)| *found == kind).map_or(0, |(_, count)| *count)
    }
}

/// The counters that the tasks of a socket share. They are touched once a batch, not once a message.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicUsize,
    pub(crate) half_open: AtomicUsize,
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) evicted: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) established: AtomicU64,
    pub(crate) bytes_received: AtomicU64,
    pub(crate) bytes_sent: AtomicU64,
    pub(crate) messages_received: AtomicU64,
    faults: [AtomicU64; FaultKind::ALL.len()],
}

/// One of the connections that are allowed at a time; free again when dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Counters>);

impl Counters {
    /// Takes a place among at most `max` connections.
    pub(crate) fn take_slot(self: &Arc<Self>, max: usize) -> Option<Slot> {
        let taken = self.connections.fetch_update(Relaxed, Relaxed, |count| (count < max).then_some(count + 1));
        taken.ok().map(|_| Slot(Arc::clone(self)))
    }

    pub(crate) fn count_fault(&self, fault: &Fault) {
        let kind = fault.kind();
        let place = FaultKind::ALL.iter().position(|&candidate| candidate == kind);
        if let Some(counter) = place.and_then(|place| self.faults.get(place)) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// The shared part of the statistics; the owner adds its own.
    pub(crate) fn snapshot(&self) -> Stats {
        let faults = FaultKind::ALL.iter().zip(&self.faults).map(|(&kind, count)| (kind, count.load(Relaxed)));
        Stats {
            connections: self.connections.load(Relaxed),
            half_open: self.half_open.load(Relaxed),
            accepted: self.accepted.load(Relaxed),
            refused: self.refused.load(Relaxed),
            evicted: self.evicted.load(Relaxed),
            failed: self.failed.load(Relaxed),
            established: self.established.load(Relaxed),
            bytes_received: self.bytes_received.load(Relaxed),
            bytes_sent: self.bytes_sent.load(Relaxed),
            messages_received: self.messages_received.load(Relaxed),
            faults: faults.filter(|(_, count)| *count > 0).collect(),
            ..Stats::default()
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}
