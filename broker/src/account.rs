//! How much of its limits a peer has used: requests a second, requests in flight, connections.
//!
//! Limits are those of a credential: a client does not get more by connecting more often. A peer that has shown none
//! stands for itself, and takes its account along when it leaves.
//!
//! ```text
//!   connections_max = 2:   first ─► in    second ─► in    third ─► in, to be told 429 and closed    fourth ─► closed
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use protocol::{Instant, PeerId, PeerLimits};

use crate::event::RequestEnd;

/// Whose account it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    /// All connections with this credential.
    Credential(Arc<str>),
    /// One connection without any.
    Connection(PeerId),
}

/// All accounts. One without connections is kept while it has something to remember, and then swept.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    by_holder: BTreeMap<Holder, Account>,
    sweep_at: usize,
}

/// A request in flight: the account counts how many of these live, so that no end of a request can be forgotten.
#[derive(Debug)]
pub(crate) struct InFlight {
    _count: Arc<()>,
}

/// How a connection comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// As any other.
    Regular,
    /// One too many: its first request is told so, then it is closed.
    Surplus,
    /// There is such a one already: closed at once.
    Beyond,
}

#[derive(Debug)]
struct Account {
    limits: PeerLimits,
    connections: BTreeSet<PeerId>,
    surplus: Option<PeerId>,
    /// When all requests of a second can be made at once again.
    full_at: Instant,
    work: Arc<()>,
}

impl Accounts {
    /// A connection comes in.
    pub(crate) fn enter(&mut self, now: Instant, holder: &Holder, peer: PeerId, limits: PeerLimits) -> Entry {
        let account = self.open(now, holder, limits);
        let room = account.limits.connections_max.map_or(usize::MAX, |max| count(max.get()));
        if account.connections.len() < room {
            account.connections.insert(peer);
            return Entry::Regular;
        }
        if account.surplus.is_some() {
            return Entry::Beyond;
        }
        account.surplus = Some(peer);
        Entry::Surplus
    }

    /// A connection that is in already gets other limits. It stays, whatever they are.
    pub(crate) fn adopt(&mut self, now: Instant, holder: &Holder, peer: PeerId, limits: PeerLimits) {
        let account = self.open(now, holder, limits);
        if account.surplus != Some(peer) {
            account.connections.insert(peer);
        }
    }

    /// A connection is gone; one that was too many takes its place.
    pub(crate) fn leave(&mut self, holder: &Holder, peer: PeerId) {
        if let Holder::Connection(_) = holder {
            self.by_holder.remove(holder);
        }
        let Some(account) = self.by_holder.get_mut(holder) else { return };
        if account.surplus == Some(peer) {
            account.surplus = None;
        } else if account.connections.remove(&peer) {
            account.connections.extend(account.surplus.take());
        }
    }

    /// Whether this connection is one too many.
    pub(crate) fn is_surplus(&self, holder: &Holder, peer: PeerId) -> bool {
        self.by_holder.get(holder).is_some_and(|account| account.surplus == Some(peer))
    }

    /// Counts a request that has just come.
    pub(crate) fn charge(&mut self, now: Instant, holder: &Holder, peer: PeerId) -> Result<(), RequestEnd> {
        let Some(account) = self.by_holder.get_mut(holder) else { return Ok(()) };
        if account.surplus == Some(peer) {
            return Err(RequestEnd::TooManyConnections);
        }
        let Some(per_second) = account.limits.requests_per_second else { return Ok(()) };
        // A bucket of as many requests as a second has, as the instant when it is full again.
        let full_at = account.full_at.max(now) + SECOND / per_second.get();
        if full_at > now + SECOND {
            return Err(RequestEnd::TooFast);
        }
        account.full_at = full_at;
        Ok(())
    }

    /// Lets a request be in flight, as long as what is returned lives; `None` where nobody counts.
    pub(crate) fn fly(&self, holder: &Holder) -> Result<Option<InFlight>, RequestEnd> {
        let Some(account) = self.by_holder.get(holder) else { return Ok(None) };
        let Some(max) = account.limits.in_flight_max else { return Ok(None) };
        if account.in_flight() >= count(max.get()) {
            return Err(RequestEnd::TooManyInFlight);
        }
        Ok(Some(InFlight { _count: Arc::clone(&account.work) }))
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_holder.len()
    }

