//! Knative Serving with Kourier: installed where there is none, and used as it is where somebody else
//! has installed it.
//!
//! The order is the one that works on an empty cluster: custom resources until the server knows them,
//! Serving until its webhook can be reached through its Service, Kourier, then the settings. A webhook
//! whose pod is ready is not yet reached; that is the usual failure of a first installation.

mod files;
mod remove;

use std::{path::PathBuf, time::Duration};

use serde_json::{Value, json};

use crate::{
    Kubectl, Mode, Patience, Problem, Progress, Result,
    rollout::{self, Look, wait},
    version::Version,
};

pub use remove::remove;

/// The release that is installed.
pub const VERSION: &str = "1.23.0";

/// The oldest Serving that the functions were tried on.
const OLDEST: Version = Version::new(1, 23, 0);

/// Serving's namespace. Kourier's controller is there, too.
pub(crate) const SERVING: &str = "knative-serving";

/// The namespace of Kourier's gateway.
pub(crate) const KOURIER: &str = "kourier-system";

/// The Deployments of Serving.
const SERVING_PARTS: &[&str] = &["controller", "autoscaler", "activator", "webhook"];

/// Annotations of Serving's namespace: which release was begun, and which one is complete.
const BEGUN: &str = "zerocart/knative";
const COMPLETE: &str = "zerocart/knative-complete";

/// Kourier's ingress class.
const CLASS: &str = "kourier.ingress.networking.knative.dev";

/// The domain under which functions are private. It is Serving's own choice.
const PRIVATE_DOMAIN: &str = "svc.cluster.local";

/// The port of `kourier-internal` through which the edge speaks gRPC, and Envoy's port behind it.
const GRPC_PORT: u16 = 8082;
const GRPC_TARGET: u16 = 8081;

/// What is to be installed, and from where.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The folder with the three files of the release; without it they are fetched.
    pub folder: Option<PathBuf>,
    /// Whether the cluster has one node that runs all else, too, as a kind cluster does. Its pods then
    /// ask for less CPU, and nothing scales them.
    pub small: bool,
    /// How long each wait may take.
    pub patience: Patience,
}

/// What of Knative a cluster has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// What a deployment has installed.
    Ours {
        /// Its release.
        version: String,
        /// Whether it was installed to the end.
        complete: bool,
    },
    /// What somebody else has installed.
    Others {
        /// Its release, where it is known.
        version: Option<String>,
    },
}

