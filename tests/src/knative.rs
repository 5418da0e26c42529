//! `knative/`: a file per function, per job and per service of the edge, and what
//! `kustomization.yaml` adds to each.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result};
use regex::Regex;
use serde_json::Value;
use zerocart_activator::{Function, Job};
use zerocart_auth::Role;
use zerocart_proto::rpc::{Info, JobInfo};

use crate::{Unit, units};

/// Where functions are, for those that call others.
const FUNCTION_URL_TEMPLATE: &str = "FUNCTION_URL_TEMPLATE";

/// The kinds of what is deployed.
const SERVICE: &str = "Service";
const CRON_JOB: &str = "CronJob";

impl Unit {
    fn kind(&self) -> &'static str {
        if self.job { CRON_JOB } else { SERVICE }
    }
}

/// Holds `AUTH_SERVICE_SIGNING_KEY`, with which one function calls another as a service.
const SERVICE_SIGNING: &str = "zerocart-service-signing";

/// What `knative/` says.
#[derive(Clone, Debug)]
pub struct Manifests {
    /// `services/`, read as the local engine reads it.
    pub functions: Vec<Function>,
    /// `edge/`, read as the local engine reads it.
    pub edge: Vec<Function>,
    /// `jobs/`, read as the local engine reads it.
    pub jobs: Vec<Job>,
    /// The name of the port of each function.
    pub port_names: BTreeMap<String, String>,
    /// `kustomization.yaml`.
    pub kustomization: Value,
}

/// Reads `knative/` of the project.
///
/// # Errors
///
/// When a file cannot be read or says what is not understood.
pub fn read(root: &Path) -> Result<Manifests> {
    let mut port_names = BTreeMap::new();
    let mut load = |folder: &str| -> Result<Vec<Function>> {
        let folder = root.join(folder);
        let functions = zerocart_activator::load_dir(&folder)?;
        for function in &functions {
            let file = yaml(&folder.join(format!("{}.yaml", function.name)))?;
            let port = file.pointer("/spec/template/spec/containers/0/ports/0/name");
            let port = port.and_then(Value::as_str).unwrap_or_default();
            port_names.insert(function.name.clone(), port.to_owned());
        }
        Ok(functions)
    };
    let functions = load("knative/services")?;
    let edge = load("knative/edge")?;
    Ok(Manifests {
        functions,
        edge,
        jobs: zerocart_activator::load_jobs(&root.join("knative/jobs"))?,
        port_names,
        kustomization: yaml(&root.join("knative/kustomization.yaml"))?,
    })
}

impl Manifests {
    /// The namespace that everything is put into.
    pub fn namespace(&self) -> &str {
        self.kustomization["namespace"].as_str().unwrap_or_default()
    }
}

/// Each function has a Service with the port that gRPC needs, and each job a CronJob. Each is
/// deployed, from its own image, and with the database of its domain and no other; those that call
/// others are told where these are, and those that call as a service get the key for it, and nobody
/// else. The services of the edge are deployed, too, each from its own image, with nothing of a domain
/// and no secret at all.
pub fn check(
    functions: &[Info],
    jobs: &[JobInfo],
    edge: &[&str],
    manifests: &Manifests,
) -> Vec<String> {
    let names = || functions.iter().map(|f| f.name);
    let services = manifests.functions.iter().map(|f| f.name.as_str());
    let mut wrong = crate::compare("knative/services", names(), services);
    let crons = manifests.jobs.iter().map(|job| job.name.as_str());
    let names = jobs.iter().map(|job| job.name);
    wrong.extend(crate::compare("knative/jobs", names, crons));
    let services = manifests.edge.iter().map(|f| f.name.as_str());
    wrong.extend(crate::compare(
        "knative/edge",
        edge.iter().copied(),
        services,
    ));
    for (name, port) in &manifests.port_names {
        if port != "h2c" {
            wrong.push(format!(
                "{name}: its port is named {port:?}, and gRPC needs h2c"
            ));
        }
    }
    for function in manifests.functions.iter().chain(&manifests.edge) {
        // 8012, 8013, 8022, 9090 and 9091 are the queue-proxy's.
        if [8012, 8013, 8022, 9090, 9091].contains(&function.container_port) {
            let port = function.container_port;
            wrong.push(format!(
                "{}: Knative keeps port {port} for itself",
                function.name
            ));
        }
    }
    deployed(functions, jobs, edge, manifests, &mut wrong);
    wrong
}

