//! A function or job with its declaration and its settings.

use zerocart_proto::rpc::{Info, JobInfo, Role};

use crate::{
    Sources,
    settings::{self, Settings},
};

/// The secrets that a function or job may get. A Kubernetes Secret and a secret of AWS have the
/// same content under these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secret {
    /// `AUTH_USER_KEYS` and `AUTH_SERVICE_KEYS`: the public keys of both token issuers.
    PublicKeys,
    /// `DATABASE_URL` of its domain.
    Database,
    /// `AUTH_SIGNING_KEY`: signs the tokens of people.
    Signing,
    /// `AUTH_SERVICE_SIGNING_KEY`: signs the tokens of functions that call others as a service.
    ServiceSigning,
}

/// A function or a job.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Its name, everywhere.
    pub name: &'static str,
    /// The domain whose database it uses.
    pub domain: &'static str,
    /// How long one call or run may take, in milliseconds.
    pub timeout_ms: u32,
    /// The functions that it calls.
    pub calls: &'static [&'static str],
    /// Its RPC; none for a job.
    pub rpc: Option<Info>,
    /// The secrets that it gets: those that it needs, and no others.
    pub secrets: Vec<Secret>,
    /// Its settings.
    pub settings: settings::Unit,
}

/// The Kubernetes ServiceAccount of the functions that read the fleet (`knative/policies/fleet.yaml`).
pub(crate) const FLEET_ACCOUNT: &str = "zerocart-fleet";

impl Unit {
    /// Whether it reads what the engine knows of all functions.
    pub fn reads_fleet(&self) -> bool {
        self.rpc.is_some_and(|rpc| rpc.reads_fleet)
    }

    /// The crate that it is in.
    pub fn package(&self) -> String {
        format!("zerocart-{}", self.domain)
    }

    /// Its own limit in whole seconds, rounded up.
    pub fn timeout_s(&self) -> u32 {
        self.timeout_ms.div_ceil(1000)
    }

    /// The name of its type: `CreateUser` of `create-user`.
    pub fn type_name(&self) -> String {
        let words = self.name.split('-').map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_uppercase() + rest
        });
        words.collect()
    }

    /// The name of its module: `create_user` of `create-user`.
    pub fn module(&self) -> String {
        self.name.replace('-', "_")
    }
}

/// The secrets that a function needs, and no others.
pub fn secrets_of_function(function: &Info, functions: &[Info]) -> Vec<Secret> {
    let mut secrets = vec![Secret::PublicKeys, Secret::Database];
    secrets.extend(secrets_of_caller(function.calls, functions));
    if function.signs_tokens {
        secrets.push(Secret::Signing);
    }
    secrets
}

/// The secrets that a job needs. Nobody calls it, so it has no tokens to check.
pub fn secrets_of_job(job: &JobInfo, functions: &[Info]) -> Vec<Secret> {
    let mut secrets = vec![Secret::Database];
    secrets.extend(secrets_of_caller(job.calls, functions));
    secrets
}

fn secrets_of_caller(calls: &[&str], functions: &[Info]) -> Vec<Secret> {
    let mut secrets = Vec::new();
    // It calls as a service where one of the functions called takes services.
    let mut called = functions.iter().filter(|f| calls.contains(&f.name));
    if called.any(|f| f.access.roles.contains(&Role::Service)) {
        secrets.push(Secret::ServiceSigning);
    }
    secrets
}

/// Every function, then every job, in the order of `proto/`.
pub fn all(sources: &Sources<'_>, settings: &Settings) -> Vec<Unit> {
    let functions = sources.functions.iter().map(|f| Unit {
        name: f.name,
        domain: f.domain,
        timeout_ms: f.timeout_ms,
        calls: f.calls,
        rpc: Some(*f),
        secrets: secrets_of_function(f, sources.functions),
        settings: settings.of(f.name),
    });
    let jobs = sources.jobs.iter().map(|job| Unit {
        name: job.name,
        domain: job.domain,
        timeout_ms: job.timeout_ms,
        calls: job.calls,
        rpc: None,
        secrets: secrets_of_job(job, sources.functions),
        settings: settings.of(job.name),
    });
    functions.chain(jobs).collect()
}
