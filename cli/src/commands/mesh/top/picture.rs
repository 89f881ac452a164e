//! Who is in the mesh, as its events tell, and what is shown of it at one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh::{Counters, Event, GroupName, NodeId};
use serde::Serialize;

use crate::commands::per_second;

/// What is known, from the events so far.
pub(super) struct Picture {
    name: String,
    mesh: String,
    nodes: BTreeMap<NodeId, Node>,
    leaders: BTreeMap<GroupName, NodeId>,
    exits: u64,
    counters: Counters,
    looked_at: Instant,
}

struct Node {
    name: Arc<str>,
    endpoint: Arc<str>,
    groups: BTreeSet<GroupName>,
    services: BTreeSet<Arc<str>>,
    is_evasive: bool,
    since: Instant,
    messages: u64,
    messages_before: u64,
}

/// The mesh, as it is shown.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct View {
    /// What we are called.
    pub(super) name: String,
    /// What the mesh is called; empty for the one without a name.
    pub(super) mesh: String,
    pub(super) nodes: Vec<Row>,
    pub(super) groups: usize,
    /// Nodes that have gone since we came.
    pub(super) exits: u64,
    /// Beacons and messages that broke a rule, since we came.
    pub(super) faults: u64,
    pub(super) beacons_heard_per_second: f64,
    pub(super) messages_heard_per_second: f64,
    pub(super) discovery_octets_sent_per_second: f64,
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) uuid: String,
    pub(super) name: String,
    pub(super) endpoint: String,
    pub(super) groups: Vec<String>,
    /// The groups that it leads.
    pub(super) leads: Vec<String>,
    pub(super) services: Vec<String>,
    pub(super) evasive: bool,
    /// How long it has been there.
    pub(super) up_ms: u64,
    /// SHOUT and WHISPER of it that reached us.
    pub(super) messages: u64,
    pub(super) messages_per_second: f64,
}

impl Picture {
    pub(super) fn new(name: &str, mesh: &str, now: Instant) -> Self {
        Self {
            name: name.to_owned(),
            mesh: mesh.to_owned(),
            nodes: BTreeMap::new(),
            leaders: BTreeMap::new(),
            exits: 0,
            counters: Counters::default(),
            looked_at: now,
        }
    }

    pub(super) fn hear(&mut self, now: Instant, event: &Event) {
        match event {
            Event::Enter { node, name, endpoint, .. } => drop(self.nodes.insert(*node, Node::new(name, endpoint, now))),
            Event::Exit { node, .. } => {
                self.nodes.remove(node);
                self.leaders.retain(|_, leader| leader != node);
                self.exits += 1;
            }
            Event::Join { node, group, .. } => self.with(*node, |node| _ = node.groups.insert(group.clone())),
            Event::Leave { node, group, .. } => {
                self.with(*node, |node| _ = node.groups.remove(group));
                self.leaders.retain(|led, leader| led != group || leader != node);
            }
            Event::Leader { node, group, .. } => drop(self.leaders.insert(group.clone(), *node)),
            Event::Evasive { node, .. } => self.with(*node, |node| node.is_evasive = true),
            Event::Whisper { node, .. } | Event::Shout { node, .. } => self.with(*node, |node| {
                node.messages += 1;
                node.is_evasive = false;
            }),
            Event::ServiceUp { node, service, .. } => {
                self.with(*node, |node| _ = node.services.insert(Arc::clone(service)));
            }
            Event::ServiceDown { node, service, .. } => self.with(*node, |node| _ = node.services.remove(service)),
            _ => {}
        }
    }

