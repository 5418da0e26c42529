//! The parts of the measurement. Each round asks everything once, in a shuffled order.

use std::time::{Duration, Instant};

use anyhow::Result;
use rand::{rngs::StdRng, seq::SliceRandom};
use tokio::time::sleep;
use zerocart_proto::rpc::{self, Rpc};

use super::{
    CHAIN,
    client::{Asked, Place, ask, ask_all},
    engine::{EMPTY, Engine, Told},
    record::{Failure, Part, Results, Sample, round},
    shop::{Shop, wake},
};
use crate::cases::Case;

/// Asked with and without the gateway, and after a time at zero.
const COMPARED: [&str; 2] = [EMPTY, rpc::GetProduct::INFO.name];

/// How often functions are ended before a request is given up.
const TRIES: u32 = 5;

/// A measurement that goes on.
pub(super) struct Rounds<'a> {
    pub(super) engine: &'a Engine,
    pub(super) shop: Shop,
    pub(super) rng: StdRng,
    pub(super) results: Results,
}

impl Rounds<'_> {
    /// Each function, and the empty one. The first round warms the machine, and is not counted.
    pub(super) async fn single(
        &mut self,
        functions: &[&str],
        rounds: u32,
        deadline: Instant,
    ) -> Result<()> {
        let mut all: Vec<_> = functions.iter().copied().chain([EMPTY]).collect();
        self.fill(functions.contains(&CHAIN[0]), rounds + 1)?;
        for n in 0..=rounds {
            if !begins("single", n, rounds, deadline) {
                break;
            }
            self.engine.to_zero().await?;
            all.shuffle(&mut self.rng);
            if !self.engine.ends_each() {
                // What a function calls is not at zero after it.
                all.sort_by_key(|name| !calls(name).is_empty());
            }
            for function in all.clone() {
                let place = self.engine.direct(function);
                self.one(Part::Single, function, (function, &place), n)
                    .await?;
            }
        }
        Ok(())
    }

    /// The same request with the gateway and without it.
    pub(super) async fn gateway(&mut self, rounds: u32, deadline: Instant) -> Result<()> {
        let mut ways = Vec::new();
        for function in COMPARED {
            // Where the gateway does not know a function, there is nothing to compare.
            if let Some(gateway) = self.engine.gateway(function) {
                ways.push((function, "with the gateway", gateway));
                ways.push((function, "without", self.engine.direct(function)));
            }
        }
        for n in 0..=rounds {
            if ways.is_empty() || !begins("gateway", n, rounds, deadline) {
                break;
            }
            ways.shuffle(&mut self.rng);
            for (function, way, place) in ways.clone() {
                self.engine.to_zero().await?;
                let name = format!("{function}, {way}");
                self.one(Part::Gateway, &name, (function, &place), n)
                    .await?;
            }
        }
        Ok(())
    }

    /// Several functions at the same time, others in each round.
    pub(super) async fn burst(
        &mut self,
        functions: &[&str],
        at_once: &[usize],
        rounds: u32,
        deadline: Instant,
    ) -> Result<()> {
        // A function that calls others would be more than one.
        let alone = functions
            .iter()
            .copied()
            .filter(|name| calls(name).is_empty());
        let mut alone: Vec<_> = alone.chain([EMPTY]).collect();
        for n in 0..=rounds {
            if !begins("burst", n, rounds, deadline) {
                break;
            }
            for count in at_once {
                let count = (*count).min(alone.len());
                self.engine.to_zero().await?;
                alone.shuffle(&mut self.rng);
                let names = alone[..count].to_vec();
                let mut requests = Vec::new();
                for name in &names {
                    requests.push((self.engine.direct(name), self.shop.case(name)?));
                }
                if !self.proved(Part::Burst, "at zero", &names, n).await? {
                    continue;
                }
                let asked = tokio::task::spawn_blocking(move || ask_all(requests)).await?;
                let last = asked.iter().map(|asked| asked.took_ms).fold(0.0, f64::max);
                let failed = asked.iter().any(|asked| asked.answer.is_err());
                for one in &asked {
                    self.keep(Part::Burst, &format!("{count} at once, each"), "", one, n);
                }
                if n > 0 && !failed {
                    let series = self
                        .results
                        .series(Part::Burst, &format!("{count} at once, the last"));
                    series.samples.push(Sample {
                        round: n,
                        ms: round(last),
                        started: count,
                        ..Sample::default()
                    });
                }
            }
        }
        Ok(())
    }

    /// The first order: as it is, and after its functions were started together, or one after another.
    pub(super) async fn chain(&mut self, rounds: u32, deadline: Instant) -> Result<()> {
        const WAYS: [&str; 3] = [
            "the order alone",
            "started together, then the order",
            "started one after another, then the order",
        ];
        self.fill(true, WAYS.len() as u32 * (rounds + 1))?;
        let mut ways = WAYS;
        for n in 0..=rounds {
            if !begins("chain", n, rounds, deadline) {
                break;
            }
            ways.shuffle(&mut self.rng);
            for way in ways {
                self.engine.to_zero().await?;
                let case = self.shop.order()?;
                let places: Vec<_> = CHAIN.iter().map(|name| self.engine.direct(name)).collect();
                if !self.proved(Part::Chain, way, &CHAIN, n).await? {
                    continue;
                }
                let asked = tokio::task::spawn_blocking(move || {
                    let began = Instant::now();
                    let woken = match way {
                        way if way == WAYS[0] => Ok(()),
                        way if way == WAYS[1] => {
                            let health = Case::get("/health");
                            let all = places.iter().map(|place| (place.clone(), health.clone()));
                            let mut all = ask_all(all.collect()).into_iter();
                            all.try_for_each(|asked| asked.answer.map(drop))
                        }
                        _ => places.iter().try_for_each(wake),
                    };
                    let mut asked = ask(&places[0], &case);
                    asked.took_ms = began.elapsed().as_secs_f64() * 1e3;
                    asked.answer = woken.and(asked.answer);
                    asked
                });
                let asked = asked.await?;
                self.keep(Part::Chain, way, "", &asked, n);
            }
        }
        Ok(())
    }

    /// After functions have been at zero for some time.
    pub(super) async fn idle(
        &mut self,
        seconds: &[u32],
        rounds: u32,
        deadline: Instant,
    ) -> Result<()> {
        let mut times = seconds.to_vec();
        for n in 0..=rounds {
            if !begins("idle", n, rounds, deadline) {
                break;
            }
            times.shuffle(&mut self.rng);
            for seconds in times.clone() {
                self.engine.rest().await?;
                sleep(Duration::from_secs(seconds.into())).await;
                let mut functions = COMPARED;
                functions.shuffle(&mut self.rng);
                for function in functions {
                    let place = self.engine.direct(function);
                    let name = format!("{function}, {seconds} s");
                    self.one(Part::Idle, &name, (function, &place), n).await?;
                }
            }
        }
        Ok(())
    }

    /// One request to a function at zero. Another function may run, unless the engine can end it soon.
    ///
    /// An engine may replace an instance that was ended, between the proof of zero and the request. The trace shows
    /// it. Such a request is no cold start from zero: it is left out, and repeated.
    async fn one(
        &mut self,
        part: Part,
        name: &str,
        (function, place): (&str, &Place),
        n: u32,
    ) -> Result<()> {
        for _ in 0..TRIES {
            if !self.proved(part, name, &[function], n).await? {
                return Ok(());
            }
            let case = self.shop.case(function)?;
            let (to, request) = (place.clone(), case.clone());
            let asked = tokio::task::spawn_blocking(move || ask(&to, &request)).await?;
            let told = match &asked.answer {
                Ok(_) if n > 0 => self.engine.told(function, &asked).await?,
                _ => Told::default(),
            };
            if self.engine.ends_each() && part != Part::Idle {
                self.engine.to_zero().await?;
            }
            if told.early {
                self.results.repeated += 1;
                self.engine.to_zero().await?;
                continue;
            }
            self.keep(part, name, &case.note, &asked, n);
            if n > 0
                && asked.answer.is_ok()
                && let Some(sample) = self.results.series(part, name).samples.last_mut()
            {
                sample.started = told.started;
                *sample = std::mem::take(sample).with_phases(told.phases);
            }
            return Ok(());
        }
        Ok(())
    }

    /// Whether these functions are at zero. An engine may replace one that was ended, so it is tried again. If they
    /// do not stay at zero, that is a failure of the measurement, and counted.
    async fn proved(&mut self, part: Part, name: &str, functions: &[&str], n: u32) -> Result<bool> {
        for _ in 0..TRIES {
            if self.engine.are_at_zero(functions).await? {
                self.results.zeros += u32::from(n > 0);
                return Ok(true);
            }
            self.engine.to_zero().await?;
        }
        self.results.series(part, name).failures.push(Failure {
            round: n,
            after_ms: 0.0,
            why: "not asked: a process or pod of it was there".to_owned(),
        });
        Ok(false)
    }

    /// Keeps a request, unless it is one of the first round. A failure is always kept.
    fn keep(&mut self, part: Part, name: &str, note: &str, asked: &Asked, n: u32) {
        let series = self.results.series(part, name);
        if series.note.is_empty() {
            series.note = note.to_owned();
        }
        match &asked.answer {
            Ok(_) if n > 0 => series.samples.push(Sample {
                round: n,
                ms: round(asked.took_ms),
                ..Sample::default()
            }),
            Ok(_) => {}
            Err(error) => {
                eprintln!("\n{name}: {error:#}");
                series.failures.push(Failure {
                    round: n,
                    after_ms: round(asked.took_ms),
                    why: format!("{error:#}"),
                });
            }
        }
    }

    /// Customers with carts, for so many orders.
    fn fill(&mut self, orders: bool, count: u32) -> Result<()> {
        if orders {
            // Some orders are repeated.
            let count = count + count / 10 + 5;
            eprintln!("filling {count} carts");
            self.shop.fill(self.engine, count as usize)?;
        }
        Ok(())
    }
}

/// The functions that a function calls.
pub(super) fn calls(function: &str) -> &'static [&'static str] {
    let info = rpc::ALL.iter().find(|info| info.name == function);
    info.map_or(&[], |info| info.calls)
}

/// Whether a round begins; tells it.
fn begins(part: &str, n: u32, rounds: u32, deadline: Instant) -> bool {
    let begins = Instant::now() < deadline;
    if begins {
        eprint!("\r{part}: round {n} of {rounds}  ");
    }
    if !begins || n == rounds {
        eprintln!();
    }
    begins
}
