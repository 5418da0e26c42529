//! `zerocart rollback NAME`: all traffic to an earlier revision.

use anyhow::Result;
use clap::Args as ClapArgs;
use zerocart_cluster::{Mode, traffic, traffic::Revision};

use super::Cluster;
use crate::console;

/// `zerocart rollback`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The function
    name: String,
    /// This revision, instead of the newest one before the current
    #[arg(long, value_name = "REVISION")]
    to: Option<String>,
    /// Show the revisions that there are, and change nothing
    #[arg(long, conflicts_with = "to")]
    list: bool,
    #[command(flatten)]
    cluster: Cluster,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let kubectl = args.cluster.kubectl(Mode::Change);
    let functions = args.cluster.namespaces().functions;
    if args.list {
        let (_, revisions) = traffic::revisions(&kubectl, &functions, &args.name).await?;
        console::say(format_args!(
            "{:<27} {:>5} {:>7}  {:<7} {:<20}  image",
            "revision", "ready", "traffic", "tag", "made"
        ));
        revisions.iter().for_each(|one| console::say(line(one)));
        return Ok(());
    }
    let progress = super::progress();
    let to = args.to.as_deref();
    let said = traffic::rollback(&kubectl, &progress, &functions, &args.name, to).await?;
    console::say(said);
    Ok(())
}

fn line(one: &Revision) -> String {
    let (ready, tag) = (
        ["no", "yes"][usize::from(one.ready)],
        one.tag.as_deref().unwrap_or("-"),
    );
    let percent = format!("{} %", one.percent);
    let Revision {
        name, made, image, ..
    } = one;
    format!("{name:<27} {ready:>5} {percent:>7}  {tag:<7} {made:<20}  {image}")
}
