//! What tasks wait for: places of a kind, cores, and the log of a database.

use std::collections::VecDeque;

use super::{events::Us, plan::Place, state::count};

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

/// What a thread does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) task: TaskId,
    pub(super) place: Place,
    pub(super) left: Us,
    /// Since it woke up.
    ran: Us,
    since: Us,
}

/// A thread on a core, until the end of its slice or of its work.
#[derive(Clone, Copy, Debug)]
struct Running {
    work: Work,
    began: Us,
    number: u64,
}

/// The end of what runs on a core, if nobody took the core meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timer {
    pub(super) core: usize,
    number: u64,
}

/// Cores, which threads share as the kernel's scheduler does it: who wakes up runs before those that have used up
/// a slice, and at once if one of these has a core; the others take turns.
#[derive(Clone, Debug)]
pub(super) struct Cores {
    pub(super) count: usize,
    slice: Us,
    busy: usize,
    /// As many as were ever busy at once.
    cores: Vec<Option<Running>>,
    idle: Vec<usize>,
    number: u64,
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
    /// So many cores; a thread runs for a slice at a time.
    pub(super) fn new(count: usize, slice: Us) -> Self {
        Self {
            count,
            slice: slice.max(1),
            busy: 0,
            cores: Vec::new(),
            idle: Vec::new(),
            number: 0,
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

    /// A thread woke up with so much to do. When it ends, if it has a core now.
    pub(super) fn begin(
        &mut self,
        task: TaskId,
        place: Place,
        left: Us,
        now: Us,
    ) -> Option<(Timer, Us)> {
        self.started += 1;
        let work = Work {
            task,
            place,
            left,
            ran: 0,
            since: now,
        };
        if self.busy < self.count {
            self.busy += 1;
            let core = self.idle.pop().unwrap_or(self.cores.len());
            return Some(self.run(core, work, now));
        }
        let slice = self.slice;
        let used = |running: &Running| running.work.ran + (now - running.began) >= slice;
        let core = self
            .cores
            .iter()
            .position(|core| core.is_some_and(|running| used(&running)));
        let Some(core) = core else {
            self.fresh.push_back(work);
            self.peak_queue = self.peak_queue.max(self.fresh.len() + self.used.len());
            return None;
        };
        if let Some(other) = self.stop(core, now) {
            self.used.push_front(other);
        }
        Some(self.run(core, work, now))
    }

    /// What ran on a core, when its time is over; none when another thread took the core before. Then either
    /// [`Cores::go_on`] or [`Cores::free`] says what the core does.
    pub(super) fn end(&mut self, timer: Timer, now: Us) -> Option<Work> {
        let running = self.cores[timer.core].filter(|running| running.number == timer.number)?;
        debug_assert!(running.began <= now);
        self.stop(timer.core, now)
    }

    /// A thread whose slice is over, or that has more to do, goes on if nobody else waits for the core.
    pub(super) fn go_on(&mut self, core: usize, work: Work, now: Us) -> (Timer, Us) {
        let over = work.ran >= self.slice;
        let next = if over { self.waiting() } else { None };
        let Some(next) = next else {
            return self.run(core, work, now);
        };
        self.used.push_back(Work { since: now, ..work });
        self.waited_us += now - next.since;
        self.run(core, next, now)
    }

    /// A thread sleeps. What runs next on its core.
    pub(super) fn free(&mut self, core: usize, now: Us) -> Option<(Timer, Us)> {
        let Some(next) = self.waiting() else {
            self.busy -= 1;
            self.idle.push(core);
            return None;
        };
        self.waited_us += now - next.since;
        Some(self.run(core, next, now))
    }

    /// The next thread that waits for a core.
    fn waiting(&mut self) -> Option<Work> {
        self.fresh.pop_front().or_else(|| self.used.pop_front())
    }

    fn run(&mut self, core: usize, work: Work, now: Us) -> (Timer, Us) {
        self.number += 1;
        let running = Running {
            work,
            began: now,
            number: self.number,
        };
        if core == self.cores.len() {
            self.cores.push(None);
        }
        self.cores[core] = Some(running);
        let slice = match self.slice.saturating_sub(work.ran) {
            0 => self.slice,
            left => left,
        };
        let timer = Timer {
            core,
            number: self.number,
        };
        (timer, work.left.min(slice))
    }

    fn stop(&mut self, core: usize, now: Us) -> Option<Work> {
        let Running { work, began, .. } = self.cores[core].take()?;
        let ran = now - began;
        self.busy_us += ran;
        count(&mut self.by_minute, now, ran);
        Some(Work {
            left: work.left - ran,
            ran: work.ran + ran,
            since: now,
            ..work
        })
    }

    /// Cores that were busy on average in the busiest minute.
    pub(super) fn peak_busy(&self) -> f64 {
        let most = self.by_minute.iter().max().copied().unwrap_or_default();
        most as f64 / 60e6
    }
}

impl Work {
    /// The same thread, with the next task.
    pub(super) fn with(self, task: TaskId, left: Us) -> Self {
        Self { task, left, ..self }
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
    fn who_wakes_up_takes_the_core_of_who_has_used_a_slice() {
        let mut cores = Cores::new(1, 10);
        let (slice, length) = cores.begin(1, Place::Edge, 25, 0).unwrap();
        assert_eq!(length, 10);
        // Both are fresh: the second waits.
        assert!(cores.begin(2, Place::Edge, 3, 4).is_none());
        let long = cores.end(slice, 10).unwrap();
        let (short, length) = cores.go_on(slice.core, long, 10);
        assert_eq!((long.left, length), (15, 3));
        let work = cores.end(short, 13).unwrap();
        assert_eq!((work.task, work.left), (2, 0));
        let (long, length) = cores.free(short.core, 13).unwrap();
        assert_eq!(length, 10);
        // It has used a slice: the third takes the core at once.
        let (third, length) = cores.begin(3, Place::Edge, 2, 15).unwrap();
        assert_eq!(length, 2);
        assert_eq!(cores.end(long, 23), None);
        assert_eq!(cores.end(third, 17).unwrap().task, 3);
        let (long, _) = cores.free(third.core, 17).unwrap();
        let work = cores.end(long, 27).unwrap();
        assert_eq!((work.task, work.left), (1, 3));
        assert_eq!(cores.busy_us, 27);
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
