//! A worker that takes its time: answers are made by the worker's own protocol, and leave when they are released.
//!
//! Like a program with one thread, it answers in the order in which it was asked; the load knows how long each takes.

use std::collections::VecDeque;

use super::{Event, Heard, Speaker, WireFault, whole};

/// Any worker, holding its answers back.
#[derive(Debug)]
pub struct Deferred<W> {
    worker: W,
    answers: VecDeque<Vec<u8>>,
}

impl<W> Deferred<W> {
    /// Makes `worker` wait.
    pub fn new(worker: W) -> Self {
        Self { worker, answers: VecDeque::new() }
    }

    /// Lets the oldest answer go, if there is one.
    pub fn release(&mut self, output: &mut Vec<u8>) {
        if let Some(answer) = self.answers.pop_front() {
            output.extend_from_slice(&answer);
        }
    }
}

impl<W: Speaker> Speaker for Deferred<W> {
    fn open(&mut self, output: &mut Vec<u8>) {
        self.worker.open(output);
    }

    fn hear<'a>(&mut self, input: &'a [u8], output: &mut Vec<u8>) -> Result<Heard<'a>, WireFault> {
        let mut said = Vec::new();
        let Heard::Whole { length, event } = self.worker.hear(input, &mut said)? else { return Ok(Heard::Partial) };
        match event {
            Event::Served(_) => self.answers.push_back(said),
            _ => output.extend_from_slice(&said),
        }
        whole(length, event)
    }

    fn heartbeat(&mut self, output: &mut Vec<u8>) {
        self.worker.heartbeat(output);
    }
}

#[cfg(test)]
mod tests {
    use super::super::nats::Nats;
    use super::super::testing::{Owned, talk};
    use super::super::{Protocol, Speaker};
    use super::*;

    #[test]
    fn answers_wait_in_order_and_everything_else_does_not() {
        let mut worker = Deferred::new(Nats.worker());
        let input = b"PONG\r\nMSG echo 1 in 1\r\na\r\nPING\r\nMSG echo 1 in 1\r\nb\r\n";
        let talk = talk(&mut worker, input, 5).unwrap();
        assert_eq!(talk.events, [Owned::Ready, Owned::Served(b"a".to_vec()), Owned::Served(b"b".to_vec())]);
        assert_eq!(talk.output, b"PONG\r\n");
        let mut output = Vec::new();
        for _ in 0..3 {
            worker.release(&mut output);
        }
        assert_eq!(output, b"PUB in 1\r\na\r\nPUB in 1\r\nb\r\n");
        worker.heartbeat(&mut output);
    }
}
