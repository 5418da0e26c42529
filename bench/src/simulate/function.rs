//! A function on the virtual clock: scaled by the activator's own rules, with the limits of its manifest.

use std::{collections::VecDeque, time::Duration};

use anyhow::{Context, Result};
use tokio::time::Instant;
use zerocart_activator::{
    Ksvc,
    scale::{self, Limits, Load, Meter},
};

use super::{
    events::Us,
    resources::{Memory, Places, Servers, TaskId},
};

/// Requests that the activator holds for one function; any more get a 503.
const MAX_HELD: usize = 1_000;

/// A function and its instances.
///
/// Its instances are alike and equally busy, so they are kept as a number: all places of all instances are one
/// set of places.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) limits: Limits,
    /// Requests that an instance has at once.
    concurrency: usize,
    /// Connections of an instance.
    pub(super) pool: usize,
    meter: Meter,
    base: Instant,
    last_request: Us,
    pub(super) ready: usize,
    starting: usize,
    in_flight: usize,
    held: VecDeque<(TaskId, Us)>,
    /// One of each instance; where it hashes passwords, one of each core.
    pub(super) threads: Servers,
    pub(super) threads_each: usize,
    /// Sessions that calls share: one of each instance.
    pub(super) sessions: Servers,
    pub(super) connections: Places,
    /// Of hashes.
    pub(super) memory: Memory,
    pub(super) ticking: bool,
    pub(super) peak_instances: usize,
    pub(super) peak_held: usize,
    pub(super) starts: u64,
    pub(super) refused: u64,
    pub(super) requests: u64,
    pub(super) held_us: u64,
}

/// The answer to a request that comes to a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// An instance takes it.
    In,
    /// It waits for an instance.
    Held,
    /// Too many wait.
    Refused,
}

/// The connections of an instance; none without a database.
pub(super) fn pool(manifest: &Ksvc) -> Option<usize> {
    let mut env = manifest.env.iter();
    let (_, size) = env.find(|(name, _)| name == "DATABASE_POOL_SIZE")?;
    size.parse().ok()
}

impl Function {
    /// The function of a manifest. Its most instances are `factor` times those of the manifest.
    ///
    /// # Errors
    ///
    /// When the manifest has no pool.
    pub(super) fn new(manifest: &Ksvc, factor: f64, base: Instant) -> Result<Self> {
        let pool = pool(manifest)
            .with_context(|| format!("{} has no DATABASE_POOL_SIZE", manifest.name))?;
        let mut limits = manifest.limits.clone();
        limits.max = ((limits.max as f64 * factor).round() as usize).max(1);
        Ok(Self {
            name: manifest.name.clone(),
            concurrency: manifest
                .container_concurrency
                .unwrap_or(usize::MAX / 1_000_000),
            pool,
            meter: Meter::new(limits.window, base),
            limits,
            base,
            last_request: 0,
            ready: 0,
            starting: 0,
            in_flight: 0,
            held: VecDeque::new(),
            threads: Servers::default(),
            threads_each: 1,
            sessions: Servers::default(),
            connections: Places::new(0),
            memory: Memory::default(),
            ticking: false,
            peak_instances: 0,
            peak_held: 0,
            starts: 0,
            refused: 0,
            requests: 0,
            held_us: 0,
        })
    }

    fn at(&self, now: Us) -> Instant {
        self.base + Duration::from_micros(now)
    }

    /// How often it looks whether it should scale in: as the activator.
    pub(super) fn tick(&self) -> Us {
        let tick =
            (self.limits.window / 20).clamp(Duration::from_millis(20), Duration::from_secs(2));
        u64::try_from(tick.as_micros()).unwrap_or(2_000_000)
    }

    fn level(&mut self, now: Us) {
        let level = self.in_flight + self.held.len();
        self.meter.set(level, self.at(now));
    }

    /// A request comes. Also says how many instances start now.
    pub(super) fn enter(&mut self, task: TaskId, now: Us) -> (Entry, usize) {
        self.requests += 1;
        let entry = if self.in_flight < self.ready * self.concurrency && self.held.is_empty() {
            self.in_flight += 1;
            Entry::In
        } else if self.held.len() >= MAX_HELD {
            self.refused += 1;
            Entry::Refused
        } else {
            self.held.push_back((task, now));
            self.peak_held = self.peak_held.max(self.held.len());
            Entry::Held
        };
        self.level(now);
        let needed = scale::needed(&self.limits, self.meter.level() as f64);
        (entry, self.start_up_to(needed, now))
    }

