//! How functions and jobs are deployed on Lambda: the settings in the manifests of their crates.

use std::collections::BTreeMap;

use cargo_metadata::Metadata;
use serde_json::Value;
use zerocart_auth::Role;
use zerocart_proto::rpc::{Info, JobInfo};

use crate::{Unit, units};

/// The longest that API Gateway waits for a function, in seconds (its quota for HTTP APIs).
const EDGE_S: u64 = 30;

/// Lambda's own limits of a function's memory, in MB.
const MEMORY_MB: std::ops::RangeInclusive<u64> = 128..=10_240;

/// Where the functions' own URLs are: the stack of `zerocart lambda-template` writes them there.
const URLS: &str = "zerocart/function-urls";

/// The settings of one function or job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// The package in whose manifest it stands.
    pub package: String,
    /// The name of the binary, and of the function on Lambda.
    pub name: String,
    /// The longest that a call may take, in seconds.
    pub timeout_s: u64,
    /// In MB; the share of a CPU grows with it.
    pub memory_mb: u64,
    /// Its variables.
    pub env: BTreeMap<String, String>,
}

/// The settings in the manifests of the workspace.
pub fn read(metadata: &Metadata) -> Vec<Deployment> {
    let mut deployments = Vec::new();
    for package in metadata.workspace_packages() {
        let Some(bins) = package.metadata["lambda"]["bin"].as_object() else {
            continue;
        };
        for (name, bin) in bins {
            let deploy = &bin["deploy"];
            let env = deploy["env_var"].as_array().into_iter().flatten();
            let env = env.filter_map(Value::as_str);
            deployments.push(Deployment {
                package: package.name.to_string(),
                name: name.clone(),
                timeout_s: deploy["timeout"].as_u64().unwrap_or_default(),
                memory_mb: deploy["memory"].as_u64().unwrap_or_default(),
                env: env
                    .filter_map(|var| var.split_once('='))
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
            });
        }
    }
    deployments
}

/// The variables that a function or job needs there.
fn env(unit: &Unit, functions: &[Info]) -> BTreeMap<String, String> {
    let mut env = vec![(
        "DATABASE_URL",
        format!("zerocart/{}#database_url", unit.domain),
    )];
    // Nobody calls a job: it has no tokens to check.
    if !unit.job {
        env.push(("AUTH_USER_KEYS", "zerocart/auth#user_keys".into()));
        env.push(("AUTH_SERVICE_KEYS", "zerocart/auth#service_keys".into()));
    }
    if unit.name == "authenticate-user" {
        env.push(("AUTH_SIGNING_KEY", "zerocart/user-signing-key".into()));
    }
    if !unit.calls.is_empty() {
        env.push(("FUNCTION_URLS", URLS.into()));
    }
    let called = functions.iter().filter(|f| unit.calls.contains(&f.name));
    if called
        .into_iter()
        .any(|f| f.access.roles.contains(&Role::Service))
    {
        let key = "zerocart/service-signing-key";
        env.push(("AUTH_SERVICE_SIGNING_KEY", key.into()));
    }
    env.into_iter()
        .map(|(name, value)| (format!("{name}_SECRET"), value))
        .collect()
}

/// Each function and job can be deployed: with a time that is longer than its own limit and
/// shorter than that of whoever calls it, and with the variables that it needs and no others.
pub fn check(functions: &[Info], jobs: &[JobInfo], deployments: &[Deployment]) -> Vec<String> {
    let units = units(functions, jobs);
    let mut wrong = crate::compare(
        "metadata.lambda.bin",
        units.iter().map(|unit| unit.name),
        deployments.iter().map(|d| d.name.as_str()),
    );
    let find = |name: &str| deployments.iter().find(|d| d.name == name);
    for unit in &units {
        let (name, Some(found)) = (unit.name, find(unit.name)) else {
            continue;
        };
        let package = format!("zerocart-{}", unit.domain);
        if found.package != package {
            wrong.push(format!("{name} is set in {}, not {package}", found.package));
        }
        let (limit_s, own_ms) = (found.timeout_s, u64::from(unit.timeout_ms));
        if limit_s * 1000 <= own_ms {
            wrong.push(format!(
                "{name}: {limit_s} s are not more than its own {own_ms} ms"
            ));
        }
        if !unit.job && limit_s >= EDGE_S {
            wrong.push(format!(
                "{name}: {limit_s} s are not below API Gateway's {EDGE_S} s"
            ));
        }
        for callee in unit.calls.iter().filter_map(|name| find(name)) {
            if callee.timeout_s >= limit_s {
                let callee = &callee.name;
                wrong.push(format!(
                    "{name}: {limit_s} s are not above those of {callee}"
                ));
            }
        }
        if !MEMORY_MB.contains(&found.memory_mb) {
            wrong.push(format!("{name}: {} MB of memory", found.memory_mb));
        }
        let wanted = env(unit, functions);
        if found.env != wanted {
            wrong.push(format!(
                "{name}: its variables are {:?}, not {wanted:?}",
                found.env
            ));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{FUNCTIONS, JOBS, only};

    fn deployments() -> Vec<Deployment> {
        let of = |unit: &Unit| Deployment {
            package: format!("zerocart-{}", unit.domain),
            name: unit.name.to_owned(),
            timeout_s: u64::from(unit.timeout_ms) / 1000 + 1,
            memory_mb: 128,
            env: env(unit, &FUNCTIONS),
        };
        units(&FUNCTIONS, &JOBS).iter().map(of).collect()
    }

    #[track_caller]
    fn broken(change: impl FnOnce(&mut Vec<Deployment>), words: &str) {
        let mut deployments = deployments();
        change(&mut deployments);
        only(&check(&FUNCTIONS, &JOBS, &deployments), words);
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert_eq!(check(&FUNCTIONS, &JOBS, &deployments()), [""; 0]);
        broken(|all| drop(all.remove(0)), "create-user is missing");
        broken(|all| all[0].package = "zerocart-cart".into(), "is set in");
        broken(|all| all[0].timeout_s = 5, "not more than its own");
        broken(|all| all[0].timeout_s = 30, "API Gateway");
        broken(|all| all[0].memory_mb = 64, "64 MB");
        let unset = |all: &mut Vec<Deployment>| drop(all[0].env.pop_first());
        broken(unset, "its variables are");
    }

    #[test]
    fn who_is_called_gives_up_first() {
        let mut deployments = deployments();
        // sweep-users, a job, calls get-product.
        deployments[3].timeout_s = 51;
        deployments[2].timeout_s = 51;
        let wrong = check(&FUNCTIONS, &JOBS, &deployments);
        assert!(
            wrong
                .iter()
                .any(|w| w.contains("not above those of get-product")),
            "{wrong:?}"
        );
    }
}
