//! All of Titanic but its sockets, its disk and its clock: the [`Store`], the worker's session by which a broker asks
//! it, and the client by which it calls the real services.
//!
//! ```text
//!             Message ──► Session ──Handle──► ┌───────┐ ──► Flush
//!   broker                                    │ Store │ ◄── Flushed
//!             ◄── Send ── Session ◄───Tell─── └───────┘
//!                                               │   ▲
//!             ◄── Send ── Multiplex ◄───Call────┘   │
//!             Message ──► Multiplex ────────Ended───┘
//! ```
//!
//! There is no decision here but the order of the end: the session takes no more, what it has is answered, and only
//! then the store writes its last batch. All that is said in one round shares one batch, as the store is asked for it
//! once all of the round is heard.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::time::Duration;

use bytes::Bytes;
use client::multiplex::{self, Multiplex};
use client::number::Number;
use client::{OnTimeout, Patience};
use protocol::mdp::client::Part;
use protocol::mdp::v03::{Idempotency, Offer, Options, Terms};
use protocol::{Frames, Instant, Machine, RequestId, ServiceName};
use worker::JobId;
use worker::session::{self, Session};

use crate::log::{Id, Job, Log, Region, Stopped};
use crate::store::{self, CallId, Store, Ticket, Verb};
use asked::Asked;

mod asked;
#[cfg(test)]
mod tests;

/// One of the two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The services are asked here.
    Worker,
    /// Others are called here.
    Client,
}

/// What may happen to a desk.
#[derive(Debug)]
pub enum Input {
    /// There is a connection.
    Connected(Side),
    /// It is lost.
    Disconnected(Side),
    /// There is none, as the broker does not let us in; whether that lasts unless somebody changes something.
    Refused(Side, bool),
    /// The broker has said something.
    Message(Side, Frames),
    /// The flush of this job, begun after it was handed out, has answered well.
    Flushed(Job),
    /// A flush has failed.
    FlushFailed(io::ErrorKind),
    /// All that was sent has left ([`Desk::is_holding`]).
    Relieved,
    /// It is to end once all is told.
    Shutdown,
    /// It is to end once what was taken is flushed, whatever is still to be told.
    Insist,
}

/// What a desk wants done.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Connect, and announce this identity; empty for none.
    Open(Side, Bytes),
    /// Drop the connection and what it still holds.
    Close(Side),
    /// Send to the broker.
    Send(Side, Frames),
    /// Flush the region, and say how it went. There is one at a time.
    Flush {
        /// Of which batch.
        job: Job,
        /// How much waits for it.
        waiting: usize,
    },
    /// Tell whoever watches.
    Event(Event),
    /// Nothing follows.
    Finished(Result<(), Stopped>),
}

/// What happened in one of the three.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// In the store.
    Store(store::Event),
    /// On the worker's side.
    Worker(worker::Event),
    /// On the client's side.
    Client(client::Event),
}

/// What is random about a desk, drawn by whoever has a source.
#[derive(Clone, Debug, Default)]
pub struct Chance {
    /// Where the jitter of delays starts.
    pub seed: u64,
    /// The first eight octets of the ids of our own requests; of this process alone.
    pub salt: u64,
    /// What the client's connections are announced as; of this process alone.
    pub identity: Bytes,
}

/// Ids that nobody can guess, for clients that choose none.
pub type Fresh = Box<dyn FnMut() -> Id + Send>;

/// The machine.
pub struct Desk<R> {
    store: Store<R>,
    session: Session,
    client: Multiplex,
    fresh: Fresh,
    call_timeout: Duration,
    /// What was asked of the broker and is not answered yet.
    asked: HashMap<Number, Asked>,
    calls: HashMap<CallId, Number>,
    numbers: u64,
    /// Why the store has ended; the session is still telling everybody.
    stopped: Option<Stopped>,
    is_finished: bool,
    outputs: VecDeque<Output>,
    now: Instant,
}

impl<R: Region> Desk<R> {
    /// A desk over a log that was opened. `origin_ms` are the milliseconds from 1970 to the origin of the driver's
    /// time.
    pub fn new(log: Log<R>, config: store::Config, origin_ms: u64, chance: Chance, fresh: Fresh) -> Self {
        let call_timeout = config.call_timeout;
        let mut desk = Self {
            session: Session::new(worker_config(&chance)),
            client: Multiplex::new(client_config(&config, chance)),
            store: Store::new(log, config, origin_ms),
            fresh,
            call_timeout,
            asked: HashMap::new(),
            calls: HashMap::new(),
            numbers: 0,
            stopped: None,
            is_finished: false,
            outputs: VecDeque::new(),
            now: Instant::ZERO,
        };
        desk.hear_session();
        desk.hear_client();
        desk
    }

