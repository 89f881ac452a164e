//! One direction of a connection: what is on its way, in order.

use std::collections::VecDeque;

use protocol::Frames;

use crate::queue::Nanos;

/// What travels in a stream.
#[derive(Debug)]
pub(crate) enum Item {
    Hello,
    Message(Frames),
    Bye,
}

#[derive(Debug)]
struct Packet {
    /// When its last byte has left the sender.
    departs: Nanos,
    arrives: Nanos,
    item: Item,
}

/// A stream. It is in order and loses nothing; being cut off is the network's business.
#[derive(Debug, Default)]
pub(super) struct Stream {
    line: VecDeque<Packet>,
    busy_until: Nanos,
    last_arrival: Nanos,
    /// Whether an arrival of the first packet is in the event queue.
    pub(super) scheduled: bool,
    /// Since when the receiver can hear nothing.
    pub(super) silent_since: Option<Nanos>,
}

impl Stream {
    /// Puts something behind all the rest.
    pub(super) fn push(&mut self, now: Nanos, latency: Nanos, per_byte: Nanos, item: Item) {
        let bytes = match &item {
            Item::Message(frames) if per_byte > 0 => frames.byte_count() as u64,
            Item::Hello | Item::Bye | Item::Message(_) => 0,
        };
        let departs = now.max(self.busy_until) + bytes * per_byte;
        self.busy_until = departs;
        let arrives = (departs + latency).max(self.last_arrival);
        self.last_arrival = arrives;
        self.line.push_back(Packet { departs, arrives, item });
    }

    pub(super) fn len(&self) -> usize {
        self.line.len()
    }

    pub(super) fn arrives_after(&self, horizon: Nanos) -> bool {
        self.line.back().is_some_and(|packet| packet.arrives > horizon)
    }

    pub(super) fn next_arrival(&self) -> Option<Nanos> {
        self.line.front().map(|packet| packet.arrives)
    }

    /// Takes the first packet if it has arrived; if not, or if there is none, no arrival is scheduled any more.
    pub(super) fn pop_due(&mut self, now: Nanos) -> Option<Item> {
        if self.next_arrival().is_none_or(|at| at > now) {
            self.scheduled = false;
            return None;
        }
        self.line.pop_front().map(|packet| packet.item)
    }

    pub(super) fn clear(&mut self) {
        self.line.clear();
    }

    /// Drops what has not left the sender.
    pub(super) fn drop_undeparted(&mut self, now: Nanos) {
        while self.line.back().is_some_and(|packet| packet.departs > now) {
            self.line.pop_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: usize) -> Item {
        Item::Message(Frames::from([vec![0; bytes]]))
    }

    fn arrivals(stream: &Stream) -> Vec<Nanos> {
        stream.line.iter().map(|packet| packet.arrives).collect()
    }

    #[test]
    fn a_faster_packet_does_not_overtake() {
        let mut stream = Stream::default();
        stream.push(0, 100, 0, message(1));
        stream.push(1, 10, 0, message(1));
        assert_eq!(arrivals(&stream), [100, 100]);
    }

    #[test]
    fn bandwidth_delays_what_stands_behind() {
        let mut stream = Stream::default();
        stream.push(0, 5, 10, message(100));
        stream.push(0, 5, 10, message(1));
        assert_eq!(arrivals(&stream), [1005, 1015]);
    }

    #[test]
    fn closing_drops_only_what_has_not_left() {
        let mut stream = Stream::default();
        stream.push(0, 1000, 1, message(10));
        stream.push(0, 1000, 1, message(10));
        stream.drop_undeparted(15);
        assert_eq!(arrivals(&stream), [1010]);
    }

    #[test]
    fn nothing_is_taken_before_it_arrives() {
        let mut stream = Stream::default();
        stream.push(0, 10, 0, message(1));
        assert!(stream.pop_due(9).is_none());
        assert!(matches!(stream.pop_due(10), Some(Item::Message(_))));
        assert!(stream.pop_due(99).is_none());
    }
}
