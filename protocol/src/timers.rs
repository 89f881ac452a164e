//! Wake-ups for many things at once, cheap where deadlines move with every message.
//!
//! A worker's expiry moves later each time it speaks. Moving it in a queue would cost a search a message, so the queue
//! holds at most the *earliest* wake-up that somebody asked for: whoever is woken looks at its own deadline, and arms
//! again when that lies later. The [`Alarm`] beside the thing it wakes remembers which wake-up is the valid one. Stale
//! ones are swept when they may be as many as the others, so that things which come and go leave nothing behind.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::mutants::{self, Mutant};
use crate::time::Instant;

/// The wake-up that a thing waits for; kept inside the thing itself.
#[derive(Debug, Default, Clone, Copy)]
pub struct Alarm {
    scheduled: Option<Instant>,
}

/// A queue of wake-ups for keys of type `K`. Ties are broken by the key, so that the order is the same on every run.
#[derive(Debug)]
pub struct Timers<K> {
    heap: BinaryHeap<Reverse<(Instant, K)>>,
    sweep_at: usize,
}

impl<K> Default for Timers<K>
where
    K: Ord,
{
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), sweep_at: SWEEP_MIN }
    }
}

impl<K: Ord + Copy> Timers<K> {
    /// Asks to be woken at `at` at the latest. Costs nothing when an earlier wake-up is already scheduled.
    pub fn arm(&mut self, alarm: &mut Alarm, key: K, at: Instant) {
        if alarm.scheduled.is_none_or(|scheduled| at < scheduled) {
            alarm.scheduled = Some(at);
            self.heap.push(Reverse((at, key)));
        }
    }

    /// When the next wake-up is due.
    pub fn deadline(&self) -> Option<Instant> {
        let late = Duration::from_millis(if mutants::on(Mutant::WakeTooLate) { 300 } else { 0 });
        self.heap.peek().map(|Reverse((at, _))| *at + late)
    }

    /// Takes one wake-up that is due at `now`, with the instant it was asked for; hand both to [`Alarm::rings`].
    pub fn pop_due(&mut self, now: Instant) -> Option<(K, Instant)> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse((at, key))| (key, at))
    }

    /// Whether so many wake-ups are queued that it is time to [`sweep`](Self::sweep).
    pub fn is_crowded(&self) -> bool {
        self.heap.len() >= self.sweep_at
    }

    /// Takes out what nobody waits for; not more often than it takes for as many to come again.
    pub fn sweep(&mut self, mut is_awaited: impl FnMut(K, Instant) -> bool) {
        let mut wake_ups = std::mem::take(&mut self.heap).into_vec();
        wake_ups.retain(|Reverse((at, key))| is_awaited(*key, *at));
        // A thing that was forgotten and came back at once is awaited under the same key at the same time.
        wake_ups.sort_unstable();
        wake_ups.dedup();
        self.heap = wake_ups.into();
        self.sweep_at = SWEEP_MIN.max(self.heap.len() * 2);
    }

    /// How many wake-ups are queued, stale ones included.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether no wake-up is queued.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

impl Alarm {
    /// Whether the wake-up of `at` is the one this alarm waits for; if so the alarm is disarmed. A stale one is
    /// ignored.
    pub fn rings(&mut self, at: Instant) -> bool {
        if self.scheduled != Some(at) {
            return false;
        }
        self.scheduled = None;
        true
    }

    /// Whether the wake-up of `at` is the one this alarm waits for.
    pub fn awaits(&self, at: Instant) -> bool {
        self.scheduled == Some(at)
    }
}

/// So few wake-ups are not worth a sweep.
const SWEEP_MIN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn wake_ups_come_in_order_of_time_then_key() {
        let mut timers = Timers::default();
        let (mut a, mut b, mut c) = (Alarm::default(), Alarm::default(), Alarm::default());
        timers.arm(&mut b, 2, at(20));
        timers.arm(&mut c, 3, at(10));
        timers.arm(&mut a, 1, at(20));
        assert_eq!(timers.deadline(), Some(at(10)));
        assert_eq!(timers.pop_due(at(9)), None);
        let order: Vec<_> = std::iter::from_fn(|| timers.pop_due(at(20))).map(|(key, _)| key).collect();
        assert_eq!(order, [3, 1, 2]);
    }

    #[test]
    fn moving_a_deadline_later_costs_no_entry_and_moving_it_earlier_makes_the_old_one_stale() {
        let mut timers = Timers::default();
        let mut alarm = Alarm::default();
        timers.arm(&mut alarm, 1, at(10));
        for later in 11..100 {
            timers.arm(&mut alarm, 1, at(later));
        }
        assert_eq!(timers.len(), 1);
        timers.arm(&mut alarm, 1, at(5));
        assert_eq!(timers.len(), 2);
        let (_, first) = timers.pop_due(at(50)).unwrap();
        assert!(alarm.rings(first));
        let (_, stale) = timers.pop_due(at(50)).unwrap();
        assert!(!alarm.rings(stale));
    }

    #[test]
    fn wake_ups_that_nobody_awaits_are_swept_before_they_are_more_than_the_others() {
        let mut timers = Timers::default();
        let mut kept = [Alarm::default(); 300];
        for (key, alarm) in kept.iter_mut().enumerate() {
            timers.arm(alarm, key, at(1_000_000));
        }
        for key in 300..100_000 {
            timers.arm(&mut Alarm::default(), key, at(2_000_000));
            if timers.is_crowded() {
                timers.sweep(|key, at| kept.get(key).is_some_and(|alarm| alarm.awaits(at)));
            }
            assert!(timers.len() <= 600, "{} wake-ups", timers.len());
        }
        assert_eq!(timers.pop_due(at(1_000_000)), Some((0, at(1_000_000))));
    }
}
