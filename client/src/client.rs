//! [`Client`]: many requests under way on one connection, from as many tasks as you like.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use protocol::mdp::Dialect;
use protocol::{Frames, ServiceName};
use runtime::link::Link;
use runtime::zmtp::curve::KeyPair;
use runtime::zmtp::{Backoff, Endpoint, Limits, Login, Mechanism, Options, PublicKey};
use runtime::{Clock, drive};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::call::{check_body, service_name};
use crate::caller::{Caller, Ear, PARTS_WAITING_MAX};
use crate::error::{Error, Misuse};
use crate::multiplex::{Config, Correlation, Multiplex};
use crate::number::Number;
use crate::owner::{Command, Counters, Counts, OwnerPort};
use crate::patience::Patience;
use crate::reply::{Collected, Progress, Reply};

/// A handle to one connection; clones share it. The connection ends with the last handle.
///
/// ```no_run
/// # async fn example() -> Result<(), client::Error> {
/// use client::Client;
///
/// let client = Client::connect("tcp://127.0.0.1:5555")?;
/// let (first, second) = tokio::join!(client.request("echo", ["one"]), client.request("echo", ["two"]));
/// println!("{:?} {:?}", first?.body, second?.body);
/// # Ok(())
/// # }
/// ```
///
/// Each request is answered once or fails once, whatever happens to the connection: what was under way is sent again on
/// the next one, and second answers are dropped. So a request may be *executed* more than once. A request whose future
/// is dropped is forgotten.
///
/// Replies are matched by a number in the envelope, the frames before the empty one, which every broker has to return
/// (RFC 7 asks it for REQ sockets, and libzmq's REQ_CORRELATE relies on it). For brokers that do not, there is
/// [`Builder::one_at_a_time`].
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
    patience: Patience,
}

#[derive(Debug)]
struct Shared {
    commands: mpsc::UnboundedSender<Command>,
    admission: Arc<Semaphore>,
    under_way_max: usize,
    limits: Limits,
    next_number: AtomicU64,
    counters: Arc<Counters>,
}

/// How a [`Client`] is to be; made by [`Client::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `connect`"]
pub struct Builder {
    endpoint: String,
    config: Config,
    patience: Patience,
    options: Options,
}

impl Client {
    /// A client of the broker at `endpoint` (`tcp://host:port` or `ipc://path`) with the defaults of [`Builder`]. Must
    /// be called within a tokio runtime; a broker that is not there yet is waited for.
    ///
    /// # Errors
    /// An endpoint that cannot be read.
    pub fn connect(endpoint: impl Into<String>) -> Result<Self, Error> {
        Self::builder(endpoint).connect()
    }

    /// A client that is not like the others.
    pub fn builder(endpoint: impl Into<String>) -> Builder {
        Builder {
            endpoint: endpoint.into(),
            config: Config { seed: fastrand::u64(..), ..Config::new(Dialect::V02Delimited) },
            patience: Patience::default(),
            options: Options::default(),
        }
    }

    /// The same connection with another patience, for requests that are known to take long, or may not.
    #[must_use]
    pub fn with_patience(&self, patience: Patience) -> Self {
        Self { shared: self.shared.clone(), patience }
    }

    /// Asks `service` and collects the reply, all parts of it. When as many requests are under way as are allowed, it
    /// waits for one of them to end; that time does not count towards its timeout.
    ///
    /// # Errors
    /// [`Error::Timeout`] after the last attempt, [`Error::TooLarge`] for a reply beyond
    /// [`COLLECTED_BYTES_MAX`](crate::reply::COLLECTED_BYTES_MAX), [`Error::Misuse`] for what cannot be sent,
    /// [`Error::Closed`] when the runtime has ended.
    pub async fn request(&self, service: impl AsRef<[u8]>, body: impl Into<Frames>) -> Result<Reply, Error> {
        let (service, body) = self.check(service.as_ref(), body.into())?;
        let permit = self.shared.admission.clone().acquire_owned().await.map_err(|_| Error::Closed)?;
        self.collect(service, body, permit).await
    }

    /// As [`request`](Self::request), but refuses where that would wait for other requests to end.
    ///
    /// # Errors
    /// [`Error::Full`], and those of [`request`](Self::request).
    pub async fn try_request(&self, service: impl AsRef<[u8]>, body: impl Into<Frames>) -> Result<Reply, Error> {
        let (service, body) = self.check(service.as_ref(), body.into())?;
        let full = Error::Full { max: self.shared.under_way_max };
        let permit = self.shared.admission.clone().try_acquire_owned().map_err(|_| full)?;
        self.collect(service, body, permit).await
    }

    /// Asks `service` and takes the reply part by part, as it comes. Waits as [`request`](Self::request) does until the
    /// request is under way.
    ///
    /// # Errors
    /// [`Error::Misuse`] and [`Error::Closed`]; others come from [`Parts::next`].
    pub async fn request_parts(&self, service: impl AsRef<[u8]>, body: impl Into<Frames>) -> Result<Parts, Error> {
        let (service, body) = self.check(service.as_ref(), body.into())?;
        let _permit = self.shared.admission.clone().acquire_owned().await.map_err(|_| Error::Closed)?;
        let (parts, receiver) = mpsc::channel(PARTS_WAITING_MAX);
        let (done, end) = oneshot::channel();
        let caller = Caller { service, ear: Ear::Parts { parts, done }, _permit };
        let under_way = self.submit(body, caller)?;
        Ok(Parts { receiver, end: Some(end), under_way })
    }

    /// What has happened on the connection so far.
    pub fn counts(&self) -> Counts {
        self.shared.counters.read()
    }

