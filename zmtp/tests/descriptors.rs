//! A process that runs out of file descriptors waits, and serves again when there are some.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use std::net::TcpStream;

use common::{assert_served, echo, eventually, options, router};
use tokio::time::{Duration, Instant};

/// Set in the child, which has but few descriptors.
const CHILD: &str = "ZMTP_TEST_FEW_DESCRIPTORS";

#[test]
fn without_descriptors_accepting_pauses_and_goes_on_when_there_are_some() {
    if std::env::var_os(CHILD).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(run_out_of_descriptors());
    }
    let program = std::env::current_exe().unwrap();
    let mut child = std::process::Command::new("sh");
    child.args(["-c", "ulimit -n 64 && exec \"$0\" --nocapture"]).arg(program).env(CHILD, "1");
    assert!(child.status().unwrap().success());
}

async fn run_out_of_descriptors() {
    let (router, endpoint) = router(options()).await;
    let address = ("127.0.0.1", endpoint.port().unwrap());
    let mut crowd = Vec::new();
    while let Ok(stream) = TcpStream::connect(address) {
        crowd.push(stream);
        assert!(crowd.len() < 64, "the limit is not in force");
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    eventually(|| router.stats().failed >= 3).await;
    // It doubles its pauses from 10 ms on: the third failure comes no sooner.
    assert!(start.elapsed() >= Duration::from_millis(20), "it spins");
    drop(crowd);
    echo(router);
    assert_served(&endpoint).await;
}
