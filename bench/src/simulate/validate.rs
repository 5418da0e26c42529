//! Whether the simulation can be believed: a small load is measured and simulated.
//!
//! The costs are those of single kinds of requests: each alone, and of 16 buyers. What is compared is another
//! load: a mix of all kinds, of 16 buyers, and open loops. All of it, the clients too, runs on the machine that
//! measures, so that machine is simulated.

use anyhow::{Context, Result};

use super::{
    outcome::Outcome,
    prices::{CALLS, Prices, mix},
    report::difference,
    scenarios::{Scenario, one_machine},
    shoppers::{Behaviour, Pattern, Shoppers},
};
use crate::{
    binaries::workspace_root,
    load::{self, BUYERS, figures::Figures},
    machine::Machine,
    results::{Output, Run},
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
    let prices = Prices::from_results(results, super::start_ms(output))?;
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
    let mut compare = |name: &str, figures: &Figures, outcome: &Outcome, p50: f64| {
        let per_second = outcome.requests() as f64 / outcome.seconds.max(1e-6);
        let rows = [
            ("requests per second", figures.per_second, per_second),
            (
                "CPU per request, ms",
                figures.system_cpu_ms() + figures.generator_ms,
                outcome.cpu_ms(),
            ),
            ("p50, ms", figures.p50_ms, p50),
        ];
        for (what, measured, simulated) in rows {
            let what = format!("{name}: {what}");
            let (line, fine) = difference(&what, measured, simulated, LIMIT);
            table.push_str(&(line + "\n"));
            summary.push((what, simulated / measured));
            good &= fine;
        }
    };
    let measured_mix = results.closed("mix").context("the mix was not measured")?;
    let pattern = Pattern::Closed {
        buyers: BUYERS as u32,
        shares: mix(),
    };
    let outcome = simulate("mix", pattern)?;
    compare(
        "mix, 16 buyers",
        &measured_mix.now,
        &outcome,
        outcome.p50_ms,
    );
    for kind in ["product", "order"] {
        let open = results.open.iter().filter(|measured| measured.name == kind);
        // In the middle: far from saturation, where waits grow without bound.
        let Some(open) =
            open.min_by(|a, b| a.rate.unwrap_or(0.0).total_cmp(&b.rate.unwrap_or(0.0)))
        else {
            continue;
        };
        let rate = open.rate.context("an open loop without rate")?;
        let mut shares = [0.0; CALLS.len()];
        let at = CALLS.iter().position(|(name, ..)| *name == kind);
        shares[at.context("an unknown kind")?] = 1.0;
        let outcome = simulate(kind, Pattern::Open { rate, shares })?;
        let p50 = outcome.kind(kind).map_or(f64::NAN, |kind| kind.p50_ms);
        compare(&format!("{kind}, {rate:.0}/s"), &open.now, &outcome, p50);
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
        results: (),
        summary,
    };
    println!("{table}\n{}", run.about.sentence());
    output.save(NAME, &run, &table)?;
    output.update("docs/scaling.md", &[("validation", &table)])?;
    Ok(good)
}
