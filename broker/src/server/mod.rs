//! The broker on real sockets: the machine, a ROUTER socket, logs.
//!
//! Nothing is decided here; see [`crate::Broker`].

mod guard;
mod report;

use std::ops::ControlFlow;
use std::sync::Arc;

use protocol::{PeerId, Rights};
use runtime::zmtp::{self, BindError, Endpoint, Router, UnsentReason};
use runtime::{Clock, Port, Shutdown, drive};
use tokio::sync::watch;

use crate::access::{AllowTable, Following};
use crate::broker::{Broker, Input, Output};
use crate::config::Config;
use crate::event::Counters;
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
    status: watch::Sender<Status>,
    table: Option<AllowTable>,
    following: Option<Following>,
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
        let router = Router::bind(endpoints, options).await?;
        let following = table.as_ref().and_then(AllowTable::follow);
        Ok(Self { broker: Broker::new(config), router, status: watch::Sender::default(), table, following })
    }

    /// Where it listens, with real port numbers.
    pub fn endpoints(&self) -> &[Endpoint] {
        self.router.endpoints()
    }

    /// A view of how the broker fares, while it runs and after.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Serves until the end is wished, then tells the workers, writes what is still to be written, and closes.
    pub async fn run(self, shutdown: Shutdown) {
        let Self { mut broker, router, status, table, following: _following } = self;
        let mut socket = Socket {
            router,
            guard: table.map(Guard::new),
            everything: Arc::new(Rights::everything()),
            events: Vec::new(),
            refused: Vec::new(),
            shutdown: Some(shutdown),
            report: Report::default(),
            status,
        };
        drive(&mut broker, &mut socket, Clock::start()).await;
        socket.router.close().await;
    }
}

/// The machine's port: one ROUTER and the wish to end.
struct Socket {
    router: Router,
    /// Without it, whoever is let in may do everything.
    guard: Option<Guard>,
    everything: Arc<Rights>,
    events: Vec<zmtp::Event>,
    /// Peers that have refused something in this round.
    refused: Vec<PeerId>,
    /// Taken once the end is wished.
    shutdown: Option<Shutdown>,
    report: Report,
    status: watch::Sender<Status>,
}

impl Port<Broker> for Socket {
    async fn recv(&mut self, inputs: &mut Vec<Input>) {
        let Self { router, guard, events, shutdown, .. } = self;
        let changed = async {
            match guard {
                Some(guard) => guard.changed().await,
                None => std::future::pending().await,
            }
        };
        let wished = async {
            match shutdown {
                Some(shutdown) => shutdown.wished().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = changed => self.guard.iter_mut().for_each(|guard| guard.on_changed(inputs)),
            () = router.recv(events) => self.hear(inputs),
            () = wished => {
                inputs.push(Input::Shutdown);
                self.shutdown = None;
            }
        }
    }

    fn perform(&mut self, output: Output, inputs: &mut Vec<Input>) -> ControlFlow<()> {
        match output {
            // Nothing follows what was refused before the machine knows: a small message might find room where a large
            // one had none.
            Output::Send { peer, .. } if self.refused.contains(&peer) => inputs.push(Input::Refused { peer }),
            Output::Send { peer, frames } => match self.router.try_send(peer, frames) {
                Ok(()) => {}
                // Its Disconnected is on the way.
                Err(unsent) if unsent.reason == UnsentReason::Gone => {}
                Err(_) => {
                    self.refused.push(peer);
                    inputs.push(Input::Refused { peer });
                }
            },
            Output::Close { peer } => self.router.disconnect(peer),
            Output::Event(event) => self.report.event(&event),
            Output::Finished => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn settled(&mut self, broker: &Broker) {
        self.report.flush();
        self.refused.clear();
        // Without a reader nobody pays for the figures.
        if self.status.receiver_count() > 0 {
            self.status.send_replace(Status {
                counters: broker.counters(),
                workers: broker.workers(),
                queued: broker.queued_requests(),
                refused: self.guard.as_ref().map_or(0, Guard::refused),
                socket: self.router.stats(),
            });
        }
    }
}

impl Socket {
    /// Tells the machine of all that the socket has heard.
    fn hear(&mut self, inputs: &mut Vec<Input>) {
        let mut events = std::mem::take(&mut self.events);
        inputs.extend(events.drain(..).filter_map(|event| self.input(event)));
        self.events = events;
    }

    /// What the machine is told of an event. Refused is a connecting socket's, and this one listens.
    fn input(&mut self, event: zmtp::Event) -> Option<Input> {
        match event {
            zmtp::Event::Connected { peer, identity, principal } => {
                let rights = match &mut self.guard {
                    Some(guard) => guard.on_connected(peer, principal),
                    None => Some(Arc::clone(&self.everything)),
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
