//! The `zerocart` command: the local engine, the generator, and the steps of a deployment that need no
//! cluster.

mod bootstrap;
mod compile;
mod console;
mod domains;
mod engine;
mod exit;
mod foundation;
mod generate;
mod in_process;
mod key_files;
mod keys;
mod lambda;
mod layout;
mod openapi;
mod postgres;
mod ps;
mod reload;
mod run_job;
mod status;
mod stop;
mod up;
mod watch;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use exit::Exit;

/// Order management in which each RPC is its own scale-to-zero function.
#[derive(Parser)]
#[command(name = "zerocart", version)]
struct Cli {
    /// The folder that holds what must survive a restart [default: .zerocart in the project]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything on this machine: PostgreSQL, the gateway, and functions as they are called
    Up(up::Args),
    /// Show what each function and job is doing
    Ps(ps::Args),
    /// Run a job now, in the engine that runs, and wait for its end
    RunJob(run_job::Args),
    /// Show the ids of the keys that sign tokens, or change the keys
    Keys(keys::Args),
    /// Run the functions on a local AWS Lambda, or build and deploy them there
    #[command(subcommand)]
    Lambda(lambda::Command),
    /// Write every file that is made from proto/ and the settings of the functions
    Generate(generate::Args),
    /// Print the OpenAPI document of the public API
    Openapi(openapi::Args),
    /// Apply the migrations of one domain to the database at DATABASE_URL (that of its owner)
    Migrate(bootstrap::MigrateArgs),
    /// Add the first admin to the user database at DATABASE_URL (that of its owner), and show its
    /// password once
    BootstrapAdmin,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            console::fail(&anyhow::Error::new(error).context("cannot start the event loop"));
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Up(args) => up::run(args, cli.data).await,
            Command::Ps(args) => ps::run(args, cli.data).await,
            Command::RunJob(args) => run_job::run(args, cli.data).await,
            Command::Keys(args) => keys::run(args, cli.data).await,
            Command::Lambda(command) => lambda::run(command, cli.data).await,
            Command::Generate(args) => generate::run(&args),
            Command::Openapi(args) => openapi::run(&args),
            Command::Migrate(args) => bootstrap::migrate(args).await,
            Command::BootstrapAdmin => bootstrap::admin().await,
        }
    });
    match result {
        Ok(()) if console::complete() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => {
            let exit = error.downcast_ref::<Exit>();
            if exit.is_none_or(|exit| !exit.message.is_empty()) {
                console::fail(&error);
            }
            exit.map_or(ExitCode::FAILURE, |exit| ExitCode::from(exit.status))
        }
    }
}