fn deployed(
    functions: &[Info],
    jobs: &[JobInfo],
    edge: &[&str],
    manifests: &Manifests,
    wrong: &mut Vec<String>,
) {
    let kustomization = &manifests.kustomization;
    let resources = strings(&kustomization["resources"]);
    let of = |folder: &str| {
        let files = resources.iter();
        files
            .filter_map(|path| path.strip_prefix(folder)?.strip_suffix(".yaml"))
            .collect::<Vec<_>>()
    };
    let what = "resources of kustomization.yaml";
    let names = functions.iter().map(|f| f.name);
    wrong.extend(crate::compare(what, names, of("services/")));
    let names = jobs.iter().map(|job| job.name);
    wrong.extend(crate::compare(what, names, of("jobs/")));
    wrong.extend(crate::compare(what, edge.iter().copied(), of("edge/")));

    let patches = match Patch::read(kustomization) {
        Ok(patches) => patches,
        Err(error) => return wrong.push(format!("kustomization.yaml: {error:#}")),
    };
    let units = units(functions, jobs);
    for patch in &patches {
        let of_unit = |unit: &Unit| patch.applies_to(unit.kind(), unit.name);
        let of_edge = |name: &&str| patch.applies_to(SERVICE, name);
        if !units.iter().any(of_unit) && !edge.iter().any(of_edge) {
            wrong.push(format!(
                "kustomization.yaml: no function is {:?}",
                patch.target
            ));
        }
    }
    let template = format!(
        "http://{{function}}.{}.svc.cluster.local",
        manifests.namespace()
    );
    let databases: Vec<_> = units.iter().map(|unit| secret_of(unit.domain)).collect();
    for unit in &units {
        let name = unit.name;
        let applies = |patch: &&Patch| patch.applies_to(unit.kind(), name);
        let patches = || patches.iter().filter(applies);
        image(name, patches(), wrong);
        let wanted = secret_of(unit.domain);
        let secrets: Vec<_> = patches().flat_map(|patch| &patch.secrets).collect();
        if !secrets.contains(&&wanted) {
            wrong.push(format!("{name}: it does not get the secret {wanted}"));
        }
        for secret in &secrets {
            if **secret != wanted && databases.contains(secret) {
                wrong.push(format!(
                    "{name}: it gets {secret}, another domain's database"
                ));
            }
        }
        match (
            calls_as_service(unit, functions),
            secrets.iter().any(|secret| *secret == SERVICE_SIGNING),
        ) {
            (true, false) => wrong.push(format!("{name}: it lacks {SERVICE_SIGNING}")),
            (false, true) => wrong.push(format!("{name}: it needs no {SERVICE_SIGNING}")),
            _ => {}
        }
        let urls: Vec<_> = patches().flat_map(|patch| &patch.templates).collect();
        let wanted: &[_] = if unit.calls.is_empty() {
            &[]
        } else {
            &[&template]
        };
        if urls != wanted {
            wrong.push(format!(
                "{name}: its {FUNCTION_URL_TEMPLATE} is {urls:?}, not {wanted:?}"
            ));
        }
    }
    for name in edge {
        let applies = |patch: &&Patch| patch.applies_to(SERVICE, name);
        image(name, patches.iter().filter(applies), wrong);
        let mut secrets = Vec::new();
        for patch in patches.iter().filter(applies) {
            if patch.removes_secrets {
                secrets.clear();
            }
            secrets.extend(&patch.secrets);
        }
        let needless = |secret| format!("{name}: it needs no {secret}");
        wrong.extend(secrets.into_iter().map(needless));
    }
}

