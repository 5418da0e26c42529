//! What requests cost in a simulation: from the measurements of `bench-load`.

use anyhow::{Context, Result, bail};
use serde::Serialize;
use zerocart_proto::rpc;

use super::{
    cores::Scheduler,
    curve::Curve,
    plan::HASHES,
    probe::Probe,
    rates::{self, Point},
};
use crate::{
    cpu::ByGroup,
    load::{Costs, MIX, Results, coarse, figures::Figures},
};

/// The domains, each with a database.
pub(super) const DOMAINS: [&str; 5] = ["cart", "order", "payment", "product", "user"];

/// The function that a shopper calls for a kind of request, and those that it calls in turn.
pub(super) const CALLS: [(&str, &str, &[&str]); 5] = [
    ("product", "get-product", &[]),
    ("list", "list-products", &[]),
    ("cart", "add-to-cart", &["get-product"]),
    (
        "order",
        "create-order",
        &[
            "get-cart",
            "update-inventory",
            "process-payment",
            "clear-cart",
        ],
    ),
    ("sign-in", "authenticate-user", &[]),
];

/// How late a client of an open loop sends, where it was not measured, in microseconds.
const LATE_US: f64 = 70.0;

/// How much more a hash costs whose process has no memory for it, where it was not measured.
const FIRST_HASH: f64 = 1.7;

/// The least share of visits that woke up a thread, for what such a visit costs to be known.
const LEAST_WOKEN: f64 = 0.3;

/// No program does most of its work after it has handed on a request.
const MOST_AFTER: f64 = 0.5;

/// How far a hash is from its mean, where it was not measured.
const HASH_SPREAD: f64 = 0.1;

/// What a thread does each time that a request comes to it: CPU time, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Visit {
    /// Of a thread that was woken up for it, by [`pace`]: what it needs has left its caches meanwhile, or not.
    pub(super) woken: Curve,
    /// Of a thread that goes on with it after the same work for another request, which is in its caches.
    pub(super) next_us: f64,
    /// The share of the work that is left when the request is handed on: to count, to log, to go to sleep. Nobody
    /// waits for it but the next request of the thread.
    pub(super) after: f64,
}

/// How often something comes, for a [`Curve`]: 0 for once a second or less, 1 for 100,000 times a second.
pub(super) fn pace(per_second: f64) -> f64 {
    (per_second.max(1.0).log10() / 5.0).min(1.0)
}

/// All visits of a request, at one rate.
struct Rated {
    /// Visits per second.
    per_second: f64,
    cpu_us: f64,
    /// How often a thread was woken up.
    wakes: f64,
}

impl Visit {
    /// The same at any load.
    pub(super) fn new(us: f64) -> Self {
        Self {
            woken: Curve::flat(us),
            next_us: us,
            after: 0.0,
        }
    }

    pub(super) fn times(self, factor: f64) -> Self {
        Self {
            woken: self.woken.times(factor),
            next_us: self.next_us * factor,
            after: self.after,
        }
    }

    /// Each of so many visits, from what all cost on a full machine, and at several rates.
    ///
    /// On a full machine threads seldom sleep, so there each visit costs what one costs to a thread that goes on.
    /// At other rates those that woke up a thread cost the rest. A session of PostgreSQL that is woken up on a full
    /// machine, too, has one price for both there.
    fn each(full_us: f64, rated: &[Rated], visits: f64) -> Self {
        let next_us = full_us / visits;
        let woken = rated.iter().filter_map(|of| {
            let woken = of.wakes.min(visits);
            let us = (of.cpu_us - (visits - woken) * next_us) / woken;
            (woken >= LEAST_WOKEN * visits).then_some((pace(of.per_second), us.max(next_us)))
        });
        let woken: Vec<_> = woken.collect();
        Self {
            woken: match woken.as_slice() {
                [] => Curve::flat(next_us),
                points => Curve::through(points),
            },
            next_us,
            after: 0.0,
        }
    }
}

/// What one call of a function costs, in microseconds of CPU time unless it says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Price {
    pub(super) function: String,
    /// An index in [`DOMAINS`].
    pub(super) domain: usize,
    /// Each visit of its thread: one more than there are round trips.
    pub(super) own: Visit,
    /// All of these together, where they are as good as nothing but a hash.
    pub(super) hash: Option<Curve>,
    /// Each round trip.
    pub(super) postgres: Visit,
    /// Whether calls share a connection.
    pub(super) shares: bool,
    pub(super) trips: f64,
    /// Transactions that write, and wait for the disk.
    pub(super) commits: f64,
    /// Bytes of WAL.
    pub(super) wal_bytes: f64,
}

