//! What tasks wait for: places of a kind, threads, and the log of a database.

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

/// Threads of processes that do the same, and the work that waits for one of them.
///
/// A thread that has no work sleeps. To wake it up costs CPU time: the kernel switches to it, and its caches are
/// cold. When it is done and more work waits, it goes on without sleeping. So work costs less under load, by as
/// much as the queue says.
#[derive(Clone, Debug, Default)]
pub(super) struct Servers {
    pub(super) awake: usize,
    queue: VecDeque<(TaskId, Us, Us)>,
    pub(super) woken: u64,
    pub(super) waited_us: u64,
}

impl Servers {
    /// Work comes for one of `limit` threads. Whether one wakes up for it; otherwise it waits.
    pub(super) fn begin(&mut self, task: TaskId, us: Us, limit: usize, now: Us) -> bool {
        if self.awake < limit {
            self.awake += 1;
            self.woken += 1;
            return true;
        }
        self.queue.push_back((task, us, now));
        false
    }

    /// A thread is done. The task with which it goes on, and the time that this takes; or else it sleeps.
    pub(super) fn end(&mut self, now: Us) -> Option<(TaskId, Us)> {
        let next = self.queue.pop_front();
        if next.is_none() {
            self.awake -= 1;
        }
        next.map(|(task, us, since)| {
            self.waited_us += now - since;
            (task, us)
        })
    }

    /// The next work that waits, if there are more threads now: one wakes up for it.
    pub(super) fn more(&mut self, limit: usize, now: Us) -> Option<(TaskId, Us)> {
        if self.awake >= limit || self.queue.is_empty() {
            return None;
        }
        self.awake += 1;
        self.woken += 1;
        self.end(now)
    }

    /// Whether nobody works or waits.
    pub(super) fn is_idle(&self) -> bool {
        self.awake == 0 && self.queue.is_empty()
    }
}

/// The memory of the hashes of a function: used again by the next one, and given back a second after the last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    free: usize,
    /// When a piece was last put back.
    since: Us,
}

impl Memory {
    /// As in the functions.
    const KEPT: Us = 1_000_000;

    /// A hash begins. Whether there is memory for it.
    pub(super) fn take(&mut self, now: Us) -> bool {
        self.forget(now);
        let kept = self.free > 0;
        self.free -= usize::from(kept);
        kept
    }

    /// It ends.
    pub(super) fn give(&mut self, now: Us) {
        self.forget(now);
        self.free += 1;
        self.since = now;
    }

    fn forget(&mut self, now: Us) {
        if now - self.since > Self::KEPT {
            self.free = 0;
        }
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
    fn a_thread_sleeps_when_it_has_nothing_to_do() {
        let mut servers = Servers::default();
        assert!(servers.begin(1, 5, 1, 0));
        assert!(!servers.begin(2, 6, 1, 1));
        assert_eq!(servers.more(1, 2), None);
        assert_eq!(servers.end(5), Some((2, 6)));
        assert_eq!(servers.end(11), None);
        assert_eq!((servers.woken, servers.waited_us), (1, 4));
        assert!(servers.is_idle());
        // A second thread, for work that waits.
        assert!(servers.begin(3, 5, 1, 20) && !servers.begin(4, 7, 1, 20));
        assert_eq!(servers.more(2, 30), Some((4, 7)));
        assert_eq!(servers.woken, 3);
    }

    #[test]
    fn memory_of_a_hash_is_kept_for_a_second() {
        let mut memory = Memory::default();
        // Two at once need a piece each.
        assert!(!memory.take(0) && !memory.take(10));
        memory.give(20);
        assert!(memory.take(30) && !memory.take(30));
        memory.give(40);
        memory.give(50);
        memory.give(60);
        assert!(memory.take(1_000_060) && memory.take(1_000_060));
        memory.give(1_000_060);
        assert!(!memory.take(2_000_061));
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
