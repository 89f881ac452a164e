//! A Redis stream (RESP 2): `XADD`, answered in order by the id that the entry got.
//!
//! ```text
//! *5 $4 XADD $1 s $1 * $1 b $size body        $15 1700000000000-0
//! ```

use super::super::{Caller, Event, Heard, Protocol, Speaker, WireFault, whole};
use super::{Nobody, Turns, line, refused};

/// Writers of one stream.
#[derive(Debug, Clone, Copy)]
pub struct Redis;

impl Protocol for Redis {
    type Client = Client;
    type Worker = Nobody;

    fn client(&self, _index: usize, body_bytes: usize) -> Client {
        let prefix = format!("*5\r\n$4\r\nXADD\r\n$1\r\ns\r\n$1\r\n*\r\n$1\r\nb\r\n${body_bytes}\r\n").into_bytes();
        Client { prefix, turns: Turns::default() }
    }

    fn worker(&self) -> Nobody {
        Nobody
    }
}

/// A writer.
#[derive(Debug)]
pub struct Client {
    prefix: Vec<u8>,
    turns: Turns,
}

impl Speaker for Client {
    fn open(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(b"PING\r\n");
    }

    fn hear<'a>(&mut self, input: &'a [u8], _output: &mut Vec<u8>) -> Result<Heard<'a>, WireFault> {
        let Some((head, length)) = line(input) else { return Ok(Heard::Partial) };
        match head.split_first() {
            Some((b'+', b"PONG")) => whole(length, Event::Ready),
            Some((b'$', _)) => match input.get(length..).and_then(line) {
                Some((_, id)) => self.turns.stored(length + id),
                None => Ok(Heard::Partial),
            },
            Some((b'-', _)) => refused(head),
            _ => Err(WireFault::Malformed("an answer of RESP")),
        }
    }
}

impl Caller for Client {
    fn request(&mut self, body: &[u8], output: &mut Vec<u8>) {
        self.turns.asked(body);
        output.extend_from_slice(&self.prefix);
        output.extend_from_slice(body);
        output.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Owned, talk};
    use super::*;

    #[test]
    fn an_entry_is_stored_in_its_turn_however_the_bytes_arrive() {
        for piece in [1, 7, 1000] {
            let (mut client, mut output) = (Redis.client(0, 16), Vec::new());
            client.request(b"\x01\0\0\0\0\0\0\0........", &mut output);
            client.request(b"\x02\0\0\0\0\0\0\0........", &mut Vec::new());
            assert!(output.starts_with(b"*5\r\n$4\r\nXADD\r\n$1\r\ns\r\n$1\r\n*\r\n$1\r\nb\r\n$16\r\n\x01"));
            let talk = talk(&mut client, b"+PONG\r\n$3\r\n1-0\r\n$3\r\n1-1\r\n", piece).unwrap();
            assert_eq!(talk.events, [Owned::Ready, Owned::Stored(1), Owned::Stored(2)]);
        }
    }

    #[test]
    fn an_error_is_a_refusal_and_an_answer_to_nothing_a_fault() {
        let hear = |input: &[u8]| talk(&mut Redis.client(0, 16), input, 9);
        assert!(matches!(hear(b"-ERR no\r\n"), Err(WireFault::Refused(_))));
        assert!(matches!(hear(b"$3\r\n1-0\r\n"), Err(WireFault::Malformed(_))));
    }
}
