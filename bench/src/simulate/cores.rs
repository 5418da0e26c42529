//! Cores, and the rules by which the kernel gives them to threads.

use std::collections::{HashMap, VecDeque};

use rand::{RngExt, rngs::StdRng};
use serde::{Deserialize, Serialize};

use super::{
    events::{LATELY_US, Us},
    plan::Place,
    resources::TaskId,
    state::count,
};

/// How the kernel gives cores to threads that wake up.
///
/// Each core has a queue of its own. A thread that wakes up goes to the core where it ran last, also when that one
/// is busy and another is idle. There it runs before some of those that wait, and takes the core at once from some
/// that run. So threads wait although the machine as a whole is not full. From time to time the kernel moves one that
/// waits to an idle core, but none whose caches may still be warm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Scheduler {
    /// How long a thread runs before others that wait for its core.
    pub(super) slice_us: Us,
    /// How often a thread that would wait finds an idle core, if there is one.
    pub(super) moves: f64,
    /// How often a thread whose core is idle goes to the core of the thread that woke it up.
    pub(super) follows: f64,
    /// How often a thread that wakes up runs before one that has run for less than a slice, and before one that has
    /// run for longer.
    pub(super) before_fresh: f64,
    pub(super) before_used: f64,
    /// A thread that ran so short a time ago is not moved to another core.
    pub(super) hot_us: Us,
    /// How often the kernel looks for threads that wait while a core is idle.
    pub(super) tick_us: Us,
}

impl Scheduler {
    /// Linux on a small virtual machine: its defaults, and what was measured where this was written.
    pub(super) const LINUX: Self = Self {
        slice_us: 1_400,
        moves: 0.03,
        follows: 0.85,
        before_fresh: 0.9,
        before_used: 0.9,
        hot_us: 500,
        tick_us: 4_000,
    };

    /// No core is idle while a thread waits, and who wakes up runs before those that have used a slice: as queueing
    /// theory has it.
    #[cfg(test)]
    pub(super) fn ideal(slice_us: Us) -> Self {
        Self {
            slice_us: slice_us.max(1),
            moves: 1.0,
            follows: 0.0,
            before_fresh: 0.0,
            before_used: 1.0,
            hot_us: 0,
            tick_us: 1_000,
        }
    }
}

/// In the place of a task: a thread that has handed on its task.
const NOBODY: TaskId = TaskId::MAX;

/// Where a thread has slept, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) core: usize,
    pub(super) since: Us,
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
    /// When it ran last.
    last: Us,
}

/// A thread on a core, until the end of its slice or of its work.
#[derive(Clone, Copy, Debug)]
struct Running {
    work: Work,
    began: Us,
    number: u64,
}

/// One core: what runs, and what waits for it.
#[derive(Clone, Debug, Default)]
struct Core {
    running: Option<Running>,
    queue: VecDeque<Work>,
}

/// The end of what runs on a core, if nobody took the core meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timer {
    pub(super) core: usize,
    number: u64,
}

/// A thread runs: when it is stopped, and after which time.
pub(super) type Runs = (Timer, Us);

/// Cores that threads share.
#[derive(Clone, Debug)]
pub(super) struct Cores {
    pub(super) count: usize,
    rules: Scheduler,
    busy: usize,
    /// The share of the cores that was busy of late, and at which time.
    level: (f64, Us),
    waiting: usize,
    /// Those that were ever busy.
    cores: HashMap<usize, Core>,
    number: u64,
    /// Whether the kernel is about to look for threads that wait.
    pub(super) ticking: bool,
    /// CPU time so far, and in each minute.
    pub(super) busy_us: u64,
    pub(super) by_minute: Vec<u64>,
    pub(super) waited_us: u64,
    pub(super) started: u64,
    pub(super) peak_queue: usize,
}

