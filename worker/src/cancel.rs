//! How a handler learns that nobody waits for its answer any more.
//!
//! ```text
//!   Output::Stop ──► Signal ──► the handler's future is dropped            (it never asked)
//!                           └─► Cancellation::cancelled returns            (it asked, and ends by itself)
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Tells a handler that its client has cancelled the request, or its time is over, or its broker is gone.
///
/// Made by [`Request::cancellation`](crate::Request::cancellation). Whoever has one is not cut off: it is told, and is
/// trusted to end soon. Until then it uses the worker's credit.
#[derive(Clone, Debug)]
pub struct Cancellation(Arc<Signal>);

impl Cancellation {
    /// Returns when nobody waits for the answer any more; at once if that is so already. Cancel safe.
    pub async fn cancelled(&self) {
        self.0.stopped().await;
    }

    /// Whether nobody waits any more.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_stopped.load(Ordering::Acquire)
    }
}

/// The other end, shared by the driver, the task of the job and its handler.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    is_stopped: AtomicBool,
    is_watched: AtomicBool,
    notify: Notify,
}

impl Signal {
    pub(crate) fn watch(self: &Arc<Self>) -> Cancellation {
        self.is_watched.store(true, Ordering::Release);
        Cancellation(Arc::clone(self))
    }

    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }

    /// Returns when a handler is to be dropped: it was stopped, and does not see to that itself.
    pub(crate) async fn cut_off(&self) {
        self.stopped().await;
        if self.is_watched.load(Ordering::Acquire) {
            std::future::pending().await
        }
    }

    async fn stopped(&self) {
        // Registered before the look, so that a signal between the two is not missed.
        let mut notified = std::pin::pin!(self.notify.notified());
        notified.as_mut().enable();
        if !self.is_stopped.load(Ordering::Acquire) {
            notified.await;
        }
    }
}
