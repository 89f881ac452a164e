//! MDP 0.3 (docs/rfc/MDP-0.3.md) as a generator speaks it, over [`zmtp`](super::zmtp).
//!
//! ```text
//! client  -> {MDPC03 02 id service options} body     reply   <- {MDPC03 04 id parts status options} body
//! worker  -> {MDPW03 01 credit millis} {service}     request <- {MDPW03 02 job attempt millis id service} body
//! worker  -> {MDPW03 04 job parts status} body       HEARTBEAT 08 both ways; to a worker with its interval
//! ```
//!
//! Apart on purpose from the `protocol` crate: a fault in our codec must not hide behind the same fault in its
//! generator. The id of a request is made of the sequence number in its body, so that a reply that carries the id of
//! one request and the body of another is found out.

use super::dialogue::{Asking, Dialogue, Message, Over};
use super::zmtp::{append_frame, append_frame_head};
use super::{Event, Protocol, SERVICE, WireFault};

/// Clients and workers of MDP 0.3.
#[derive(Debug, Clone, Copy)]
pub struct Mdp03 {
    /// Requests that a worker takes at once.
    pub credit: u32,
    /// What happens to an answer once it is given.
    pub answers: Answers,
}

/// What a client asks the broker to do with an answer that it has passed on: the option IDEMPOTENCY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// To keep it for a client that repeats its request, which is what a client gets that says nothing.
    Kept,
    /// To forget it, as all other servers do.
    Forgotten,
}

impl Protocol for Mdp03 {
    type Client = Over<Client>;
    type Worker = Over<Worker>;

    fn client(&self, index: usize, _body_bytes: usize) -> Over<Client> {
        let mut head = [CLIENT, &[REQUEST], &[0; ID_BYTES]].concat();
        put_service(&mut head);
        if self.answers == Answers::Forgotten {
            head.extend_from_slice(REPEATABLE);
        }
        // A zero id is none, and clients differ in more than their sequence numbers.
        let salt = (index as u64 + 1).to_be_bytes();
        Over::new(Client { head, salt })
    }

    fn worker(&self) -> Over<Worker> {
        Over::new(Worker { credit: self.credit })
    }
}

/// A client's end.
#[derive(Debug)]
pub struct Client {
    /// The head of every request, but for its id.
    head: Vec<u8>,
    salt: [u8; 8],
}

impl Client {
    /// The id of the request with this body.
    fn id_of(&self, body: &[u8]) -> [u8; ID_BYTES] {
        let mut id = [0; ID_BYTES];
        let (sequence, salt) = id.split_at_mut(8);
        sequence.copy_from_slice(body.get(..8).unwrap_or(&[0; 8]));
        salt.copy_from_slice(&self.salt);
        id
    }
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
                let Some((id, rest)) = rest.split_first_chunk::<ID_BYTES>() else { return Err(ANSWER) };
                match (rest.split_first_chunk::<6>(), body) {
                    (Some((&[0, 0, 0, 0, 0, 200], _)), [body]) if *id == self.id_of(body) => Ok(Event::Reply(body)),
                    (Some((&[.., high, low], options)), _) => Err(WireFault::Refused(format!(
                        "status {}, or a body of another request: {}",
                        u16::from_be_bytes([high, low]),
                        options.escape_ascii()
                    ))),
                    _ => Err(ANSWER),
                }
            }
            _ => Err(ANSWER),
        }
    }
}

impl Asking for Client {
    fn request(&mut self, body: &[u8], output: &mut Vec<u8>) {
        let id = self.id_of(body);
        if let Some(place) = self.head.get_mut(ID_PLACE) {
            place.copy_from_slice(&id);
        }
        append_frame(output, true, &self.head);
        append_frame(output, false, body);
    }
}

/// A worker's end.
#[derive(Debug)]
pub struct Worker {
    credit: u32,
}

impl Dialogue for Worker {
    fn begin(&mut self, output: &mut Vec<u8>) -> Event<'static> {
        let (credit, interval) = (self.credit.to_be_bytes(), HEARTBEAT_MS.to_be_bytes());
        append_frame(output, true, &[WORKER, &[READY], &credit, &interval].concat());
        let mut offer = Vec::new();
        put_service(&mut offer);
        append_frame(output, false, &offer);
        Event::Nothing
    }

    fn hear<'a>(&mut self, message: &Message<'_, 'a>, output: &mut Vec<u8>) -> Result<Event<'a>, WireFault> {
        let Some((head, body)) = message.frames.split_first() else { return Err(COMMAND) };
        match (head.strip_prefix(WORKER).and_then(<[u8]>::split_first), body) {
            (Some((&REQUEST, rest)), [body]) => {
                let Some(job) = rest.first_chunk::<8>() else { return Err(COMMAND) };
                append_frame_head(output, true, WORKER.len() + 1 + job.len() + DONE.len());
                for part in [WORKER, &[FINAL], job, DONE] {
                    output.extend_from_slice(part);
                }
                append_frame(output, false, body);
                Ok(Event::Served(body))
            }
            (Some((&HEARTBEAT, _)), []) => Ok(Event::Ready),
            (Some((&DISCONNECT, rest)), []) => {
                Err(WireFault::Refused(format!("DISCONNECT to a worker: {}", rest.escape_ascii())))
            }
            _ => Err(COMMAND),
        }
    }

    fn heartbeat(&mut self, output: &mut Vec<u8>) {
        append_frame(output, false, &[WORKER, &[HEARTBEAT], &HEARTBEAT_MS.to_be_bytes()].concat());
    }
}

