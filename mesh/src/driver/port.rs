//! Connects a [`Node`] to the world: its sockets, its handle, and whoever reads its events.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use protocol::zre::NodeId;
use runtime::Port;
use runtime::udp::{Datagram, Sockets};
use runtime::zmtp::{self, Backoff, Mechanism, Options, Router};
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::address;
use super::links::Links;
use super::lookup::Lookup;
use super::trust::{self, Trust};
use crate::event::{Counters, Event};
use crate::node::{Input, Node, Output};

/// The port.
#[derive(Debug)]
pub(super) struct MeshPort {
    router: Router,
    /// Where it listens, if not everywhere.
    listens_at: Option<SocketAddr>,
    heard: Vec<zmtp::Event>,
    sockets: Sockets,
    datagrams: Vec<Datagram>,
    lookup: Lookup,
    trust: Option<Trust>,
    links: Links,
    /// `None` once the handle is gone.
    commands: Option<mpsc::Receiver<Input>>,
    events: mpsc::Sender<Event>,
    /// Events that nobody has taken yet; while there are some, no message of others is taken in.
    untold: VecDeque<Event>,
    counters: watch::Sender<Counters>,
    /// When to look at the interfaces again.
    look: Interval,
}

/// What a node hears with.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) router: Router,
    /// Where it listens, if not everywhere.
    pub(super) listens_at: Option<SocketAddr>,
    pub(super) sockets: Sockets,
    pub(super) lookup: Lookup,
    pub(super) trust: Option<Trust>,
}

/// Interfaces come and go; this often we look.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// A node that is there again shall not wait long for us.
const RECONNECT: Backoff = Backoff { first: Duration::from_millis(50), max: Duration::from_secs(1) };

impl MeshPort {
    pub(super) fn new(
        id: NodeId,
        wire: Wire,
        options: Options,
        commands: mpsc::Receiver<Input>,
        events: mpsc::Sender<Event>,
        counters: watch::Sender<Counters>,
    ) -> Self {
        let Wire { router, listens_at, sockets, lookup, trust } = wire;
        let options = Options { identity: id.to_identity(), reconnect: RECONNECT, ..options };
        let mut look = interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            router,
            listens_at,
            heard: Vec::new(),
            sockets,
            datagrams: Vec::new(),
            lookup,
            trust,
            links: Links::new(options),
            commands: Some(commands),
            events,
            untold: VecDeque::new(),
            counters,
            look,
        }
    }

    /// Listens where our one interface is now: it may have another address, or be another one of the same name. Where
    /// that fails, as an address that is new cannot be used at once, the next look tries again.
    fn follow_card(&mut self) {
        let mut cards = self.sockets.cards();
        let (Some(present), Some(card), None) = (self.listens_at, cards.next(), cards.next()) else { return };
        let wanted = address(card).socket_address(present.port());
        if wanted == present {
            return;
        }
        drop(cards);
        match self.router.move_to(wanted) {
            Ok(()) => self.listens_at = Some(wanted),
            Err(error) => tracing::debug!(%error, "the interface has changed"),
        }
    }

    /// Lets everybody hear what was said to them last.
    pub(super) async fn finish(self) {
        tokio::join!(self.links.finish(), self.router.close());
    }

    fn hear(&mut self, inputs: &mut Vec<Input>) {
        inputs.extend(self.heard.drain(..).filter_map(|event| match event {
            zmtp::Event::Connected { peer, identity, principal } => {
                let key = principal.and_then(|principal| trust::key_of(&principal));
                Some(Input::Connected { peer, identity, key })
            }
            zmtp::Event::Message { peer, frames } => Some(Input::Message { peer, frames }),
            zmtp::Event::Disconnected { peer } => Some(Input::Disconnected { peer }),
            // A connecting socket's, and this one listens.
            zmtp::Event::Refused { .. } => None,
        }));
    }

    /// Hands events over as far as there is room.
    fn pass_on(&mut self) {
        while let Some(event) = self.untold.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(event)) => return self.untold.push_front(event),
                // Nobody listens.
                Err(mpsc::error::TrySendError::Closed(_)) => self.untold.clear(),
            }
        }
    }
}

impl Port<Node> for MeshPort {
    async fn recv(&mut self, inputs: &mut Vec<Input>) {
        let is_clogged = !self.untold.is_empty();
        let command = async {
            match &mut self.commands {
                Some(commands) => commands.recv().await,
                None => std::future::pending().await,
            }
        };
        let has_room = async {
            // An error means that nobody reads any more, and then there is room for everything.
            let _ = self.events.reserve().await;
        };
        tokio::select! {
            () = self.sockets.recv(&mut self.datagrams) => {
                let trust = self.trust.as_ref();
                let may_come = |octets: &[u8]| trust.is_none_or(|trust| trust.may_come(octets));
                let datagrams = self.datagrams.drain(..).filter(|(_, octets)| may_come(octets));
                inputs.extend(datagrams.map(|(from, octets)| Input::Beacon { from, octets: octets.into() }));
            }
            addresses = self.lookup.changed() => self.sockets.name(addresses),
            () = self.router.recv(&mut self.heard), if !is_clogged => self.hear(inputs),
            (node, up) = self.links.recv() => inputs.push(Input::Linked { node, up }),
            command = command, if !is_clogged => {
                if command.is_none() {
                    self.commands = None;
                }
                inputs.push(command.unwrap_or(Input::Shutdown));
            }
            () = has_room, if is_clogged => self.pass_on(),
            _ = self.look.tick() => {
                if self.sockets.refresh() {
                    inputs.push(Input::Addresses(self.sockets.cards().map(address).collect()));
                }
                self.follow_card();
            }
        }
    }

    fn perform(&mut self, output: Output, inputs: &mut Vec<Input>) -> ControlFlow<()> {
        match output {
            Output::Beacon(octets) => self.sockets.send(&octets),
            Output::Connect { node, endpoint, key } => {
                let mechanism = match &self.trust {
                    Some(trust) => trust.towards(key),
                    None => Some(Mechanism::Null),
                };
                if !mechanism.is_some_and(|mechanism| self.links.connect(node, &endpoint, mechanism)) {
                    inputs.push(Input::Refused { node });
                }
            }
            Output::Send { node, frames } => {
                if !self.links.send(node, frames) {
                    inputs.push(Input::Refused { node });
                }
            }
            Output::Disconnect { node } => self.links.close(node),
            Output::Close { peer } => self.router.disconnect(peer),
            Output::Event(event) => self.untold.push_back(event),
            Output::Finished => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn settled(&mut self, node: &Node) {
        self.pass_on();
        self.counters.send_replace(node.counters());
    }
}
