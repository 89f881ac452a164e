//! Gearman's binary protocol as a generator speaks it: foreground jobs, one at a time a worker.
//!
//! ```text
//! packet  "\0REQ" or "\0RES" | type(4) | size(4) | arguments, NUL between them, the last one of any bytes
//! client  SUBMIT_JOB function unique body -> JOB_CREATED handle, later WORK_COMPLETE handle body
//! worker  CAN_DO function, GRAB_JOB -> JOB_ASSIGN handle function body | NO_JOB
//!         NO_JOB: PRE_SLEEP, a NOOP wakes it, GRAB_JOB           done: WORK_COMPLETE handle body, GRAB_JOB
//! ```
//!
//! WORK_COMPLETE and the next GRAB_JOB leave in one write, as good workers do. ECHO_REQ tells when the server has taken
//! the connection in.

use super::{Caller, Event, Heard, Protocol, SERVICE, Speaker, WireFault, whole};

/// Clients and workers of Gearman.
#[derive(Debug, Clone, Copy)]
pub struct Gearman;

impl Protocol for Gearman {
    type Client = Client;
    type Worker = Worker;

    fn client(&self, _index: usize, body_bytes: usize) -> Client {
        let mut prefix = Vec::new();
        append_header(&mut prefix, SUBMIT_JOB, SERVICE.len() + 2 + body_bytes);
        prefix.extend_from_slice(SERVICE.as_bytes());
        // An empty unique id: jobs are never merged.
        prefix.extend_from_slice(b"\0\0");
        Client { prefix }
    }

    fn worker(&self) -> Worker {
        Worker
    }
}

/// A client's end.
#[derive(Debug)]
pub struct Client {
    /// Header, function and unique id of a request.
    prefix: Vec<u8>,
}

impl Speaker for Client {
    fn open(&mut self, output: &mut Vec<u8>) {
        append_header(output, ECHO_REQ, 0);
    }

    fn hear<'a>(&mut self, input: &'a [u8], _output: &mut Vec<u8>) -> Result<Heard<'a>, WireFault> {
        let Some(packet) = Packet::parse(input)? else { return Ok(Heard::Partial) };
        match packet.kind {
            ECHO_RES => whole(packet.length, Event::Ready),
            JOB_CREATED => whole(packet.length, Event::Nothing),
            WORK_COMPLETE => {
                let (_handle, body) = packet.split()?;
                whole(packet.length, Event::Reply(body))
            }
            _ => Err(packet.refused()),
        }
    }
}

impl Caller for Client {
    fn request(&mut self, body: &[u8], output: &mut Vec<u8>) {
        output.extend_from_slice(&self.prefix);
        output.extend_from_slice(body);
    }
}

/// A worker's end.
#[derive(Debug)]
pub struct Worker;

impl Speaker for Worker {
    fn open(&mut self, output: &mut Vec<u8>) {
        append_header(output, CAN_DO, SERVICE.len());
        output.extend_from_slice(SERVICE.as_bytes());
        append_header(output, ECHO_REQ, 0);
        append_header(output, GRAB_JOB, 0);
    }

    fn hear<'a>(&mut self, input: &'a [u8], output: &mut Vec<u8>) -> Result<Heard<'a>, WireFault> {
        let Some(packet) = Packet::parse(input)? else { return Ok(Heard::Partial) };
        let event = match packet.kind {
            ECHO_RES => Event::Ready,
            NO_JOB => {
                append_header(output, PRE_SLEEP, 0);
                Event::Nothing
            }
            NOOP => {
                append_header(output, GRAB_JOB, 0);
                Event::Nothing
            }
            JOB_ASSIGN => {
                let (handle, rest) = packet.split()?;
                let (_function, body) = split_nul(rest)?;
                append_header(output, WORK_COMPLETE, handle.len() + 1 + body.len());
                output.extend_from_slice(handle);
                output.push(0);
                output.extend_from_slice(body);
                append_header(output, GRAB_JOB, 0);
                Event::Served(body)
            }
            _ => return Err(packet.refused()),
        };
        whole(packet.length, event)
    }
}

struct Packet<'a> {
    kind: u32,
    arguments: &'a [u8],
    /// Header and arguments.
    length: usize,
}

impl<'a> Packet<'a> {
    fn parse(input: &'a [u8]) -> Result<Option<Self>, WireFault> {
        let Some((header, rest)) = input.split_first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let [magic @ .., t0, t1, t2, t3, s0, s1, s2, s3] = *header;
        let size = usize::try_from(u32::from_be_bytes([s0, s1, s2, s3])).unwrap_or(usize::MAX);
        if magic != *b"\0RES" || size > PACKET_BYTES_MAX {
            return Err(WireFault::Malformed("a Gearman response"));
        }
        let kind = u32::from_be_bytes([t0, t1, t2, t3]);
        Ok(rest.get(..size).map(|arguments| Self { kind, arguments, length: HEADER_BYTES + size }))
    }

