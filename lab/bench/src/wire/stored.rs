//! What is said to servers that keep what they are given: a message to be stored, and the word that it is safe. Nobody
//! takes it out again, so there are no workers.
//!
//! The server's word does not bring the body back. Where it names the message it is found by that name; where servers
//! answer in the order in which they were asked, by its turn.

pub mod beanstalkd;
pub mod jetstream;
pub mod redis;
pub mod titanic;

use std::collections::VecDeque;

use super::{Event, Heard, Speaker, WireFault, whole};

/// The worker that no load of this kind has.
#[derive(Debug)]
pub struct Nobody;

impl Speaker for Nobody {
    fn open(&mut self, _output: &mut Vec<u8>) {}

    fn hear<'a>(&mut self, _input: &'a [u8], _output: &mut Vec<u8>) -> Result<Heard<'a>, WireFault> {
        Err(WireFault::Malformed("silence towards a worker that does not work"))
    }
}

/// The numbers of the messages that are out, for servers that answer in turn.
#[derive(Debug, Default)]
struct Turns(VecDeque<u64>);

impl Turns {
    fn asked(&mut self, body: &[u8]) {
        self.0.push_back(number(body));
    }

    /// The next of them is safe.
    fn stored<'a>(&mut self, length: usize) -> Result<Heard<'a>, WireFault> {
        let number = self.0.pop_front().ok_or(WireFault::Malformed("an answer to anything that was asked"))?;
        whole(length, Event::Stored(number))
    }
}

/// The sequence number at the front of a body.
fn number(body: &[u8]) -> u64 {
    body.first_chunk().map_or(0, |octets| u64::from_le_bytes(*octets))
}

/// The line at the front of the input, without its end, and how long it is with it.
fn line(input: &[u8]) -> Option<(&[u8], usize)> {
    let end = input.windows(2).position(|pair| pair == b"\r\n")?;
    Some((input.get(..end)?, end + 2))
}

fn refused<'a>(line: &[u8]) -> Result<Heard<'a>, WireFault> {
    Err(WireFault::Refused(String::from_utf8_lossy(line).into_owned()))
}
