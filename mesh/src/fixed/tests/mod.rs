//! The machines alone, with time as numbers.

mod courier;
mod node;
mod roster;

use std::time::Duration;

use protocol::zmqnet::{Kind, Message};

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn single(text: &str, token: u64) -> Message {
    Message { sender: "client".into(), text: text.into(), token, ..Message::default() }
}

fn ack() -> Message {
    Message { kind: Kind::Bounce, text: "ack".into(), ..Message::default() }
}
