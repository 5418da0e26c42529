//! Measurements of zerocart, on this machine and a PostgreSQL of its own.
//!
//! `cold` starts every function many times, next to a hand-written floor. It prints the times to
//! its first answers, its CPU time, and its size on disk and in memory. `chain` makes the first order of a fleet
//! at zero, and compares its time with the starts of the functions that it goes through. `load` measures orders
//! and other requests on a local engine. All three measure another build in the same run, if it is given one.
//! `simulate` says, with the costs that `load` has measured, what more load than one machine can make needs.
//! `coldstart` reports how long a request takes that has to start its function, and where that time goes. `lambda`
//! measures the uploads to AWS Lambda, and the time of init. `soak` buys from a system that runs, while
//! somebody disturbs it, and checks the books. `resilience` disturbs a system itself, with faults from a file, and
//! reports how it recovers. `summary` writes the README's table.

#![expect(
    clippy::print_stdout,
    reason = "the table is what this program is run for"
)]

mod binaries;
mod cases;
mod chain;
mod checkout;
mod cold;
mod coldstart;
mod counters;
mod cpu;
mod fleet;
mod http;
mod lambda;
mod load;
mod machine;
mod plot;
mod process;
mod resilience;
mod results;
mod simulate;
mod soak;
mod stand;
mod stats;
mod summary;
mod warm;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// Measures zerocart on this machine.
#[derive(Parser)]
#[command(name = "zerocart-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// From exec to listening, ready, and the first answer that queried PostgreSQL, beside a floor
    Cold(cold::Args),
    /// The first order, all at zero, against the starts of the functions that it goes through
    Chain(chain::Args),
    /// Whole orders and other requests on the local engine: throughput, latency and CPU, beside another build
    Load(Box<load::Args>),
    /// More load than one machine can make: a simulation, with costs that `load` has measured
    Simulate(Box<simulate::Args>),
    /// A request that has to start its function: how long, and where the time goes, on an engine or a cluster
    Coldstart(Box<coldstart::Args>),
    /// Size and init of the functions on Lambda, beside a hello-world
    Lambda(lambda::Args),
    /// Writes the small table of the README, from what the other commands have written
    Summary(summary::Args),
    /// Is the broker of sessions of another command
    #[command(name = warm::COMMAND, hide = true)]
    Broker,
    /// Orders against a system that runs, while it is disturbed: what is lost, and whether the books balance
    Soak(soak::Args),
    /// Shoppers and faults against an engine of its own, or a system that runs: breakers, recovery, and the books
    Resilience(Box<resilience::Args>),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Cold(args) => cold::run(&args),
        Command::Chain(args) => chain::run(&args),
        Command::Load(args) => load::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Coldstart(args) => coldstart::run(&args),
        Command::Lambda(args) => lambda::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Resilience(args) => resilience::run(&args),
        Command::Summary(args) => summary::run(&args),
        Command::Broker => broker(),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("zerocart-bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// As the engine runs it.
fn broker() -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the event loop")?;
    runtime.block_on(zerocart_broker::run())?;
    Ok(true)
}
