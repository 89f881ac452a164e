//! The queue from the owner to one connection: bounded in messages and in bytes, never waits, and wakes the connection
//! only when it sleeps.

use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};

use protocol::Frames;

use crate::socket::budget::Charge;
use crate::socket::options::Limits;
use crate::wire::frame::HEAD_BYTES_MAX;
use crate::wire::outbox::Outbox;

/// Why a message was not taken; it comes back with it.
#[derive(Debug, thiserror::Error)]
#[error("message not sent: {reason}")]
pub struct Unsent {
    /// The message, untouched.
    pub frames: Frames,
    /// Why.
    pub reason: UnsentReason,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsentReason {
    /// The peer is not connected (any more), or was told to leave.
    #[error("the peer is gone")]
    Gone,
    /// The peer does not read fast enough and its queue is full.
    #[error("the peer's queue is full")]
    Full,
    /// The message exceeds the socket's own limits.
    #[error("the message is too large")]
    TooLarge,
}

/// How a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Closing {
    /// It is not.
    No,
    /// When what is queued has been written, or linger is over.
    Flush,
    /// At once.
    Now,
}

/// The shared end of the queue.
#[derive(Debug)]
pub(crate) struct Outlet {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    waiting: Outbox,
    /// What the connection has taken and not finished writing.
    flying: Load,
    closing: Closing,
    /// The connection is asleep with nothing to write.
    idle: bool,
    /// How often its next messages may wait for company: while it pays.
    patience: u8,
    task: Option<Waker>,
    charge: Charge,
}

/// A connection that must be woken to write.
#[derive(Debug)]
pub(crate) struct Asleep {
    pub(crate) writer: Waker,
    /// Lately its messages left several at a time; it may be woken a little later so that they do again.
    pub(crate) patient: bool,
}

/// How many messages in a row leave alone before a connection counts as one that takes them one at a time.
const PATIENCE: u8 = 16;
/// Octets that are worth a write of their own.
const WORTH_A_WRITE: usize = 16 << 10;

#[derive(Clone, Copy, Debug, Default)]
struct Load {
    messages: usize,
    bytes: usize,
}

impl Outlet {
    pub(crate) fn new(charge: Charge) -> Self {
        let (waiting, flying) = (Outbox::default(), Load::default());
        Self {
            state: Mutex::new(State {
                waiting,
                flying,
                closing: Closing::No,
                idle: false,
                patience: 0,
                task: None,
                charge,
            }),
        }
    }

    /// Queues a message; returns whom to wake.
    pub(crate) fn push(&self, frames: Frames, limits: &Limits) -> Result<Option<Asleep>, Unsent> {
        let bytes = encoded_bytes_max(&frames);
        let mut state = self.lock();
        if let Err(reason) = state.admits(&frames, bytes, limits) {
            return Err(Unsent { frames, reason });
        }
        state.waiting.push(&frames);
        let held = state.flying.bytes + state.waiting.bytes();
        state.charge.set(held);
        if !std::mem::take(&mut state.idle) {
            return Ok(None);
        }
        let patient = state.patience > 0 && held < WORTH_A_WRITE;
        Ok(state.task.clone().map(|writer| Asleep { writer, patient }))
    }

    /// For the owner: the peer has sent several messages at a time, so several are likely to go back.
    pub(crate) fn expect_company(&self) {
        self.lock().patience = PATIENCE;
    }

