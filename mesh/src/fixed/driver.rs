//! A member and a client on real sockets. Nothing is decided here; see [`Node`] and [`Courier`].

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use protocol::limits;
use protocol::zmqnet::{Kind, Message};
use runtime::link::Heard;
use runtime::zmtp::{self, Backoff, BindError, Endpoint, EndpointError, Options, Router};
use runtime::{Clock, Port, Shutdown, drive};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::courier::{self, Courier, Failure, Patience};
use super::node::{self, Config, Event, Node};
use super::roster::{self, Member, Roster};
use crate::lines::Lines;

/// A member of the mesh.
#[derive(Debug)]
pub struct Server {
    router: Router,
    config: Config,
    links: Lines,
    outbox: Outbox,
}

/// What happens at a member. Whoever does not read makes it take no message any more once some hundred events wait, or
/// texts of some mebibytes, so that nothing is acknowledged that nobody will see. Dropped, the events are thrown away.
#[derive(Debug)]
pub struct Events(mpsc::Receiver<Told>);

/// An event, and the room that it takes until it is read.
type Told = (Event, OwnedSemaphorePermit);

/// The other end of the events.
#[derive(Debug)]
struct Outbox {
    sender: mpsc::Sender<Told>,
    /// In bytes of text.
    room: Arc<Semaphore>,
    /// Events that did not fit in yet.
    untold: VecDeque<Event>,
}

/// Somebody who gives messages to one member, which gives them to all. The connection ends with the last clone.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use mesh::fixed::{Client, Patience, Roster};
///
/// let roster = Roster::parse(&std::fs::read_to_string("peers.json")?, "")?;
/// let client = Client::connect(roster.get("bravo")?, Patience::default(), Default::default())?;
/// let receipt = client.send("hello").await?;
/// println!("{:?} have it, {:?} have not", receipt.acknowledged, receipt.missing);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    member: Member,
    commands: mpsc::Sender<Command>,
}

/// Who has a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The members that have it.
    pub acknowledged: Vec<String>,
    /// The members that did not acknowledge it.
    pub missing: Vec<String>,
    /// What the member says about it in words.
    pub said: String,
}

/// Why a mesh cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file.
    #[error(transparent)]
    Roster(#[from] roster::Fault),
    /// An address that is no endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// We cannot listen.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The operating system has no chance to give.
    #[error("no random numbers: {0}")]
    Chance(getrandom::Error),
    /// A text that nobody would take.
    #[error("a message of {0} bytes (allowed: {max})", max = limits::ZMQNET_TEXT_BYTES_MAX)]
    TooLong(usize),
    /// The member that was to pass it on did not answer.
    #[error("{name} at {endpoint} did not acknowledge: {failure}")]
    Unanswered {
        /// What it is called.
        name: Arc<str>,
        /// Where it was looked for.
        endpoint: String,
        /// Why.
        failure: Failure,
    },
    /// The member does not pass it on.
    #[error("{name} refused: {}", reason.escape_debug())]
    Refused {
        /// What it is called.
        name: Arc<str>,
        /// What it says.
        reason: String,
    },
}

/// A text, and where its outcome goes.
#[derive(Debug)]
struct Command {
    text: String,
    told: oneshot::Sender<Result<Message, Failure>>,
}

impl Server {
    /// Listens as the member of this name; must be called inside a tokio runtime.
    ///
    /// # Errors
    /// Nobody has that name, an address is none, or we cannot listen there.
    pub async fn bind(
        endpoints: &[Endpoint],
        roster: &Roster,
        name: &str,
        patience: Patience,
        options: Options,
    ) -> Result<(Self, Events), Error> {
        let own = roster.get(name)?;
        let others = roster.others(name);
        let names = others.iter().map(|member| Arc::clone(&member.name)).collect();
        let config = Config { patience, ..Config::new(Arc::clone(&own.name), names, chance()?) };
        let options = bounded(options);
        let router = Router::bind(endpoints, options.clone()).await?;
        let (outbox, events) = Outbox::new();
        Ok((Self { router, config, links: lines_to(&others, &options)?, outbox }, events))
    }

    /// Where it listens.
    pub fn endpoints(&self) -> &[Endpoint] {
        self.router.endpoints()
    }

    /// Takes part until the end is wished. Then it waits a second at most until the last events are read.
    pub async fn run(self, shutdown: Shutdown) {
        let Self { router, config, links, outbox } = self;
        let mut port = NodePort { router, heard: Vec::new(), links, shutdown, has_ended: false, outbox };
        drive(&mut Node::new(config), &mut port, Clock::start()).await;
        let NodePort { router, mut outbox, .. } = port;
        // An error means that somebody does not read, who does not keep us.
        let _ = tokio::join!(tokio::time::timeout(LAST_EVENTS, outbox.finish()), router.close());
    }
}

impl Events {
    /// The next event; `None` once the member has ended. Cancel safe.
    pub async fn recv(&mut self) -> Option<Event> {
        self.0.recv().await.map(|(event, _)| event)
    }

