//! What a connection and the owner of its socket share, and what all connections of a socket share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::PeerId;
use tokio::time::Instant;

use crate::security::curve::Cookies;
use crate::security::public_key::KEY_BYTES;
use crate::socket::budget::{Budget, Charge};
use crate::socket::event::Event;
use crate::socket::identities::Identities;
use crate::socket::inlet::{Batch, Inlet, Line, Spares};
use crate::socket::options::Options;
use crate::socket::outlet::Outlet;
use crate::socket::stats::{Counters, Slot};
use crate::wire::handshake::Peer;

/// The two directions between one connection and the owner.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) inlet: Inlet,
    pub(crate) outlet: Outlet,
    /// Held until the owner, too, has forgotten the connection: what waits in line is bounded by it.
    _slot: Option<Slot>,
}

/// What all connections of a socket share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) line: Line<Link>,
    pub(crate) spares: Spares,
    pub(crate) counters: Arc<Counters>,
    pub(crate) inbound: Arc<Budget>,
    outbound: Arc<Budget>,
    /// The keys of CURVE's cookies, which a server's handshakes share, and when the first of them was made.
    pub(crate) cookies: Arc<Cookies>,
    born: Instant,
    pub(crate) identities: Identities,
    /// The owner has gone; nobody takes anything from the line any more.
    pub(crate) abandoned: AtomicBool,
}

/// A connection after its handshake: announces itself, and says goodbye however it ends.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    shared: &'a Shared,
    link: &'a Arc<Link>,
    peer: PeerId,
}

impl Shared {
    pub(crate) fn new(options: Options) -> Arc<Self> {
        let inbound = Budget::new(options.limits.inbound_bytes_max);
        let outbound = Budget::new(options.limits.outbound_bytes_max);
        let (line, spares, counters) = (Line::default(), Spares::default(), Arc::default());
        let abandoned = AtomicBool::new(false);
        let (cookies, born) = (Arc::new(Cookies::default()), Instant::now());
        let identities = Identities::new(options.limits.identities_max);
        Arc::new(Self { options, line, spares, counters, inbound, outbound, cookies, born, identities, abandoned })
    }

    /// Changes the keys of the cookies when it is time; to be called before each step of a handshake.
    pub(crate) fn turn_cookies(&self) -> Result<(), getrandom::Error> {
        let now = protocol::Instant::ZERO + self.born.elapsed();
        self.cookies.turn(now, || {
            let mut key = [0; KEY_BYTES];
            getrandom::fill(&mut key).map(|()| key)
        })
    }

    /// An account for memory on its way to a peer that its queue does not count.
    pub(crate) fn outbound_charge(&self) -> Charge {
        Charge::new(Arc::clone(&self.outbound))
    }

    pub(crate) fn link(&self, slot: Option<Slot>) -> Arc<Link> {
        let inlet = Inlet::new(Charge::new(Arc::clone(&self.inbound)));
        let outlet = Outlet::new(Charge::new(Arc::clone(&self.outbound)));
        Arc::new(Link { inlet, outlet, _slot: slot })
    }

    /// Hands a connection's batch over.
    pub(crate) fn deliver(&self, link: &Arc<Link>, batch: &mut Batch) {
        if link.inlet.deliver(batch) {
            self.line.join(Arc::clone(link));
        }
    }

    /// For the owner: takes what waits of a connection, to the end of `events`.
    pub(crate) fn collect(&self, link: &Link, events: &mut Vec<Event>) {
        if let Some(spare) = link.inlet.take(events) {
            self.spares.give(spare);
        }
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::SeqCst)
    }
}

impl<'a> Member<'a> {
    pub(crate) fn join(shared: &'a Shared, link: &'a Arc<Link>, id: PeerId, peer: &Peer) -> Self {
        let member = Self { shared, link, peer: id };
        let (identity, principal) = (peer.identity.clone(), peer.principal.clone());
        member.announce(Event::Connected { peer: id, identity, principal });
        member
    }

    fn announce(&self, event: Event) {
        self.shared.deliver(self.link, &mut Batch { events: vec![event], bytes: 0 });
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        self.announce(Event::Disconnected { peer: self.peer });
    }
}
