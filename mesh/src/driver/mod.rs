//! The node on real sockets: beacons over UDP, a ROUTER to listen and a DEALER for each node, and a handle.
//!
//! Nothing is decided here; see [`crate::Node`].

mod finder;
mod gossip;
mod links;
mod lookup;
mod port;
mod trust;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use protocol::Frames;
use protocol::zre::{GroupName, NodeId, PORT};
use runtime::udp::{self, Interfaces, Sockets, Spread};
use runtime::zmtp::{self, BindError, Endpoint, Router};
use runtime::{Clock, drive};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::config::{Address, Config, Misuse, Patience};
use crate::event::{Counters, Event};
use crate::marking;
use crate::node::{Input, Node};
pub use finder::{Found, HOST_HEADER, Offer, Wanted, find, host, offers, reachable};
use gossip::GossipPort;
use lookup::Lookup;
use port::{MeshPort, Wire};
pub use trust::Trust;

/// How to take part in a mesh. The default finds everybody who speaks ZRE in the networks of this machine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What we are called; the first digits of our id when there is none.
    pub name: Option<String>,
    /// The mesh that we belong to; empty for the one that every foreign node is in.
    pub mesh: String,
    /// The groups that we are in from the beginning.
    pub groups: Vec<GroupName>,
    /// The groups that we stand for election in from the beginning; we are in them.
    pub contests: Vec<GroupName>,
    /// What else we want known.
    pub headers: BTreeMap<String, String>,
    /// Where to look; everywhere when none is named.
    pub interfaces: Interfaces,
    /// How beacons reach everybody.
    pub spread: Spread,
    /// Other nodes as `host:port` or `host`, where beacons do not reach everybody: whoever is met introduces us to all.
    /// Names are asked again now and then; each of their addresses is meant.
    pub peers: Vec<String>,
    /// Hubs of zgossip to learn from where others listen, and to tell where we do.
    pub gossip: Vec<Endpoint>,
    /// Be such a hub ourselves, here.
    pub gossip_bind: Option<Endpoint>,
    /// The UDP port of beacons.
    pub beacon_port: u16,
    /// Whether it is measured how far away brokers are, for [`Event::Latency`].
    pub measures: bool,
    /// Our keys, where the mesh speaks CURVE. Nodes without are not seen then, and do not see us.
    pub trust: Option<Trust>,
    /// How long a node of ours may be silent.
    pub expiry: Duration,
    /// How long any other node may be silent.
    pub foreign_expiry: Duration,
    /// Bounds of the sockets.
    pub limits: zmtp::Limits,
}

/// Why a mesh could not be joined.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that cannot work.
    #[error(transparent)]
    Misuse(#[from] Misuse),
    /// No interface, or no port.
    #[error(transparent)]
    Network(#[from] udp::Error),
    /// Our ROUTER cannot listen.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The operating system has no chance to give.
    #[error("no random numbers: {0}")]
    Chance(getrandom::Error),
    /// The mesh was left.
    #[error("the mesh was left")]
    Left,
}

/// A node that takes part in a mesh, until it [leaves](Self::leave) or is dropped.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use futures_util::StreamExt;
/// use mesh::{Event, Frames, Mesh, Settings};
///
/// let (mesh, mut events) = Mesh::enter(Settings::default()).await?;
/// mesh.join("CHAT".parse()?).await?;
/// while let Some(event) = events.next().await {
///     if let Event::Join { group, .. } = event {
///         mesh.shout(group, Frames::from(["hello"])).await?;
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Mesh {
    id: NodeId,
    name: String,
    endpoints: Vec<String>,
    commands: mpsc::Sender<Input>,
    counters: watch::Receiver<Counters>,
    task: JoinHandle<()>,
}

/// What happens in the mesh. Whoever does not read makes the node stop listening to others once some thousand events
/// wait; it goes on to be seen by them. Dropped, the events are thrown away.
#[derive(Debug)]
pub struct Events(mpsc::Receiver<Event>);

impl Default for Settings {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self {
            name: None,
            mesh: String::new(),
            groups: Vec::new(),
            contests: Vec::new(),
            headers: BTreeMap::new(),
            interfaces: Interfaces::new(),
            spread: Spread::Broadcast,
            peers: Vec::new(),
            gossip: Vec::new(),
            gossip_bind: None,
            beacon_port: PORT,
            measures: false,
            trust: None,
            expiry: 3 * second,
            foreign_expiry: 30 * second,
            limits: zmtp::Limits { queue_messages_max: QUEUE_MESSAGES_MAX, ..zmtp::Limits::default() },
        }
    }
}

