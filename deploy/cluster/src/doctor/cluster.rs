//! The cluster of a context: whether it answers, and has what a deployment needs.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;

use super::{Asked, Finding, tools};
use crate::{
    Kubectl, Machine, Mode, Problem, Result, Target,
    knative::{self, Found},
    version::Version,
};

/// Knative Serving 1.23 does not start on an earlier one.
const SERVER: Version = Version::new(1, 34, 0);

/// What the pods of `--with observability` ask for, in MiB: the Collector on each node, Jaeger, Prometheus and
/// Grafana.
const COLLECTOR: u64 = 64;
const STORES: u64 = 96 + 96 + 128;

/// What the pods of `--with consul` ask for, in MiB: a server, the injector, the gateway, and what renews the
/// injector's certificate.
const CONSUL: u64 = 128 + 96 + 96 + 50;

/// A server that is far away, or gone, is found out soon.
const LIMIT: Duration = Duration::from_secs(20);

/// What Knative, Kourier and CoreDNS ask for, in thousandths of a CPU.
const KNATIVE: u64 = 1075;

/// Every function starts once when it is deployed: 24 pods, each with its queue-proxy.
const FIRST_START: u64 = 24 * 50;

pub(super) async fn examine(machine: &Machine, asked: &Asked) -> Vec<Finding> {
    let context = asked.target.context();
    let kubectl = Kubectl::new(
        machine.programs.clone(),
        context,
        asked.kubeconfig.clone(),
        Mode::Change,
    );
    let mut findings = Vec::new();
    match self::context(machine, asked, &kubectl).await {
        Ok(finding) => findings.push(finding),
        Err(problem) => return vec![Finding::failed("context", &problem)],
    }
    match versions(&kubectl).await {
        Ok(found) => findings.extend(found),
        Err(problem) => {
            findings.push(Finding::failed("server", &problem));
            return findings;
        }
    }
    let knative = knative::look(&kubectl).await;
    let (rights, nodes, storage) = tokio::join!(
        rights(&kubectl),
        nodes(&kubectl, matches!(knative, Ok(Found::Nothing))),
        storage(&kubectl, asked),
    );
    findings.push(rights);
    match nodes {
        Ok(found) => findings.extend(found),
        Err(problem) => findings.push(Finding::failed("nodes", &problem)),
    }
    // Consul's servers have a volume, too.
    if asked.own_database || asked.consul_volume {
        findings.push(storage);
    }
    if asked.observability || asked.consul {
        findings.push(match memory(&kubectl, asked).await {
            Ok(finding) => finding,
            Err(problem) => Finding::failed("memory", &problem),
        });
    }
    if asked.consul {
        findings.push(consul(&kubectl).await);
    }
    findings.push(match knative {
        Ok(found) => serving(&kubectl, &found).await,
        Err(problem) => Finding::failed("knative", &problem),
    });
    findings
}

async fn context(machine: &Machine, asked: &Asked, kubectl: &Kubectl) -> Result<Finding> {
    let context = kubectl.context();
    let mut call = machine.programs.call("kubectl")?;
    if let Some(file) = &asked.kubeconfig {
        call = call.arg("--kubeconfig").arg(file);
    }
    let call = call.args(["config", "get-contexts", "--output", "name"]);
    let names = call.output().await?;
    if names.lines().any(|name| name == context) {
        return Ok(Finding::good("context", context));
    }
    let names: Vec<_> = names.lines().collect();
    let problem = Problem::new(format!("the kubeconfig has no context {context}"));
    Err(match &asked.target {
        Target::Kind(cluster) => {
            problem.cure(format!("kind export kubeconfig --name {}", cluster.name))
        }
        Target::Context(_) if names.is_empty() => {
            problem.cure("leave --context out for a kind cluster, or name a kubeconfig")
        }
        Target::Context(_) => problem.cure(format!("choose one of: {}", names.join(", "))),
    })
}

async fn versions(kubectl: &Kubectl) -> Result<Vec<Finding>> {
    let context = kubectl.context();
    let call = kubectl.call(["version", "--output", "json"])?;
    let silent = |cause: String| {
        Problem::new("the server does not answer")
            .because(cause)
            .cure(format!(
                "kubectl --context {context} cluster-info; is the cluster running?"
            ))
    };
    let done = call.within(LIMIT).done().await;
    let done = done.map_err(|problem| silent(problem.cause().unwrap_or_default().to_owned()))?;
    let (client, server) = (
        tools::client_version(&done.out),
        tools::server_version(&done.out),
    );
    let Some(server) = server.filter(|_| done.success) else {
        let told = match done.err.trim().is_empty() {
            true => "it names no version".to_owned(),
            false => done.last_lines(),
        };
        return Err(silent(told));
    };
    let mut findings = vec![match server >= SERVER {
        true => Finding::good("server", server.to_string()),
        false => Finding::bad(
            "server",
            format!(
                "Kubernetes {server}; Knative {} needs {SERVER}",
                knative::VERSION
            ),
            "use or upgrade to a cluster of Kubernetes 1.34 or later",
        ),
    }];
    findings.extend(client.and_then(|client| tools::skew(client, server)));
    Ok(findings)
}

