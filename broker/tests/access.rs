//! The allow file at work on real sockets: who comes in, and what happens to those who are in when it changes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use broker::access::{AllowTable, Peers, Sources};
use broker::{Config, Rights, Server};
use protocol::mdp::client::decode_reply;
use protocol::mdp::{Dialect, Request};
use protocol::{Frames, PeerLimits};
use runtime::zmtp::curve::KeyPair;
use runtime::zmtp::{Dealer, Endpoint, Event, Mechanism, Options};
use runtime::{Shutdown, key_file};
use tokio::time::timeout;

const D: Dialect = Dialect::V02;
/// Far beyond what anything here takes; a test that meets it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A broker that speaks CURVE, and the keys to it.
struct World {
    endpoint: Endpoint,
    server: Arc<KeyPair>,
    _trigger: runtime::shutdown::Trigger,
}

impl World {
    async fn new(table: AllowTable) -> Self {
        let server = Arc::new(key_file::generate().unwrap());
        let options = Options { mechanism: Mechanism::CurveServer(Arc::clone(&server)), ..Options::default() };
        let endpoint = "tcp://127.0.0.1:0".parse().unwrap();
        let broker = Server::bind_for(&[endpoint], Config::default(), options, table).await.unwrap();
        let endpoint = broker.endpoints()[0].clone();
        let (trigger, shutdown) = Shutdown::new();
        tokio::spawn(broker.run(shutdown));
        Self { endpoint, server, _trigger: trigger }
    }

    fn connect(&self, keys: &Arc<KeyPair>) -> Client {
        let mechanism = Mechanism::CurveClient { keys: Arc::clone(keys), server: self.server.public };
        let options = Options { mechanism, ..Options::default() };
        Client { dealer: Dealer::connect(self.endpoint.clone(), options), events: Vec::new() }
    }
}

struct Client {
    dealer: Dealer,
    events: Vec<Event>,
}

impl Client {
    /// The next event; the others wait.
    async fn event(&mut self) -> Event {
        if self.events.is_empty() {
            timeout(PATIENCE, self.dealer.recv(&mut self.events)).await.expect("something happens");
        }
        self.events.remove(0)
    }

    /// What the broker answers.
    async fn call(&mut self, service: &str) -> String {
        let request = Request::new(D, Frames::new(), service.parse().unwrap(), Frames::from(["x"]));
        let mut request = Some(request.encode());
        loop {
            if let Some(frames) = request.take() {
                request = self.dealer.try_send(frames).err().map(|unsent| unsent.frames);
            }
            if let Event::Message { frames, .. } = self.event().await {
                let body = decode_reply(D, frames).unwrap().body;
                return String::from_utf8_lossy(&body[0]).into_owned();
            }
        }
    }

    async fn is_cut_off(&mut self) {
        while !matches!(self.event().await, Event::Disconnected { .. }) {}
        while !matches!(self.event().await, Event::Refused { .. }) {}
    }
}

fn keys() -> Arc<KeyPair> {
    Arc::new(key_file::generate().unwrap())
}

fn entry(keys: &KeyPair, rest: &str) -> String {
    format!("[[peer]]\nkey = \"{}\"\n{rest}\n", keys.public)
}

/// Replaces the file in one step, as an operator's tools do.
fn write(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

fn open(path: PathBuf) -> AllowTable {
    AllowTable::open(Sources { allow: Some(path), ..Sources::default() }).unwrap()
}

#[tokio::test]
async fn an_allowed_key_is_served_and_an_unknown_one_is_refused_and_counted() {
    let (alice, stranger) = (keys(), keys());
    let mut peers = Peers::default();
    peers.add_key(alice.public, Rights { admin: false, ..Rights::everything() });
    let table = AllowTable::new(peers);
    let world = World::new(table.clone()).await;
    let mut client = world.connect(&alice);
    assert_eq!(client.call("mmi.nonesuch").await, "501");
    assert_eq!(client.call("mmi.filter").await, "403 not allowed");
    let mut other = world.connect(&stranger);
    assert!(matches!(other.event().await, Event::Refused { .. }));
    assert!(table.refused() >= 1);
}

#[tokio::test]
async fn a_changed_file_cuts_off_whom_it_drops_and_the_others_stay_with_their_new_rights() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("allow.toml");
    let (alice, bob, carol) = (keys(), keys(), keys());
    write(&path, &format!("{}{}", entry(&alice, "name = \"alice\""), entry(&bob, "name = \"bob\"")));
    let world = World::new(open(path.clone())).await;
    let (mut first, mut second, mut third) = (world.connect(&alice), world.connect(&bob), world.connect(&carol));
    assert_eq!(first.call("mmi.nonesuch").await, "501");
    assert_eq!(second.call("mmi.nonesuch").await, "501");
    assert!(matches!(third.event().await, Event::Refused { .. }));
    write(&path, &format!("{}{}", entry(&alice, "mmi = false"), entry(&carol, "name = \"carol\"")));
    second.is_cut_off().await;
    assert_eq!(first.call("mmi.nonesuch").await, "403 not allowed");
    assert!(first.events.is_empty(), "its connection has not been touched: {:?}", first.events);
    assert_eq!(third.call("mmi.nonesuch").await, "501", "who was refused may come in now");
}

#[tokio::test]
async fn a_table_may_be_replaced_by_hand_and_limits_hold_on_real_sockets() {
    let alice = keys();
    let of = |count| {
        let mut peers = Peers::default();
        let limits = PeerLimits { requests_per_second: std::num::NonZeroU32::new(count), ..PeerLimits::default() };
        peers.add_key(alice.public, Rights { limits, ..Rights::everything() });
        peers
    };
    let table = AllowTable::new(of(1_000_000));
    let world = World::new(table.clone()).await;
    let mut client = world.connect(&alice);
    for _ in 0..100 {
        assert_eq!(client.call("mmi.nonesuch").await, "501");
    }
    table.replace(of(1));
    // The change is on its way: answers turn once it is there.
    while client.call("mmi.nonesuch").await != "429 too many requests a second" {}
    table.replace(Peers::default());
    client.is_cut_off().await;
}
