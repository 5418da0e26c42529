//! An open loop of the mix, with the latencies of each kind of request.

use std::{collections::BTreeMap, thread, time::Duration};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{
    drive::{self, Seen},
    rounds::Bench,
    work::MIX,
};
use crate::{
    cpu::{self, Snapshot},
    stats::median,
};

/// Rounds, of which the medians count, and the time of each. The first warms up.
const ROUNDS: u64 = 8;
const ROUND: Duration = Duration::from_secs(2);

/// Connections of each kind of request.
const CONNECTIONS: usize = 16;

/// What the mix at one rate was like: medians of rounds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Mixed {
    pub(crate) rate: f64,
    pub(crate) per_second: f64,
    /// Of all kinds, in milliseconds: that of the system, and that of the program that sends.
    pub(crate) cpu_ms: f64,
    pub(crate) generator_ms: f64,
    /// CPU time per request of the machine that is none of both: the kernel, and others on it.
    pub(crate) other_ms: f64,
    /// CPU time per request of system and generator together, of each round.
    #[serde(default)]
    pub(crate) rounds_cpu_ms: Vec<f64>,
    pub(crate) kinds: BTreeMap<String, Latency>,
}

/// Of one kind, in milliseconds: medians of rounds, and the rounds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50_ms: f64,
    pub(crate) p90_ms: f64,
    #[serde(default)]
    pub(crate) rounds_p50_ms: Vec<f64>,
    #[serde(default)]
    pub(crate) rounds_p90_ms: Vec<f64>,
}

impl Latency {
    /// Of rounds, each with what it has seen.
    pub(super) fn of<'a>(rounds: impl Iterator<Item = &'a Seen>) -> Self {
        let (mut p50, mut p90) = (Vec::new(), Vec::new());
        for seen in rounds {
            p50.push(seen.ms(0.5));
            p90.push(seen.ms(0.9));
        }
        Self {
            p50_ms: median(&p50),
            p90_ms: median(&p90),
            rounds_p50_ms: p50,
            rounds_p90_ms: p90,
        }
    }
}

/// One round.
struct Round {
    seen: Vec<Seen>,
    requests: f64,
    seconds: f64,
    cpu_ms: f64,
    generator_ms: f64,
    machine_ms: f64,
}

/// Measures the mix at a rate. Each kind is a Poisson process of its own, so all together are one.
///
/// # Errors
///
/// When a request fails.
pub(super) async fn measure(bench: &Bench, rate: f64) -> Result<Mixed> {
    let mut rounds = Vec::new();
    for n in 0..ROUNDS {
        rounds.push(one(
            bench,
            rate,
            bench.seed.wrapping_add(n * MIX.len() as u64),
        )?);
    }
    rounds.remove(0);
    let of = |value: &dyn Fn(&Round) -> f64| {
        let values: Vec<f64> = rounds.iter().map(value).collect();
        median(&values)
    };
    let kinds = MIX.iter().enumerate().map(|(n, (kind, _))| {
        let latency = Latency::of(rounds.iter().map(|round| &round.seen[n]));
        ((*kind).to_owned(), latency)
    });
    Ok(Mixed {
        rate,
        per_second: of(&|round| round.requests / round.seconds),
        cpu_ms: of(&|round| round.cpu_ms / round.requests),
        generator_ms: of(&|round| round.generator_ms / round.requests),
        other_ms: of(&|round| {
            (round.machine_ms - round.cpu_ms - round.generator_ms) / round.requests
        }),
        rounds_cpu_ms: rounds
            .iter()
            .map(|round| (round.cpu_ms + round.generator_ms) / round.requests)
            .collect(),
        kinds: kinds.collect(),
    })
}

fn one(bench: &Bench, rate: f64, seed: u64) -> Result<Round> {
    let side = bench.sides.first().context("no build")?;
    let (engine, shop) = (&side.engine, &side.shop);
    let mut jobs = Vec::new();
    for (kind, share) in MIX {
        let mean = rate * share * ROUND.as_secs_f64();
        // Arrivals are random: more than their mean.
        let count = (mean + 5.0 * mean.sqrt() + 5.0) as usize;
        jobs.push(match kind {
            "product" => shop.product(),
            "list" => shop.list(),
            "cart" => shop.add_to_cart(engine, count)?,
            "order" => shop.orders(engine, count, 1, &shop.products)?,
            _ => shop.sign_in(),
        });
    }
    let own = std::process::id();
    let before = (engine.cpu()?, Snapshot::of_one(own), cpu::of_machine());
    let seen: Result<Vec<Seen>> = thread::scope(|scope| {
        let loops = MIX.iter().zip(&jobs).enumerate();
        let threads: Vec<_> = loops
            .map(|(n, ((_, share), jobs))| {
                let load = (rate * share, ROUND);
                let seed = seed.wrapping_add(n as u64);
                scope.spawn(move || drive::open(shop.address, CONNECTIONS, jobs, load, seed))
            })
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Result<Seen>>| {
            thread.join().unwrap_or_else(|_| bail!("a loop panicked"))
        };
        threads.into_iter().map(join).collect()
    });
    let seen = seen?;
    if let Some(error) = seen.iter().find_map(|seen| seen.first_error.as_ref()) {
        bail!("a request of the mix failed: {error}");
    }
    let machine_ms = cpu::of_machine() - before.2;
    Ok(Round {
        requests: seen.iter().map(|seen| seen.requests as f64).sum(),
        seconds: seen.iter().map(|seen| seen.seconds).fold(0.0, f64::max),
        cpu_ms: engine.cpu()?.since(&before.0).values().sum(),
        generator_ms: Snapshot::of_one(own).since(&before.1).values().sum(),
        machine_ms,
        seen,
    })
}
