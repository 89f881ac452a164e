//! The SDKs over CURVE and PLAIN: what their builders say is what travels, and a refusal comes back as an error.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use client::{Client, Error, LazyPirate, Login, key_file};
use common::Majordomo;
use common::keys::{Folder, MAY_ECHO};
use worker::{Frames, Request, Worker};

#[tokio::test(flavor = "multi_thread")]
async fn client_pirate_and_worker_are_let_in_by_their_keys_and_their_domain() {
    let folder = Folder::new(&["alice", "mallory"]);
    folder.allow(&[("alice", MAY_ECHO)]);
    let broker = folder.broker(&["--domain", "prod"]);
    let keys = |name: &str| key_file::read(folder.path(&format!("{name}.key")).as_ref()).unwrap();
    let server = key_file::read_public(folder.path("broker.pub").as_ref()).unwrap();
    let worker = Worker::new(&broker.endpoint, "echo").curve(server, keys("worker")).domain("prod");
    tokio::spawn(worker.serve(|request: Request| async move { Ok::<Frames, String>(request.body) }));

    let client = Client::builder(&broker.endpoint).curve(server, keys("alice")).domain("prod").connect().unwrap();
    assert_eq!(client.request("echo", ["one"]).await.unwrap().body, ["one"].into());
    let mut pirate = LazyPirate::new(&broker.endpoint).curve(server, keys("alice")).domain("prod");
    assert_eq!(pirate.request("echo", ["two"]).await.unwrap().body, ["two"].into());

    let stranger = Client::builder(&broker.endpoint).curve(server, keys("mallory")).domain("prod").connect().unwrap();
    let refused = tokio::time::timeout(Duration::from_secs(2), stranger.request("echo", ["x"])).await.unwrap();
    assert!(matches!(&refused, Err(Error::NotLetIn { reason, .. }) if reason.starts_with("400")), "{refused:?}");
    let mut elsewhere = LazyPirate::new(&broker.endpoint).curve(server, keys("alice")).domain("test");
    let refused = elsewhere.request("echo", ["x"]).await;
    assert!(matches!(&refused, Err(Error::NotLetIn { reason, .. }) if reason.contains("domain")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_pirate_and_worker_are_let_in_by_their_password() {
    let folder = Folder::new(&[]);
    std::fs::write(folder.path("password"), "hush\n").unwrap();
    std::fs::set_permissions(folder.path("password"), Permissions::from_mode(0o600)).unwrap();
    let broker = Majordomo::broker(&["--plain", &format!("alice:{}", folder.path("password"))]);
    let login = |password: &'static str| Login::new("alice", password).unwrap();
    let worker = Worker::new(&broker.endpoint, "echo").plain(login("hush"));
    tokio::spawn(worker.serve(|request: Request| async move { Ok::<Frames, String>(request.body) }));
    let client = Client::builder(&broker.endpoint).plain(login("hush")).connect().unwrap();
    assert_eq!(client.request("echo", ["one"]).await.unwrap().body, ["one"].into());
    let mut pirate = LazyPirate::new(&broker.endpoint).plain(login("hush"));
    assert_eq!(pirate.request("echo", ["two"]).await.unwrap().body, ["two"].into());
    let refused = LazyPirate::new(&broker.endpoint).plain(login("hash")).request("echo", ["x"]).await;
    assert!(matches!(&refused, Err(Error::NotLetIn { reason, .. }) if reason.starts_with("400")), "{refused:?}");
}
