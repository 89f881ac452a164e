//! What will happen, in order of time; what is due at the same time happens in the order in which it was scheduled.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::net::{Link, Side};
use crate::node::NodeId;

/// Virtual time of the world, in nanoseconds since its beginning. A node sees it through its own clock.
pub type Nanos = u64;

/// Nanoseconds of a millisecond.
pub const MILLISECOND: Nanos = 1_000_000;

/// Something that will happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The first packet of a stream arrives; `from` is who sent it.
    Arrival { link: Link, from: Side },
    /// A socket has heard nothing for as long as its own heartbeats allow, if `from` is still cut off.
    Deaf { link: Link, from: Side, since: Nanos },
    /// A connection that its listener has closed itself is gone; ZMTP engines say so, too.
    Dismissed { node: NodeId, life: u32, link: Link },
    /// A datagram arrives.
    Datagram { number: u64 },
    /// A node's machine wants to be ticked.
    Wake { node: NodeId },
    /// Something that a node planned for itself: its next request, a finished part of a job.
    Task { node: NodeId, life: u32, task: u64 },
    /// A process is started, if it does not run.
    Start { node: NodeId },
    /// A planned fault begins.
    Fault { index: usize },
    /// A fault ends.
    Relief { index: usize },
    /// The run goes over to its next phase.
    Phase,
}

/// The queue of a world, whatever its events are.
#[derive(Debug)]
pub(crate) struct Queue<E = Event> {
    heap: BinaryHeap<Entry<E>>,
    sequence: u64,
}

#[derive(Debug)]
struct Entry<E> {
    /// Time in the upper half, sequence in the lower: one comparison orders both.
    key: u128,
    event: E,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), sequence: 0 }
    }
}

impl<E> Queue<E> {
    pub(crate) fn push(&mut self, at: Nanos, event: E) {
        self.sequence += 1;
        self.heap.push(Entry { key: u128::from(at) << 64 | u128::from(self.sequence), event });
    }

    pub(crate) fn pop(&mut self) -> Option<(Nanos, E)> {
        let Entry { key, event } = self.heap.pop()?;
        Some((u64::try_from(key >> 64).unwrap_or(Nanos::MAX), event))
    }

    /// What happens next, if it is due before `end`.
    pub(crate) fn pop_before(&mut self, end: Nanos) -> Option<(Nanos, E)> {
        self.heap.peek().filter(|entry| entry.key < u128::from(end) << 64)?;
        self.pop()
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    /// The heap gives the greatest first: the earliest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_together_happens_in_the_order_it_was_scheduled() {
        let mut queue = Queue::default();
        for (at, index) in [(20, 0), (10, 1), (20, 2), (10, 3)] {
            queue.push(at, Event::Fault { index });
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        let expected = [(10, 1), (10, 3), (20, 0), (20, 2)].map(|(at, index)| (at, Event::Fault { index }));
        assert_eq!(order, expected);
    }
}
