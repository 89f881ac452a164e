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

use super::zmtp::{Dealer, Incoming, append_frame};
use super::{Caller, Event, Heard, Protocol, Speaker, WireFault, whole};

/// Clients and workers of the proxy.
#[derive(Debug, Clone, Copy)]
pub struct Lru;

impl Protocol for Lru {
    type Client = Client;
    type Worker = Worker;

    fn client(&self, _index: usize, _body_bytes: usize) -> Client {
        Client { dealer: Dealer::default() }
    }

    fn worker(&self) -> Worker {
        Worker { dealer: Dealer::default() }
    }
}

/// A client's end.
#[derive(Debug)]
pub struct Client {
    dealer: Dealer,
}

impl Speaker for Client {
    fn open(&mut self, output: &mut Vec<u8>) {
        self.dealer.open(output);
    }

    fn hear<'a>(&mut self, input: &'a [u8], output: &mut Vec<u8>) -> Result<Heard<'a>, WireFault> {
        match self.dealer.hear(input, output)? {
            Incoming::Partial => Ok(Heard::Partial),
            Incoming::Control { length, ready } => whole(length, if ready { Event::Ready } else { Event::Nothing }),
            Incoming::Message { length, frames } => match frames.as_slice() {
                [b"", body] => whole(length, Event::Reply(body)),
                _ => Err(WireFault::Malformed("a reply of the proxy")),
            },
        }
    }
}

impl Caller for Client {
    fn request(&mut self, body: &[u8], output: &mut Vec<u8>) {
        append_frame(output, true, b"");
        append_frame(output, false, body);
    }
}

/// A worker's end.
#[derive(Debug)]
pub struct Worker {
    dealer: Dealer,
}

impl Speaker for Worker {
    fn open(&mut self, output: &mut Vec<u8>) {
        self.dealer.open(output);
    }

    fn hear<'a>(&mut self, input: &'a [u8], output: &mut Vec<u8>) -> Result<Heard<'a>, WireFault> {
        match self.dealer.hear(input, output)? {
            Incoming::Partial => Ok(Heard::Partial),
            Incoming::Control { length, ready: false } => whole(length, Event::Nothing),
            Incoming::Control { length, ready: true } => {
                append_frame(output, true, b"");
                append_frame(output, false, b"READY");
                whole(length, Event::Ready)
            }
            Incoming::Message { length, frames } => match frames.as_slice() {
                [b"", _, b"", _] => {
                    // The reply's frames are the request's: the bytes go back as they came.
                    output.extend_from_slice(input.get(..length).unwrap_or_default());
                    whole(length, Event::Served)
                }
                _ => Err(WireFault::Malformed("a request of the proxy")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Owned, talk};
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
        assert_eq!(talk.events, [Owned::Ready, Owned::Served]);
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