    /// What is shown now; rates are those since the look before, and none where that was a moment ago: the first look
    /// comes at once.
    pub(super) fn look(&mut self, now: Instant, counters: Counters) -> View {
        let elapsed = now.saturating_duration_since(self.looked_at);
        let before = std::mem::replace(&mut self.counters, counters);
        self.looked_at = now;
        let rate = |count: u64| if elapsed < MOMENT { 0.0 } else { per_second(count, elapsed) };
        let counted = |of: fn(&Counters) -> u64| rate(of(&counters).saturating_sub(of(&before)));
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for (id, node) in &mut self.nodes {
            let new = node.messages - std::mem::replace(&mut node.messages_before, node.messages);
            let led = self.leaders.iter().filter(|(_, leader)| *leader == id).map(|(group, _)| group.to_string());
            nodes.push(Row {
                uuid: id.to_string(),
                name: node.name.to_string(),
                endpoint: node.endpoint.to_string(),
                groups: node.groups.iter().map(ToString::to_string).collect(),
                leads: led.collect(),
                services: node.services.iter().map(ToString::to_string).collect(),
                evasive: node.is_evasive,
                up_ms: u64::try_from(now.saturating_duration_since(node.since).as_millis()).unwrap_or(u64::MAX),
                messages: node.messages,
                messages_per_second: rate(new),
            });
        }
        nodes.sort_by(|a, b| (&a.name, &a.uuid).cmp(&(&b.name, &b.uuid)));
        let groups: BTreeSet<&GroupName> = self.nodes.values().flat_map(|node| &node.groups).collect();
        View {
            name: self.name.clone(),
            mesh: self.mesh.clone(),
            groups: groups.len(),
            exits: self.exits,
            faults: counters.faults,
            beacons_heard_per_second: counted(|counters| counters.beacons_heard),
            messages_heard_per_second: counted(|counters| counters.messages_heard),
            discovery_octets_sent_per_second: counted(|counters| counters.discovery_octets_sent),
            nodes,
        }
    }

    fn with(&mut self, node: NodeId, act: impl FnOnce(&mut Node)) {
        if let Some(node) = self.nodes.get_mut(&node) {
            act(node);
        }
    }
}

impl Node {
    fn new(name: &Arc<str>, endpoint: &Arc<str>, since: Instant) -> Self {
        let (name, endpoint) = (Arc::clone(name), Arc::clone(endpoint));
        let (groups, services) = (BTreeSet::new(), BTreeSet::new());
        Self { name, endpoint, groups, services, is_evasive: false, since, messages: 0, messages_before: 0 }
    }
}

/// So short a time says nothing about a rate.
const MOMENT: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use mesh::{Departure, Frames};

    use super::*;

    fn enter(number: u8, name: &str) -> Event {
        let (node, name) = (NodeId([number; 16]), name.into());
        Event::Enter { node, name, endpoint: "tcp://10.0.0.1:1".into(), headers: Arc::default() }
    }

    #[test]
    fn what_is_shown_is_what_the_events_say() {
        let start = Instant::now();
        let mut picture = Picture::new("me", "prod", start);
        let (node, name): (NodeId, Arc<str>) = (NodeId([1; 16]), "b".into());
        let group: GroupName = "G".parse().unwrap();
        let at_once = Counters { beacons_heard: 1, ..Counters::default() };
        assert!(picture.look(start, at_once).beacons_heard_per_second.abs() < 1e-9);
        picture.hear(start, &enter(1, "b"));
        picture.hear(start, &enter(2, "a"));
        picture.hear(start, &Event::Join { node, name: name.clone(), group: group.clone() });
        picture.hear(start, &Event::Leader { node, name: name.clone(), group: group.clone() });
        picture.hear(start, &Event::Evasive { node, name: name.clone() });
        let service = Event::ServiceUp { node, name: name.clone(), endpoint: "".into(), service: "echo".into() };
        picture.hear(start, &service);
        let now = start + Duration::from_secs(2);
        let counters = Counters { beacons_heard: 7, ..Counters::default() };
        let view = picture.look(now, counters);
        assert_eq!((view.name.as_str(), view.mesh.as_str(), view.groups, view.nodes.len()), ("me", "prod", 1, 2));
        assert_eq!((view.nodes[0].name.as_str(), view.nodes[0].up_ms), ("a", 2000), "names from A to Z");
        let row = &view.nodes[1];
        assert_eq!(
            (&row.groups[..], &row.leads[..], &row.services[..]),
            (&["G".into()][..], &["G".into()][..], &["echo".into()][..])
        );
        assert!(row.evasive && (view.beacons_heard_per_second - 3.0).abs() < 1e-9);
        let shout = Event::Shout { node, name: name.clone(), group: group.clone(), content: Frames::new() };
        picture.hear(now, &shout);
        let view = picture.look(now + Duration::from_millis(500), counters);
        assert!(
            (view.nodes[1].messages_per_second - 2.0).abs() < 1e-9 && !view.nodes[1].evasive,
            "who speaks is there"
        );
        picture.hear(now, &Event::Exit { node, name, departure: Departure::Expired });
        let view = picture.look(now + Duration::from_secs(1), counters);
        assert_eq!((view.nodes.len(), view.exits, view.groups), (1, 1, 0));
    }
}
