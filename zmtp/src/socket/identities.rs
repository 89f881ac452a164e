//! Which key an identity belongs to: the first one that announces it, for as long as this is remembered.
//!
//! A ROUTER's identities are names that peers give themselves. Where peers prove who they are, nobody shall take over
//! the name of another, not even after that one has gone: its answers may still be on their way. The memory is bounded;
//! when it is full, the key with the most identities loses its oldest, so that nobody can make us forget another's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::security::authority::Proof;

/// The identities of a socket's peers.
#[derive(Debug)]
pub(crate) struct Identities {
    max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    owners: HashMap<Bytes, Claim>,
    /// Each owner's identities, the one announced longest ago first.
    owned: HashMap<Proof, BTreeMap<u64, Bytes>>,
    /// Owners by the number of their identities.
    counts: BTreeSet<(usize, Proof)>,
    claims: u64,
}

#[derive(Debug)]
struct Claim {
    owner: Proof,
    number: u64,
}

impl Identities {
    /// Remembers at most `max`, and at least one.
    pub(crate) fn new(max: usize) -> Self {
        Self { max: max.max(1), state: Mutex::default() }
    }

    /// Whether `owner` may be known by `identity`; remembers it.
    pub(crate) fn claim(&self, identity: &Bytes, owner: &Proof) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.owners.get(identity) {
            Some(claim) if claim.owner != *owner => return false,
            Some(_) => state.forget(identity),
            None if state.owners.len() >= self.max => state.make_room(),
            None => {}
        }
        state.remember(identity, owner);
        true
    }
}

impl State {
    fn remember(&mut self, identity: &Bytes, owner: &Proof) {
        self.claims += 1;
        let number = self.claims;
        self.owners.insert(identity.clone(), Claim { owner: owner.clone(), number });
        let owned = self.owned.entry(owner.clone()).or_default();
        self.counts.remove(&(owned.len(), owner.clone()));
        owned.insert(number, identity.clone());
        self.counts.insert((owned.len(), owner.clone()));
    }

    fn forget(&mut self, identity: &Bytes) {
        let Some(Claim { owner, number }) = self.owners.remove(identity) else { return };
        let Some(owned) = self.owned.get_mut(&owner) else { return };
        self.counts.remove(&(owned.len(), owner.clone()));
        owned.remove(&number);
        if owned.is_empty() {
            self.owned.remove(&owner);
        } else {
            self.counts.insert((owned.len(), owner));
        }
    }

    fn make_room(&mut self) {
        let busiest = self.counts.last().and_then(|(_, owner)| self.owned.get(owner));
        if let Some(oldest) = busiest.and_then(|owned| owned.values().next()).cloned() {
            self.forget(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &'static str) -> Proof {
        Proof::User(Bytes::from_static(name.as_bytes()))
    }

    fn claim(identities: &Identities, identity: &'static str, owner: &'static str) -> bool {
        identities.claim(&Bytes::from_static(identity.as_bytes()), &user(owner))
    }

    #[test]
    fn an_identity_belongs_to_whoever_announced_it_first() {
        let identities = Identities::new(10);
        assert!(claim(&identities, "worker-1", "ann"));
        assert!(!claim(&identities, "worker-1", "bob"));
        assert!(claim(&identities, "worker-1", "ann"), "again and again");
        assert!(claim(&identities, "worker-2", "bob"));
    }

    #[test]
    fn a_full_memory_takes_from_whoever_holds_most_and_the_oldest_first() {
        let identities = Identities::new(4);
        assert!(claim(&identities, "victim", "ann"));
        for identity in ["b1", "b2", "b3", "b4", "b5", "b6"] {
            assert!(claim(&identities, identity, "bob"));
        }
        assert!(!claim(&identities, "victim", "bob"), "a crowd of names does not push out another's");
        assert!(!claim(&identities, "b6", "ann"));
        assert!(claim(&identities, "b1", "ann"), "forgotten, as the memory is bounded");
        assert_eq!(identities.state.lock().unwrap().owners.len(), 4);
    }

    #[test]
    fn announcing_again_keeps_an_identity_fresh_and_takes_no_second_place() {
        let identities = Identities::new(3);
        for identity in ["old", "b", "c", "old", "d"] {
            assert!(claim(&identities, identity, "ann"));
        }
        assert!(!claim(&identities, "old", "bob"), "announced again after b");
        assert!(claim(&identities, "b", "bob"));
        let state = identities.state.lock().unwrap();
        assert_eq!(state.owned.values().map(BTreeMap::len).sum::<usize>(), state.owners.len());
        assert_eq!(state.counts.iter().map(|(count, _)| count).sum::<usize>(), state.owners.len());
    }
}