impl Cores {
    /// So many cores with these rules.
    pub(super) fn new(count: usize, rules: Scheduler) -> Self {
        Self {
            count,
            rules,
            busy: 0,
            level: (0.0, 0),
            waiting: 0,
            cores: HashMap::new(),
            number: 0,
            ticking: false,
            busy_us: 0,
            by_minute: Vec::new(),
            waited_us: 0,
            started: 0,
            peak_queue: 0,
        }
    }

    /// A thread woke up with so much to do, which slept at `home`; the one that woke it up is on `waker`. When it ends,
    /// if it has a core now.
    pub(super) fn begin(
        &mut self,
        (task, place, left): (TaskId, Place, Us),
        home: Option<Home>,
        waker: Option<usize>,
        now: Us,
        rng: &mut StdRng,
    ) -> Option<Runs> {
        self.started += 1;
        let home = home.unwrap_or_else(|| Home {
            core: rng.random_range(0..self.count),
            since: now.saturating_sub(self.rules.hot_us),
        });
        let work = Work {
            task,
            place,
            left,
            ran: 0,
            since: now,
            last: home.since,
        };
        let mut core = home.core;
        if self.is_idle(core) {
            match waker {
                Some(waker) if waker != core && rng.random::<f64>() < self.rules.follows => {
                    core = waker;
                }
                _ => return Some(self.run(core, work, now)),
            }
        }
        if self.is_idle(core) {
            return Some(self.run(core, work, now));
        }
        if let Some(idle) = self.finds(core, rng) {
            return Some(self.run(idle, work, now));
        }
        self.queues(core, work, now, rng)
    }

    /// An idle core, if the thread finds one: each of them as often as the rules say.
    fn finds(&self, core: usize, rng: &mut StdRng) -> Option<usize> {
        let idle = self.count - self.busy;
        if idle == 0 {
            return None;
        }
        let misses = (1.0 - self.rules.moves).powi(i32::try_from(idle).unwrap_or(i32::MAX));
        if rng.random::<f64>() < misses {
            return None;
        }
        let others = (1..self.count).map(|n| (core + n) % self.count);
        others.into_iter().find(|core| self.is_idle(*core))
    }

    /// A thread waits for a core that is busy, or takes it at once.
    fn queues(&mut self, core: usize, work: Work, now: Us, rng: &mut StdRng) -> Option<Runs> {
        let rules = self.rules;
        let before = |ran: Us, rng: &mut StdRng| {
            let chance = if ran < rules.slice_us {
                rules.before_fresh
            } else {
                rules.before_used
            };
            rng.random::<f64>() < chance
        };
        let Core { running, queue } = self.cores.entry(core).or_default();
        let mut at = queue.len();
        while at > 0 && before(queue[at - 1].ran, rng) {
            at -= 1;
        }
        let ran = running.map_or(0, |running| running.work.ran + (now - running.began));
        if at > 0 || !before(ran, rng) {
            queue.insert(at, work);
            self.waiting += 1;
            self.peak_queue = self.peak_queue.max(self.waiting);
            return None;
        }
        if let Some(other) = self.stop(core, now) {
            let queue = &mut self.cores.entry(core).or_default().queue;
            let used = other.ran >= rules.slice_us;
            // One that has used its slice waits behind those that have not.
            let at = queue
                .iter()
                .position(|waits| !used || waits.ran >= rules.slice_us);
            queue.insert(at.unwrap_or(queue.len()), other);
            self.waiting += 1;
        }
        Some(self.run(core, work, now))
    }

    /// What ran on a core, when its time is over; none when another thread took the core before. Then either
    /// [`Cores::go_on`] or [`Cores::free`] says what the core does.
    pub(super) fn end(&mut self, timer: Timer, now: Us) -> Option<Work> {
        let running = self.cores.get(&timer.core)?.running?;
        if running.number != timer.number {
            return None;
        }
        debug_assert!(running.began <= now);
        self.stop(timer.core, now)
    }

