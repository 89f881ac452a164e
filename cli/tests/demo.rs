//! `majordomo demo`: finds its brokers in the mesh where there can be one, and says so where there cannot.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::process::{Command, Output};

use common::{command, stderr, stdout};
use fixtures::Network;

fn steps(output: &Output) -> Vec<serde_json::Value> {
    assert_eq!((output.status.code(), stderr(output).as_str()), (Some(0), ""));
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn two_demos_at_once_find_each_its_own_brokers_in_the_mesh() {
    let demos = [(); 2].map(|()| std::thread::spawn(|| command(&["--json", "demo"]).output().unwrap()));
    for demo in demos {
        let steps = steps(&demo.join().unwrap());
        for (step, name) in steps.iter().zip(["app", "db"]) {
            let found = format!("found in the mesh: mesh:{name} is tcp://127.0.0.1:");
            assert!(step["detail"].as_str().unwrap().starts_with(&found), "{step}");
        }
        assert_eq!(steps.last().unwrap()["what"], "the tour is over");
    }
}

#[test]
fn where_loopback_lets_no_beacon_pass_it_says_so_and_goes_by_addresses() {
    let Some(network) = Network::new(1) else { return };
    let rules = "add table ip deaf
        add chain ip deaf input { type filter hook input priority 0; }
        add rule ip deaf input ip protocol udp drop";
    let mut nft = Command::new("nft");
    nft.arg(rules);
    assert!(network.on(1, &nft).status().unwrap().success());
    let steps = steps(&network.on(1, &command(&["--json", "demo"])).output().unwrap());
    for step in &steps[..2] {
        assert!(step["detail"].as_str().unwrap().contains("by its address: no mesh here"), "{step}");
    }
    assert_eq!(steps.last().unwrap()["what"], "the tour is over");
}
