//! The broker on real sockets: the machine, a ROUTER socket, logs.
//!
//! Nothing is decided here; see [`crate::Broker`].

mod guard;
mod report;

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use protocol::{PeerId, PeerLimits, Rights, ServiceName};
use runtime::local::{self, Entrance, Host};
use runtime::zmtp::{self, BindError, Endpoint, Router, UnsentReason};
use runtime::{Clock, Port, Shutdown, Vigil, drive_awake};
use tokio::sync::watch;

use crate::access::{AllowTable, Following};
use crate::broker::{Broker, Input, Output};
use crate::config::{Config, Limits};
use crate::event::{Counters, Event};
use guard::Guard;
use report::Report;

/// A broker that listens.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let endpoint = "tcp://127.0.0.1:0".parse()?;
/// let server = broker::Server::bind(&[endpoint], broker::Config::default(), Default::default()).await?;
/// println!("ready {}", server.endpoints()[0]);
/// server.run(runtime::Shutdown::on_signals()?).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    broker: Broker,
    router: Router,
    host: Option<Host>,
    /// What one peer may have waiting for it: messages, and octets.
    queue_max: (usize, usize),
    status: watch::Sender<Status>,
    served: watch::Sender<Vec<ServiceName>>,
    table: Option<AllowTable>,
    /// What everybody may do who is let in without a table.
    anybody: Rights,
    following: Option<Following>,
    grace: Duration,
    awake: Duration,
}

/// How a broker fares.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// What the machine has counted.
    pub counters: Counters,
    /// Registered workers.
    pub workers: usize,
    /// Requests that wait for a worker.
    pub queued: usize,
    /// Requests that workers have.
    pub in_flight: usize,
    /// Services known.
    pub services: usize,
    /// Connections.
    pub connections: usize,
    /// Whether nothing new is taken.
    pub is_draining: bool,
    /// Peers that were not let in, because they are not in the table.
    pub refused: u64,
    /// What the socket has counted.
    pub socket: zmtp::Stats,
}

impl Server {
    /// Listens on every endpoint. Requests are served once [`run`](Self::run) is called.
    ///
    /// # Errors
    /// [`BindError`] names the endpoint and why it cannot be listened on.
    pub async fn bind(endpoints: &[Endpoint], config: Config, options: zmtp::Options) -> Result<Self, BindError> {
        Self::open(endpoints, config, options, None).await
    }

    /// As [`bind`](Self::bind), for the peers of a table and nobody else. Changes of the table, and of the files that
    /// it was [opened](AllowTable::open) from, hold at once: for peers that are connected, too.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub async fn bind_for(
        endpoints: &[Endpoint],
        config: Config,
        options: zmtp::Options,
        table: AllowTable,
    ) -> Result<Self, BindError> {
        let options = zmtp::Options { authority: Some(table.authority()), ..options };
        Self::open(endpoints, config, options, Some(table)).await
    }

    async fn open(
        endpoints: &[Endpoint],
        config: Config,
        options: zmtp::Options,
        table: Option<AllowTable>,
    ) -> Result<Self, BindError> {
        let limits = Limits {
            message_bytes_max: options.limits.message_bytes_max,
            // The rest is for what else a worker is told.
            worker_bytes_max: options.limits.queue_bytes_max / 4 * 3,
            ..config.limits
        };
        let config = Config { limits, ..config };
        let queue_max = (options.limits.queue_messages_max, options.limits.queue_bytes_max);
        let router = Router::bind(endpoints, options).await?;
        let following = table.as_ref().and_then(AllowTable::follow);
        Ok(Self {
            grace: config.drain_grace,
            broker: Broker::new(config).keyed(secret()),
            router,
            host: None,
            queue_max,
            status: watch::Sender::default(),
            served: watch::Sender::default(),
            table,
            anybody: Rights::everything(),
            following,
            awake: AWAKE,
        })
    }

    /// Stays awake up to `longest` after a message, as long as that pays; with zero it never does. Without this it is a
    /// tenth of a millisecond. It makes answers faster where little is under way, and costs nothing when nothing is.
    #[must_use]
    pub fn staying_awake(self, longest: Duration) -> Self {
        Self { awake: longest, ..self }
    }

    /// What whoever comes over a socket may do where there is no table of peers: everything, unless this says less.
    #[must_use]
    pub fn letting(self, anybody: Rights) -> Self {
        Self { anybody, ..self }
    }

    /// Where it listens, with real port numbers.
    pub fn endpoints(&self) -> &[Endpoint] {
        self.router.endpoints()
    }

    /// Where parts of this process connect to, without a socket, as clients and workers. They may do everything. As for
    /// any peer only so much waits for them, but more octets: 256 MiB, so that a round's answers to many calls find
    /// room.
    pub fn entrance(&mut self) -> Entrance {
        let (messages_max, bytes_max) = self.queue_max;
        let bytes_max = bytes_max.max(GUEST_BYTES_MAX);
        self.host.get_or_insert_with(|| Host::new(messages_max, bytes_max)).entrance()
    }

    /// A view of how the broker fares, while it runs and after.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// The services that have workers, as they change.
    pub fn served(&self) -> watch::Receiver<Vec<ServiceName>> {
        self.served.subscribe()
    }

    /// Serves until the end is wished, or an operator drains the broker. Then it works off what it has accepted
    /// ([`Config::drain_grace`], cut short by a second wish), tells the workers, writes what is still to be written,
    /// and closes.
    pub async fn run(self, shutdown: Shutdown) {
        let Self { mut broker, router, host, status, served, table, anybody, grace, awake, .. } = self;
        let _following = self.following;
        let mut socket = Socket {
            router,
            host,
            guests: Vec::new(),
            insider: Arc::new(insider()),
            guard: table.map(Guard::new),
            anybody: Arc::new(anybody),
            events: Vec::new(),
            refused: Vec::new(),
            shutdown,
            wishes: Wishes::None,
            grace,
            report: Report::default(),
            status,
            served,
            has_changed: false,
        };
        let clock = Clock::start();
        broker = broker.since(clock.now()).telling_requests(report::tells_requests());
        drive_awake(&mut broker, &mut socket, clock, Vigil::new(awake)).await;
        socket.router.close().await;
    }
}