/// It is deployed from one image, its own.
fn image<'a>(name: &str, patches: impl Iterator<Item = &'a Patch>, wrong: &mut Vec<String>) {
    let images: Vec<_> = patches.flat_map(|patch| &patch.images).collect();
    let last = |image: &str| image.rsplit('/').next().map(str::to_owned);
    let own = |image: &str| last(image).is_some_and(|i| i.split(':').next() == Some(name));
    if images.len() != 1 || !own(images[0]) {
        wrong.push(format!(
            "{name}: its images are {images:?}, not one image {name}"
        ));
    }
}

/// Whether a function that it calls takes calls of services.
fn calls_as_service(unit: &Unit, functions: &[Info]) -> bool {
    let called = functions.iter().filter(|f| unit.calls.contains(&f.name));
    called
        .map(|f| f.access.roles)
        .any(|roles| roles.contains(&Role::Service))
}

fn secret_of(domain: &str) -> String {
    format!("zerocart-{domain}")
}

/// A patch of kustomize, as far as the checks look.
struct Patch {
    /// The pattern of its target's name; anything without one.
    target: String,
    name: Regex,
    /// The kind of its target; any without one.
    kind: Option<String>,
    images: Vec<String>,
    secrets: Vec<String>,
    /// Whether it takes those away that patches before it gave.
    removes_secrets: bool,
    /// Values of `FUNCTION_URL_TEMPLATE`.
    templates: Vec<String>,
}

impl Patch {
    fn read(kustomization: &Value) -> Result<Vec<Self>> {
        let patches = kustomization["patches"].as_array();
        let patches = patches.map_or(&[][..], Vec::as_slice);
        patches.iter().map(Self::one).collect()
    }

    fn one(patch: &Value) -> Result<Self> {
        let target = patch["target"]["name"].as_str().unwrap_or(".*").to_owned();
        let operations = patch["patch"]
            .as_str()
            .context("a patch without operations")?;
        let operations: Value =
            serde_saphyr::from_str(operations).with_context(|| format!("the patch of {target}"))?;
        let (mut images, mut secrets, mut templates) = (Vec::new(), Vec::new(), Vec::new());
        let mut removes_secrets = false;
        for operation in operations.as_array().context("a patch that is no list")? {
            let value = &operation["value"];
            let path = operation["path"].as_str().unwrap_or_default();
            removes_secrets |= operation["op"] == "remove" && path.ends_with("/envFrom");
            if path.ends_with("/image") {
                images.extend(value.as_str().map(str::to_owned));
            }
            for source in value.as_array().unwrap_or(&vec![value.clone()]) {
                let secret = source["secretRef"]["name"].as_str();
                secrets.extend(secret.map(str::to_owned));
                if source["name"] == FUNCTION_URL_TEMPLATE {
                    templates.extend(source["value"].as_str().map(str::to_owned));
                }
            }
        }
        Ok(Self {
            // Kustomize matches the whole name.
            name: Regex::new(&format!("^(?:{target})$"))?,
            target,
            kind: patch["target"]["kind"].as_str().map(str::to_owned),
            images,
            secrets,
            removes_secrets,
            templates,
        })
    }

    fn applies_to(&self, kind: &str, name: &str) -> bool {
        self.kind.as_deref().is_none_or(|wanted| wanted == kind) && self.name.is_match(name)
    }
}

/// A file of YAML with one document.
pub(crate) fn yaml(path: &Path) -> Result<Value> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("cannot read {}", path.display()))
}