/// Looks what of Knative a cluster has.
///
/// # Errors
///
/// When the server cannot be asked.
pub async fn look(kubectl: &Kubectl) -> Result<Found> {
    let Some(namespace) = kubectl.get("namespace", "", SERVING).await? else {
        return Ok(Found::Nothing);
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let (labels, annotations) = (
        &namespace["metadata"]["labels"],
        &namespace["metadata"]["annotations"],
    );
    Ok(match text(&annotations[BEGUN]) {
        Some(version) => Found::Ours {
            complete: text(&annotations[COMPLETE]).as_ref() == Some(&version),
            version,
        },
        None => Found::Others {
            version: text(&labels["app.kubernetes.io/version"]),
        },
    })
}

/// Installs Serving and Kourier, or checks what is there. Returns in words what it did.
///
/// # Errors
///
/// When a file cannot be had, the server refuses something, a part does not come up in time, or what
/// somebody else installed does not fit.
pub async fn ensure(
    kubectl: &Kubectl,
    wanted: &Wanted,
    progress: &Progress,
) -> Result<((), String)> {
    if kubectl.mode() == Mode::Print {
        let files = files::names(wanted).join(", ");
        return Ok(((), format!("{VERSION}, from {files}")));
    }
    let found = look(kubectl).await?;
    if let Found::Others { version } = found {
        return others(kubectl, version, progress).await;
    }
    let current = Found::Ours {
        version: VERSION.to_owned(),
        complete: true,
    };
    let fresh = found != current || missing_parts(kubectl).await?;
    if fresh && kubectl.mode() == Mode::DryRun {
        let applied = kubectl
            .apply_text(files::crds(kubectl, wanted).await?)
            .await?;
        return Ok((
            (),
            format!("{VERSION} would be installed; of its custom resources: {applied}"),
        ));
    }
    if fresh {
        install(kubectl, wanted, progress).await?;
    }
    let mut changes = settings(kubectl, wanted, progress).await?;
    parts(kubectl, wanted, progress).await?;
    if fresh {
        let patch = json!({"metadata": {"annotations": {COMPLETE: VERSION}}});
        kubectl.patch("namespace", "", SERVING, &patch).await?;
        changes.insert(0, "installed");
    }
    if changes.is_empty() {
        changes.push("unchanged");
    }
    Ok(((), format!("{VERSION}, {}", changes.join(", "))))
}

/// Whether a Deployment is not there that a complete installation has.
async fn missing_parts(kubectl: &Kubectl) -> Result<bool> {
    let serving = kubectl.list("deployments", SERVING, "").await?;
    let kourier = kubectl.list("deployments", KOURIER, "").await?;
    let there = |list: &[Value], name: &str| {
        let mut names = list.iter().map(|object| &object["metadata"]["name"]);
        names.any(|found| found == name)
    };
    let complete = SERVING_PARTS.iter().all(|name| there(&serving, name))
        && there(&serving, files::CONTROLLER)
        && there(&kourier, files::GATEWAY);
    Ok(!complete)
}

async fn install(kubectl: &Kubectl, wanted: &Wanted, progress: &Progress) -> Result<()> {
    progress.event("the custom resources are applied");
    let crds = files::crds(kubectl, wanted).await?;
    kubectl
        .apply_text(crds.clone())
        .await
        .map_err(|problem| problem.in_step("Knative's custom resources cannot be applied"))?;
    let established = kubectl.call([
        "wait",
        "--for=condition=Established",
        "--timeout=60s",
        "--filename",
        "-",
    ])?;
    let established = established.input(crds).within(Duration::from_secs(75));
    established.output().await.map_err(|problem| {
        problem
            .in_step("Knative's custom resources were not established within 60 s")
            .cure(format!(
                "kubectl --context {} get crd --selector {}={}",
                kubectl.context(),
                files::LABEL.0,
                files::LABEL.1
            ))
    })?;

    progress.event("Serving is applied");
    let core = files::core(kubectl, wanted).await?;
    behind_webhook(kubectl, wanted, progress, async || {
        kubectl.apply_text(core.clone()).await.map(drop)
    })
    .await?;
    rollout::deployments(kubectl, progress, wanted.patience, SERVING, SERVING_PARTS).await?;
    webhook(kubectl, wanted, progress).await?;

    progress.event("Kourier is applied");
    let kourier = files::kourier(kubectl, wanted).await?;
    behind_webhook(kubectl, wanted, progress, async || {
        kubectl.apply_text(kourier.clone()).await.map(drop)
    })
    .await
}

/// Waits until the webhook is reached through its Service, not only until its pod is ready.
async fn webhook(kubectl: &Kubectl, wanted: &Wanted, progress: &Progress) -> Result<()> {
    let what = "the endpoint of Knative's webhook";
    wait(wanted.patience, progress, what, async || {
        let labels = "kubernetes.io/service-name=webhook";
        let slices = kubectl.list("endpointslices", SERVING, labels).await?;
        let endpoints = slices
            .iter()
            .filter_map(|slice| slice["endpoints"].as_array());
        let ready = endpoints
            .flatten()
            .any(|endpoint| endpoint["conditions"]["ready"] == true);
        Ok(match ready {
            true => Look::Done(()),
            false => Look::Missing(
                Problem::new("its Service has no endpoint that is ready").cure(format!(
                    "kubectl --context {} describe endpointslices --namespace {SERVING} \
                     --selector {labels}",
                    kubectl.context()
                )),
            ),
        })
    })
    .await
}

/// Makes a change that Knative's webhook checks, and repeats it while the webhook cannot be called.
async fn behind_webhook(
    kubectl: &Kubectl,
    wanted: &Wanted,
    progress: &Progress,
    mut change: impl AsyncFnMut() -> Result<()>,
) -> Result<()> {
    let what = "a change that Knative's webhook checks";
    wait(wanted.patience, progress, what, async || {
        let Err(problem) = change().await else {
            return Ok(Look::Done(()));
        };
        let cause = problem.cause().unwrap_or_default();
        match cause.contains("failed calling webhook") {
            true => Ok(Look::Missing(
                Problem::new("the webhook cannot be called")
                    .because(cause)
                    .cure(format!(
                        "see kubectl --context {} logs deployment/webhook --namespace {SERVING}; \
                         a network policy or a firewall between the server and the node is another \
                         cause",
                        kubectl.context()
                    )),
            )),
            false => Err(problem),
        }
    })
    .await
}

/// Sets what the functions need, where it is not so yet. Says what was changed.
async fn settings(
    kubectl: &Kubectl,
    wanted: &Wanted,
    progress: &Progress,
) -> Result<Vec<&'static str>> {
    let mut changes = Vec::new();
    if class(kubectl).await?.as_deref() != Some(CLASS) {
        let patch = json!({"data": {"ingress-class": CLASS}});
        behind_webhook(kubectl, wanted, progress, async || {
            kubectl
                .patch("configmap", SERVING, "config-network", &patch)
                .await
        })
        .await?;
        changes.push("ingress class set");
    }
    if grpc_port(kubectl).await? {
        changes.push("gRPC port added");
    }
    Ok(changes)
}

/// The default ingress class of a cluster.
async fn class(kubectl: &Kubectl) -> Result<Option<String>> {
    let network = kubectl.get("configmap", SERVING, "config-network").await?;
    let data = network.map(|mut network| network["data"].take());
    let data = data.unwrap_or_default();
    // The older spelling still counts.
    let class = [&data["ingress-class"], &data["ingress.class"]];
    let class = class.into_iter().find_map(Value::as_str);
    Ok(class.map(str::to_owned))
}

