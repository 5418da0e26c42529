//! The parts of the measurement. Each round asks everything once, in a shuffled order.

use std::time::{Duration, Instant};

use anyhow::Result;
use rand::{rngs::StdRng, seq::SliceRandom};
use tokio::time::sleep;
use zerocart_proto::rpc::{self, Rpc};

use super::{
    CHAIN,
    client::{Asked, Place, ask, ask_all, now_ns},
    engine::{EMPTY, Engine, Expected, Told},
    record::{Ended, Failure, LAST, Part, Results, Sample, round},
    shop::{Shop, starts, wake},
    tables::WAYS,
};
use crate::cases::Case;

/// Asked with and without the gateway, and after a time at zero.
const COMPARED: [&str; 2] = [EMPTY, rpc::GetProduct::INFO.name];

/// How often functions are ended before a request is given up.
const TRIES: u32 = 5;

/// How often the same request is sent, before it is given up that its functions start for it.
const REPEATS: u32 = 5;

/// Why a request is given up.
const STARTED_BEFORE: &str = "not measured: each time a function had started before the request, or another number of them started than it needs";

/// When a part must end: no further round begins then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) at: Instant,
    pub(super) seconds: u64,
}

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
        limit: Limit,
    ) -> Result<()> {
        let mut all: Vec<_> = functions.iter().copied().chain([EMPTY]).collect();
        self.fill(functions.contains(&CHAIN[0]), rounds + 1)?;
        for n in 0..=rounds {
            if !self.begins(Part::Single, n, rounds, limit) {
                break;
            }
            self.engine.to_zero().await?;
            all.shuffle(&mut self.rng);
            if !self.engine.ends_each() {
                // What a function calls is not at zero after it.
                all.sort_by_key(|name| starts(name).len());
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
    pub(super) async fn gateway(&mut self, rounds: u32, limit: Limit) -> Result<()> {
        let mut ways = Vec::new();
        for function in COMPARED {
            // Where the gateway does not know a function, there is nothing to compare.
            if let Some(gateway) = self.engine.gateway(function) {
                ways.push((function, WAYS[0], gateway));
                ways.push((function, WAYS[1], self.engine.direct(function)));
            }
        }
        for n in 0..=rounds {
            if ways.is_empty() || !self.begins(Part::Gateway, n, rounds, limit) {
                break;
            }
            ways.shuffle(&mut self.rng);
            for (function, way, place) in ways.clone() {
                self.engine.to_zero().await?;
                let name = format!("{function}{way}");
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
        limit: Limit,
    ) -> Result<()> {
        // A request for which several functions start would count as more than one.
        let alone = functions.iter().copied();
        let alone = alone.filter(|name| starts(name).len() == 1);
        let mut alone: Vec<_> = alone.chain([EMPTY]).collect();
        for n in 0..=rounds {
            if !self.begins(Part::Burst, n, rounds, limit) {
                break;
            }
            for count in at_once {
                let count = (*count).min(alone.len());
                alone.shuffle(&mut self.rng);
                self.at_once(&alone[..count], n).await?;
            }
        }
        Ok(())
    }

    /// These functions at the same time. If one of them had started before, the others had its share of the cores, so
    /// all are asked again.
    async fn at_once(&mut self, names: &[&str], n: u32) -> Result<()> {
        let name = format!("{} at once, each", names.len());
        for _ in 0..REPEATS {
            self.engine.to_zero().await?;
            let mut requests = Vec::new();
            for name in names {
                requests.push((self.engine.direct(name), self.shop.case(name)?));
            }
            if !self.proved(Part::Burst, &name, names, n).await? {
                return Ok(());
            }
            let asked = tokio::task::spawn_blocking(move || ask_all(requests)).await?;
            let mut all = Vec::new();
            for (name, asked) in names.iter().zip(asked) {
                let told = self.told(name, &asked, (1, false), n).await?;
                all.push((*name, asked, told));
            }
            if all.iter().any(|(.., told)| self.is_warm(told, 1)) {
                self.results.repeated += count(names);
                continue;
            }
            let last = all.iter().map(|(_, asked, _)| asked.took_ms);
            let last = last.fold(0.0, f64::max);
            let failed = all.iter().any(|(_, asked, _)| asked.answer.is_err());
            for (function, asked, told) in all {
                let sample = self.keep(Part::Burst, &name, "", &asked, n);
                if let Some(sample) = sample {
                    function.clone_into(&mut sample.function);
                    sample.tell(told);
                }
            }
            if n > 0 && !failed && names.len() > 1 {
                let series = format!("{} at once{LAST}", names.len());
                let series = self.results.series(Part::Burst, &series);
                series.samples.push(Sample {
                    round: n,
                    ms: round(last),
                    started: names.len(),
                    ..Sample::default()
                });
            }
            return Ok(());
        }
        self.give_up(Part::Burst, &name, n);
        Ok(())
    }

    /// The first order: as it is, and after its functions were started together, or one after another.
    pub(super) async fn chain(&mut self, rounds: u32, limit: Limit) -> Result<()> {
        const ORDERS: [&str; 3] = [
            "the order alone",
            "started together, then the order",
            "started one after another, then the order",
        ];
        self.fill(true, ORDERS.len() as u32 * (rounds + 1))?;
        let mut ways = ORDERS;
        for n in 0..=rounds {
            if !self.begins(Part::Chain, n, rounds, limit) {
                break;
            }
            ways.shuffle(&mut self.rng);
            for way in ways {
                let kind = ORDERS.iter().position(|known| *known == way).unwrap_or(0);
                self.order(way, kind, n).await?;
            }
        }
        Ok(())
    }

    /// An order. Before it, within its time, nothing is started (0), or all its functions are: together (1), or one
    /// after another (2).
    async fn order(&mut self, way: &str, kind: usize, n: u32) -> Result<()> {
        for _ in 0..REPEATS {
            self.engine.to_zero().await?;
            let case = self.shop.order()?;
            let places: Vec<_> = CHAIN.iter().map(|name| self.engine.direct(name)).collect();
            if !self.proved(Part::Chain, way, &CHAIN, n).await? {
                return Ok(());
            }
            let asked = tokio::task::spawn_blocking(move || {
                let (from_ns, began) = (now_ns(), Instant::now());
                let woken = match kind {
                    0 => Ok(()),
                    1 => {
                        let health = Case::get("/health");
                        let all = places.iter().map(|place| (place.clone(), health.clone()));
                        let mut all = ask_all(all.collect()).into_iter();
                        all.try_for_each(|asked| asked.answer.map(drop))
                    }
                    _ => places.iter().try_for_each(wake),
                };
                let mut asked = ask(&places[0], &case);
                asked.from_ns = from_ns;
                asked.took_ms = began.elapsed().as_secs_f64() * 1e3;
                asked.answer = woken.and(asked.answer);
                asked
            });
            let asked = asked.await?;
            let told = self
                .told(CHAIN[0], &asked, (CHAIN.len(), kind > 0), n)
                .await?;
            if self.is_warm(&told, CHAIN.len()) {
                self.results.repeated += 1;
                continue;
            }
            if let Some(sample) = self.keep(Part::Chain, way, "", &asked, n) {
                sample.tell(told);
            }
            return Ok(());
        }
        self.give_up(Part::Chain, way, n);
        Ok(())
    }

    /// After functions have been at zero for some time.
    pub(super) async fn idle(&mut self, seconds: &[u32], rounds: u32, limit: Limit) -> Result<()> {
        let mut times = seconds.to_vec();
        for n in 0..=rounds {
            if !self.begins(Part::Idle, n, rounds, limit) {
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

    /// One request to a function at zero, as are those that it calls. Another function may run, unless the engine can
    /// end it soon.
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
        let all = starts(function);
        for _ in 0..REPEATS {
            if !self.proved(part, name, &all, n).await? {
                return Ok(());
            }
            let case = self.shop.case(function)?;
            let (to, request) = (place.clone(), case.clone());
            let asked = tokio::task::spawn_blocking(move || ask(&to, &request)).await?;
            let told = self.told(function, &asked, (all.len(), false), n).await?;
            if self.engine.ends_each() && part != Part::Idle {
                self.engine.to_zero().await?;
            }
            if self.is_warm(&told, all.len()) {
                self.results.repeated += 1;
                self.engine.to_zero().await?;
                continue;
            }
            if let Some(sample) = self.keep(part, name, &case.note, &asked, n) {
                sample.tell(told);
            }
            return Ok(());
        }
        self.give_up(part, name, n);
        Ok(())
    }

    /// What the trace of an answer says. `woken`: see [`Expected`].
    async fn told(
        &self,
        function: &str,
        asked: &Asked,
        (starts, woken): (usize, bool),
        n: u32,
    ) -> Result<Told> {
        match &asked.answer {
            Ok(_) if n > 0 => {
                let expected = Expected { starts, woken };
                self.engine.told(function, asked, expected).await
            }
            _ => Ok(Told::default()),
        }
    }

    /// Whether a function had started before the request, so that this is no start from zero. Without a trace it is
    /// not known.
    fn is_warm(&self, told: &Told, starts: usize) -> bool {
        let others = self.engine.counts_starts() && told.started > 0 && told.started != starts;
        told.early || others
    }

    /// Counts a request that could not be measured.
    fn give_up(&mut self, part: Part, name: &str, n: u32) {
        self.results.series(part, name).failures.push(Failure {
            round: n,
            after_ms: 0.0,
            why: STARTED_BEFORE.to_owned(),
        });
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

    /// Keeps a request, unless it is one of the first round; gives what is kept of an answer. A failure is always
    /// kept.
    fn keep(
        &mut self,
        part: Part,
        name: &str,
        note: &str,
        asked: &Asked,
        n: u32,
    ) -> Option<&mut Sample> {
        let series = self.results.series(part, name);
        if series.note.is_empty() {
            series.note = note.to_owned();
        }
        match &asked.answer {
            Ok(_) if n > 0 => {
                series.samples.push(Sample {
                    round: n,
                    ms: round(asked.took_ms),
                    ..Sample::default()
                });
                series.samples.last_mut()
            }
            Ok(_) => None,
            Err(error) => {
                eprintln!("\n{name}: {error:#}");
                series.failures.push(Failure {
                    round: n,
                    after_ms: round(asked.took_ms),
                    why: format!("{error:#}"),
                });
                None
            }
        }
    }

    /// Whether a round begins; tells it, and notes it if the limit ends the part.
    fn begins(&mut self, part: Part, n: u32, rounds: u32, limit: Limit) -> bool {
        let begins = Instant::now() < limit.at;
        if begins {
            eprint!("\r{part:?}: round {n} of {rounds}  ");
        } else {
            self.results.ended.push(Ended {
                part,
                limit_s: limit.seconds,
                // The first one warms the machine.
                rounds: n.saturating_sub(1),
                of: rounds,
            });
        }
        if !begins || n == rounds {
            eprintln!();
        }
        begins
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

fn count(names: &[&str]) -> u32 {
    u32::try_from(names.len()).unwrap_or(u32::MAX)
}
