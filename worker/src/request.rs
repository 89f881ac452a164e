//! What a handler gets and what it gives.

use std::pin::Pin;

use futures_util::Stream;
use protocol::{Frames, ServiceName};

/// A request, as a handler sees it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// The service that was asked.
    pub service: ServiceName,
    /// One frame or more.
    pub body: Frames,
}

/// A handler's answer: one body, or a stream of them. [`Frames`] become one by `into()`.
#[must_use]
pub enum Reply {
    /// The whole answer. Nothing counts as one empty frame.
    Whole(Frames),
    /// An answer in parts; made by [`Reply::stream`] and [`Reply::stream_then`].
    Parts(Parts),
}

/// A stream of bodies, and what follows it.
pub struct Parts {
    pub(crate) stream: Pin<Box<dyn Stream<Item = Frames> + Send>>,
    pub(crate) last: Option<Frames>,
}

impl Reply {
    /// Each item becomes a PARTIAL and the last one the FINAL. Since nobody knows which is the last before the stream
    /// ends, an item leaves when the next one is there; [`stream_then`](Self::stream_then) is for those who cannot
    /// wait.
    ///
    /// The stream is polled no faster than the broker takes its items. A worker that speaks 0.1, which has no PARTIAL,
    /// joins the items into one reply, up to the size of one message; a larger one becomes an error reply.
    pub fn stream(parts: impl Stream<Item = Frames> + Send + 'static) -> Self {
        Self::Parts(Parts { stream: Box::pin(parts), last: None })
    }

    /// Each item becomes a PARTIAL and leaves at once; `last` follows as the FINAL.
    pub fn stream_then(parts: impl Stream<Item = Frames> + Send + 'static, last: impl Into<Frames>) -> Self {
        Self::Parts(Parts { stream: Box::pin(parts), last: Some(last.into()) })
    }
}

impl<F: Into<Frames>> From<F> for Reply {
    fn from(frames: F) -> Self {
        Self::Whole(frames.into())
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(frames) => formatter.debug_tuple("Whole").field(frames).finish(),
            Self::Parts(parts) => formatter.debug_tuple("Parts").field(parts).finish(),
        }
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Parts").field("last", &self.last).finish_non_exhaustive()
    }
}
