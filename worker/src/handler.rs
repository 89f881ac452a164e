//! What may serve requests: an async closure, or anything that is a [`tower::Service`].
//!
//! [`Handler`] has a type parameter that nobody writes: it tells the two kinds apart, so that one `serve` takes both.

use std::future::Future;

use tower::{Service, ServiceExt};

use crate::failure::Failure;
use crate::request::{Reply, Request};

/// Serves requests. Cloned for each one, so what its clones share belongs behind an `Arc`.
pub trait Handler<Kind>: Clone + Send + 'static {
    /// Answers one request, or fails: with status 500, or the one that the [`Failure`] names.
    fn call(self, request: Request) -> impl Future<Output = Result<Reply, Failure>> + Send + 'static;
}

/// The kind of handlers that are functions.
#[derive(Debug)]
pub enum Function {}

/// The kind of handlers that are a [`tower::Service`].
#[derive(Debug)]
pub enum Tower {}

impl<F, Answer, Body, Error> Handler<(Function, Answer, Body, Error)> for F
where
    F: FnOnce(Request) -> Answer + Clone + Send + 'static,
    Answer: Future<Output = Result<Body, Error>> + Send + 'static,
    Body: Into<Reply> + 'static,
    Error: Into<Failure> + 'static,
{
    // Also what the function does before its first await happens in the job's own task, where a panic is caught.
    async fn call(self, request: Request) -> Result<Reply, Failure> {
        self(request).await.map(Into::into).map_err(Into::into)
    }
}

impl<S> Handler<Tower> for S
where
    S: Service<Request> + Clone + Send + 'static,
    S::Response: Into<Reply>,
    S::Error: Into<Failure>,
    S::Future: Send + 'static,
{
    // The service is called when it says that it is ready; a limit that its clones share holds for all of them.
    async fn call(self, request: Request) -> Result<Reply, Failure> {
        self.oneshot(request).await.map(Into::into).map_err(Into::into)
    }
}
