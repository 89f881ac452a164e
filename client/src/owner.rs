//! The task that owns the socket of an asynchronous [`Client`](crate::Client): connects a [`Multiplex`] to its callers.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use protocol::mdp::v03::Terms;
use protocol::{Frames, RequestId};
use runtime::Port;
use runtime::link::{Heard, Link};
use runtime::zmtp::{Endpoint, Options};
use rustc_hash::FxHashMap;
use tokio::sync::mpsc;

use crate::caller::Caller;
use crate::error::Error;
use crate::event::Event;
use crate::multiplex::{Dial, Failure, Input, Multiplex, Output};
use crate::number::Number;
use crate::patience::Patience;

/// What the handles of a client say to its owner task. The semaphore that admits callers bounds how many are on the
/// way.
pub(crate) enum Command {
    Submit {
        number: Number,
        patience: Patience,
        terms: Terms,
        id: Option<RequestId>,
        body: Frames,
        caller: Box<Caller>,
    },
    Forget(Number),
}

/// The owner's port.
pub(crate) struct OwnerPort {
    link: Link,
    /// The client's own broker.
    home: Endpoint,
    /// What the user wants to be announced in every dialect; mostly nothing.
    identity: Bytes,
    heard: Vec<Heard>,
    commands: mpsc::UnboundedReceiver<Command>,
    /// Whether all handles are gone, and the machine knows.
    closed: bool,
    callers: FxHashMap<Number, Box<Caller>>,
    counters: Arc<Counters>,
}

/// Commands taken in one round, so that replies are heard in between.
const COMMANDS_PER_ROUND: usize = 256;

impl OwnerPort {
    pub(crate) fn new(
        home: Endpoint,
        options: Options,
        commands: mpsc::UnboundedReceiver<Command>,
        counters: Arc<Counters>,
    ) -> Self {
        let (callers, identity) = (FxHashMap::default(), options.identity.clone());
        let link = Link::new(home.clone(), options);
        Self { link, home, identity, heard: Vec::new(), commands, closed: false, callers, counters }
    }

    fn on_command(&mut self, command: Command) -> Input {
        match command {
            Command::Submit { number, patience, terms, id, body, caller } => {
                let service = caller.service.clone();
                self.callers.insert(number, caller);
                Input::Submit { number, service, body, patience, terms, id }
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

    /// The machine names only endpoints that [`Builder::elsewhere`](crate::Builder::elsewhere) has read already.
    fn open(&mut self, dial: Dial) {
        let endpoint = dial.endpoint.and_then(|endpoint| endpoint.parse().ok());
        self.link.redirect(endpoint.unwrap_or_else(|| self.home.clone()));
        self.link.announce(if dial.identity.is_empty() { self.identity.clone() } else { dial.identity });
        self.link.open();
    }

    fn end(&mut self, number: Number, outcome: Result<(), Error>) {
        if let Some(caller) = self.callers.remove(&number) {
            caller.end(outcome);
        }
    }

    fn fail(&mut self, number: Number, failure: Failure) {
        let Some(caller) = self.callers.remove(&number) else { return };
        let (endpoint, service) = (self.link.endpoint().to_string(), caller.service.clone());
        let refusal = self.link.refusal().map(|refusal| refusal.reason.clone()).unwrap_or_default();
        caller.end(Err(Error::without_answer(endpoint, service, failure, refusal)));
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
            let Ok(command) = self.commands.try_recv() else { break };
            inputs.push(self.on_command(command));
        }
        // Whoever has much to say hears what has been said meanwhile.
        self.link.recv_ready(&mut self.heard).await;
        inputs.extend(self.heard.drain(..).map(Input::from));
    }

    fn perform(&mut self, output: Output, inputs: &mut Vec<Input>) -> ControlFlow<()> {
        match output {
            Output::Open(dial) => self.open(dial),
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
            Output::Event(event) => {
                if let Event::Retried { number, attempt } = event
                    && let Some(caller) = self.callers.get(&number)
                {
                    caller.span.attempt(attempt);
                }
                self.counters.count(&event);
            }
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
    /// Messages of the broker that broke a rule, came from another service than was asked, or had a part missing
    /// before them.
    pub faults: u64,
    /// Connections on which the broker did not answer MDP 0.3.
    pub unanswered: u64,
}

/// The live figures behind [`Counts`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    connections: AtomicU64,
    resent: AtomicU64,
    duplicates: AtomicU64,
    faults: AtomicU64,
    unanswered: AtomicU64,
}

impl Counters {
    fn count(&self, event: &Event) {
        tell(event);
        let counter = match event {
            Event::Connected { resent } => {
                self.resent.fetch_add(*resent as u64, Ordering::Relaxed);
                &self.connections
            }
            Event::Duplicate => &self.duplicates,
            Event::WrongService | Event::Fault(_) | Event::Hole => &self.faults,
            Event::FellBack(_) | Event::Mute => &self.unanswered,
            Event::Lost { .. }
            | Event::Retried { .. }
            | Event::Native
            | Event::Silent
            | Event::Draining { .. }
            | Event::Moved(_) => return,
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
            unanswered: read(&self.unanswered),
        }
    }
}

/// Writes an event to the log. That a broker does not speak 0.3 is the user's to know.
pub(crate) fn tell(event: &Event) {
    match event {
        Event::FellBack(dialect) => {
            tracing::warn!(?dialect, "the broker does not answer MDP 0.3: an older dialect is spoken");
        }
        Event::Mute => tracing::warn!("the broker does not answer MDP 0.3"),
        event => tracing::debug!(?event),
    }
}
