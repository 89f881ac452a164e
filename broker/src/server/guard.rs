//! The rights of each connection, kept as the table says: at its beginning, and whenever the table changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::{PeerId, Rights};
use runtime::zmtp::Principal;
use tokio::sync::watch;

use crate::access::{AllowTable, Peers};
use crate::broker::Input;

/// A table, and who is connected by it.
#[derive(Debug)]
pub(super) struct Guard {
    table: AllowTable,
    changes: watch::Receiver<Arc<Peers>>,
    present: BTreeMap<PeerId, Present>,
}

#[derive(Debug)]
struct Present {
    principal: Arc<Principal>,
    rights: Arc<Rights>,
}

impl Guard {
    pub(super) fn new(table: AllowTable) -> Self {
        Self { changes: table.changes(), table, present: BTreeMap::new() }
    }

    /// The rights of a new connection; `None` when it may not be here. Its handshake has asked already, but the table
    /// may be another by now.
    pub(super) fn on_connected(&mut self, peer: PeerId, principal: Option<Arc<Principal>>) -> Option<Arc<Rights>> {
        let principal = principal?;
        let rights = Arc::clone(self.table.current().rights(&principal)?);
        self.present.insert(peer, Present { principal, rights: Arc::clone(&rights) });
        Some(rights)
    }

    pub(super) fn on_disconnected(&mut self, peer: PeerId) {
        self.present.remove(&peer);
    }

    /// Waits until the table is another. Cancel safe.
    pub(super) async fn changed(&mut self) {
        // An error means that nobody is left who could change it.
        if self.changes.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// What the machine has to know of a table that has changed: who has other rights, and who has none.
    pub(super) fn on_changed(&mut self, inputs: &mut Vec<Input>) {
        let peers = Arc::clone(&self.changes.borrow_and_update());
        self.present.retain(|&peer, present| {
            let rights = peers.rights(&present.principal);
            if rights == Some(&present.rights) {
                return true;
            }
            inputs.push(Input::Rights { peer, rights: rights.cloned() });
            if let Some(rights) = rights {
                present.rights = Arc::clone(rights);
            }
            rights.is_some()
        });
    }

    /// Peers that were turned away.
    pub(super) fn refused(&self) -> u64 {
        self.table.refused()
    }
}

#[cfg(test)]
mod tests {
    use runtime::zmtp::{Admission, Proof, PublicKey};

    use super::*;

    fn key(number: u8) -> PublicKey {
        PublicKey::from([number; 32])
    }

    fn principal(number: u8) -> Option<Arc<Principal>> {
        Some(Arc::new(Principal { proof: Proof::Key(key(number)), admission: Admission::default() }))
    }

    fn peers(keys: impl IntoIterator<Item = (u8, bool)>) -> Peers {
        let mut peers = Peers::default();
        for (number, admin) in keys {
            assert!(peers.add_key(key(number), Rights { admin, ..Rights::everything() }));
        }
        peers
    }

    #[test]
    fn a_change_is_told_of_those_whom_it_concerns_and_of_nobody_else() {
        let table = AllowTable::new(peers([(1, true), (2, true), (3, true)]));
        let mut guard = Guard::new(table.clone());
        for number in 1..=3 {
            assert!(guard.on_connected(PeerId(number.into()), principal(number)).is_some());
        }
        assert!(
            guard.on_connected(PeerId(4), principal(4)).is_none(),
            "let in by a table that is not in force any more"
        );
        assert!(guard.on_connected(PeerId(5), None).is_none());
        table.replace(peers([(1, true), (2, false), (4, true)]));
        let mut inputs = Vec::new();
        guard.on_changed(&mut inputs);
        let told: Vec<_> = inputs
            .iter()
            .map(|input| match input {
                Input::Rights { peer, rights } => (peer.0, rights.as_ref().map(|rights| rights.admin)),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told, [(2, Some(false)), (3, None)]);
        inputs.clear();
        guard.on_changed(&mut inputs);
        assert_eq!(inputs, [], "nobody is told twice");
    }

    #[tokio::test]
    async fn a_connection_that_is_gone_is_not_told_and_the_change_is_waited_for() {
        let table = AllowTable::new(peers([(1, true)]));
        let mut guard = Guard::new(table.clone());
        guard.on_connected(PeerId(1), principal(1));
        guard.on_disconnected(PeerId(1));
        let change = tokio::spawn(async move {
            guard.changed().await;
            guard
        });
        table.replace(Peers::default());
        let mut inputs = Vec::new();
        change.await.unwrap().on_changed(&mut inputs);
        assert_eq!(inputs, []);
    }
}
