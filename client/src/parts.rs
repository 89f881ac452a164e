//! [`Parts`]: a reply of the asynchronous client, part by part.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use tokio::sync::{mpsc, oneshot};

use crate::client::UnderWay;
use crate::error::Error;
use crate::reply::Progress;

/// A reply that comes part by part; made by [`Client::request_parts`](crate::Client::request_parts). It is a `Stream`.
/// **Dropping it cancels the request.**
#[derive(Debug)]
#[must_use = "parts come when `next` is awaited"]
pub struct Parts {
    receiver: mpsc::Receiver<Progress>,
    end: Option<oneshot::Receiver<Result<(), Error>>>,
    under_way: UnderWay,
}

impl Parts {
    pub(crate) fn new(
        receiver: mpsc::Receiver<Progress>,
        end: oneshot::Receiver<Result<(), Error>>,
        under_way: UnderWay,
    ) -> Self {
        Self { receiver, end: Some(end), under_way }
    }

    /// The next part, the last one too; `None` after it. Cancel safe. [`Progress::Restarted`] says that the parts so
    /// far are void: the request had to be sent again.
    ///
    /// # Errors
    /// [`Error::Status`] when the answer broke off and it was said why, [`Error::Timeout`] when no part came in time in
    /// the last attempt, [`Error::Lagging`] when more than 1024 parts were left waiting. Nothing follows an error.
    pub async fn next(&mut self) -> Option<Result<Progress, Error>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl Stream for Parts {
    type Item = Result<Progress, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(progress) = ready!(self.receiver.poll_recv(context)) {
            return Poll::Ready(Some(Ok(progress)));
        }
        let Some(end) = &mut self.end else { return Poll::Ready(None) };
        let outcome = ready!(Pin::new(end).poll(context));
        self.end = None;
        let outcome = outcome.unwrap_or(Err(Error::Closed));
        self.under_way.request.end(outcome.as_ref().copied());
        Poll::Ready(outcome.err().map(Err))
    }
}
