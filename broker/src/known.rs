//! The requests of 0.3 that the broker knows, by client and id, and where each of them is (docs/rfc/MDP-0.3.md, 5.1).
//!
//! ```text
//!   (client, id) ─► ticket ─► Queued at a seat ─► Running with a worker ─► Ended, and kept        or forgotten
//! ```
//!
//! A job carries its ticket, so that what happens to it costs no search: only the first sight of an id and its end do.

use std::hash::{BuildHasher, Hash, Hasher};
use std::num::NonZeroU32;

use protocol::mutants::{self, Mutant};
use protocol::{PeerId, RequestId};

use crate::clients::{Client, ClientNumber};
use crate::index::Index;
use crate::job::JobId;
use crate::kept::Place;
use crate::keyed::Key;
use crate::queue::Seat;
use crate::request::Request;
use crate::service::ServiceId;

/// A place in the table of known requests. Whoever has one gives it back; it is not copied for keeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(NonZeroU32);

impl Ticket {
    /// Tickets count from one, so that a job which has none is no larger.
    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Where a known request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Waiting in the queue of a service.
    Queued(ServiceId, Seat),
    /// With a worker.
    Running(PeerId, JobId),
    /// Over, and remembered there.
    Ended(Place),
}

/// All known requests.
#[derive(Debug)]
pub(crate) struct Known {
    key: Key,
    by_id: Index,
    table: Vec<Option<Entry>>,
    free: Vec<Ticket>,
}

#[derive(Debug)]
struct Entry {
    id: Id,
    /// It stays who it is as long as something is known of it.
    _client: Client,
    /// `None` on its way into a queue.
    stage: Option<Stage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Id(ClientNumber, RequestId);

impl Known {
    pub(crate) fn new(key: Key) -> Self {
        Self { key, by_id: Index::default(), table: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn find(&self, client: &Client, id: RequestId) -> Option<Stage> {
        let id = id_of(client, id);
        let entry = |ticket: NonZeroU32| self.table.get(Ticket(ticket).index())?.as_ref();
        let ticket =
            self.by_id.find(self.key.hash_one(id), |ticket| entry(ticket).is_some_and(|entry| entry.id == id))?;
        entry(ticket)?.stage
    }

    /// Remembers a request that was not known; `None` where four thousand million are known.
    pub(crate) fn add(&mut self, client: &Client, id: RequestId) -> Option<Ticket> {
        let id = id_of(client, id);
        let entry = Some(Entry { id, _client: client.clone(), stage: None });
        let ticket = match self.free.pop() {
            Some(ticket) => ticket,
            None => Ticket(NonZeroU32::new(u32::try_from(self.table.len() + 1).ok()?)?),
        };
        match self.table.get_mut(ticket.index()) {
            Some(place) => *place = entry,
            None => self.table.push(entry),
        }
        self.by_id.insert(self.key.hash_one(id), ticket.0);
        Some(ticket)
    }

    pub(crate) fn move_to(&mut self, ticket: Ticket, stage: Stage) {
        if let Some(Some(entry)) = self.table.get_mut(ticket.index()) {
            entry.stage = Some(stage);
        }
    }

    /// What stands for what a request asks.
    pub(crate) fn digest(&self, request: &Request) -> u64 {
        self.key.digest(&request.service, &request.body)
    }

    pub(crate) fn forget(&mut self, ticket: Ticket) {
        if let Some(entry) = self.table.get_mut(ticket.index()).and_then(Option::take) {
            self.by_id.remove(self.key.hash_one(entry.id), ticket.0);
            self.free.push(ticket);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }
}

fn id_of(client: &Client, id: RequestId) -> Id {
    Id(if mutants::on(Mutant::AnswerOfAnother) { ClientNumber(0) } else { client.number }, id)
}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self(client, RequestId(octets)) = self;
        state.write_u64(client.0);
        let ([low, high], _) = octets.as_chunks::<8>() else { return };
        state.write_u64(u64::from_le_bytes(*low));
        state.write_u64(u64::from_le_bytes(*high));
    }
}
