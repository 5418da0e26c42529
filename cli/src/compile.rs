//! Builds the functions, the edge and the jobs, in the profile in which this engine was built.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::{domains, layout::Project};

/// Where the functions' binaries are: beside this one.
pub(crate) fn binary_dir() -> Result<PathBuf> {
    let engine = std::env::current_exe().context("cannot tell where this program is")?;
    Ok(engine
        .parent()
        .context("this program is in no folder")?
        .to_owned())
}

/// The profile in which the programs of this folder were built.
pub(crate) fn profile(binary_dir: &Path) -> Result<&str> {
    let profile = zerocart_local_cargo::profile(binary_dir);
    profile.with_context(|| format!("{} is no folder of cargo's", binary_dir.display()))
}

/// Builds everything that runs with cargo, whose output the user sees.
pub(crate) async fn functions(project: &Project, binary_dir: &Path) -> Result<()> {
    let mut cargo = Command::from(zerocart_local_cargo::command());
    cargo
        .current_dir(project.root())
        .args(["build", "--quiet"])
        .args(["--profile", profile(binary_dir)?])
        // The engine's package is selected, and its program is not: so cargo picks the features of shared
        // dependencies that it picked for the engine, and builds none of them again.
        .args(["--package", "zerocart"]);
    for package in domains::edge_packages() {
        cargo.args(["--package", package]);
    }
    for domain in domains::names() {
        cargo.args(["--package", &format!("zerocart-{domain}")]);
    }
    for name in domains::programs() {
        cargo.args(["--bin", name]);
    }
    let status = cargo.kill_on_drop(true).status().await.context(
        "cannot run cargo; without it, build the functions elsewhere and pass --no-build",
    )?;
    if !status.success() {
        bail!("the functions could not be built");
    }
    Ok(())
}

/// Refuses a folder in which something that runs is missing.
pub(crate) fn check(binary_dir: &Path) -> Result<()> {
    let missing: Vec<_> = domains::programs()
        .filter(|name| !binary_dir.join(name).is_file())
        .collect();
    if !missing.is_empty() {
        bail!("{} has no {}", binary_dir.display(), missing.join(", "));
    }
    Ok(())
}
