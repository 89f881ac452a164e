//! What a member of a mesh may believe of the others.
//!
//! - Nobody is there of whom nothing was heard for longer than the expiry: so every death is seen in time.
//! - Nobody is said to be gone without a reason: a silence as long as the expiry, a farewell, another HELLO, a
//!   connection that broke, a queue that is full.
//! - Services are those of nodes that are there.
//! - What somebody says comes once, in order, and only while it is there.
//! - At rest everybody sees everybody of its mesh, each in the groups and with the services that it has.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh::{Departure, NodeId};
use protocol::Instant;

/// All members as they are.
#[derive(Debug, Default)]
pub(crate) struct Meshes {
    living: BTreeMap<NodeId, Member>,
    /// Those who have said farewell.
    left: BTreeSet<NodeId>,
    /// How often one has said HELLO to another.
    greetings: BTreeMap<(NodeId, NodeId), u32>,
    /// Connections of one to another that broke.
    broken: BTreeSet<(NodeId, NodeId)>,
}

/// What a member is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) mesh: u8,
    pub(crate) groups: BTreeSet<String>,
    pub(crate) services: BTreeSet<String>,
}

/// What one member has been told of the others.
#[derive(Debug)]
pub(crate) struct View {
    expiry: Duration,
    /// The last sign of life of whoever was heard.
    heard: BTreeMap<NodeId, Instant>,
    present: BTreeMap<NodeId, Seen>,
    services: BTreeMap<NodeId, BTreeSet<String>>,
    /// Nodes to which a message could not be sent.
    refused: BTreeSet<NodeId>,
}

#[derive(Debug, Default)]
struct Seen {
    groups: BTreeSet<String>,
    /// The number of the last message.
    said: u64,
}

impl Meshes {
    pub(crate) fn on_start(&mut self, node: NodeId, member: Member) {
        self.living.insert(node, member);
    }

    pub(crate) fn on_death(&mut self, node: NodeId) {
        self.living.remove(&node);
    }

    pub(crate) fn on_farewell(&mut self, node: NodeId) {
        self.living.remove(&node);
        self.left.insert(node);
    }

    pub(crate) fn on_greeting(&mut self, from: NodeId, to: NodeId) {
        *self.greetings.entry((from, to)).or_default() += 1;
    }

    pub(crate) fn on_broken(&mut self, from: NodeId, to: NodeId) {
        self.broken.insert((from, to));
    }

    pub(crate) fn member(&mut self, node: NodeId) -> Option<&mut Member> {
        self.living.get_mut(&node)
    }
}

impl View {
    pub(crate) fn new(expiry: Duration) -> Self {
        let (heard, present) = (BTreeMap::new(), BTreeMap::new());
        Self { expiry, heard, present, services: BTreeMap::new(), refused: BTreeSet::new() }
    }

    /// Something came from a node.
    pub(crate) fn on_heard(&mut self, now: Instant, node: NodeId) {
        self.heard.insert(node, now);
    }

    /// Whoever slept heard nobody: that is nobody else's silence.
    pub(crate) fn on_slept(&mut self, now: Instant, time: Duration) {
        self.heard.values_mut().for_each(|heard| *heard = (*heard + time).min(now));
    }

    pub(crate) fn on_refused(&mut self, node: NodeId) {
        self.refused.insert(node);
    }

    /// Nodes that are there.
    pub(crate) fn present(&self) -> impl Iterator<Item = NodeId> {
        self.present.keys().copied()
    }

    pub(crate) fn on_enter(&mut self, node: NodeId) -> Result<(), String> {
        match self.present.insert(node, Seen::default()) {
            None => Ok(()),
            Some(_) => Err(format!("{node} enters, and was there already")),
        }
    }

    pub(crate) fn on_exit(
        &mut self,
        now: Instant,
        (own, node): (NodeId, NodeId),
        departure: Departure,
        is_severed: bool,
        meshes: &Meshes,
    ) -> Result<(), String> {
        self.present.remove(&node).ok_or_else(|| format!("{node} is gone, and was not there"))?;
        if self.services.get(&node).is_some_and(|services| !services.is_empty()) {
            return Err(format!("{node} is gone, and its services stay"));
        }
        let silence = self.heard.get(&node).map_or(Duration::MAX, |heard| now.since(*heard));
        // Where no connection is left either way there is nobody to ask, and no reason to wait as long.
        let expiry = if is_severed { self.expiry * 2 / 3 } else { self.expiry };
        let is_right = match departure {
            Departure::Expired => silence >= expiry,
            Departure::Left => meshes.left.contains(&node),
            Departure::Restarted => meshes.greetings.get(&(node, own)).is_some_and(|count| *count > 1),
            Departure::Gap => meshes.broken.contains(&(node, own)),
            Departure::Stalled => self.refused.contains(&node),
        };
        if is_right { Ok(()) } else { Err(format!("{node} is said to be gone: {departure:?}, heard {silence:?} ago")) }
    }

    pub(crate) fn on_group(&mut self, node: NodeId, group: &str, is_in: bool) -> Result<(), String> {
        let seen = self.present.get_mut(&node).ok_or_else(|| format!("{node} joins or leaves, and is not there"))?;
        let is_new = if is_in { seen.groups.insert(group.to_owned()) } else { seen.groups.remove(group) };
        if is_new { Ok(()) } else { Err(format!("{node} is in {group} already, or not: {is_in}")) }
    }

