//! `zerocart lambda`: a local AWS Lambda, and what builds and deploys the functions there.

mod build;
mod deploy;
mod invoke;
mod secrets;
mod tool;
mod watch;

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;

use crate::domains;

/// The feature that makes a binary a Lambda function.
const FEATURE: &str = "zerocart-main/lambda";

/// The port of the local Lambda, as cargo-lambda has it.
const PORT: u16 = 9000;

/// `zerocart lambda`.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Build functions as zips in target/lambda
    Build(build::Args),
    /// Deploy to AWS what was built: say what will be created, and ask
    Deploy(deploy::Args),
    /// Make the secrets that are missing in AWS: keys, and the database URLs in the environment
    Secrets,
    /// Run the functions on a local Lambda (`cargo lambda watch`), with PostgreSQL beside it
    Watch(watch::Args),
    /// Send an event to a function or job of the local Lambda
    Invoke(invoke::Args),
}

pub(crate) async fn run(command: Command, data: Option<PathBuf>) -> Result<()> {
    match command {
        Command::Build(args) => build::run(args).await,
        Command::Deploy(args) => deploy::run(args).await,
        Command::Secrets => secrets::run(data).await,
        Command::Watch(args) => watch::run(args, data).await,
        Command::Invoke(args) => invoke::run(args).await,
    }
}

/// The names of the functions and jobs: of what is built and deployed.
fn binaries() -> Vec<&'static str> {
    let functions = domains::on_lambda().map(|entry| entry.info.name);
    functions.chain(domains::job_names()).collect()
}
