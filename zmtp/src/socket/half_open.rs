//! Connections in their handshake, which cost us something and have proved nothing: capped in all and per address.
//!
//! At a cap the *oldest* makes room, not the newest: a peer in good faith is through in a round trip or two, so those
//! who have waited long are the suspects, and a crowd of them cannot lock out anybody who comes later.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::socket::stats::Counters;

/// Where a connection comes from; local sockets have no address and share one place.
pub(crate) type Origin = Option<IpAddr>;

/// The origin of a TCP peer. Whoever has one IPv6 address has the 2^64 beside it: they count as one.
pub(crate) fn origin(address: IpAddr) -> Origin {
    match address.to_canonical() {
        IpAddr::V6(address) => Some(IpAddr::V6((u128::from(address) >> 64 << 64).into())),
        address => Some(address),
    }
}

/// All half-open connections of a socket.
#[derive(Debug)]
pub(crate) struct HalfOpen {
    max: usize,
    per_address_max: usize,
    counters: Arc<Counters>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    count: usize,
    /// By number of the connection, which grows with time.
    origins: HashMap<Origin, BTreeMap<u64, Arc<Notify>>>,
}

/// A place among the half-open; left when dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    all: Arc<HalfOpen>,
    origin: Origin,
    number: u64,
    evicted: Arc<Notify>,
}

impl HalfOpen {
    pub(crate) fn new(max: usize, per_address_max: usize, counters: Arc<Counters>) -> Arc<Self> {
        Arc::new(Self { max, per_address_max, counters, state: Mutex::default() })
    }

    /// Lets a new connection in, if need be in the place of an older one.
    pub(crate) fn enter(self: &Arc<Self>, origin: Origin, number: u64) -> Pass {
        let evicted = Arc::new(Notify::new());
        let mut state = self.lock();
        let siblings = state.origins.get(&origin).map_or(0, BTreeMap::len);
        // Local sockets are as trusted as files: for them only the cap of all counts.
        if origin.is_some() && siblings >= self.per_address_max {
            self.evict(&mut state, origin);
        } else if state.count >= self.max {
            let busiest = state.origins.iter().max_by_key(|(_, members)| members.len());
            if let Some(busiest) = busiest.map(|(origin, _)| *origin) {
                self.evict(&mut state, busiest);
            }
        }
        if state.closed {
            evicted.notify_one();
        }
        state.origins.entry(origin).or_default().insert(number, Arc::clone(&evicted));
        state.count += 1;
        self.counters.half_open.store(state.count, Relaxed);
        drop(state);
        Pass { all: Arc::clone(self), origin, number, evicted }
    }

    /// Ends all of them, and every one that still comes.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.origins.values().flat_map(BTreeMap::values).for_each(|evicted| evicted.notify_one());
    }

    fn evict(&self, state: &mut State, origin: Origin) {
        let Some(members) = state.origins.get_mut(&origin) else { return };
        let Some((_, evicted)) = members.pop_first() else { return };
        evicted.notify_one();
        state.count -= 1;
        self.counters.evicted.fetch_add(1, Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// Waits until this connection has to make room.
    pub(crate) async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.all.lock();
        let Some(members) = state.origins.get_mut(&self.origin) else { return };
        let removed = members.remove(&self.number).is_some();
        if members.is_empty() {
            state.origins.remove(&self.origin);
        }
        if removed {
            state.count -= 1;
        }
        self.all.counters.half_open.store(state.count, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half_open(max: usize, per_address_max: usize) -> (Arc<HalfOpen>, Arc<Counters>) {
        let counters = Arc::new(Counters::default());
        (HalfOpen::new(max, per_address_max, Arc::clone(&counters)), counters)
    }

    fn address(last: u8) -> Origin {
        Some(IpAddr::from([127, 0, 0, last]))
    }

    async fn is_evicted(pass: &Pass) -> bool {
        tokio::select! { biased; () = pass.evicted() => true, () = std::future::ready(()) => false }
    }

    #[tokio::test]
    async fn half_open_per_address_max_evicts_the_oldest_of_that_address_only() {
        let (all, counters) = half_open(10, 2);
        let other = all.enter(address(2), 0);
        let (first, second) = (all.enter(address(1), 1), all.enter(address(1), 2));
        let third = all.enter(address(1), 3);
        assert!(is_evicted(&first).await);
        for kept in [&other, &second, &third] {
            assert!(!is_evicted(kept).await);
        }
        assert_eq!((counters.half_open.load(Relaxed), counters.evicted.load(Relaxed)), (3, 1));
    }

    #[test]
    fn neighbours_in_ipv6_are_one_origin_and_mapped_addresses_are_ipv4() {
        let of = |text: &str| origin(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:127.0.0.1"), of("127.0.0.1"));
        assert_ne!(of("127.0.0.1"), of("127.0.0.2"));
    }

    #[tokio::test]
    async fn half_open_max_evicts_from_the_busiest_address() {
        let (all, _) = half_open(3, 3);
        let modest = all.enter(address(2), 0);
        let greedy = [all.enter(address(1), 1), all.enter(address(1), 2)];
        let _newest = all.enter(address(3), 3);
        assert!(is_evicted(&greedy[0]).await && !is_evicted(&greedy[1]).await && !is_evicted(&modest).await);
    }

    #[tokio::test]
    async fn who_leaves_makes_room_once_even_after_an_eviction() {
        let (all, counters) = half_open(10, 1);
        let first = all.enter(address(1), 1);
        let second = all.enter(address(1), 2);
        drop(first);
        assert_eq!(counters.half_open.load(Relaxed), 1);
        drop(second);
        assert_eq!(counters.half_open.load(Relaxed), 0);
        assert!(all.lock().origins.is_empty());
    }

    #[tokio::test]
    async fn closing_ends_those_inside_and_those_who_come_later() {
        let (all, _) = half_open(10, 10);
        let inside = all.enter(address(1), 1);
        all.close();
        let late = all.enter(address(1), 2);
        assert!(is_evicted(&inside).await && is_evicted(&late).await);
    }
}
