//! The frames of the bare forwarder on our own engine ([`crate::forward`]), over [`zmtp`](super::zmtp).
//!
//! ```text
//! client -> body                     reply   <- body
//! worker -> "READY"  <- "READY"      request <- client body
//! worker -> client body
//! ```
//!
//! The fewest frames that find their way back: what a broker's features cost is what it takes more than this.

use super::dialogue::{Asking, Dialogue, Message, Over};
use super::zmtp::append_frame;
use super::{Event, Protocol, WireFault};

/// Clients and workers of the forwarder.
#[derive(Debug, Clone, Copy)]
pub struct Forward;

impl Protocol for Forward {
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
            [body] => Ok(Event::Reply(body)),
            _ => Err(WireFault::Malformed("a reply of the forwarder")),
        }
    }
}

impl Asking for Client {
    fn request(&mut self, body: &[u8], output: &mut Vec<u8>) {
        append_frame(output, false, body);
    }
}

/// A worker's end.
#[derive(Debug)]
pub struct Worker;

impl Dialogue for Worker {
    fn begin(&mut self, output: &mut Vec<u8>) -> Event<'static> {
        append_frame(output, false, READY);
        Event::Nothing
    }

    fn hear<'a>(&mut self, message: &Message<'_, 'a>, output: &mut Vec<u8>) -> Result<Event<'a>, WireFault> {
        match message.frames {
            [_, body] => {
                // The reply's frames are the request's: the bytes go back as they came.
                output.extend_from_slice(message.octets);
                Ok(Event::Served(body))
            }
            [READY] => Ok(Event::Ready),
            _ => Err(WireFault::Malformed("a request of the forwarder")),
        }
    }
}

/// How a worker announces itself, and how it learns that it is known.
pub const READY: &[u8] = b"READY";

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
        let request = b"\x01\x08\0\0\0\0\0\0\0\x01\x00\x04body";
        let input = [&opening(), &b"\x00\x05READY"[..], request].concat();
        let talk = talk(&mut Forward.worker(), &input, 5).unwrap();
        assert_eq!(talk.events, [Owned::Ready, Owned::Served(b"body".to_vec())]);
        assert_eq!(talk.output, [&b"\x00\x05READY"[..], request].concat());
    }

    #[test]
    fn client_sends_and_hears_one_frame() {
        let (mut client, mut output) = (Forward.client(0, 2), Vec::new());
        client.request(b"hi", &mut output);
        assert_eq!(output, b"\x00\x02hi");
        let talk = talk(&mut client, &[opening(), output].concat(), 5).unwrap();
        assert_eq!(talk.events, [Owned::Ready, Owned::Reply(b"hi".to_vec())]);
    }
}