impl Mesh {
    /// Takes part in a mesh; must be called inside a tokio runtime.
    ///
    /// # Errors
    /// What cannot work, and why.
    pub async fn enter(settings: Settings) -> Result<(Self, Events), Error> {
        let sockets = Sockets::open(settings.interfaces.clone(), settings.spread, settings.beacon_port)?;
        let addresses: Vec<Address> = sockets.cards().map(address).collect();
        let lookup = Lookup::start(settings.peers.clone(), settings.beacon_port);
        let options = zmtp::Options {
            heartbeat: None,
            keepalive: KEEPALIVE,
            limits: settings.limits,
            handshake_timeout: HANDSHAKE_MAX,
            ..zmtp::Options::default()
        };
        let trust = settings.trust.clone();
        let listening = match trust.as_ref().map(Trust::listening) {
            Some((mechanism, authority)) => zmtp::Options { mechanism, authority: Some(authority), ..options.clone() },
            None => options.clone(),
        };
        let router = Router::bind(&[listen_at(&settings, &addresses)], listening).await?;
        let port = router.endpoints().first().and_then(Endpoint::port).unwrap_or_default();
        let listens_at = only_address(&settings, &addresses).map(|only| only.socket_address(port));
        let (hubs, hub) = (settings.gossip.clone(), settings.gossip_bind.clone());
        let config = config(settings, port, addresses)?;
        let (id, name) = (config.id, config.name.clone());
        let endpoints: Vec<String> = config.addresses.iter().map(|address| address.endpoint(port)).collect();
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let gossip = match endpoints.first() {
            Some(endpoint) if hub.is_some() || !hubs.is_empty() => {
                let gossips = GossipPort::open(hub.as_ref(), &hubs, &options, commands.downgrade()).await?;
                let value = gossip::value(endpoint, config.key);
                Some(tokio::spawn(gossips.run(id, value, hubs.len())))
            }
            _ => None,
        };
        let (events, outbox) = mpsc::channel(EVENTS_MAX);
        let (counted, counters) = watch::channel(Counters::default());
        let mut node = Node::new(config);
        let wire = Wire { router, listens_at, sockets, lookup, trust };
        let task = tokio::spawn(async move {
            let mut port = MeshPort::new(id, wire, options, inbox, events, counted);
            drive(&mut node, &mut port, Clock::start()).await;
            gossip.iter().for_each(JoinHandle::abort);
            port.finish().await;
        });
        Ok((Self { id, name, endpoints, commands, counters, task }, Events(outbox)))
    }

