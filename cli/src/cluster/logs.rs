//! `zerocart logs NAME`: the lines of a function, a job, the edge or PostgreSQL on a cluster.

use anyhow::Result;
use clap::Args as ClapArgs;
use zerocart_cluster::{Mode, logs};

use super::Cluster;
use crate::console;

/// `zerocart logs`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// A function, a job (its last run), gateway, kong, postgres, or provision
    name: String,
    /// Show new lines, too, also of instances that start later
    #[arg(long)]
    follow: bool,
    /// Only lines of the last time, such as 10m or 1h
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only the last lines of each instance
    #[arg(long, value_name = "N")]
    tail: Option<u32>,
    #[command(flatten)]
    cluster: Cluster,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let lines = logs::Lines {
        follow: args.follow,
        since: args.since,
        tail: args.tail,
    };
    let kubectl = args.cluster.kubectl(Mode::Change);
    // Beside the lines, which a program may read.
    let say = console::note;
    Ok(logs::show(
        &kubectl,
        &args.cluster.namespaces(),
        &args.name,
        &lines,
        say,
    )
    .await?)
}
