//! The cold-start report: how long a request takes that has to start its function, where that time goes, and what a
//! reader needs in order to doubt it.
//!
//! Everything is asked from outside, by a client that opens a new connection, of an engine that runs as people run
//! it. Before each request it is proved that the function has no process or pod. Each round asks each function once,
//! in another order, and an empty function among them: what the engine costs is what that one costs.
//!
//! - [`engine`]: what all engines can do; [`local`], [`knative`], and [`on_lambda`], which measures the init alone;
//! - [`client`], [`shop`]: who asks, and for what;
//! - [`phases`]: where the time went, from the spans of the trace;
//! - [`rounds`]: the parts of the measurement;
//! - [`record`], [`statistics`], [`anatomy`], [`tables`], [`draw`], [`report`]: what is kept, and the page.

mod anatomy;
mod client;
mod draw;
mod empty;
mod engine;
pub(crate) mod knative;
mod local;
mod on_lambda;
mod phases;
mod record;
mod report;
mod rounds;
mod shop;
mod statistics;
mod tables;
mod traces;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rand::{SeedableRng, rngs::StdRng};
use zerocart_core::Env;
use zerocart_proto::rpc::{self, Rpc};

use engine::Engine;
use knative::Knative;
use local::Local;
use record::{Part, Results};
use rounds::{Limit, Rounds};
use shop::Shop;

use crate::{
    binaries::{self, workspace_root},
    checkout::Checkout,
    machine,
    results::{self, About, Run},
    soak::TOKEN,
};

/// What starts functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Where {
    Local,
    Knative,
    Lambda,
}

/// What is measured, where, and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What starts the functions: an engine of its own, a cluster, or an emulation of Lambda's runtime API
    #[arg(long, value_enum, default_value = "local")]
    engine: Where,
    /// How often each function is started
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// Only these functions [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    functions: Vec<String>,
    /// Only these parts [default: all]
    #[arg(long, value_name = "PART,…", value_delimiter = ',', value_enum)]
    parts: Vec<Part>,
    /// How many functions are asked at the same time, in the part burst
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        default_value = "1,5,20"
    )]
    at_once: Vec<usize>,
    /// How long a function has been at zero, in seconds, in the part idle
    #[arg(
        long,
        value_name = "SECONDS,…",
        value_delimiter = ',',
        default_value = "0,10"
    )]
    idle: Vec<u32>,
    /// No further round begins after so many seconds; each part gets its share of what is left
    #[arg(long, default_value_t = 1200, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    limit: u64,
    /// The seed of the order of requests [default: another each time]
    #[arg(long)]
    seed: Option<u64>,
    /// Start the programs that are there, instead of building them first
    #[arg(long)]
    no_build: bool,
    /// A sentence about this run that a reader must know; it is on the page
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// Write coldstart.md, its data and its diagrams into docs/benchmarks
    #[arg(long)]
    write: bool,
    /// The folder that --write writes to [default: docs/benchmarks of the project]
    #[arg(long, value_name = "FOLDER", requires = "write")]
    out: Option<PathBuf>,
    #[command(flatten)]
    cluster: knative::Options,
}

/// Measures, prints the page, and writes it if that is wanted.
pub(crate) fn run(args: &Args) -> Result<bool> {
    // All that can be refused is refused before anything is started.
    let functions = functions(args)?;
    if args.engine != Where::Lambda && !args.no_build {
        eprintln!("building");
        binaries::build(&binaries::domains())?;
    }
    let run = match args.engine {
        Where::Lambda => on_lambda::measure(args, &functions)?,
        Where::Local | Where::Knative => {
            let runtime = tokio::runtime::Runtime::new().context("cannot start the event loop")?;
            runtime.block_on(Box::pin(measure(args, &functions)))?
        }
    };
    if args.write {
        let default = || workspace_root().join("docs/benchmarks");
        let folder = args.out.clone().unwrap_or_else(default);
        report::write(&folder, &run)?;
        eprintln!("the report is {}", folder.join("coldstart.md").display());
    }
    let tested = tables::tests(&run.results);
    print!("{}", report::section(&run, None, tested));
    Ok(true)
}

/// The functions that are measured.
fn functions(args: &Args) -> Result<Vec<&'static str>> {
    let all = || rpc::ALL.iter().map(|info| info.name);
    for name in &args.functions {
        ensure!(
            all().any(|known| known == name),
            "--functions {name}: there is no such function; there are {}",
            all().collect::<Vec<_>>().join(", ")
        );
    }
    ensure!(
        args.at_once.iter().all(|n| (1..=20).contains(n)),
        "--at-once: each number must be from 1 to 20"
    );
    ensure!(
        args.idle.iter().all(|seconds| *seconds <= 600),
        "--idle: each time must be at most 600 s"
    );
    let chosen =
        |name: &&str| args.functions.is_empty() || args.functions.iter().any(|f| f == name);
    Ok(all().filter(chosen).collect())
}

