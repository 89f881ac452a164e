//! Who waits for answers.

use std::collections::{BTreeMap, BTreeSet};

use protocol::Instant;

use super::Ticket;
use crate::log::Id;

/// Tickets by the ids that they wait for, each with the time when it waits no longer.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    tickets: BTreeMap<Ticket, (Id, Instant)>,
    ids: BTreeSet<(Id, Ticket)>,
    ends: BTreeSet<(Instant, Ticket)>,
}

impl Waiters {
    pub(super) fn len(&self) -> usize {
        self.tickets.len()
    }

    pub(super) fn add(&mut self, ticket: Ticket, id: Id, until: Instant) {
        self.tickets.insert(ticket, (id, until));
        self.ids.insert((id, ticket));
        self.ends.insert((until, ticket));
    }

    pub(super) fn withdraw(&mut self, ticket: Ticket) {
        if let Some((id, until)) = self.tickets.remove(&ticket) {
            self.ids.remove(&(id, ticket));
            self.ends.remove(&(until, ticket));
        }
    }

    /// All that wait for this id.
    pub(super) fn take_all(&mut self, id: &Id) -> Vec<Ticket> {
        let range = (*id, Ticket(0))..=(*id, Ticket(u64::MAX));
        let tickets: Vec<Ticket> = self.ids.range(range).map(|(_, ticket)| *ticket).collect();
        tickets.iter().for_each(|ticket| self.withdraw(*ticket));
        tickets
    }

    /// All whose time is over.
    pub(super) fn pop_due(&mut self, now: Instant) -> Vec<(Ticket, Id)> {
        let mut due = Vec::new();
        while let Some((_, ticket)) = self.ends.first().filter(|(until, _)| *until <= now).copied() {
            due.extend(self.tickets.get(&ticket).map(|(id, _)| (ticket, *id)));
            self.withdraw(ticket);
        }
        due
    }

    /// All.
    pub(super) fn drain(&mut self) -> Vec<Ticket> {
        let tickets = std::mem::take(self).tickets;
        tickets.into_keys().collect()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.ends.first().map(|(until, _)| *until)
    }
}
