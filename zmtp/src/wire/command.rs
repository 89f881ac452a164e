//! Commands: what travels beside messages.
//!
//! ```text
//!   READY  05 "READY"  properties        ERROR  05 "ERROR" length(1) reason
//!   PING   04 "PING" ttl(2) context      PONG   04 "PONG" context
//!   property = length(1) name length(4) value
//! ```

use std::time::Duration;

use crate::wire::fault::Fault;
use crate::wire::frame;
use crate::wire::socket_type::printable;

/// A command that this engine understands; the slices are the peer's.
#[derive(Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// The end of the handshake, with metadata.
    Ready(&'a [u8]),
    /// A refusal, with its reason.
    Error(&'a [u8]),
    /// A sign of life that asks for one.
    Ping {
        /// How long the peer may hear nothing of us after this, if it says.
        ttl: Option<Duration>,
        /// To be echoed.
        context: &'a [u8],
    },
    /// The echo of our PING.
    Pong,
    /// Anything else: ignored after the handshake, as later versions may add commands.
    Unknown,
}

/// The longest command of ours or of a peer. READY with every property that libzmq sends has under 600 octets.
pub(crate) const COMMAND_BYTES_MAX: usize = 8192;
/// The longest context of a PING (RFC 37).
const CONTEXT_BYTES_MAX: usize = 16;

impl<'a> Command<'a> {
    /// Reads the body of a command frame.
    ///
    /// # Errors
    /// When it is none, or its fields do not fit it.
    pub fn parse(body: &'a [u8]) -> Result<Self, Fault> {
        let (name, data) = split_prefixed(body).ok_or(Fault::Command("unnamed"))?;
        match name {
            b"READY" => Ok(Self::Ready(data)),
            b"ERROR" => match split_prefixed(data) {
                Some((reason, _)) => Ok(Self::Error(reason)),
                None => Err(Fault::Command("ERROR")),
            },
            b"PING" => parse_ping(data).ok_or(Fault::Command("PING")),
            b"PONG" if data.len() <= CONTEXT_BYTES_MAX => Ok(Self::Pong),
            b"PONG" => Err(Fault::Command("PONG")),
            b"" => Err(Fault::Command("unnamed")),
            _ => Ok(Self::Unknown),
        }
    }
}

fn parse_ping(data: &[u8]) -> Option<Command<'_>> {
    let (ttl, context) = data.split_first_chunk()?;
    let tenths = u16::from_be_bytes(*ttl);
    let ttl = (tenths > 0).then(|| Duration::from_millis(100) * u32::from(tenths));
    (context.len() <= CONTEXT_BYTES_MAX).then_some(Command::Ping { ttl, context })
}

/// The properties of READY, in order; ends with a fault where they stop making sense.
pub(crate) fn properties(mut metadata: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8]), Fault>> {
    std::iter::from_fn(move || {
        if metadata.is_empty() {
            return None;
        }
        let property = split_property(metadata);
        metadata = property.as_ref().map_or(&[], |&(_, _, rest)| rest);
        Some(property.map(|(name, value, _)| (name, value)).ok_or(Fault::Metadata))
    })
}

fn split_property(metadata: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name, rest) = split_prefixed(metadata)?;
    let (length, rest) = rest.split_first_chunk()?;
    let length = i32::from_be_bytes(*length);
    let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    let legal = |octet: &u8| octet.is_ascii_alphanumeric() || b"-_.+".contains(octet);
    (!name.is_empty() && name.iter().all(legal)).then_some((name, value, rest))
}

/// What an ERROR says, as the fault that it is.
pub(crate) fn refusal(data: &[u8]) -> Fault {
    split_prefixed(data).map_or(Fault::Command("ERROR"), |(reason, _)| Fault::Refused(printable(reason)))
}

/// Splits off a string that is preceded by its length in one octet.
pub(crate) fn split_prefixed(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = input.split_first()?;
    rest.split_at_checked(usize::from(length))
}

/// Writes a command of the handshake as a whole frame; the long form when it is longer than 255 octets.
pub(crate) fn put(output: &mut Vec<u8>, name: &[u8], data: &[u8]) {
    frame::put_command_head(output, 1 + name.len() + data.len());
    put_prefixed(output, name);
    output.extend_from_slice(data);
}

/// Adds a property to metadata.
pub(crate) fn put_property(metadata: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    put_prefixed(metadata, name);
    metadata.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
    metadata.extend_from_slice(value);
}

/// Writes ERROR as a whole frame.
pub(crate) fn put_error(output: &mut Vec<u8>, reason: &str) {
    let mut body = b"\x05ERROR".to_vec();
    put_prefixed(&mut body, reason.as_bytes());
    put_command(output, &body);
}

