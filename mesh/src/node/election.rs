//! Who leads a group: of those who stand for election the one with the lowest id, once all members have said so.
//!
//! ```text
//!   stands ──► ELECT(itself) to all ──► each tells all others of the best it knows ──► and last the one it has it from
//!   all have told it ELECT(itself): it leads ──► LEADER(itself) to all ──► each passes it on to all, once
//! ```
//!
//! It is Zyre's Echo wave. Zyre counts what comes, and dies of a LEADER for which it has no wave: so each member is
//! told of a challenger once, and of its victory once, after it has spoken of it; and whoever does not stand takes part
//! in the wave all the same, or it would never end. Ours keeps what each member said last instead of counting, so that
//! elections which begin at different places at once, and members that come and go meanwhile, end in the same leader.
//! Zyre begins anew with each member that joins, and so do we where one of another kind is in the group.

use std::collections::{BTreeMap, BTreeSet};

use protocol::zre::{Command, GroupName, NodeId};

use super::Node;
use super::peer::Peer;
use crate::event::Event;
use crate::marking;

/// The election in one group, as we see it.
#[derive(Debug, Default)]
pub(super) struct Election {
    /// Whether we stand.
    stands: bool,
    /// The best challenger that we know of.
    challenger: Option<NodeId>,
    /// Whom we have it from: it hears our agreement last.
    father: Option<NodeId>,
    /// The challenger that each member spoke of last.
    heard: BTreeMap<NodeId, NodeId>,
    /// The members that have spoken since we began anew.
    fresh: BTreeSet<NodeId>,
    /// The challenger that we spoke of last to each member.
    told: BTreeMap<NodeId, NodeId>,
    /// Whether the challenger has won, as far as we know.
    is_won: bool,
    /// The members that we have told so.
    announced: BTreeSet<NodeId>,
    /// Who leads.
    leader: Option<NodeId>,
}

/// What is to be said to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Say {
    Elect(NodeId),
    Leader(NodeId),
}

impl Election {
    pub(super) fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    pub(super) fn stand(&mut self) {
        self.stands = true;
    }

    /// A member that had agreed and then speaks for itself again has begun anew meanwhile, and forgotten what it knew.
    pub(super) fn on_elect(&mut self, from: NodeId, challenger: NodeId) {
        let had_spoken = !self.fresh.insert(from);
        let before = self.heard.insert(from, challenger);
        if had_spoken && challenger == from && before == self.challenger && before < Some(challenger) {
            self.told.remove(&from);
        }
    }

    /// A victory that we have no wave for is believed, and not passed on: the wave is over, or never came this way.
    pub(super) fn on_leader(&mut self, us: NodeId, from: NodeId, leader: NodeId, members: &BTreeSet<NodeId>) {
        match self.challenger {
            None if leader == us || members.contains(&leader) => self.leader = Some(leader),
            Some(challenger) if leader <= challenger => {
                self.heard.insert(from, leader);
                self.choose(us, members);
                if self.challenger == Some(leader) {
                    (self.leader, self.is_won) = (Some(leader), true);
                }
            }
            _ => {}
        }
    }

    /// A member more, the others being these.
    pub(super) fn on_member(&mut self, members: &BTreeSet<NodeId>) {
        self.is_won = false;
        if !members.iter().all(|member| marking::is_ours(*member)) {
            self.fresh.clear();
            self.told.clear();
            self.announced.clear();
        }
    }

    /// A member less.
    pub(super) fn on_gone(&mut self, member: NodeId) {
        self.heard.remove(&member);
        self.heard.retain(|_, challenger| *challenger != member);
        self.fresh.remove(&member);
        self.told.remove(&member);
        self.announced.remove(&member);
        if self.leader == Some(member) {
            self.leader = None;
        }
    }

    /// What is to be said now, in this order. Alone in a group one leads it only if one has looked around.
    pub(super) fn settle(&mut self, us: NodeId, members: &BTreeSet<NodeId>, has_looked: bool) -> Vec<(NodeId, Say)> {
        self.choose(us, members);
        let Some(challenger) = self.challenger.filter(|_| has_looked || !members.is_empty()) else {
            return Vec::new();
        };
        let mut said = Vec::new();
        let father = self.father;
        for member in members.iter().filter(|member| Some(**member) != father) {
            self.elect(*member, challenger, &mut said);
        }
        if members.iter().all(|member| self.heard.get(member) == Some(&challenger)) {
            match self.father {
                Some(father) => self.elect(father, challenger, &mut said),
                None => (self.leader, self.is_won) = (Some(us), true),
            }
        }
        if self.is_won {
            let is_due = |member: &&NodeId| !self.announced.contains(member) && self.knows(**member, challenger);
            let due: Vec<NodeId> = members.iter().filter(is_due).copied().collect();
            said.extend(due.iter().map(|member| (*member, Say::Leader(challenger))));
            self.announced.extend(due);
        }
        said
    }

    /// Whether a member is in this wave: one of another kind, once it has said so itself.
    fn knows(&self, member: NodeId, challenger: NodeId) -> bool {
        let source = if marking::is_ours(member) { &self.told } else { &self.heard };
        let has_spoken = marking::is_ours(member) || self.fresh.contains(&member);
        has_spoken && source.get(&member) == Some(&challenger)
    }

    fn elect(&mut self, member: NodeId, challenger: NodeId, said: &mut Vec<(NodeId, Say)>) {
        if self.told.insert(member, challenger) != Some(challenger) {
            said.push((member, Say::Elect(challenger)));
        }
    }

