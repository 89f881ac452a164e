//! Messages of a full mesh whose members stand in a file, as the Go program zmqnet says them: REQ to REP, one protocol
//! buffer behind the envelope.
//!
//! ```text
//!   envelope frames  ""  { 1 type varint   2 id varint   3 sender string   4 message string
//!                          14 token fixed64   15 acknowledged string …   16 missing string … }
//! ```
//!
//! A client says SINGLE to one member, which says BOUNCE to all others, is answered by BOUNCE, and then answers SINGLE,
//! or ERROR. The last three fields are ours; zmqnet leaves what it does not know unread.

use bytes::{BufMut, Bytes, BytesMut};

use crate::frames::Frames;
use crate::limits;

/// What is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// What for.
    pub kind: Kind,
    /// How many messages its sender has said; zmqnet says 0.
    pub id: u64,
    /// Who says it.
    pub sender: String,
    /// The text.
    pub text: String,
    /// By what a repetition is known; 0 for a message that is never repeated.
    pub token: u64,
    /// In an answer to SINGLE: the members that have it.
    pub acknowledged: Vec<String>,
    /// In an answer to SINGLE: the members that did not acknowledge it.
    pub missing: Vec<String>,
}

/// What a message is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// From a client, to be passed on to all; and the answer.
    #[default]
    Single,
    /// Passed on; and its acknowledgement.
    Bounce,
    /// An answer: it did not reach all.
    Error,
}

/// A message with the envelope that its answer goes back in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// All frames up to the empty one, and that one.
    pub envelope: Frames,
    /// What was said, or the rule that it breaks.
    pub message: Result<Message, PeerFault>,
}

/// A rule that a peer broke. It costs the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerFault {
    /// Not one frame behind an empty one, with few frames in front.
    #[error("no envelope (expected: up to {} frames, an empty one, and the message)", limits::ENVELOPE_FRAMES_MAX)]
    Envelope,
    /// The octets end within a field, or a number has no end.
    #[error("the message ends within {0}")]
    Cut(&'static str),
    /// A field of another kind than it should be, or of none.
    #[error("field {field} is of wire type {kind}")]
    Wire {
        /// Which.
        field: u64,
        /// As it came.
        kind: u64,
    },
    /// A text is not UTF-8.
    #[error("{0} is not UTF-8")]
    Text(&'static str),
    /// A type that is none.
    #[error("type {0} (allowed: 0 SINGLE, 1 BOUNCE, 2 ERROR)")]
    Kind(u64),
    /// More than is allowed.
    #[error("{count} {what} (allowed: {allowed})")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// At most.
        allowed: usize,
    },
}

impl Message {
    /// The protocol buffer; fields that say nothing are left out.
    pub fn encode(&self) -> Bytes {
        let mut buffer = BytesMut::with_capacity(self.text.len() + self.sender.len() + 48);
        put_number(&mut buffer, TYPE, self.kind.number());
        put_number(&mut buffer, ID, self.id);
        put_text(&mut buffer, SENDER, &self.sender);
        put_text(&mut buffer, MESSAGE, &self.text);
        if self.token != 0 {
            put_varint(&mut buffer, TOKEN << 3 | FIXED64);
            buffer.put_u64_le(self.token);
        }
        self.acknowledged.iter().for_each(|name| put_octets(&mut buffer, ACKNOWLEDGED, name));
        self.missing.iter().for_each(|name| put_octets(&mut buffer, MISSING, name));
        buffer.freeze()
    }

    /// Reads a protocol buffer; of a field that stands twice the last counts.
    ///
    /// # Errors
    /// The rule that it breaks. A text is at most [`limits::ZMQNET_TEXT_BYTES_MAX`] long, a name
    /// [`limits::ZMQNET_NAME_BYTES_MAX`], a list [`limits::ZMQNET_MEMBERS_MAX`].
    pub fn decode(octets: &[u8]) -> Result<Self, PeerFault> {
        let mut reader = Reader(octets);
        let mut message = Self::default();
        while !reader.0.is_empty() {
            let key = reader.varint("a field's number")?;
            message.read(key >> 3, key & 7, &mut reader)?;
        }
        Ok(message)
    }

