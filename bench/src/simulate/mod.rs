//! A simulation of more load than one machine can make: discrete events on a virtual clock.
//!
//! Real are the rules: of the order saga (`zerocart_order::saga`), and of scaling (`zerocart_activator::scale`,
//! with the limits of `knative/services`). Measured are the costs: CPU time, round trips, commits and their wait
//! for the disk, by `just bench-load`. Simulated are the machines and what is waited for: cores, threads that cost
//! CPU time each time that they wake up, the connections of an instance, its places for requests, the row of a
//! product, the log of PostgreSQL.
//! The same seed gives the same result.
//!
//! What is left out: memory, networks that are full, garbage (vacuum), failures, and the limits of the gateway
//! for one address. Instances of a function are equally busy.
//!
//! `--validate` first measures a small load, and then simulates the same one: see [`validate`].

mod cores;
mod curve;
mod events;
mod function;
mod growth;
mod outcome;
mod plan;
mod prices;
mod probe;
mod rates;
mod report;
mod resources;
mod scenarios;
mod shoppers;
mod state;
mod validate;
mod world;

#[cfg(test)]
mod tests;

use std::time::Instant;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub(crate) use outcome::Outcome;

use self::{
    prices::Prices,
    scenarios::{Scenario, standard},
    shoppers::Behaviour,
};
use crate::{
    binaries::workspace_root,
    load,
    results::{About, Output, Run},
};

/// The name of its files.
pub(crate) const NAME: &str = "simulate";

/// What to simulate.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Simulate this, and not the standard scenarios
    #[arg(long)]
    scenario: Option<What>,
    /// Shoppers of a day, or of the flash sale
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000_000))]
    shoppers: u32,
    /// Minutes that are simulated: of a day those around its peak, of a flash sale those in which shoppers come
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    minutes: u32,
    /// All on one machine with so many cores; otherwise each part has its own cores
    #[arg(long, value_name = "CORES", conflicts_with_all = ["function_cores", "edge_cores", "postgres_cores", "postgres_per_domain"], value_parser = clap::value_parser!(u32).range(1..=4_096))]
    one_machine: Option<u32>,
    /// Cores for functions
    #[arg(long, default_value_t = 64, value_name = "CORES", value_parser = clap::value_parser!(u32).range(1..=4_096))]
    function_cores: u32,
    /// Cores for gateway and activator
    #[arg(long, default_value_t = 64, value_name = "CORES", value_parser = clap::value_parser!(u32).range(1..=4_096))]
    edge_cores: u32,
    /// Cores of each PostgreSQL
    #[arg(long, default_value_t = 32, value_name = "CORES", value_parser = clap::value_parser!(u32).range(1..=4_096))]
    postgres_cores: u32,
    /// A PostgreSQL for each domain, not one for all
    #[arg(long)]
    postgres_per_domain: bool,
    /// The most instances of each function, as a multiple of its max-scale
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR", value_parser = factor)]
    scale: f64,
    /// Units of the product of the flash sale
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(0..=1_000_000_000))]
    stock: u32,
    /// The share of charges that are declined
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    declined: f64,
    /// The network between two machines, there and back, in microseconds
    #[arg(long, default_value_t = 200.0, value_name = "MICROSECONDS", value_parser = micros)]
    network: f64,
    /// The seed of all that is random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Measure a small load, simulate the same, and print the difference; fails above 20 %
    #[arg(long, conflicts_with = "scenario")]
    validate: bool,
    /// With --validate: do not measure; simulate again what the last --validate --write has measured
    #[arg(long, requires = "validate")]
    replay: bool,
    /// With --validate: measure the binaries that are there, instead of building them first
    #[arg(long)]
    no_build: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Shoppers by a daily curve
    Day,
    /// Shoppers who all want one product at once
    Flash,
}

fn number(text: &str, from: f64, to: f64, what: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (from..=to).contains(&value) => Ok(value),
        _ => Err(format!("must be {what} from {from} to {to}")),
    }
}

