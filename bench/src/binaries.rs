//! The programs that are measured: where they are, and how they are built.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use zerocart_runtime::Entry;

/// The hand-written program that functions are compared with.
pub(crate) const FLOOR: &str = "zerocart-floor";

/// Every function.
pub(crate) fn entries() -> Vec<Entry> {
    // What reads the fleet has nothing to read without an engine.
    let functions = zerocart_registry::functions().copied();
    functions.filter(|entry| !entry.info.reads_fleet).collect()
}

/// Their domains.
pub(crate) fn domains() -> Vec<&'static str> {
    let domains: BTreeSet<_> = entries().iter().map(|entry| entry.info.domain).collect();
    domains.into_iter().collect()
}

/// The folder of the project.
pub(crate) fn workspace_root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    // Out of bench.
    root.pop();
    root
}

/// Where the binaries are: beside this one.
///
/// # Errors
///
/// When this program was not built for release: the binaries beside it are not those that are
/// deployed.
pub(crate) fn folder() -> Result<PathBuf> {
    let this = std::env::current_exe().context("cannot tell where this program is")?;
    let folder = this.parent().context("this program is in no folder")?;
    if cfg!(debug_assertions) {
        bail!(
            "only a release build says anything: cargo run --profile dist -p zerocart-bench -- cold"
        );
    }
    Ok(folder.to_owned())
}

/// The profile of cargo in which they were built; empty if they are not in its folder.
pub(crate) fn profile() -> String {
    let folder = folder().unwrap_or_default();
    zerocart_local_cargo::profile(&folder)
        .unwrap_or_default()
        .to_owned()
}

/// Builds the floor and the functions of these domains with cargo, whose output the user sees.
pub(crate) fn build(domains: &[&str]) -> Result<()> {
    let mut cargo = zerocart_local_cargo::command();
    cargo
        .current_dir(workspace_root())
        .args(["build", "--quiet", "--bins"])
        .args(["--profile", &profile()])
        // With the engine, so that the functions are those that `zerocart up` builds.
        .args(["--package", "zerocart-bench", "--package", "zerocart"]);
    for domain in domains {
        cargo.args(["--package", &format!("zerocart-{domain}")]);
    }
    let status = cargo.status().context(
        "cannot run cargo; without it, build the binaries elsewhere and pass --no-build",
    )?;
    if !status.success() {
        bail!("the functions could not be built");
    }
    Ok(())
}

/// The program `name` of `folder`.
pub(crate) fn find(folder: &Path, name: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    if !path.is_file() {
        bail!("{} is not there; leave --no-build out", path.display());
    }
    Ok(path)
}
