//! The programs that build and deploy: cargo-lambda and the AWS CLI.

use std::process::ExitStatus;

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};
use tokio::process::Command;

use crate::{exit::Exit, layout::Project};

/// `cargo lambda`, in the project's folder.
pub(super) fn cargo_lambda(project: &Project) -> Command {
    let mut cargo = Command::from(zerocart_local_cargo::command());
    cargo
        .current_dir(project.root())
        .arg("lambda")
        .kill_on_drop(true);
    cargo
}

/// The AWS CLI, in the project's folder.
pub(super) fn aws(project: &Project) -> Command {
    let mut aws = Command::new("aws");
    aws.current_dir(project.root()).kill_on_drop(true);
    aws
}

/// Refuses a machine without cargo-lambda, and says where it comes from.
pub(super) async fn installed() -> Result<()> {
    let output = Command::from(zerocart_local_cargo::command())
        .args(["lambda", "help"])
        .output()
        .await
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo-lambda is not installed: `pip install cargo-lambda`, or `just lambda-tools`");
    }
    Ok(())
}

/// Runs a program to its end, which the user sees; `what` names it. Its status becomes this command's.
pub(super) async fn run(command: &mut Command, what: &str) -> Result<()> {
    let status = command.status().await;
    succeeded(status.with_context(|| format!("cannot run {what}"))?, what)
}

/// Turns the status of a program into this command's.
pub(super) fn succeeded(status: ExitStatus, what: &str) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Err(Exit::new(code.unwrap_or(1), format!("{what} failed: {status}")).into())
}

/// What cargo knows of the workspace.
pub(super) async fn metadata(project: &Project) -> Result<Metadata> {
    let mut command = MetadataCommand::new();
    command.current_dir(project.root()).no_deps();
    let metadata = tokio::task::spawn_blocking(move || command.exec()).await?;
    metadata.context("cargo's metadata")
}
