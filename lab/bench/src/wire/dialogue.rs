//! A protocol of messages over [`zmtp`](super::zmtp): the handshake and the framing, which are the same for all.

use super::zmtp::{Dealer, Incoming};
use super::{Caller, Event, Heard, Speaker, WireFault, whole};

/// One end of a conversation, once the connection stands.
pub trait Dialogue {
    /// The handshake is complete: appends what is said first.
    fn begin(&mut self, output: &mut Vec<u8>) -> Event<'static>;

    /// Appends what must be answered at once to a message, and says what it meant.
    fn hear<'a>(&mut self, message: &Message<'_, 'a>, output: &mut Vec<u8>) -> Result<Event<'a>, WireFault>;

    /// Appends a sign of life, where the protocol wants one from an idle worker.
    fn heartbeat(&mut self, _output: &mut Vec<u8>) {}
}

/// The client's end: a dialogue that can ask.
pub trait Asking: Dialogue {
    /// Appends one request.
    fn request(&mut self, body: &[u8], output: &mut Vec<u8>);
}

/// A whole message.
#[derive(Debug)]
pub struct Message<'frames, 'a> {
    /// What each frame holds.
    pub frames: &'frames [&'a [u8]],
    /// All of it as it came, with the heads of the frames.
    pub octets: &'a [u8],
}

/// A [`Dialogue`] on a connection of its own.
#[derive(Debug)]
pub struct Over<D> {
    dealer: Dealer,
    dialogue: D,
}

impl<D> Over<D> {
    /// Nothing has been said yet.
    pub fn new(dialogue: D) -> Self {
        Self { dealer: Dealer::default(), dialogue }
    }
}

impl<D: Dialogue> Speaker for Over<D> {
    fn open(&mut self, output: &mut Vec<u8>) {
        self.dealer.open(output);
    }

    fn hear<'a>(&mut self, input: &'a [u8], output: &mut Vec<u8>) -> Result<Heard<'a>, WireFault> {
        match self.dealer.hear(input, output)? {
            Incoming::Partial => Ok(Heard::Partial),
            Incoming::Control { length, ready: false } => whole(length, Event::Nothing),
            Incoming::Control { length, ready: true } => whole(length, self.dialogue.begin(output)),
            Incoming::Message { length, frames } => {
                let octets = input.get(..length).unwrap_or_default();
                whole(length, self.dialogue.hear(&Message { frames: frames.as_slice(), octets }, output)?)
            }
        }
    }

    fn heartbeat(&mut self, output: &mut Vec<u8>) {
        self.dialogue.heartbeat(output);
    }
}

impl<D: Asking> Caller for Over<D> {
    fn request(&mut self, body: &[u8], output: &mut Vec<u8>) {
        self.dialogue.request(body, output);
    }
}
