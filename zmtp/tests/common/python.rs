//! Peers that are not ours: libzmq through Python.
//!
//! Python is `MAJORDOMO_TEST_PYTHON` or `python3`, with pyzmq. Without it the tests fail, unless
//! `MAJORDOMO_TEST_OFFLINE=1` says that this is known.
#![allow(clippy::print_stderr, reason = "a test that does not run says so")]

use std::path::Path;
use std::process::Stdio;

use tokio::process::{Child, Command};
use zmtp::{Event, Router, Stats};

use super::PATIENCE;

/// Starts a script of tests/peers; `None` when there is no Python for it and that is known.
pub async fn peer(script: &str, arguments: &[&str]) -> Option<Child> {
    let python = std::env::var("MAJORDOMO_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let probe = Command::new(&python).args(["-c", "import zmq"]).stderr(Stdio::null()).status().await;
    if !probe.is_ok_and(|status| status.success()) {
        let offline = std::env::var("MAJORDOMO_TEST_OFFLINE").is_ok_and(|value| value == "1");
        assert!(offline, "{python} has no pyzmq; set MAJORDOMO_TEST_PYTHON, or MAJORDOMO_TEST_OFFLINE=1");
        eprintln!("not run: {python} has no pyzmq");
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script);
    let mut command = Command::new(python);
    command.arg(script).args(arguments).stdout(Stdio::piped()).kill_on_drop(true);
    Some(command.spawn().unwrap())
}

/// Echoes until the peer has ended well; what was counted then, and how many connections came.
pub async fn echo_until_done(mut router: Router, mut peer: Child) -> (Stats, usize) {
    let (mut events, mut came) = (Vec::new(), 0);
    let serve = async {
        loop {
            tokio::select! {
                status = peer.wait() => {
                    assert!(status.unwrap().success(), "the peer found something wrong");
                    return (router.stats(), came);
                }
                () = router.recv(&mut events) => {}
            }
            for event in events.drain(..) {
                match event {
                    Event::Connected { .. } => came += 1,
                    Event::Message { peer, frames } => router.try_send(peer, frames).unwrap(),
                    Event::Disconnected { .. } | Event::Refused { .. } => {}
                }
            }
        }
    };
    tokio::time::timeout(2 * PATIENCE, serve).await.expect("the peer ends")
}