async fn rights(kubectl: &Kubectl) -> Finding {
    let name = "rights";
    let asked = async {
        let call = kubectl.call(["auth", "can-i", "*", "*", "--all-namespaces"])?;
        call.within(LIMIT).done().await
    };
    match asked.await {
        Ok(done) if done.success => Finding::good(name, "everything"),
        Ok(_) => Finding::warning(
            name,
            "not everything: a deployment makes namespaces, roles and custom resources",
            "ask for the role cluster-admin for the deployment",
        ),
        Err(problem) => Finding::failed(name, &problem),
    }
}

async fn nodes(kubectl: &Kubectl, without_knative: bool) -> Result<Vec<Finding>> {
    let nodes = kubectl.list("nodes", "", "").await?;
    let usable: Vec<_> = nodes.iter().filter(|node| is_usable(node)).collect();
    if usable.is_empty() {
        let found = format!("none of {} nodes is ready", nodes.len());
        let cure = format!("kubectl --context {} describe nodes", kubectl.context());
        return Ok(vec![Finding::bad("nodes", found, cure)]);
    }
    let kinds: BTreeSet<_> = usable
        .iter()
        .filter_map(|node| node["status"]["nodeInfo"]["architecture"].as_str())
        .collect();
    let kinds: Vec<_> = kinds.into_iter().collect();
    let found = format!("{} ready, {}", usable.len(), kinds.join(" and "));
    let architecture = match kinds[..] {
        ["amd64"] | ["arm64"] => Finding::good("nodes", found),
        [_] => Finding::bad(
            "nodes",
            format!("{found}: there are no images for it"),
            "use nodes of amd64 or of arm64",
        ),
        _ => Finding::bad(
            "nodes",
            format!("{found}: an image is made for one of them"),
            "use a cluster whose nodes have one architecture, or cordon the others",
        ),
    };
    let (allocatable, asked) = supply(kubectl, &usable, "cpu", millis).await?;
    let free = allocatable.saturating_sub(asked);
    let needed = FIRST_START + if without_knative { KNATIVE } else { 0 };
    let found = format!("{} of {} CPUs are free", cpus(free), cpus(allocatable));
    let cpu = match free >= needed {
        true => Finding::good("cpu", found),
        false => Finding::warning(
            "cpu",
            format!(
                "{found}; {} are asked for when all functions start at once, so some will wait",
                cpus(needed)
            ),
            "nothing, if the first deployment may take some minutes more; else add CPUs or a node",
        ),
    };
    Ok(vec![architecture, cpu])
}

/// How much of a resource these nodes have, and how much of it the pods of the cluster ask for.
async fn supply(
    kubectl: &Kubectl,
    nodes: &[&Value],
    resource: &str,
    parse: fn(&str) -> Option<u64>,
) -> Result<(u64, u64)> {
    let allocatable = nodes
        .iter()
        .filter_map(|node| parse(node["status"]["allocatable"][resource].as_str()?));
    let requests = format!(
        "jsonpath={{range .items[*].spec.containers[*]}}{{.resources.requests.{resource}}} {{end}}"
    );
    let call = kubectl.call([
        "get",
        "pods",
        "--all-namespaces",
        "--field-selector",
        "status.phase!=Succeeded,status.phase!=Failed",
        "--output",
        &requests,
    ])?;
    let asked = call.within(LIMIT).output().await?;
    let asked = asked.split_whitespace().filter_map(parse).sum();
    Ok((allocatable.sum(), asked))
}

/// The memory that is not asked for by pods, against what the pods of `--with` ask for.
async fn memory(kubectl: &Kubectl, asked_for: &Asked) -> Result<Finding> {
    let nodes = kubectl.list("nodes", "", "").await?;
    let usable: Vec<_> = nodes.iter().filter(|node| is_usable(node)).collect();
    let (allocatable, asked) = supply(kubectl, &usable, "memory", mebibytes).await?;
    let free = allocatable.saturating_sub(asked);
    let mut needed = 0;
    let mut options = Vec::new();
    if asked_for.observability {
        needed += STORES + COLLECTOR * usable.len() as u64;
        options.push("observability");
    }
    if asked_for.consul {
        needed += CONSUL;
        options.push("consul");
    }
    let option = format!("--with {}", options.join(","));
    let found = format!("{free} of {allocatable} MiB are asked for by no pod");
    Ok(match free >= needed {
        true => Finding::good("memory", found),
        false => Finding::warning(
            "memory",
            format!("{found}; {option} asks for {needed}, so a part of it will wait"),
            format!("leave {option} out, or add memory or a node"),
        ),
    })
}

