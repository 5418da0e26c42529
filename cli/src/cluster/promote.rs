//! `zerocart promote NAME`: all traffic to the newest revision.

use anyhow::Result;
use clap::Args as ClapArgs;
use zerocart_cluster::{Mode, traffic};

use super::Cluster;
use crate::console;

/// `zerocart promote`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The function
    name: String,
    #[command(flatten)]
    cluster: Cluster,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let kubectl = args.cluster.kubectl(Mode::Change);
    let functions = args.cluster.namespaces().functions;
    let progress = super::progress();
    let said = traffic::promote(&kubectl, &progress, &functions, &args.name).await?;
    console::say(said);
    Ok(())
}
