//! Gossip on real sockets, beside a node: what is heard of others is told to the node.

use std::ops::ControlFlow;

use protocol::zre::NodeId;
use runtime::link::Heard;
use runtime::zmtp::{self, BindError, Endpoint, Options, PublicKey, Router};
use runtime::{Clock, Port, drive};
use tokio::sync::mpsc;

use crate::gossip::{Gossip, Input, Output, Place};
use crate::lines::Lines;
use crate::node;

/// The sockets: a hub of our own if there is one, and hubs of others.
pub(super) struct GossipPort {
    router: Option<Router>,
    heard: Vec<zmtp::Event>,
    hubs: Lines,
    /// Weak, so that a mesh whose handle is gone can end.
    node: mpsc::WeakSender<node::Input>,
}

impl GossipPort {
    /// Listens, and connects in the background.
    pub(super) async fn open(
        bind: Option<&Endpoint>,
        hubs: &[Endpoint],
        options: &Options,
        node: mpsc::WeakSender<node::Input>,
    ) -> Result<Self, BindError> {
        let router = match bind {
            Some(endpoint) => Some(Router::bind(std::slice::from_ref(endpoint), options.clone()).await?),
            None => None,
        };
        Ok(Self { router, heard: Vec::new(), hubs: Lines::open(hubs.iter().cloned(), options), node })
    }

    /// Gossips until it is dropped.
    pub(super) async fn run(mut self, id: NodeId, value: String, hubs: usize) {
        let mut gossip = Gossip::new(id.to_string(), value, hubs);
        drive(&mut gossip, &mut self, Clock::start()).await;
    }
}

impl Port<Gossip> for GossipPort {
    async fn recv(&mut self, inputs: &mut Vec<Input>) {
        let heard = async {
            match &mut self.router {
                Some(router) => router.recv(&mut self.heard).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = heard => inputs.extend(self.heard.drain(..).filter_map(|event| match event {
                zmtp::Event::Message { peer, frames } => Some(Input::Heard { from: Place::Client(peer), frames }),
                zmtp::Event::Disconnected { peer } => Some(Input::Gone(peer)),
                zmtp::Event::Connected { .. } | zmtp::Event::Refused { .. } => None,
            })),
            (hub, heard) = self.hubs.recv() => inputs.extend(heard.into_iter().filter_map(|heard| match heard {
                Heard::Connected => Some(Input::Linked { hub, up: true }),
                Heard::Disconnected => Some(Input::Linked { hub, up: false }),
                Heard::Message(frames) => Some(Input::Heard { from: Place::Hub(hub), frames }),
                Heard::Refused { .. } => None,
            })),
        }
    }

    fn perform(&mut self, output: Output, _: &mut Vec<Input>) -> ControlFlow<()> {
        match output {
            Output::Send { to: Place::Hub(hub), frames } => self.hubs.send(hub, frames),
            Output::Send { to: Place::Client(peer), frames } => {
                if let Some(router) = &mut self.router {
                    // Whoever has gone, or does not read, asks again.
                    let _ = router.try_send(peer, frames);
                }
            }
            Output::Send { to: Place::Us, .. } => {}
            Output::Tell { key, value } => {
                let Some(node) = self.node.upgrade() else { return ControlFlow::Break(()) };
                if let Some(input) = told_of(&key, &value) {
                    // What does not fit is told again.
                    let _ = node.try_send(input);
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// The value that is published for a node: where it listens, and its key where it has one.
pub(super) fn value(endpoint: &str, key: Option<crate::config::Key>) -> String {
    match key {
        Some(key) => format!("{endpoint}|{}", PublicKey::from(key)),
        None => endpoint.to_owned(),
    }
}

fn told_of(key: &str, value: &str) -> Option<node::Input> {
    let (endpoint, public) = match value.split_once('|') {
        Some((endpoint, public)) => (endpoint, Some(*public.parse::<PublicKey>().ok()?.as_bytes())),
        None => (value, None),
    };
    Some(node::Input::ToldOf { node: key.parse().ok()?, endpoint: endpoint.to_owned(), key: public })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_an_endpoint_with_or_without_a_key_and_anything_else_is_none() {
        let id = "00112233445566778899AABBCCDDEEFF";
        for key in [None, Some([7; 32])] {
            let told = told_of(id, &value("tcp://10.0.0.1:1", key));
            let expected = node::Input::ToldOf { node: id.parse().unwrap(), endpoint: "tcp://10.0.0.1:1".into(), key };
            assert_eq!(told, Some(expected));
        }
        assert_eq!(told_of("inproc-1", "tcp://10.0.0.1:1"), None);
        assert_eq!(told_of(id, "tcp://10.0.0.1:1|short"), None);
    }
}
