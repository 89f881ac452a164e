//! MDP 0.3: the codec against the octets of its RFC, against every form of bad input, and against a peer in Python.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

mod bounds;
mod document;
mod malformed;
mod properties;
mod python;
mod vectors;

use protocol::mdp::v03::{self, FromPeer, Rejected, ToClient, ToWorker};
use protocol::{Frames, PeerFault};

/// A message of MDP 0.3, by who reads it.
#[derive(Clone, Debug, PartialEq)]
enum Message {
    Broker(FromPeer),
    Client(ToClient),
    Worker(ToWorker),
}

/// Who reads a message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reader {
    Broker,
    Client,
    Worker,
}

const READERS: [Reader; 3] = [Reader::Broker, Reader::Client, Reader::Worker];

impl Reader {
    fn decode(self, message: Frames) -> Result<Message, Rejected> {
        match self {
            Self::Broker => v03::decode(message).map(Message::Broker),
            Self::Client => Ok(Message::Client(ToClient::decode(message)?)),
            Self::Worker => Ok(Message::Worker(ToWorker::decode(message)?)),
        }
    }
}

impl Message {
    fn reader(&self) -> Reader {
        match self {
            Self::Broker(_) => Reader::Broker,
            Self::Client(_) => Reader::Client,
            Self::Worker(_) => Reader::Worker,
        }
    }

    fn encode(self) -> Frames {
        match self {
            Self::Broker(FromPeer::Client(command)) => command.encode(),
            Self::Broker(FromPeer::Worker(command)) => command.encode(),
            Self::Client(command) => command.encode(),
            Self::Worker(command) => command.encode(),
        }
    }
}

/// The fault that a broker finds.
fn fault(message: Frames) -> PeerFault {
    v03::decode(message).unwrap_err().fault
}
