//! `zerocart certificates`: the certificate of the PostgreSQL in a cluster.

use std::io::{self, IsTerminal};

use anyhow::Result;
use clap::{Args as ClapArgs, Subcommand};
use zerocart_cluster::{Mode, Progress, database};

use super::Cluster;

/// `zerocart certificates`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    cluster: Cluster,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make the certificate of PostgreSQL anew; `deploy` does it by itself when a month is left
    Rotate,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let kubectl = args.cluster.kubectl(Mode::Change);
    let progress = Progress::new(io::stdout(), io::stdout().is_terminal());
    let Command::Rotate = args.command;
    let work = async {
        database::renew_certificate(&kubectl, &progress).await?;
        Ok((
            (),
            "PostgreSQL has taken the new one up, without a restart".to_owned(),
        ))
    };
    Ok(progress.step("certificate", work).await?)
}