    pub(crate) fn on_service(&mut self, node: NodeId, service: &str, is_up: bool) -> Result<(), String> {
        let services = self.services.entry(node).or_default();
        let is_new = if is_up { services.insert(service.to_owned()) } else { services.remove(service) };
        if is_new { Ok(()) } else { Err(format!("{node} offers {service} already, or not: {is_up}")) }
    }

    /// A message of a node arrives, with its number.
    pub(crate) fn on_said(&mut self, node: NodeId, number: u64) -> Result<(), String> {
        let seen = self.present.get_mut(&node).ok_or_else(|| format!("{node} speaks, and is not there"))?;
        if number <= seen.said {
            return Err(format!("{node} says number {number} after number {}", seen.said));
        }
        seen.said = number;
        Ok(())
    }

    /// Holds at every moment.
    pub(crate) fn check(&self, now: Instant) -> Result<(), String> {
        for node in self.present.keys() {
            let silence = self.heard.get(node).map_or(Duration::MAX, |heard| now.since(*heard));
            if silence > self.expiry + SLACK {
                return Err(format!("{node} is there although nothing was heard of it for {silence:?}"));
            }
        }
        let stranger = self.services.iter().find(|(node, list)| !list.is_empty() && !self.present.contains_key(node));
        stranger.map_or(Ok(()), |(node, _)| Err(format!("services of {node}, which is not there")))
    }

    /// What is not yet as it is at rest.
    pub(crate) fn unsettled(&self, own: NodeId, meshes: &Meshes) -> Option<String> {
        let mesh = meshes.living.get(&own)?.mesh;
        let others = meshes.living.iter().filter(|(node, member)| **node != own && member.mesh == mesh);
        for (node, member) in others.clone() {
            let Some(seen) = self.present.get(node) else { return Some(format!("{node} is not seen")) };
            if seen.groups != member.groups {
                return Some(format!("{node} is seen in {:?}, and is in {:?}", seen.groups, member.groups));
            }
            let services = self.services.get(node).cloned().unwrap_or_default();
            if services != member.services {
                return Some(format!("{node} is seen with {services:?}, and has {:?}", member.services));
            }
        }
        let is_one = |node: &&NodeId| others.clone().any(|(other, _)| other == *node);
        self.present.keys().find(|node| !is_one(node)).map(|node| format!("{node} is seen, and is not there"))
    }
}

/// Between a deadline and the tick that sees it.
const SLACK: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: NodeId = NodeId([1; 16]);
    const OTHER: NodeId = NodeId([2; 16]);
    const EXPIRY: Duration = Duration::from_secs(3);

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn view() -> View {
        let mut view = View::new(EXPIRY);
        view.on_heard(at(1000), OTHER);
        view.on_enter(OTHER).unwrap();
        view
    }

    fn member(groups: &[&str]) -> Member {
        Member { groups: groups.iter().map(|&group| group.to_owned()).collect(), ..Member::default() }
    }

    #[test]
    fn nobody_is_there_who_was_not_heard_within_the_expiry() {
        let view = view();
        assert!(view.check(at(4000)).is_ok() && view.check(at(4021)).is_err());
    }

    #[test]
    fn nobody_is_gone_without_a_reason() {
        let meshes = Meshes::default();
        let exit = |now, departure| view().on_exit(at(now), (OWN, OTHER), departure, false, &meshes);
        assert!(exit(3999, Departure::Expired).is_err() && exit(4000, Departure::Expired).is_ok());
        for departure in [Departure::Left, Departure::Restarted, Departure::Gap, Departure::Stalled] {
            assert!(exit(5000, departure).is_err(), "{departure:?}");
        }
        let mut meshes = Meshes::default();
        meshes.on_farewell(OTHER);
        assert!(view().on_exit(at(1001), (OWN, OTHER), Departure::Left, false, &meshes).is_ok());
        assert!(view().on_exit(at(3000), (OWN, OTHER), Departure::Expired, true, &meshes).is_ok());
    }

    #[test]
    fn whoever_slept_has_heard_nobody() {
        let mut view = view();
        view.on_slept(at(9000), Duration::from_secs(7));
        assert!(view.check(at(9000)).is_ok());
    }

    #[test]
    fn at_rest_all_agree() {
        let mut meshes = Meshes::default();
        meshes.on_start(OWN, member(&[]));
        meshes.on_start(OTHER, member(&["a"]));
        let mut view = view();
        assert!(view.unsettled(OWN, &meshes).unwrap().contains("is in {\"a\"}"));
        view.on_group(OTHER, "a", true).unwrap();
        assert_eq!(view.unsettled(OWN, &meshes), None);
        meshes.on_death(OTHER);
        assert!(view.unsettled(OWN, &meshes).unwrap().contains("is not there"));
    }

    #[test]
    fn what_is_said_comes_once_and_in_order() {
        let mut view = view();
        assert!(view.on_said(OTHER, 1).is_ok() && view.on_said(OTHER, 3).is_ok());
        assert!(view.on_said(OTHER, 3).is_err() && view.on_said(OTHER, 2).is_err());
        assert!(view.on_said(OWN, 1).is_err());
    }
}
