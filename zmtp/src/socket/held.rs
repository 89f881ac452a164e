//! Batches for busy peers: writers that wait a moment so that one write carries several messages.
//!
//! A peer with many requests under way gets its answers one by one if each leaves at once, and every write costs a
//! system call here and one there. While there is more to receive, the wake-up of such a peer's writer is held: the
//! answers of the next moments join it. As soon as nothing is left to receive, or after [`COMPANY_MAX`] messages, all
//! leave. Nothing waits for a clock, and a peer that takes one answer at a time never waits ([`super::outlet`]).

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

/// Messages received while a writer is held, at most.
const COMPANY_MAX: usize = 1024;

/// The writers that wait.
#[derive(Debug, Default)]
pub(crate) struct Held {
    writers: Vec<Waker>,
    /// Events received since the first of them was held.
    company: usize,
    /// The sockets are being looked at once more.
    looking: bool,
}

impl Held {
    /// Holds a writer's wake-up.
    pub(crate) fn hold(&mut self, writer: Waker) {
        self.writers.push(writer);
    }

    /// Something was received.
    pub(crate) fn on_received(&mut self, events: usize) {
        self.looking = false;
        if self.writers.is_empty() {
            return;
        }
        self.company += events;
        if self.company >= COMPANY_MAX {
            self.release();
        }
    }

    /// Nothing is left to receive. Before the writers go, the sockets are looked at once: the task is polled again
    /// after that, and if it then still finds nothing, all are woken.
    pub(crate) fn on_idle(&mut self, context: &mut Context<'_>) {
        if self.writers.is_empty() {
            return;
        }
        if std::mem::replace(&mut self.looking, true) {
            return self.release();
        }
        // The first poll asks for the wake-up, and that is all that is wanted of it.
        let _ = pin!(tokio::task::yield_now()).poll(context);
    }

    fn release(&mut self) {
        (self.company, self.looking) = (0, false);
        self.writers.drain(..).for_each(Waker::wake);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Writer(AtomicUsize);

    impl Wake for Writer {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Writer {
        fn woken(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn held(writer: &Arc<Writer>) -> Held {
        let mut held = Held::default();
        held.hold(Arc::clone(writer).into());
        held
    }

    #[test]
    fn idle_looks_once_more_and_then_lets_go() {
        let writer = Arc::<Writer>::default();
        let mut held = held(&writer);
        let context = &mut Context::from_waker(Waker::noop());
        held.on_idle(context);
        assert_eq!(writer.woken(), 0);
        held.on_received(1);
        held.on_idle(context);
        assert_eq!(writer.woken(), 0, "the second look found something");
        held.on_idle(context);
        assert_eq!(writer.woken(), 1);
        held.on_idle(context);
        assert_eq!(writer.woken(), 1);
    }

    #[test]
    fn the_owner_is_polled_again_before_it_sleeps() {
        let (writer, owner) = (Arc::<Writer>::default(), Arc::<Writer>::default());
        let mut held = held(&writer);
        let waker = Waker::from(Arc::clone(&owner));
        held.on_idle(&mut Context::from_waker(&waker));
        assert_eq!(owner.woken(), 1);
        held.on_idle(&mut Context::from_waker(&waker));
        assert_eq!((owner.woken(), writer.woken()), (1, 1));
    }

    #[test]
    fn a_busy_owner_lets_go_after_so_many_messages() {
        let writer = Arc::<Writer>::default();
        let mut held = held(&writer);
        for _ in 1..COMPANY_MAX {
            held.on_received(1);
        }
        assert_eq!(writer.woken(), 0);
        held.on_received(1);
        assert_eq!(writer.woken(), 1);
    }

    #[test]
    fn nobody_is_left_waiting_when_the_owner_goes() {
        let writer = Arc::<Writer>::default();
        drop(held(&writer));
        assert_eq!(writer.woken(), 1);
    }
}
