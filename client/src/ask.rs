//! [`Ask`]: one request with settings of its own.

use std::time::Duration;

use protocol::mdp::v03::{Idempotency, Options, Terms};
use protocol::{Frames, Priority, RequestId, ServiceName};
use runtime::trace::Trace;

use crate::call::{check_body, service_name};
use crate::client::Client;
use crate::error::{Error, Misuse};
use crate::parts::Parts;
use crate::patience::{OnTimeout, Patience};
use crate::reply::Reply;

/// A request that is being put together; made by [`Client::ask`].
///
/// ```no_run
/// # async fn example(client: client::Client) -> Result<(), client::Error> {
/// use std::time::Duration;
///
/// use client::{Idempotency, OnTimeout, Priority};
///
/// let reply = client
///     .ask("invoice")
///     .priority(Priority::MAX)
///     .deadline(Duration::from_secs(20))
///     .idempotency(Idempotency::Once)
///     .on_timeout(OnTimeout::RetryBlocked)
///     .request(["number 7"])
///     .await?;
/// # Ok(())
/// # }
/// ```
///
/// Priority, idempotency and trace context are MDP 0.3; to a broker that does not speak it they cannot be said. A
/// request that is to run [`Once`](Idempotency::Once) is then not sent at all; the others go without.
#[derive(Clone, Debug)]
#[must_use = "nothing is asked before `request` or `stream`"]
pub struct Ask<'client> {
    client: &'client Client,
    service: Vec<u8>,
    patience: Patience,
    terms: Terms,
    trace: Option<(String, Option<String>)>,
    id: Option<RequestId>,
}

impl<'client> Ask<'client> {
    pub(crate) fn new(client: &'client Client, service: &[u8], patience: Patience) -> Self {
        Self { client, service: service.to_owned(), patience, terms: Terms::default(), trace: None, id: None }
    }

    /// How long an attempt may be silent. Each part of a streamed reply starts it anew.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.patience.timeout = timeout;
        self
    }

    /// How often the request is sent in all, the first time included; 1 to 255.
    pub fn retries(mut self, retries: u32) -> Self {
        self.patience.retries = retries;
        self
    }

    /// What is done when an attempt was silent for too long.
    pub fn on_timeout(mut self, on_timeout: OnTimeout) -> Self {
        self.patience.on_timeout = on_timeout;
        self
    }

    /// After how long nobody waits any more, whatever has come until then. The broker is told, and hands it to the
    /// worker. Unless it is said here, a whole reply has as long as [all attempts together](Patience::total), and a
    /// streamed one no end.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.terms.deadline = Some(deadline);
        self
    }

    /// How urgent it is; [`Priority::NORMAL`] unless told.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.terms.priority = priority;
        self
    }

    /// How often it may run; [`Idempotency::Kept`] unless told.
    pub fn idempotency(mut self, idempotency: Idempotency) -> Self {
        self.terms.idempotency = idempotency;
        self
    }

    /// The id of the request in MDP 0.3, in place of one that the client makes: for whoever has to ask again, perhaps
    /// from another connection or after a restart, and wants to be known again. Workers see it as `Request::id`. To a
    /// broker that does not speak 0.3 it cannot be said.
    pub fn id(mut self, id: RequestId) -> Self {
        self.id = Some(id);
        self
    }

    /// What it is a part of, for the worker: `traceparent` and `tracestate` of
    /// [W3C Trace Context](https://www.w3.org/TR/trace-context/). Unless it is said here, that is what the handler
    /// works for in which the request is made. Where somebody listens to the request's span, the worker is told that
    /// span of the same trace, or of a new one; a `traceparent` that cannot be read begins a new trace, too.
    pub fn trace(mut self, traceparent: impl Into<String>, tracestate: Option<&str>) -> Self {
        self.trace = Some((traceparent.into(), tracestate.map(str::to_owned)));
        self
    }

    /// Asks, and collects the reply, all parts of it; see [`Client::request`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn request(self, body: impl Into<Frames>) -> Result<Reply, Error> {
        let (client, checked) = self.whole(body.into())?;
        let permit = client.wait_for_permit().await?;
        client.collect(checked, permit).await
    }

    /// As [`request`](Self::request), but refuses where that would wait for other requests to end.
    ///
    /// # Errors
    /// As [`Client::try_request`].
    pub async fn try_request(self, body: impl Into<Frames>) -> Result<Reply, Error> {
        let (client, checked) = self.whole(body.into())?;
        let permit = client.try_permit()?;
        client.collect(checked, permit).await
    }

    /// Asks, and takes the reply part by part; see [`Client::request_parts`].
    ///
    /// # Errors
    /// As [`Client::request_parts`].
    pub async fn stream(self, body: impl Into<Frames>) -> Result<Parts, Error> {
        let client = self.client;
        let checked = self.check(body.into())?;
        let permit = client.wait_for_permit().await?;
        client.stream(checked, permit)
    }

    fn whole(self, body: Frames) -> Result<(&'client Client, Checked), Misuse> {
        let client = self.client;
        let mut checked = self.check(body)?;
        checked.terms.deadline.get_or_insert(checked.patience.total());
        Ok((client, checked))
    }

    fn check(self, body: Frames) -> Result<Checked, Misuse> {
        let Self { client, service, patience, terms, trace, id } = self;
        check_body(&body, client.limits())?;
        patience.check()?;
        if terms.idempotency == Idempotency::Once && patience.asks_anew() {
            return Err(Misuse::ResentOnce);
        }
        if id.is_some() && patience.asks_anew() {
            return Err(Misuse::ResentId);
        }
        if id == Some(RequestId([0; 16])) {
            return Err(Misuse::ZeroId);
        }
        let trace = if let Some((traceparent, tracestate)) = trace {
            let list = Options::build().trace(&traceparent, tracestate.as_deref()).finish();
            list.map_err(|fault| Misuse::Option { name: "trace", reason: fault.to_string() })?;
            Trace::read(Some(&traceparent), tracestate.as_deref())
        } else {
            None
        };
        Ok(Checked { service: service_name(&service)?, body, patience, terms, id, trace })
    }
}

/// A request that makes sense.
pub(crate) struct Checked {
    pub(crate) service: ServiceName,
    pub(crate) body: Frames,
    pub(crate) patience: Patience,
    pub(crate) terms: Terms,
    pub(crate) id: Option<RequestId>,
    pub(crate) trace: Option<Trace>,
}
