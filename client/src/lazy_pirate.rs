//! [`LazyPirate`]: one request at a time, reliable against a broker that is late, restarting or gone.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use protocol::mdp::Dialect;
use protocol::{Frames, ServiceName};
use runtime::link::{Heard, Link};
use runtime::zmtp::curve::KeyPair;
use runtime::zmtp::{Endpoint, Login, Mechanism, Options, PublicKey};
use runtime::{Clock, Port, drive};

use crate::call::{check_body, service_name};
use crate::error::{Error, Misuse};
use crate::event::Event;
use crate::patience::{Patience, Silence};
use crate::pirate::{Input, Output, Pirate};
use crate::reply::{Collected, Progress, Reply};

/// A client that asks one request at a time, and again on a new socket when nobody answers.
///
/// ```no_run
/// # async fn example() -> Result<(), client::Error> {
/// use client::LazyPirate;
///
/// let mut pirate = LazyPirate::new("tcp://127.0.0.1:5555").retries(5);
/// let reply = pirate.request("echo", ["hello"]).await?;
/// println!("{:?}", reply.body);
/// # Ok(())
/// # }
/// ```
///
/// It works with every broker, also with those that cannot return an envelope; brokers other than ours mostly want
/// [`Dialect::V01`]. A `request` whose future is dropped is given up; the next one takes a new socket.
#[derive(Debug)]
pub struct LazyPirate {
    endpoint: String,
    dialect: Dialect,
    patience: Patience,
    options: Options,
    /// Made by the first request, so that no constructor can fail.
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    pirate: Pirate,
    link: Link,
    clock: Clock,
}

impl LazyPirate {
    /// A client of the broker at `endpoint` (`tcp://host:port` or `ipc://path`): 2.5 s, three times. It connects with
    /// its first request.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            dialect: Dialect::V02,
            patience: Patience::default(),
            options: Options::default(),
            running: None,
        }
    }

    /// How long an attempt may be silent. Each part of a streamed reply starts it anew.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.patience.timeout = timeout;
        self
    }

    /// How often a request is sent in all, the first time included (the Guide's REQUEST_RETRIES); 1 to 255.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.patience.retries = retries;
        self
    }

    /// How the broker is spoken to; [`Dialect::V02`] unless told.
    #[must_use]
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Talks over CURVE, and only to the broker that has the secret key of `server`. `keys` are ours.
    #[must_use]
    pub fn curve(mut self, server: PublicKey, keys: KeyPair) -> Self {
        self.options.mechanism = Mechanism::CurveClient { keys: Arc::new(keys), server };
        self
    }

    /// Shows the broker a user and a password, in clear text.
    #[must_use]
    pub fn plain(mut self, login: Login) -> Self {
        self.options.mechanism = Mechanism::PlainClient(Arc::new(login));
        self
    }

    /// Where we belong, such as `dev`, `test` or `prod`: a broker of another domain is none of ours. Up to 255 bytes.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.options.domain = domain.into();
        self
    }

    /// All of the socket's own options at once: limits, mechanism, domain.
    #[must_use]
    pub fn socket_options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Asks `service` and collects the reply, all parts of it.
    ///
    /// # Errors
    /// [`Error::Timeout`] after the last attempt, [`Error::TooLarge`] for a reply beyond
    /// [`COLLECTED_BYTES_MAX`](crate::reply::COLLECTED_BYTES_MAX), [`Error::Misuse`] for what cannot be sent.
    pub async fn request(&mut self, service: impl AsRef<[u8]>, body: impl Into<Frames>) -> Result<Reply, Error> {
        let mut collected = Collected::default();
        let take = |progress| match progress {
            Progress::Part(part) => collected.push(part),
            Progress::Restarted => {
                collected.restart();
                Ok(())
            }
        };
        self.exchange(service_name(service.as_ref())?, body.into(), take).await?;
        Ok(collected.finish())
    }

    /// Asks `service` and hands over the reply part by part, as it comes, the last part too.
    ///
    /// When the request has to be sent again after parts were handed over, [`Progress::Restarted`] says that they are
    /// void: another run of the service begins anew.
    ///
    /// # Errors
    /// As [`request`](Self::request), apart from the size.
    pub async fn request_parts(
        &mut self,
        service: impl AsRef<[u8]>,
        body: impl Into<Frames>,
        mut take: impl FnMut(Progress) + Send,
    ) -> Result<(), Error> {
        let take = move |progress| {
            take(progress);
            Ok(())
        };
        self.exchange(service_name(service.as_ref())?, body.into(), take).await
    }

    async fn exchange(
        &mut self,
        service: ServiceName,
        body: Frames,
        take: impl FnMut(Progress) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        self.patience.check()?;
        check_body(&body, &self.options.limits)?;
        let patience = self.patience;
        let Running { pirate, link, clock } = self.run()?;
        let request = Input::Request { service: service.clone(), body, patience };
        let mut port = PiratePort { link: &mut *link, heard: Vec::new(), request: Some(request), take, outcome: None };
        drive(pirate, &mut port, *clock).await;
        match port.outcome {
            Some(Ok(())) => Ok(()),
            Some(Err(Ending::Failed(error))) => Err(error),
            Some(Err(Ending::Silent(silence))) => {
                let refusal = link.refusal().map(|refusal| refusal.reason.clone()).unwrap_or_default();
                Err(Error::silence(self.endpoint.clone(), service, silence, refusal))
            }
            None => Err(Error::Closed),
        }
    }

    fn run(&mut self) -> Result<&mut Running, Error> {
        if self.running.is_none() {
            let endpoint: Endpoint = self
                .endpoint
                .parse()
                .map_err(|error| Misuse::Endpoint { endpoint: self.endpoint.clone(), reason: format!("{error}") })?;
            let link = Link::new(endpoint, self.options.clone());
            self.running = Some(Running { pirate: Pirate::new(self.dialect), link, clock: Clock::start() });
        }
        self.running.as_mut().ok_or(Error::Closed)
    }
}

