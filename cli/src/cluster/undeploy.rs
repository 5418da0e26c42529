//! `zerocart undeploy`: removes what `zerocart deploy` made.

use std::io::{self, IsTerminal};

use anyhow::Result;
use clap::Args as ClapArgs;
use zerocart_cluster::{
    Kubectl, Machine, Mode, consul, engine, kind::Kind, knative, observability, undeploy::Plan,
};

use super::Cluster;
use crate::{console, exit::Exit};

/// `zerocart undeploy`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Also delete the database, the keys, the secrets and the namespaces
    #[arg(long)]
    with_data: bool,
    /// Also remove Knative, where `deploy` installed it
    #[arg(long)]
    knative: bool,
    /// Delete the kind cluster that `deploy` made, with all data
    #[arg(long = "cluster", conflicts_with_all = ["with_data", "knative", "dry_run"])]
    whole_cluster: bool,
    /// Do not ask before data is deleted
    #[arg(long)]
    yes: bool,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    cluster: Cluster,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let kubectl = args.cluster.kubectl(Mode::Change);
    let context = &args.cluster.context;
    if args.whole_cluster {
        return delete_cluster(&args).await;
    }
    let observed = observability::is_there(&kubectl).await?;
    let mesh = consul::is_there(&kubectl).await?;
    let plan = Plan::make(&kubectl, &args.cluster.namespaces(), args.with_data).await?;
    for line in plan.left_alone() {
        console::say(format_args!("left alone {line}"));
    }
    if plan.is_empty() && !observed && !mesh {
        console::say(format_args!("nothing to remove from {context}"));
        return remove_knative(&args, &kubectl).await;
    }
    if args.dry_run || args.with_data {
        console::say(format_args!("from {context} is removed:"));
        plan.removed()
            .iter()
            .for_each(|line| console::say(format_args!("  {line}")));
        if observed {
            console::say("  traces, metrics and boards, with all that they have recorded");
        }
        if mesh {
            console::say("  Consul, with its certificates and its data");
        }
    }
    if args.dry_run {
        return Ok(());
    }
    if args.with_data && !args.yes {
        confirm(context)?;
    }
    if observed {
        let progress = super::progress();
        let work = async {
            observability::remove(&kubectl, &progress).await?;
            Ok(((), "removed".to_owned()))
        };
        progress.step("observability", work).await?;
    }
    plan.carry_out(&kubectl, &super::progress()).await?;
    // Functions that drained may have called others until now.
    if mesh {
        let progress = super::progress();
        let work = async {
            consul::remove(&kubectl, &progress).await?;
            Ok(((), "removed".to_owned()))
        };
        progress.step("consul", work).await?;
    }
    console::say(match args.with_data {
        true => "removed, with all data",
        false => {
            "removed. Namespaces, secrets, keys, PostgreSQL and its volume are kept: `zerocart deploy` goes on \
             with them, `zerocart undeploy --with-data` deletes them, too"
        }
    });
    remove_knative(&args, &kubectl).await
}

/// Removes Knative, where that is asked for and `deploy` installed it.
async fn remove_knative(args: &Args, kubectl: &Kubectl) -> Result<()> {
    if !args.knative || args.dry_run {
        return Ok(());
    }
    console::say(match knative::remove(kubectl).await? {
        Some(objects) => format!("Knative is removed: {objects} objects"),
        None => "Knative is left alone: `zerocart deploy` has not installed it".to_owned(),
    });
    Ok(())
}

/// Deletes the kind cluster of the context.
async fn delete_cluster(args: &Args) -> Result<()> {
    let context = &args.cluster.context;
    let Some(name) = context.strip_prefix("kind-") else {
        let message = format!("--cluster deletes a kind cluster, and {context} is none");
        return Err(Exit::new(Exit::USAGE, message).into());
    };
    if !args.yes {
        confirm(context)?;
    }
    let machine = Machine::here();
    let engine = engine::find(&machine).await?.engine;
    let kind = Kind::new(machine.programs, engine, args.cluster.kubeconfig.clone());
    console::say(match kind.delete(name).await? {
        true => format!("the kind cluster {name} is deleted"),
        false => format!("there is no kind cluster {name}"),
    });
    Ok(())
}

/// Data that is deleted cannot be had back, so the person types which cluster is meant.
fn confirm(context: &str) -> Result<()> {
    if !io::stdin().is_terminal() {
        let message = "the data would be deleted, and nobody is here to be asked: add --yes";
        return Err(Exit::new(Exit::USAGE, message).into());
    }
    console::say(format_args!(
        "The database with all orders and accounts, the keys and the secrets cannot be had back. Type the name \
         of the context ({context}) to delete them:"
    ));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    match answer.trim() == context {
        true => Ok(()),
        false => Err(Exit::new(
            Exit::USAGE,
            "this is not the context's name: nothing was removed",
        )
        .into()),
    }
}
