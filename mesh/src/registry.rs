//! Which broker of the mesh serves what: services and endpoints of the nodes that are there, and of no others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::Frames;
use protocol::mutants::{self, Mutant};
use protocol::zre::NodeId;

use crate::announcement::{self, Announcement};
use crate::event::Event;

/// The brokers of the mesh.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    brokers: BTreeMap<NodeId, Broker>,
}

#[derive(Debug)]
struct Broker {
    name: Arc<str>,
    endpoint: Arc<str>,
    services: BTreeSet<Arc<str>>,
}

impl Registry {
    /// A node is there, with these headers.
    pub(crate) fn on_enter(&mut self, node: NodeId, headers: &BTreeMap<String, String>, mut tell: impl FnMut(Event)) {
        let Some(Announcement { broker, endpoints, services, .. }) = Announcement::from_headers(headers) else {
            return;
        };
        let Some(endpoint) = endpoints.first() else { return };
        let mut broker =
            Broker { name: broker.as_str().into(), endpoint: endpoint.as_str().into(), services: BTreeSet::new() };
        broker.change(node, services, &mut tell);
        self.brokers.insert(node, broker);
    }

    /// Whether a node is a broker.
    pub(crate) fn has(&self, node: NodeId) -> bool {
        self.brokers.contains_key(&node)
    }

    /// A node has shouted to [`announcement::GROUP`]. Whether that was about services, and the registry's affair alone.
    pub(crate) fn on_shout(&mut self, node: NodeId, content: &Frames, mut tell: impl FnMut(Event)) -> bool {
        let Some(broker) = self.brokers.get_mut(&node) else { return false };
        let Some(services) = announcement::services_of(content) else { return false };
        broker.change(node, services, &mut tell);
        true
    }

    /// A node is gone.
    pub(crate) fn on_exit(&mut self, node: NodeId, mut tell: impl FnMut(Event)) {
        if let Some(mut broker) = self.brokers.remove(&node).filter(|_| !mutants::on(Mutant::KeepServices)) {
            broker.change(node, Vec::new(), &mut tell);
        }
    }
}

impl Broker {
    fn change(&mut self, node: NodeId, services: Vec<String>, tell: &mut impl FnMut(Event)) {
        let now: BTreeSet<Arc<str>> = services.into_iter().map(Arc::from).collect();
        let (name, endpoint) = (&self.name, &self.endpoint);
        let (name, endpoint) = (|| Arc::clone(name), || Arc::clone(endpoint));
        for service in self.services.difference(&now).cloned() {
            tell(Event::ServiceDown { node, name: name(), endpoint: endpoint(), service });
        }
        for service in now.difference(&self.services).cloned() {
            tell(Event::ServiceUp { node, name: name(), endpoint: endpoint(), service });
        }
        self.services = now;
    }
}