/// A cluster has one Consul: its custom resources and webhooks are of the whole cluster.
async fn consul(kubectl: &Kubectl) -> Finding {
    let name = "consul";
    let resource = "serviceintentions.consul.hashicorp.com";
    let found = match kubectl.get("customresourcedefinition", "", resource).await {
        Ok(found) => found,
        Err(problem) => return Finding::failed(name, &problem),
    };
    let Some(resource) = found else {
        return Finding::good(name, "not there; its chart will be installed");
    };
    let release = &resource["metadata"]["annotations"]["meta.helm.sh/release-name"];
    match release.as_str() {
        Some(release) if release == crate::consul::RELEASE => {
            Finding::good(name, "installed by zerocart")
        }
        release => Finding::bad(
            name,
            format!(
                "another Consul is installed (helm release {}), and a cluster can have one",
                release.unwrap_or("unknown")
            ),
            "use another cluster, or leave --with consul out",
        ),
    }
}

fn is_usable(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array();
    let ready = conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    ready && node["spec"]["unschedulable"] != true
}

async fn storage(kubectl: &Kubectl, asked: &Asked) -> Finding {
    let name = "storage";
    let (without, instead) = match (asked.own_database, asked.consul_volume) {
        (false, _) => (
            "Consul gets",
            "name one in a file for --consul-values: server.storageClass",
        ),
        (true, false) => (
            "PostgreSQL gets",
            "name one with --storage-class, or use a managed server with --database-url",
        ),
        (true, true) => (
            "PostgreSQL and Consul get",
            "name one with --storage-class, and in a file for --consul-values: server.storageClass",
        ),
    };
    let classes = match kubectl.list("storageclasses", "", "").await {
        Ok(classes) => classes,
        Err(problem) => return Finding::failed(name, &problem),
    };
    let default = classes.iter().find(|class| {
        let annotations = &class["metadata"]["annotations"];
        annotations["storageclass.kubernetes.io/is-default-class"] == "true"
    });
    match default {
        Some(class) => {
            let class = class["metadata"]["name"].as_str().unwrap_or_default();
            Finding::good(name, format!("StorageClass {class}"))
        }
        None => Finding::bad(
            name,
            format!("no StorageClass is the default: {without} no volume"),
            format!(
                "kubectl --context {} annotate storageclass NAME \
                 storageclass.kubernetes.io/is-default-class=true; or {instead}",
                kubectl.context()
            ),
        ),
    }
}

async fn serving(kubectl: &Kubectl, found: &Found) -> Finding {
    let name = "knative";
    let good = match found {
        Found::Nothing => format!("not there; {} will be installed", knative::VERSION),
        Found::Ours { version, complete } => match complete {
            true => format!("{version}, installed by zerocart"),
            false => format!("{version}, whose installation will go on"),
        },
        Found::Others { version } => {
            if let Err(problem) = knative::kourier_is_the_ingress(kubectl).await {
                return Finding::failed(name, &problem);
            }
            if let Some(doubt) = knative::doubt(version.as_deref()) {
                let cure =
                    "upgrade it, or try a deployment: it only adds a port to Kourier's Service";
                return Finding::warning(name, doubt, cure);
            }
            let version = version.as_deref().unwrap_or_default();
            format!("{version}, installed by others: it will be used as it is")
        }
    };
    Finding::good(name, good)
}

/// A quantity of CPUs (`2`, `1930m`, `0.5`) in thousandths.
fn millis(quantity: &str) -> Option<u64> {
    if let Some(millis) = quantity.strip_suffix('m') {
        return millis.parse().ok();
    }
    let (whole, part) = quantity.split_once('.').unwrap_or((quantity, ""));
    let part: String = format!("{part}000").chars().take(3).collect();
    Some(whole.parse::<u64>().ok()?.saturating_mul(1000) + part.parse::<u64>().ok()?)
}

/// A quantity of memory (`64Mi`, `1Gi`, `16309220Ki`, `128974848`) in MiB.
fn mebibytes(quantity: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 7] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("k", 1000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("", 1),
    ];
    let (number, unit) = UNITS
        .iter()
        .find_map(|(unit, bytes)| Some((quantity.strip_suffix(unit)?, bytes)))?;
    Some(number.parse::<u64>().ok()?.saturating_mul(*unit) >> 20)
}

fn cpus(millis: u64) -> String {
    format!("{}.{}", millis / 1000, millis % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_read_as_kubernetes_writes_them() {
        for (text, expected) in [
            ("2", Some(2000)),
            ("1930m", Some(1930)),
            ("0.5", Some(500)),
            ("1.25", Some(1250)),
            ("two", None),
        ] {
            assert_eq!(millis(text), expected, "{text}");
        }
        assert_eq!(cpus(1930), "1.9");
    }

    #[test]
    fn memory_is_read_as_kubernetes_writes_it() {
        for (text, expected) in [
            ("64Mi", Some(64)),
            ("2Gi", Some(2048)),
            ("16309220Ki", Some(15926)),
            ("128974848", Some(123)),
            ("129M", Some(123)),
            ("much", None),
        ] {
            assert_eq!(mebibytes(text), expected, "{text}");
        }
    }
}
