//! The wish to end, shared by every task of a process.
//!
//! The first SIGINT or SIGTERM asks for a clean end. Whoever holds a [`Shutdown`] sees it; nobody is cut off. The
//! second one insists: whoever still finishes something may be told to leave it.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// A wish to end that can be waited for; clones see the same wish.
#[derive(Clone, Debug)]
pub struct Shutdown {
    wishes: watch::Receiver<u32>,
}

/// The other end: wishes.
#[derive(Debug)]
pub struct Trigger(watch::Sender<u32>);

impl Trigger {
    /// Asks every holder of the [`Shutdown`] to end; the second time, to end at once.
    pub fn pull(&self) {
        self.0.send_modify(|wishes| *wishes = wishes.saturating_add(1));
    }
}

impl Shutdown {
    /// A wish and the trigger that makes it. A dropped trigger is a wish too: nobody is left who could make one.
    pub fn new() -> (Trigger, Self) {
        let (sender, wishes) = watch::channel(0);
        (Trigger(sender), Self { wishes })
    }

    /// Follows SIGINT and SIGTERM of this process.
    ///
    /// # Errors
    /// When the operating system refuses a signal handler.
    pub fn on_signals() -> std::io::Result<Self> {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (trigger, shutdown) = Self::new();
        tokio::spawn(async move {
            for _ in 0..2 {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                trigger.pull();
            }
        });
        Ok(shutdown)
    }

    /// Returns once the end is wished; at once if it already is. Cancel safe.
    pub async fn wished(&mut self) {
        // An error means that the trigger was dropped.
        let _ = self.wishes.wait_for(|wishes| *wishes > 0).await;
    }

    /// Returns once the end is wished for the second time. A trigger that was dropped insists on nothing. Cancel safe.
    pub async fn insisted(&mut self) {
        if self.wishes.wait_for(|wishes| *wishes > 1).await.is_err() {
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_clone_sees_the_wish_also_when_it_asks_late() {
        let (trigger, mut shutdown) = Shutdown::new();
        let mut early = shutdown.clone();
        let waiting = tokio::spawn(async move { early.wished().await });
        trigger.pull();
        waiting.await.unwrap();
        shutdown.wished().await;
        shutdown.wished().await;
    }

    #[tokio::test]
    async fn a_second_wish_insists_and_a_dropped_trigger_does_not() {
        let (trigger, shutdown) = Shutdown::new();
        let mut insisting = shutdown.clone();
        let mut insisted = polled(async move { insisting.insisted().await });
        trigger.pull();
        assert!(!insisted(), "once is a wish");
        trigger.pull();
        assert!(insisted());
        let (trigger, mut shutdown) = Shutdown::new();
        drop(trigger);
        shutdown.wished().await;
        assert!(!polled(async move { shutdown.insisted().await })());
    }

    /// Whether a future is ready, whenever that is asked.
    fn polled(future: impl Future<Output = ()>) -> impl FnMut() -> bool {
        let mut future = Box::pin(future);
        move || {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            future.as_mut().poll(&mut context).is_ready()
        }
    }
}
