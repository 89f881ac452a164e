//! Foreign peers on our broker: libzmq through pyzmq with raw frames, PyPI's majortomo, the `zeromq` crate.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use common::{Majordomo, stderr, stdout, wait_for_workers};
use zeromq::{Socket, SocketRecv, SocketSend};

fn script(name: &str, arguments: &[&str]) -> Option<Command> {
    let mut command = common::python("zmq, majortomo.client")?;
    command.arg(format!("{}/tests/peers/{name}.py", env!("CARGO_MANIFEST_DIR"))).args(arguments);
    Some(command)
}

/// A foreign worker; killed when dropped.
struct Worker(Child);

impl Worker {
    fn start(mut command: Command, endpoint: &str, service: &str) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "registered\n");
        wait_for_workers(endpoint, service, 1);
        Self(child)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn lines(mut command: Command) -> Vec<String> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output).lines().map(str::to_owned).collect()
}

#[test]
fn pyzmq_clients_of_every_form_are_answered_in_their_own() {
    let broker = Majordomo::broker(&[]);
    let _worker = Majordomo::echo(&broker.endpoint);
    for role in ["req01", "correlate01", "dealer01", "dealer02", "delimited02"] {
        let Some(client) = script("mdp", &[&broker.endpoint, role, "echo", "hello", "world"]) else { return };
        assert_eq!(lines(client), ["hello", "world"], "{role}");
    }
}

#[test]
fn pyzmq_workers_of_every_form_serve_clients_of_every_form() {
    let broker = Majordomo::broker(&[]);
    for worker in ["worker01", "worker02", "workerdelimited02"] {
        for client in ["req01", "correlate01", "dealer01", "dealer02", "delimited02"] {
            let Some(command) = script("mdp", &[&broker.endpoint, worker, "foreign"]) else { return };
            let _worker = Worker::start(command, &broker.endpoint, "foreign");
            let request = script("mdp", &[&broker.endpoint, client, "foreign", "hello"]).unwrap();
            let answer = [format!("from {worker}"), "hello".to_owned()];
            let expected: Vec<_> = match (worker, client) {
                ("worker01", _) => answer.to_vec(),
                (_, "dealer02" | "delimited02") => [&["part".to_owned(), "--".to_owned()][..], &answer].concat(),
                // A client of one reply has the parts joined.
                _ => [&["part".to_owned()][..], &answer].concat(),
            };
            assert_eq!(lines(request), expected, "{worker} and {client}");
        }
    }
}

#[test]
fn majortomo_workers_and_clients_are_served() {
    let broker = Majordomo::broker(&[]);
    let _echo = Majordomo::echo(&broker.endpoint);
    let Some(command) = script("majortomo_echo", &[&broker.endpoint, "worker", "tomo"]) else { return };
    let _worker = Worker::start(command, &broker.endpoint, "tomo");
    let of_ours = script("majortomo_echo", &[&broker.endpoint, "client", "echo", "a", "b"]).unwrap();
    assert_eq!(lines(of_ours), ["a", "b"]);
    let of_theirs = script("majortomo_echo", &[&broker.endpoint, "client", "tomo", "a", "b"]).unwrap();
    assert_eq!(lines(of_theirs), ["part", "a", "b"]);
    assert_eq!(common::call(&broker.endpoint, &["tomo", "a"]), ["part", "a"]);
}

#[test]
fn the_zeromq_crate_is_client_and_worker() {
    let broker = Majordomo::broker(&[]);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut worker = zeromq::DealerSocket::new();
        worker.connect(&broker.endpoint).await.unwrap();
        worker.send(message(&[b"", b"MDPW01", b"\x01", b"crate"])).await.unwrap();
        wait_for_workers(&broker.endpoint, "crate", 1);
        let mut client = zeromq::ReqSocket::new();
        client.connect(&broker.endpoint).await.unwrap();
        client.send(message(&[b"MDPC01", b"crate", b"question"])).await.unwrap();
        let request = worker.recv().await.unwrap().into_vec();
        assert_eq!(request[1..3], [&b"MDPW01"[..], b"\x02"]);
        assert_eq!(request[5], &b"question"[..]);
        worker.send(message(&[b"", b"MDPW01", b"\x03", &request[3], b"", b"answer"])).await.unwrap();
        let reply = client.recv().await.unwrap().into_vec();
        assert_eq!(reply, [&b"MDPC01"[..], b"crate", b"answer"]);
    });
}

fn message(frames: &[&[u8]]) -> zeromq::ZmqMessage {
    let frames: Vec<_> = frames.iter().map(|frame| bytes::Bytes::copy_from_slice(frame)).collect();
    zeromq::ZmqMessage::try_from(frames).unwrap()
}
