//! What must hold for the project as a whole, as functions over facts.
//!
//! Each check takes data (descriptors, manifests, routes, metadata, source text) and gives the
//! list of what is wrong, empty when nothing is. So the integration tests run it on the real tree,
//! and a unit test beside it shows that it fails on a broken one.
//!
//! - [`contract`]: `proto/` is a superset of the published contract;
//! - [`access`]: each RPC is for those whom the contract lets call it;
//! - [`kong`]: each path meets its own route and no other;
//! - [`limits`]: times are ordered, connections fit;
//! - [`dependencies`], [`source`]: who may depend on whom, and what a file may hold.
//!
//! And [`harness`], which starts the engine that the conformance suite and other tests call.

pub mod access;
pub mod contract;
pub mod dependencies;
pub mod functions;
pub mod harness;
pub mod knative;
pub mod kong;
pub mod limits;
pub mod source;

use std::path::PathBuf;

use zerocart_proto::rpc::{Info, JobInfo};

/// The root of the workspace.
///
/// # Panics
///
/// Never: this crate is in a folder of it.
pub fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("this crate is in a folder").to_owned()
}

/// A function or a job, as a caller of functions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    /// Its name.
    pub(crate) name: &'static str,
    /// How long it may take.
    pub(crate) timeout_ms: u32,
    /// The functions that it calls.
    pub(crate) calls: &'static [&'static str],
}

/// All functions and jobs.
pub(crate) fn units(functions: &[Info], jobs: &[JobInfo]) -> Vec<Unit> {
    let functions = functions.iter().map(|f| Unit {
        name: f.name,
        timeout_ms: f.timeout_ms,
        calls: f.calls,
    });
    let jobs = jobs.iter().map(|job| Unit {
        name: job.name,
        timeout_ms: job.timeout_ms,
        calls: job.calls,
    });
    functions.chain(jobs).collect()
}

/// Facts to break, for the unit tests.
#[cfg(test)]
pub(crate) mod sample {
    use zerocart_proto::rpc::{CreateUser, GetProduct, GetUser, Info, JobInfo, Rpc};

    /// Three functions of two domains.
    pub(crate) const FUNCTIONS: [Info; 3] = [CreateUser::INFO, GetUser::INFO, GetProduct::INFO];

    /// A job, which calls a function.
    pub(crate) const JOBS: [JobInfo; 1] = [JobInfo {
        name: "sweep-users",
        domain: "user",
        timeout_ms: 50_000,
        calls: &["get-product"],
    }];

    /// Asserts that exactly one thing is wrong, and that it is said in these words.
    #[track_caller]
    pub(crate) fn only(problems: &[String], words: &str) {
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(
            problems[0].contains(words),
            "{:?} lacks {words:?}",
            problems[0]
        );
    }
}