    /// Asks the connection to end; a stronger wish is never weakened.
    pub(crate) fn close(&self, closing: Closing) {
        let mut state = self.lock();
        state.closing = state.closing.max(closing);
        state.idle = false;
        let waker = state.task.clone();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// How the connection is to end.
    pub(crate) fn closing(&self) -> Closing {
        self.lock().closing
    }

    /// For the connection: makes its task the one to wake.
    pub(crate) fn register(&self, context: &Context<'_>) {
        let mut state = self.lock();
        match &mut state.task {
            Some(task) => task.clone_from(context.waker()),
            task => *task = Some(context.waker().clone()),
        }
    }

    /// For the connection: swaps its written-out outbox for the waiting one. With nothing waiting, the next push wakes
    /// the task.
    pub(crate) fn exchange(&self, written: &mut Outbox) -> Closing {
        written.clear();
        let mut state = self.lock();
        std::mem::swap(&mut state.waiting, written);
        state.flying = Load { messages: written.messages(), bytes: written.bytes() };
        state.idle = written.is_empty();
        state.patience = match written.messages() {
            0 => state.patience,
            1 => state.patience.saturating_sub(1),
            _ => PATIENCE,
        };
        let held = state.flying.bytes;
        state.charge.set(held);
        state.closing
    }

    /// For the connection: puts what another one left unwritten back in front.
    pub(crate) fn put_back(&self, mut unsent: Outbox) {
        let mut state = self.lock();
        unsent.append(&mut state.waiting);
        state.waiting = unsent;
        state.flying = Load::default();
        state.task = None;
        state.idle = false;
    }

    /// Whether everything that was queued has been written.
    pub(crate) fn is_done(&self) -> bool {
        let state = self.lock();
        state.waiting.is_empty() && state.flying.bytes == 0
    }

    /// Gives back what an idle connection does not need.
    pub(crate) fn release(&self) {
        self.lock().waiting.release();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn admits(&self, frames: &Frames, bytes: usize, limits: &Limits) -> Result<(), UnsentReason> {
        if self.closing != Closing::No {
            return Err(UnsentReason::Gone);
        }
        if frames.len() > limits.frames_max || frames.byte_count() > limits.message_bytes_max {
            return Err(UnsentReason::TooLarge);
        }
        let held = self.flying.bytes + self.waiting.bytes();
        let messages = self.flying.messages + self.waiting.messages();
        let fits = held <= limits.queue_bytes_max;
        if messages >= limits.queue_messages_max || !fits || !self.charge.allows(held.saturating_add(bytes)) {
            return Err(UnsentReason::Full);
        }
        Ok(())
    }
}

/// The octets that a message takes on the wire, heads included, at most.
fn encoded_bytes_max(frames: &Frames) -> usize {
    frames.iter().map(|frame| frame.len() + HEAD_BYTES_MAX).sum()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::socket::budget::Budget;

    fn asleep() -> Outlet {
        let outlet = Outlet::new(Charge::new(Budget::new(1 << 20)));
        outlet.register(&Context::from_waker(Waker::noop()));
        outlet.exchange(&mut Outbox::default());
        outlet
    }

    /// Pushes messages of these sizes, then takes them; whether the writer could wait.
    fn pass(outlet: &Outlet, sizes: &[usize]) -> bool {
        let message = |size: &usize| Frames::from([Bytes::from(vec![0; *size])]);
        let woken: Vec<_> = sizes.iter().map(|size| outlet.push(message(size), &Limits::default()).unwrap()).collect();
        assert!(woken.iter().skip(1).all(Option::is_none), "one wake-up for all");
        let mut flight = Outbox::default();
        outlet.exchange(&mut flight);
        outlet.exchange(&mut flight);
        woken.into_iter().flatten().next().unwrap().patient
    }

    #[test]
    fn messages_that_travel_alone_leave_at_once() {
        let outlet = asleep();
        assert!((0..100).all(|_| !pass(&outlet, &[1])));
    }

    #[test]
    fn messages_that_left_together_may_wait_for_company_until_it_stays_away() {
        let outlet = asleep();
        assert!(!pass(&outlet, &[1, 1]));
        assert!((0..PATIENCE).all(|_| pass(&outlet, &[1])));
        assert!(!pass(&outlet, &[1]));
        outlet.expect_company();
        assert!(pass(&outlet, &[1]));
    }

    #[test]
    fn what_is_worth_a_write_does_not_wait() {
        let outlet = asleep();
        outlet.expect_company();
        assert!(!pass(&outlet, &[WORTH_A_WRITE]));
    }
}