    /// Requests in flight of all holders that have such a limit.
    #[cfg(test)]
    pub(crate) fn in_flight(&self) -> usize {
        self.by_holder.values().map(Account::in_flight).sum()
    }

    fn open(&mut self, now: Instant, holder: &Holder, limits: PeerLimits) -> &mut Account {
        self.sweep(now);
        let account = self.by_holder.entry(holder.clone()).or_insert_with(Account::new);
        account.limits = limits;
        account
    }

    /// Forgets accounts that a new one would not differ from; not more often than it takes for as many to come again.
    fn sweep(&mut self, now: Instant) {
        if self.by_holder.len() >= self.sweep_at.max(SWEEP_MIN) {
            self.by_holder.retain(|_, account| account.is_needed(now));
            self.sweep_at = self.by_holder.len() * 2;
        }
    }
}

impl Account {
    fn new() -> Self {
        Self {
            limits: PeerLimits::default(),
            connections: BTreeSet::new(),
            surplus: None,
            full_at: Instant::ZERO,
            work: Arc::new(()),
        }
    }

    fn in_flight(&self) -> usize {
        Arc::strong_count(&self.work) - 1
    }

    fn is_needed(&self, now: Instant) -> bool {
        !self.connections.is_empty() || self.surplus.is_some() || self.in_flight() > 0 || self.full_at > now
    }
}

fn count(max: u32) -> usize {
    usize::try_from(max).unwrap_or(usize::MAX)
}

const SECOND: Duration = Duration::from_secs(1);
const SWEEP_MIN: usize = 64;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn holder(number: u64) -> Holder {
        Holder::Credential(format!("key {number}").into())
    }

    #[test]
    fn accounts_with_nothing_to_remember_are_swept_and_the_others_are_kept() {
        let mut accounts = Accounts::default();
        let limits = PeerLimits {
            requests_per_second: NonZeroU32::new(1),
            in_flight_max: NonZeroU32::new(1),
            ..PeerLimits::default()
        };
        let now = Instant::from_millis(1000);
        let flying = {
            accounts.enter(now, &holder(0), PeerId(0), limits);
            accounts.leave(&holder(0), PeerId(0));
            accounts.fly(&holder(0)).unwrap().unwrap()
        };
        for number in 1..10_000 {
            accounts.enter(now, &holder(number), PeerId(number), limits);
            accounts.leave(&holder(number), PeerId(number));
        }
        assert!(accounts.len() <= SWEEP_MIN, "{}", accounts.len());
        assert_eq!(accounts.fly(&holder(0)).unwrap_err(), RequestEnd::TooManyInFlight, "it is still in flight");
        drop(flying);
        assert!(accounts.fly(&holder(0)).is_ok());
    }

    #[test]
    fn leaving_and_coming_back_does_not_refill_the_bucket() {
        let mut accounts = Accounts::default();
        let limits = PeerLimits { requests_per_second: NonZeroU32::new(3), ..PeerLimits::default() };
        let now = Instant::from_millis(1000);
        let mut granted = 0;
        for number in 0..1000 {
            accounts.enter(now, &holder(7), PeerId(number), limits);
            granted += u32::from(accounts.charge(now, &holder(7), PeerId(number)).is_ok());
            accounts.leave(&holder(7), PeerId(number));
        }
        assert_eq!(granted, 3);
    }

    #[test]
    fn a_second_has_as_many_requests_as_the_limit_says_at_any_rate() {
        for per_second in [1, 2, 3, 7, 1000, 1_000_000, u32::MAX] {
            let mut accounts = Accounts::default();
            let limits = PeerLimits { requests_per_second: NonZeroU32::new(per_second), ..PeerLimits::default() };
            let start = Instant::from_millis(1000);
            accounts.enter(start, &holder(1), PeerId(1), limits);
            let mut burst = |now| (0..5000).filter(|_| accounts.charge(now, &holder(1), PeerId(1)).is_ok()).count();
            let wanted = count(per_second).min(5000);
            assert_eq!(burst(start), wanted, "{per_second} at once");
            assert_eq!(burst(start + SECOND), wanted, "{per_second} again after a second");
        }
    }
}
