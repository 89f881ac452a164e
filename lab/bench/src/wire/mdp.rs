//! MDP 0.1 (RFC 7) as a generator speaks it, over [`zmtp`](super::zmtp).
//!
//! ```text
//! client  -> "" MDPC01 service body                reply   <- "" MDPC01 service body
//! worker  -> "" MDPW01 01 service   (READY)        request <- "" MDPW01 02 client "" body
//! worker  -> "" MDPW01 03 client "" body (REPLY)   04 HEARTBEAT both ways, 05 DISCONNECT
//! ```
//!
//! The protocol has no request id: with several requests outstanding a reply is matched by the sequence number in its
//! body, which is the load's business and not this file's.

use super::dialogue::{Asking, Dialogue, Message, Over};
use super::zmtp::append_frame;
use super::{Event, Protocol, SERVICE, WireFault};

/// Clients and workers of MDP 0.1.
#[derive(Debug, Clone, Copy)]
pub struct Mdp;

impl Protocol for Mdp {
    type Client = Over<Client>;
    type Worker = Over<Worker>;

    fn client(&self, _index: usize, _body_bytes: usize) -> Over<Client> {
        let mut prefix = Vec::new();
        append_frame(&mut prefix, true, b"");
        append_frame(&mut prefix, true, CLIENT);
        append_frame(&mut prefix, true, SERVICE.as_bytes());
        Over::new(Client { prefix })
    }

    fn worker(&self) -> Over<Worker> {
        Over::new(Worker)
    }
}

/// A client's end.
#[derive(Debug)]
pub struct Client {
    /// Every frame of a request but its body.
    prefix: Vec<u8>,
}

impl Dialogue for Client {
    fn begin(&mut self, _output: &mut Vec<u8>) -> Event<'static> {
        Event::Ready
    }

    fn hear<'a>(&mut self, message: &Message<'_, 'a>, _output: &mut Vec<u8>) -> Result<Event<'a>, WireFault> {
        match message.frames {
            [b"", CLIENT, service, body] if *service == SERVICE.as_bytes() => Ok(Event::Reply(body)),
            _ => Err(WireFault::Malformed("an MDP reply")),
        }
    }
}

impl Asking for Client {
    fn request(&mut self, body: &[u8], output: &mut Vec<u8>) {
        output.extend_from_slice(&self.prefix);
        append_frame(output, false, body);
    }
}

/// A worker's end.
#[derive(Debug)]
pub struct Worker;

impl Dialogue for Worker {
    fn begin(&mut self, output: &mut Vec<u8>) -> Event<'static> {
        append_command(output, true, READY);
        append_frame(output, false, SERVICE.as_bytes());
        Event::Ready
    }

    fn hear<'a>(&mut self, message: &Message<'_, 'a>, output: &mut Vec<u8>) -> Result<Event<'a>, WireFault> {
        match message.frames {
            [b"", WORKER, REQUEST, client, b"", body] => {
                append_command(output, true, REPLY);
                append_frame(output, true, client);
                append_frame(output, true, b"");
                append_frame(output, false, body);
                Ok(Event::Served(body))
            }
            [b"", WORKER, HEARTBEAT] => Ok(Event::Nothing),
            [b"", WORKER, DISCONNECT] => Err(WireFault::Refused("DISCONNECT to a worker".into())),
            _ => Err(WireFault::Malformed("an MDP command to a worker")),
        }
    }

    fn heartbeat(&mut self, output: &mut Vec<u8>) {
        append_command(output, false, HEARTBEAT);
    }
}

fn append_command(output: &mut Vec<u8>, more: bool, command: &[u8]) {
    append_frame(output, true, b"");
    append_frame(output, true, WORKER);
    append_frame(output, more, command);
}

const CLIENT: &[u8] = b"MDPC01";
const WORKER: &[u8] = b"MDPW01";
const READY: &[u8] = &[1];
const REQUEST: &[u8] = &[2];
const REPLY: &[u8] = &[3];
const HEARTBEAT: &[u8] = &[4];
const DISCONNECT: &[u8] = &[5];

#[cfg(test)]
mod tests {
    use super::super::testing::{Owned, talk};
    use super::super::zmtp::Dealer;
    use super::super::{Caller, Speaker};
    use super::*;

    const REGISTRATION: &[u8] = b"\x01\x00\x01\x06MDPW01\x01\x01\x01\x00\x04echo";

    fn opening() -> Vec<u8> {
        let mut bytes = Vec::new();
        Dealer::default().open(&mut bytes);
        bytes
    }

    #[test]
    fn request_has_the_bytes_captured_from_a_libzmq_client() {
        let mut output = Vec::new();
        Mdp.client(0, 2).request(b"hi", &mut output);
        assert_eq!(output, b"\x01\x00\x01\x06MDPC01\x01\x04echo\x00\x02hi");
    }

    #[test]
    fn worker_registers_when_the_handshake_is_complete_and_not_before() {
        let mut output = Vec::new();
        Mdp.worker().open(&mut output);
        assert_eq!(output, opening());
        let talk = talk(&mut Mdp.worker(), &opening(), 1000).unwrap();
        assert_eq!(talk.output, REGISTRATION);
    }

    #[test]
    fn worker_echoes_to_the_client_address_it_was_given_however_the_bytes_arrive() {
        let mut input = opening();
        input.extend_from_slice(b"\x01\x00\x01\x06MDPW01\x01\x01\x02\x01\x05\x00abcd\x01\x00\x00\x04body");
        for piece in [1, 7, 1000] {
            let talk = talk(&mut Mdp.worker(), &input, piece).unwrap();
            assert_eq!(talk.events, [Owned::Ready, Owned::Served(b"body".to_vec())]);
            let reply = b"\x01\x00\x01\x06MDPW01\x01\x01\x03\x01\x05\x00abcd\x01\x00\x00\x04body";
            assert_eq!(talk.output, [REGISTRATION, reply].concat());
            assert_eq!(talk.left, 0);
        }
    }

    #[test]
    fn client_hands_out_the_body_of_a_reply() {
        let mut input = opening();
        input.extend_from_slice(b"\x01\x00\x01\x06MDPC01\x01\x04echo\x00\x02hi");
        let talk = talk(&mut Mdp.client(0, 2), &input, 3).unwrap();
        assert_eq!(talk.events, [Owned::Ready, Owned::Reply(b"hi".to_vec())]);
    }

    #[test]
    fn reply_of_another_service_is_a_fault() {
        let mut input = opening();
        input.extend_from_slice(b"\x01\x00\x01\x06MDPC01\x01\x04ohce\x00\x02hi");
        assert!(talk(&mut Mdp.client(0, 2), &input, 1000).is_err());
    }

    #[test]
    fn disconnect_ends_the_load_and_a_heartbeat_does_not() {
        let mut input = opening();
        input.extend_from_slice(b"\x01\x00\x01\x06MDPW01\x00\x01\x04");
        assert_eq!(talk(&mut Mdp.worker(), &input, 1000).unwrap().events, [Owned::Ready]);
        input.extend_from_slice(b"\x01\x00\x01\x06MDPW01\x00\x01\x05");
        assert!(matches!(talk(&mut Mdp.worker(), &input, 1000), Err(WireFault::Refused(_))));
    }

    #[test]
    fn heartbeat_is_three_frames() {
        let mut output = Vec::new();
        Mdp.worker().heartbeat(&mut output);
        assert_eq!(output, b"\x01\x00\x01\x06MDPW01\x00\x01\x04");
    }
}
