//! All functions, jobs and services of the edge, as the tests name them.

use zerocart_proto::rpc::{Info, JobInfo};

/// Every function that is written.
pub fn all() -> Vec<Info> {
    zerocart_registry::functions()
        .map(|entry| *entry.info)
        .collect()
}

/// Every job that is written.
pub fn jobs() -> Vec<JobInfo> {
    zerocart_registry::jobs().map(|entry| *entry.info).collect()
}

/// What answers at the public address beside the functions.
pub const EDGE: [&str; 2] = [
    zerocart_registry::EDGE[0].1.name,
    zerocart_registry::EDGE[1].1.name,
];