/// Octets that may wait for a part of this process.
const GUEST_BYTES_MAX: usize = 256 << 20;

/// Longer than a peer on the same machine needs to wake up and answer.
const AWAKE: Duration = Duration::from_micros(100);

/// The machine's port: one ROUTER, those within the process, and the wish to end.
struct Socket {
    router: Router,
    /// Those who come from within the process, if any may.
    host: Option<Host>,
    guests: Vec<local::Event>,
    insider: Arc<Rights>,
    guard: Option<Guard>,
    /// Of everybody who is let in where there is no guard.
    anybody: Arc<Rights>,
    events: Vec<zmtp::Event>,
    /// Peers that have refused something in this round.
    refused: Vec<PeerId>,
    shutdown: Shutdown,
    /// What the machine has been told of them.
    wishes: Wishes,
    grace: Duration,
    report: Report,
    status: watch::Sender<Status>,
    served: watch::Sender<Vec<ServiceName>>,
    /// A worker came or left in this round.
    has_changed: bool,
}

/// How far the end is wished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wishes {
    None,
    End,
    AtOnce,
}

impl Port<Broker> for Socket {
    /// A message is forwarded before the next one is looked at.
    const AT_ONCE: bool = true;

    async fn recv(&mut self, inputs: &mut Vec<Input>) {
        let Self { router, host, guests, guard, events, shutdown, wishes, .. } = self;
        let visited = async {
            match host {
                Some(host) => host.recv(guests).await,
                None => std::future::pending().await,
            }
        };
        let changed = async {
            match guard {
                Some(guard) => guard.changed().await,
                None => std::future::pending().await,
            }
        };
        let wished = async {
            match wishes {
                Wishes::None => shutdown.wished().await,
                Wishes::End => shutdown.insisted().await,
                Wishes::AtOnce => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = changed => self.guard.iter_mut().for_each(|guard| guard.on_changed(inputs)),
            () = router.recv(events) => {
                self.hear(inputs);
                // However much the sockets have to say.
                self.host.iter_mut().for_each(|host| host.recv_ready(&mut self.guests));
                self.hear_guests(inputs);
            }
            () = visited => self.hear_guests(inputs),
            () = wished => inputs.push(self.wish()),
        }
    }

    fn perform(&mut self, output: Output, inputs: &mut Vec<Input>) -> ControlFlow<()> {
        match output {
            // Nothing follows what was refused before the machine knows: a small message might find room where a large
            // one had none.
            Output::Send { peer, .. } if self.refused.contains(&peer) => inputs.push(Input::Refused { peer }),
            Output::Send { peer, frames } if Host::is_guest(peer) => {
                if !self.host.as_mut().is_some_and(|host| host.send(peer, frames)) {
                    self.refused.push(peer);
                    inputs.push(Input::Refused { peer });
                }
            }
            Output::Send { peer, frames } => match self.router.try_send(peer, frames) {
                Ok(()) => {}
                // Its Disconnected is on the way.
                Err(unsent) if unsent.reason == UnsentReason::Gone => {}
                Err(_) => {
                    self.refused.push(peer);
                    inputs.push(Input::Refused { peer });
                }
            },
            Output::Close { peer } if Host::is_guest(peer) => {
                self.host.iter_mut().for_each(|host| host.disconnect(peer));
                inputs.push(Input::Disconnected { peer });
            }
            Output::Close { peer } => self.router.disconnect(peer),
            Output::Event(event) => {
                self.has_changed |= matches!(event, Event::WorkerReady { .. } | Event::WorkerLeft { .. });
                self.report.event(&event);
            }
            Output::Finished => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn settled(&mut self, broker: &Broker) {
        self.host.iter_mut().for_each(Host::flush);
        self.report.flush();
        self.refused.clear();
        if std::mem::take(&mut self.has_changed) && self.served.receiver_count() > 0 {
            self.served.send_replace(broker.served().cloned().collect());
        }
        // Without a reader nobody pays for the figures.
        if self.status.receiver_count() > 0 {
            self.status.send_replace(Status {
                counters: broker.counters(),
                workers: broker.workers(),
                queued: broker.queued_requests(),
                in_flight: broker.in_flight(),
                services: broker.services(),
                connections: broker.peers(),
                is_draining: broker.is_draining(),
                refused: self.guard.as_ref().map_or(0, Guard::refused),
                socket: self.router.stats(),
            });
        }
    }
}

impl Socket {
    /// The next of the two wishes that a process hears.
    fn wish(&mut self) -> Input {
        let (wishes, input) = match self.wishes {
            Wishes::None => (Wishes::End, Input::Drain { grace: self.grace }),
            Wishes::End | Wishes::AtOnce => (Wishes::AtOnce, Input::Shutdown),
        };
        self.wishes = wishes;
        input
    }

    /// Tells the machine of all that the socket has heard.
    fn hear(&mut self, inputs: &mut Vec<Input>) {
        let mut events = std::mem::take(&mut self.events);
        inputs.extend(events.drain(..).filter_map(|event| self.input(event)));
        self.events = events;
    }

    fn hear_guests(&mut self, inputs: &mut Vec<Input>) {
        let insider = &self.insider;
        inputs.extend(self.guests.drain(..).map(|event| match event {
            local::Event::Connected { peer, identity } => Input::Connected { peer, identity, rights: insider.clone() },
            local::Event::Message { peer, frames } => Input::Message { peer, frames },
            local::Event::Disconnected { peer } => Input::Disconnected { peer },
        }));
    }

    /// What the machine is told of an event. Refused is a connecting socket's, and this one listens.
    fn input(&mut self, event: zmtp::Event) -> Option<Input> {
        match event {
            zmtp::Event::Connected { peer, identity, principal } => {
                let rights = match &mut self.guard {
                    Some(guard) => guard.on_connected(peer, principal),
                    None => Some(Arc::clone(&self.anybody)),
                };
                if rights.is_none() {
                    self.router.disconnect(peer);
                }
                rights.map(|rights| Input::Connected { peer, identity, rights })
            }
            zmtp::Event::Message { peer, frames } => Some(Input::Message { peer, frames }),
            zmtp::Event::Disconnected { peer } => {
                if let Some(guard) = &mut self.guard {
                    guard.on_disconnected(peer);
                }
                Some(Input::Disconnected { peer })
            }
            zmtp::Event::Refused { .. } => None,
        }
    }
}

/// What parts of this process may do.
fn insider() -> Rights {
    let limits = PeerLimits {
        requests_per_second: Some(NonZeroU32::MAX),
        in_flight_max: Some(NonZeroU32::MAX),
        connections_max: Some(NonZeroU32::MAX),
    };
    Rights { name: Arc::from("this process"), limits, ..Rights::everything() }
}

/// A number that nobody else knows: the standard library draws its own keys from the operating system.
fn secret() -> u64 {
    RandomState::new().hash_one(0)
}
