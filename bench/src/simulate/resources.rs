//! What tasks wait for: places of a kind, cores, and the log of a database.

use std::collections::VecDeque;

use super::{events::Us, state::count};

/// A task of the simulation.
pub(super) type TaskId = u32;

/// Places that tasks hold, such as connections, threads, or the lock of a row. Who comes first gets one first.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) capacity: usize,
    pub(super) held: usize,
    queue: VecDeque<(TaskId, Us)>,
    pub(super) peak_held: usize,
    pub(super) peak_queue: usize,
    /// Times that a task took a place, and the time that all of them waited.
    pub(super) taken: u64,
    pub(super) waited_us: u64,
}

impl Places {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            held: 0,
            queue: VecDeque::new(),
            peak_held: 0,
            peak_queue: 0,
            taken: 0,
            waited_us: 0,
        }
    }

    /// Takes a place, or waits for one. Whether it has one.
    pub(super) fn take(&mut self, task: TaskId, now: Us) -> bool {
        if self.held < self.capacity {
            self.grant(0);
            return true;
        }
        self.queue.push_back((task, now));
        self.peak_queue = self.peak_queue.max(self.queue.len());
        false
    }

    /// Gives a place back. The task that gets it, if one waits.
    pub(super) fn give(&mut self, now: Us) -> Option<TaskId> {
        self.held = self.held.saturating_sub(1);
        self.next(now)
    }

    /// The next task that waits, if there is a place: after `give`, or when there are more places.
    pub(super) fn next(&mut self, now: Us) -> Option<TaskId> {
        if self.held >= self.capacity {
            return None;
        }
        let (task, since) = self.queue.pop_front()?;
        self.grant(now - since);
        Some(task)
    }

    /// Whether nobody holds a place or waits for one.
    pub(super) fn is_idle(&self) -> bool {
        self.held == 0 && self.queue.is_empty()
    }

    fn grant(&mut self, waited: Us) {
        self.held += 1;
        self.taken += 1;
        self.waited_us += waited;
        self.peak_held = self.peak_held.max(self.held);
    }
}

/// A piece of work on a core, of which a slice is done at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) task: TaskId,
    pub(super) left: Us,
    since: Us,
}

/// Cores, which tasks share as the kernel's scheduler does it: who wakes up runs before those that have used up
/// a slice, and the others take turns.
#[derive(Clone, Debug)]
pub(super) struct Cores {
    pub(super) count: usize,
    slice: Us,
    busy: usize,
    fresh: VecDeque<Work>,
    used: VecDeque<Work>,
    /// CPU time so far, and in each minute.
    pub(super) busy_us: u64,
    pub(super) by_minute: Vec<u64>,
    pub(super) waited_us: u64,
    pub(super) started: u64,
    pub(super) peak_queue: usize,
}

impl Cores {
    /// So many cores; a task runs for a slice at a time.
    pub(super) fn new(count: usize, slice: Us) -> Self {
        Self {
            count,
            slice: slice.max(1),
            busy: 0,
            fresh: VecDeque::new(),
            used: VecDeque::new(),
            busy_us: 0,
            by_minute: Vec::new(),
            waited_us: 0,
            started: 0,
            peak_queue: 0,
        }
    }

    /// The share of cores that are busy now.
    pub(super) fn load(&self) -> f64 {
        self.busy as f64 / self.count as f64
    }

    /// A task has so much to do. What runs now, and for how long, if a core is free.
    pub(super) fn begin(&mut self, task: TaskId, left: Us, now: Us) -> Option<(Work, Us)> {
        let work = Work {
            task,
            left,
            since: now,
        };
        self.started += 1;
        if self.busy < self.count {
            self.busy += 1;
            return Some((work, left.min(self.slice)));
        }
        self.fresh.push_back(work);
        self.peak_queue = self.peak_queue.max(self.fresh.len() + self.used.len());
        None
    }

