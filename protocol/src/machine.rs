//! The one shape of every component: a state machine that is fed inputs and time, and drained of outputs.
//!
//! ```text
//!   handle(now, input) ──►┌─────────┐
//!   tick(now) ───────────►│ machine │──► poll() until None
//!                         └────┬────┘
//!                              └──► deadline(): call tick(now) then, at the latest
//! ```
//!
//! A driver (tokio, or the simulator) owns the sockets and the clock and holds no decision of its own.

use crate::time::Instant;

/// A component without clock, socket or randomness.
///
/// The driver's contract: call [`handle`](Machine::handle) for each input in the order of arrival,
/// [`tick`](Machine::tick) no later than [`deadline`](Machine::deadline) (an early or a repeated tick is harmless), and
/// after either of them [`poll`](Machine::poll) until it returns `None`. `now` never goes backwards.
pub trait Machine {
    /// What may happen to the component.
    type Input;
    /// What the component wants done.
    type Output;

    /// Something arrived.
    fn handle(&mut self, now: Instant, input: Self::Input);

    /// Time passed.
    fn tick(&mut self, now: Instant);

    /// The next thing to do, or `None` when there is nothing left to do for now.
    fn poll(&mut self) -> Option<Self::Output>;

    /// When the machine wants its next [`tick`](Machine::tick); `None`: not before the next input.
    fn deadline(&self) -> Option<Instant>;
}
