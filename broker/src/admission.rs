//! Connections, whoever is behind them: when they come and go, what they may do, and how much of it.
//!
//! Rights are looked at when something arrives. What was admitted before a right was withdrawn is treated as what a
//! peer has left behind (docs/decisions/0008).

use std::sync::Arc;

use bytes::Bytes;
use protocol::mdp::v03::Status;
use protocol::mutants::{self, Mutant};
use protocol::{Instant, PeerId, Rights, ServiceName};

use crate::account::{Entry, Holder, InFlight};
use crate::broker::{Broker, Output};
use crate::clients::Client;
use crate::event::{Departure, Event, RequestEnd};
use crate::job::Origin;
use crate::speech::{Speech, farewell};

/// A connection, whoever is behind it.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Whose it is.
    pub(crate) client: Client,
    /// Messages that it did not take.
    pub(crate) missed: u64,
    pub(crate) rights: Arc<Rights>,
    /// Whether it has spoken as a client of 0.3, which understands DRAIN.
    pub(crate) is_native_client: bool,
    /// Where its limits are counted; `None` when it has none.
    holder: Option<Holder>,
}

impl Broker {
    pub(crate) fn on_connected(&mut self, now: Instant, peer: PeerId, identity: Bytes, rights: Arc<Rights>) {
        let limits = rights.limits.or(self.config.limits.per_peer);
        let holder = limits.is_any().then(|| holder(peer, &rights));
        if let Some(holder) = &holder {
            let entry = self.accounts.enter(now, holder, peer, limits);
            if entry != Entry::Regular {
                self.counters.limited += 1;
                self.tell(Event::TooManyConnections { peer, name: Arc::clone(&rights.name) });
            }
            if entry == Entry::Beyond {
                // Nobody knows it, so nothing that it says is heard.
                return self.output(Output::Close { peer });
            }
        }
        let client = self.clients.enter(peer, &rights, identity);
        self.peers.insert(peer, Connection { client, missed: 0, rights, is_native_client: false, holder });
    }

    pub(crate) fn on_disconnected(&mut self, now: Instant, peer: PeerId) {
        if mutants::on(Mutant::KeepConnection) {
            return self.remove_worker(now, peer, Departure::Closed);
        }
        if let Some(Connection { client, holder, .. }) = self.peers.remove(&peer) {
            self.clients.leave(peer, &client);
            if let Some(holder) = holder {
                self.accounts.leave(&holder, peer);
            }
        }
        self.remove_worker(now, peer, Departure::Closed);
    }

    /// A connected peer has other rights from now on; without any it is cut off, as if it had left.
    pub(crate) fn on_rights(&mut self, now: Instant, peer: PeerId, rights: Option<Arc<Rights>>) {
        match rights {
            Some(rights) => self.change_rights(now, peer, rights),
            None => self.cut_off(now, peer),
        }
    }

    fn change_rights(&mut self, now: Instant, peer: PeerId, rights: Arc<Rights>) {
        let Some(connection) = self.peers.get_mut(&peer) else { return };
        let limits = rights.limits.or(self.config.limits.per_peer);
        let holder = limits.is_any().then(|| holder(peer, &rights));
        if connection.holder != holder
            && let Some(former) = &connection.holder
        {
            self.accounts.leave(former, peer);
        }
        if let Some(holder) = &holder {
            self.accounts.adopt(now, holder, peer, limits);
        }
        connection.holder = holder;
        connection.rights = rights;
        let services = self.roster.get(peer).map(|worker| worker.services.clone()).unwrap_or_default();
        let names = services.iter().filter_map(|id| self.services.get(*id)).map(|service| service.name.clone());
        let withdrawn = names.collect::<Vec<_>>().into_iter().find(|service| !self.may_offer(peer, service));
        if let Some(service) = withdrawn {
            self.deny_offer(peer, &service);
            self.expel(now, peer, Departure::Expelled, farewell(Status::FORBIDDEN, NOT_OFFERED));
        }
    }

    fn cut_off(&mut self, now: Instant, peer: PeerId) {
        let Some(connection) = self.peers.get(&peer) else { return };
        let name = Arc::clone(&connection.rights.name);
        self.counters.cut_off += 1;
        self.tell(Event::CutOff { peer, name });
        self.expel(now, peer, Departure::Expelled, farewell(Status::FORBIDDEN, "not allowed here any more"));
        self.on_disconnected(now, peer);
        self.output(Output::Close { peer });
    }

    /// Who asks, and whether it may: `None` for a connection that nobody knows any more. A request counts, whatever
    /// becomes of it.
    pub(crate) fn permit(
        &mut self,
        now: Instant,
        peer: PeerId,
        service: &ServiceName,
    ) -> Option<(Origin, Result<Option<InFlight>, RequestEnd>)> {
        let connection = self.peers.get(&peer)?;
        let client = Origin { peer, client: connection.client.clone() };
        let charged = match &connection.holder {
            Some(holder) => self.accounts.charge(now, holder, peer),
            None => Ok(()),
        };
        let permitted = charged.and_then(|()| match &connection.holder {
            _ if !connection.rights.may_call(service) => Err(RequestEnd::Forbidden),
            // The broker answers these at once.
            Some(holder) if !service.is_management() => self.accounts.fly(holder),
            _ => Ok(None),
        });
        Some((client, permitted))
    }

    /// Whether the peer may be a worker of a service; tells it and the operator when not.
    pub(crate) fn permit_offer(&mut self, peer: PeerId, speech: Speech, service: &ServiceName) -> bool {
        let Some(connection) = self.peers.get(&peer) else { return false };
        if connection.holder.as_ref().is_some_and(|holder| self.accounts.is_surplus(holder, peer)) {
            self.send_disconnect(peer, speech, farewell(Status::TOO_MANY, "too many connections"));
            self.output(Output::Close { peer });
            return false;
        }
        if !self.may_offer(peer, service) {
            self.deny_offer(peer, service);
            self.send_disconnect(peer, speech, farewell(Status::FORBIDDEN, NOT_OFFERED));
            return false;
        }
        true
    }

    fn may_offer(&self, peer: PeerId, service: &ServiceName) -> bool {
        self.peers.get(&peer).is_some_and(|connection| connection.rights.offer.covers(service))
    }

    fn deny_offer(&mut self, peer: PeerId, service: &ServiceName) {
        self.counters.forbidden += 1;
        let name = self.name_of(peer);
        self.tell(Event::OfferDenied { peer, name, service: service.detached() });
    }

    /// What the operator calls the peer; empty for nobody.
    pub(crate) fn name_of(&self, peer: PeerId) -> Arc<str> {
        self.peers.get(&peer).map_or_else(|| Arc::from(""), |connection| Arc::clone(&connection.rights.name))
    }
}

fn holder(peer: PeerId, rights: &Rights) -> Holder {
    match &rights.credential {
        Some(credential) => Holder::Credential(Arc::clone(credential)),
        None => Holder::Connection(peer),
    }
}

const NOT_OFFERED: &str = "this peer may not offer that service";