    /// The same, for a thread of one's own.
    pub fn blocking_recv(&mut self) -> Option<Event> {
        self.0.blocking_recv().map(|(event, _)| event)
    }
}

impl Client {
    /// Connects in the background; must be called inside a tokio runtime.
    ///
    /// # Errors
    /// An address that is none.
    pub fn connect(member: &Member, patience: Patience, options: Options) -> Result<Self, Error> {
        let links = lines_to(std::slice::from_ref(member), &bounded(options))?;
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let mut port = ClientPort { links, inbox, seed: chance()?, count: 0, waiting: BTreeMap::new() };
        tokio::spawn(async move {
            drive(&mut Courier::new(patience, 1), &mut port, Clock::start()).await;
        });
        Ok(Self { member: member.clone(), commands })
    }

    /// Gives the member a text, and waits until it is known who has it.
    ///
    /// # Errors
    /// [`Error::TooLong`], [`Error::Unanswered`] and [`Error::Refused`]. A member that others did not acknowledge to is
    /// no error: the receipt names them.
    pub async fn send(&self, text: &str) -> Result<Receipt, Error> {
        if text.len() > limits::ZMQNET_TEXT_BYTES_MAX {
            return Err(Error::TooLong(text.len()));
        }
        let (told, outcome) = oneshot::channel();
        // An error means that the task has ended, and then the outcome says so.
        let _ = self.commands.send(Command { text: text.to_owned(), told }).await;
        let outcome = outcome.await.unwrap_or(Err(Failure::Ended));
        let name = || Arc::clone(&self.member.name);
        let answer = outcome.map_err(|failure| {
            let endpoint = self.member.endpoint();
            Error::Unanswered { name: name(), endpoint, failure }
        })?;
        match answer {
            Message { kind: Kind::Error, missing, text, .. } if missing.is_empty() => {
                Err(Error::Refused { name: name(), reason: text })
            }
            Message { acknowledged, missing, text: said, .. } if !acknowledged.is_empty() => {
                Ok(Receipt { acknowledged, missing, said })
            }
            // zmqnet does not say who has it.
            Message { missing, text: said, .. } => {
                Ok(Receipt { acknowledged: vec![name().to_string()], missing, said })
            }
        }
    }
}

/// Connections to members, by their numbers.
fn lines_to(members: &[Member], options: &Options) -> Result<Lines, Error> {
    let endpoints = members.iter().map(|member| member.endpoint().parse());
    let endpoints = endpoints.collect::<Result<Vec<Endpoint>, EndpointError>>()?;
    Ok(Lines::open(endpoints, options))
}

fn input(member: usize, heard: Heard) -> Option<courier::Input> {
    match heard {
        Heard::Connected => Some(courier::Input::Linked { member, up: true }),
        Heard::Disconnected => Some(courier::Input::Linked { member, up: false }),
        Heard::Message(frames) => Some(courier::Input::Heard { member, frames }),
        // As if nobody were there.
        Heard::Refused { .. } => None,
    }
}

struct NodePort {
    router: Router,
    heard: Vec<zmtp::Event>,
    links: Lines,
    shutdown: Shutdown,
    has_ended: bool,
    /// While something in it does not fit in, no message is taken in.
    outbox: Outbox,
}

impl Outbox {
    fn new() -> (Self, Events) {
        let (sender, receiver) = mpsc::channel(EVENTS_MAX);
        let room = Arc::new(Semaphore::new(EVENT_BYTES_MAX));
        (Self { sender, room, untold: VecDeque::new() }, Events(receiver))
    }

    fn is_clogged(&self) -> bool {
        !self.untold.is_empty()
    }

    /// Hands events over as far as there is room.
    fn pass_on(&mut self) {
        if self.sender.is_closed() {
            // Nobody listens.
            self.untold.clear();
        }
        while let Some(event) = self.untold.front() {
            let Ok(place) = self.sender.try_reserve() else { return };
            let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(bytes_of(event)) else { return };
            let Some(event) = self.untold.pop_front() else { return };
            place.send((event, room));
        }
    }

    /// Waits until there is room for the next event, or nobody listens any more. Cancel safe.
    async fn has_room(&self) {
        let bytes = self.untold.front().map_or(0, bytes_of);
        // An error means that nobody listens. Room that is let go at once is there when it is asked for again.
        let _ = self.sender.reserve().await;
        tokio::select! {
            _ = self.room.acquire_many(bytes) => {}
            () = self.sender.closed() => {}
        }
    }

    /// Hands all over.
    async fn finish(&mut self) {
        self.pass_on();
        while self.is_clogged() {
            self.has_room().await;
            self.pass_on();
        }
    }
}

/// The bytes of an event's text.
fn bytes_of(event: &Event) -> u32 {
    let (Event::Message { text, .. } | Event::Missing { text, .. }) = event else { return 0 };
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}

