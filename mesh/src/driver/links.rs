//! The DEALERs, one for each node, and what happens to their connections.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::future::join_all;
use futures_util::stream::{SelectAll, Stream, StreamExt};
use protocol::Frames;
use protocol::zre::NodeId;
use runtime::zmtp::{Dealer, Endpoint, Event, Mechanism, Options};

/// All of them. Only those where something happens are looked at.
#[derive(Debug)]
pub(super) struct Links {
    options: Options,
    open: BTreeMap<NodeId, Arc<Mutex<Slot>>>,
    events: SelectAll<Ear>,
}

/// One DEALER, until it is closed; and whoever waits for its events.
#[derive(Debug)]
struct Slot {
    dealer: Option<Dealer>,
    ear: Option<Waker>,
}

/// Hears whether a DEALER has a connection. Ends when the DEALER is closed.
#[derive(Debug)]
struct Ear {
    node: NodeId,
    slot: Arc<Mutex<Slot>>,
    events: Vec<Event>,
}

impl Links {
    pub(super) fn new(options: Options) -> Self {
        Self { options, open: BTreeMap::new(), events: SelectAll::new() }
    }

    /// Connects in the background; whether the endpoint is one.
    pub(super) fn connect(&mut self, node: NodeId, endpoint: &str, mechanism: Mechanism) -> bool {
        self.close(node);
        let Ok(endpoint) = endpoint.parse::<Endpoint>() else { return false };
        let dealer = Dealer::connect(endpoint, Options { mechanism, ..self.options.clone() });
        let slot = Arc::new(Mutex::new(Slot { dealer: Some(dealer), ear: None }));
        self.events.push(Ear { node, slot: Arc::clone(&slot), events: Vec::new() });
        self.open.insert(node, slot);
        true
    }

    /// Queues a message; whether there was room.
    pub(super) fn send(&self, node: NodeId, frames: Frames) -> bool {
        let Some(slot) = self.open.get(&node) else { return false };
        let mut slot = lock(slot);
        let Some(dealer) = &mut slot.dealer else { return false };
        dealer.try_send(frames).is_ok()
    }

    /// Drops the DEALER and what it still holds.
    pub(super) fn close(&mut self, node: NodeId) {
        if let Some(slot) = self.open.remove(&node) {
            drop(lock(&slot).take());
        }
    }

    /// Waits until a DEALER gets a connection or loses it. Cancel safe.
    pub(super) async fn recv(&mut self) -> (NodeId, bool) {
        match self.events.next().await {
            Some(event) => event,
            // There is none; the loop comes by again when there is.
            None => std::future::pending().await,
        }
    }

    /// Lets all of them send what they hold, within linger.
    pub(super) fn finish(self) -> impl Future<Output = ()> {
        let dealers: Vec<Dealer> = self.open.values().filter_map(|slot| lock(slot).take()).collect();
        async {
            join_all(dealers.into_iter().map(Dealer::close)).await;
        }
    }
}

impl Slot {
    /// Takes the DEALER out, and lets the ear know that there is nothing more to hear.
    fn take(&mut self) -> Option<Dealer> {
        self.ear.take().into_iter().for_each(Waker::wake);
        self.dealer.take()
    }
}

impl Stream for Ear {
    type Item = (NodeId, bool);

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { node, slot, events } = self.get_mut();
        let mut slot = lock(slot);
        let Some(dealer) = &mut slot.dealer else { return Poll::Ready(None) };
        loop {
            if dealer.poll_recv(context, events).is_pending() {
                slot.ear = Some(context.waker().clone());
                return Poll::Pending;
            }
            // The last one counts. A node never says anything over our DEALER.
            let is_up = events.drain(..).fold(None, |is_up, event| match event {
                Event::Connected { .. } => Some(true),
                Event::Disconnected { .. } => Some(false),
                Event::Message { .. } | Event::Refused { .. } => is_up,
            });
            if let Some(is_up) = is_up {
                return Poll::Ready(Some((*node, is_up)));
            }
        }
    }
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