    /// Who we are.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// What we are called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where our ROUTER listens, for other nodes of the mesh.
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        *self.counters.borrow()
    }

    /// Be in a group.
    ///
    /// # Errors
    /// [`Error::Left`].
    pub async fn join(&self, group: GroupName) -> Result<(), Error> {
        self.command(Input::Join(group)).await
    }

    /// Be in a group, and stand for election there as long as we are: [`Event::Leader`] tells every member who leads.
    ///
    /// # Errors
    /// [`Error::Left`].
    pub async fn contest(&self, group: GroupName) -> Result<(), Error> {
        self.command(Input::Contest(group)).await
    }

    /// Be in a group no more.
    ///
    /// # Errors
    /// [`Error::Left`].
    pub async fn leave_group(&self, group: GroupName) -> Result<(), Error> {
        self.command(Input::Leave(group)).await
    }

    /// Sends to one node; [`Event::Undelivered`] when it is not there.
    ///
    /// # Errors
    /// [`Error::Misuse`] for what is too large for anybody, and [`Error::Left`].
    pub async fn whisper(&self, node: NodeId, content: Frames) -> Result<(), Error> {
        crate::config::check_content(&content)?;
        self.command(Input::Whisper { node, content }).await
    }

    /// Sends to all others in a group; we need not be in it.
    ///
    /// # Errors
    /// [`Error::Misuse`] for what is too large for anybody, and [`Error::Left`].
    pub async fn shout(&self, group: GroupName, content: Frames) -> Result<(), Error> {
        crate::config::check_content(&content)?;
        self.command(Input::Shout { group, content }).await
    }

    /// What nodes are told that come from now on.
    ///
    /// # Errors
    /// [`Error::Misuse`] when others would not understand it, and [`Error::Left`].
    pub async fn announce(&self, headers: BTreeMap<String, String>) -> Result<(), Error> {
        crate::config::check_headers(&headers)?;
        self.command(Input::Headers(headers)).await
    }

    /// Says farewell to all, and ends once that has been sent.
    pub async fn leave(self) {
        // An error means that the task has ended, and then there is nobody to be told.
        let _ = self.commands.send(Input::Shutdown).await;
        let _ = self.task.await;
    }

    async fn command(&self, input: Input) -> Result<(), Error> {
        self.commands.send(input).await.map_err(|_| Error::Left)
    }
}

/// Where this machine is reached in the networks that the settings name, as endpoints with port 0.
///
/// # Errors
/// No interface as wished.
pub fn addresses(settings: &Settings) -> Result<Vec<String>, Error> {
    let cards = udp::cards(&settings.interfaces, settings.spread)?;
    Ok(cards.iter().map(|card| address(card).endpoint(0)).collect())
}

impl Events {
    /// The next event; `None` once the mesh was left. Cancel safe.
    pub async fn recv(&mut self) -> Option<Event> {
        self.0.recv().await
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.poll_recv(context)
    }
}

/// An address of ours, as the machine counts it.
fn address(card: &udp::Card) -> Address {
    Address { ip: card.ip, prefix: card.prefix, scope: card.scope() }
}

/// Where an interface was named, nobody else needs to reach us; else everywhere.
fn listen_at(settings: &Settings, addresses: &[Address]) -> Endpoint {
    let everywhere = || "tcp://*:0".parse().unwrap_or_else(|_| unreachable!("the text is an endpoint"));
    let only = only_address(settings, addresses).map(|only| only.socket_address(0));
    only.map_or_else(everywhere, Endpoint::from)
}

fn only_address(settings: &Settings, addresses: &[Address]) -> Option<Address> {
    match addresses {
        [only] if !settings.interfaces.is_empty() => Some(*only),
        _ => None,
    }
}

fn config(settings: Settings, port: u16, addresses: Vec<Address>) -> Result<Config, Error> {
    let mut chance = [0; 16];
    getrandom::fill(&mut chance).map_err(Error::Chance)?;
    let id = marking::mark(chance, &settings.mesh);
    let config = Config {
        key: settings.trust.as_ref().map(Trust::public),
        name: settings.name.unwrap_or_else(|| id.default_name()),
        mesh: settings.mesh,
        addresses,
        headers: settings.headers,
        groups: settings.groups,
        contests: settings.contests,
        wants_introduction: !settings.peers.is_empty(),
        measures: settings.measures,
        ours: Patience::of(settings.expiry),
        foreign: Patience::of(settings.foreign_expiry),
        ..Config::new(id, port)
    };
    config.check()?;
    Ok(config)
}

/// Where packets get lost, TCP asks for a connection after 1, 3, 7 seconds; a new attempt is faster.
const HANDSHAKE_MAX: Duration = Duration::from_secs(3);
/// Each node has connections to all others: what is said on all of them at rest grows with the square of their number,
/// and in a mesh of 200 the kernel's probes every 30 s were 27 packets a second a node. Beacons tell who is there.
const KEEPALIVE: Duration = Duration::from_secs(3600);
/// Messages that wait for one node.
const QUEUE_MESSAGES_MAX: usize = 16 << 10;
const COMMANDS_MAX: usize = 256;
const EVENTS_MAX: usize = 4096;
