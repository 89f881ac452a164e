//! The way from many connections to one owner.
//!
//! ```text
//!   connection ─ deliver ─► Inlet (its batch) ─┐
//!   connection ─ deliver ─► Inlet (its batch) ─┼─► Line: each inlet at most once ─► owner takes whole batches in turn
//!   connection ─ deliver ─► Inlet (its batch) ─┘
//! ```
//!
//! A connection adds to its own batch while that waits, up to a bound; then it stops reading until the owner has taken
//! it. So a peer that floods waits in line like everybody, and what waits is bounded by the number of peers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::socket::budget::Charge;
use crate::socket::event::Event;

/// Inlets with something in them, in order of arrival; `L` is what the owner needs to know of each.
#[derive(Debug)]
pub(crate) struct Line<L> {
    state: Mutex<LineState<L>>,
}

#[derive(Debug)]
struct LineState<L> {
    waiting: VecDeque<Arc<L>>,
    owner: Option<Waker>,
}

/// One connection's batch.
#[derive(Debug)]
pub(crate) struct Inlet {
    state: Mutex<InletState>,
}

#[derive(Debug)]
struct InletState {
    batch: Batch,
    in_line: bool,
    /// The connection wants to read on and waits until the batch is taken.
    reader: Option<Waker>,
    charge: Charge,
}

/// How much of a peer may wait for the owner.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// Events for which a batch that was taken keeps its memory, to be filled again.
const KEPT_EVENTS_MAX: usize = 64;

/// Memory for large batches, shared by all connections of a socket: whoever has much to deliver takes some, and the
/// owner gives it back. A connection of its own holds none.
#[derive(Debug, Default)]
pub(crate) struct Spares(Mutex<Vec<Vec<Event>>>);

/// How many spares are kept, and the largest.
const SPARES_MAX: usize = 8;
const SPARE_EVENTS_MAX: usize = 2048;

/// Events of one connection and what they weigh.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) events: Vec<Event>,
    /// Memory of the messages in it, about.
    pub(crate) bytes: usize,
}

impl Spares {
    /// Memory for a large batch; fresh if there is none.
    pub(crate) fn take(&self) -> Vec<Event> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Takes memory back, if it is worth keeping.
    pub(crate) fn give(&self, spare: Vec<Event>) {
        let mut spares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spares.len() < SPARES_MAX && spare.capacity() <= SPARE_EVENTS_MAX {
            spares.push(spare);
        }
    }
}

impl<L> Default for Line<L> {
    fn default() -> Self {
        Self { state: Mutex::new(LineState { waiting: VecDeque::new(), owner: None }) }
    }
}

impl<L> Line<L> {
    /// Puts a connection's link at the end and wakes the owner.
    pub(crate) fn join(&self, link: Arc<L>) {
        let mut state = self.lock();
        state.waiting.push_back(link);
        let owner = state.owner.take();
        drop(state);
        if let Some(owner) = owner {
            owner.wake();
        }
    }

    /// For the owner: takes everybody in line into `taken`, which must be empty.
    pub(crate) fn poll_take(&self, context: &Context<'_>, taken: &mut VecDeque<Arc<L>>) -> Poll<()> {
        let mut state = self.lock();
        std::mem::swap(&mut state.waiting, taken);
        if taken.is_empty() {
            state.owner = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn lock(&self) -> MutexGuard<'_, LineState<L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inlet {
    pub(crate) fn new(charge: Charge) -> Self {
        Self { state: Mutex::new(InletState { batch: Batch::default(), in_line: false, reader: None, charge }) }
    }

    /// For the connection: adds its batch, which is empty afterwards, to what waits. True when the link must join the
    /// line.
    #[must_use]
    pub(crate) fn deliver(&self, batch: &mut Batch) -> bool {
        let mut state = self.lock();
        if state.batch.events.is_empty() {
            std::mem::swap(&mut state.batch, batch);
        } else {
            state.batch.events.append(&mut batch.events);
            state.batch.bytes += batch.bytes;
        }
        batch.bytes = 0;
        let held = state.batch.bytes;
        state.charge.set(held);
        !std::mem::replace(&mut state.in_line, true)
    }

    /// For the connection: whether it may add another batch; if not, its task is woken when it may.
    pub(crate) fn poll_room(&self, context: &Context<'_>, allowance: &Allowance) -> Poll<()> {
        let mut state = self.lock();
        if state.batch.events.len() < allowance.messages && state.batch.bytes < allowance.bytes {
            return Poll::Ready(());
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }

    /// For the owner: takes what waits, to the end of `events`. A large batch changes hands with its memory; small ones
    /// are copied together, so that no connection is left holding what another one once needed.
    ///
    /// Returns memory that is too large to stay here, for [`Spares`].
    pub(crate) fn take(&self, events: &mut Vec<Event>) -> Option<Vec<Event>> {
        let mut state = self.lock();
        if events.is_empty() && state.batch.events.len() > KEPT_EVENTS_MAX {
            std::mem::swap(&mut state.batch.events, events);
        } else {
            events.append(&mut state.batch.events);
        }
        let spare = (state.batch.events.capacity() > KEPT_EVENTS_MAX).then(|| std::mem::take(&mut state.batch.events));
        state.batch.bytes = 0;
        state.charge.set(0);
        state.in_line = false;
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        spare
    }

    /// Gives back what an idle connection does not need.
    pub(crate) fn release(&self) {
        let mut state = self.lock();
        if state.batch.events.is_empty() {
            state.batch.events = Vec::new();
        }
    }

    fn lock(&self) -> MutexGuard<'_, InletState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
