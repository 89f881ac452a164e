//! [`Client`]: many requests under way on one connection, from as many tasks as you like.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use protocol::Frames;
use protocol::mdp::Dialect;
use runtime::zmtp::curve::KeyPair;
use runtime::zmtp::{Backoff, Endpoint, Limits, Login, Mechanism, Options, PublicKey};
use runtime::{Clock, drive};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::ask::{Ask, Checked};
use crate::caller::{Caller, Ear, PARTS_WAITING_MAX};
use crate::error::{Error, Misuse};
use crate::multiplex::{Config, Correlation, Multiplex};
use crate::number::Number;
use crate::owner::{Command, Counters, Counts, OwnerPort};
use crate::parts::Parts;
use crate::patience::{OnTimeout, Patience};
use crate::reply::{Collected, Reply};
use crate::span::{Span, Watched};
use crate::speech::Speech;

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
/// the next one, and second answers are dropped. So a request may be *executed* more than once, unless its
/// [`idempotency`](Ask::idempotency) says otherwise. **Dropping the future of a request cancels it**: the broker is
/// told, and tells the worker.
///
/// It speaks MDP 0.3, and 0.2 with a broker that does not answer 0.3 within 2.5 s ([`Builder::speech`]). In 0.3 an
/// error is told at once as [`Error::Status`]; in 0.1 and 0.2 it is a reply like any other, or silence.
///
/// In 0.1 and 0.2 replies are matched by a number in the envelope, the frames before the empty one, which every broker
/// has to return (RFC 7 asks it for REQ sockets, and libzmq's REQ_CORRELATE relies on it). For brokers that do not,
/// there is [`Builder::one_at_a_time`].
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
    salt: u64,
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
            config: Config {
                seed: fastrand::u64(..),
                salt: fastrand::u64(..),
                identity: identity(),
                ..Config::new(Speech::default())
            },
            patience: Patience::default(),
            options: Options::default(),
        }
    }

    /// The same connection with another patience, for requests that are known to take long, or may not.
    #[must_use]
    pub fn with_patience(&self, patience: Patience) -> Self {
        Self { shared: self.shared.clone(), patience }
    }

    /// A request to `service` with settings of its own.
    pub fn ask(&self, service: impl AsRef<[u8]>) -> Ask<'_> {
        Ask::new(self, service.as_ref(), self.patience)
    }

    /// Asks `service` and collects the reply, all parts of it. When as many requests are under way as are allowed, it
    /// waits for one of them to end; that time does not count towards its timeout.
    ///
    /// # Errors
    /// [`Error::Status`] when the broker or the worker said why there is no answer, [`Error::Timeout`] after the last
    /// attempt, [`Error::TooLarge`] for a reply beyond [`COLLECTED_BYTES_MAX`](crate::reply::COLLECTED_BYTES_MAX),
    /// [`Error::Incomplete`] for one of which parts are missing, [`Error::Misuse`] for what cannot be sent,
    /// [`Error::Closed`] when the runtime has ended.
    pub async fn request(&self, service: impl AsRef<[u8]>, body: impl Into<Frames>) -> Result<Reply, Error> {
        self.ask(service).request(body).await
    }

    /// As [`request`](Self::request), but refuses where that would wait for other requests to end.
    ///
    /// # Errors
    /// [`Error::Full`], and those of [`request`](Self::request).
    pub async fn try_request(&self, service: impl AsRef<[u8]>, body: impl Into<Frames>) -> Result<Reply, Error> {
        self.ask(service).try_request(body).await
    }

    /// Asks `service` and takes the reply part by part, as it comes. Waits as [`request`](Self::request) does until the
    /// request is under way.
    ///
    /// # Errors
    /// [`Error::Misuse`] and [`Error::Closed`]; others come from [`Parts::next`].
    pub async fn request_parts(&self, service: impl AsRef<[u8]>, body: impl Into<Frames>) -> Result<Parts, Error> {
        self.ask(service).stream(body).await
    }

    /// What has happened on the connection so far.
    pub fn counts(&self) -> Counts {
        self.shared.counters.read()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    pub(crate) async fn wait_for_permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        self.shared.admission.clone().acquire_owned().await.map_err(|_| Error::Closed)
    }

    pub(crate) fn try_permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        let full = Error::Full { max: self.shared.under_way_max };
        self.shared.admission.clone().try_acquire_owned().map_err(|_| full)
    }

    pub(crate) async fn collect(&self, checked: Checked, permit: OwnedSemaphorePermit) -> Result<Reply, Error> {
        let (done, outcome) = oneshot::channel();
        let ear = Ear::Whole { collected: Collected::default(), done };
        let mut under_way = self.submit(checked, ear, permit)?;
        let outcome = outcome.await.unwrap_or(Err(Error::Closed));
        under_way.request.end(outcome.as_ref().map(|_| ()));
        outcome
    }

    pub(crate) fn stream(&self, checked: Checked, permit: OwnedSemaphorePermit) -> Result<Parts, Error> {
        let (parts, receiver) = mpsc::channel(PARTS_WAITING_MAX);
        let (done, end) = oneshot::channel();
        let under_way = self.submit(checked, Ear::Parts { parts, done }, permit)?;
        Ok(Parts::new(receiver, end, under_way))
    }

    fn submit(&self, checked: Checked, ear: Ear, permit: OwnedSemaphorePermit) -> Result<UnderWay, Error> {
        let Checked { service, body, patience, mut terms, id, trace } = checked;
        let number = Number(self.shared.next_number.fetch_add(1, Ordering::Relaxed));
        let shown = id.unwrap_or_else(|| number.id(1, self.shared.salt));
        let (span, trace) = Span::open(&service, shown, trace);
        if let Some(trace) = trace {
            terms.passed_on = trace.options();
        }
        let caller = Box::new(Caller { service, ear, span: span.clone(), _permit: permit });
        self.shared
            .commands
            .send(Command::Submit { number, patience, terms, id, body, caller })
            .map_err(|_| Error::Closed)?;
        Ok(UnderWay { number, commands: self.shared.commands.clone(), request: Watched::new(span) })
    }
}

