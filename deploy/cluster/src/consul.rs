//! Consul on a cluster: the official chart in a namespace of its own, and its configuration, which the generator
//! makes from who calls whom.
//!
//! The order keeps every caller working. To install: Consul, then the callers with their sidecars, and only when
//! they are ready the policies that close the way past the gateway ([`tighten`]). To remove: the policies first
//! ([`loosen`]), then the callers without sidecars, then Consul ([`remove`]).

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use serde_json::Value;

use crate::{
    Applied, Kubectl, Mode, Patience, Problem, Progress, Result, Wait, documents,
    knative::{self, Found},
    names,
    object::{condition, kind, name, ours, text},
    rollout::{Look, wait},
};

/// Consul's helm release.
pub const RELEASE: &str = "zerocart-consul";

/// Where Consul's official chart is, and its version.
const CHART: [&str; 5] = [
    "consul",
    "--repo",
    "https://helm.releases.hashicorp.com",
    "--version",
    "2.0.3",
];

/// The label of objects in the namespace of the functions that are only there with Consul.
const LABEL: &str = "zerocart/mesh";

/// The policy of the functions that lets them reach Kourier without Consul, and nobody with it.
const CALLS: &str = "names-and-calls";

/// The kinds of Consul's configuration: those of a namespace, and those of the cluster.
const ENTRIES: [&str; 6] = [
    "serviceintentions.consul.hashicorp.com",
    "terminatinggateways.consul.hashicorp.com",
    "serviceresolvers.consul.hashicorp.com",
    "servicedefaults.consul.hashicorp.com",
    "proxydefaults.consul.hashicorp.com",
    "meshes.consul.hashicorp.com",
];
const REGISTRATIONS: &str = "registrations.consul.hashicorp.com";

/// Images are fetched first, and helm runs jobs that make certificates and the first tokens.
const START: Duration = Duration::from_secs(300);

/// How long helm, and the server after it, may take to remove everything.
const GONE: Duration = Duration::from_secs(240);

/// Where the files are.
#[derive(Clone, Debug)]
pub struct Files {
    /// The folder of the manifests around the functions.
    pub manifests: PathBuf,
    /// The folder of values and configuration: `consul`.
    pub folder: PathBuf,
    /// The values of the environment, in that folder.
    pub values: &'static str,
    /// More values.
    pub more_values: Vec<PathBuf>,
    /// The chart; none for the official one.
    pub chart: Option<String>,
}