    /// The best challenger of those who are there, and whom we have it from.
    fn choose(&mut self, us: NodeId, members: &BTreeSet<NodeId>) {
        let heard = self.heard.values().copied().filter(|challenger| members.contains(challenger));
        let best = heard.chain(self.stands.then_some(us)).min();
        if best != self.challenger {
            (self.challenger, self.is_won) = (best, false);
            self.announced.clear();
        }
        let speaks_of = |member: &NodeId| best.is_some() && self.heard.get(member) == best.as_ref();
        self.father = match best {
            Some(best) if best == us => None,
            // The challenger itself knows best that it stands.
            Some(best) if speaks_of(&best) => Some(best),
            _ => self.father.filter(speaks_of).or_else(|| members.iter().copied().find(speaks_of)),
        };
    }
}

impl Node {
    /// We stand for election in a group, and are in it.
    pub(super) fn on_contest_wished(&mut self, group: &GroupName) {
        self.on_join_wished(group);
        if self.groups.contains(group) {
            self.elections.entry(group.clone()).or_default().stand();
            self.settle(group);
        }
    }

    pub(super) fn on_elect(&mut self, from: NodeId, group: &GroupName, challenger: &str) {
        self.on_vote(from, group, challenger, |election, challenger, _, _| election.on_elect(from, challenger));
    }

    pub(super) fn on_leader(&mut self, from: NodeId, group: &GroupName, leader: &str) {
        self.on_vote(from, group, leader, |election, leader, us, members| {
            election.on_leader(us, from, leader, members);
        });
    }

    fn on_vote(
        &mut self,
        from: NodeId,
        group: &GroupName,
        text: &str,
        act: impl FnOnce(&mut Election, NodeId, NodeId, &BTreeSet<NodeId>),
    ) {
        let Ok(meant) = text.parse::<NodeId>() else {
            self.counters.faults += 1;
            return;
        };
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.writes_small |= text.contains(|digit: char| digit.is_ascii_lowercase());
        let is_member = peer.member().is_some_and(|member| member.groups.contains(group));
        // Both are in the group, or it is none of their business.
        if !is_member || !self.groups.contains(group) {
            self.counters.early += 1;
            return;
        }
        let (us, members) = (self.config.id, self.members_of(group));
        let election = self.elections.entry(group.clone()).or_default();
        let before = election.leader();
        act(election, meant, us, &members);
        self.settle_after(group, before, &members);
    }

    /// Somebody is in a group now.
    pub(super) fn elect_with(&mut self, group: &GroupName) {
        if let Some(election) = self.elections.get_mut(group) {
            let members = members_of(&self.peers, group);
            election.on_member(&members);
            self.settle(group);
        }
    }

    /// Somebody is in a group no more.
    pub(super) fn elect_without(&mut self, group: &GroupName, member: NodeId) {
        if let Some(election) = self.elections.get_mut(group) {
            election.on_gone(member);
            self.settle(group);
        }
    }

    fn settle(&mut self, group: &GroupName) {
        let before = self.elections.get(group).and_then(Election::leader);
        let members = self.members_of(group);
        self.settle_after(group, before, &members);
    }

    /// Nobody has answered so far: whoever stands where nobody else is leads.
    pub(super) fn lead_where_alone(&mut self) {
        if self.beacons.count == LOOKED_AROUND {
            let groups: Vec<GroupName> = self.elections.keys().cloned().collect();
            groups.iter().for_each(|group| self.settle(group));
        }
    }

    /// Says what is to be said, and tells who leads if it is another one than before.
    fn settle_after(&mut self, group: &GroupName, before: Option<NodeId>, members: &BTreeSet<NodeId>) {
        let us = self.config.id;
        let Some(election) = self.elections.get_mut(group) else { return };
        let said = election.settle(us, members, self.beacons.count >= LOOKED_AROUND);
        let leader = election.leader();
        for (member, say) in said {
            self.say_vote(group, member, say);
        }
        if let Some(node) = leader.filter(|_| leader != before) {
            let name = self.peers.get(&node).and_then(Peer::member).map(|member| std::sync::Arc::clone(&member.name));
            let name = name.unwrap_or_else(|| self.config.name.as_str().into());
            self.tell(Event::Leader { node, name, group: group.clone() });
        }
    }

    /// Ids are compared as texts by others, so each is told them as it writes them itself.
    fn say_vote(&mut self, group: &GroupName, member: NodeId, say: Say) {
        let writes_small = self.peers.get(&member).is_some_and(|peer| peer.writes_small);
        let text = |node: NodeId| if writes_small { node.to_string().to_lowercase() } else { node.to_string() };
        let group = group.clone();
        let command = match say {
            Say::Elect(node) => Command::Elect { group, challenger: text(node) },
            Say::Leader(node) => Command::Leader { group, leader: text(node) },
        };
        self.say(member, command);
    }

    fn members_of(&self, group: &GroupName) -> BTreeSet<NodeId> {
        members_of(&self.peers, group)
    }
}

fn members_of(peers: &BTreeMap<NodeId, Peer>, group: &GroupName) -> BTreeSet<NodeId> {
    let is_in = |peer: &Peer| peer.member().is_some_and(|member| member.groups.contains(group));
    peers.iter().filter(|(_, peer)| is_in(peer)).map(|(node, _)| *node).collect()
}

/// Beacons after which everybody has had a second to answer.
const LOOKED_AROUND: u32 = 4;
