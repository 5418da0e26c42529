//! The threads of a place, and the cores that they share.

use anyhow::Result;

use super::{Event, World};
use crate::simulate::{
    events::Us,
    plan::Place,
    prices::Visit,
    resources::{Servers, TaskId, Timer},
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
            Place::Edge => Some((&mut self.edge, machines.cores[machines.edge].1)),
            // One process beside one engine; a pooler of its own has as many as it needs.
            Place::Broker if machines.cores.len() == 1 => Some((&mut self.broker, 1)),
            Place::Broker | Place::Postgres(_) | Place::Client | Place::Start => None,
        }
    }

    pub(super) fn set(&self, place: Place) -> usize {
        let machines = &self.setup.machines;
        match place {
            Place::Function(_) | Place::Start => machines.functions,
            Place::Edge | Place::Broker => machines.edge,
            Place::Client => machines.client,
            Place::Postgres(domain) | Place::Shared(domain, _) => machines.postgres[domain],
        }
    }

    /// Work comes to a place: a thread wakes up for it, or it waits for one that works.
    pub(super) fn works(&mut self, id: TaskId, place: Place, visit: Visit) {
        let (now, set) = (self.events.now(), self.set(place));
        let us = self.draw(visit.cpu.at(self.cores[set].load()));
        let wake = self.draw(visit.wake_us);
        let wakes = match self.servers(place) {
            Some((servers, limit)) => servers.begin(id, us, limit, now),
            None => true,
        };
        if wakes {
            self.wakes(id, place, us + wake);
        }
    }

    fn wakes(&mut self, id: TaskId, place: Place, us: Us) {
        let (now, set) = (self.events.now(), self.set(place));
        if let Some((timer, length)) = self.cores[set].begin(id, place, us, now) {
            self.events.after(length, Event::Slice(set, timer));
        }
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
        let next = match work.left {
            0 => {
                let servers = self.servers(work.place);
                let next = servers.and_then(|(servers, _)| servers.end(now));
                next.map(|(task, us)| work.with(task, us))
            }
            _ => Some(work),
        };
        let runs = match next {
            Some(next) => Some(self.cores[set].go_on(timer.core, next, now)),
            None => self.cores[set].free(timer.core, now),
        };
        if let Some((timer, length)) = runs {
            self.events.after(length, Event::Slice(set, timer));
        }
        match work.left {
            0 => self.advance(work.task),
            _ => Ok(()),
        }
    }
}
