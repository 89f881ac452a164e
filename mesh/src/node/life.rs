//! What time brings: beacons of ours, doubts about others, and the end of what says nothing.
//!
//! ```text
//!   heard ──── probe ────────── evasive ───────────── expired
//!              PING, in silence  Evasive, PING again   Exit
//! ```
//!
//! A beacon is life, so a healthy node that is idle is never asked. One lost beacon is followed by a PING, which TCP
//! does not lose, by its answer, and by a beacon out of turn: evasive is called only who is silent in all ways.
//!
//! A node of ours to which and from which there is no connection any more is not asked: its process has most likely
//! ended, and it is gone where others are called evasive. That is time enough for two beacons, so that one of them may
//! be lost. One that lives connects again long before, and its beacons are life.

use std::time::Duration;

use protocol::mutants::{self, Mutant};
use protocol::zre::NodeId;
use protocol::{Instant, PeerId};

use super::peer::{Doubt, Peer, State};
use super::{Node, Output, Wake};
use crate::event::{Departure, Event};
use crate::marking;

impl Node {
    pub(super) fn on_time(&mut self, now: Instant) {
        self.forgive_own_sleep(now);
        while let Some((wake, at)) = self.timers.pop_due(now) {
            match wake {
                Wake::Beacon if self.beacons.alarm.rings(at) => self.on_beacon_due(now),
                Wake::Peer(node) if self.peers.get_mut(&node).is_some_and(|peer| peer.alarm.rings(at)) => {
                    self.on_peer_due(now, node);
                }
                Wake::Connection(peer)
                    if self.connections.get_mut(&peer).is_some_and(|connection| connection.alarm.rings(at)) =>
                {
                    self.on_connection_due(now, peer);
                }
                // What it was about is gone, or asked again for another time.
                Wake::Beacon | Wake::Peer(_) | Wake::Connection(_) => {}
            }
        }
    }

    /// Whoever slept himself (a stopped process, a suspended machine) heard nobody: that is nobody else's silence.
    fn forgive_own_sleep(&mut self, now: Instant) {
        let asleep = self.timers.deadline().map_or(Duration::ZERO, |due| now - due);
        if asleep > SLEEP && self.beacons.count > 0 && !mutants::on(Mutant::BlameOwnSleep) {
            for peer in self.peers.values_mut() {
                peer.heard = (peer.heard + asleep).min(now);
            }
        }
    }

    fn on_beacon_due(&mut self, now: Instant) {
        self.send_beacon(self.config.port);
        self.beacons.sent_at = now;
        let interval = self.config.beacon_interval;
        // The first may be lost, and whoever is there already shall know of us at once.
        let wait = match self.beacons.count {
            0 => interval / 10,
            1 => interval / 4,
            _ => interval,
        };
        self.beacons.count = self.beacons.count.saturating_add(1);
        // From the time that was due, so that a late tick does not stretch the interval; unless it is long past.
        let due = (self.beacons.due + wait).max(now);
        self.beacons.due = if due > now { due } else { now + wait };
        self.timers.arm(&mut self.beacons.alarm, Wake::Beacon, self.beacons.due);
        self.lead_where_alone();
    }

    /// Asks to be woken when silence of this node would mean something.
    pub(super) fn wake_for(&mut self, node: NodeId) {
        let patience = self.config.patience(node);
        let hello_timeout = self.config.hello_patience(node);
        let expired = self.expiry(node);
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let at = match (&peer.state, peer.doubt) {
            (State::Ready(_), Doubt::Severed) => peer.heard + expired,
            (State::Stranger, _) => peer.heard + patience.expired,
            (State::Greeted, _) => (peer.heard + patience.expired).min(peer.since + hello_timeout),
            (State::Ready(_), Doubt::None) => peer.heard + patience.probe,
            (State::Ready(_), Doubt::Probed) => peer.heard + patience.evasive,
            (State::Ready(_), Doubt::Evasive) => peer.heard + patience.expired,
        };
        self.timers.arm(&mut peer.alarm, Wake::Peer(node), at);
    }

    fn on_peer_due(&mut self, now: Instant, node: NodeId) {
        let (expired, hello_timeout) = (self.expiry(node), self.config.hello_patience(node));
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let silence = now - peer.heard;
        let is_half_known = peer.member().is_none();
        let is_unanswered = matches!(peer.state, State::Greeted) && now - peer.since >= hello_timeout;
        if silence >= expired || is_unanswered {
            return self.remove(now, node, Departure::Expired);
        }
        if !is_half_known {
            self.doubt(node, silence);
        }
        self.wake_for(node);
    }

    /// How long this node may be silent, as things are.
    fn expiry(&self, node: NodeId) -> Duration {
        let patience = self.config.patience(node);
        let is_severed = self.peers.get(&node).is_some_and(|peer| peer.doubt == Doubt::Severed);
        if is_severed { patience.evasive } else { patience.expired }
    }

    /// A connection of this node came or went.
    pub(super) fn on_connection_changed(&mut self, node: NodeId) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let is_severed = peer.is_severed() && marking::is_ours(node);
        match (is_severed, peer.doubt) {
            (true, _) => peer.doubt = Doubt::Severed,
            (false, Doubt::Severed) => peer.doubt = Doubt::None,
            (false, _) => return,
        }
        self.wake_for(node);
    }

    fn doubt(&mut self, node: NodeId, silence: Duration) {
        let patience = self.config.patience(node);
        let Some(peer) = self.peers.get_mut(&node) else { return };
        match peer.doubt {
            Doubt::None if silence >= patience.probe => {
                peer.doubt = Doubt::Probed;
                self.ping(node);
            }
            Doubt::Probed if silence >= patience.evasive => {
                peer.doubt = Doubt::Evasive;
                let name = peer.member().map(|member| std::sync::Arc::clone(&member.name));
                self.ping(node);
                if let Some(name) = name {
                    self.tell(Event::Evasive { node, name });
                }
            }
            Doubt::None | Doubt::Probed | Doubt::Evasive | Doubt::Severed => {}
        }
    }

    /// A connection that has said no HELLO by now says none any more.
    fn on_connection_due(&mut self, now: Instant, peer: PeerId) {
        let Some(connection) = self.connections.get(&peer) else { return };
        let is_its = |known: &Peer| known.member().is_some() && known.key == connection.key;
        let is_known = self.peers.get(&connection.node).is_some_and(is_its);
        if !is_known && now - connection.since >= self.config.hello_timeout {
            self.counters.silent += 1;
            self.outputs.push_back(Output::Close { peer });
        }
    }
}

/// A tick that comes later than this was no matter of a busy machine.
const SLEEP: Duration = Duration::from_millis(500);