    /// A request has its answer. The held request that gets its place, if one waits.
    pub(super) fn leave(&mut self, now: Us) -> Option<TaskId> {
        self.in_flight -= 1;
        self.last_request = now;
        let next = self.admit(now);
        self.level(now);
        next
    }

    /// The next held request for which an instance has a place.
    pub(super) fn admit(&mut self, now: Us) -> Option<TaskId> {
        if self.in_flight >= self.ready * self.concurrency {
            return None;
        }
        let (task, since) = self.held.pop_front()?;
        self.held_us += now - since;
        self.in_flight += 1;
        Some(task)
    }

    /// An instance is ready.
    pub(super) fn started(&mut self) {
        self.starting -= 1;
        self.ready += 1;
        self.sized();
    }

    /// Looks at the load: how many instances start now. Those that are too many end.
    pub(super) fn scale(&mut self, now: Us) -> usize {
        let level = self.meter.level();
        let at = self.at(now);
        let load = Load {
            now: level,
            average: self.meter.average(at),
            idle: match level {
                0 => Duration::from_micros(now - self.last_request),
                _ => Duration::ZERO,
            },
            instances: self.ready + self.starting,
        };
        let desired = scale::desired(&self.limits, &load);
        let starts = self.start_up_to(desired, now);
        if self.ready > desired {
            self.ready = desired;
            self.sized();
        }
        starts
    }

    /// Whether it must be looked at again: it has instances.
    pub(super) fn is_awake(&self) -> bool {
        self.ready + self.starting > 0 || self.meter.level() > 0
    }

    fn start_up_to(&mut self, wanted: usize, now: Us) -> usize {
        let live = self.ready + self.starting;
        if live == 0 && wanted > 0 {
            self.meter.restart(self.at(now));
        }
        let starts = wanted.saturating_sub(live);
        self.starting += starts;
        self.starts += starts as u64;
        self.peak_instances = self.peak_instances.max(self.ready + self.starting);
        starts
    }

    fn sized(&mut self) {
        self.connections.capacity = self.ready * self.pool;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function() -> Function {
        let mut manifest = Ksvc::new("get-product");
        manifest.limits.max = 2;
        manifest.limits.target = 2.0;
        manifest.container_concurrency = Some(3);
        manifest.env = vec![("DATABASE_POOL_SIZE".to_owned(), "2".to_owned())];
        Function::new(&manifest, 1.0, Instant::now()).unwrap()
    }

    #[test]
    fn it_starts_with_the_first_request_and_ends_after_its_window() {
        let mut function = function();
        assert_eq!(function.enter(1, 1_000), (Entry::Held, 1));
        // It needs no second instance for the second request, and one for the third.
        assert_eq!(function.enter(2, 1_001), (Entry::Held, 0));
        assert_eq!(function.enter(3, 1_002), (Entry::Held, 1));
        assert_eq!(function.enter(4, 1_003), (Entry::Held, 0));
        function.started();
        let admitted: Vec<_> = std::iter::from_fn(|| function.admit(5_000)).collect();
        assert_eq!(admitted, [1, 2, 3]);
        assert_eq!(function.leave(6_000), Some(4));
        function.started();
        for _ in 0..3 {
            assert_eq!(function.leave(7_000), None);
        }
        assert_eq!((function.ready, function.connections.capacity), (2, 4));
        let mut now = 7_000;
        while function.is_awake() {
            now += function.tick();
            assert_eq!(function.scale(now), 0);
        }
        let seconds = now / 1_000_000;
        assert!((60..64).contains(&seconds), "{seconds} s");
        assert_eq!((function.peak_instances, function.starts), (2, 2));
    }

    #[test]
    fn more_than_it_holds_is_refused() {
        let mut function = function();
        for task in 0..MAX_HELD as u32 {
            assert_eq!(function.enter(task, 0).0, Entry::Held);
        }
        assert_eq!(function.enter(9_999, 0).0, Entry::Refused);
        let mut manifest = Ksvc::new("x");
        manifest.env.clear();
        let error = Function::new(&manifest, 1.0, Instant::now()).unwrap_err();
        assert!(error.to_string().contains("DATABASE_POOL_SIZE"), "{error}");
    }
}
