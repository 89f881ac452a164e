//! Who a client is, beyond one connection (docs/rfc/MDP-0.3.md, 5.1): what it proved with the identity that it
//! announced, or this one connection when it announced none.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use protocol::{PeerId, Rights};
use rustc_hash::FxHashMap;

/// A client. While somebody holds one, its number stands for it and for nobody else.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) number: ClientNumber,
    /// Keeps the name known; nobody reads it.
    held: Option<Arc<()>>,
}

/// That of its first connection; never given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ClientNumber(pub(crate) u64);

/// Clients with an identity. One without connections is kept while somebody holds it, and then swept.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    by_name: BTreeMap<Name, Client>,
    /// The newest connection of each that is connected.
    newest: FxHashMap<ClientNumber, PeerId>,
    sweep_at: usize,
}

type Name = (Option<Arc<str>>, Bytes);

impl Client {
    /// Whether it can come back on another connection.
    pub(crate) fn returns(&self) -> bool {
        self.held.is_some()
    }
}

impl Clients {
    /// A connection comes in: whose it is.
    pub(crate) fn enter(&mut self, peer: PeerId, rights: &Rights, identity: Bytes) -> Client {
        let number = ClientNumber(peer.0);
        if identity.is_empty() {
            return Client { number, held: None };
        }
        self.sweep();
        let name = (rights.credential.clone(), identity);
        let new = || Client { number, held: Some(Arc::default()) };
        let client = self.by_name.entry(name).or_insert_with(new).clone();
        self.newest.insert(client.number, peer);
        client
    }

    /// A connection is gone. A successor under the same identity keeps it.
    pub(crate) fn leave(&mut self, peer: PeerId, client: &Client) {
        if self.newest.get(&client.number) == Some(&peer) {
            self.newest.remove(&client.number);
        }
    }

    /// The newest connection of a client with an identity.
    pub(crate) fn newest(&self, client: &Client) -> Option<PeerId> {
        self.newest.get(&client.number).copied()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Forgets clients that nobody holds; not more often than it takes for as many to come again.
    fn sweep(&mut self) {
        if self.by_name.len() >= self.sweep_at.max(SWEEP_MIN) {
            self.by_name.retain(|_, client| client.held.as_ref().is_some_and(|held| Arc::strong_count(held) > 1));
            self.sweep_at = self.by_name.len() * 2;
        }
    }
}

const SWEEP_MIN: usize = 64;