    fn read(&mut self, field: u64, kind: u64, reader: &mut Reader<'_>) -> Result<(), PeerFault> {
        match (field, kind) {
            (TYPE, VARINT) => self.kind = Kind::of(reader.varint("type")?)?,
            (ID, VARINT) => self.id = reader.varint("id")?,
            (SENDER, LENGTH) => self.sender = reader.text("sender", limits::ZMQNET_NAME_BYTES_MAX)?,
            (MESSAGE, LENGTH) => self.text = reader.text("message", limits::ZMQNET_TEXT_BYTES_MAX)?,
            (TOKEN, FIXED64) => self.token = reader.fixed64("token")?,
            (ACKNOWLEDGED, LENGTH) => reader.name("acknowledged", &mut self.acknowledged)?,
            (MISSING, LENGTH) => reader.name("missing", &mut self.missing)?,
            (TYPE | ID | SENDER | MESSAGE | TOKEN | ACKNOWLEDGED | MISSING | 0, _) => {
                return Err(PeerFault::Wire { field, kind });
            }
            (_, VARINT) => drop(reader.varint("an unknown field")?),
            (_, FIXED64) => drop(reader.take(8, "an unknown field")?),
            (_, FIXED32) => drop(reader.take(4, "an unknown field")?),
            (_, LENGTH) => drop(reader.octets("an unknown field")?),
            _ => return Err(PeerFault::Wire { field, kind }),
        }
        Ok(())
    }
}

impl Request {
    /// Takes a message apart as a REP does.
    ///
    /// # Errors
    /// Without an envelope there is no way back; what is wrong with the message itself can be answered.
    pub fn split(mut frames: Frames) -> Result<Self, PeerFault> {
        let delimiter = frames.iter().take(limits::ENVELOPE_FRAMES_MAX + 1).position(Bytes::is_empty);
        let delimiter = delimiter.ok_or(PeerFault::Envelope)?;
        let mut envelope = Frames::with_capacity(delimiter + 2);
        for _ in 0..=delimiter {
            envelope.extend(frames.pop_front());
        }
        match &frames[..] {
            [only] => Ok(Self { message: Message::decode(only), envelope }),
            _ => Err(PeerFault::Envelope),
        }
    }
}

/// An answer, or a request of its own, behind its envelope.
pub fn join(mut envelope: Frames, message: &Message) -> Frames {
    envelope.push(message.encode());
    envelope
}

impl Kind {
    fn number(self) -> u64 {
        match self {
            Self::Single => 0,
            Self::Bounce => 1,
            Self::Error => 2,
        }
    }

    fn of(number: u64) -> Result<Self, PeerFault> {
        [Self::Single, Self::Bounce, Self::Error]
            .into_iter()
            .find(|kind| kind.number() == number)
            .ok_or(PeerFault::Kind(number))
    }
}

/// What has not been read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], PeerFault> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(PeerFault::Cut(what))?;
        self.0 = rest;
        Ok(taken)
    }

    /// Seven bits an octet, the lowest first; what does not fit into 64 bits is cut off, as others do.
    fn varint(&mut self, what: &'static str) -> Result<u64, PeerFault> {
        let mut number = 0;
        for place in 0..VARINT_OCTETS_MAX {
            let (octet, rest) = self.0.split_first().ok_or(PeerFault::Cut(what))?;
            self.0 = rest;
            number |= u64::from(octet & 0x7f) << (7 * place);
            if octet & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(PeerFault::Cut(what))
    }

    fn fixed64(&mut self, what: &'static str) -> Result<u64, PeerFault> {
        let (octets, rest) = self.0.split_first_chunk().ok_or(PeerFault::Cut(what))?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*octets))
    }

    fn octets(&mut self, what: &'static str) -> Result<&'a [u8], PeerFault> {
        let length = self.varint(what)?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX), what)
    }

    fn text(&mut self, what: &'static str, allowed: usize) -> Result<String, PeerFault> {
        let octets = self.octets(what)?;
        if octets.len() > allowed {
            return Err(PeerFault::Count { what: "bytes of a text", count: octets.len(), allowed });
        }
        std::str::from_utf8(octets).map(str::to_owned).map_err(|_| PeerFault::Text(what))
    }

    fn name(&mut self, what: &'static str, names: &mut Vec<String>) -> Result<(), PeerFault> {
        if names.len() >= limits::ZMQNET_MEMBERS_MAX {
            let (count, allowed) = (names.len() + 1, limits::ZMQNET_MEMBERS_MAX);
            return Err(PeerFault::Count { what: "names", count, allowed });
        }
        names.push(self.text(what, limits::ZMQNET_NAME_BYTES_MAX)?);
        Ok(())
    }
}

fn put_varint(buffer: &mut BytesMut, mut number: u64) {
    while number > 0x7f {
        buffer.put_u8(0x80 | u8::try_from(number & 0x7f).unwrap_or_default());
        number >>= 7;
    }
    buffer.put_u8(u8::try_from(number).unwrap_or_default());
}

fn put_number(buffer: &mut BytesMut, field: u64, number: u64) {
    if number != 0 {
        put_varint(buffer, field << 3 | VARINT);
        put_varint(buffer, number);
    }
}

fn put_text(buffer: &mut BytesMut, field: u64, text: &str) {
    if !text.is_empty() {
        put_octets(buffer, field, text);
    }
}

fn put_octets(buffer: &mut BytesMut, field: u64, text: &str) {
    put_varint(buffer, field << 3 | LENGTH);
    put_varint(buffer, u64::try_from(text.len()).unwrap_or(u64::MAX));
    buffer.put_slice(text.as_bytes());
}

