//! NATS request-reply as a generator speaks it: core NATS, no JetStream, no headers.
//!
//! ```text
//! client: SUB _INBOX.n 1          PUB echo _INBOX.n size CRLF body CRLF      MSG _INBOX.n 1 size CRLF body CRLF
//! worker: SUB echo workers 1      MSG echo 1 _INBOX.n size CRLF body CRLF    PUB _INBOX.n size CRLF body CRLF
//! ```
//!
//! One inbox a client, one reply subject: the cheapest a NATS client can be, and the kindest to the server's subject
//! cache. There is no "one request at a time" in NATS: a subscriber of the queue group gets as many as it is dealt.

use super::{Caller, Event, Heard, Protocol, SERVICE, Speaker, WireFault, whole};

/// Clients and workers of core NATS.
#[derive(Debug, Clone, Copy)]
pub struct Nats;

impl Protocol for Nats {
    type Client = Client;
    type Worker = Worker;

    fn client(&self, index: usize, body_bytes: usize) -> Client {
        let inbox = format!("_INBOX.{index}");
        let prefix = format!("PUB {SERVICE} {inbox} {body_bytes}\r\n").into_bytes();
        Client { inbox, prefix }
    }

    fn worker(&self) -> Worker {
        Worker
    }
}

/// A client's end.
#[derive(Debug)]
pub struct Client {
    inbox: String,
    /// The whole control line of a request.
    prefix: Vec<u8>,
}

impl Speaker for Client {
    fn open(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(CONNECT.as_bytes());
        output.extend_from_slice(format!("SUB {} 1\r\nPING\r\n", self.inbox).as_bytes());
    }

    fn hear<'a>(&mut self, input: &'a [u8], output: &mut Vec<u8>) -> Result<Heard<'a>, WireFault> {
        match hear(input, output)? {
            Incoming::Partial => Ok(Heard::Partial),
            Incoming::Control { length, event } => whole(length, event),
            Incoming::Message { length, body, .. } => whole(length, Event::Reply(body)),
        }
    }
}

impl Caller for Client {
    fn request(&mut self, body: &[u8], output: &mut Vec<u8>) {
        output.extend_from_slice(&self.prefix);
        output.extend_from_slice(body);
        output.extend_from_slice(b"\r\n");
    }
}

/// A worker's end: a member of the queue group.
#[derive(Debug)]
pub struct Worker;

impl Speaker for Worker {
    fn open(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(CONNECT.as_bytes());
        output.extend_from_slice(format!("SUB {SERVICE} workers 1\r\nPING\r\n").as_bytes());
    }

    fn hear<'a>(&mut self, input: &'a [u8], output: &mut Vec<u8>) -> Result<Heard<'a>, WireFault> {
        match hear(input, output)? {
            Incoming::Partial => Ok(Heard::Partial),
            Incoming::Control { length, event } => whole(length, event),
            Incoming::Message { length, reply_to, size, body } => {
                if reply_to.is_empty() {
                    return Err(WireFault::Malformed("a request with a reply subject"));
                }
                for part in [b"PUB ", reply_to, b" ", size, b"\r\n", body, b"\r\n"] {
                    output.extend_from_slice(part);
                }
                whole(length, Event::Served(body))
            }
        }
    }
}

enum Incoming<'a> {
    Partial,
    Control {
        length: usize,
        event: Event<'a>,
    },
    Message {
        length: usize,
        /// Empty when the message has none.
        reply_to: &'a [u8],
        /// The digits, as they stood on the line.
        size: &'a [u8],
        body: &'a [u8],
    },
}

fn hear<'a>(input: &'a [u8], output: &mut Vec<u8>) -> Result<Incoming<'a>, WireFault> {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else { return Ok(Incoming::Partial) };
    let line = input.get(..end).unwrap_or_default().trim_ascii_end();
    let length = end + 1;
    let control = |event| Ok(Incoming::Control { length, event });
    let mut words = line.split(|byte| *byte == b' ');
    match words.next() {
        Some(b"MSG") => {
            let (_subject, _sid) = (words.next(), words.next());
            let (third, fourth) = (words.next().unwrap_or_default(), words.next());
            let (reply_to, size) = fourth.map_or((&[] as &[u8], third), |size| (third, size));
            hear_message(input, length, reply_to, size)
        }
        Some(b"PING") => {
            output.extend_from_slice(b"PONG\r\n");
            control(Event::Nothing)
        }
        Some(b"PONG") => control(Event::Ready),
        Some(b"INFO" | b"+OK") => control(Event::Nothing),
        Some(b"-ERR") => Err(WireFault::Refused(String::from_utf8_lossy(line).into_owned())),
        _ => Err(WireFault::Malformed("a NATS line")),
    }
}

