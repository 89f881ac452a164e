//! [`Worker`]: what a program writes to serve a service, or several.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::mdp::Dialect;
use protocol::mdp::v03::options::Builder;
use runtime::local::Entrance;
use runtime::zmtp::curve::KeyPair;
use runtime::zmtp::{Backoff, Endpoint, Login, Mechanism, Options, PublicKey};
use runtime::{Clock, Shutdown, drive};
use tokio::sync::watch;

use crate::config::{Config, Misuse};
use crate::event::Event;
use crate::handler::Handler;
use crate::port::{Home, Observer, Places, Start, Wishes, WorkerPort};
use crate::run::run;
use crate::service::Service;
use crate::session::Session;
use crate::speech::Speech;

/// A worker at one broker, of one service or several; [`serve`](Worker::serve) or [`run`](Worker::run) makes it work.
///
/// The defaults are those of the protocol's implementations: a heartbeat every 2.5 s, a broker silent for three of them
/// is dead, a new connection after 250 ms growing to 5 s. One request at a time is handled, unless
/// [`credit`](Worker::credit) says more.
#[must_use = "a worker works when `serve` or `run` is awaited"]
pub struct Worker {
    endpoint: String,
    /// In place of the endpoint.
    entrance: Option<Entrance>,
    alternatives: Vec<(String, Option<PublicKey>)>,
    services: Vec<(Service, Option<Start>)>,
    about: Builder,
    /// All but what is offered, which is put together when the worker begins.
    config: Config,
    options: Options,
    wishes: Wishes,
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
    /// A worker for `service` at the broker's `endpoint` (`tcp://host:port` or `ipc://path`); [`serve`](Self::serve)
    /// gives it a handler.
    pub fn new(endpoint: impl Into<String>, service: impl Into<Service>) -> Self {
        let mut worker = Self::at(endpoint);
        worker.services.push((service.into(), None));
        worker
    }

