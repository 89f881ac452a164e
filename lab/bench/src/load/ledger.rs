//! The requests of one client that are still out: every reply is checked here, none is believed.
//!
//! ```text
//! body      sequence(8) | filler | !sequence(8)
//! sequence  client(16) | slot(20) | round of that slot(28), in bits
//! ```
//!
//! A slot holds one outstanding request. A reply settles its slot once: a second reply, one of an older round, of
//! another client, of another length or with torn ends settles nothing and is an error.

use std::time::Instant;

use crate::plan::BODY_BYTES_MIN;

/// The slots of one client.
#[derive(Debug)]
pub(super) struct Ledger {
    client: u64,
    body_bytes: usize,
    slots: Vec<Slot>,
    outstanding: usize,
}

#[derive(Debug, Clone)]
struct Slot {
    round: u32,
    /// When the request that is out was written; `None` when none is out.
    sent: Option<Instant>,
}

impl Ledger {
    /// A client with `slots` places for requests, none out.
    pub(super) fn new(client: usize, slots: usize, body_bytes: usize) -> Self {
        Self {
            client: client as u64 & 0xffff,
            body_bytes,
            slots: vec![Slot { round: 0, sent: None }; slots],
            outstanding: 0,
        }
    }

    /// Starts the next request of `slot` and writes its sequence number into `body`.
    pub(super) fn issue(&mut self, slot: usize, now: Instant, body: &mut [u8]) {
        let Some(entry) = self.slots.get_mut(slot) else { return };
        entry.round = entry.round.wrapping_add(1) & ROUND_MAX;
        if entry.sent.replace(now).is_none() {
            self.outstanding += 1;
        }
        stamp(body, self.client << 48 | (slot as u64) << ROUND_BITS | u64::from(entry.round));
    }

    /// Settles the request that `body` replies to: its slot, and when it was sent.
    pub(super) fn settle(&mut self, body: &[u8]) -> Result<(usize, Instant), Mismatch> {
        if body.len() != self.body_bytes {
            return Err(Mismatch::Length);
        }
        self.settle_number(read_stamp(body).ok_or(Mismatch::Torn)?)
    }

    /// Settles the request with this sequence number.
    pub(super) fn settle_number(&mut self, sequence: u64) -> Result<(usize, Instant), Mismatch> {
        let slot = usize::try_from(sequence >> ROUND_BITS & SLOT_MAX).unwrap_or(usize::MAX);
        let entry = self.slots.get_mut(slot).filter(|_| sequence >> 48 == self.client).ok_or(Mismatch::Stranger)?;
        if u64::from(entry.round) != sequence & u64::from(ROUND_MAX) {
            return Err(Mismatch::Stranger);
        }
        let sent = entry.sent.take().ok_or(Mismatch::Twice)?;
        self.outstanding -= 1;
        Ok((slot, sent))
    }

    /// How many places for requests there are.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// How many requests are out.
    pub(super) fn outstanding(&self) -> usize {
        self.outstanding
    }
}

/// Why a reply settles nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// Longer or shorter than the request.
    Length,
    /// The two ends carry different numbers.
    Torn,
    /// Of another client, of no slot, or of a request settled long ago.
    Stranger,
    /// The request was already settled.
    Twice,
}

const ROUND_BITS: u32 = 28;
const ROUND_MAX: u32 = (1 << ROUND_BITS) - 1;
const SLOT_MAX: u64 = (1 << 20) - 1;

/// Writes `sequence` at both ends of `body`.
fn stamp(body: &mut [u8], sequence: u64) {
    if let Some(head) = body.first_chunk_mut::<8>() {
        *head = sequence.to_le_bytes();
    }
    if let Some(tail) = body.last_chunk_mut::<8>() {
        *tail = (!sequence).to_le_bytes();
    }
}

fn read_stamp(body: &[u8]) -> Option<u64> {
    if body.len() < BODY_BYTES_MIN {
        return None;
    }
    let head = u64::from_le_bytes(*body.first_chunk::<8>()?);
    let tail = u64::from_le_bytes(*body.last_chunk::<8>()?);
    (head == !tail).then_some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued(ledger: &mut Ledger, slot: usize) -> Vec<u8> {
        let mut body = vec![0; 64];
        ledger.issue(slot, Instant::now(), &mut body);
        body
    }

    #[test]
    fn a_reply_settles_its_own_slot_once() {
        let mut ledger = Ledger::new(3, 2, 64);
        let (first, second) = (issued(&mut ledger, 0), issued(&mut ledger, 1));
        assert_eq!(ledger.outstanding(), 2);
        assert_eq!(ledger.settle(&second).unwrap().0, 1);
        assert_eq!(ledger.settle(&first).unwrap().0, 0);
        assert_eq!(ledger.outstanding(), 0);
        assert_eq!(ledger.settle(&first), Err(Mismatch::Twice));
    }

    #[test]
    fn an_older_round_of_the_slot_is_a_stranger() {
        let mut ledger = Ledger::new(3, 1, 64);
        let old = issued(&mut ledger, 0);
        ledger.settle(&old).unwrap();
        let new = issued(&mut ledger, 0);
        assert_eq!(ledger.settle(&old), Err(Mismatch::Stranger));
        assert!(ledger.settle(&new).is_ok());
    }

    #[test]
    fn replies_of_another_client_length_or_content_settle_nothing() {
        let (mut ledger, mut other) = (Ledger::new(3, 1, 64), Ledger::new(4, 1, 64));
        let (mine, theirs) = (issued(&mut ledger, 0), issued(&mut other, 0));
        assert_eq!(ledger.settle(&theirs), Err(Mismatch::Stranger));
        assert_eq!(ledger.settle(&mine[..63]), Err(Mismatch::Length));
        let mut torn = mine.clone();
        torn[63] ^= 1;
        assert_eq!(ledger.settle(&torn), Err(Mismatch::Torn));
        assert_eq!(ledger.outstanding(), 1);
        assert!(ledger.settle(&mine).is_ok());
    }

    #[test]
    fn the_shortest_body_still_carries_both_stamps() {
        let mut ledger = Ledger::new(0, 1, BODY_BYTES_MIN);
        let mut body = vec![0; BODY_BYTES_MIN];
        ledger.issue(0, Instant::now(), &mut body);
        assert!(ledger.settle(&body).is_ok());
    }
}