fn strings(value: &Value) -> Vec<String> {
    let values = value.as_array().map_or(&[][..], Vec::as_slice);
    let strings = values.iter().filter_map(Value::as_str);
    strings.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{FUNCTIONS, JOBS, only};

    const EDGE: [&str; 1] = ["grpc-mirror"];

    const TEMPLATE: &str = "http://{function}.zerocart.svc.cluster.local";

    /// Manifests as they should be for [`FUNCTIONS`] and [`JOBS`], after `edit` of
    /// kustomization.yaml.
    fn manifests(edit: impl Fn(String) -> String) -> Manifests {
        let mut text = "namespace: zerocart\nresources:\n- namespace.yaml\n".to_owned();
        for f in &FUNCTIONS {
            text += &format!("- services/{}.yaml\n", f.name);
        }
        for job in &JOBS {
            text += &format!("- jobs/{}.yaml\n", job.name);
        }
        for name in EDGE {
            text += &format!("- edge/{name}.yaml\n");
        }
        text += "patches:\n- target: {kind: Service}\n  patch: |-\n    - op: add\n      path: /x\n      \
                 value: [{secretRef: {name: zerocart-auth}}]\n";
        for name in EDGE {
            text += &format!(
                "- target: {{kind: Service, name: {name}}}\n  patch: |-\n    - op: remove\n      \
                 path: /spec/envFrom\n    - op: add\n      path: /spec/image\n      value: dev.local/{name}:1\n"
            );
        }
        for unit in units(&FUNCTIONS, &JOBS) {
            let (name, domain, kind) = (unit.name, unit.domain, unit.kind());
            text += &format!(
                "- target: {{kind: {kind}, name: {name}}}\n  patch: |-\n    - op: add\n      \
                 path: /spec/image\n      value: dev.local/{name}:1\n    - op: add\n      \
                 path: /spec/envFrom/-\n      value: {{secretRef: {{name: zerocart-{domain}}}}}\n"
            );
            if !unit.calls.is_empty() {
                text += &format!(
                    "    - op: add\n      path: /spec/env/-\n      \
                     value: {{name: FUNCTION_URL_TEMPLATE, value: \"{TEMPLATE}\"}}\n"
                );
            }
        }
        Manifests {
            functions: FUNCTIONS.iter().map(|f| Function::new(f.name)).collect(),
            edge: EDGE.iter().map(|name| Function::new(*name)).collect(),
            jobs: JOBS.iter().map(job).collect(),
            port_names: FUNCTIONS
                .iter()
                .map(|f| (f.name.into(), "h2c".into()))
                .collect(),
            kustomization: serde_saphyr::from_str(&edit(text)).expect("the test's file is YAML"),
        }
    }

    fn job(info: &JobInfo) -> Job {
        Job {
            name: info.name.to_owned(),
            schedule: "* * * * *".parse().expect("a schedule"),
            deadline: std::time::Duration::from_secs(55),
            env: Vec::new(),
        }
    }

    #[test]
    fn services_are_the_functions() {
        let check = |manifests: &Manifests| check(&FUNCTIONS, &JOBS, &EDGE, manifests);
        let good = manifests(|text| text);
        assert_eq!(check(&good), [""; 0]);

        let mut fewer = good.clone();
        fewer.functions.pop();
        only(&check(&fewer), "knative/services: get-product is missing");
        let mut more = good.clone();
        more.functions.push(Function::new("eat-product"));
        only(&check(&more), "eat-product is no function");
        let mut port = good.clone();
        port.port_names.insert("get-user".into(), "http1".into());
        only(&check(&port), "get-user: its port is named \"http1\"");
        let mut port = good.clone();
        port.functions[0].container_port = 8012;
        only(&check(&port), "keeps port 8012");

        let mut fewer = good.clone();
        fewer.jobs.clear();
        only(&check(&fewer), "knative/jobs: sweep-users is missing");
        let mut fewer = good.clone();
        fewer.edge.clear();
        only(&check(&fewer), "knative/edge: grpc-mirror is missing");
        let mut more = good.clone();
        more.edge.push(Function::new("eat-users"));
        only(&check(&more), "knative/edge: eat-users is no");
        let mut more = good;
        more.jobs.push(Job {
            name: "eat-users".into(),
            ..job(&JOBS[0])
        });
        only(&check(&more), "knative/jobs: eat-users is no");
    }

    #[test]
    fn what_kustomize_adds_is_each_functions_own() {
        for (from, to, words) in [
            (
                "- services/get-user.yaml\n",
                "",
                "kustomization.yaml: get-user is missing",
            ),
            (
                "- jobs/sweep-users.yaml\n",
                "",
                "kustomization.yaml: sweep-users is missing",
            ),
            (
                "dev.local/get-user:1",
                "dev.local/get-product:1",
                "get-user: its images",
            ),
            (
                "- edge/grpc-mirror.yaml\n",
                "",
                "kustomization.yaml: grpc-mirror is missing",
            ),
            (
                "dev.local/grpc-mirror:1",
                "dev.local/get-user:1",
                "grpc-mirror: its images",
            ),
            (
                "    - op: remove\n      path: /spec/envFrom\n",
                "",
                "grpc-mirror: it needs no zerocart-auth",
            ),
            (
                "zerocart-auth}}]",
                "zerocart-user}}]",
                "get-product: it gets zerocart-user",
            ),
            (
                "dev.local/sweep-users:1",
                "dev.local/get-product:1",
                "sweep-users: its images",
            ),
            (
                "name: zerocart-product",
                "name: zerocart-auth",
                "does not get the secret",
            ),
            (
                "name: get-user}",
                "name: get-user|get-product}",
                "get-product: its images",
            ),
            (
                "{kind: CronJob, name: sweep-users}",
                "{kind: Service, name: sweep-users}",
                "no function is \"sweep-users\"",
            ),
        ] {
            let broken = manifests(|text| text.replace(from, to));
            let problems = check(&FUNCTIONS, &JOBS, &EDGE, &broken);
            assert!(
                problems.iter().any(|p| p.contains(words)),
                "{problems:#?} lack {words}"
            );
        }
        let stale = manifests(|text| text + "- target: {name: eat}\n  patch: '[]'\n");
        only(
            &check(&FUNCTIONS, &JOBS, &EDGE, &stale),
            "no function is \"eat\"",
        );
    }

    #[test]
    fn who_calls_is_told_where_and_nobody_else() {
        let mut functions = FUNCTIONS;
        functions[0].calls = &["get-user"];
        let good = manifests(|text| text);
        only(
            &check(&functions, &JOBS, &EDGE, &good),
            "create-user: its FUNCTION_URL_TEMPLATE is []",
        );
        let mut idle = JOBS;
        idle[0].calls = &[];
        only(
            &check(&FUNCTIONS, &idle, &EDGE, &good),
            "sweep-users: its FUNCTION_URL_TEMPLATE is [\"http",
        );
        let elsewhere = manifests(|text| text.replace(TEMPLATE, "http://{function}.shop"));
        only(
            &check(&FUNCTIONS, &JOBS, &EDGE, &elsewhere),
            "{function}.shop",
        );
    }

    #[test]
    fn who_calls_as_a_service_gets_the_key_and_nobody_else() {
        let mut functions = FUNCTIONS;
        functions[2].access.roles = &[Role::Admin, Role::Service];
        only(
            &check(&functions, &JOBS, &EDGE, &manifests(|text| text)),
            "sweep-users: it lacks zerocart-service-signing",
        );
        let to = |kind: &str, name: &str| {
            let patch = format!(
                "- target: {{kind: {kind}, name: {name}}}\n  patch: |-\n    - op: add\n      \
                 path: /x\n      value: {{secretRef: {{name: {SERVICE_SIGNING}}}}}\n"
            );
            manifests(|text| text + &patch)
        };
        let good = to("CronJob", "sweep-users");
        assert_eq!(check(&functions, &JOBS, &EDGE, &good), [""; 0]);
        only(
            &check(&FUNCTIONS, &JOBS, &EDGE, &good),
            "sweep-users: it needs no zerocart-service-signing",
        );
        let leak = to("Service", "get-user");
        only(
            &check(&FUNCTIONS, &JOBS, &EDGE, &leak),
            "get-user: it needs no zerocart-service-signing",
        );
    }
}
