//! Several links, each to a place that was known from the beginning, by their numbers.

use futures_util::future::select_all;
use protocol::Frames;
use runtime::link::{Heard, Link};
use runtime::zmtp::{Endpoint, Options};

/// All of them, open from the beginning.
#[derive(Debug)]
pub(crate) struct Lines {
    slots: Vec<Slot>,
    /// Whose turn it is to be looked at first.
    next: usize,
}

#[derive(Debug)]
struct Slot {
    link: Link,
    heard: Vec<Heard>,
}

impl Lines {
    /// Connects to each in the background; must be called inside a tokio runtime.
    pub(crate) fn open(endpoints: impl IntoIterator<Item = Endpoint>, options: &Options) -> Self {
        let slot = |endpoint| {
            let mut link = Link::new(endpoint, options.clone());
            link.open();
            Slot { link, heard: Vec::new() }
        };
        Self { slots: endpoints.into_iter().map(slot).collect(), next: 0 }
    }

    /// Waits until one of them hears something, and gives its number and what that is; the next one comes first the
    /// next time. Cancel safe.
    pub(crate) async fn recv(&mut self) -> (usize, Vec<Heard>) {
        let waiting = self.slots.iter_mut().enumerate().map(|(number, slot)| {
            Box::pin(async move {
                slot.link.recv(&mut slot.heard).await;
                number
            })
        });
        let mut waiting: Vec<_> = waiting.collect();
        if waiting.is_empty() {
            return std::future::pending().await;
        }
        waiting.rotate_left(self.next);
        let (number, ..) = select_all(waiting).await;
        self.next = (number + 1) % self.slots.len();
        let heard = self.slots.get_mut(number).map(|slot| std::mem::take(&mut slot.heard));
        (number, heard.unwrap_or_default())
    }

    /// Sends now, or as soon as it can.
    pub(crate) fn send(&mut self, number: usize, frames: Frames) {
        if let Some(slot) = self.slots.get_mut(number) {
            slot.link.send(frames);
        }
    }

    /// Sends unless its peer has not read so much that there is no room for more.
    pub(crate) fn offer(&mut self, number: usize, frames: Frames) {
        if let Some(slot) = self.slots.get_mut(number).filter(|slot| !slot.link.is_full()) {
            slot.link.send(frames);
        }
    }

    /// Offers what did not fit into the sockets again. While much is going on none of them is left waiting for so long
    /// that it does so by itself.
    pub(crate) fn flush(&mut self) {
        self.slots.iter_mut().filter(|slot| slot.link.is_clogged()).for_each(|slot| slot.link.flush());
    }

    /// Whether something did not fit into a socket.
    pub(crate) fn is_clogged(&self) -> bool {
        self.slots.iter().any(|slot| slot.link.is_clogged())
    }

    /// A new connection in place of the one that is there.
    pub(crate) fn reopen(&mut self, number: usize) {
        if let Some(slot) = self.slots.get_mut(number) {
            slot.link.open();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use runtime::zmtp::{Event, Limits, Router};

    use super::*;

    /// A line to a socket that takes a few messages at a time, and the socket; they are connected.
    async fn line() -> (Lines, Router) {
        let limits = Limits { queue_messages_max: 4, ..Limits::default() };
        let options = Options { limits, ..Options::default() };
        let mut router = Router::bind(&["tcp://127.0.0.1:0".parse().unwrap()], options.clone()).await.unwrap();
        let mut lines = Lines::open(router.endpoints().iter().cloned(), &options);
        let mut events = Vec::new();
        while lines.recv().await.1.is_empty() {}
        while events.is_empty() {
            router.recv(&mut events).await;
        }
        (lines, router)
    }

    /// Reads so many messages; a minute is for ever. Meanwhile the owner of the lines is woken all the time.
    async fn read(lines: &mut Lines, router: &mut Router, count: usize) {
        let (mut read, mut events) = (0, Vec::new());
        let all = async {
            while read < count {
                tokio::select! {
                    biased;
                    () = router.recv(&mut events) => {}
                    _ = lines.recv() => {}
                    () = tokio::task::yield_now() => lines.flush(),
                }
                read += events.drain(..).filter(|event| matches!(event, Event::Message { .. })).count();
            }
        };
        tokio::time::timeout(Duration::from_secs(60), all).await.expect("nothing more comes");
    }

    #[tokio::test]
    async fn what_did_not_fit_into_a_socket_leaves_however_often_its_owner_is_woken() {
        let (mut lines, mut router) = line().await;
        let body = Bytes::from(vec![0; 16 << 10]);
        let mut said = 0;
        while said < 100 || !lines.is_clogged() {
            lines.send(0, [body.clone()].into());
            said += 1;
        }
        read(&mut lines, &mut router, said).await;
        assert!(!lines.is_clogged());
    }

    #[tokio::test]
    async fn what_is_offered_to_a_peer_that_has_not_read_too_much_is_dropped_and_the_rest_arrives() {
        let (mut lines, mut router) = line().await;
        let body = Bytes::from(vec![0; 1 << 20]);
        let mut said = 0;
        while !lines.slots[0].link.is_full() {
            lines.offer(0, [body.clone()].into());
            said += 1;
        }
        (0..10).for_each(|_| lines.offer(0, ["too much"].into()));
        read(&mut lines, &mut router, said).await;
        lines.offer(0, ["the last one"].into());
        let mut events = Vec::new();
        while events.is_empty() {
            router.recv(&mut events).await;
        }
        assert!(
            matches!(&events[..], [Event::Message { frames, .. }] if &frames[0][..] == b"the last one"),
            "{events:?}"
        );
    }
}