    /// First argument, and all that follows it.
    fn split(&self) -> Result<(&'a [u8], &'a [u8]), WireFault> {
        split_nul(self.arguments)
    }

    fn refused(&self) -> WireFault {
        WireFault::Refused(format!("packet type {}: {}", self.kind, String::from_utf8_lossy(self.arguments)))
    }
}

fn split_nul(bytes: &[u8]) -> Result<(&[u8], &[u8]), WireFault> {
    let nul = bytes.iter().position(|byte| *byte == 0).ok_or(WireFault::Malformed("a Gearman argument"))?;
    Ok((bytes.get(..nul).unwrap_or_default(), bytes.get(nul + 1..).unwrap_or_default()))
}

fn append_header(output: &mut Vec<u8>, kind: u32, size: usize) {
    output.extend_from_slice(b"\0REQ");
    output.extend_from_slice(&kind.to_be_bytes());
    output.extend_from_slice(&u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes());
}

const HEADER_BYTES: usize = 12;
/// No body of a load is near this; a claim beyond it is a fault of the server.
const PACKET_BYTES_MAX: usize = 64 << 20;

const CAN_DO: u32 = 1;
const PRE_SLEEP: u32 = 4;
const NOOP: u32 = 6;
const SUBMIT_JOB: u32 = 7;
const JOB_CREATED: u32 = 8;
const GRAB_JOB: u32 = 9;
const NO_JOB: u32 = 10;
const JOB_ASSIGN: u32 = 11;
const WORK_COMPLETE: u32 = 13;
const ECHO_REQ: u32 = 16;
const ECHO_RES: u32 = 17;

#[cfg(test)]
mod tests {
    use super::super::testing::{Owned, talk};
    use super::*;

    fn response(kind: u8, arguments: &[u8]) -> Vec<u8> {
        let size = u8::try_from(arguments.len()).unwrap();
        [b"\0RES\0\0\0".as_slice(), &[kind, 0, 0, 0, size], arguments].concat()
    }

    #[test]
    fn request_is_a_submit_job_without_a_unique_id() {
        let mut output = Vec::new();
        Gearman.client(0, 5).request(b"hello", &mut output);
        assert_eq!(output, b"\0REQ\0\0\0\x07\0\0\0\x0becho\0\0hello");
    }

    #[test]
    fn worker_sleeps_wakes_and_grabs() {
        let mut opening = Vec::new();
        Gearman.worker().open(&mut opening);
        assert_eq!(opening, b"\0REQ\0\0\0\x01\0\0\0\x04echo\0REQ\0\0\0\x10\0\0\0\0\0REQ\0\0\0\x09\0\0\0\0");
        let input = [response(17, b""), response(10, b""), response(6, b"")].concat();
        let talk = talk(&mut Gearman.worker(), &input, 5).unwrap();
        assert_eq!(talk.events, [Owned::Ready]);
        assert_eq!(talk.output, b"\0REQ\0\0\0\x04\0\0\0\0\0REQ\0\0\0\x09\0\0\0\0");
    }

    #[test]
    fn worker_completes_its_job_and_grabs_the_next_in_one_go() {
        let input = response(11, b"H:host:1\0echo\0bo\0dy");
        for piece in [1, 7, 1000] {
            let talk = talk(&mut Gearman.worker(), &input, piece).unwrap();
            assert_eq!(talk.events, [Owned::Served(b"bo\0dy".to_vec())]);
            assert_eq!(talk.output, b"\0REQ\0\0\0\x0d\0\0\0\x0eH:host:1\0bo\0dy\0REQ\0\0\0\x09\0\0\0\0");
            assert_eq!(talk.left, 0);
        }
    }

    #[test]
    fn client_waits_through_job_created_for_the_body() {
        let input = [response(17, b""), response(8, b"H:host:1"), response(13, b"H:host:1\0hi")].concat();
        let talk = talk(&mut Gearman.client(0, 2), &input, 9).unwrap();
        assert_eq!(talk.events, [Owned::Ready, Owned::Reply(b"hi".to_vec())]);
    }

    #[test]
    fn error_packet_is_a_refusal_and_wrong_magic_a_fault() {
        let refused = talk(&mut Gearman.client(0, 2), &response(19, b"CODE\0text"), 99);
        assert!(matches!(refused, Err(WireFault::Refused(_))));
        assert!(matches!(
            talk(&mut Gearman.client(0, 2), b"\0REQ\0\0\0\x08\0\0\0\0", 99),
            Err(WireFault::Malformed(_))
        ));
        assert!(talk(&mut Gearman.worker(), b"\0RES\0\0\0\x0b\xff\xff\xff\xff", 99).is_err());
    }
}
