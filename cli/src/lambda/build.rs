//! `zerocart lambda build`: zips of functions, in `target/lambda/<name>/`.
//!
//! The binaries are static files for x86_64, so they run on provided.al2023 without Zig or a container.

use anyhow::Result;
use clap::Args as ClapArgs;

use super::{FEATURE, binaries, tool};
use crate::{exit::Exit, layout::Project};

/// `zerocart lambda build`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The functions and jobs [default: all]
    names: Vec<String>,
}

pub(super) async fn run(args: Args) -> Result<()> {
    let known = binaries();
    let unknown = |name: &&String| !known.contains(&name.as_str());
    if let Some(name) = args.names.iter().find(unknown) {
        return Err(Exit::new(Exit::USAGE, format!("there is no function {name}")).into());
    }
    let names = match args.names.is_empty() {
        true => known,
        false => args.names.iter().map(String::as_str).collect(),
    };
    tool::installed().await?;
    let mut cargo = tool::cargo_lambda(&Project::find()?);
    cargo
        .args(["build", "--release", "--compiler", "cargo"])
        .args(["--features", FEATURE, "--output-format", "zip"]);
    for name in names {
        cargo.args(["--bin", name]);
    }
    tool::run(&mut cargo, "`cargo lambda build`").await
}
