//! All that zerocart runs: the functions and jobs of every domain, and the services of the public
//! edge.
//!
//! The local engine, the tests and the benchmarks take their lists from here. A new domain is a folder
//! in `functions/` and a package in `proto/`; `cargo zerocart generate` adds it.

use zerocart_runtime::{Entry, JobEntry, Service};

/// A domain: its name, its functions and its jobs.
#[derive(Clone, Copy, Debug)]
pub struct Domain {
    /// The name of its package in `proto/`, of its folder in `functions/` and of its database.
    pub name: &'static str,
    /// Its functions.
    pub functions: &'static [Entry],
    /// Its jobs.
    pub jobs: &'static [JobEntry],
}

// generated: domains (cargo zerocart generate)
/// Every domain, in the order of `proto/`.
#[rustfmt::skip]
pub static DOMAINS: &[Domain] = &[
    Domain { name: "user", functions: zerocart_user::FUNCTIONS, jobs: zerocart_user::JOBS },
    Domain { name: "product", functions: zerocart_product::FUNCTIONS, jobs: zerocart_product::JOBS },
    Domain { name: "cart", functions: zerocart_cart::FUNCTIONS, jobs: zerocart_cart::JOBS },
    Domain { name: "order", functions: zerocart_order::FUNCTIONS, jobs: zerocart_order::JOBS },
    Domain { name: "payment", functions: zerocart_payment::FUNCTIONS, jobs: zerocart_payment::JOBS },
    Domain { name: "ops", functions: zerocart_ops::FUNCTIONS, jobs: zerocart_ops::JOBS },
];
// end of generated: domains

/// The services of the public edge that are no functions, each with the package that builds it. They
/// belong to no domain, and have no database and no keys.
pub const EDGE: &[(&str, Service)] = &[
    ("zerocart-dashboard", zerocart_dashboard::SERVICE),
    ("zerocart-reflection", zerocart_reflection::SERVICE),
];

// generated: connections (cargo zerocart generate)
/// The most database connections of all functions and jobs together.
pub const CONNECTIONS: u32 = 182;
// end of generated: connections

/// Every function.
pub fn functions() -> impl Iterator<Item = &'static Entry> {
    DOMAINS.iter().flat_map(|domain| domain.functions)
}

/// Every job.
pub fn jobs() -> impl Iterator<Item = &'static JobEntry> {
    DOMAINS.iter().flat_map(|domain| domain.jobs)
}

/// Every service of the public edge.
pub fn edge() -> impl Iterator<Item = &'static Service> {
    EDGE.iter().map(|(_, service)| service)
}

/// The function of this name.
pub fn function(name: &str) -> Option<&'static Entry> {
    functions().find(|entry| entry.info.name == name)
}

/// The job of this name.
pub fn job(name: &str) -> Option<&'static JobEntry> {
    jobs().find(|entry| entry.info.name == name)
}

/// What answers requests under this name: a function, or a service of the edge.
pub fn service(name: &str) -> Option<Service> {
    let function = function(name).map(|entry| Service {
        name: entry.info.name,
        build: entry.build,
    });
    function.or_else(|| edge().find(|service| service.name == name).copied())
}
