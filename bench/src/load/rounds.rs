//! Rounds of one load: of both builds in turn.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{
    client::Job,
    drive::{self, Seen, Until},
    engine::Engine,
    figures::{Figures, Measured, Ratio, Used},
    work::Shop,
};
use crate::cpu::Snapshot;

/// How many orders a round has at first; later rounds have as many as fit into their time.
const FIRST_JOBS: usize = 60;

/// The most jobs that are prepared for a round.
const MAX_JOBS: usize = 4_000;

/// A build.
pub(crate) struct Side {
    pub(crate) engine: Engine,
    pub(crate) shop: Shop,
}

/// One or two builds, and how long each load is.
pub(super) struct Bench {
    pub(super) sides: Vec<Side>,
    pub(super) rounds: u32,
    pub(super) round: Duration,
    pub(super) seed: u64,
}

/// A load.
#[derive(Clone, Copy, Debug)]
pub(super) enum Load {
    Closed { buyers: usize, until: Until },
    Open { rate: f64, connections: usize },
}

impl Load {
    /// A closed loop of this kind of request. A cart is ordered once, so such jobs are counted, not timed.
    pub(super) fn closed(buyers: usize, kind: &str) -> Self {
        let until = match used_up(kind) {
            true => Until::Done,
            false => Until::Time(Duration::ZERO),
        };
        Self::Closed { buyers, until }
    }
}

/// Whether a request of this kind can be sent once only.
fn used_up(kind: &str) -> bool {
    matches!(kind, "order" | "cart" | "mix")
}

/// The rounds of a build.
#[derive(Default)]
struct Rounds {
    seen: Option<Seen>,
    used: Used,
    per_second: Vec<f64>,
    cpu_ms: Vec<f64>,
}

impl Bench {
    /// Measures requests of one kind.
    pub(super) async fn measure(&self, name: &str, load: Load, kind: &str) -> Result<Measured> {
        // Enough for a round at the speed of the round before.
        let wanted = std::cell::RefCell::new(vec![FIRST_JOBS; self.sides.len()]);
        let jobs = |n: usize, _: usize| {
            let Side { engine, shop } = &self.sides[n];
            let count = match load {
                Load::Open { rate, .. } => {
                    // Arrivals are random: more than their mean.
                    let mean = rate * self.round.as_secs_f64();
                    (mean + 5.0 * mean.sqrt() + 5.0) as usize
                }
                Load::Closed { .. } => wanted.borrow()[n],
            };
            match kind {
                "product" => Ok(shop.product()),
                "product-grpc" => Ok(shop.product_grpc()),
                "list" => Ok(shop.list()),
                "sign-in" => Ok(shop.sign_in()),
                "cart" => shop.add_to_cart(engine, count),
                "order" => shop.orders(engine, count, 1, &shop.products),
                _ => shop.mix(engine, count, self.seed),
            }
        };
        let after = |n: usize, per_second: f64| {
            let count = per_second * self.round.as_secs_f64();
            wanted.borrow_mut()[n] = (count as usize).clamp(FIRST_JOBS / 2, MAX_JOBS);
        };
        self.rounds_of(name, load, jobs, after).await
    }

    /// Measures these jobs: those of a build, and a round. Round 0 warms up and is not counted.
    pub(super) async fn measure_jobs(
        &self,
        name: &str,
        load: Load,
        jobs: impl Fn(usize, usize) -> Result<Vec<Job>>,
    ) -> Result<Measured> {
        self.rounds_of(name, load, jobs, |_, _| {}).await
    }

    async fn rounds_of(
        &self,
        name: &str,
        load: Load,
        jobs: impl Fn(usize, usize) -> Result<Vec<Job>>,
        after: impl Fn(usize, f64),
    ) -> Result<Measured> {
        let mut all: Vec<Rounds> = self.sides.iter().map(|_| Rounds::default()).collect();
        for round in 0..=self.rounds as usize {
            let mut order: Vec<usize> = (0..self.sides.len()).collect();
            // A B, B A, A B, …
            if round % 2 == 1 {
                order.reverse();
            }
            for n in order {
                let side = &self.sides[n];
                let what = || format!("{name} ({})", side.engine.name);
                let jobs = jobs(n, round).with_context(what)?;
                let (seen, used) = self
                    .one(&side.engine, load, &jobs, round)
                    .await
                    .with_context(what)?;
                after(n, seen.requests as f64 / seen.seconds);
                if round > 0 {
                    all[n].add(seen, &used)?;
                }
            }
        }
        let mut all = all.into_iter();
        let now = all.next().context("no build")?;
        let before = all.next();
        let ratio = |of: fn(&Rounds) -> &[f64]| {
            let before = before.as_ref()?;
            Ratio::of(of(&now), of(before))
        };
        let (rate, buyers, text) = match load {
            Load::Closed { buyers: 1, .. } => (None, 1, "one at a time".to_owned()),
            Load::Closed { buyers, .. } => (None, buyers, format!("{buyers} buyers")),
            Load::Open { rate, connections } => (Some(rate), connections, format!("{rate}/s")),
        };
        Ok(Measured {
            name: name.to_owned(),
            load: text,
            rate,
            buyers,
            throughput_ratio: match load {
                Load::Closed { .. } => ratio(|rounds| &rounds.per_second),
                // It is the rate that was asked for.
                Load::Open { .. } => None,
            },
            cpu_ratio: ratio(|rounds| &rounds.cpu_ms),
            now: now.figures()?,
            before: before.as_ref().map(Rounds::figures).transpose()?,
        })
    }

    /// One round.
    async fn one(
        &self,
        engine: &Engine,
        load: Load,
        jobs: &[Job],
        round: usize,
    ) -> Result<(Seen, Used)> {
        let own = std::process::id();
        let (counters, cpu, generator) = (
            engine.counters().await?,
            engine.cpu()?,
            Snapshot::of_one(own),
        );
        let address = engine.address;
        let seen = match load {
            Load::Closed { buyers, until } => {
                let until = match until {
                    Until::Time(_) => Until::Time(self.round),
                    Until::Done => Until::Done,
                };
                drive::closed(address, buyers, jobs, until)?
            }
            Load::Open { rate, connections } => {
                let seed = self.seed.wrapping_add(round as u64);
                drive::open(address, connections, jobs, (rate, self.round), seed)?
            }
        };
        let now = engine.cpu()?;
        let (cpu, wakes) = (now.since(&cpu), now.wakes_since(&cpu));
        let generator = Snapshot::of_one(own).since(&generator).values().sum();
        let after = engine.counters().await?;
        let used = Used {
            cpu_ms: cpu,
            wakes,
            generator_ms: generator,
            commits: (after.transactions - counters.transactions) as f64,
            wal_bytes: (after.wal_bytes - counters.wal_bytes) as f64,
        };
        Ok((seen, used))
    }
}

impl Rounds {
    fn add(&mut self, seen: Seen, used: &Used) -> Result<()> {
        let figures = Figures::new(&seen, used);
        self.per_second.push(figures.per_second);
        self.cpu_ms.push(figures.system_cpu_ms());
        self.used.add(used);
        match &mut self.seen {
            Some(sum) => sum.add(&seen)?,
            empty => *empty = Some(seen),
        }
        Ok(())
    }

    fn figures(&self) -> Result<Figures> {
        let seen = self.seen.as_ref().context("no round was counted")?;
        Ok(Figures::new(seen, &self.used))
    }
}
