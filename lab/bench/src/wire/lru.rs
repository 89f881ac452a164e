//! The frames of our libzmq ROUTER-ROUTER proxy (`proxy/lru_proxy.c`), over [`zmtp`](super::zmtp).
//!
//! ```text
//! client -> "" body                  reply   <- "" body
//! worker -> "" "READY"               request <- "" client "" body
//! worker -> "" client "" body        (the reply; it makes the worker the last in the queue again)
//! ```
//!
//! Less than MDP on purpose: no service names, no heartbeats, no expiry. It is what libzmq can do when nobody asks
//! more.

use super::dialogue::{Asking, Dialogue, Message, Over};
use super::zmtp::append_frame;
use super::{Event, Protocol, WireFault};

/// Clients and workers of the proxy.
#[derive(Debug, Clone, Copy)]
pub struct Lru;

impl Protocol for Lru {
    type Client = Over<Client>;
    type Worker = Over<Worker>;

    fn client(&self, _index: usize, _body_bytes: usize) -> Over<Client> {
        Over::new(Client)
    }

    fn worker(&self) -> Over<Worker> {
        Over::new(Worker)
    }
}

/// A client's end.
#[derive(Debug)]
pub struct Client;

impl Dialogue for Client {
    fn begin(&mut self, _output: &mut Vec<u8>) -> Event<'static> {
        Event::Ready
    }

    fn hear<'a>(&mut self, message: &Message<'_, 'a>, _output: &mut Vec<u8>) -> Result<Event<'a>, WireFault> {
        match message.frames {
            [b"", body] => Ok(Event::Reply(body)),
            _ => Err(WireFault::Malformed("a reply of the proxy")),
        }
    }
}

impl Asking for Client {
    fn request(&mut self, body: &[u8], output: &mut Vec<u8>) {
        append_frame(output, true, b"");
        append_frame(output, false, body);
    }
}

/// A worker's end.
#[derive(Debug)]
pub struct Worker;

impl Dialogue for Worker {
    fn begin(&mut self, output: &mut Vec<u8>) -> Event<'static> {
        append_frame(output, true, b"");
        append_frame(output, false, b"READY");
        Event::Ready
    }

    fn hear<'a>(&mut self, message: &Message<'_, 'a>, output: &mut Vec<u8>) -> Result<Event<'a>, WireFault> {
        match message.frames {
            [b"", _, b"", body] => {
                // The reply's frames are the request's: the bytes go back as they came.
                output.extend_from_slice(message.octets);
                Ok(Event::Served(body))
            }
            _ => Err(WireFault::Malformed("a request of the proxy")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Caller;
    use super::super::testing::{Owned, talk};
    use super::super::zmtp::Dealer;
    use super::*;

    fn opening() -> Vec<u8> {
        let mut bytes = Vec::new();
        Dealer::default().open(&mut bytes);
        bytes
    }

    #[test]
    fn worker_announces_itself_and_returns_what_it_got() {
        let request = b"\x01\x00\x01\x05\x00abcd\x01\x00\x00\x04body";
        let talk = talk(&mut Lru.worker(), &[&opening(), request.as_slice()].concat(), 5).unwrap();
        assert_eq!(talk.events, [Owned::Ready, Owned::Served(b"body".to_vec())]);
        assert_eq!(talk.output, [b"\x01\x00\x00\x05READY", request.as_slice()].concat());
    }

    #[test]
    fn client_sends_and_hears_two_frames() {
        let (mut client, mut output) = (Lru.client(0, 2), Vec::new());
        client.request(b"hi", &mut output);
        assert_eq!(output, b"\x01\x00\x00\x02hi");
        let talk = talk(&mut client, &[opening(), output].concat(), 5).unwrap();
        assert_eq!(talk.events, [Owned::Ready, Owned::Reply(b"hi".to_vec())]);
    }

    #[test]
    fn a_reply_of_three_frames_is_a_fault() {
        let input = [opening(), b"\x01\x00\x01\x01a\x00\x01b".to_vec()].concat();
        assert!(talk(&mut Lru.client(0, 1), &input, 1000).is_err());
    }
}
