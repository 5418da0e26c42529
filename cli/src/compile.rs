//! Builds the functions, the edge and the jobs, in the profile in which this engine was built.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cargo_metadata::MetadataCommand;
use tokio::process::Command;
use zerocart_images::Architecture;

use crate::{dashboard, domains, layout::Project};

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
        .args(["--profile", profile(binary_dir)?]);
    select(&mut cargo);
    let status = cargo.kill_on_drop(true).status().await.context(
        "cannot run cargo; without it, build the functions elsewhere and pass --no-build",
    )?;
    if !status.success() {
        bail!("the functions could not be built");
    }
    Ok(())
}

/// Selects everything that runs.
fn select(cargo: &mut Command) {
    // The engine's package is selected, and its program is not: so cargo picks the features of shared
    // dependencies that it picked for the engine, and builds none of them again.
    cargo.args(["--package", "zerocart"]);
    for package in domains::edge_packages() {
        cargo.args(["--package", package]);
    }
    for package in domains::packages() {
        cargo.args(["--package", &package]);
    }
    for name in domains::programs() {
        cargo.args(["--bin", name]);
    }
}

/// The profile of what is deployed, as the workspace's Cargo.toml has it.
pub(crate) const DEPLOYED: &str = "dist";

/// Where static programs for a cluster's nodes are built.
pub(crate) struct ForNodes {
    /// Rust's name of the target.
    target: String,
    /// Whether this machine's compiler and C library cannot build them, and Zig's must.
    zig: bool,
    /// Cargo's profile.
    profile: String,
}

impl ForNodes {
    pub(crate) fn new(architecture: Architecture, profile: &str) -> Self {
        let own = cfg!(all(target_os = "linux", target_env = "gnu"));
        let zig = !(own && Architecture::of_machine() == Some(architecture));
        // Zig links glibc only dynamically.
        let system = if zig { "musl" } else { "gnu" };
        Self {
            target: format!("{}-unknown-linux-{system}", architecture.rust_name()),
            zig,
            profile: profile.to_owned(),
        }
    }

    /// The folder of the programs.
    pub(crate) async fn folder(&self, project: &Project) -> Result<PathBuf> {
        let mut metadata = MetadataCommand::new();
        metadata.current_dir(project.root()).no_deps();
        let metadata = tokio::task::spawn_blocking(move || metadata.exec()).await?;
        let target = metadata.context("cargo's metadata")?.target_directory;
        let folder = zerocart_local_cargo::folder(&self.profile);
        Ok(target.join(&self.target).join(folder).into())
    }

    /// Builds everything that runs in a cluster, and the command itself.
    pub(crate) async fn build(&self, project: &Project) -> Result<()> {
        if self.zig {
            installed().await?;
        }
        dashboard::build(project).await;
        let mut cargo = Command::from(zerocart_local_cargo::command());
        cargo
            .current_dir(project.root())
            .args([if self.zig { "zigbuild" } else { "build" }, "--quiet"])
            .args(["--profile", &self.profile])
            .args(["--target", &self.target]);
        select(&mut cargo);
        cargo.args(["--bin", zerocart_images::COMMAND]);
        let status = cargo.kill_on_drop(true).status().await;
        if !status.context("cannot run cargo")?.success() {
            let target = &self.target;
            match self.zig {
                true => bail!(
                    "the programs could not be built for {target}; if the target is missing: `rustup target \
                     add {target}`"
                ),
                false => bail!("the programs could not be built"),
            }
        }
        Ok(())
    }
}

/// Refuses a machine without cargo-zigbuild, and says where it comes from.
async fn installed() -> Result<()> {
    let mut zigbuild = Command::from(zerocart_local_cargo::command());
    let output = zigbuild.args(["zigbuild", "--help"]).output().await;
    if !output.context("cannot run cargo")?.status.success() {
        bail!(
            "cargo-zigbuild is not installed, and this machine cannot build for such nodes without it: `pip \
             install cargo-zigbuild`, which brings Zig, or `cargo install cargo-zigbuild` and Zig from \
             https://ziglang.org/download"
        );
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