    /// A worker at the broker's `endpoint` that offers nothing yet; [`service`](Self::service) adds what it does, and
    /// [`run`](Self::run) makes it work.
    pub fn at(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            entrance: None,
            alternatives: Vec::new(),
            services: Vec::new(),
            about: Builder::default(),
            config: Config { seed: fastrand::u64(..), ..Config::of(Vec::new()) },
            options: Options::default(),
            wishes: Wishes::default(),
            observer: Box::new(trace),
        }
    }

    /// A worker for `service` within the broker's own process, which needs no socket and no keys. The entrance is that
    /// of the broker's server.
    pub fn inside(entrance: Entrance, service: impl Into<Service>) -> Self {
        Self { entrance: Some(entrance), ..Self::new("this process", service) }
    }

    /// Offers one more service, up to 64. The credit is shared by all. A broker of MDP 0.1 or 0.2 takes one service a
    /// worker: the first.
    pub fn service<Kind: 'static, H: Handler<Kind>>(mut self, service: impl Into<Service>, handler: H) -> Self {
        self.services.push((service.into(), Some(start(handler))));
        self
    }

    /// How many requests are handled at once, over all services: 1 unless told, 65536 at most. Brokers of MDP 0.1 and
    /// 0.2 send one at a time.
    pub fn credit(self, requests: usize) -> Self {
        self.configured(|config| config.credit = requests)
    }

    /// Changes the credit whenever another one is sent here; 0 is a pause.
    pub fn credit_changes(mut self, changes: watch::Receiver<usize>) -> Self {
        self.wishes.credit = Some(changes);
        self
    }

    /// The name of this worker, for people who look at the broker.
    pub fn name(mut self, name: &str) -> Self {
        self.about = self.about.name(name);
        self
    }

    /// The version of this worker.
    pub fn version(mut self, version: &str) -> Self {
        self.about = self.about.version(version);
        self
    }

    /// What this worker is.
    pub fn description(mut self, description: &str) -> Self {
        self.about = self.about.description(description);
        self
    }

    /// Speaks an older dialect from the start, in place of MDP 0.3. Brokers other than ours mostly want
    /// [`Dialect::V01`], which has no PARTIAL: a streamed reply is then joined into one.
    pub fn dialect(self, dialect: Dialect) -> Self {
        self.configured(|config| config.speech = Speech::Old(dialect))
    }

    /// What is spoken with a broker that does not answer MDP 0.3 within 2.5 s: [`Dialect::V02`] unless told; `None`
    /// goes on trying 0.3. Each new connection begins with 0.3 again.
    pub fn fallback(self, dialect: Option<Dialect>) -> Self {
        self.configured(|config| config.fallback = dialect)
    }

    /// Another broker, to which ours may send us when it drains. It is spoken to with the same mechanism and, with
    /// CURVE, has to have the same key.
    pub fn alternative(mut self, endpoint: impl Into<String>) -> Self {
        self.alternatives.push((endpoint.into(), None));
        self
    }

    /// The same, over CURVE and with a key of its own.
    pub fn alternative_with_key(mut self, endpoint: impl Into<String>, server: PublicKey) -> Self {
        self.alternatives.push((endpoint.into(), Some(server)));
        self
    }

    /// How often we show that we live, and expect a broker of an older dialect to.
    pub fn heartbeat(self, interval: Duration) -> Self {
        self.configured(|config| config.heartbeat = interval)
    }

    /// How many silent heartbeat intervals make the broker dead.
    pub fn liveness(self, intervals: u32) -> Self {
        self.configured(|config| config.liveness = intervals)
    }

    /// How long a broker of an older dialect may be silent while we work; those that do not heartbeat busy workers are.
    /// 10 min unless told.
    pub fn busy_grace(self, grace: Duration) -> Self {
        self.configured(|config| config.busy_grace = grace)
    }

    /// The delays before a new connection: the first one, and the longest one that it doubles to.
    pub fn reconnect(self, first: Duration, max: Duration) -> Self {
        self.configured(|config| (config.reconnect_first, config.reconnect_max) = (first, max))
    }

    /// Ends cleanly when wished: DRAIN, what the broker has sent is answered, DISCONNECT. Then [`serve`](Self::serve)
    /// returns.
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.wishes.shutdown = Some(shutdown);
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

    /// Gives `handler` to every service that has none yet, and [runs](Self::run).
    ///
    /// The handler is an async closure or a [`tower::Service`]; `worker::json` makes one of typed JSON. It runs in a
    /// task of its own, as many at once as the [credit](Self::credit) says, so heartbeats go on meanwhile. Its error is
    /// answered with status 500 or the one that a [`Failure`](crate::Failure) names, and so is its panic. When nobody
    /// waits any more, because the client cancelled, the deadline passed or the broker is gone, it is dropped at the
    /// `await` where it stands, unless it [asked to be told](crate::Request::cancellation).
    ///
    /// # Errors
    /// [`Error::Misuse`] at once, for a setting that cannot work.
    pub async fn serve<Kind: 'static, H: Handler<Kind>>(mut self, handler: H) -> Result<(), Error> {
        for (_, missing) in self.services.iter_mut().filter(|(_, handler)| handler.is_none()) {
            *missing = Some(start(handler.clone()));
        }
        self.run().await
    }

    /// Serves until the [shutdown](Self::shutdown) is wished, for ever without one. A broker that is not there, or not
    /// any more, is waited for.
    ///
    /// # Errors
    /// [`Error::Misuse`] at once, for a setting that cannot work.
    pub async fn run(mut self) -> Result<(), Error> {
        let mut handlers = BTreeMap::new();
        for (service, handler) in std::mem::take(&mut self.services) {
            let offer = service.into_offer()?;
            let name = offer.service.clone();
            self.config.offers.push(offer);
            handlers.insert(name.clone(), handler.ok_or(Misuse::NoHandler(name))?);
        }
        let about = std::mem::take(&mut self.about);
        self.config.about = about.finish().map_err(|fault| Misuse::Metadata(fault.to_string()))?;
        self.config.check()?;
        let places = self.places()?;
        self.config.alternatives = places.alternatives.iter().map(|(endpoint, _)| endpoint.to_string()).collect();
        let mut port = WorkerPort::new(places, handlers, self.wishes, self.observer);
        drive(&mut Session::new(self.config), &mut port, Clock::start()).await;
        port.finish().await;
        Ok(())
    }

    fn places(&self) -> Result<Places, Misuse> {
        let reconnect = Backoff { first: self.config.reconnect_first, max: self.config.reconnect_max };
        let options = Options { reconnect, ..self.options.clone() };
        let place = |endpoint: &String, options| {
            let misuse = |reason| Misuse::Endpoint { endpoint: endpoint.clone(), reason };
            endpoint.parse::<Endpoint>().map(|parsed| (parsed, options)).map_err(|error| misuse(error.to_string()))
        };
        let mut alternatives = Vec::with_capacity(self.alternatives.len());
        for (endpoint, key) in &self.alternatives {
            let mut options = options.clone();
            match (&mut options.mechanism, key) {
                (Mechanism::CurveClient { server, .. }, Some(key)) => *server = *key,
                (_, None) => {}
                (_, Some(_)) => return Err(Misuse::KeyWithoutCurve { endpoint: endpoint.clone() }),
            }
            alternatives.push(place(endpoint, options)?);
        }
        let home = match &self.entrance {
            Some(entrance) => Home::Inside(entrance.clone()),
            None => Home::Socket(Box::new(place(&self.endpoint, options)?)),
        };
        Ok(Places { home, alternatives })
    }

    fn configured(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }
}

/// Forgets what kind of handler it is.
fn start<Kind: 'static, H: Handler<Kind>>(handler: H) -> Start {
    Box::new(move |jobs, request, answers| {
        jobs.spawn(run(handler.clone(), request, answers));
    })
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let services: Vec<_> = self.services.iter().map(|(service, _)| service).collect();
        formatter
            .debug_struct("Worker")
            .field("endpoint", &self.endpoint)
            .field("services", &services)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// What a program hears of its worker when it does not listen itself.
fn trace(event: &Event) {
    match event {
        Event::Registered { .. } | Event::FellBack { .. } | Event::Draining { .. } => tracing::info!("{event}"),
        // The answer to our own wish to leave, or to an operator's.
        Event::Dismissed { status: 200, .. } => tracing::info!("{event}"),
        Event::Lost { .. } | Event::Abandoned { .. } | Event::NotOffered { .. } | Event::Dismissed { .. } => {
            tracing::warn!("{event}");
        }
        // These may come as often as a peer likes.
        Event::AnswerDropped(_)
        | Event::Fault(_)
        | Event::RequestIgnored
        | Event::Stopped { .. }
        | Event::Refused { .. } => {
            tracing::debug!("{event}")
        }
    }
}
