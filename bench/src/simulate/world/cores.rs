//! The threads of a place, and the cores that they share.

use anyhow::Result;

use super::{Event, World};
use crate::simulate::{
    cores::{Home, Runs, Timer},
    curve::Curve,
    events::Us,
    plan::Place,
    prices::{Visit, pace},
    resources::{Servers, TaskId},
};

impl World<'_> {
    /// The threads of a place, and how many there are; none where each task has its own.
    pub(super) fn servers(&mut self, place: Place) -> Option<(&mut Servers, usize)> {
        let machines = &self.setup.machines;
        match place {
            Place::Function(function) => {
                let function = &mut self.functions[function];
                let limit = function.ready * function.threads_each;
                Some((&mut function.threads, limit.max(1)))
            }
            Place::Shared(_, function) => {
                let function = &mut self.functions[function];
                let limit = function.ready.max(1);
                Some((&mut function.sessions, limit))
            }
            // The local engine has a thread for every two cores, since other programs need the rest.
            Place::Edge if machines.cores.len() == 1 => {
                Some((&mut self.edge, (machines.cores[0].1 / 2).max(1)))
            }
            Place::Edge => Some((&mut self.edge, machines.cores[machines.edge].1)),
            Place::Postgres(_) | Place::Client | Place::Start => None,
        }
    }

    pub(super) fn set(&self, place: Place) -> usize {
        let machines = &self.setup.machines;
        match place {
            Place::Function(_) | Place::Start => machines.functions,
            Place::Edge => machines.edge,
            Place::Client => machines.client,
            Place::Postgres(domain) | Place::Shared(domain, _) => machines.postgres[domain],
        }
    }

    /// Work comes to a place: a thread wakes up for it, or it waits for one that works. A thread that goes on without
    /// sleeping has what it needs in its caches. What it costs to wake up depends on how often work came of late.
    pub(super) fn works(&mut self, id: TaskId, place: Place, visit: Visit) -> Result<()> {
        let now = self.events.now();
        let per_second = self.rates.entry(place).or_default().comes(now);
        let more = self.draw(visit.next_us);
        let first = self.draw(visit.woken.at(pace(per_second)));
        self.comes(id, place, (first, more), visit.after)
    }

    /// The same for the hash of a password. It takes so long that it does not matter whether its thread slept, but it
    /// does how busy the machine is, and whether there is memory for it.
    pub(super) fn hashes(&mut self, id: TaskId, function: usize, curve: Curve) -> Result<()> {
        let (now, place) = (self.events.now(), Place::Function(function));
        let set = self.set(place);
        let us = curve.at(self.cores[set].level(now));
        let factor = match self.functions[function].memory.take(now) {
            true => 1.0,
            false => self.setup.prices.first_hash,
        };
        let us = self.draw_within(us * factor, self.setup.prices.hash_spread);
        self.comes(id, place, (us, us), 0.0)
    }

    /// Work of so many microseconds for a thread that wakes up for it, and for one that goes on. A share of it is
    /// after the request is handed on.
    fn comes(
        &mut self,
        id: TaskId,
        place: Place,
        (first, more): (Us, Us),
        after: f64,
    ) -> Result<()> {
        let now = self.events.now();
        let split = |us: Us| {
            let after = (us as f64 * after).round() as Us;
            (us - after, after)
        };
        let ((first, first_after), (more, more_after)) = (split(first), split(more));
        let wakes = match self.servers(place) {
            Some((servers, limit)) => servers.begin(id, more, limit, now),
            None => true,
        };
        self.task_mut(id)?.after = if wakes { first_after } else { more_after };
        if wakes {
            self.wakes(id, place, first);
        }
        Ok(())
    }

    fn wakes(&mut self, id: TaskId, place: Place, us: Us) {
        let (now, set) = (self.events.now(), self.set(place));
        let home = self.homes.get_mut(&place).and_then(Vec::pop);
        let waker = self.tasks[id as usize]
            .as_ref()
            .and_then(|task| task.ran_on);
        let waker = waker.filter(|(of, _)| *of == set).map(|(_, core)| core);
        let runs = self.cores[set].begin((id, place, us), home, waker, now, &mut self.rng);
        self.runs(set, runs);
    }

    /// A thread runs on a core of a set; and while others wait for busy cores, the kernel looks now and then whether
    /// there are idle ones.
    fn runs(&mut self, set: usize, runs: Option<Runs>) {
        if let Some((timer, length)) = runs {
            self.events.after(length, Event::Slice(set, timer));
        }
        let cores = &mut self.cores[set];
        if cores.is_waited_for() && !cores.ticking && cores.count > 1 {
            cores.ticking = true;
            let tick = cores.tick_us();
            let left = tick - self.events.now() % tick;
            self.events.after(left, Event::Balance(set));
        }
    }

    /// The kernel looks for threads that wait while a core is idle.
    pub(super) fn balance(&mut self, set: usize) {
        let now = self.events.now();
        self.cores[set].ticking = false;
        while let Some(runs) = self.cores[set].balance(now) {
            self.runs(set, Some(runs));
        }
        self.runs(set, None);
    }

    /// There are more threads.
    pub(super) fn more(&mut self, place: Place) {
        let now = self.events.now();
        while let Some((task, us)) = self
            .servers(place)
            .and_then(|(servers, limit)| servers.more(limit, now))
        {
            self.wakes(task, place, us);
        }
    }

    /// What ran on a core has done its work or its slice.
    pub(super) fn sliced(&mut self, set: usize, timer: Timer) -> Result<()> {
        let now = self.events.now();
        let Some(work) = self.cores[set].end(timer, now) else {
            return Ok(());
        };
        let done = work.left == 0 && work.is_for_a_task();
        let after = match done {
            true => std::mem::take(&mut self.task_mut(work.task)?.after),
            false => 0,
        };
        let next = match work.left {
            0 if after > 0 => Some(work.alone(after)),
            0 => {
                let servers = self.servers(work.place);
                let next = servers.and_then(|(servers, _)| servers.end(now));
                next.map(|(task, us)| work.with(task, us))
            }
            _ => Some(work),
        };
        let runs = match next {
            Some(next) => Some(self.cores[set].go_on(timer.core, next, now)),
            None => {
                let home = Home {
                    core: timer.core,
                    since: now,
                };
                self.homes.entry(work.place).or_default().push(home);
                self.cores[set].free(timer.core, now)
            }
        };
        self.runs(set, runs);
        if !done {
            return Ok(());
        }
        self.task_mut(work.task)?.ran_on = Some((set, timer.core));
        self.advance(work.task)
    }
}