/// Whether one of these files of values names the StorageClass of its servers' volumes. Without that they need the
/// cluster's default.
///
/// # Errors
///
/// When a file cannot be read, or is no YAML.
pub fn names_storage(values: &[PathBuf]) -> Result<bool> {
    for file in values {
        let of_server = |values: &Value| !text(&values["server"]["storageClass"]).is_empty();
        if documents::read(file)?.iter().any(of_server) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a deployment has put it on the cluster.
///
/// # Errors
///
/// When the server cannot be asked.
pub async fn is_there(kubectl: &Kubectl) -> Result<bool> {
    let found = kubectl.get("namespace", "", names::CONSUL).await?;
    Ok(found.is_some_and(|namespace| ours(&namespace)))
}

/// Installs it, or changes what differs.
///
/// # Errors
///
/// When the server or helm refuses, a part of it does not start, or Consul does not take the configuration.
pub async fn install(
    kubectl: &Kubectl,
    progress: &Progress,
    files: &Files,
    patience: Patience,
) -> Result<String> {
    let manifest = files.manifests.join("consul.yaml");
    let mut applied = kubectl.apply(&documents::read(&manifest)?).await?;
    helm(kubectl, files).await?;
    if kubectl.mode() == Mode::Change {
        // Not by helm's --wait, which does not say what it waits for.
        let wait = Wait::new(kubectl, progress, names::CONSUL, START);
        wait.statefulset("consul-server").await?;
        for part in ["consul-connect-injector", "consul-terminating-gateway"] {
            wait.deployment(part).await?;
        }
    }
    let entries = entries(kubectl, files).await?;
    if kubectl.mode() == Mode::DryRun && !knows_entries(kubectl).await? {
        return Ok(format!(
            "{applied}; its configuration cannot be checked before Consul is there"
        ));
    }
    applied += configure(kubectl, progress, &entries, patience).await?;
    prune(kubectl, &entries).await?;
    synced(kubectl, progress, &entries, patience).await?;
    Ok(applied.to_string())
}

/// Takes the policy that closes the way past the gateway out of the functions' objects: [`tighten`] applies it when
/// all callers have their sidecars.
///
/// # Errors
///
/// When the objects have no such policy.
pub fn held_back(objects: &mut Vec<Value>) -> Result<Value> {
    let is = |object: &Value| kind(object) == "NetworkPolicy" && name(object) == CALLS;
    let found = objects.iter().position(is);
    let found = found
        .ok_or_else(|| Problem::new(format!("the manifests have no NetworkPolicy {CALLS}")))?;
    Ok(objects.remove(found))
}

/// Closes the ways past the gateway. `policy` is what [`held_back`] took out.
///
/// # Errors
///
/// When the server refuses.
pub async fn tighten(kubectl: &Kubectl, files: &Files, policy: Value) -> Result<String> {
    let mut applied = kubectl.apply(&[policy]).await?;
    let mut note = "";
    if kubectl.mode() == Mode::Print || matches!(knative::look(kubectl).await?, Found::Ours { .. })
    {
        let manifest = files.manifests.join("consul-kourier.yaml");
        applied += kubectl.apply(&documents::read(&manifest)?).await?;
    } else {
        note = ". Kourier is somebody else's: who may reach it is for its owner to decide";
    }
    Ok(format!("{applied}{note}"))
}

/// Opens the way past the gateway again, before callers lose their sidecars.
///
/// # Errors
///
/// When the server refuses.
pub async fn loosen(kubectl: &Kubectl) -> Result<()> {
    let args = [
        "networkpolicy/zerocart-mesh",
        "--namespace",
        knative::KOURIER,
    ];
    kubectl.delete(&args, START).await.map(drop)
}

/// Removes all of it, with its certificates and its data, once no caller has a sidecar.
///
/// # Errors
///
/// When the server refuses, or when helm is not installed.
pub async fn remove(kubectl: &Kubectl, progress: &Progress) -> Result<()> {
    let Some(namespace) = kubectl.get("namespace", "", names::CONSUL).await? else {
        return Ok(());
    };
    if !ours(&namespace) {
        return Err(Problem::new(format!(
            "the namespace {} is somebody else's",
            names::CONSUL
        ))
        .because(format!(
            "it lacks the label {}: {}",
            names::MANAGED_BY,
            names::MANAGER
        )));
    }
    if kubectl.programs().find("helm").is_none() {
        return Err(
            Problem::new(format!("the helm release {RELEASE} cannot be removed"))
                .because("helm is not installed")
                .cure("install helm: https://helm.sh/docs/intro/install"),
        );
    }
    loosen(kubectl).await?;
    let label = format!("{}={}", names::MANAGED_BY, names::MANAGER);
    // Consul's controllers take their finalizers off, so this is before they go.
    if knows_entries(kubectl).await? {
        let mut kinds = ENTRIES.to_vec();
        kinds.push(REGISTRATIONS);
        for entries in kinds {
            let mut args = vec![entries, "--selector", &label];
            if entries != REGISTRATIONS {
                args.extend(["--namespace", names::CONSUL]);
            }
            kubectl.delete(&args, GONE).await.map_err(|problem| {
                problem
                    .in_step("Consul's configuration cannot be removed")
                    .or_cure(format!(
                        "Consul's controller takes it away. Does it run? kubectl --context {} get pods --namespace {}",
                        kubectl.context(),
                        names::CONSUL
                    ))
            })?;
        }
    }
    for kinds in ["networkpolicies", "services", "serviceaccounts"] {
        let args = [kinds, "--selector", LABEL, "--namespace", names::FUNCTIONS];
        kubectl.delete(&args, START).await?;
    }
    progress.event("Consul is removed, with its certificates and its data");
    let release = kubectl.helm([
        "uninstall",
        RELEASE,
        "--namespace",
        names::CONSUL,
        "--ignore-not-found",
        "--wait",
        "--timeout",
        "200s",
    ])?;
    release.within(GONE).output().await?;
    let object = format!("namespace/{}", names::CONSUL);
    kubectl.delete(&[&object], GONE).await.map(drop)
}

async fn helm(kubectl: &Kubectl, files: &Files) -> Result<()> {
    let mut args: Vec<String> = ["upgrade", "--install", RELEASE]
        .map(str::to_owned)
        .to_vec();
    match &files.chart {
        Some(chart) => args.push(chart.clone()),
        None => args.extend(CHART.map(str::to_owned)),
    }
    args.extend(["--namespace", names::CONSUL].map(str::to_owned));
    let own = ["values.yaml", files.values].map(|file| files.folder.join(file));
    for file in own.iter().chain(&files.more_values) {
        args.extend(["--values".to_owned(), file.display().to_string()]);
    }
    match kubectl.mode() {
        Mode::Change => {}
        // The namespace does not exist before the first deployment.
        Mode::DryRun => args.push("--dry-run=client".to_owned()),
        Mode::Print => return Ok(()),
    }
    let helm = kubectl.helm(args.iter().map(String::as_str))?;
    helm.within(START).output().await.map_err(|problem| {
        problem
            .in_step("Consul cannot be installed")
            .or_cure("without internet: --consul-chart CHART, a folder or an archive")
    })?;
    Ok(())
}

/// Consul's configuration.
async fn entries(kubectl: &Kubectl, files: &Files) -> Result<Vec<Value>> {
    let folder = files.folder.display().to_string();
    let made = kubectl.programs().call("kubectl")?;
    let made = made.args(["kustomize", &folder]).output().await?;
    documents::parse(&folder, &made)
}

/// Whether the server knows the kinds of Consul's configuration.
async fn knows_entries(kubectl: &Kubectl) -> Result<bool> {
    let found = kubectl
        .get("customresourcedefinition", "", ENTRIES[0])
        .await?;
    Ok(found.is_some())
}

/// Applies the configuration, and repeats that while Consul's webhook, which checks it, cannot be called yet.
async fn configure(
    kubectl: &Kubectl,
    progress: &Progress,
    entries: &[Value],
    patience: Patience,
) -> Result<Applied> {
    wait(patience, progress, "Consul's configuration", async || {
        let problem = match kubectl.apply(entries).await {
            Ok(applied) => return Ok(Look::Done(applied)),
            Err(problem) => problem,
        };
        let cause = problem.cause().unwrap_or_default();
        match cause.contains("failed calling webhook") {
            true => Ok(Look::Missing(
                Problem::new("Consul's webhook cannot be called")
                    .because(cause)
                    .cure(format!(
                        "see kubectl --context {} logs deployment/consul-connect-injector --namespace {}",
                        kubectl.context(),
                        names::CONSUL
                    )),
            )),
            false => Err(problem.in_step("Consul does not take its configuration")),
        }
    })
    .await
}

/// Deletes the configuration of functions and callers that are no more.
async fn prune(kubectl: &Kubectl, entries: &[Value]) -> Result<()> {
    if kubectl.mode() != Mode::Change {
        return Ok(());
    }
    let wanted: BTreeSet<_> = entries.iter().map(|one| (kind(one), name(one))).collect();
    let label = format!("{}={}", names::MANAGED_BY, names::MANAGER);
    let mut there = kubectl
        .list(&ENTRIES.join(","), names::CONSUL, &label)
        .await?;
    there.extend(kubectl.list(REGISTRATIONS, "", &label).await?);
    for one in &there {
        if !wanted.contains(&(kind(one), name(one))) {
            let object = format!(
                "{}.consul.hashicorp.com/{}",
                kind(one).to_lowercase(),
                name(one)
            );
            let mut args = vec![object.as_str()];
            if kind(one) != "Registration" {
                args.extend(["--namespace", names::CONSUL]);
            }
            kubectl.delete(&args, START).await?;
        }
    }
    Ok(())
}

/// Waits until Consul itself has everything: the server only keeps it.
async fn synced(
    kubectl: &Kubectl,
    progress: &Progress,
    entries: &[Value],
    patience: Patience,
) -> Result<()> {
    if kubectl.mode() != Mode::Change {
        return Ok(());
    }
    wait(patience, progress, "Consul's configuration", async || {
        let mut there = kubectl.list(&ENTRIES.join(","), names::CONSUL, "").await?;
        there.extend(kubectl.list(REGISTRATIONS, "", "").await?);
        let found = |wanted: &Value| {
            let same = |one: &&Value| kind(one) == kind(wanted) && name(one) == name(wanted);
            there.iter().find(same)
        };
        let missing: Vec<_> = entries
            .iter()
            .filter(|wanted| {
                let state = found(wanted).and_then(|one| condition(one, "Synced"));
                state.is_none_or(|state| state["status"] != "True")
            })
            .collect();
        let Some(first) = missing.first() else {
            return Ok(Look::Done(()));
        };
        let state = found(first).and_then(|one| condition(one, "Synced"));
        let cause = state.map_or("Consul's controller has not looked at it", |state| {
            text(&state["message"])
        });
        Ok(Look::Missing(
            Problem::new(format!(
                "{} of {} entries are not in Consul, such as {} {}",
                missing.len(),
                entries.len(),
                kind(first),
                name(first)
            ))
            .because(cause)
            .cure(format!(
                "kubectl --context {} logs deployment/consul-connect-injector --namespace {}",
                kubectl.context(),
                names::CONSUL
            )),
        ))
    })
    .await
}
