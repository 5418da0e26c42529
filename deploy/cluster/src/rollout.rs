//! Waits for Deployments: until when, what is shown meanwhile, and why one does not come up.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Kubectl, Mode, Problem, Progress, Result};

/// How long a wait may take, and how often it looks.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The longest time.
    pub limit: Duration,
    /// The time between two looks.
    pub pause: Duration,
}

impl Default for Patience {
    /// Five minutes: images of some hundred megabytes may have to be fetched.
    fn default() -> Self {
        Self {
            limit: Duration::from_secs(300),
            pause: Duration::from_secs(1),
        }
    }
}

/// What a look found.
#[derive(Debug)]
pub enum Look<T = ()> {
    /// What was waited for is there.
    Done(T),
    /// It is not there yet: what is missing, and as far as it is known, why and what helps.
    Missing(Problem),
}

/// Looks until what is waited for is there. What is missing is shown meanwhile.
///
/// # Errors
///
/// When a look fails; when it is still missing at the end, as what the last look said.
pub async fn wait<T>(
    patience: Patience,
    progress: &Progress,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Look<T>>,
) -> Result<T> {
    let began = Instant::now();
    loop {
        let missing = match look().await? {
            Look::Done(value) => return Ok(value),
            Look::Missing(missing) => missing,
        };
        progress.event(match missing.cause() {
            Some(cause) => format!("{}: {cause}", missing.what()),
            None => missing.what().to_owned(),
        });
        if began.elapsed() >= patience.limit {
            let limit = patience.limit.as_secs();
            return Err(missing.in_step(format!("{what}: not done within {limit} s")));
        }
        tokio::time::sleep(patience.pause).await;
    }
}

/// Waits until Deployments run what was applied last.
///
/// # Errors
///
/// When one does not in time: which, how many of its pods it has, and why.
pub async fn deployments(
    kubectl: &Kubectl,
    progress: &Progress,
    patience: Patience,
    namespace: &str,
    names: &[&str],
) -> Result<()> {
    if kubectl.mode() != Mode::Change {
        return Ok(());
    }
    let what = format!("the rollout in namespace {namespace}");
    wait(patience, progress, &what, async || {
        let there = kubectl.list("deployments", namespace, "").await?;
        for name in names {
            let found = there
                .iter()
                .find(|object| object["metadata"]["name"] == **name);
            let Some(deployment) = found else {
                let what = format!("Deployment {name} does not exist");
                return Ok(Look::Missing(Problem::new(what)));
            };
            if let Some(pods) = behind(deployment) {
                let problem = Problem::new(format!("{name} has {pods}"));
                return Ok(Look::Missing(
                    with_cause(kubectl, namespace, deployment, problem).await?,
                ));
            }
        }
        Ok(Look::Done(()))
    })
    .await
}

/// How many pods a Deployment has of those that it wants; none where the rollout is done.
fn behind(deployment: &Value) -> Option<String> {
    let (spec, status) = (&deployment["spec"], &deployment["status"]);
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    let wanted = spec["replicas"].as_u64().unwrap_or(1);
    let seen = count(&status["observedGeneration"]) >= count(&deployment["metadata"]["generation"]);
    let current = count(&status["updatedReplicas"]);
    let available = count(&status["availableReplicas"]);
    let old = count(&status["replicas"]).saturating_sub(current);
    let done = seen && current >= wanted && available >= wanted && old == 0;
    let ready = if seen { current.min(available) } else { 0 };
    (!done).then(|| format!("{ready} of {wanted} pods"))
}