/// Adds the port for gRPC to Kourier's Service, where there is none. Says whether it did.
async fn grpc_port(kubectl: &Kubectl) -> Result<bool> {
    let name = "kourier-internal";
    let Some(service) = kubectl.get("service", KOURIER, name).await? else {
        return Err(Problem::new(format!(
            "Kourier's Service {name} is not in namespace {KOURIER}"
        ))
        .cure(format!(
            "install Kourier there: kubectl --context {} apply --filename {}",
            kubectl.context(),
            files::KOURIER_URL
        )));
    };
    let ports = service["spec"]["ports"].as_array();
    let there = ports
        .into_iter()
        .flatten()
        .find(|port| port["port"] == GRPC_PORT);
    if let Some(port) = there {
        return match port["targetPort"] == GRPC_TARGET {
            true => Ok(false),
            false => Err(Problem::new(format!(
                "port {GRPC_PORT} of Kourier's Service {name} is used for something else"
            ))
            .because(format!(
                "it leads to {}, not to {GRPC_TARGET}",
                port["targetPort"]
            ))
            .cure("use a cluster whose Kourier keeps that port free")),
        };
    }
    let patch = json!([{
        "op": "add",
        "path": "/spec/ports/-",
        "value": {
            "name": "grpc",
            "port": GRPC_PORT,
            "targetPort": GRPC_TARGET,
            "protocol": "TCP",
        },
    }]);
    kubectl
        .patch_as("json", "service", KOURIER, name, &patch)
        .await?;
    Ok(true)
}

/// Waits until every part runs.
async fn parts(kubectl: &Kubectl, wanted: &Wanted, progress: &Progress) -> Result<()> {
    let patience = wanted.patience;
    let mut serving = SERVING_PARTS.to_vec();
    serving.push(files::CONTROLLER);
    rollout::deployments(kubectl, progress, patience, SERVING, &serving).await?;
    rollout::deployments(kubectl, progress, patience, KOURIER, &[files::GATEWAY]).await
}

/// What is doubtful about a release that somebody else has installed.
pub(crate) fn doubt(version: Option<&str>) -> Option<String> {
    match version.and_then(Version::find) {
        Some(version) if version >= OLDEST => None,
        Some(version) => Some(format!(
            "Knative {version} is older than {OLDEST}, which zerocart was tried on"
        )),
        None => Some(format!(
            "the release of Knative is not known ({}); zerocart was tried on {OLDEST}",
            version.unwrap_or("it has no label")
        )),
    }
}

/// Checks the ingress of a Knative that somebody else has installed.
pub(crate) async fn kourier_is_the_ingress(kubectl: &Kubectl) -> Result<()> {
    let class = class(kubectl).await?;
    if class.as_deref() == Some(CLASS) {
        return Ok(());
    }
    let class = class.as_deref().unwrap_or("Istio, its own choice");
    let context = kubectl.context();
    Err(Problem::new("Knative's ingress is not Kourier")
        .because(format!("the ingress class of this cluster is {class}"))
        .cure(format!(
            "use another cluster, or, if nothing else runs on this Knative:\n\
             kubectl --context {context} apply --filename {}\n\
             kubectl --context {context} patch configmap config-network --namespace {SERVING} \
             --type merge --patch '{{\"data\":{{\"ingress-class\":\"{CLASS}\"}}}}'",
            files::KOURIER_URL
        )))
}

/// What somebody else has installed is not changed, but for one more port of a Service.
async fn others(
    kubectl: &Kubectl,
    version: Option<String>,
    progress: &Progress,
) -> Result<((), String)> {
    let shown = version
        .as_deref()
        .unwrap_or("of an unknown release")
        .to_owned();
    if let Some(doubt) = doubt(version.as_deref()) {
        progress.say(format_args!("  warning: {doubt}"));
    }
    kourier_is_the_ingress(kubectl).await?;
    let domains = kubectl.get("configmap", SERVING, "config-domain").await?;
    let domains = domains.map(|mut domains| domains["data"].take());
    let public = domains.as_ref().and_then(Value::as_object);
    let public = public.into_iter().flatten().find(|(name, selector)| {
        let everything = selector.as_str().is_none_or(|text| text.trim().is_empty());
        *name != "_example" && *name != PRIVATE_DOMAIN && everything
    });
    if let Some((domain, _)) = public {
        progress.say(format_args!(
            "  warning: Knative serves functions below {domain}, too, past the edge and its limits, \
             unless they have the label networking.knative.dev/visibility=cluster-local"
        ));
    }
    Ok((
        (),
        match grpc_port(kubectl).await? {
            true => format!("{shown}, installed by others; gRPC port added"),
            false => format!("{shown}, installed by others, unchanged"),
        },
    ))
}