    /// The store, to be looked into.
    pub fn store(&self) -> &Store<R> {
        &self.store
    }

    /// The log, to be closed.
    pub fn into_log(self) -> Log<R> {
        self.store.into_log()
    }

    /// Whether answers wait for [`Input::Relieved`].
    pub fn is_holding(&self) -> bool {
        self.store.is_holding()
    }

    fn on_connection(&mut self, side: Side, worker: session::Input, client: multiplex::Input) {
        match side {
            Side::Worker => self.say_session(worker),
            Side::Client => self.say_client(client),
        }
    }

    fn say_session(&mut self, input: session::Input) {
        self.session.handle(self.now, input);
        self.hear_session();
    }

    fn say_client(&mut self, input: multiplex::Input) {
        self.client.handle(self.now, input);
        self.hear_client();
    }

    fn hear_session(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                session::Output::Open(_) => self.outputs.push_back(Output::Open(Side::Worker, Bytes::new())),
                session::Output::Close => self.outputs.push_back(Output::Close(Side::Worker)),
                session::Output::Send(frames) => self.outputs.push_back(Output::Send(Side::Worker, frames)),
                session::Output::Handle { job, assignment } => self.on_assigned(job, assignment),
                session::Output::Stop { job } => {
                    self.store.handle(self.now, store::Input::Withdrawn(Ticket(job.0)));
                    self.session.handle(self.now, session::Input::Stopped { job });
                }
                session::Output::Event(event) => {
                    if let worker::Event::Draining { service } = &event
                        && service.as_ref().is_none_or(|service| service.as_bytes() == Verb::Reply.service().as_bytes())
                    {
                        self.store.handle(self.now, store::Input::Hurry);
                    }
                    self.outputs.push_back(Output::Event(Event::Worker(event)));
                }
                session::Output::Finished => self.on_left(),
            }
        }
    }

    fn on_assigned(&mut self, job: JobId, assignment: worker::Assignment) {
        let worker::Assignment { service, id, body, .. } = assignment;
        let Some(verb) = Verb::ALL.into_iter().find(|verb| verb.service().as_bytes() == service.as_bytes()) else {
            // The session takes requests for what it offers only.
            return self.session.handle(self.now, session::Input::Stopped { job });
        };
        let chosen = id.map(|id| Id(id.0));
        let fresh = chosen.unwrap_or_else(&mut self.fresh);
        self.store.handle(self.now, store::Input::Asked { ticket: Ticket(job.0), verb, chosen, fresh, body });
    }

    fn hear_client(&mut self) {
        while let Some(output) = self.client.poll() {
            match output {
                multiplex::Output::Open(dial) => self.outputs.push_back(Output::Open(Side::Client, dial.identity)),
                multiplex::Output::Close => self.outputs.push_back(Output::Close(Side::Client)),
                multiplex::Output::Send(frames) => self.outputs.push_back(Output::Send(Side::Client, frames)),
                multiplex::Output::Part(number, part) => {
                    if let Some(asked) = self.asked.get_mut(&number) {
                        asked.part(part);
                    }
                }
                multiplex::Output::Restarted(number) => {
                    if let Some(asked) = self.asked.get_mut(&number) {
                        asked.restart();
                    }
                }
                multiplex::Output::Done(number, last) => self.on_done(number, last),
                multiplex::Output::Event(event) => self.outputs.push_back(Output::Event(Event::Client(event))),
                multiplex::Output::Finished => {}
            }
        }
    }

    fn on_done(&mut self, number: Number, last: Result<Frames, client::failed::Failure>) {
        let Some(asked) = self.asked.remove(&number) else { return };
        let input = asked.end(last);
        if let store::Input::Ended(call, _) = &input {
            self.calls.remove(call);
        }
        self.store.handle(self.now, input);
    }

    fn on_store(&mut self, output: store::Output) {
        match output {
            store::Output::Tell(Ticket(job), body) => {
                self.say_session(session::Input::Reply { job: JobId(job), part: Part::Final, body });
            }
            store::Output::Flush(job) => {
                let waiting = self.store.parked();
                self.outputs.push_back(Output::Flush { job, waiting });
            }
            store::Output::Call { call, id, service, body } => {
                let number = self.ask(Asked::call(call), service, body, self.call_timeout, Some(RequestId(id.0)));
                self.calls.insert(call, number);
            }
            store::Output::Abandon(call) => {
                if let Some(number) = self.calls.remove(&call) {
                    self.asked.remove(&number);
                    self.say_client(multiplex::Input::Forget(number));
                }
            }
            store::Output::Look(service) => {
                let body = Frames::from([service.to_frame()]);
                let mmi = "mmi.service".parse().expect("a name of the protocol is one");
                self.ask(Asked::look(service), mmi, body, LOOK_TIMEOUT, None);
            }
            store::Output::Event(event) => self.outputs.push_back(Output::Event(Event::Store(event))),
            store::Output::Finished(Ok(())) => self.finish(Ok(())),
            store::Output::Finished(Err(stopped)) => {
                self.stopped = Some(stopped);
                self.say_session(session::Input::Shutdown);
            }
        }
    }

    /// The broker keeps no answer of it: the store does, and what failed is to be tried again.
    fn ask(
        &mut self,
        asked: Asked,
        service: ServiceName,
        body: Frames,
        timeout: Duration,
        id: Option<RequestId>,
    ) -> Number {
        let number = Number(self.numbers);
        self.numbers += 1;
        self.asked.insert(number, asked);
        let patience = Patience { timeout, retries: 1, on_timeout: OnTimeout::Abort };
        let terms = Terms { deadline: Some(timeout), idempotency: Idempotency::Repeatable, ..Terms::default() };
        self.say_client(multiplex::Input::Submit { number, service, body, patience, terms, id });
        number
    }

    /// Nobody can ask any more.
    fn on_left(&mut self) {
        match self.stopped {
            Some(stopped) => self.finish(Err(stopped)),
            None => self.store.handle(self.now, store::Input::End),
        }
    }

    fn finish(&mut self, outcome: Result<(), Stopped>) {
        if !self.is_finished {
            self.is_finished = true;
            self.outputs.push_back(Output::Finished(outcome));
        }
    }
}

