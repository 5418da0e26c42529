//! What a simulation has shown, and where its tasks waited.

use serde::{Deserialize, Serialize};
use zerocart_order::saga::Status;

use super::{prices::CALLS, state::Machines, world::World};

/// The outcome of one scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(super) name: String,
    /// On the virtual clock.
    pub(super) seconds: f64,
    pub(super) events: u64,
    pub(super) kinds: Vec<KindOutcome>,
    /// Of all kinds together.
    pub(super) p50_ms: f64,
    /// Requests of all kinds per second, in the busiest minute.
    pub(super) peak_per_second: f64,
    pub(super) paid: usize,
    pub(super) failed: usize,
    pub(super) units_sold: i64,
    pub(super) cores: Vec<CoresOutcome>,
    pub(super) functions: Vec<FunctionOutcome>,
    pub(super) peak_connections: usize,
    /// Commits per second in the busiest minute, and commits per flush of the log.
    pub(super) peak_commits: f64,
    pub(super) commits_per_flush: f64,
    /// The average wait for a row's lock.
    pub(super) lock_wait_ms: f64,
    /// What requests waited for, in milliseconds per request, the longest first.
    pub(super) waits: Vec<(String, f64)>,
}

/// One kind of request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct KindOutcome {
    pub(super) name: String,
    pub(super) requests: u64,
    pub(super) refused: u64,
    pub(super) p50_ms: f64,
    #[serde(default)]
    pub(super) p90_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

/// One set of cores.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct CoresOutcome {
    pub(super) name: String,
    pub(super) count: usize,
    /// Busy on average in the busiest minute, and in all the time.
    pub(super) peak: f64,
    pub(super) mean: f64,
    pub(super) cpu_ms: f64,
}

/// One function.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct FunctionOutcome {
    pub(super) name: String,
    pub(super) peak_instances: usize,
    pub(super) max_scale: usize,
    pub(super) starts: u64,
    pub(super) requests: u64,
    pub(super) refused: u64,
    pub(super) peak_held: usize,
}

impl Outcome {
    pub(super) fn of(name: &str, world: &World<'_>, machines: &Machines) -> Self {
        let seconds = world.last_answer as f64 / 1e6;
        let ms = |us: u64| us as f64 / 1e3;
        let kinds: Vec<KindOutcome> = CALLS
            .iter()
            .zip(&world.told)
            .filter(|(_, told)| told.requests > 0)
            .map(|((name, ..), told)| KindOutcome {
                name: (*name).to_owned(),
                requests: told.requests,
                refused: told.refused,
                p50_ms: ms(told.latency.value_at_quantile(0.5)),
                p90_ms: ms(told.latency.value_at_quantile(0.9)),
                p99_ms: ms(told.latency.value_at_quantile(0.99)),
                max_ms: ms(told.latency.max()),
            })
            .collect();
        let mut together = None;
        for told in &world.told {
            match &mut together {
                None => together = Some(told.latency.clone()),
                // All have the same range.
                Some(sum) => sum.add(&told.latency).unwrap_or_default(),
            }
        }
        let p50 = together.map_or(0, |all| all.value_at_quantile(0.5));
        let minutes = world.told.iter().map(|told| told.by_minute.len()).max();
        let in_minute = |minute: usize| -> u64 {
            let counts = world.told.iter().map(|told| told.by_minute.get(minute));
            counts.flatten().sum()
        };
        let most = (0..minutes.unwrap_or_default()).map(in_minute).max();
        // A simulation shorter than a minute.
        let length = seconds.clamp(1e-6, 60.0);
        let (orders, units_sold) = world.orders();
        let orders_of = |wanted: &[Status]| {
            let matching = orders.iter().filter(|(status, _)| wanted.contains(status));
            matching.map(|(_, n)| n).sum()
        };
        let requests: u64 = kinds.iter().map(|kind| kind.requests).sum();
        let mut outcome = Self {
            name: name.to_owned(),
            seconds,
            events: world.events(),
            p50_ms: ms(p50),
            peak_per_second: most.unwrap_or_default() as f64 / length,
            paid: orders_of(&[Status::Paid]),
            failed: orders_of(&[Status::Failed, Status::Cancelled]),
            units_sold,
            cores: machines
                .cores
                .iter()
                .zip(&world.cores)
                .map(|((name, count), cores)| CoresOutcome {
                    name: name.clone(),
                    count: *count,
                    peak: cores.peak_busy() * 60.0 / length,
                    mean: cores.busy_us as f64 / 1e6 / seconds.max(1e-6),
                    cpu_ms: ms(cores.busy_us),
                })
                .collect(),
            functions: world
                .functions
                .iter()
                .filter(|function| function.requests > 0)
                .map(|function| FunctionOutcome {
                    name: function.name.clone(),
                    peak_instances: function.peak_instances,
                    max_scale: function.limits.max,
                    starts: function.starts,
                    requests: function.requests,
                    refused: function.refused,
                    peak_held: function.peak_held,
                })
                .collect(),
            peak_connections: world.peak_connections,
            peak_commits: world
                .logs
                .iter()
                .map(|log| log.peak_per_second() * 60.0 / length)
                .sum(),
            commits_per_flush: {
                let commits: u64 = world.logs.iter().map(|log| log.commits).sum();
                let flushes: u64 = world.logs.iter().map(|log| log.flushes).sum();
                commits as f64 / flushes.max(1) as f64
            },
            lock_wait_ms: ms(world.lock_waited_us) / world.locked.max(1) as f64,
            waits: Vec::new(),
            kinds,
        };
        outcome.waits = waits(world, machines, requests.max(1) as f64);
        outcome
    }

    pub(super) fn kind(&self, name: &str) -> Option<&KindOutcome> {
        self.kinds.iter().find(|kind| kind.name == name)
    }

    pub(super) fn requests(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.requests).sum()
    }

    pub(super) fn refused(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.refused).sum()
    }

    /// CPU time of all cores, in milliseconds per request.
    pub(super) fn cpu_ms(&self) -> f64 {
        let all: f64 = self.cores.iter().map(|cores| cores.cpu_ms).sum();
        all / self.requests().max(1) as f64
    }
}

/// What requests waited for, per request, the longest first; below a hundredth of a millisecond it is nothing.
fn waits(world: &World<'_>, machines: &Machines, requests: f64) -> Vec<(String, f64)> {
    let mut waits = vec![("a row's lock".to_owned(), world.lock_waited_us)];
    for ((name, _), cores) in machines.cores.iter().zip(&world.cores) {
        waits.push((format!("cores of {name}"), cores.waited_us));
    }
    waits.push(("a thread of the gateway".to_owned(), world.edge.waited_us));
    for function in &world.functions {
        let name = &function.name;
        waits.push((format!("an instance of {name}"), function.held_us));
        waits.push((format!("the thread of {name}"), function.threads.waited_us));
        let sessions = function.sessions.waited_us;
        waits.push((format!("a session of {name}"), sessions));
        let connections = function.connections.waited_us;
        waits.push((format!("a connection of {name}"), connections));
    }
    let each = |us: u64| us as f64 / 1e3 / requests;
    let mut waits: Vec<_> = waits
        .into_iter()
        .map(|(name, us)| (name, each(us)))
        .filter(|(_, ms)| *ms >= 0.01)
        .collect();
    waits.sort_by(|a, b| b.1.total_cmp(&a.1));
    waits.truncate(5);
    waits
}