/// Adds why a Deployment has not all of its pods.
async fn with_cause(
    kubectl: &Kubectl,
    namespace: &str,
    deployment: &Value,
    problem: Problem,
) -> Result<Problem> {
    let labels = deployment["spec"]["selector"]["matchLabels"].as_object();
    let labels = labels.into_iter().flatten();
    let labels: Vec<_> = labels
        .filter_map(|(name, value)| Some(format!("{name}={}", value.as_str()?)))
        .collect();
    let context = kubectl.context();
    for pod in kubectl.list("pods", namespace, &labels.join(",")).await? {
        if let Some((cause, cure)) = pod_trouble(&pod, context, namespace) {
            return Ok(problem.because(cause).cure(cure));
        }
    }
    let conditions = deployment["status"]["conditions"].as_array();
    let refused = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == "ReplicaFailure" && condition["status"] == "True");
    if let Some(message) = refused.and_then(|condition| condition["message"].as_str()) {
        let cure = match message.contains("exceeded quota") {
            true => format!(
                "raise the quota: kubectl --context {context} describe resourcequota \
                 --namespace {namespace}"
            ),
            false => {
                format!("kubectl --context {context} describe replicasets --namespace {namespace}")
            }
        };
        return Ok(problem.because(message).cure(cure));
    }
    let event = newest_warning(kubectl, namespace).await?;
    Ok(match event {
        Some(event) => problem.because(event),
        None => problem,
    }
    .cure(format!(
        "kubectl --context {context} describe pods --namespace {namespace}"
    )))
}

/// Why a pod does not run, and what helps.
pub(crate) fn pod_trouble(pod: &Value, context: &str, namespace: &str) -> Option<(String, String)> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let status = &pod["status"];
    let unscheduled = list(&status["conditions"])
        .into_iter()
        .find(|condition| condition["type"] == "PodScheduled" && condition["status"] == "False");
    if let Some(condition) = unscheduled {
        let message = condition["message"]
            .as_str()
            .unwrap_or("no reason is given");
        let cure = match message.contains("Insufficient") {
            true => format!(
                "give the cluster more CPUs or memory, or a further node, or stop what else runs \
                 there: kubectl --context {context} describe nodes"
            ),
            false => {
                format!("kubectl --context {context} describe pod {name} --namespace {namespace}")
            }
        };
        return Some((format!("pod {name} finds no node: {message}"), cure));
    }
    let mut containers = list(&status["initContainerStatuses"]);
    containers.extend(list(&status["containerStatuses"]));
    containers.iter().find_map(|container| {
        let waiting = &container["state"]["waiting"];
        let reason = waiting["reason"].as_str()?;
        let message = waiting["message"].as_str().unwrap_or_default();
        let image = container["image"].as_str().unwrap_or_default();
        match reason {
            "ContainerCreating" | "PodInitializing" => None,
            "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName" => {
                Some((
                    format!("image {image} cannot be pulled: {message}"),
                    format!(
                        "a node without internet needs the image loaded (`kind load image-archive`, \
                         or `ctr --namespace k8s.io images import` on the node); else see \
                         kubectl --context {context} describe pod {name} --namespace {namespace}"
                    ),
                ))
            }
            "CrashLoopBackOff" => Some((
                format!("pod {name} ends again and again: {message}"),
                format!(
                    "kubectl --context {context} logs {name} --namespace {namespace} --previous"
                ),
            )),
            _ => Some((
                format!("pod {name}: {reason}: {message}"),
                format!("kubectl --context {context} describe pod {name} --namespace {namespace}"),
            )),
        }
    })
}

/// The newest warning among the events of a namespace.
///
/// # Errors
///
/// When the server cannot be asked.
pub async fn newest_warning(kubectl: &Kubectl, namespace: &str) -> Result<Option<String>> {
    let events = kubectl.list("events", namespace, "").await?;
    let time = |event: &Value| {
        let times = [&event["lastTimestamp"], &event["eventTime"]];
        let time = times.into_iter().find_map(|time| time.as_str());
        time.unwrap_or_default().to_owned()
    };
    // Autoscalers of a cluster without metrics warn every few seconds; nothing waits for them.
    let telling = |event: &&Value| {
        event["type"] == "Warning" && event["involvedObject"]["kind"] != "HorizontalPodAutoscaler"
    };
    let newest = events
        .iter()
        .filter(telling)
        .max_by_key(|event| time(event));
    Ok(newest.map(|event| {
        let object = &event["involvedObject"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let message: Vec<_> = text(&event["message"]).lines().map(str::to_owned).collect();
        format!(
            "{} {}: {}",
            text(&object["kind"]),
            text(&object["name"]),
            message.join(" ")
        )
    }))
}