/// What one kind of request costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Kind {
    pub(super) name: String,
    /// Of the gateway and the activator, each way of a call.
    pub(super) edge: Visit,
    /// Of the client, where it runs on the same machine.
    pub(super) client: Visit,
    /// The first is the function that the shopper calls.
    pub(super) calls: Vec<Price>,
    /// Time per round trip and call that is nobody's CPU time: the kernel wakes another process.
    pub(super) hop_us: f64,
}

/// All kinds, in the order of [`CALLS`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Prices {
    pub(super) kinds: Vec<Kind>,
    /// A flush of the log: the median, and single ones.
    pub(super) flush_us: f64,
    pub(super) flushes_us: Vec<f64>,
    pub(super) scheduler: Scheduler,
    /// How much more a hash costs whose process has no memory for it, and how far a hash is from its mean at most.
    pub(super) first_hash: f64,
    pub(super) hash_spread: f64,
    /// A start of an instance: until it is ready, and CPU time.
    pub(super) start_us: f64,
    pub(super) start_cpu_us: f64,
    /// How late a client of an open loop sends a request, because the kernel wakes it up late.
    pub(super) late_us: f64,
}

impl Prices {
    /// From the results of `bench-load`, and what was measured of the machine; starts take so long and so much CPU
    /// time, in milliseconds.
    ///
    /// # Errors
    ///
    /// When a part is missing: with its name.
    pub(super) fn from_results(
        results: &Results,
        probe: Option<&Probe>,
        start_ms: (f64, f64),
        cores: usize,
    ) -> Result<Self> {
        let cure = "measure it with `just bench-load` (all parts)";
        let costs = results
            .costs
            .as_ref()
            .with_context(|| format!("the results have no part `costs`: {cure}"))?;
        let single = &results.single;
        if single.iter().all(|alone| alone.now.wakes.is_empty()) {
            bail!("the results do not count how often processes are woken up: {cure}");
        }
        let late_us = probe.map_or(LATE_US, Probe::late_us);
        let kinds = CALLS.iter().map(|(name, ..)| {
            let missing = || format!("the results have no loop of {name}: {cure}");
            let busy = results.closed(name).with_context(missing)?;
            let alone = rates::quiet(results, name).with_context(missing)?;
            let late_us = if alone.rate.is_some() { late_us } else { 0.0 };
            let points = rates::points(results, name, cores);
            let both = (&alone.now, &busy.now);
            Kind::of(name, both, &points, costs, late_us).with_context(missing)
        });
        Ok(Self {
            kinds: kinds.collect::<Result<_>>()?,
            flush_us: costs.commit_ms * 1e3,
            flushes_us: costs.commits_ms.iter().map(|ms| ms * 1e3).collect(),
            scheduler: probe.map_or(Scheduler::LINUX, Probe::scheduler),
            first_hash: rates::first_hash(results).unwrap_or(FIRST_HASH),
            hash_spread: rates::hash_spread(results).unwrap_or(HASH_SPREAD),
            start_us: start_ms.0 * 1e3,
            start_cpu_us: start_ms.1 * 1e3,
            late_us,
        })
    }

    /// Of the kind with this name.
    pub(super) fn of(&self, name: &str) -> Option<&Kind> {
        self.kinds.iter().find(|kind| kind.name == name)
    }
}