    /// A thread whose slice is over, or that has more to do, goes on if nobody else waits for the core.
    pub(super) fn go_on(&mut self, core: usize, work: Work, now: Us) -> Runs {
        let over = work.ran >= self.rules.slice_us;
        let next = if over { self.take(core, now) } else { None };
        let Some(next) = next else {
            return self.run(core, work, now);
        };
        let queue = &mut self.cores.entry(core).or_default().queue;
        queue.push_back(Work { since: now, ..work });
        self.waiting += 1;
        self.run(core, next, now)
    }

    /// A thread sleeps. What runs next on its core.
    pub(super) fn free(&mut self, core: usize, now: Us) -> Option<Runs> {
        let next = match self.take(core, now) {
            Some(next) => next,
            None => self.pull(core, now)?,
        };
        Some(self.run(core, next, now))
    }

    /// How busy the cores were of late, from 0 to 1.
    pub(super) fn level(&mut self, now: Us) -> f64 {
        let (level, since) = self.level;
        if now > since {
            let busy = self.busy as f64 / self.count as f64;
            let kept = (-((now - since) as f64) / LATELY_US).exp();
            self.level = (busy + (level - busy) * kept, now);
        }
        self.level.0
    }

    /// Whether a thread waits while a core is idle.
    pub(super) fn is_uneven(&self) -> bool {
        self.waiting > 0 && self.busy < self.count
    }

    /// Whether threads wait: then the kernel looks again.
    pub(super) fn is_waited_for(&self) -> bool {
        self.waiting > 0
    }

    /// How often the kernel looks.
    pub(super) fn tick_us(&self) -> Us {
        self.rules.tick_us
    }

    /// The kernel looks for a thread that waits while a core is idle.
    pub(super) fn balance(&mut self, now: Us) -> Option<Runs> {
        if !self.is_uneven() {
            return None;
        }
        let idle = (0..self.count).find(|core| self.is_idle(*core))?;
        let work = self.pull(idle, now)?;
        Some(self.run(idle, work, now))
    }

    /// The next thread that waits for this core.
    fn take(&mut self, core: usize, now: Us) -> Option<Work> {
        let next = self.cores.get_mut(&core)?.queue.pop_front()?;
        self.waiting -= 1;
        self.waited_us += now - next.since;
        Some(next)
    }

    /// A thread that waits for another core, and may be moved: of the next core that has one.
    fn pull(&mut self, to: usize, now: Us) -> Option<Work> {
        if self.waiting == 0 {
            return None;
        }
        let hot = self.rules.hot_us;
        for n in 1..self.count {
            let core = (to + n) % self.count;
            let Some(core) = self.cores.get_mut(&core) else {
                continue;
            };
            let cold = core.queue.iter().position(|work| now - work.last >= hot);
            if let Some(work) = cold.and_then(|at| core.queue.remove(at)) {
                self.waiting -= 1;
                self.waited_us += now - work.since;
                return Some(work);
            }
        }
        None
    }

    fn is_idle(&self, core: usize) -> bool {
        let core = self.cores.get(&core);
        core.is_none_or(|core| core.running.is_none())
    }

    fn run(&mut self, core: usize, work: Work, now: Us) -> Runs {
        self.level(now);
        self.number += 1;
        self.busy += 1;
        let running = Running {
            work,
            began: now,
            number: self.number,
        };
        self.cores.entry(core).or_default().running = Some(running);
        let slice = match self.rules.slice_us.saturating_sub(work.ran) {
            0 => self.rules.slice_us,
            left => left,
        };
        let timer = Timer {
            core,
            number: self.number,
        };
        (timer, work.left.min(slice))
    }

