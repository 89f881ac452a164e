//! A stream of NATS JetStream: one copy, in a file. Each message has an inbox of its own for its acknowledgement, so
//! that no order is relied on.
//!
//! ```text
//! SUB _INBOX.n.* 1
//! PUB d _INBOX.n.17 size CRLF body CRLF        MSG _INBOX.n.17 1 size CRLF {"stream":"D", "seq":1} CRLF
//! ```

use super::super::{Caller, Event, Heard, Protocol, Speaker, WireFault, whole};
use super::{Nobody, line, number, refused};

/// Publishers into one stream.
#[derive(Debug, Clone, Copy)]
pub struct JetStream;

impl Protocol for JetStream {
    type Client = Client;
    type Worker = Nobody;

    fn client(&self, index: usize, body_bytes: usize) -> Client {
        Client { inbox: format!("_INBOX.{index}."), body_bytes }
    }

    fn worker(&self) -> Nobody {
        Nobody
    }
}

/// A publisher.
#[derive(Debug)]
pub struct Client {
    /// Of all its acknowledgements, but for their numbers.
    inbox: String,
    body_bytes: usize,
}

impl Client {
    fn hear_message<'a>(&self, head: &[u8], head_bytes: usize, input: &'a [u8]) -> Result<Heard<'a>, WireFault> {
        let words: Vec<&str> = std::str::from_utf8(head).unwrap_or_default().split(' ').collect();
        let (Some(subject), Some(size)) = (words.get(1), words.last().and_then(|size| size.parse::<usize>().ok()))
        else {
            return Err(WireFault::Malformed("a NATS message line"));
        };
        let length = head_bytes.saturating_add(size).saturating_add(2);
        let Some(body) = input.get(head_bytes..length) else { return Ok(Heard::Partial) };
        if body.windows(ERROR.len()).any(|part| part == ERROR) {
            return refused(body);
        }
        match subject.strip_prefix(self.inbox.as_str()) {
            Some(CREATED) => whole(length, Event::Ready),
            Some(number) => {
                let number = number.parse().map_err(|_| WireFault::Malformed("an inbox of ours"))?;
                whole(length, Event::Stored(number))
            }
            None => Err(WireFault::Malformed("an inbox of ours")),
        }
    }
}

impl Speaker for Client {
    fn open(&mut self, output: &mut Vec<u8>) {
        let (inbox, size) = (&self.inbox, STREAM.len());
        output.extend_from_slice(CONNECT.as_bytes());
        let words = format!("SUB {inbox}* 1\r\nPUB $JS.API.STREAM.CREATE.D {inbox}{CREATED} {size}\r\n{STREAM}\r\n");
        output.extend_from_slice(words.as_bytes());
    }

    fn hear<'a>(&mut self, input: &'a [u8], output: &mut Vec<u8>) -> Result<Heard<'a>, WireFault> {
        let Some((head, length)) = line(input) else { return Ok(Heard::Partial) };
        match head.split(|octet| *octet == b' ').next() {
            Some(b"MSG") => self.hear_message(head, length, input),
            Some(b"PING") => {
                output.extend_from_slice(b"PONG\r\n");
                whole(length, Event::Nothing)
            }
            Some(b"INFO" | b"+OK" | b"PONG") => whole(length, Event::Nothing),
            Some(b"-ERR") => refused(head),
            _ => Err(WireFault::Malformed("a NATS line")),
        }
    }
}

impl Caller for Client {
    fn request(&mut self, body: &[u8], output: &mut Vec<u8>) {
        let head = format!("PUB d {}{} {}\r\n", self.inbox, number(body), self.body_bytes);
        output.extend_from_slice(head.as_bytes());
        output.extend_from_slice(body);
        output.extend_from_slice(b"\r\n");
    }
}

const CONNECT: &str = concat!(
    r#"CONNECT {"verbose":false,"pedantic":false,"tls_required":false,"#,
    r#""lang":"bench","version":"1","protocol":1,"echo":true,"headers":false}"#,
    "\r\n"
);
/// Whoever comes first makes it; for all others it is there, and the same.
const STREAM: &str = r#"{"name":"D","subjects":["d"],"storage":"file","num_replicas":1,"retention":"limits"}"#;
const CREATED: &str = "created";
const ERROR: &[u8] = b"\"error\"";

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Owned, talk};
    use super::*;

    #[test]
    fn a_message_is_stored_by_the_number_in_its_inbox_however_the_bytes_arrive() {
        for piece in [1, 7, 1000] {
            let (mut client, mut output) = (JetStream.client(3, 16), Vec::new());
            client.request(b"\x11\0\0\0\0\0\0\0........", &mut output);
            assert_eq!(output, b"PUB d _INBOX.3.17 16\r\n\x11\0\0\0\0\0\0\0........\r\n");
            let input = b"INFO {}\r\nMSG _INBOX.3.created 1 2\r\n{}\r\nPING\r\nMSG _INBOX.3.17 1 9\r\n{\"seq\":1}\r\n";
            let talk = talk(&mut client, input, piece).unwrap();
            assert_eq!(talk.events, [Owned::Ready, Owned::Stored(17)]);
            assert_eq!(talk.output, b"PONG\r\n");
        }
    }

    #[test]
    fn an_error_in_an_acknowledgement_is_a_refusal() {
        let input = b"MSG _INBOX.3.17 1 10\r\n{\"error\":1\r\n";
        assert!(matches!(talk(&mut JetStream.client(3, 16), input, 9), Err(WireFault::Refused(_))));
    }
}