impl Port<Node> for NodePort {
    async fn recv(&mut self, inputs: &mut Vec<node::Input>) {
        let is_clogged = self.outbox.is_clogged();
        tokio::select! {
            () = self.outbox.has_room(), if is_clogged => self.outbox.pass_on(),
            () = self.router.recv(&mut self.heard), if !is_clogged => {
                inputs.extend(self.heard.drain(..).filter_map(|event| match event {
                    zmtp::Event::Message { peer, frames } => Some(node::Input::Request { peer, frames }),
                    _ => None,
                }));
            }
            (member, heard) = self.links.recv() => {
                inputs.extend(heard.into_iter().filter_map(|heard| input(member, heard)).map(node::Input::Courier));
            }
            () = self.shutdown.wished(), if !self.has_ended => {
                self.has_ended = true;
                inputs.push(node::Input::Shutdown);
            }
        }
    }

    fn perform(&mut self, output: node::Output, _: &mut Vec<node::Input>) -> ControlFlow<()> {
        match output {
            node::Output::Answer { peer, frames } => {
                // Whoever has gone, or does not read, asks again if he wants to know.
                let _ = self.router.try_send(peer, frames);
            }
            node::Output::Reopen { member } => self.links.reopen(member),
            // What there is no room for is said again when its time is over.
            node::Output::Send { member, frames } => self.links.offer(member, frames),
            node::Output::Event(event) => self.outbox.untold.push_back(event),
            node::Output::Finished => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn settled(&mut self, _: &Node) {
        self.outbox.pass_on();
        self.links.flush();
    }
}

struct ClientPort {
    links: Lines,
    inbox: mpsc::Receiver<Command>,
    seed: u64,
    count: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Result<Message, Failure>>>,
}

impl Port<Courier> for ClientPort {
    async fn recv(&mut self, inputs: &mut Vec<courier::Input>) {
        // What does not leave makes the callers wait, and not our memory grow.
        let is_clogged = self.links.is_clogged();
        tokio::select! {
            (member, heard) = self.links.recv() => {
                inputs.extend(heard.into_iter().filter_map(|heard| input(member, heard)));
            }
            command = self.inbox.recv(), if !is_clogged => match command {
                Some(Command { text, told }) => {
                    self.count += 1;
                    let errand = self.count;
                    // Never 0, which stands for none.
                    let token = self.seed.wrapping_add(errand) | 1 << 63;
                    let message = Message { id: errand, sender: CLIENT.to_owned(), text, token, ..Message::default() };
                    self.waiting.insert(errand, told);
                    inputs.push(courier::Input::Send { errand, member: 0, message: message.encode() });
                }
                None => inputs.push(courier::Input::Shutdown),
            },
        }
    }

    fn perform(&mut self, output: courier::Output, _: &mut Vec<courier::Input>) -> ControlFlow<()> {
        match output {
            courier::Output::Reopen { member } => self.links.reopen(member),
            courier::Output::Send { member, frames } => self.links.offer(member, frames),
            courier::Output::Done { errand, outcome, .. } => {
                if let Some(told) = self.waiting.remove(&errand) {
                    // Nobody waits any more.
                    let _ = told.send(outcome);
                }
            }
            courier::Output::Finished => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn settled(&mut self, _: &Courier) {
        self.links.flush();
    }
}

fn bounded(mut options: Options) -> Options {
    options.limits.message_bytes_max = MESSAGE_BYTES_MAX;
    let Backoff { first, max } = options.reconnect;
    options.reconnect = Backoff { first: first.min(RECONNECT_MAX), max: max.min(RECONNECT_MAX) };
    options.handshake_timeout = options.handshake_timeout.min(HANDSHAKE_MAX);
    options
}

fn chance() -> Result<u64, Error> {
    getrandom::u64().map_err(Error::Chance)
}

/// The longest delay between two attempts to connect. A message waits for half a second: by then a member that is up
/// again has been found.
const RECONNECT_MAX: Duration = Duration::from_millis(400);
/// How long one attempt may take. What got lost on the way to a machine that starts is not waited out.
const HANDSHAKE_MAX: Duration = Duration::from_secs(2);
/// Events that wait to be read.
const EVENTS_MAX: usize = 256;
/// Bytes of their texts, and more than one may have.
const EVENT_BYTES_MAX: usize = 16 << 20;
/// How long the end waits for those who read them.
const LAST_EVENTS: Duration = Duration::from_secs(1);
/// Commands that wait to be taken.
const COMMANDS_MAX: usize = 256;
/// A text, and the names of all members twice.
const MESSAGE_BYTES_MAX: usize =
    limits::ZMQNET_TEXT_BYTES_MAX + 2 * limits::ZMQNET_MEMBERS_MAX * (limits::ZMQNET_NAME_BYTES_MAX + 4) + 1024;
/// What zmqnet's clients were called, too.
const CLIENT: &str = "client";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_is_up_again_is_found_while_a_message_waits_for_it() {
        let options = bounded(Options::default());
        assert!(options.reconnect.max < Patience::default().absent);
        let slow = Duration::from_secs(3);
        let options = bounded(Options { reconnect: Backoff { first: slow, max: slow }, ..Options::default() });
        assert!(options.reconnect.first < Patience::default().absent);
    }
}