/// Connects a [`Pirate`] to its socket for one request.
struct PiratePort<'a, Take> {
    link: &'a mut Link,
    heard: Vec<Heard>,
    request: Option<Input>,
    take: Take,
    outcome: Option<Result<(), Ending>>,
}

enum Ending {
    Silent(Silence),
    Failed(Error),
}

impl<Take: FnMut(Progress) -> Result<(), Error> + Send> Port<Pirate> for PiratePort<'_, Take> {
    async fn recv(&mut self, inputs: &mut Vec<Input>) {
        if self.request.is_some() {
            // What happened between two requests comes first: the connection may be another one by now, or none.
            self.link.recv_ready(&mut self.heard).await;
        } else {
            self.link.recv(&mut self.heard).await;
        }
        inputs.extend(self.heard.drain(..).map(Input::from));
        inputs.extend(self.request.take());
    }

    fn perform(&mut self, output: Output, _inputs: &mut Vec<Input>) -> ControlFlow<()> {
        match output {
            Output::Open => self.link.open(),
            Output::Close => self.link.close(),
            Output::Send(frames) => self.link.send(frames),
            Output::Part(part) => return self.hand_over(Progress::Part(part)),
            Output::Restarted => return self.hand_over(Progress::Restarted),
            Output::Done(Ok(last)) => {
                if self.hand_over(Progress::Part(last)).is_continue() {
                    self.outcome = Some(Ok(()));
                }
                return ControlFlow::Break(());
            }
            Output::Done(Err(silence)) => {
                self.outcome = Some(Err(Ending::Silent(silence)));
                return ControlFlow::Break(());
            }
            Output::Event(event) => trace(&event),
        }
        ControlFlow::Continue(())
    }
}

impl<Take: FnMut(Progress) -> Result<(), Error>> PiratePort<'_, Take> {
    fn hand_over(&mut self, progress: Progress) -> ControlFlow<()> {
        match (self.take)(progress) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                // Nobody wants the rest; the next request finds its predecessor given up and opens a new socket.
                self.link.close();
                self.outcome = Some(Err(Ending::Failed(error)));
                ControlFlow::Break(())
            }
        }
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

pub(crate) fn trace(event: &Event) {
    tracing::debug!(?event);
}
