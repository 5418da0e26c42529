//! `zerocart status`: what runs on a cluster.

use anyhow::Result;
use clap::Args as ClapArgs;
use zerocart_cluster::{
    Mode,
    fleet::{Fleet, Function, Workload},
};

use super::{Cluster, ago};
use crate::console;

/// `zerocart status`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    cluster: Cluster,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let kubectl = args.cluster.kubectl(Mode::Change);
    let fleet = Fleet::look(&kubectl, &args.cluster.namespaces()).await?;
    match args.json {
        true => console::say(serde_json::to_string(&fleet)?),
        false => lines(&fleet).iter().for_each(console::say),
    }
    Ok(())
}

fn lines(fleet: &Fleet) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<20} {:>5} {:>9} {:>10}  {:<27} {:>7}  image",
        "function", "ready", "instances", "last start", "revision", "age"
    )];
    for function in &fleet.functions {
        lines.push(line(function));
        let notes = [&function.trial, &function.reason];
        let notes = notes.into_iter().flatten();
        lines.extend(notes.map(|note| format!("{:<20}   {note}", "")));
    }
    if !fleet.jobs.is_empty() {
        lines.push(format!(
            "\n{:<20} {:>12} {:>10}  last result",
            "job", "schedule", "last run"
        ));
    }
    for job in &fleet.jobs {
        let last = job
            .last_run_s_ago
            .map_or_else(|| "-".to_owned(), |s| format!("{} ago", ago(s)));
        let result = job.last_result.as_deref().unwrap_or("-");
        lines.push(format!(
            "{:<20} {:>12} {last:>10}  {result}",
            job.name, job.schedule
        ));
    }
    lines.push(String::new());
    let (edge, system) = (workloads(&fleet.edge), workloads(&fleet.system));
    lines.push(format!("edge        {edge}"));
    lines.push(format!("PostgreSQL  {system}"));
    let knative = fleet.knative.as_deref().unwrap_or("not installed");
    lines.push(format!("Knative     {knative}"));
    lines
}

fn line(function: &Function) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    format!(
        "{:<20} {:>5} {:>9} {:>10}  {:<27} {:>7}  {}",
        function.name,
        match function.ready {
            true => "yes",
            false => "no",
        },
        function.instances,
        or_dash(function.last_start_s.map(|s| format!("{s} s"))),
        or_dash(function.revision.clone()),
        or_dash(function.revision_age_s.map(ago)),
        function.image_tag,
    )
}

fn workloads(all: &[Workload]) -> String {
    let words = all.iter().map(|one| {
        let Workload {
            name,
            ready,
            wanted,
            image,
        } = one;
        format!("{name}: {ready} of {wanted} ready ({image})")
    });
    match all.is_empty() {
        true => "not on this cluster".to_owned(),
        false => words.collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocart_cluster::fleet::Job;

    #[test]
    fn the_fleet_is_a_table_with_a_note_for_a_trial() {
        let function = Function {
            name: "get-user".to_owned(),
            ready: true,
            reason: None,
            instances: 2,
            revision: Some("get-user-00001".to_owned()),
            revision_age_s: Some(7_200),
            image_tag: "5f1c".to_owned(),
            traffic: Vec::new(),
            trial: Some("canary get-user-00002 with 10 %".to_owned()),
            last_start_s: Some(1),
        };
        let job = Job {
            name: "recover-orders".to_owned(),
            schedule: "* * * * *".to_owned(),
            last_run_s_ago: Some(119),
            last_result: None,
        };
        let postgres = Workload {
            name: "postgres".to_owned(),
            ready: 1,
            wanted: 1,
            image: "postgres:18".to_owned(),
        };
        let fleet = Fleet {
            context: "prod".to_owned(),
            knative: Some("1.23.0".to_owned()),
            functions: vec![function],
            jobs: vec![job],
            edge: Vec::new(),
            system: vec![postgres],
        };
        assert_eq!(
            lines(&fleet).join("\n"),
            "\
function             ready instances last start  revision                        age  image
get-user               yes         2        1 s  get-user-00001                  2 h  5f1c
                       canary get-user-00002 with 10 %

job                      schedule   last run  last result
recover-orders          * * * * *  119 s ago  -

edge        not on this cluster
PostgreSQL  postgres: 1 of 1 ready (postgres:18)
Knative     1.23.0"
        );
    }
}
