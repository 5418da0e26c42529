//! `zerocart lambda invoke`: sends an event to a function or job of the local Lambda.

use std::net::Ipv4Addr;

use anyhow::Result;
use clap::Args as ClapArgs;

use super::{PORT, tool};
use crate::layout::Project;

/// `zerocart lambda invoke`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The function or job, such as recover-orders
    name: String,
    /// The event, as JSON
    #[arg(default_value = "{}")]
    event: String,
    /// The port of `lambda watch`
    #[arg(long, default_value_t = PORT)]
    port: u16,
}

pub(super) async fn run(args: Args) -> Result<()> {
    tool::installed().await?;
    let mut cargo = tool::cargo_lambda(&Project::find()?);
    cargo
        .args(["invoke", &args.name, "--data-ascii", &args.event])
        .args(["--invoke-address", &Ipv4Addr::LOCALHOST.to_string()])
        .args(["--invoke-port", &args.port.to_string()]);
    tool::run(&mut cargo, "`cargo lambda invoke`").await
}