impl Builder {
    /// An older dialect, and nothing else. Brokers other than ours mostly want [`Dialect::V01`].
    pub fn dialect(self, dialect: Dialect) -> Self {
        self.speech(dialect)
    }

    /// Which versions of MDP are spoken: 0.3, and [`Dialect::V02Delimited`] with a broker that does not answer 0.3
    /// within 2.5 s on a connection that stands, unless told. That is written to the log as a warning, and counted in
    /// [`Counts::unanswered`]; each new connection begins with 0.3 again.
    pub fn speech(mut self, speech: impl Into<Speech>) -> Self {
        self.config.speech = speech.into();
        self
    }

    /// Where a broker that is about to leave may send us, as endpoints: new requests go to the first of those it names
    /// that is allowed here, once those that it has have ended. All that holds for the broker's own endpoint holds
    /// there too: mechanism, keys, domain. Nowhere unless told.
    pub fn elsewhere(mut self, endpoints: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.config.elsewhere = endpoints.into_iter().map(Into::into).collect();
        self
    }

    /// What is done when an attempt was silent for too long.
    pub fn on_timeout(mut self, on_timeout: OnTimeout) -> Self {
        self.patience.on_timeout = on_timeout;
        self
    }

    /// For brokers of 0.1 and 0.2 that do not return the envelope: no request numbers, one request at a time on the
    /// wire, the others wait here; a new socket after each one that was given up.
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
        let endpoint = endpoint(&self.endpoint)?;
        for elsewhere in &self.config.elsewhere {
            self::endpoint(elsewhere)?;
        }
        let under_way_max = self.config.slots().saturating_add(self.config.waiting_max).min(Semaphore::MAX_PERMITS);
        let (commands, receiver) = mpsc::unbounded_channel();
        let counters = Arc::new(Counters::default());
        let limits = self.options.limits;
        let reconnect = Backoff { first: self.config.reconnect_first, max: self.config.reconnect_max };
        let options = Options { reconnect, ..self.options };
        let mut port = OwnerPort::new(endpoint, options, receiver, counters.clone());
        let salt = self.config.salt;
        let mut multiplex = Multiplex::new(self.config);
        tokio::spawn(async move { drive(&mut multiplex, &mut port, Clock::start()).await });
        let admission = Arc::new(Semaphore::new(under_way_max));
        let next_number = AtomicU64::new(0);
        let shared = Shared { commands, admission, under_way_max, limits, next_number, salt, counters };
        Ok(Client { shared: Arc::new(shared), patience: self.patience })
    }
}

/// A request that the owner task knows of, for as long as somebody waits for it.
#[derive(Debug)]
pub(crate) struct UnderWay {
    number: Number,
    commands: mpsc::UnboundedSender<Command>,
    pub(crate) request: Watched,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.request.is_over() {
            // An error means that the task is gone, and the request with it.
            let _ = self.commands.send(Command::Forget(self.number));
        }
    }
}

pub(crate) fn endpoint(text: &str) -> Result<Endpoint, Misuse> {
    text.parse().map_err(|error| Misuse::Endpoint { endpoint: text.to_owned(), reason: format!("{error}") })
}

/// What nobody else is called. The first octet is not zero: names that begin so are a ROUTER's own.
pub(crate) fn identity() -> Bytes {
    let mut identity = fastrand::u128(..).to_be_bytes();
    if let Some(first) = identity.first_mut() {
        *first |= 1;
    }
    Bytes::copy_from_slice(&identity)
}
