//! Whether the simulation can be believed: a small load is measured and simulated.
//!
//! The costs are those of loops of single kinds of requests. Products beside sign-ins give the rules of the scheduler.
//! What is compared are other loads, which gave neither: the mix of all kinds, of 16 buyers and in open loops at two
//! rates, by other random numbers. All of it, the clients too, runs on the machine that measures, so that machine is simulated.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{
    cores::Scheduler,
    outcome::Outcome,
    prices::{Prices, mix},
    probe::{self, Probe},
    rates::price_table,
    report::difference,
    scenarios::{Scenario, one_machine},
    shoppers::{Behaviour, Pattern, Shoppers},
};
use crate::{
    binaries::workspace_root,
    load::{self, BUYERS},
    results::{Output, Run},
};

/// The name of its files.
const NAME: &str = "validate";

const TITLE: &str = "The simulation beside a measurement";

/// The largest difference that is good.
const LIMIT: f64 = 0.2;

/// Seconds of each simulation: enough that cold starts do not count.
const SECONDS: u64 = 120;

/// Seconds of each simulation that the scheduler is fitted with.
const FIT_SECONDS: u64 = 30;

/// All that was measured, from which it can be simulated again.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Raw {
    loads: load::Results,
    probe: Probe,
}

impl Raw {
    /// The prices, and the rules of the scheduler with which products and sign-ins beside each other are most like
    /// those that were measured: how often a thread that wakes up runs before another, and how often the kernel moves
    /// one that waits, depends on the load.
    ///
    /// `start_ms`: a start of an instance, time and CPU time.
    fn prices(&self, cores: usize, start_ms: (f64, f64)) -> Result<Prices> {
        let prices = Prices::from_results(&self.loads, Some(&self.probe), start_ms, cores)?;
        let mut best = (f64::INFINITY, prices.clone());
        for moves in [prices.scheduler.moves, 0.03, 0.1, 0.3, 1.0] {
            for (fresh, used) in (0..36).map(|n| (f64::from(n % 6) / 5.0, f64::from(n / 6) / 5.0)) {
                let scheduler = Scheduler {
                    moves,
                    before_fresh: fresh,
                    before_used: used,
                    ..prices.scheduler
                };
                let tried = Prices {
                    scheduler,
                    ..prices.clone()
                };
                let error = self.error_beside(&tried, cores)?;
                if error < best.0 {
                    best = (error, tried);
                }
            }
        }
        Ok(best.1)
    }

    /// How far products and sign-ins beside each other are from those that were measured: the sum of the logarithms
    /// of ratios.
    fn error_beside(&self, prices: &Prices, cores: usize) -> Result<f64> {
        let mut error = 0.0;
        for beside in &self.loads.beside {
            let pattern = Pattern::Beside {
                rate: beside.rate,
                buyers: beside.buyers as u32,
            };
            let outcome = simulate("beside", pattern, FIT_SECONDS, cores, 1, prices)?;
            for (name, measured) in [("product", &beside.product), ("sign-in", &beside.sign_in)] {
                let simulated = outcome.kind(name).with_context(|| format!("no {name}"))?;
                error += (simulated.p50_ms / measured.p50_ms).ln().abs();
                error += (simulated.p90_ms / measured.p90_ms).ln().abs();
            }
        }
        Ok(error)
    }
}

/// A load on a machine like that which was measured, with its clients.
fn simulate(
    name: &str,
    pattern: Pattern,
    seconds: u64,
    cores: usize,
    seed: u64,
    prices: &Prices,
) -> Result<Outcome> {
    let manifests = zerocart_activator::load_dir(&workspace_root().join("knative/services"))?;
    let until = seconds * 1_000_000;
    let scenario = Scenario {
        name: name.to_owned(),
        seed,
        shoppers: Shoppers::new(pattern, until, 0.0, 64),
        machines: one_machine(cores),
        stock: vec![1 << 40; 64],
        clients: true,
        ..Scenario::day(1.0, 1, Behaviour::default())
    };
    scenario.run(prices, &manifests)
}

/// The prices that were validated, and of which commit and processor they are; none where nothing was measured.
pub(super) fn prices(output: &Output) -> Result<Option<(Prices, String)>> {
    let Ok(run) = output.read::<Raw>(NAME, "simulate --validate --write") else {
        return Ok(None);
    };
    let of = format!("{}, {}", run.about.commit, run.about.cpu);
    let prices = run
        .results
        .prices(run.about.cores, super::start_ms(output))?;
    Ok(Some((prices, of)))
}

