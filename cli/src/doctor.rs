//! `zerocart doctor`: whether a deployment to a cluster can work.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args as ClapArgs, ValueEnum};
use zerocart_cluster::{
    Machine, Target,
    doctor::{self, Asked, Level},
    kind::{self, Cluster},
};

use crate::{cluster::deploy::With, console, exit::Exit};

/// `zerocart doctor`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// What serves the public API: Kong, or zerocart's own gateway
    #[arg(long, value_enum, default_value_t = Edge::Kong)]
    edge: Edge,
    /// PostgreSQL is a managed server, and not in the cluster
    #[arg(long)]
    managed_database: bool,
    /// What is asked for beside the functions
    #[arg(long, value_enum, value_delimiter = ',')]
    with: Vec<With>,
}

/// Where a deployment goes.
#[derive(ClapArgs)]
pub(crate) struct Place {
    /// The context of a cluster that exists; without it a kind cluster is taken, or made
    #[arg(long, value_name = "NAME", conflicts_with_all = ["name", "port", "https_port"])]
    context: Option<String>,
    /// The name of the kind cluster
    #[arg(long, value_name = "NAME", default_value = kind::NAME)]
    name: String,
    /// The port of this machine on which the kind cluster serves HTTP
    #[arg(long, value_name = "PORT", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// The port of this machine on which the kind cluster serves HTTPS
    #[arg(long, value_name = "PORT", default_value_t = 8443, value_parser = clap::value_parser!(u16).range(1..))]
    https_port: u16,
    /// The kubeconfig [default: kubectl's own]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

impl Place {
    /// The cluster that is meant.
    pub(crate) fn target(&self) -> Target {
        match &self.context {
            Some(context) => Target::Context(context.clone()),
            None => Target::Kind(Cluster {
                name: self.name.clone(),
                http_port: self.port,
                https_port: self.https_port,
            }),
        }
    }
}

/// What serves the public API.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Edge {
    /// Kong
    Kong,
    /// The gateway of the local engine
    Gateway,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let asked = Asked {
        target: args.place.target(),
        kubeconfig: args.place.kubeconfig,
        kong: args.edge == Edge::Kong,
        own_database: !args.managed_database,
        observability: args.with.contains(&With::Observability),
        consul: args.with.contains(&With::Consul),
        consul_volume: args.with.contains(&With::Consul),
    };
    let findings = doctor::examine(&Machine::here(), &asked).await;
    console::say(doctor::report(&findings));
    let count = |level| findings.iter().filter(|found| found.level == level).count();
    let warnings = match count(Level::Warning) {
        0 => String::new(),
        1 => " (1 warning)".to_owned(),
        more => format!(" ({more} warnings)"),
    };
    match count(Level::Bad) {
        0 => {
            console::say(format_args!("a deployment can begin{warnings}"));
            Ok(())
        }
        bad => {
            console::say(format_args!(
                "a deployment cannot work yet: {bad} bad{warnings}"
            ));
            Err(Exit::new(1, "").into())
        }
    }
}