    async fn collect(&self, service: ServiceName, body: Frames, permit: OwnedSemaphorePermit) -> Result<Reply, Error> {
        let (done, outcome) = oneshot::channel();
        let ear = Ear::Whole { collected: Collected::default(), done };
        let mut under_way = self.submit(body, Caller { service, ear, _permit: permit })?;
        let outcome = outcome.await;
        under_way.over = true;
        outcome.unwrap_or(Err(Error::Closed))
    }

    fn check(&self, service: &[u8], body: Frames) -> Result<(ServiceName, Frames), Misuse> {
        check_body(&body, &self.shared.limits)?;
        self.patience.check()?;
        Ok((service_name(service)?, body))
    }

    fn submit(&self, body: Frames, caller: Caller) -> Result<UnderWay, Error> {
        let number = Number(self.shared.next_number.fetch_add(1, Ordering::Relaxed));
        let command = Command::Submit { number, patience: self.patience, body, caller };
        self.shared.commands.send(command).map_err(|_| Error::Closed)?;
        Ok(UnderWay { number, commands: self.shared.commands.clone(), over: false })
    }
}

impl Builder {
    /// How the broker is spoken to: [`Dialect::V02Delimited`] unless told, which has streamed replies and a place for
    /// request numbers. Brokers other than ours mostly want [`Dialect::V01`].
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.config.dialect = dialect;
        self
    }

    /// For brokers that do not return the envelope: no request numbers, one request at a time on the wire, the others
    /// wait here; a new socket after each one that was given up.
    pub fn one_at_a_time(mut self) -> Self {
        self.config.correlation = Correlation::OneAtATime;
        self
    }

    /// Requests under way at once; 1024 unless told.
    pub fn in_flight_max(mut self, count: usize) -> Self {
        self.config.in_flight_max = count;
        self
    }

    /// Requests that wait in the client for one of those to end, before `request` itself waits; 1024 unless told.
    pub fn waiting_max(mut self, count: usize) -> Self {
        self.config.waiting_max = count;
        self
    }

    /// How long an attempt may be silent. Each part of a streamed reply starts it anew.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.patience.timeout = timeout;
        self
    }

    /// How often a request is sent in all, the first time included; 1 to 255.
    pub fn retries(mut self, retries: u32) -> Self {
        self.patience.retries = retries;
        self
    }

    /// The delays before a lost connection is replaced: the first one, and the longest one that it doubles to.
    pub fn reconnect(mut self, first: Duration, max: Duration) -> Self {
        (self.config.reconnect_first, self.config.reconnect_max) = (first, max);
        self
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

    /// All of the socket's own options at once: limits, mechanism, domain. Its reconnect delays are
    /// [those of the client](Self::reconnect).
    pub fn socket_options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Connects in the background, in a task of the current tokio runtime.
    ///
    /// # Errors
    /// A setting that cannot work.
    pub fn connect(self) -> Result<Client, Error> {
        self.patience.check()?;
        self.config.check()?;
        let endpoint: Endpoint = self
            .endpoint
            .parse()
            .map_err(|error| Misuse::Endpoint { endpoint: self.endpoint, reason: format!("{error}") })?;
        let under_way_max = self.config.slots().saturating_add(self.config.waiting_max).min(Semaphore::MAX_PERMITS);
        let (commands, receiver) = mpsc::unbounded_channel();
        let counters = Arc::new(Counters::default());
        let limits = self.options.limits;
        let reconnect = Backoff { first: self.config.reconnect_first, max: self.config.reconnect_max };
        let link = Link::new(endpoint, Options { reconnect, ..self.options });
        let mut port = OwnerPort::new(link, receiver, counters.clone(), under_way_max);
        let mut multiplex = Multiplex::new(self.config);
        tokio::spawn(async move { drive(&mut multiplex, &mut port, Clock::start()).await });
        let admission = Arc::new(Semaphore::new(under_way_max));
        let next_number = AtomicU64::new(0);
        let shared = Shared { commands, admission, under_way_max, limits, next_number, counters };
        Ok(Client { shared: Arc::new(shared), patience: self.patience })
    }
}

/// A reply that comes part by part; made by [`Client::request_parts`]. Dropped, the request is forgotten.
#[derive(Debug)]
#[must_use = "parts come when `next` is awaited"]
pub struct Parts {
    receiver: mpsc::Receiver<Progress>,
    end: Option<oneshot::Receiver<Result<(), Error>>>,
    under_way: UnderWay,
}

impl Parts {
    /// The next part, the last one too; `None` after it. Cancel safe. [`Progress::Restarted`] says that the parts so
    /// far are void: the request had to be sent again.
    ///
    /// # Errors
    /// [`Error::Timeout`] when no part came in time in the last attempt, [`Error::Lagging`] when more than 1024 parts
    /// were left waiting. Nothing follows an error.
    pub async fn next(&mut self) -> Option<Result<Progress, Error>> {
        if let Some(progress) = self.receiver.recv().await {
            return Some(Ok(progress));
        }
        let outcome = self.end.as_mut()?.await;
        self.end = None;
        self.under_way.over = true;
        match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Err(error)),
            Err(_gone) => Some(Err(Error::Closed)),
        }
    }
}

/// A request that the owner task knows of, for as long as somebody waits for it.
#[derive(Debug)]
struct UnderWay {
    number: Number,
    commands: mpsc::UnboundedSender<Command>,
    over: bool,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.over {
            // An error means that the task is gone, and the request with it.
            let _ = self.commands.send(Command::Forget(self.number));
        }
    }
}
