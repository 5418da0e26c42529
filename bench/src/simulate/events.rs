//! The event queue: a virtual clock in microseconds.

use std::{cmp::Reverse, collections::BinaryHeap};

/// A time, in microseconds since the begin of the simulation.
pub(super) type Us = u64;

/// How busy cores are, and how often something comes, are averages of about this time: longer than requests take, so
/// that one request counts for little.
pub(super) const LATELY_US: f64 = 100_000.0;

/// Events in the order of their times; those of one time in the order in which they were added. So a
/// simulation does the same each time.
#[derive(Debug)]
pub(super) struct Events<E> {
    now: Us,
    added: u64,
    heap: BinaryHeap<Reverse<Entry<E>>>,
}

#[derive(Debug)]
struct Entry<E> {
    at: Us,
    number: u64,
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl<E> Events<E> {
    pub(super) fn new() -> Self {
        Self {
            now: 0,
            added: 0,
            heap: BinaryHeap::new(),
        }
    }

    /// The time of the event that was taken last.
    pub(super) fn now(&self) -> Us {
        self.now
    }

    /// Adds an event, so long from now.
    pub(super) fn after(&mut self, delay: Us, event: E) {
        let (at, number) = (self.now + delay, self.added);
        self.added += 1;
        self.heap.push(Reverse(Entry { at, number, event }));
    }

    /// Takes the next event. The clock goes to its time.
    pub(super) fn next(&mut self) -> Option<E> {
        let Reverse(entry) = self.heap.pop()?;
        self.now = entry.at;
        Some(entry.event)
    }

    /// How many events were taken.
    pub(super) fn taken(&self) -> u64 {
        self.added - self.heap.len() as u64
    }
}

/// How often something came of late: what is longer ago counts for less.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    per_second: f64,
    last: Us,
}

impl Rate {
    /// It comes now. Returns how often it came in a second until now.
    pub(super) fn comes(&mut self, now: Us) -> f64 {
        let kept = (-((now - self.last) as f64) / LATELY_US).exp();
        let until_now = self.per_second * kept;
        self.per_second = until_now + 1e6 / LATELY_US;
        self.last = now;
        until_now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_by_age() {
        let mut events = Events::new();
        for (delay, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')] {
            events.after(delay, event);
        }
        assert_eq!(events.next(), Some('a'));
        assert_eq!(events.now(), 1);
        // One microsecond from now, before those at 5.
        events.after(1, 'x');
        let rest: String = std::iter::from_fn(|| events.next()).collect();
        assert_eq!(rest, "bxcd");
        assert_eq!((events.now(), events.taken()), (5, 5));
    }

    #[test]
    fn a_rate_is_that_of_late() {
        let mut rate = Rate::default();
        assert_eq!(rate.comes(0), 0.0);
        // 2,000 times a second.
        let last = (1..4_000).map(|n| rate.comes(n * 500)).last();
        assert!((last.unwrap() - 2_000.0).abs() < 10.0, "{last:?}");
        // It is forgotten.
        assert!(rate.comes(4_000_000) < 1.0);
    }
}
