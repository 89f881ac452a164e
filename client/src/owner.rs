//! The task that owns the socket of an asynchronous [`Client`](crate::Client): connects a [`Multiplex`] to its callers.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use protocol::Frames;
use runtime::Port;
use runtime::link::{Heard, Link};
use rustc_hash::FxHashMap;
use tokio::sync::mpsc;

use crate::caller::Caller;
use crate::error::Error;
use crate::event::Event;
use crate::multiplex::{Failure, Input, Multiplex, Output};
use crate::number::Number;
use crate::patience::Patience;

/// What the handles of a client say to its owner task. The semaphore that admits callers bounds how many are on the
/// way.
pub(crate) enum Command {
    Submit { number: Number, patience: Patience, body: Frames, caller: Caller },
    Forget(Number),
}

/// The owner's port.
pub(crate) struct OwnerPort {
    link: Link,
    heard: Vec<Heard>,
    commands: mpsc::UnboundedReceiver<Command>,
    /// Whether all handles are gone, and the machine knows.
    closed: bool,
    callers: FxHashMap<Number, Caller>,
    counters: Arc<Counters>,
    /// What [`Error::Full`] names.
    under_way_max: usize,
}

/// Commands taken in one round, so that replies are heard in between.
const COMMANDS_PER_ROUND: usize = 256;

impl OwnerPort {
    pub(crate) fn new(
        link: Link,
        commands: mpsc::UnboundedReceiver<Command>,
        counters: Arc<Counters>,
        under_way_max: usize,
    ) -> Self {
        let callers = FxHashMap::default();
        Self { link, heard: Vec::new(), commands, closed: false, callers, counters, under_way_max }
    }

    fn on_command(&mut self, command: Command) -> Input {
        match command {
            Command::Submit { number, patience, body, caller } => {
                let service = caller.service.clone();
                self.callers.insert(number, caller);
                Input::Submit { number, service, body, patience }
            }
            Command::Forget(number) => {
                self.callers.remove(&number);
                Input::Forget(number)
            }
        }
    }

    /// Lets a caller hear something; one that cannot is ended, and its request forgotten.
    fn tell(
        &mut self,
        number: Number,
        inputs: &mut Vec<Input>,
        what: impl FnOnce(&mut Caller) -> Result<(), Error>,
    ) -> bool {
        let Some(caller) = self.callers.get_mut(&number) else { return false };
        let Err(error) = what(caller) else { return true };
        self.end(number, Err(error));
        inputs.push(Input::Forget(number));
        false
    }

    fn end(&mut self, number: Number, outcome: Result<(), Error>) {
        if let Some(caller) = self.callers.remove(&number) {
            caller.end(outcome);
        }
    }

    fn fail(&mut self, number: Number, failure: Failure) {
        let Some(caller) = self.callers.remove(&number) else { return };
        let error = match failure {
            Failure::Silence(silence) => {
                let refusal = self.link.refusal().map(|refusal| refusal.reason.clone()).unwrap_or_default();
                Error::silence(self.link.endpoint().to_string(), caller.service.clone(), silence, refusal)
            }
            Failure::Full => Error::Full { max: self.under_way_max },
        };
        caller.end(Err(error));
    }
}

impl Port<Multiplex> for OwnerPort {
    async fn recv(&mut self, inputs: &mut Vec<Input>) {
        let clogged = self.link.is_clogged();
        let command = tokio::select! {
            () = self.link.recv(&mut self.heard) => {
                inputs.extend(self.heard.drain(..).map(Input::from));
                return;
            }
            command = self.commands.recv(), if !clogged && !self.closed => command,
        };
        let Some(command) = command else {
            self.closed = true;
            return inputs.push(Input::Shutdown);
        };
        inputs.push(self.on_command(command));
        for _ in 1..COMMANDS_PER_ROUND {
            let Ok(command) = self.commands.try_recv() else { return };
            inputs.push(self.on_command(command));
        }
    }

    fn perform(&mut self, output: Output, inputs: &mut Vec<Input>) -> ControlFlow<()> {
        match output {
            Output::Open => self.link.open(),
            Output::Close => self.link.close(),
            Output::Send(frames) => self.link.send(frames),
            Output::Part(number, part) => {
                self.tell(number, inputs, |caller| caller.part(part));
            }
            Output::Restarted(number) => {
                self.tell(number, inputs, Caller::restart);
            }
            Output::Done(number, Ok(last)) => {
                if self.tell(number, inputs, |caller| caller.part(last)) {
                    self.end(number, Ok(()));
                }
            }
            Output::Done(number, Err(failure)) => self.fail(number, failure),
            Output::Event(event) => self.counters.count(&event),
            Output::Finished => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }
}

impl From<Heard> for Input {
    fn from(heard: Heard) -> Self {
        match heard {
            Heard::Connected => Self::Connected,
            Heard::Message(frames) => Self::Message(frames),
            Heard::Disconnected => Self::Disconnected,
            Heard::Refused { is_lasting } => Self::Refused { is_lasting },
        }
    }
}

/// What has happened on a client's connection since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections made.
    pub connections: u64,
    /// Requests sent again on a new connection.
    pub resent: u64,
    /// Replies to requests that were answered or forgotten already.
    pub duplicates: u64,
    /// Messages of the broker that broke a rule, or came from another service than was asked.
    pub faults: u64,
}

/// The live figures behind [`Counts`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    connections: AtomicU64,
    resent: AtomicU64,
    duplicates: AtomicU64,
    faults: AtomicU64,
}

impl Counters {
    fn count(&self, event: &Event) {
        tracing::debug!(?event);
        let counter = match event {
            Event::Connected { resent } => {
                self.resent.fetch_add(*resent as u64, Ordering::Relaxed);
                &self.connections
            }
            Event::Duplicate => &self.duplicates,
            Event::WrongService | Event::Fault(_) => &self.faults,
            Event::Lost { .. } => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            connections: read(&self.connections),
            resent: read(&self.resent),
            duplicates: read(&self.duplicates),
            faults: read(&self.faults),
        }
    }
}
