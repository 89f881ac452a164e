//! [`LazyPirate`]: one request at a time, reliable against a broker that is late, restarting or gone.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::mdp::Dialect;
use protocol::mdp::v03::{Idempotency, Terms};
use protocol::{Frames, ServiceName};
use runtime::link::{Heard, Link};
use runtime::zmtp::curve::KeyPair;
use runtime::zmtp::{Login, Mechanism, Options, PublicKey};
use runtime::{Clock, Port, drive};

use crate::call::{check_body, service_name};
use crate::client::{endpoint, identity};
use crate::error::{Error, Misuse};
use crate::event::Event;
use crate::failed::Failure;
use crate::owner::tell;
use crate::patience::{OnTimeout, Patience};
use crate::pirate::{Input, Output, Pirate};
use crate::reply::{Collected, Progress, Reply};
use crate::span::{Span, Watched};
use crate::speech::Speech;

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
/// It speaks MDP 0.3, and 0.2 with a broker that does not answer 0.3 on a connection that stands, within an attempt or
/// 2.5 s ([`speech`](Self::speech)). In 0.3 an error is told at once as [`Error::Status`]; in 0.1 and 0.2 it is a reply
/// like any other, or silence.
///
/// It works with every broker, also with those that cannot return an envelope; brokers other than ours mostly want
/// [`Dialect::V01`]. A `request` whose future is dropped is given up: the next one cancels it, or takes a new socket
/// where the dialect cannot cancel.
#[derive(Debug)]
pub struct LazyPirate {
    endpoint: String,
    speech: Speech,
    patience: Patience,
    idempotency: Idempotency,
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
            speech: Speech::Native { fall_back: Some(Dialect::V02) },
            patience: Patience::default(),
            idempotency: Idempotency::default(),
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

    /// What is done when an attempt was silent for too long. Another attempt takes a new socket in any case, and there
    /// are no other requests that could be blocked: retry and resend differ in the id, which a broker of 0.3 knows.
    #[must_use]
    pub fn on_timeout(mut self, on_timeout: OnTimeout) -> Self {
        self.patience.on_timeout = on_timeout;
        self
    }

    /// How often a request may run; [`Idempotency::Kept`] unless told. Only MDP 0.3 can say it: a request that is to
    /// run [`Once`](Idempotency::Once) is not sent to a broker that does not speak it.
    #[must_use]
    pub fn idempotency(mut self, idempotency: Idempotency) -> Self {
        self.idempotency = idempotency;
        self
    }

    /// An older dialect, and nothing else. Brokers other than ours mostly want [`Dialect::V01`].
    #[must_use]
    pub fn dialect(self, dialect: Dialect) -> Self {
        self.speech(dialect)
    }

    /// Which versions of MDP are spoken; unless told 0.3, and [`Dialect::V02`] with a broker that does not answer 0.3.
    #[must_use]
    pub fn speech(mut self, speech: impl Into<Speech>) -> Self {
        self.speech = speech.into();
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
    /// [`Error::Status`] when the broker or the worker said why there is no answer, [`Error::Timeout`] after the last
    /// attempt, [`Error::TooLarge`] for a reply beyond [`COLLECTED_BYTES_MAX`](crate::reply::COLLECTED_BYTES_MAX),
    /// [`Error::Incomplete`] for one of which parts are missing, [`Error::Misuse`] for what cannot be sent.
    pub async fn request(&mut self, service: impl AsRef<[u8]>, body: impl Into<Frames>) -> Result<Reply, Error> {
        let mut collected = Collected::default();
        let take = |progress| match progress {
            Progress::Part(part) => collected.push(part),
            Progress::Restarted => {
                collected.restart();
                Ok(())
            }
        };
        // A whole reply has as long as all attempts together; who takes parts judges each by itself.
        let deadline = Some(self.patience.total());
        self.exchange(service_name(service.as_ref())?, body.into(), deadline, take).await?;
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
        self.exchange(service_name(service.as_ref())?, body.into(), None, take).await
    }

    async fn exchange(
        &mut self,
        service: ServiceName,
        body: Frames,
        deadline: Option<Duration>,
        take: impl FnMut(Progress) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        self.patience.check()?;
        check_body(&body, &self.options.limits)?;
        if self.idempotency == Idempotency::Once && self.patience.asks_anew() {
            return Err(Misuse::ResentOnce.into());
        }
        let (patience, identity) = (self.patience, self.options.identity.clone());
        let mut terms = Terms { deadline, idempotency: self.idempotency, ..Terms::default() };
        let Running { pirate, link, clock } = self.run()?;
        let (span, trace) = Span::open(&service, pirate.next_id(), None);
        if let Some(trace) = trace {
            terms.passed_on = trace.options();
        }
        let mut watched = Watched::new(span.clone());
        let request = Some(Input::Request { service: service.clone(), body, patience, terms });
        let mut port = PiratePort { link: &mut *link, identity, heard: Vec::new(), request, take, span, outcome: None };
        drive(pirate, &mut port, *clock).await;
        let outcome = match port.outcome {
            Some(Ok(())) => Ok(()),
            Some(Err(Ending::Failed(error))) => Err(error),
            Some(Err(Ending::Without(failure))) => {
                let refusal = link.refusal().map(|refusal| refusal.reason.clone()).unwrap_or_default();
                Err(Error::without_answer(self.endpoint.clone(), service, failure, refusal))
            }
            None => Err(Error::Closed),
        };
        watched.end(outcome.as_ref().copied());
        outcome
    }

    fn run(&mut self) -> Result<&mut Running, Error> {
        if self.running.is_none() {
            let link = Link::new(endpoint(&self.endpoint)?, self.options.clone());
            let pirate = Pirate::new(self.speech).known_by(fastrand::u64(..), identity());
            self.running = Some(Running { pirate, link, clock: Clock::start() });
        }
        self.running.as_mut().ok_or(Error::Closed)
    }
}

/// Connects a [`Pirate`] to its socket for one request.
struct PiratePort<'a, Take> {
    link: &'a mut Link,
    /// What the user wants to be announced in every dialect; mostly nothing.
    identity: Bytes,
    heard: Vec<Heard>,
    request: Option<Input>,
    take: Take,
    span: Span,
    outcome: Option<Result<(), Ending>>,
}

enum Ending {
    Without(Failure),
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
            Output::Open(identity) => {
                self.link.announce(if identity.is_empty() { self.identity.clone() } else { identity });
                self.link.open();
            }
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
            Output::Done(Err(failure)) => {
                self.outcome = Some(Err(Ending::Without(failure)));
                return ControlFlow::Break(());
            }
            Output::Event(event) => {
                if let Event::Retried { attempt, .. } = event {
                    self.span.attempt(attempt);
                }
                tell(&event);
            }
        }
        ControlFlow::Continue(())
    }
}

impl<Take: FnMut(Progress) -> Result<(), Error>> PiratePort<'_, Take> {
    fn hand_over(&mut self, progress: Progress) -> ControlFlow<()> {
        match (self.take)(progress) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                // Nobody wants the rest: the next request finds its predecessor given up.
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