    /// A slice of `ran` is done. What runs next on that core, and whether the work is done.
    pub(super) fn end(&mut self, work: Work, ran: Us, now: Us) -> (Option<(Work, Us)>, bool) {
        self.busy_us += ran;
        count(&mut self.by_minute, now, ran);
        let left = work.left - ran;
        if left > 0 {
            self.used.push_back(Work {
                left,
                since: now,
                ..work
            });
        }
        let next = self.fresh.pop_front().or_else(|| self.used.pop_front());
        let Some(next) = next else {
            self.busy -= 1;
            return (None, left == 0);
        };
        self.waited_us += now - next.since;
        (Some((next, next.left.min(self.slice))), left == 0)
    }

    /// Cores that were busy on average in the busiest minute.
    pub(super) fn peak_busy(&self) -> f64 {
        let most = self.by_minute.iter().max().copied().unwrap_or_default();
        most as f64 / 60e6
    }
}

/// The log of a database: commits that come while it is being flushed wait, and are flushed together.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    flushing: Vec<TaskId>,
    waiting: Vec<TaskId>,
    pub(super) commits: u64,
    pub(super) flushes: u64,
    pub(super) by_minute: Vec<u64>,
}

impl Log {
    /// A commit. Whether a flush begins with it.
    pub(super) fn commit(&mut self, task: TaskId, now: Us) -> bool {
        self.commits += 1;
        count(&mut self.by_minute, now, 1);
        if !self.flushing.is_empty() {
            self.waiting.push(task);
            return false;
        }
        self.flushes += 1;
        self.flushing.push(task);
        true
    }

    /// A flush is done. The tasks whose commits are, and whether another flush begins.
    pub(super) fn flushed(&mut self) -> (Vec<TaskId>, bool) {
        let next = std::mem::take(&mut self.waiting);
        let again = !next.is_empty();
        self.flushes += u64::from(again);
        (std::mem::replace(&mut self.flushing, next), again)
    }

    /// Commits per second in the busiest minute.
    pub(super) fn peak_per_second(&self) -> f64 {
        let most = self.by_minute.iter().max().copied().unwrap_or_default();
        most as f64 / 60.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_go_in_the_order_of_asking() {
        let mut places = Places::new(1);
        assert!(places.take(1, 0));
        assert!(!places.take(2, 10));
        assert!(!places.take(3, 20));
        assert_eq!(places.give(30), Some(2));
        assert_eq!(places.give(40), Some(3));
        assert_eq!((places.waited_us, places.peak_queue), (40, 2));
        assert_eq!(places.give(50), None);
        assert!(places.is_idle());
        // Another place: who waits gets it without anybody giving one back.
        assert!(places.take(4, 60) && !places.take(5, 60));
        places.capacity = 2;
        assert_eq!(places.next(61), Some(5));
    }

    #[test]
    fn who_wakes_up_runs_before_who_has_used_a_slice() {
        let mut cores = Cores::new(1, 10);
        let (long, slice) = cores.begin(1, 25, 0).unwrap();
        assert_eq!(slice, 10);
        assert!(cores.begin(2, 3, 4).is_none());
        let (next, done) = cores.end(long, 10, 10);
        let (short, slice) = next.unwrap();
        assert_eq!((short.task, slice, done), (2, 3, false));
        let (next, done) = cores.end(short, 3, 13);
        let (long, slice) = next.unwrap();
        assert_eq!((long.task, long.left, slice, done), (1, 15, 10, true));
        let (next, _) = cores.end(long, 10, 23);
        let (next, done) = cores.end(next.unwrap().0, 5, 28);
        assert!(next.is_none() && done);
        assert_eq!(cores.busy_us, 28);
    }

    #[test]
    fn commits_share_a_flush() {
        let mut log = Log::default();
        assert!(log.commit(1, 0));
        assert!(!log.commit(2, 1) && !log.commit(3, 2));
        assert_eq!(log.flushed(), (vec![1], true));
        assert_eq!(log.flushed(), (vec![2, 3], false));
        assert!(log.commit(4, 9));
        assert_eq!((log.commits, log.flushes), (4, 3));
    }
}
