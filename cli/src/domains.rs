//! What the engine asks of the registry: all functions, jobs and services of the edge.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use zerocart_activator::{Job, Ksvc};
use zerocart_deploy::unit::{self, Secret};
use zerocart_proto::rpc;
use zerocart_registry::{DOMAINS, EDGE};
use zerocart_runtime::Entry;

pub(crate) use zerocart_registry::{edge, function, functions, job, jobs, service};

/// The packages that build the edge.
pub(crate) fn edge_packages() -> impl Iterator<Item = &'static str> {
    EDGE.iter().map(|(package, _)| *package)
}

/// The names of the domains, in the order of the alphabet. Each has a database.
pub(crate) fn names() -> Vec<&'static str> {
    let names: BTreeSet<_> = DOMAINS.iter().map(|domain| domain.name).collect();
    names.into_iter().collect()
}

/// The packages that build the domains.
pub(crate) fn packages() -> impl Iterator<Item = String> {
    DOMAINS
        .iter()
        .map(|domain| format!("zerocart-{}", domain.name))
}

/// The names of the functions that can run on AWS Lambda: not those that read the fleet.
pub(crate) fn on_lambda() -> impl Iterator<Item = &'static Entry> {
    functions().filter(|entry| !entry.info.reads_fleet)
}

/// The names of the jobs.
pub(crate) fn job_names() -> Vec<&'static str> {
    jobs().map(|entry| entry.info.name).collect()
}

/// The names of all programs that run: functions, services of the edge, jobs.
pub(crate) fn programs() -> impl Iterator<Item = &'static str> {
    functions()
        .map(|entry| entry.info.name)
        .chain(edge().map(|service| service.name))
        .chain(job_names())
}

/// The secrets that a function, a job or a service of the edge gets.
pub(crate) fn secrets(name: &str) -> Vec<Secret> {
    if let Some(function) = function(name) {
        unit::secrets_of_function(function.info, rpc::ALL)
    } else if let Some(job) = job(name) {
        unit::secrets_of_job(job.info, rpc::ALL)
    } else {
        Vec::new()
    }
}

/// Refuses manifests that are not exactly those of the functions, the edge and the jobs.
pub(crate) fn check(manifests: &[Ksvc], at_edge: &[Ksvc], crons: &[Job]) -> Result<()> {
    let (have, want) = (
        manifests.iter().map(|f| f.name.as_str()),
        functions().map(|entry| entry.info.name),
    );
    same("knative/services", have, want)?;
    let (have, want) = (
        at_edge.iter().map(|f| f.name.as_str()),
        edge().map(|service| service.name),
    );
    same("knative/edge", have, want)?;
    let (have, want) = (
        crons.iter().map(|job| job.name.as_str()),
        jobs().map(|entry| entry.info.name),
    );
    same("knative/jobs", have, want)
}

fn same<'a>(
    folder: &str,
    have: impl Iterator<Item = &'a str>,
    want: impl Iterator<Item = &'a str>,
) -> Result<()> {
    let (have, want): (BTreeSet<_>, BTreeSet<_>) = (have.collect(), want.collect());
    let missing: Vec<_> = want.difference(&have).copied().collect();
    let unknown: Vec<_> = have.difference(&want).copied().collect();
    if !missing.is_empty() {
        bail!("{folder} has no file for {}", missing.join(", "));
    }
    if !unknown.is_empty() {
        bail!("{folder} names what does not exist: {}", unknown.join(", "));
    }
    Ok(())
}