/// How the program was run, and on what: beside what all results have.
fn facts(args: &Args, seed: u64) -> Vec<(String, String)> {
    let names = |list: &[String]| list.join(",");
    let numbers = |list: Vec<String>| list.join(",");
    let engine = match args.engine {
        Where::Local => "local",
        Where::Knative => "knative",
        Where::Lambda => "lambda",
    };
    let mut command = format!(
        "just coldstart-report --engine {engine} --rounds {}",
        args.rounds
    );
    if !args.functions.is_empty() {
        command += &format!(" --functions {}", names(&args.functions));
    }
    if !args.parts.is_empty() {
        let parts = args
            .parts
            .iter()
            .filter_map(clap::ValueEnum::to_possible_value);
        let parts = parts.map(|part| part.get_name().to_owned()).collect();
        command += &format!(" --parts {}", numbers(parts));
    }
    if args.engine != Where::Lambda {
        let text = |n: &dyn ToString| n.to_string();
        let at_once = args.at_once.iter().map(|n| text(n)).collect();
        let idle = args.idle.iter().map(|n| text(n)).collect();
        command += &format!(" --at-once {} --idle {}", numbers(at_once), numbers(idle));
    }
    command += &format!(" --limit {} --seed {seed}", args.limit);
    let mut facts = vec![("command".to_owned(), format!("`{command}`"))];
    facts.extend(machine::facts());
    facts
}

async fn measure(args: &Args, functions: &[&'static str]) -> Result<Run<Results>> {
    let seed = args.seed.unwrap_or_else(results::seed);
    let engine = match args.engine {
        Where::Knative => {
            let token = Env::of_process().get(TOKEN).map(str::to_owned);
            let token = token.with_context(|| {
                format!("--engine knative needs an admin's token in the variable {TOKEN}")
            })?;
            Engine::Knative(Box::new(Knative::reach(&args.cluster, token).await?))
        }
        _ => Engine::Local(Box::new(Local::start(&Checkout::this()?, seed).await?)),
    };
    let parts = engine.parts().await?;
    let postgres = parts.iter().find(|(name, _)| name == "PostgreSQL");
    let postgres = postgres.map_or("of the cluster", |(_, version)| version);
    let mut about = About::now(seed, postgres, None);
    let began = Instant::now();
    eprintln!("opening the shop");
    let shop = Shop::open(&engine, &engine.admin()?)?;
    let mut rounds = Rounds {
        engine: &engine,
        shop,
        rng: StdRng::seed_from_u64(seed),
        results: Results {
            engine: engine.name().to_owned(),
            parts,
            note: args.note.clone(),
            proof: engine.proof().to_owned(),
            facts: facts(args, seed),
            ..Results::default()
        },
    };
    let chosen = |part: &Part| args.parts.is_empty() || args.parts.contains(part);
    let parts: Vec<_> = PARTS.into_iter().filter(|(part, _)| chosen(part)).collect();
    let mut shares: u32 = parts.iter().map(|(_, share)| share).sum();
    let end = Instant::now() + Duration::from_secs(args.limit);
    for (part, share) in parts {
        // What an earlier part did not need is for the later ones.
        let length = end.saturating_duration_since(Instant::now()) * share / shares;
        shares -= share;
        let limit = Limit {
            at: Instant::now() + length,
            seconds: length.as_secs(),
        };
        let measured = match part {
            Part::Single => rounds.single(functions, args.rounds, limit).await,
            Part::Gateway => rounds.gateway(args.rounds, limit).await,
            Part::Burst => {
                let count = args.rounds.div_ceil(4);
                rounds.burst(functions, &args.at_once, count, limit).await
            }
            Part::Chain => rounds.chain(args.rounds.div_ceil(4), limit).await,
            Part::Idle => {
                let count = args.rounds.div_ceil(10);
                rounds.idle(&args.idle, count, limit).await
            }
        };
        measured.with_context(|| format!("the part {part:?}"))?;
    }
    about.seconds = began.elapsed().as_secs_f64();
    let mut results = rounds.results;
    results.load_after = machine::load();
    engine.stop().await?;
    if results
        .series
        .iter()
        .all(|series| series.samples.is_empty())
    {
        bail!("not one request was answered within {} s", args.limit);
    }
    Ok(Run {
        title: "Cold starts".to_owned(),
        about,
        summary: report::summary(&results),
        results,
    })
}

/// The parts, and their shares of the time. Idle functions need the engine's own time to end, so that few rounds take
/// long.
const PARTS: [(Part, u32); 5] = [
    (Part::Single, 6),
    (Part::Gateway, 2),
    (Part::Burst, 2),
    (Part::Chain, 2),
    (Part::Idle, 6),
];

/// The functions of a first order, in the order in which it calls them.
const CHAIN: [&str; 5] = [
    rpc::CreateOrder::INFO.name,
    rpc::GetCart::INFO.name,
    rpc::UpdateInventory::INFO.name,
    rpc::ProcessPayment::INFO.name,
    rpc::ClearCart::INFO.name,
];
