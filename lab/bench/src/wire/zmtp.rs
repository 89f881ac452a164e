//! As much of ZMTP 3.1 with the NULL mechanism as a generator needs: greeting, READY, frames, PONG.
//!
//! Apart on purpose from the `zmtp` crate: a fault in our engine must not hide behind the same fault in its generator.
//!
//! ```text
//! greeting, 64 bytes   ff 8*00 7f | 03 01 | "NULL" 16*00 | as-server 00 | 31*00
//! frame                flags(1) size(1, or 8 with LONG) body     flags: 1 MORE, 2 LONG, 4 COMMAND
//! READY                04 size | 05 "READY" 0b "Socket-Type" 00000006 "DEALER" 08 "Identity" 00000000
//! ```

use super::WireFault;

/// One connection's end as a DEALER, below any messaging pattern.
#[derive(Debug, Default)]
pub struct Dealer {
    greeted: bool,
}

impl Dealer {
    /// Appends greeting and READY at once: with NULL neither waits for the other side. Messages do wait for the other's
    /// READY: libzmq takes one that arrives before it has sent its own for a broken handshake and hangs up.
    pub fn open(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(&[0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 1]);
        output.extend_from_slice(b"NULL");
        output.resize(output.len() + GREETING_BYTES - 16, 0);
        output.extend_from_slice(READY);
    }

    /// Looks at the front of `input` for a greeting, a command or a whole message; answers PING by itself.
    pub fn hear<'a>(&mut self, input: &'a [u8], output: &mut Vec<u8>) -> Result<Incoming<'a>, WireFault> {
        if !self.greeted {
            return self.hear_greeting(input);
        }
        let Some(first) = Frame::parse(input)? else { return Ok(Incoming::Partial) };
        if first.flags & COMMAND != 0 {
            return hear_command(&first, output);
        }
        hear_message(input)
    }

    fn hear_greeting<'a>(&mut self, input: &'a [u8]) -> Result<Incoming<'a>, WireFault> {
        let Some(greeting) = input.get(..GREETING_BYTES) else { return Ok(Incoming::Partial) };
        let is_current = greeting.get(10).is_some_and(|major| *major >= 3);
        if greeting.first() != Some(&0xff) || !is_current {
            return Err(WireFault::Malformed("a ZMTP 3 greeting"));
        }
        self.greeted = true;
        Ok(Incoming::Control { length: GREETING_BYTES, ready: false })
    }
}

/// What stands at the front of the input.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// Not whole yet.
    Partial,
    /// Greeting or command of `length` bytes; `ready` when it was READY.
    Control {
        /// Bytes to drop.
        length: usize,
        /// Whether the handshake is complete with it.
        ready: bool,
    },
    /// A message of `length` bytes on the wire.
    Message {
        /// Bytes to drop.
        length: usize,
        /// Its frames.
        frames: Frames<'a>,
    },
}

/// The frames of one message, where they lie in the input.
#[derive(Debug, Default)]
pub struct Frames<'a> {
    bodies: [&'a [u8]; FRAMES_MAX],
    count: usize,
}

impl<'a> Frames<'a> {
    /// The frames in order.
    pub fn as_slice(&self) -> &[&'a [u8]] {
        self.bodies.get(..self.count).unwrap_or_default()
    }
}

/// Appends one frame.
pub fn append_frame(output: &mut Vec<u8>, more: bool, body: &[u8]) {
    append_frame_head(output, more, body.len());
    output.extend_from_slice(body);
}

/// Appends what stands before a body of so many bytes, which the caller appends.
pub fn append_frame_head(output: &mut Vec<u8>, more: bool, body_bytes: usize) {
    let flags = if more { MORE } else { 0 };
    match u8::try_from(body_bytes) {
        Ok(size) => output.extend_from_slice(&[flags, size]),
        Err(_) => {
            output.push(flags | LONG);
            output.extend_from_slice(&(body_bytes as u64).to_be_bytes());
        }
    }
}

struct Frame<'a> {
    flags: u8,
    body: &'a [u8],
    /// Header and body.
    length: usize,
}

impl<'a> Frame<'a> {
    fn parse(input: &'a [u8]) -> Result<Option<Self>, WireFault> {
        let Some((&flags, rest)) = input.split_first() else { return Ok(None) };
        let (size, header) = if flags & LONG == 0 {
            let Some(&size) = rest.first() else { return Ok(None) };
            (usize::from(size), 2)
        } else {
            let Some(size) = rest.first_chunk::<8>() else { return Ok(None) };
            let size = usize::try_from(u64::from_be_bytes(*size)).unwrap_or(usize::MAX);
            (size, 9)
        };
        if flags & !(MORE | LONG | COMMAND) != 0 || size > FRAME_BYTES_MAX {
            return Err(WireFault::Malformed("a ZMTP frame"));
        }
        let length = header + size;
        Ok(input.get(header..length).map(|body| Self { flags, body, length }))
    }
}