impl<R: Region> Machine for Desk<R> {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input) {
        self.now = now;
        match input {
            Input::Connected(side) => {
                self.on_connection(side, session::Input::Connected, multiplex::Input::Connected);
            }
            Input::Disconnected(side) => {
                self.on_connection(side, session::Input::Disconnected, multiplex::Input::Disconnected);
            }
            // A session waits for a connection, whatever the reason that there is none.
            Input::Refused(Side::Worker, _) => {}
            Input::Refused(Side::Client, is_lasting) => self.say_client(multiplex::Input::Refused { is_lasting }),
            Input::Message(Side::Worker, frames) => self.say_session(session::Input::Message(frames)),
            Input::Message(Side::Client, frames) => self.say_client(multiplex::Input::Message(frames)),
            Input::Flushed(job) => self.store.handle(now, store::Input::Flushed(job)),
            Input::FlushFailed(kind) => self.store.handle(now, store::Input::FlushFailed(kind)),
            Input::Relieved => self.store.handle(now, store::Input::Relieved),
            Input::Shutdown => {
                self.say_session(session::Input::Shutdown);
                self.store.handle(now, store::Input::Quiet);
            }
            Input::Insist => self.on_left(),
        }
    }

    fn tick(&mut self, now: Instant) {
        self.now = now;
        self.session.tick(now);
        self.hear_session();
        self.client.tick(now);
        self.hear_client();
        self.store.tick(now);
    }

    fn poll(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            let output = self.store.poll()?;
            self.on_store(output);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if self.is_finished {
            return None;
        }
        [self.session.deadline(), self.client.deadline(), self.store.deadline()].into_iter().flatten().min()
    }
}

impl<R> std::fmt::Debug for Desk<R> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Desk")
            .field("session", &self.session)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

fn worker_config(chance: &Chance) -> worker::Config {
    let offer = |verb: Verb| Offer {
        service: verb.service().parse().expect("a name of the protocol is one"),
        options: Options::none(),
    };
    let about = Options::build().name("titanic").finish().expect("a short name fits");
    let offers = Verb::ALL.map(offer).to_vec();
    // An older dialect has room for the first service alone, and a Titanic that takes requests whose answers nobody can
    // fetch is worse than one that waits for its broker.
    worker::Config { about, credit: CREDIT, fallback: None, seed: chance.seed, ..worker::Config::of(offers) }
}

fn client_config(config: &store::Config, chance: Chance) -> multiplex::Config {
    let Chance { seed, salt, identity } = chance;
    let in_flight_max = config.calls_max + config.knocks_max + LOOKS;
    multiplex::Config { in_flight_max, seed, salt, identity, ..multiplex::Config::new(client::Speech::default()) }
}

/// Requests that are taken at once: those that wait for a flush, and those that wait for answers
/// ([`store::Config::waiters_max`]), who must not keep the others out.
const CREDIT: usize = 16_384;
/// Questions about services at once, beside the calls.
const LOOKS: usize = 1024;
/// How long the broker may take to say whether a service is served.
const LOOK_TIMEOUT: Duration = Duration::from_millis(2500);