fn hear_message<'a>(
    input: &'a [u8],
    line_bytes: usize,
    reply_to: &'a [u8],
    size: &'a [u8],
) -> Result<Incoming<'a>, WireFault> {
    let body_bytes = decimal(size).ok_or(WireFault::Malformed("a NATS message line"))?;
    let length = line_bytes + body_bytes + 2;
    Ok(match input.get(line_bytes..line_bytes + body_bytes) {
        Some(body) if input.len() >= length => Incoming::Message { length, reply_to, size, body },
        _ => Incoming::Partial,
    })
}

/// Digits only and at most nine of them, so that no sum with it can overflow.
fn decimal(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + usize::from(digit - b'0')))
}

const CONNECT: &str = concat!(
    r#"CONNECT {"verbose":false,"pedantic":false,"tls_required":false,"#,
    r#""lang":"bench","version":"1","protocol":1,"echo":true,"headers":false}"#,
    "\r\n"
);

#[cfg(test)]
mod tests {
    use super::super::testing::{Owned, talk};
    use super::*;

    const GREETING: &str = "INFO {\"server_id\":\"N\",\"max_payload\":1048576}\r\nPONG\r\n";

    #[test]
    fn request_names_the_inbox_that_was_subscribed() {
        let (mut client, mut output) = (Nats.client(7, 5), Vec::new());
        client.open(&mut output);
        assert!(output.ends_with(b"}\r\nSUB _INBOX.7 1\r\nPING\r\n"));
        output.clear();
        client.request(b"hello", &mut output);
        assert_eq!(output, b"PUB echo _INBOX.7 5\r\nhello\r\n");
    }

    #[test]
    fn worker_publishes_the_body_to_the_reply_subject_however_the_bytes_arrive() {
        let input = format!("{GREETING}MSG echo 1 _INBOX.7 7\r\na\r\nb\r\nc\r\n");
        for piece in [1, 6, 1000] {
            let talk = talk(&mut Nats.worker(), input.as_bytes(), piece).unwrap();
            assert_eq!(talk.events, [Owned::Ready, Owned::Served(b"a\r\nb\r\nc".to_vec())]);
            assert_eq!(talk.output, b"PUB _INBOX.7 7\r\na\r\nb\r\nc\r\n");
            assert_eq!(talk.left, 0);
        }
    }

    #[test]
    fn client_hands_out_the_body_of_a_reply() {
        let input = format!("{GREETING}MSG _INBOX.7 1 2\r\nhi\r\n");
        let talk = talk(&mut Nats.client(7, 2), input.as_bytes(), 4).unwrap();
        assert_eq!(talk.events, [Owned::Ready, Owned::Reply(b"hi".to_vec())]);
    }

    #[test]
    fn ping_is_answered() {
        assert_eq!(talk(&mut Nats.worker(), b"PING\r\n", 2).unwrap().output, b"PONG\r\n");
    }

    #[test]
    fn error_line_is_a_refusal_and_noise_a_fault() {
        assert!(matches!(talk(&mut Nats.worker(), b"-ERR 'Slow Consumer'\r\n", 99), Err(WireFault::Refused(_))));
        assert!(matches!(talk(&mut Nats.worker(), b"HELLO\r\n", 99), Err(WireFault::Malformed(_))));
        assert!(talk(&mut Nats.worker(), b"MSG echo 1 in -1\r\n", 99).is_err());
        assert!(talk(&mut Nats.worker(), b"MSG echo 1 in 99999999999999999999\r\n", 99).is_err());
    }

    #[test]
    fn request_without_a_reply_subject_is_a_fault() {
        assert!(talk(&mut Nats.worker(), b"MSG echo 1 2\r\nhi\r\n", 99).is_err());
    }
}
