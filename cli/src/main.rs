//! The `zerocart` command: the local engine, the generator, and the steps of a deployment that need no
//! cluster.

mod anatomy;
mod backup;
mod bootstrap;
mod broker;
mod cluster;
mod compile;
mod console;
mod dashboard;
mod doctor;
mod domains;
mod engine;
mod engine_log;
mod exit;
mod fleet;
mod foundation;
mod gateway;
mod gauges;
mod generate;
mod images;
mod in_process;
mod key_files;
mod keys;
mod lambda;
mod layout;
mod openapi;
mod passwords_file;
mod postgres;
mod provision;
mod ps;
mod reload;
mod run_job;
mod status;
mod stop;
mod telemetry;
mod trace;
mod traces;
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
    /// Show one trace of the engine that runs: what a call did, and what took how long
    Trace(trace::Args),
    /// List the newest traces of the engine that runs
    Traces(traces::Args),
    /// Run a job now, in the engine that runs, and wait for its end
    RunJob(run_job::Args),
    /// Show the ids of the keys that sign tokens, or change the keys
    Keys(keys::Args),
    /// Deploy to a Kubernetes cluster with Knative: from nothing, or from an earlier version
    Deploy(Box<cluster::deploy::Args>),
    /// Change the certificate of the PostgreSQL in a cluster
    Certificates(cluster::certificates::Args),
    /// Show what runs on a cluster: functions, jobs, the edge, PostgreSQL
    Status(cluster::status::Args),
    /// Show the log of a function, a job, the edge or PostgreSQL on a cluster
    Logs(cluster::logs::Args),
    /// Give all traffic of a function to its newest revision: the end of a canary
    Promote(cluster::promote::Args),
    /// Give all traffic of a function to an earlier revision
    Rollback(cluster::rollback::Args),
    /// Remove from a cluster what `deploy` made; the data stays
    Undeploy(cluster::undeploy::Args),
    /// Run the functions on a local AWS Lambda, or build and deploy them there
    #[command(subcommand)]
    Lambda(lambda::Command),
    /// Examine whether a deployment to a cluster can work: this machine, its programs, and the cluster
    Doctor(doctor::Args),
    /// Write every file that is made from proto/ and the settings of the functions
    Generate(generate::Args),
    /// Build an OCI image of each program, without Docker, and load or push the images
    Images(images::Args),
    /// Print the OpenAPI document of the public API
    Openapi(openapi::Args),
    /// Run the gateway alone, in the place of Kong on a cluster: the same file, upstreams by DNS
    Gateway(gateway::Args),
    /// Write the phases of cold starts on Knative as spans, on standard output: in a cluster, or through `kubectl
    /// proxy`
    Anatomy(anatomy::Args),
    /// Apply the migrations of one domain to the database at DATABASE_URL (that of its owner)
    Migrate(bootstrap::MigrateArgs),
    /// Make databases, roles, tables and the first admin on any PostgreSQL
    Provision(provision::Args),
    /// Copy the databases of all domains, as they are at one instant, into a folder
    Backup(backup::BackupArgs),
    /// Bring the databases of a backup back
    Restore(backup::RestoreArgs),
    /// Add the first admin to the user database at DATABASE_URL (that of its owner), and show its
    /// password once
    BootstrapAdmin,
    /// The session broker of an engine, which starts it
    #[command(hide = true)]
    Broker,
}

/// The threads of the event loop: half of the cores. The functions, their PostgreSQL and its broker work at the
/// same time, and threads that take turns with them wake each other for nothing: on 2 cores, one thread
/// carries 1.2 × the requests of two.
fn workers() -> usize {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get);
    (cores / 2).max(1)
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match cli.command {
        // One thread passes bytes on faster than two that wake each other.
        Command::Broker => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build(),
        _ => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers())
            .enable_all()
            .build(),
    };
    let runtime = match runtime {
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
            Command::Trace(args) => trace::run(args, cli.data).await,
            Command::Traces(args) => traces::run(args, cli.data).await,
            Command::RunJob(args) => run_job::run(args, cli.data).await,
            Command::Keys(args) => keys::run(args, cli.data).await,
            Command::Deploy(args) => cluster::deploy::run(*args).await,
            Command::Certificates(args) => cluster::certificates::run(args).await,
            Command::Status(args) => cluster::status::run(args).await,
            Command::Logs(args) => cluster::logs::run(args).await,
            Command::Promote(args) => cluster::promote::run(args).await,
            Command::Rollback(args) => cluster::rollback::run(args).await,
            Command::Undeploy(args) => cluster::undeploy::run(args).await,
            Command::Lambda(command) => lambda::run(command, cli.data).await,
            Command::Doctor(args) => doctor::run(args).await,
            Command::Generate(args) => generate::run(&args),
            Command::Images(args) => images::run(args).await,
            Command::Openapi(args) => openapi::run(&args),
            Command::Gateway(args) => gateway::run(args).await,
            Command::Anatomy(args) => anatomy::run(args).await,
            Command::Migrate(args) => bootstrap::migrate(args).await,
            Command::Provision(args) => provision::run(args).await,
            Command::Backup(args) => backup::backup(args, cli.data).await,
            Command::Restore(args) => backup::restore(args, cli.data).await,
            Command::BootstrapAdmin => bootstrap::admin().await,
            Command::Broker => broker::run().await,
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    /// No two options of a command have one name, the global ones included.
    #[test]
    fn the_commands_and_their_options_fit_together() {
        super::Cli::command().debug_assert();
    }
}
