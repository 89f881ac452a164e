//! A tube of beanstalkd: `put`, answered in order by the number that the job got.
//!
//! ```text
//! put priority delay ttr size CRLF body CRLF        INSERTED 17 CRLF
//! ```

use super::super::{Caller, Event, Heard, Protocol, Speaker, WireFault, whole};
use super::{Nobody, Turns, line, refused};

/// Producers of one tube.
#[derive(Debug, Clone, Copy)]
pub struct Beanstalkd;

impl Protocol for Beanstalkd {
    type Client = Client;
    type Worker = Nobody;

    fn client(&self, _index: usize, body_bytes: usize) -> Client {
        Client { prefix: format!("put 0 0 60 {body_bytes}\r\n").into_bytes(), turns: Turns::default() }
    }

    fn worker(&self) -> Nobody {
        Nobody
    }
}

/// A producer.
#[derive(Debug)]
pub struct Client {
    prefix: Vec<u8>,
    turns: Turns,
}

impl Speaker for Client {
    fn open(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(b"use bench\r\n");
    }

    fn hear<'a>(&mut self, input: &'a [u8], _output: &mut Vec<u8>) -> Result<Heard<'a>, WireFault> {
        let Some((words, length)) = line(input) else { return Ok(Heard::Partial) };
        match words {
            [b'U', b'S', b'I', b'N', b'G', ..] => whole(length, Event::Ready),
            _ if words.starts_with(b"INSERTED ") => self.turns.stored(length),
            // `BURIED` too: it had no memory to keep the job in order.
            _ => refused(words),
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
    fn a_job_is_stored_in_its_turn_however_the_bytes_arrive() {
        for piece in [1, 7, 1000] {
            let (mut client, mut output) = (Beanstalkd.client(0, 16), Vec::new());
            client.request(b"\x01\0\0\0\0\0\0\0........", &mut output);
            assert_eq!(output, b"put 0 0 60 16\r\n\x01\0\0\0\0\0\0\0........\r\n");
            let talk = talk(&mut client, b"USING bench\r\nINSERTED 17\r\n", piece).unwrap();
            assert_eq!(talk.events, [Owned::Ready, Owned::Stored(1)]);
        }
    }

    #[test]
    fn every_other_word_is_a_refusal() {
        for words in [&b"BURIED 3\r\n"[..], b"OUT_OF_MEMORY\r\n", b"JOB_TOO_BIG\r\n"] {
            let hear = talk(&mut Beanstalkd.client(0, 16), words, 9);
            assert!(matches!(hear, Err(WireFault::Refused(_))));
        }
    }
}