fn hear_command<'a>(command: &Frame<'a>, output: &mut Vec<u8>) -> Result<Incoming<'a>, WireFault> {
    let done = |ready| Ok(Incoming::Control { length: command.length, ready });
    let Some((&name_bytes, rest)) = command.body.split_first() else {
        return Err(WireFault::Malformed("a ZMTP command"));
    };
    match rest.split_at_checked(usize::from(name_bytes)) {
        Some((b"READY", _)) => done(true),
        Some((b"PING", data)) => {
            let context = data.get(2..).unwrap_or_default();
            output.extend_from_slice(&[COMMAND, u8::try_from(5 + context.len()).unwrap_or(5), 4]);
            output.extend_from_slice(b"PONG");
            output.extend_from_slice(context);
            done(false)
        }
        Some((b"ERROR", reason)) => Err(WireFault::Refused(String::from_utf8_lossy(reason).into_owned())),
        Some(_) => done(false),
        None => Err(WireFault::Malformed("a ZMTP command")),
    }
}

fn hear_message(input: &[u8]) -> Result<Incoming<'_>, WireFault> {
    let (mut frames, mut length) = (Frames::default(), 0);
    loop {
        let Some(frame) = Frame::parse(input.get(length..).unwrap_or_default())? else { return Ok(Incoming::Partial) };
        let Some(place) = frames.bodies.get_mut(frames.count) else {
            return Err(WireFault::Malformed("a message of few frames"));
        };
        *place = frame.body;
        frames.count += 1;
        length += frame.length;
        if frame.flags & MORE == 0 {
            return Ok(Incoming::Message { length, frames });
        }
    }
}

const GREETING_BYTES: usize = 64;
const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;
/// The longest message of our patterns has six frames.
const FRAMES_MAX: usize = 8;
/// No body of a load is near this; a claim beyond it is a fault of the server.
const FRAME_BYTES_MAX: usize = 64 << 20;
/// Captured from libzmq 4.3.5, byte for byte.
const READY: &[u8] = b"\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00";

#[cfg(test)]
mod tests {
    use super::*;

    /// A greeting as libzmq sends it, and its READY.
    pub(crate) fn libzmq_opening() -> Vec<u8> {
        let mut bytes = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL".to_vec();
        bytes.resize(GREETING_BYTES, 0);
        bytes.extend_from_slice(READY);
        bytes
    }

    #[test]
    fn opening_has_the_bytes_that_libzmq_sends() {
        let mut output = Vec::new();
        Dealer::default().open(&mut output);
        assert_eq!(output.len(), 64 + 43);
        assert_eq!(output[..16], *b"\xff\0\0\0\0\0\0\0\0\x7f\x03\x01NULL");
        assert!(output[16..64].iter().all(|byte| *byte == 0));
        assert_eq!(output[64..], *READY);
    }

    #[test]
    fn ready_is_heard_after_the_greeting_only() {
        let (mut dealer, mut output) = (Dealer::default(), Vec::new());
        let opening = libzmq_opening();
        assert!(matches!(dealer.hear(&opening[..63], &mut output), Ok(Incoming::Partial)));
        assert!(matches!(dealer.hear(&opening, &mut output), Ok(Incoming::Control { length: 64, ready: false })));
        assert!(matches!(dealer.hear(&opening[64..], &mut output), Ok(Incoming::Control { length: 43, ready: true })));
        assert!(output.is_empty());
    }

    #[test]
    fn older_greetings_are_refused() {
        let mut greeting = libzmq_opening();
        greeting[10] = 1;
        assert!(Dealer::default().hear(&greeting, &mut Vec::new()).is_err());
    }

    #[test]
    fn ping_is_answered_with_its_context() {
        let (mut dealer, mut output) = (Dealer { greeted: true }, Vec::new());
        let ping = b"\x04\x0a\x04PING\x00\x4bctx";
        assert!(matches!(dealer.hear(ping, &mut output), Ok(Incoming::Control { length: 12, ready: false })));
        assert_eq!(output, b"\x04\x08\x04PONGctx");
    }

    #[test]
    fn error_command_is_a_refusal_with_its_reason() {
        let fault = Dealer { greeted: true }.hear(b"\x04\x0a\x05ERROR\x03bad", &mut Vec::new()).unwrap_err();
        assert_eq!(fault, WireFault::Refused("\u{3}bad".into()));
    }

    #[test]
    fn bodies_of_256_bytes_and_more_take_the_long_form() {
        for size in [0, 1, 255, 256, 70_000] {
            let mut bytes = Vec::new();
            append_frame(&mut bytes, true, b"");
            append_frame(&mut bytes, false, &vec![7; size]);
            assert_eq!(bytes.len(), 2 + size + if size > 255 { 9 } else { 2 });
            let mut dealer = Dealer { greeted: true };
            assert!(matches!(dealer.hear(&bytes[..bytes.len() - 1], &mut Vec::new()), Ok(Incoming::Partial)));
            let Ok(Incoming::Message { length, frames }) = dealer.hear(&bytes, &mut Vec::new()) else {
                panic!("whole")
            };
            assert_eq!(length, bytes.len());
            assert_eq!(frames.as_slice(), [&[] as &[u8], &vec![7; size]]);
        }
    }

    #[test]
    fn an_absurd_length_claim_is_a_fault_not_a_wait() {
        let claim = b"\x02\x00\xff\xff\xff\xff\xff\xff\xff";
        assert!(Dealer { greeted: true }.hear(claim, &mut Vec::new()).is_err());
    }
}