impl Kind {
    fn of(
        name: &str,
        (alone, busy): (&Figures, &Figures),
        points: &[Point<'_>],
        costs: &Costs,
        late_us: f64,
    ) -> Option<Self> {
        let (_, outer, inner) = CALLS.iter().find(|(kind, ..)| *kind == name)?;
        let cost = costs.of(name)?;
        let functions: Vec<&str> = std::iter::once(*outer)
            .chain(inner.iter().copied())
            .collect();
        let domain = |function: &str| {
            let info = rpc::ALL.iter().find(|info| info.name == function)?;
            DOMAINS.iter().position(|domain| *domain == info.domain)
        };
        // `share`: of all visits of the place, those that are meant.
        let visit = |cpu_ms: &dyn Fn(&Figures) -> f64,
                     wakes: &dyn Fn(&Figures) -> f64,
                     visits: f64,
                     share: f64| {
            let rated = points.iter().map(|Point { figures, .. }| Rated {
                per_second: figures.per_second * visits / share,
                cpu_us: cpu_ms(figures) * 1e3,
                wakes: wakes(figures),
            });
            let rated: Vec<_> = rated.collect();
            Visit::each(cpu_ms(busy) * 1e3, &rated, visits)
        };
        let mut calls = Vec::new();
        let mut writers = Vec::new();
        for function in &functions {
            let at = domain(function)?;
            // What a domain costs is shared equally by its functions.
            let same = functions.iter().filter(|other| domain(other) == Some(at));
            let share = 1.0 / same.count() as f64;
            let trips = cost.trips.get(DOMAINS[at]).copied().unwrap_or_default();
            writers.push(
                rpc::ALL
                    .iter()
                    .any(|info| info.name == *function && info.writes),
            );
            let trips = (trips * share).max(1.0);
            let group = format!("postgres/{}", DOMAINS[at]);
            let get = |groups: &ByGroup, name: &str| groups.get(name).copied().unwrap_or_default();
            let sessions = |of: &Figures| get(&of.wakes, &group) * share;
            calls.push(Price {
                function: (*function).to_owned(),
                domain: at,
                own: visit(
                    &|of| get(&of.cpu_ms, function),
                    &|of| get(&of.wakes, function),
                    trips.round() + 1.0,
                    1.0,
                ),
                hash: HASHES.contains(function).then(|| {
                    let points = points.iter().map(|Point { busy, figures }| {
                        (*busy, get(&figures.cpu_ms, function) * 1e3)
                    });
                    Curve::through(&points.collect::<Vec<_>>())
                }),
                postgres: visit(
                    &|of| of_database(of, DOMAINS[at]) * share,
                    &|of| get(&of.wakes, &group) * share,
                    trips.round(),
                    share,
                ),
                // A session that serves one call at a time is woken up for each.
                shares: sessions(busy) < 0.6 * sessions(alone),
                trips,
                commits: 0.0,
                wal_bytes: 0.0,
            });
        }
        spread_commits(&mut calls, &writers, cost.commits, cost.wal_bytes);
        let mut kind = Self {
            name: name.to_owned(),
            edge: visit(
                &|of| of.cpu_of("engine"),
                &|of| coarse(&of.wakes).get("engine").copied().unwrap_or_default(),
                2.0 * functions.len() as f64,
                1.0,
            ),
            // It sends, and it reads the answer.
            client: visit(&|of| of.generator_ms, &|_| 2.0, 2.0, 1.0),
            calls,
            hop_us: 0.0,
        };
        let known_us = cost.commits * costs.commit_ms * 1e3 + late_us;
        kind.fit_to(alone, known_us);
        Some(kind)
    }

    /// One request on an idle machine takes as long as it did. What is neither CPU time nor known is spread over the
    /// waits of the request. If there is more CPU time than time, so much of it is after the request is handed on.
    fn fit_to(&mut self, alone: &Figures, known_us: f64) {
        let cpu_us = (alone.system_cpu_ms() + alone.generator_ms) * 1e3;
        let rest = alone.p50_ms * 1e3 - known_us - cpu_us;
        let waits = self.trips() + 2.0 * self.calls.len() as f64;
        self.hop_us = rest.max(0.0) / waits;
        let after = (-rest / cpu_us).clamp(0.0, MOST_AFTER);
        let calls = self.calls.iter_mut();
        let visits = calls.flat_map(|call| [&mut call.own, &mut call.postgres]);
        for visit in visits.chain([&mut self.edge, &mut self.client]) {
            visit.after = after;
        }
    }

    pub(super) fn trips(&self) -> f64 {
        self.calls.iter().map(|price| price.trips).sum()
    }
}

/// What a database costs: its sessions, and its share of what PostgreSQL's own processes do (the log,
/// checkpoints).
fn of_database(figures: &Figures, domain: &str) -> f64 {
    let of = |domain: &str| figures.cpu_ms.get(&format!("postgres/{domain}")).copied();
    let known: f64 = DOMAINS.iter().filter_map(|domain| of(domain)).sum();
    match of(domain) {
        Some(own) if known > 0.0 => own / known * figures.cpu_of("postgres"),
        _ => 0.0,
    }
}

/// Gives commits to the functions that write: one to each, and the rest to the first, which keeps the record of
/// what it does.
fn spread_commits(calls: &mut [Price], writers: &[bool], commits: f64, wal_bytes: f64) {
    let others = writers.iter().skip(1).filter(|writes| **writes).count() as f64;
    let first = writers.first().copied().unwrap_or_default();
    let total = if others > 0.0 || first { commits } else { 0.0 };
    let each = if others > 0.0 {
        (total / (others + f64::from(u8::from(first)))).min(1.0)
    } else {
        0.0
    };
    for (n, price) in calls.iter_mut().enumerate() {
        price.commits = match (n, writers[n]) {
            (0, true) => (total - each * others).max(0.0),
            (_, true) => each,
            (_, false) => 0.0,
        };
        let share = if total > 0.0 {
            price.commits / total
        } else {
            0.0
        };
        price.wal_bytes = wal_bytes * share;
    }
}

/// The shares of kinds in the mix of `bench-load`, in the order of [`CALLS`].
pub(super) fn mix() -> [f64; CALLS.len()] {
    CALLS.map(|(name, ..)| {
        let share = MIX.iter().find(|(kind, _)| *kind == name);
        share.map_or(0.0, |(_, share)| *share)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_go_to_those_that_write() {
        let mut calls = vec![Price::default(); 5];
        // create-order, get-cart, update-inventory, process-payment, clear-cart.
        let writers = [true, false, true, true, true];
        spread_commits(&mut calls, &writers, 9.0, 900.0);
        let commits: Vec<f64> = calls.iter().map(|price| price.commits).collect();
        assert_eq!(commits, [6.0, 0.0, 1.0, 1.0, 1.0]);
        assert_eq!(calls[0].wal_bytes, 600.0);
        // A reader that uses a transaction number now and then waits for nothing.
        let mut reader = vec![Price::default()];
        spread_commits(&mut reader, &[false], 0.1, 10.0);
        assert_eq!(reader[0].commits, 0.0);
    }

    #[test]
    fn a_visit_costs_its_share_and_more_if_it_wakes_up_a_thread() {
        let rated = |per_second, cpu_us, wakes| Rated {
            per_second,
            cpu_us,
            wakes,
        };
        // 2 visits, of 20 µs each on a full machine. When they are rare both wake up a thread, and when they are
        // frequent one of them.
        let points = [
            rated(100.0, 200.0, 3.5),
            rated(10_000.0, 70.0, 1.0),
            // Too seldom to tell.
            rated(50_000.0, 40.0, 0.1),
        ];
        let visit = Visit::each(40.0, &points, 2.0);
        assert_eq!(visit.next_us, 20.0);
        for (per_second, us) in [(1.0, 100.0), (1_000.0, 75.0), (1e4, 50.0), (1e6, 50.0)] {
            let at = visit.woken.at(pace(per_second));
            assert!((at - us).abs() < 1e-9, "{per_second}: {at}");
        }
        // Nobody is cheaper for having slept.
        let visit = Visit::each(40.0, &[rated(100.0, 30.0, 2.0)], 2.0);
        assert_eq!(visit, Visit::new(20.0));
        assert_eq!(Visit::each(40.0, &[], 2.0), Visit::new(20.0));
    }

    #[test]
    fn a_request_on_an_idle_machine_takes_as_long_as_it_did() {
        let call = Price {
            trips: 1.0,
            ..Price::default()
        };
        let mut kind = Kind {
            calls: vec![call],
            ..Kind::default()
        };
        let alone = |p50_ms| Figures {
            p50_ms,
            ..rates::tests::measured(None, 10.0, 0.5, 1.0).now
        };
        // 0.5 ms of CPU time, and 0.1 ms that are known.
        kind.fit_to(&alone(0.9), 100.0);
        assert!((kind.hop_us - 100.0).abs() < 1e-9 && kind.edge.after == 0.0);
        kind.fit_to(&alone(0.5), 100.0);
        assert!(kind.hop_us == 0.0 && (kind.edge.after - 0.2).abs() < 1e-9);
        assert!((kind.calls[0].own.after - 0.2).abs() < 1e-9);
    }

    #[test]
    fn every_call_is_a_function() {
        for (_, outer, inner) in CALLS {
            for function in std::iter::once(&outer).chain(inner) {
                assert!(
                    rpc::ALL.iter().any(|info| info.name == *function),
                    "{function}"
                );
            }
        }
        assert!((mix().iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }
}
