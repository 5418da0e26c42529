//! All that the project runs: functions, jobs, and what stands beside them at the edge. A domain, or
//! something of the edge, is added here, and nowhere else in the engine.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use zerocart_activator::{Function, Job};
use zerocart_auth::Role;
use zerocart_runtime::{Entry, JobEntry, Service};

/// The functions of each domain.
const DOMAINS: [&[Entry]; 5] = [
    zerocart_user::FUNCTIONS,
    zerocart_product::FUNCTIONS,
    zerocart_cart::FUNCTIONS,
    zerocart_payment::FUNCTIONS,
    zerocart_order::FUNCTIONS,
];

/// The jobs of each domain that has any.
const JOBS: [&[JobEntry]; 2] = [zerocart_payment::JOBS, zerocart_order::JOBS];

/// What answers at the public address beside the functions: of no domain, with no database and no
/// keys. It scales as they do. Each with the package that builds it.
const EDGE: [(&str, Service); 1] = [("zerocart-reflection", zerocart_reflection::SERVICE)];

/// Every function.
pub(crate) fn functions() -> impl Iterator<Item = &'static Entry> {
    DOMAINS.into_iter().flatten()
}

/// Every job.
pub(crate) fn jobs() -> impl Iterator<Item = &'static JobEntry> {
    JOBS.into_iter().flatten()
}

/// The function of this name.
pub(crate) fn function(name: &str) -> Option<&'static Entry> {
    functions().find(|entry| entry.info.name == name)
}

/// The job of this name.
pub(crate) fn job(name: &str) -> Option<&'static JobEntry> {
    jobs().find(|entry| entry.info.name == name)
}

/// Everything of the edge.
pub(crate) fn edge() -> impl Iterator<Item = &'static Service> {
    EDGE.iter().map(|(_, service)| service)
}

/// The packages that build the edge.
pub(crate) fn edge_packages() -> impl Iterator<Item = &'static str> {
    EDGE.iter().map(|(package, _)| *package)
}

/// What answers requests under this name: a function, or something of the edge.
pub(crate) fn service(name: &str) -> Option<Service> {
    let function = function(name).map(|entry| Service {
        name: entry.info.name,
        build: entry.build,
    });
    function.or_else(|| edge().find(|service| service.name == name).copied())
}

/// The names of the domains.
pub(crate) fn names() -> Vec<&'static str> {
    let names: BTreeSet<_> = functions().map(|entry| entry.info.domain).collect();
    names.into_iter().collect()
}

/// The names of the jobs.
pub(crate) fn job_names() -> Vec<&'static str> {
    jobs().map(|entry| entry.info.name).collect()
}

/// Whether one of these functions may be called by a service: whoever calls it needs the key with
/// which services sign.
pub(crate) fn take_services(called: &[&str]) -> bool {
    called
        .iter()
        .filter_map(|name| function(name))
        .any(|entry| entry.info.access.roles.contains(&Role::Service))
}

/// Refuses manifests that are not exactly those of the functions, the edge and the jobs.
pub(crate) fn check(manifests: &[Function], at_edge: &[Function], crons: &[Job]) -> Result<()> {
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
