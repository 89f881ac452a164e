//! [`Worker`]: what a program writes to serve a service.

use std::sync::Arc;
use std::time::Duration;

use protocol::ServiceName;
use protocol::mdp::Dialect;
use runtime::link::Link;
use runtime::zmtp::curve::KeyPair;
use runtime::zmtp::{Backoff, Endpoint, Login, Mechanism, Options, PublicKey};
use runtime::{Clock, Shutdown, drive};

use crate::config::{Config, Misuse};
use crate::event::Event;
use crate::handler::Handler;
use crate::port::{Observer, WorkerPort};
use crate::request::Request;
use crate::run::run;
use crate::session::Session;

/// A worker of one service at one broker; [`serve`](Worker::serve) makes it work.
///
/// The defaults are those of the protocol's implementations: a heartbeat every 2.5 s, a broker silent for three of them
/// is dead, a new connection after 250 ms growing to 5 s.
#[must_use = "a worker works when `serve` is awaited"]
pub struct Worker {
    endpoint: String,
    service: Result<Config, Misuse>,
    options: Options,
    shutdown: Option<Shutdown>,
    observer: Observer,
}

/// Why a worker could not serve. A broker that is not there is no error: the worker waits for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked for something that cannot work.
    #[error(transparent)]
    Misuse(#[from] Misuse),
}

impl Worker {
    /// A worker for `service` at the broker's `endpoint` (`tcp://host:port` or `ipc://path`).
    pub fn new(endpoint: impl Into<String>, service: impl AsRef<[u8]>) -> Self {
        let name = service.as_ref();
        let seed = fastrand::u64(..);
        let service = ServiceName::new(name.to_vec())
            .map(|service| Config { seed, ..Config::new(service) })
            .map_err(|_| Misuse::ServiceName { bytes: name.len() });
        let observer = Box::new(trace);
        Self { endpoint: endpoint.into(), service, options: Options::default(), shutdown: None, observer }
    }

    /// How the broker is spoken to; [`Dialect::V02`] unless told. Brokers other than ours mostly want [`Dialect::V01`],
    /// which has no PARTIAL: a streamed reply is then joined into one.
    pub fn dialect(self, dialect: Dialect) -> Self {
        self.configured(|config| config.dialect = dialect)
    }

    /// How often we show that we live, and expect the broker to.
    pub fn heartbeat(self, interval: Duration) -> Self {
        self.configured(|config| config.heartbeat = interval)
    }

    /// How many silent heartbeat intervals make the broker dead.
    pub fn liveness(self, intervals: u32) -> Self {
        self.configured(|config| config.liveness = intervals)
    }

    /// How long the broker may be silent while we work; brokers that do not heartbeat busy workers are. 10 min unless
    /// told.
    pub fn busy_grace(self, grace: Duration) -> Self {
        self.configured(|config| config.busy_grace = grace)
    }

    /// The delays before a new connection: the first one, and the longest one that it doubles to.
    pub fn reconnect(self, first: Duration, max: Duration) -> Self {
        self.configured(|config| (config.reconnect_first, config.reconnect_max) = (first, max))
    }

    /// Ends cleanly when wished: no new job, the running one is answered, DISCONNECT. Then [`serve`](Self::serve)
    /// returns.
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = Some(shutdown);
        self
    }

    /// How long a running job may go on after the wish to end; 30 s unless told.
    pub fn shutdown_grace(self, grace: Duration) -> Self {
        self.configured(|config| config.shutdown_grace = grace)
    }

    /// Talks over CURVE, and only to the broker that has the secret key of `server`. `keys` are ours.
    pub fn curve(mut self, server: PublicKey, keys: KeyPair) -> Self {
        self.options.mechanism = Mechanism::CurveClient { keys: Arc::new(keys), server };
        self
    }

    /// Shows the broker a user and a password, in clear text.
    pub fn plain(mut self, login: Login) -> Self {
        self.options.mechanism = Mechanism::PlainClient(Arc::new(login));
        self
    }

    /// Where we belong, such as `dev`, `test` or `prod`: a broker of another domain is none of ours. Up to 255 bytes.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.options.domain = domain.into();
        self
    }

    /// All of the socket's own options at once: limits, mechanism, domain, linger. Its reconnect delays are
    /// [those of the worker](Self::reconnect).
    pub fn socket_options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Hears of each event, in place of the default, which traces it.
    pub fn observer(mut self, observer: impl FnMut(&Event) + Send + 'static) -> Self {
        self.observer = Box::new(observer);
        self
    }

    /// Serves until the [shutdown](Self::shutdown) is wished, for ever without one. A broker that is not there, or not
    /// any more, is waited for.
    ///
    /// The handler is an async closure or a [`tower::Service`]; `worker::json` makes one of typed JSON. It runs in a
    /// task of its own, so heartbeats go on meanwhile; its error is answered `500 reason`, and so is its panic.
    ///
    /// # Errors
    /// [`Error::Misuse`] at once, for a setting that cannot work.
    pub async fn serve<Kind: 'static, H: Handler<Kind>>(self, handler: H) -> Result<(), Error> {
        let config = self.service?;
        config.check()?;
        let endpoint: Endpoint = self
            .endpoint
            .parse()
            .map_err(|error| Misuse::Endpoint { endpoint: self.endpoint, reason: format!("{error}") })?;
        let reconnect = Backoff { first: config.reconnect_first, max: config.reconnect_max };
        let link = Link::new(endpoint, Options { reconnect, ..self.options });
        let service = config.service.clone();
        let start = move |jobs: &mut tokio::task::JoinSet<()>, body, answers| {
            jobs.spawn(run(handler.clone(), Request { service: service.clone(), body }, answers));
        };
        let mut port = WorkerPort::new(link, start, self.shutdown, self.observer);
        drive(&mut Session::new(config), &mut port, Clock::start()).await;
        port.link.finish().await;
        Ok(())
    }

    fn configured(mut self, change: impl FnOnce(&mut Config)) -> Self {
        if let Ok(config) = &mut self.service {
            change(config);
        }
        self
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Worker")
            .field("endpoint", &self.endpoint)
            .field("config", &self.service)
            .finish_non_exhaustive()
    }
}

/// What a program hears of its worker when it does not listen itself.
fn trace(event: &Event) {
    match event {
        Event::Registered { .. } => tracing::info!("{event}"),
        Event::Lost { .. } | Event::Abandoned { .. } => tracing::warn!("{event}"),
        // These may come as often as a peer likes.
        Event::AnswerDropped(_) | Event::Fault(_) | Event::RequestIgnored => tracing::debug!("{event}"),
    }
}