/// The service behind its length.
fn put_service(head: &mut Vec<u8>) {
    head.push(u8::try_from(SERVICE.len()).unwrap_or(u8::MAX));
    head.extend_from_slice(SERVICE.as_bytes());
}

const CLIENT: &[u8] = b"MDPC03";
const WORKER: &[u8] = b"MDPW03";
const READY: u8 = 1;
const REQUEST: u8 = 2;
const FINAL: u8 = 4;
const HEARTBEAT: u8 = 8;
const DISCONNECT: u8 = 9;
const ID_BYTES: usize = 16;
/// Where the id stands in the head of a client's request.
const ID_PLACE: std::ops::Range<usize> = 7..7 + ID_BYTES;
/// IDEMPOTENCY, one octet: 1.
const REPEATABLE: &[u8] = &[0x43, 0, 1, 1];
/// No parts before, status 200.
const DONE: &[u8] = &[0, 0, 0, 0, 0, 200];
/// What a worker announces; it says so more often.
const HEARTBEAT_MS: u32 = 2500;
const ANSWER: WireFault = WireFault::Malformed("an answer of MDP 0.3");
const COMMAND: WireFault = WireFault::Malformed("a command of MDP 0.3 to a worker");

#[cfg(test)]
mod tests {
    use super::super::Caller;
    use super::super::testing::{Owned, talk};
    use super::super::zmtp::Dealer;
    use super::*;

    const PLAIN: Mdp03 = Mdp03 { credit: 1, answers: Answers::Kept };

    fn opening() -> Vec<u8> {
        let mut bytes = Vec::new();
        Dealer::default().open(&mut bytes);
        bytes
    }

    fn message(frames: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (index, frame) in frames.iter().enumerate() {
            append_frame(&mut bytes, index + 1 < frames.len(), frame);
        }
        bytes
    }

    #[test]
    fn client_asks_first_whether_the_broker_speaks_it_and_is_ready_when_it_does() {
        let input = [opening(), message(&[b"MDPC03\x08"])].concat();
        let talk = talk(&mut PLAIN.client(0, 16), &input, 7).unwrap();
        assert_eq!(talk.events, [Owned::Ready]);
        assert_eq!(talk.output, message(&[b"MDPC03\x08"]));
    }

    #[test]
    fn request_has_the_form_of_the_vector_client_request() {
        let (mut client, mut output) = (PLAIN.client(0, 16), Vec::new());
        client.request(b"sequence........", &mut output);
        let head = b"MDPC03\x02sequence\0\0\0\0\0\0\0\x01\x04echo";
        assert_eq!(output, message(&[head, b"sequence........"]));
        output.clear();
        Mdp03 { answers: Answers::Forgotten, ..PLAIN }.client(0, 16).request(b"sequence........", &mut output);
        assert_eq!(output, message(&[&[&head[..], b"\x43\0\x01\x01"].concat(), b"sequence........"]));
    }

    #[test]
    fn worker_registers_with_its_credit_and_answers_under_the_job_number_however_the_bytes_arrive() {
        let request = b"MDPW03\x02\0\0\0\0\0\0\0\x07\x01\xff\xff\xff\xff0123456789abcdef\x04echo";
        let input = [opening(), message(&[b"MDPW03\x08\0\0\x09\xc4"]), message(&[request, b"body"])].concat();
        for piece in [1, 7, 1000] {
            let talk = talk(&mut Mdp03 { credit: 64, ..PLAIN }.worker(), &input, piece).unwrap();
            assert_eq!(talk.events, [Owned::Ready, Owned::Served(b"body".to_vec())]);
            let ready = message(&[b"MDPW03\x01\0\0\0\x40\0\0\x09\xc4", b"\x04echo"]);
            let answer = message(&[b"MDPW03\x04\0\0\0\0\0\0\0\x07\0\0\0\0\0\xc8", b"body"]);
            assert_eq!(talk.output, [ready, answer].concat());
            assert_eq!(talk.left, 0);
        }
    }

    #[test]
    fn client_hands_out_a_body_that_came_under_its_own_id_and_no_other() {
        let answer = |id: &[u8], status: &[u8]| {
            let head = [b"MDPC03\x04", id, &[0; 4], status].concat();
            [opening(), message(&[&head, b"sequence........"])].concat()
        };
        let hear = |input: &[u8]| talk(&mut PLAIN.client(0, 16), input, 9);
        let own = hear(&answer(b"sequence\0\0\0\0\0\0\0\x01", &[0, 200])).unwrap();
        assert_eq!(own.events, [Owned::Reply(b"sequence........".to_vec())]);
        assert!(hear(&answer(b"another.\0\0\0\0\0\0\0\x01", &[0, 200])).is_err());
        assert!(matches!(hear(&answer(b"sequence\0\0\0\0\0\0\0\x01", &[1, 173])), Err(WireFault::Refused(_))));
    }

    #[test]
    fn disconnect_is_a_refusal_and_noise_a_fault() {
        let hear = |frames: &[&[u8]]| talk(&mut PLAIN.worker(), &[opening(), message(frames)].concat(), 9);
        assert!(matches!(hear(&[b"MDPW03\x09\x01\x90"]), Err(WireFault::Refused(_))));
        assert!(matches!(hear(&[b"MDPW01\x02", b"body"]), Err(WireFault::Malformed(_))));
        assert!(matches!(hear(&[b"MDPW03\x02short", b"body"]), Err(WireFault::Malformed(_))));
    }
}