fn factor(text: &str) -> Result<f64, String> {
    number(text, 0.01, 10_000.0, "a factor")
}

fn share(text: &str) -> Result<f64, String> {
    number(text, 0.0, 1.0, "a share")
}

fn micros(text: &str) -> Result<f64, String> {
    number(text, 0.0, 1_000_000.0, "a number of microseconds")
}

/// What the simulations have shown.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    /// The commit and the processor of the costs.
    pub(crate) costs_of: String,
    pub(crate) outcomes: Vec<Outcome>,
}

/// Simulates and prints.
pub(crate) fn run(args: &Args) -> Result<bool> {
    if args.validate {
        return validate::run(&args.output, args.seed, args.no_build, args.replay);
    }
    let loads = args
        .output
        .read::<load::Results>(load::NAME, "bench-load --write")?;
    // Those that were validated, if there are any.
    let (prices, costs_of) = match validate::prices(&args.output)? {
        Some(validated) => validated,
        None => (
            Prices::from_results(
                &loads.results,
                None,
                start_ms(&args.output),
                loads.about.cores,
            )?,
            format!("{}, {}", loads.about.commit, loads.about.cpu),
        ),
    };
    let scenarios = match args.scenario {
        Some(what) => vec![args.scenario(what)],
        None => standard(args.seed),
    };
    let manifests = zerocart_activator::load_dir(&workspace_root().join("knative/services"))?;
    let began = Instant::now();
    let mut about = About::now(args.seed, &loads.about.postgres, None);
    let outcomes = scenarios.iter().map(|scenario| {
        let outcome = scenario.run(&prices, &manifests);
        outcome.with_context(|| format!("scenario: {}", scenario.name))
    });
    let results = Results {
        costs_of,
        outcomes: outcomes.collect::<Result<_>>()?,
    };
    about.seconds = began.elapsed().as_secs_f64();
    let run = Run {
        title: "Simulation".to_owned(),
        about,
        summary: report::summary(&results),
        results,
    };
    let table = report::table(&run.results);
    print!("{table}");
    if args.scenario.is_none() {
        let (costs, growth) = (
            growth::cost_table(&loads.results)?,
            growth::growth_table(&loads.results)?,
        );
        println!("\n{costs}\n{growth}");
        report::diagram(&run.results, &args.output)?;
        let page = format!(
            "## Costs\n\n{costs}\n## Multiples of the measured mix\n\n{growth}\n## Scenarios\n\n{table}"
        );
        args.output.save(NAME, &run, &page)?;
        args.output.update(
            "docs/scaling.md",
            &[
                ("costs", &costs),
                ("growth", &growth),
                ("scenarios", &table),
            ],
        )?;
    }
    Ok(true)
}

/// A start of an instance, in milliseconds: time until it is ready, and CPU time. Of the measured cold starts,
/// or else of the figures that were measured when this was written.
fn start_ms(output: &Output) -> (f64, f64) {
    #[derive(Deserialize)]
    struct Cold {
        start_ms: f64,
        start_cpu_ms: f64,
    }
    let cold = output.read::<Cold>(crate::cold::NAME, "bench --write");
    cold.map_or((6.0, 6.5), |cold| {
        (cold.results.start_ms, cold.results.start_cpu_ms)
    })
}

impl Args {
    fn scenario(&self, what: What) -> Scenario {
        let base = match what {
            What::Day => {
                Scenario::day(f64::from(self.shoppers), self.minutes, Behaviour::default())
            }
            What::Flash => Scenario::flash(
                f64::from(self.shoppers),
                self.minutes,
                i64::from(self.stock),
            ),
        };
        let base = match self.one_machine {
            Some(cores) => base.on_one_machine(cores as usize),
            None => base.on_machines(
                self.function_cores as usize,
                self.edge_cores as usize,
                self.postgres_cores as usize,
                self.postgres_per_domain,
                self.network,
            ),
        };
        Scenario {
            seed: self.seed,
            factor: self.scale,
            declined: self.declined,
            ..base
        }
    }
}
