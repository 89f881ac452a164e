//! What may happen to a session, and what it wants done.

use protocol::Frames;
use protocol::mdp::client::Part;

use crate::event::Event;
use crate::failure::Failure;
use crate::job::{Assignment, JobId};
use crate::route::Place;

/// What may happen to a session.
#[derive(Debug)]
pub enum Input {
    /// The socket has a connection.
    Connected,
    /// The socket lost its connection.
    Disconnected,
    /// The broker sent a message.
    Message(Frames),
    /// A handler answered; [`Part::Final`] frees its slot.
    Reply {
        /// Which job.
        job: JobId,
        /// Whether more follows.
        part: Part,
        /// The body; nothing counts as one empty frame.
        body: Frames,
    },
    /// A handler failed, which frees its slot.
    Failed {
        /// Which job.
        job: JobId,
        /// What its client is told.
        failure: Failure,
    },
    /// A handler has stopped without an answer, as [`Output::Stop`] wished; its slot is free.
    Stopped {
        /// Which job.
        job: JobId,
    },
    /// From now on so many jobs may run at once; 0 is a pause. What came before is worked off.
    Credit(usize),
    /// End cleanly.
    Shutdown,
}

/// What a session wants done.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Connect a new socket.
    Open(Place),
    /// Drop the socket and what it still holds.
    Close,
    /// Send to the broker.
    Send(Frames),
    /// Run the handler.
    Handle {
        /// To be returned with each part of the answer.
        job: JobId,
        /// What is to be done.
        assignment: Assignment,
    },
    /// Stop the handler: nobody waits for its answer any more. However it ends, it is to be said; until then it fills
    /// its slot.
    Stop {
        /// Which job.
        job: JobId,
    },
    /// Tell whoever watches.
    Event(Event),
    /// All is said: flush, close, end. Nothing follows.
    Finished,
}