fn measure(output: &Output, seed: u64, no_build: bool) -> Result<Run<Raw>> {
    let measured = load::priced::measure_loops(output, seed, no_build)?;
    Ok(Run {
        title: TITLE.to_owned(),
        results: Raw {
            loads: measured.results,
            probe: probe::measure(),
        },
        about: measured.about,
        summary: Vec::new(),
    })
}

/// Measures, simulates, and prints the differences. `Ok(false)` when one is too large.
pub(super) fn run(output: &Output, seed: u64, no_build: bool, replay: bool) -> Result<bool> {
    let Run {
        about,
        results: raw,
        ..
    } = match replay {
        true => output.read::<Raw>(NAME, "simulate --validate --write")?,
        false => {
            let run = measure(output, seed, no_build)?;
            // It can be simulated again, also if somebody stops what follows.
            output.keep(NAME, &run)?;
            run
        }
    };
    let results = &raw.loads;
    let cores = about.cores;
    let prices = raw.prices(cores, super::start_ms(output))?;
    let simulate = |name: &str, pattern| simulate(name, pattern, SECONDS, cores, seed, &prices);
    let mut table =
        "| load | measured | of single rounds | simulated | difference | |\n|---|--:|--:|--:|--:|---|\n"
            .to_owned();
    let mut good = true;
    let mut summary = Vec::new();
    // At saturation only what the machine can do is compared: there waits grow without bound.
    let closed = results.closed("mix").context("the mix was not measured")?;
    let outcome = simulate(
        "mix",
        Pattern::Closed {
            buyers: BUYERS as u32,
            shares: mix(),
        },
    )?;
    let mut rows = vec![
        (
            format!("mix, {BUYERS} buyers: requests per second"),
            closed.now.per_second,
            &[][..],
            outcome.requests() as f64 / outcome.seconds.max(1e-6),
        ),
        (
            format!("mix, {BUYERS} buyers: CPU per request, ms"),
            closed.now.system_cpu_ms() + closed.now.generator_ms,
            &[],
            outcome.cpu_ms(),
        ),
    ];
    for measured in &results.mixed {
        let name = format!("mix, {:.0}/s", measured.rate);
        let pattern = Pattern::Open {
            rate: measured.rate,
            shares: mix(),
        };
        let outcome = simulate(&name, pattern)?;
        let per_second = outcome.requests() as f64 / outcome.seconds.max(1e-6);
        rows.extend([
            (
                format!("{name}: requests per second"),
                measured.per_second,
                &[][..],
                per_second,
            ),
            (
                format!("{name}: CPU per request, ms"),
                measured.cpu_ms + measured.generator_ms,
                &measured.rounds_cpu_ms,
                outcome.cpu_ms(),
            ),
        ]);
        for (kind, latency) in &measured.kinds {
            let simulated = outcome.kind(kind).context("a kind was not simulated")?;
            rows.push((
                format!("{name}: {kind}, p50, ms"),
                latency.p50_ms,
                &latency.rounds_p50_ms,
                simulated.p50_ms,
            ));
            rows.push((
                format!("{name}: {kind}, p90, ms"),
                latency.p90_ms,
                &latency.rounds_p90_ms,
                simulated.p90_ms,
            ));
        }
    }
    for (what, measured, rounds, simulated) in rows {
        let (line, fine) = difference(&what, measured, rounds, simulated, LIMIT);
        table.push_str(&(line + "\n"));
        summary.push((what, simulated / measured));
        good &= fine;
    }
    let verdict = if good { "met" } else { "missed" };
    let target = format!(
        "\nTarget: each difference at most {:.0} %: {verdict}.\n",
        LIMIT * 100.0
    );
    table.push_str(&target);
    table.push_str(&format!("\n{}", price_table(results, cores)));
    let run = Run {
        title: TITLE.to_owned(),
        about,
        results: raw,
        summary,
    };
    println!("{table}\n{}", run.about.sentence());
    output.save(NAME, &run, &table)?;
    output.update("docs/scaling.md", &[("validation", &table)])?;
    Ok(good)
}
