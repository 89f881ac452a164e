//! The wish to end, shared by every task of a process.
//!
//! The first SIGINT or SIGTERM asks for a clean end. Whoever holds a [`Shutdown`] sees it; nobody is cut off.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// A wish to end that can be waited for; clones see the same wish.
#[derive(Clone, Debug)]
pub struct Shutdown {
    wished: watch::Receiver<bool>,
}

/// The other end: wishes.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

impl Trigger {
    /// Asks every holder of the [`Shutdown`] to end.
    pub fn pull(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// A wish and the trigger that makes it. A dropped trigger is a wish too: nobody is left who could make one.
    pub fn new() -> (Trigger, Self) {
        let (sender, wished) = watch::channel(false);
        (Trigger(sender), Self { wished })
    }

    /// Follows SIGINT and SIGTERM of this process.
    ///
    /// # Errors
    /// When the operating system refuses a signal handler.
    pub fn on_signals() -> std::io::Result<Self> {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (trigger, shutdown) = Self::new();
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            trigger.pull();
        });
        Ok(shutdown)
    }

    /// Returns once the end is wished; at once if it already is. Cancel safe.
    pub async fn wished(&mut self) {
        // An error means that the trigger was dropped.
        let _ = self.wished.wait_for(|wished| *wished).await;
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
}