    fn stop(&mut self, core: usize, now: Us) -> Option<Work> {
        let Running { work, began, .. } = self.cores.get_mut(&core)?.running.take()?;
        self.level(now);
        self.busy -= 1;
        let ran = now - began;
        self.busy_us += ran;
        count(&mut self.by_minute, now, ran);
        Some(Work {
            left: work.left - ran,
            ran: work.ran + ran,
            since: now,
            last: now,
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
    /// The same thread, which has handed on its task and has so much left to do.
    pub(super) fn alone(self, left: Us) -> Self {
        self.with(NOBODY, left)
    }

    /// Whether it works for a task.
    pub(super) fn is_for_a_task(&self) -> bool {
        self.task != NOBODY
    }

    /// The same thread, with the next task.
    pub(super) fn with(self, task: TaskId, left: Us) -> Self {
        Self { task, left, ..self }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn work(task: TaskId, left: Us) -> (TaskId, Place, Us) {
        (task, Place::Edge, left)
    }

    #[test]
    fn who_wakes_up_takes_the_core_of_who_has_used_a_slice() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut cores = Cores::new(1, Scheduler::ideal(10));
        let (slice, length) = cores.begin(work(1, 25), None, None, 0, &mut rng).unwrap();
        assert_eq!(length, 10);
        // Both are fresh: the second waits.
        assert!(cores.begin(work(2, 3), None, None, 4, &mut rng).is_none());
        let long = cores.end(slice, 10).unwrap();
        let (short, length) = cores.go_on(slice.core, long, 10);
        assert_eq!((long.left, length), (15, 3));
        let done = cores.end(short, 13).unwrap();
        assert_eq!((done.task, done.left), (2, 0));
        let (long, length) = cores.free(short.core, 13).unwrap();
        assert_eq!(length, 10);
        // It has used a slice: the third takes the core at once.
        let (third, length) = cores.begin(work(3, 2), None, None, 15, &mut rng).unwrap();
        assert_eq!(length, 2);
        assert_eq!(cores.end(long, 23), None);
        assert_eq!(cores.end(third, 17).unwrap().task, 3);
        let (long, _) = cores.free(third.core, 17).unwrap();
        let rest = cores.end(long, 27).unwrap();
        assert_eq!((rest.task, rest.left), (1, 3));
        assert_eq!(cores.busy_us, 27);
    }

    #[test]
    fn cores_know_how_busy_they_were_of_late() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut cores = Cores::new(2, Scheduler::ideal(u64::MAX));
        let (timer, _) = cores
            .begin(work(1, 500_000), None, None, 0, &mut rng)
            .unwrap();
        let level = cores.level(500_000);
        assert!((0.49..0.5).contains(&level), "{level}");
        cores.end(timer, 500_000).unwrap();
        assert!(cores.free(timer.core, 500_000).is_none());
        let later = cores.level(500_000 + LATELY_US as Us);
        assert!((later / level - (-1.0_f64).exp()).abs() < 1e-6, "{later}");
    }

    #[test]
    fn a_thread_waits_for_its_own_core_until_it_is_cold() {
        let rules = Scheduler {
            slice_us: 1_000,
            moves: 0.0,
            follows: 0.0,
            before_fresh: 0.0,
            before_used: 0.0,
            hot_us: 50,
            tick_us: 100,
        };
        let mut rng = StdRng::seed_from_u64(1);
        let mut cores = Cores::new(2, rules);
        let at = |since| Some(Home { core: 1, since });
        assert!(
            cores
                .begin(work(1, 900), at(0), None, 0, &mut rng)
                .is_some()
        );
        // The other core is idle, and it waits all the same.
        assert!(
            cores
                .begin(work(2, 5), at(95), None, 100, &mut rng)
                .is_none()
        );
        assert!(cores.is_uneven() && cores.balance(120).is_none());
        let (timer, length) = cores.balance(145).unwrap();
        assert_eq!((timer.core, length, cores.waited_us), (0, 5, 45));
        assert!(!cores.is_uneven());
        // A core that becomes idle takes one over at once.
        assert!(
            cores
                .begin(work(3, 5), at(0), None, 147, &mut rng)
                .is_none()
        );
        assert_eq!(cores.end(timer, 150).unwrap().task, 2);
        let (timer, _) = cores.free(timer.core, 150).unwrap();
        assert_eq!(cores.end(timer, 155).unwrap().task, 3);
        assert!(cores.free(timer.core, 155).is_none());
    }
}