/// Writes PING as a whole frame, without a context. A time to live past 6553.5 s is sent as that.
pub fn put_ping(output: &mut Vec<u8>, ttl: Duration) {
    let tenths = u16::try_from(ttl.as_millis() / 100).unwrap_or(u16::MAX);
    let mut body = b"\x04PING".to_vec();
    body.extend_from_slice(&tenths.to_be_bytes());
    put_command(output, &body);
}

/// Writes PONG as a whole frame.
pub fn put_pong(output: &mut Vec<u8>, context: &[u8]) {
    let mut body = b"\x04PONG".to_vec();
    body.extend_from_slice(context);
    put_command(output, &body);
}

fn put_command(output: &mut Vec<u8>, body: &[u8]) {
    frame::put_command_head(output, body.len());
    output.extend_from_slice(body);
}

/// At most 255 octets of `text`, preceded by their number.
pub(crate) fn put_prefixed(output: &mut Vec<u8>, text: &[u8]) {
    let text = text.get(..255).unwrap_or(text);
    output.push(u8::try_from(text.len()).expect("cut to 255 octets above"));
    output.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(socket_type: &[u8], identity: &[u8]) -> Vec<u8> {
        let (mut metadata, mut output) = (Vec::new(), Vec::new());
        put_property(&mut metadata, b"Socket-Type", socket_type);
        put_property(&mut metadata, b"Identity", identity);
        put(&mut output, b"READY", &metadata);
        output
    }

    #[test]
    fn ready_of_a_dealer_is_the_one_of_libzmq() {
        let output = ready(b"DEALER", b"");
        let mut golden = b"\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER".to_vec();
        golden.extend_from_slice(b"\x08Identity\x00\x00\x00\x00");
        assert_eq!(output, golden);
    }

    #[test]
    fn ready_with_a_long_identity_takes_the_long_form() {
        let output = ready(b"ROUTER", &[b'x'; 255]);
        assert_eq!(output[..9], [6, 0, 0, 0, 0, 0, 0, 1, 40]);
        assert_eq!(output.len(), 9 + 256 + 40);
        let Command::Ready(metadata) = Command::parse(&output[9..]).unwrap() else { panic!("not READY") };
        let found: Vec<_> = properties(metadata).map(Result::unwrap).collect();
        assert_eq!(found[0], (&b"Socket-Type"[..], &b"ROUTER"[..]));
        assert_eq!(found[1], (&b"Identity"[..], &[b'x'; 255][..]));
    }

    #[test]
    fn ping_carries_its_ttl_in_tenths_of_a_second_and_its_context() {
        let ping = Command::parse(b"\x04PING\x00\x0dabc").unwrap();
        assert_eq!(ping, Command::Ping { ttl: Some(Duration::from_millis(1300)), context: b"abc" });
        let ping = Command::parse(b"\x04PING\x00\x00").unwrap();
        assert_eq!(ping, Command::Ping { ttl: None, context: b"" });
        let mut output = Vec::new();
        put_ping(&mut output, Duration::from_secs(2));
        assert_eq!(output, b"\x04\x07\x04PING\x00\x14");
        output.clear();
        put_pong(&mut output, b"abc");
        assert_eq!(output, b"\x04\x08\x04PONGabc");
    }

    #[test]
    fn a_reason_longer_than_its_length_octet_is_cut() {
        let mut output = Vec::new();
        put_error(&mut output, &"x".repeat(300));
        assert_eq!(Command::parse(&output[9..]), Ok(Command::Error(&[b'x'; 255])));
    }

    #[test]
    fn commands_that_do_not_parse_are_faults_and_unknown_ones_are_not() {
        for (body, name) in [
            (&b""[..], "unnamed"),
            (b"\x00", "unnamed"),
            (b"\x06READY", "unnamed"),
            (b"\x04PING\x00", "PING"),
            (b"\x04PING\x00\x00seventeen octets!", "PING"),
            (b"\x04PONGseventeen octets!", "PONG"),
            (b"\x05ERROR", "ERROR"),
            (b"\x05ERROR\x05four", "ERROR"),
        ] {
            assert_eq!(Command::parse(body), Err(Fault::Command(name)), "{}", body.escape_ascii());
        }
        assert_eq!(Command::parse(b"\x09SUBSCRIBEabc"), Ok(Command::Unknown));
    }

    #[test]
    fn metadata_that_does_not_parse_is_a_fault_and_ends() {
        for metadata in [
            &b"\x00\x00\x00\x00\x00"[..],
            b"\x04name",
            b"\x04name\x00\x00\x00",
            b"\x04name\x00\x00\x00\x02x",
            b"\x04name\xff\xff\xff\xff",
            b"\x04na e\x00\x00\x00\x00",
            b"\x09name",
        ] {
            let found: Vec<_> = properties(metadata).take(9).collect();
            assert_eq!(found, [Err(Fault::Metadata)], "{}", metadata.escape_ascii());
        }
    }
}
