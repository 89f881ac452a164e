//! Titanic (RFC 9) over MDP 0.3: `titanic.request` for a service that nobody offers, answered by 200 and the id, which
//! is the one that the client chose.
//!
//! ```text
//! {MDPC03 02 id titanic.request} {echo} body        {MDPC03 04 id parts status} {200} {id in hexadecimal digits}
//! ```

use super::super::dialogue::{Asking, Dialogue, Message, Over};
use super::super::zmtp::append_frame;
use super::super::{Event, Protocol, SERVICE, WireFault};
use super::{Nobody, number};

/// Submitters.
#[derive(Debug, Clone, Copy)]
pub struct Titanic {
    /// A part of every id: what another load has submitted under its own number is another request.
    pub run: u32,
}

impl Protocol for Titanic {
    type Client = Over<Client>;
    type Worker = Nobody;

    fn client(&self, index: usize, _body_bytes: usize) -> Over<Client> {
        let length = u8::try_from(REQUEST_SERVICE.len()).unwrap_or(u8::MAX);
        let head = [CLIENT, &[REQUEST], &[0; ID_BYTES], &[length], REQUEST_SERVICE, REPEATABLE].concat();
        // A zero id is none, and the same id is the same request to whoever keeps it.
        let salt = ((u64::from(self.run) << 32) | (index as u64 + 1)).to_be_bytes();
        Over::new(Client { head, salt })
    }

    fn worker(&self) -> Nobody {
        Nobody
    }
}

/// A submitter.
#[derive(Debug)]
pub struct Client {
    /// The head of every request, but for its id.
    head: Vec<u8>,
    salt: [u8; 8],
}

impl Dialogue for Client {
    fn begin(&mut self, output: &mut Vec<u8>) -> Event<'static> {
        append_frame(output, false, &[CLIENT, &[HEARTBEAT]].concat());
        Event::Nothing
    }

    fn hear<'a>(&mut self, message: &Message<'_, 'a>, _output: &mut Vec<u8>) -> Result<Event<'a>, WireFault> {
        let Some((head, body)) = message.frames.split_first() else { return Err(ANSWER) };
        match head.strip_prefix(CLIENT).and_then(<[u8]>::split_first) {
            Some((&HEARTBEAT, [])) => Ok(Event::Ready),
            Some((&FINAL, rest)) => {
                let Some((id, outcome)) = rest.split_first_chunk::<ID_BYTES>() else { return Err(ANSWER) };
                match body {
                    [b"200", text] if outcome == DONE && id.ends_with(&self.salt) && is_hex_of(text, id) => {
                        Ok(Event::Stored(number(id)))
                    }
                    _ => {
                        let said = [outcome, &body.concat()].concat();
                        Err(WireFault::Refused(said.escape_ascii().to_string()))
                    }
                }
            }
            _ => Err(ANSWER),
        }
    }
}

impl Asking for Client {
    fn request(&mut self, body: &[u8], output: &mut Vec<u8>) {
        if let (Some(place), Some(sequence)) = (self.head.get_mut(ID_PLACE), body.get(..8)) {
            let (front, back) = place.split_at_mut(8);
            front.copy_from_slice(sequence);
            back.copy_from_slice(&self.salt);
        }
        append_frame(output, true, &self.head);
        append_frame(output, true, SERVICE.as_bytes());
        append_frame(output, false, body);
    }
}

fn is_hex_of(text: &[u8], octets: &[u8]) -> bool {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let pairs = text.chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.eq(octets.iter().map(|octet| Some(u32::from(*octet))))
}

const CLIENT: &[u8] = b"MDPC03";
const REQUEST_SERVICE: &[u8] = b"titanic.request";
const REQUEST: u8 = 2;
const FINAL: u8 = 4;
const HEARTBEAT: u8 = 8;
const ID_BYTES: usize = 16;
/// Where the id stands in the head of a request.
const ID_PLACE: std::ops::Range<usize> = 7..7 + ID_BYTES;
/// IDEMPOTENCY, one octet: 1. What is stored is known by its id for a day; the broker need not keep the answer, too.
const REPEATABLE: &[u8] = &[0x43, 0, 1, 1];
/// No parts before, status 200, no options.
const DONE: &[u8] = &[0, 0, 0, 0, 0, 200];
const ANSWER: WireFault = WireFault::Malformed("an answer of MDP 0.3");

#[cfg(test)]
mod tests {
    use super::super::super::Caller;
    use super::super::super::testing::{Owned, talk};
    use super::super::super::zmtp::Dealer;
    use super::*;

    fn message(frames: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (index, frame) in frames.iter().enumerate() {
            append_frame(&mut bytes, index + 1 < frames.len(), frame);
        }
        bytes
    }

    fn told(id: &[u8], status: &[u8], body: &[&[u8]]) -> Result<Vec<Owned>, WireFault> {
        let mut opening = Vec::new();
        Dealer::default().open(&mut opening);
        let head = [b"MDPC03\x04", id, status].concat();
        let input = [opening, message(&[&[&head[..]], body].concat())].concat();
        talk(&mut Titanic { run: 0 }.client(0, 16), &input, 9).map(|talk| talk.events)
    }

    const ID: &[u8; 16] = b"\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01";

    #[test]
    fn a_submit_names_titanic_then_the_service_then_the_body() {
        let mut output = Vec::new();
        Titanic { run: 0 }.client(0, 16).request(b"\x07\0\0\0\0\0\0\0........", &mut output);
        let head = [b"MDPC03\x02", &ID[..], b"\x0ftitanic.request\x43\0\x01\x01"].concat();
        assert_eq!(output, message(&[&head, b"echo", b"\x07\0\0\0\0\0\0\0........"]));
    }

    #[test]
    fn stored_is_what_comes_back_with_200_and_its_own_id_in_digits() {
        let digits = b"07000000000000000000000000000001";
        assert_eq!(told(ID, DONE, &[b"200", digits]), Ok(vec![Owned::Stored(7)]));
        for (id, status, body) in [
            (ID, DONE, [&b"500 full"[..], digits]),
            (ID, &[0, 0, 0, 0, 1, 244], [b"200", digits]),
            (ID, DONE, [b"200", b"08000000000000000000000000000001"]),
            (b"\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02", DONE, [b"200", digits]),
        ] {
            assert!(matches!(told(id, status, &body), Err(WireFault::Refused(_))));
        }
    }
}
