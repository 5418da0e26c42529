//! Whether the simulation can be believed: a small load is measured and simulated.
//!
//! The costs are those of single kinds of requests in closed loops: each alone, and of 16 buyers. What is
//! compared are other loads, which gave no cost: open loops of the mix of all kinds, at two rates, by other random
//! numbers. All of it, the clients too, runs on the machine that measures, so that machine is simulated.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{
    outcome::Outcome,
    prices::{Prices, mix},
    report::difference,
    scenarios::{Scenario, one_machine},
    shoppers::{Behaviour, Pattern, Shoppers},
};
use crate::{
    binaries::workspace_root,
    load::{self, BUYERS},
    machine::Machine,
    results::{Output, Run},
    stats::median,
};

/// The name of its files.
const NAME: &str = "validate";

/// The largest difference that is good.
const LIMIT: f64 = 0.2;

/// Seconds of each simulation: enough that cold starts do not count.
const SECONDS: u64 = 120;

/// Measures, simulates, and prints the differences. `Ok(false)` when one is too large.
pub(super) fn run(output: &Output, seed: u64, no_build: bool) -> Result<bool> {
    let measured = load::measure_loops(output, seed, no_build)?;
    let results = &measured.results;
    let prices = Prices {
        late_us: late_us(),
        ..Prices::from_results(results, super::start_ms(output))?
    };
    let manifests = zerocart_activator::load_dir(&workspace_root().join("knative/services"))?;
    let cores = Machine::this().cores;
    let simulate = |name: &str, pattern: Pattern| -> Result<Outcome> {
        let until = SECONDS * 1_000_000;
        let scenario = Scenario {
            name: name.to_owned(),
            seed,
            shoppers: Shoppers::new(pattern, until, 0.0, 64),
            machines: one_machine(cores),
            stock: vec![1 << 40; 64],
            clients: true,
            ..Scenario::day(1.0, 1, Behaviour::default())
        };
        scenario.run(&prices, &manifests)
    };
    let mut table =
        "| load | measured | simulated | difference | |\n|---|--:|--:|--:|---|\n".to_owned();
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
            outcome.requests() as f64 / outcome.seconds.max(1e-6),
        ),
        (
            format!("mix, {BUYERS} buyers: CPU per request, ms"),
            closed.now.system_cpu_ms() + closed.now.generator_ms,
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
                per_second,
            ),
            (
                format!("{name}: CPU per request, ms"),
                measured.cpu_ms + measured.generator_ms,
                outcome.cpu_ms(),
            ),
        ]);
        for (kind, latency) in &measured.kinds {
            let simulated = outcome.kind(kind).context("a kind was not simulated")?;
            rows.push((
                format!("{name}: {kind}, p50, ms"),
                latency.p50_ms,
                simulated.p50_ms,
            ));
            rows.push((
                format!("{name}: {kind}, p90, ms"),
                latency.p90_ms,
                simulated.p90_ms,
            ));
        }
    }
    for (what, measured, simulated) in rows {
        let (line, fine) = difference(&what, measured, simulated, LIMIT);
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
    let run = Run {
        title: "The simulation beside a measurement".to_owned(),
        about: measured.about,
        results: (prices, measured.results.mixed),
        summary,
    };
    println!("{table}\n{}", run.about.sentence());
    output.save(NAME, &run, &table)?;
    output.update("docs/scaling.md", &[("validation", &table)])?;
    Ok(good)
}

/// How late the kernel wakes up a thread that waits for a time, as the clients of an open loop do: the median, in
/// microseconds.
fn late_us() -> f64 {
    let late = (0..200).map(|_| {
        let due = Instant::now() + Duration::from_millis(2);
        while let Some(left) = due.checked_duration_since(Instant::now()) {
            thread::park_timeout(left);
        }
        due.elapsed().as_secs_f64() * 1e6
    });
    median(&late.collect::<Vec<_>>())
}