const TYPE: u64 = 1;
const ID: u64 = 2;
const SENDER: u64 = 3;
const MESSAGE: u64 = 4;
const TOKEN: u64 = 14;
const ACKNOWLEDGED: u64 = 15;
const MISSING: u64 = 16;
/// The wire types of protocol buffers; 3 and 4, groups, are of old and nobody sends them.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;
const VARINT_OCTETS_MAX: u32 = 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_message_is_the_octets_of_its_protocol_buffer() {
        let single = Message { id: 300, sender: "c".into(), text: "hi".into(), ..Message::default() };
        assert_eq!(&single.encode()[..], b"\x10\xac\x02\x1a\x01c\x22\x02hi");
        let bounce = Message { kind: Kind::Bounce, text: "ack".into(), ..Message::default() };
        assert_eq!(&bounce.encode()[..], b"\x08\x01\x22\x03ack");
        let token = Message { token: 1, missing: names(&["x"]), ..Message::default() };
        assert_eq!(&token.encode()[..], b"\x71\x01\0\0\0\0\0\0\0\x82\x01\x01x");
    }

    #[test]
    fn unknown_fields_are_left_unread_and_the_last_of_two_counts() {
        let octets = b"\x2a\x03abc\x30\x07\x39\0\0\0\0\0\0\0\0\x45\0\0\0\0\x22\x01a\x22\x01b";
        assert_eq!(Message::decode(octets).map(|message| message.text), Ok("b".to_owned()));
    }

    #[test]
    fn each_malformed_message_is_a_fault_that_names_the_rule() {
        let huge = [&b"\x22"[..], b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"x"].concat();
        for (octets, fault) in [
            (&b"\x22\x05abc"[..], PeerFault::Cut("message")),
            (b"\x08", PeerFault::Cut("type")),
            (&[0xff; 11], PeerFault::Cut("a field's number")),
            (&huge, PeerFault::Cut("message")),
            (b"\x08\x03", PeerFault::Kind(3)),
            (b"\x22\x01\xff", PeerFault::Text("message")),
            (b"\x20\x01", PeerFault::Wire { field: 4, kind: 0 }),
            (b"\x2b", PeerFault::Wire { field: 5, kind: 3 }),
            (b"\x00\x01", PeerFault::Wire { field: 0, kind: 0 }),
        ] {
            assert_eq!(Message::decode(octets), Err(fault), "{octets:?}");
        }
    }

    #[test]
    fn zmqnet_text_name_and_members_max_are_met_and_not_passed() {
        let with = |text: usize, name: usize, missing: usize| Message {
            text: "t".repeat(text),
            sender: "n".repeat(name),
            missing: vec!["m".into(); missing],
            ..Message::default()
        };
        let max = [limits::ZMQNET_TEXT_BYTES_MAX, limits::ZMQNET_NAME_BYTES_MAX, limits::ZMQNET_MEMBERS_MAX];
        let [text, name, members] = max;
        assert!(Message::decode(&with(text, name, members).encode()).is_ok());
        for more in [with(text + 1, 1, 1), with(1, name + 1, 1), with(1, 1, members + 1)] {
            assert!(matches!(Message::decode(&more.encode()), Err(PeerFault::Count { .. })));
        }
    }

    #[test]
    fn the_envelope_is_all_up_to_the_empty_frame_and_behind_it_is_one_frame() {
        let said = Message { text: "hi".into(), ..Message::default() };
        for front in 0..=limits::ENVELOPE_FRAMES_MAX {
            let mut envelope: Frames = std::iter::repeat_n(Bytes::from_static(b"e"), front).collect();
            envelope.push(Bytes::new());
            let request = Request::split(join(envelope.clone(), &said));
            assert_eq!(request, Ok(Request { envelope, message: Ok(said.clone()) }));
        }
        let long: Frames = std::iter::repeat_n(Bytes::from_static(b"e"), limits::ENVELOPE_FRAMES_MAX + 1).collect();
        let mut long = long;
        long.push(Bytes::new());
        for frames in [Frames::new(), Frames::from(["hi"]), Frames::from([""]), Frames::from(["", "a", "b"]), long] {
            assert_eq!(Request::split(frames), Err(PeerFault::Envelope));
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_a_message_or_a_fault_and_a_message_survives_encode_and_decode(
            octets in proptest::collection::vec(any::<u8>(), 0..200),
            id in any::<u64>(),
            token in any::<u64>(),
            text in ".{0,40}",
            names in proptest::collection::vec(".{1,9}", 0..4),
        ) {
            if let Ok(message) = Message::decode(&octets) {
                prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
            }
            let message = Message { id, token, text, acknowledged: names, ..Message::default() };
            prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
    }
}
