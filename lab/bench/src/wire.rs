//! What the generator says to a server: one file a protocol, each with the client's side and the worker's side.
//!
//! Every side is a small machine without a socket: bytes in, bytes out, and an [`Event`] for what the load has to
//! count. They hold only what a load needs, encode ahead of time whatever does not change, and copy a body once: the
//! generator shares the machine with the server it measures. They are not client libraries.

pub mod deferred;
pub mod dialogue;
pub mod forward;
pub mod gearman;
pub mod lru;
pub mod mdp;
pub mod mdp03;
pub mod nats;
pub mod stored;
pub mod zmtp;

/// Service, subject or function under which the workers of a load answer.
pub const SERVICE: &str = "echo";

/// One end of a connection, client or worker.
pub trait Speaker {
    /// Appends what is said first, before anything was heard.
    fn open(&mut self, output: &mut Vec<u8>);

    /// Looks at the front of `input` for one message, and appends what must be answered at once.
    ///
    /// A worker echoes a request by itself; a client hands the body of a reply out as [`Event::Reply`].
    fn hear<'a>(&mut self, input: &'a [u8], output: &mut Vec<u8>) -> Result<Heard<'a>, WireFault>;

    /// Appends a sign of life, where the protocol wants one from an idle worker.
    fn heartbeat(&mut self, _output: &mut Vec<u8>) {}
}

/// The client's end: a speaker that can ask.
pub trait Caller: Speaker {
    /// Appends one request. The length of `body` is the one that the caller was made for.
    fn request(&mut self, body: &[u8], output: &mut Vec<u8>);
}

/// Makes both ends of a protocol's connections.
pub trait Protocol {
    /// The client's end.
    type Client: Caller;
    /// The worker's end.
    type Worker: Speaker;

    /// The client numbered `index`, whose requests all have `body_bytes`.
    fn client(&self, index: usize, body_bytes: usize) -> Self::Client;

    /// A worker of [`SERVICE`] that replies with the request's body.
    fn worker(&self) -> Self::Worker;
}

/// What [`Speaker::hear`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// The front of the input is not a whole message yet.
    Partial,
    /// One message of `length` bytes, already dealt with.
    Whole {
        /// Bytes to drop from the front of the input.
        length: usize,
        /// What it meant.
        event: Event<'a>,
    },
}

/// What a message means to the load.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Nothing to count: a heartbeat, a greeting, an acknowledgement.
    Nothing,
    /// The server has taken this connection in; requests may follow.
    Ready,
    /// A worker has answered a request with this body.
    Served(&'a [u8]),
    /// A client got this body back.
    Reply(&'a [u8]),
    /// The server says that the message with this sequence number is safe.
    Stored(u64),
}

/// The server broke its protocol, or refused us.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WireFault {
    /// Bytes that the protocol does not allow here.
    #[error("the server sent something that is not {0}")]
    Malformed(&'static str),
    /// The server said no, in these words.
    #[error("the server refused: {0}")]
    Refused(String),
}

/// A short way to say "this many bytes, and this is what they were".
fn whole(length: usize, event: Event<'_>) -> Result<Heard<'_>, WireFault> {
    Ok(Heard::Whole { length, event })
}

#[cfg(test)]
pub(crate) mod testing {
    //! Feeds a speaker the way a socket would, in pieces of any size.

    use super::{Event, Heard, Speaker, WireFault};

    /// What a speaker made of `input`: owned events, and what it answered.
    pub(crate) struct Talk {
        pub(crate) events: Vec<Owned>,
        pub(crate) output: Vec<u8>,
        pub(crate) left: usize,
    }

    #[derive(Debug, PartialEq, Eq, Clone)]
    pub(crate) enum Owned {
        Ready,
        Served(Vec<u8>),
        Reply(Vec<u8>),
        Stored(u64),
    }

    /// Hands `input` over in pieces of `piece` bytes.
    pub(crate) fn talk(speaker: &mut impl Speaker, input: &[u8], piece: usize) -> Result<Talk, WireFault> {
        let (mut held, mut events, mut output) = (Vec::new(), Vec::new(), Vec::new());
        for part in input.chunks(piece) {
            held.extend_from_slice(part);
            while let Heard::Whole { length, event } = speaker.hear(&held, &mut output)? {
                match event {
                    Event::Nothing => {}
                    Event::Ready => events.push(Owned::Ready),
                    Event::Served(body) => events.push(Owned::Served(body.to_vec())),
                    Event::Reply(body) => events.push(Owned::Reply(body.to_vec())),
                    Event::Stored(number) => events.push(Owned::Stored(number)),
                }
                held.drain(..length);
            }
        }
        Ok(Talk { events, output, left: held.len() })
    }
}
