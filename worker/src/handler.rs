//! What may serve requests: an async closure, or anything that is a [`tower::Service`].
//!
//! [`Handler`] has a type parameter that nobody writes: it tells the two kinds apart, so that one `serve` takes both.

use std::fmt::Display;
use std::future::Future;

use tower::{Service, ServiceExt};

use crate::request::{Reply, Request};

/// Serves requests. Cloned for each one, so what its clones share belongs behind an `Arc`.
pub trait Handler<Kind>: Clone + Send + 'static {
    /// Answers one request. The error's text becomes a `500` reply.
    fn call(self, request: Request) -> impl Future<Output = Result<Reply, String>> + Send + 'static;
}

/// The kind of handlers that are functions.
#[derive(Debug)]
pub enum Function {}

/// The kind of handlers that are a [`tower::Service`].
#[derive(Debug)]
pub enum Tower {}

impl<F, Answer, Body, Failure> Handler<(Function, Answer, Body, Failure)> for F
where
    F: FnOnce(Request) -> Answer + Clone + Send + 'static,
    Answer: Future<Output = Result<Body, Failure>> + Send + 'static,
    Body: Into<Reply> + 'static,
    Failure: Display + 'static,
{
    // Also what the function does before its first await happens in the job's own task, where a panic is caught.
    async fn call(self, request: Request) -> Result<Reply, String> {
        self(request).await.map(Into::into).map_err(|failure| failure.to_string())
    }
}

impl<S> Handler<Tower> for S
where
    S: Service<Request> + Clone + Send + 'static,
    S::Response: Into<Reply>,
    S::Error: Display,
    S::Future: Send + 'static,
{
    async fn call(self, request: Request) -> Result<Reply, String> {
        self.oneshot(request).await.map(Into::into).map_err(|failure| failure.to_string())
    }
}
